"""The command line as a user meets it: help, verbs, and mistakes that end in one message and exit status 2."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from segtrain.config.composition import composed, conf_dir
from segtrain.nearest_name import SYNONYMS
from tests.conftest import SMALL, CommandLine


def folder_data(root: Path, values: tuple[int, int] = (0, 255), count: int = 12) -> list[str]:
    """A folder dataset in its real layout; the overrides that name it."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        mask = np.where(rng.random((40, 48)) < 0.5, *values).astype(np.uint8)
        Image.fromarray(mask // 2 + 20).save(root / "images" / f"p{i:02d}.png")
        Image.fromarray(mask).save(root / "masks" / f"p{i:02d}.png")
    small = [o for o in SMALL if not o.startswith("dataset")]
    return ["dataset=folder", f"dataset.root={root}", "dataset.classes={background:0,cell:255}", *small]


def test_help_shows_verbs_groups_and_examples(segtrain: CommandLine) -> None:
    assert segtrain("--help") == 0
    assert "train      train a model" in segtrain.out
    (aug,) = (line for line in segtrain.out.splitlines() if line.startswith("  aug "))
    assert {"flips", "medical_elastic", "none"} <= set(aug.removeprefix("  aug").strip().split(", "))
    assert segtrain.out.count("\n  python -m segtrain ") >= 5


def test_help_shows_the_choices_of_the_users_own_folder(segtrain: CommandLine) -> None:
    own = segtrain.folder / "my_conf" / "dataset"
    own.mkdir(parents=True)
    (own / "cells.yaml").write_text("defaults: [folder]\n")
    for flags in (["--config-dir", "my_conf"], ["--config-dir=my_conf"]):
        assert segtrain(*flags, "--help") == 0
        assert ", cells, " in segtrain.out


def test_config_is_shown_without_running(segtrain: CommandLine) -> None:
    assert segtrain("--cfg", "job", "aug=flips", "seed=3") == 0
    assert "seed: 3" in segtrain.out and "segtrain.aug.Geometry" in segtrain.out
    assert list(segtrain.folder.iterdir()) == []


@pytest.mark.parametrize("flag", ["--help", "--cfg=job"])
def test_help_and_config_import_no_torch(flag: str) -> None:
    code = (
        "import sys; from segtrain.__main__ import main\n"
        f"sys.argv = ['segtrain', *{flag.split('=')!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'albumentations', 'cv2', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


MISTAKES = {
    "no such verb": (["trian"], ["there is no verb 'trian'", "train a model"]),
    "no such choice": (["aug=medical_elastc"], ["did you mean aug=medical_elastic?", "photometric"]),
    "unknown key": (["aug.strenght=2"], ["there is no key 'aug.strenght'", "did you mean aug.strength?"]),
    "unknown group": (["agu=none"], ["there is no key 'agu'", "did you mean aug?"]),
    "bad override": (["seed=[1"], ["seed=[1"]),
    "negative strength": (["aug=flips", "aug.strength=-1"], ["expected one number ≥ 0", "-1"]),
    "negative seed": (["seed=-1"], ["seed is -1; expected a whole number from 0 to 4294967295"]),
    "no threads": (["threads=0"], ["threads is 0; expected a whole number from 1"]),
    "no such determinism": (["deterministic=maybe"], ["expected true, false or warn"]),
    "patience in words": (
        ["early_stopping=soon"],
        ["early_stopping is 'soon'; expected a whole number from 1 to 2147483647 or null"],
    ),
    "empty batch": (["data.batch_size=0"], ["data.batch_size is 0"]),
    "empty crop": (["data.crop=[32,0]"], ["data.crop is [32, 0]; expected null, a side in pixels from 1"]),
    "half a step": (["data.steps_per_epoch=0.5"], ["data.steps_per_epoch is 0.5"]),
    "negative workers": (["data.num_workers=-1"], ["data.num_workers is -1; expected a whole number from 0 to 512"]),
    "no epoch": (["trainer.max_epochs=0"], ["trainer.max_epochs is 0"]),
    "missing value": (["dataset=folder"], ["dataset.classes has no value", "dataset.classes=…"]),
    "refused value": (["optimizer.lr=fast"], ["optimizer.lr is 'fast'"]),
    "gpu without one": (["trainer=gpu"], ["torch sees no GPU", "trainer=cpu"]),
    "no such run": (["resume=outputs/nothing"], ["'outputs/nothing' is no run folder", "config.yaml"]),
    "missing extra": (["logger=wandb"], ['pip install "segtrain[wandb]"']),
    "weights not to be had": (["model.encoder_weights=imagenet"], ["model.encoder_weights=null", "HF_HOME"]),
    "no such weights": (["model.encoder_weights=imagnet"], ["imagnet"]),
    "misspelt model key": (["+model.decoder_chanels=[8,8,8,8,8]"], ["model/unet_resnet18.yaml", "decoder_chanels"]),
    "no such target": (["model._target_=segtrain.nothing"], ["segtrain.nothing", "expected", "Unet"]),
}


ELSEWHERE = {  # what other programs call it, in their several ways of typing it
    "epochs": ("trainer.max_epochs", "5"),
    "lr": ("optimizer.lr", "0.1"),
    "learning-rate": ("optimizer.lr", "0.1"),
    "imgsz": ("data.crop", "512"),
    "batch": ("data.batch_size", "8"),
    "workers": ("data.num_workers", "2"),
    "encoder_name": ("model.encoder_name", "resnet34"),
    "root": ("dataset.root", "data/cells"),
}


@pytest.mark.parametrize("word", ELSEWHERE)
def test_the_key_that_is_meant_is_named(word: str, segtrain: CommandLine) -> None:
    key, value = ELSEWHERE[word]
    for typed in ([f"{word.replace('-', '_')}={value}"], [f"+{word.replace('-', '_')}={value}"]):
        assert segtrain(*typed) == 2
        assert "did you mean" in segtrain.err and key in segtrain.err, typed
    for typed in ([f"--{word}", value], [f"--{word}={value}"], ["train", "aug=flips", f"--{word}", value]):
        assert segtrain(*typed) == 2
        assert f"there is no option --{word}; did you mean {key}={value}?" in segtrain.err, typed
    assert not list(segtrain.folder.iterdir())


def test_every_synonym_is_of_a_key_that_is_there() -> None:
    groups = {path.name for path in conf_dir().iterdir()}
    config = composed("train", ["dataset=folder", "dataset.root=x", "dataset.classes={a: 0}"])
    after = {"run", "input"}  # of the verbs after training
    for key in SYNONYMS:
        first, _, last = key.rpartition(".")
        node = OmegaConf.select(config, first) if first else config
        assert last in node or key in groups | after or key.startswith("dataset.split."), key
    assert len(words := [word for found in SYNONYMS.values() for word in found]) == len(set(words))


def test_a_word_that_is_no_override(segtrain: CommandLine) -> None:
    for typed, said in {
        ("trian",): "did you mean train?",
        ("evalute", "run=x"): "did you mean evaluate?",
        ("--config-dir", "x", "trian"): "did you mean train?",
        ("aug=flips", "check"): "a verb comes first",
        ("epochs", "5"): "keys are typed as key=value",
        ("--confg-dir", "x"): "did you mean --config-dir?",
    }.items():
        assert segtrain(*typed) == 2 and said in segtrain.err and segtrain.err.startswith("error: "), typed


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_message_and_status_2(
    case: str, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    if case == "gpu without one" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    if case == "missing extra" and importlib.util.find_spec("wandb"):
        pytest.skip("the extra is installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments, expected = MISTAKES[case]
    small = [] if case in ("no such verb", "missing value", "no such run") else SMALL
    keys = {a.split("=")[0] for a in arguments}
    assert segtrain(*arguments, *(s for s in small if s.split("=")[0] not in keys)) == 2
    assert segtrain.err.startswith("error: ") and "Traceback" not in segtrain.err
    for text in expected:
        assert text in segtrain.err


def test_mistakes_in_the_data(segtrain: CommandLine) -> None:
    root = segtrain.folder / "cells"
    overrides = folder_data(root)
    (root / "masks" / "p03.png").rename(root / "p03.png")
    assert segtrain(*overrides) == 2 and "p03" in segtrain.err  # image without mask
    (root / "p03.png").rename(root / "masks" / "p03.png")

    Image.fromarray(np.full((40, 48), 7, np.uint8)).save(root / "masks" / "p03.png")
    assert segtrain(*overrides) == 2
    assert "p03" in segtrain.err and "7" in segtrain.err and "background" in segtrain.err  # label outside

    Image.fromarray(np.zeros((9, 9), np.uint8)).save(root / "masks" / "p03.png")
    assert segtrain(*overrides) == 2 and "p03" in segtrain.err and "9" in segtrain.err  # size mismatch

    (root / "masks" / "p03.png").write_bytes((root / "masks" / "p04.png").read_bytes()[:60])
    assert segtrain(*overrides) == 2 and "p03" in segtrain.err  # unreadable

    assert segtrain(*overrides[:1], "dataset.root=nowhere", *overrides[2:]) == 2
    assert "nowhere" in segtrain.err


def test_no_far_key_is_guessed(segtrain: CommandLine) -> None:
    """Two keys of one node begin alike, and that alone makes none of them the one that is meant."""
    assert segtrain("dataset=shapes", "dataset.classes=[a,b]") == 2
    assert "'dataset.classes'" in segtrain.err and "did you mean" not in segtrain.err


def test_a_folder_of_configs_that_lies_here_is_named(segtrain: CommandLine) -> None:
    own = segtrain.folder / "my_conf" / "dataset"
    own.mkdir(parents=True)
    (own / "cells.yaml").write_text("defaults: [folder]\n")
    for flags in (["--config-dir", "my_config"], ["--config-dir=my_config"], ["aug=flips", "--config-dir"]):
        assert segtrain(*flags) == 2
        assert "my_conf lies here" in segtrain.err and "\n" not in segtrain.err.strip()


def test_flags_and_overrides_come_in_any_order(segtrain: CommandLine) -> None:
    for arguments in (["seed=3", "--cfg", "job", "aug=flips"], ["--cfg", "job", "seed=3", "aug=flips"]):
        assert segtrain(*arguments) == 0, segtrain.err
        assert "seed: 3" in segtrain.out and "hflip" in segtrain.out
    own = segtrain.folder / "a=b" / "dataset"
    own.mkdir(parents=True)
    (own / "cells.yaml").write_text("defaults: [shapes]\nnoise: 7.5\n")
    assert segtrain("seed=3", "--config-dir", "a=b", "dataset=cells", "--cfg", "job") == 0, segtrain.err
    assert "noise: 7.5" in segtrain.out


def test_debug_shows_the_traceback(segtrain: CommandLine) -> None:
    with pytest.raises(Exception, match="expected one number"):
        segtrain("aug=flips", "aug.strength=-1", "debug=true", *SMALL)


def test_a_users_own_conf_folder(segtrain: CommandLine) -> None:
    overrides = folder_data(segtrain.folder / "data")
    own = segtrain.folder / "my_conf" / "dataset"
    own.mkdir(parents=True)
    (own / "cells.yaml").write_text("defaults: [folder]\nroot: data\nclasses: {background: 0, cell: 255}\n")
    small = [o for o in overrides if not o.startswith("dataset")]
    assert segtrain("--config-dir", "my_conf", "dataset=cells", *small) == 0, segtrain.err
    assert "cells: 2 classes" in segtrain.out
    assert (segtrain.folder / "outputs" / "cells").is_dir()
