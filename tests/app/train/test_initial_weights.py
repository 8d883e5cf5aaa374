"""Training that begins with other weights, as a user types it."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from segtrain.app.train.initial_weights import read_weights
from segtrain.command_line import quoted
from segtrain.errors import UserError
from segtrain.parts.network import load_run
from segtrain.runs import checkpoint
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import reproducible_bytes
from tests.app.train.test_resume import SAME, Killed, killed_after, run_in
from tests.conftest import SMALL, CommandLine

FEW = [o for o in SMALL if not o.startswith(("trainer.max_epochs", "data.steps_per_epoch"))]
TRAINING = [*FEW, "trainer.max_epochs=2", "data.steps_per_epoch=4", "checkpoint.every=1"]
ALL = ["freeze_encoder=1", "encoder_lr=0.1", "deep_supervision=true", "ema=0.9"]
ENCODER = "network.encoder."


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with weights, its name as runs have them: three channels and four classes, unlike `shapes`."""
    from omegaconf import OmegaConf
    from segmentation_models_pytorch import Unet

    folder = tmp_path_factory.mktemp("source") / "outputs/old/aug=none,seed=0"
    RunFolder(folder).create(OmegaConf.to_yaml({}), [])
    torch.manual_seed(7)
    channels = [8, 8, 8, 8, 8]
    network = Unet("tu-test_resnet", encoder_weights=None, decoder_channels=channels, in_channels=3, classes=4)
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    checkpoint.save_weights(folder / "checkpoints", state, {"epoch": 0})
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = safetensors.torch.load_file(run / "checkpoints/best.safetensors")
    return state


def test_what_matched_is_listed_and_a_frozen_encoder_stays_to_the_bit(segtrain: CommandLine, source: Path) -> None:
    typed = [*FEW, "trainer.max_epochs=1", "data.steps_per_epoch=4", f"init_from={source}", *ALL]
    assert segtrain(*typed, "name=a") == 0, segtrain.err
    run, before = run_in(segtrain.folder, "a"), weights(source)
    after, averaged = checkpoint.read_checkpoint(run / "checkpoints/last.ckpt")["current_model_state"], weights(run)
    init = json.loads((run / "init.json").read_text())
    assert init["adapted"] == {"encoder.model.conv1.0.weight": "3 to 1 channels"}
    assert set(init["random"]) == {"segmentation_head.0.weight", "segmentation_head.0.bias"}
    assert all(f"network.{name}" in before for name in init["matched"]) and len(init["matched"]) > 100
    log = (run / "train.log").read_text()
    for said in ("adapted: encoder.model.conv1.0.weight (3 to 1 channels)", "left random: segmentation_head.0.weight"):
        assert said in log and said in segtrain.out, said
    (proposed,) = [line for line in segtrain.out.splitlines() if line.startswith("  python -m segtrain -m ")]
    assert f"\"init_from='{source}'\"" in proposed and f"init_from='{source}'" in shlex.split(proposed)
    frozen = [name for name in before if name.startswith(ENCODER) and "conv1.0" not in name]
    assert frozen and all(torch.equal(before[name], after[name]) for name in frozen)
    assert all(torch.allclose(before[name], averaged[name], atol=1e-6) for name in frozen)  # means of equals: rounded
    moved = [name for name in before if ".decoder." in name and name.endswith("weight")]
    assert all(not torch.equal(before[name], after[name]) for name in moved)


@pytest.mark.slow
def test_after_the_frozen_epochs_the_encoder_moves_in_smaller_steps(segtrain: CommandLine, source: Path) -> None:
    typed = [*FEW, "trainer.max_epochs=2", "data.steps_per_epoch=4", f"init_from={source}", "scheduler=none"]
    moved = {}
    for name, options in {"one": [], "tenth": ["encoder_lr=0.1"]}.items():
        assert segtrain(*typed, "freeze_encoder=1", *options, f"name={name}") == 0, segtrain.err
        state = checkpoint.read_checkpoint(run_in(segtrain.folder, name) / "checkpoints/last.ckpt")
        key = f"{ENCODER}model.layer1.0.conv1.weight"
        moved[name] = float((state["state_dict"][key] - weights(source)[key]).abs().max())
        groups = state["optimizer_states"][0]["param_groups"]
        assert [group["lr"] for group in groups] == ([0.002] if name == "one" else [0.002, pytest.approx(0.0002)])
    assert 0 < moved["tenth"] < 0.5 * moved["one"]


@pytest.mark.slow
def test_killed_it_ends_with_the_same_bits_though_the_file_is_gone(
    segtrain: CommandLine, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a frozen epoch, with others to come."""
    file = segtrain.folder / "old.safetensors"
    shutil.copy(source / "checkpoints/best.safetensors", file)
    typed = ["aug=geometric", *TRAINING, f"init_from={file}", *ALL]
    assert segtrain(*typed, "name=whole") == 0, segtrain.err
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(Killed):
            segtrain(*typed, "name=cut")
    whole, cut = run_in(segtrain.folder, "whole"), run_in(segtrain.folder, "cut")
    file.write_bytes(b"other")
    assert segtrain(f"resume={cut}") == 2
    assert "have changed since" in segtrain.err and "restore the file" in segtrain.err
    file.unlink()
    assert segtrain(f"resume={cut}") == 0, segtrain.err
    for name in SAME:
        assert reproducible_bytes(whole / name) == reproducible_bytes(cut / name), name


def test_a_deeply_supervised_run_is_loaded_as_its_plain_network(segtrain: CommandLine) -> None:
    assert segtrain(*SMALL, "deep_supervision=[1,0.5]", "freeze_encoder=1") == 0, segtrain.err
    assert "warning: freeze_encoder " in segtrain.out
    (run,) = (segtrain.folder / "outputs/shapes").iterdir()
    assert any(name.startswith("supervision.") for name in weights(run))
    model = load_run(RunFolder(run)).model
    assert not [name for name in model.state_dict() if "supervision" in name]
    expected = weights(run)
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_the_values_of_a_sweep_are_told_from_a_name_with_commas(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a=1.pt", "b=1,c=2"):
        Path(name).touch()
    assert quoted("init_from=a=1.pt") == "init_from='a=1.pt'"
    assert quoted("init_from=b=1,c=2") == "init_from='b=1,c=2'"
    assert quoted("init_from=null,a=1.pt") == "init_from=null,'a=1.pt'"
    assert quoted("init_from=aug=none,seed=0") == "init_from='aug=none,seed=0'"  # a run's name below outputs
    assert quoted("init_from='a','b'") == "init_from='a','b'"


@pytest.mark.slow
def test_initial_weights_are_an_axis_of_a_sweep(segtrain: CommandLine, source: Path) -> None:
    few = [*(o for o in FEW if o != "trainer=cpu"), "trainer=smoke", "data.steps_per_epoch=1", "name=s"]
    shutil.copy(source / "checkpoints/best.safetensors", segtrain.folder / "a=1.safetensors")
    assert segtrain("-m", "init_from=null,a=1.safetensors", *few) == 0, segtrain.err
    runs = {path.parent.name.split(",")[0] for path in (segtrain.folder / "outputs/s").glob("*/results.json")}
    assert runs == {"init_from=null", "init_from=a=1.safetensors"}


class Code:
    """Would run when unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_a_mistake_is_one_message(segtrain: CommandLine, source: Path) -> None:
    folder = segtrain.folder
    torch.save({"a": Code()}, folder / "code.pt")
    torch.save({"epoch": 1}, folder / "empty.pt")
    torch.save({"encoder.conv1.weight": torch.zeros(1)}, folder / "another.pt")
    (folder / "text.ckpt").write_text("no weights")
    (folder / "torn.safetensors").write_bytes((source / "checkpoints/best.safetensors").read_bytes()[:500])
    RunFolder(folder / "outputs/new/run").create("seed: 0", [])
    mistakes = {
        "init_from=nowhere.pt": "init_from=nowhere.pt is no file of weights, and: 'nowhere.pt' is no run folder",
        "init_from=run": "has no weights yet",
        "init_from=code.pt": "code in a file is never run",
        "init_from=text.ckpt": "'text.ckpt' was not loaded",
        "init_from=torn.safetensors": "'torn.safetensors' was not loaded",
        "init_from=empty.pt": "holds no weights",
        "init_from=another.pt": "the weights are of another network: none of its",
        "freeze_encoder=3": "freeze_encoder=3 is longer than the training; expected at most trainer.max_epochs=2",
        "encoder_lr=0": "expected a factor above 0",
        "deep_supervision=[1]": "deep_supervision is [1]; expected true, false, or weights",
        "deep_supervision=[1,1,1,1,1,1]": "deep_supervision has 6 weights; expected from 2 to 5",
    }
    for typed, said in mistakes.items():
        assert segtrain(typed, *SMALL) == 2, typed
        assert said in segtrain.err and len(segtrain.err.splitlines()) == 1, segtrain.err
    assert not (folder / "ran").exists()


def test_files_are_verified_and_others_wrapped_weights_are_found(tmp_path: Path) -> None:
    state = {"a": torch.ones(2)}
    checkpoint.write_checkpoint({"state_dict": state}, tmp_path / "ours.ckpt")
    torch.save({"model": state, "epoch": 3}, tmp_path / "others.pth")
    for name in ("ours.ckpt", "others.pth"):
        assert torch.equal(read_weights(tmp_path / name)["a"], state["a"])
    torch.save({"a": torch.tensor([1.0, float("nan")]), "b": torch.tensor(1)}, tmp_path / "nan.pt")
    with pytest.raises(UserError, match="got 1 such tensors, the first a"):
        read_weights(tmp_path / "nan.pt")
    content = bytearray((tmp_path / "ours.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "ours.ckpt").write_bytes(bytes(content))
    with pytest.raises(UserError, match="damaged"):
        read_weights(tmp_path / "ours.ckpt")
