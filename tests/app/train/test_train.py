"""A run from command to results, on drawn data."""

import csv
import json
import re
import signal
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from segtrain.interrupts import Stopped
from segtrain.runs import checkpoint
from segtrain.runs.metrics_csv import DATA_WAIT, TIMES
from tests.conftest import SMALL, CommandLine

FILES = [
    "config.yaml",
    "overrides.yaml",
    "status.json",
    "env.json",
    "split.json",
    "metrics.csv",
    "results.json",
    "per_image.csv",
    "augmented.png",
    "predictions.png",
    "curves.png",
    "train.log",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
]


def only_run(folder: Path) -> Path:
    runs = list((folder / "outputs").glob("*/*/config.yaml"))
    assert len(runs) == 1
    return runs[0].parent


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_a_complete_folder(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segtrain.app.train.fit_run.cores_taken", lambda before, now: 99.0)  # by other programs
    assert segtrain("aug=medical_elastic", *SMALL) == 0, segtrain.err
    run = only_run(segtrain.folder)
    assert run.parent.name == "shapes" and run.name.startswith("aug=medical_elastic,dataset=shapes,")
    for name in FILES:
        assert (run / name).stat().st_size > 0, name
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    results = json.loads((run / "results.json").read_text())
    classes = ["disc", "square"]
    assert results["test/dice"] == pytest.approx(sum(results[f"test/dice/{c}"] for c in classes) / 2, abs=1e-12)
    split = json.loads((run / "split.json").read_text())
    assert [row["id"] for row in rows(run / "per_image.csv")] == split["test"]
    assert split["groups"] == {name: name for name in split["test"]}  # each by itself: nothing else is known
    assert [row["epoch_from_1"] for row in rows(run / "metrics.csv")] == ["1", "2"]
    assert all(0 < float(row[DATA_WAIT]) < 1 for row in rows(run / "metrics.csv"))  # it loads and trains in turn
    assert "waiting for data" in segtrain.out
    assert "device" in segtrain.out and "disc" in segtrain.out and "next:" in segtrain.out
    assert re.search(r"Compare over seeds \(9 runs, about \d+ (s|min) by what this one took\):", segtrain.out)
    assert "other programs keep 99.0 of" in segtrain.out
    assert "\x1b" not in segtrain.out  # no colours or bar without a terminal


def test_the_same_command_gives_the_same_bits_and_another_seed_does_not(segtrain: CommandLine) -> None:
    def weights(*overrides: str) -> dict[str, torch.Tensor]:
        assert segtrain("aug=geometric", *SMALL, *overrides) == 0, segtrain.err
        name = next(o.split("=")[1] for o in overrides if o.startswith("name"))
        (run,) = (segtrain.folder / "outputs" / name).iterdir()
        state: dict[str, torch.Tensor] = checkpoint.read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
        return state

    a, b, c = weights("name=a"), weights("name=b", "data.num_workers=2"), weights("name=c", "seed=1")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


def test_resume_goes_on_as_if_nothing_had_happened(segtrain: CommandLine, monkeypatch) -> None:
    assert segtrain("aug=geometric", *SMALL, "trainer.max_epochs=3", "name=whole") == 0, segtrain.err
    whole = only_run(segtrain.folder)

    from segtrain.app.train import recorder

    original = recorder.Recorder.on_train_epoch_end

    def dies_after_the_second(self, trainer, pl_module):
        original(self, trainer, pl_module)
        if trainer.current_epoch == 1:
            raise Stopped(signal.SIGINT)

    monkeypatch.setattr(recorder.Recorder, "on_train_epoch_end", dies_after_the_second)
    assert segtrain("aug=geometric", *SMALL, "trainer.max_epochs=3", "name=cut") == 130
    (cut,) = (segtrain.folder / "outputs" / "cut").iterdir()
    assert json.loads((cut / "status.json").read_text())["state"] == "interrupted"
    monkeypatch.setattr(recorder.Recorder, "on_train_epoch_end", original)
    assert segtrain(f"resume={cut}") == 0, segtrain.err

    states = [checkpoint.read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (whole, cut)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    tables = [
        [{k: v for k, v in r.items() if k not in TIMES} for r in rows(run / "metrics.csv")] for run in (whole, cut)
    ]
    assert tables[0] == tables[1]
    assert (whole / "per_image.csv").read_bytes() == (cut / "per_image.csv").read_bytes()


def test_a_finished_run_is_not_repeated(segtrain: CommandLine) -> None:
    assert segtrain(*SMALL) == 0, segtrain.err
    before = (only_run(segtrain.folder) / "results.json").read_bytes()
    assert segtrain(*SMALL) == 0, segtrain.err
    assert "finished already; nothing was run" in segtrain.out
    assert segtrain(f"resume={only_run(segtrain.folder)}") == 2
    assert "already finished" in segtrain.err and "trainer.max_epochs above 2" in segtrain.err
    assert (only_run(segtrain.folder) / "results.json").read_bytes() == before
    assert json.loads((only_run(segtrain.folder) / "status.json").read_text())["state"] == "finished"


def test_multirun_gives_each_run_its_readable_folder_and_all_the_same_split(segtrain: CommandLine) -> None:
    arguments = ["-m", "aug=none,medical_elastic", "aug.strength=0.5,1", *SMALL, "trainer=smoke", "name=sweep"]
    arguments = [a for a in arguments if a not in ("trainer=cpu", "trainer.max_epochs=2")]
    assert segtrain(*arguments) == 0, segtrain.err
    runs = {
        path.parent.name.split(",dataset")[0] for path in (segtrain.folder / "outputs/sweep").glob("*/results.json")
    }
    assert runs == {"aug=none", "aug=medical_elastic,aug.strength=0.5", "aug=medical_elastic,aug.strength=1"}
    assert len({path.read_bytes() for path in (segtrain.folder / "outputs/sweep").glob("*/split.json")}) == 1


def test_a_sweep_over_datasets_has_a_report_each(segtrain: CommandLine) -> None:
    (segtrain.folder / "conf/dataset").mkdir(parents=True)
    (segtrain.folder / "conf/dataset/other.yaml").write_text("defaults: [shapes]\n")
    arguments = [*(a for a in SMALL if not a.startswith("dataset") and "max_epochs" not in a and a != "trainer=cpu")]
    command = ["-m", "--config-dir", "conf", "dataset=shapes,other", *arguments, "trainer=smoke"]
    assert segtrain(*command) == 0, segtrain.err
    assert {p.parent.name for p in (segtrain.folder / "outputs").glob("*/report.html")} == {"shapes", "other"}


def test_config_yaml_is_the_whole_truth(segtrain: CommandLine) -> None:
    assert segtrain("aug=medical_elastic", "aug.strength=0.5", *SMALL) == 0, segtrain.err
    text = (only_run(segtrain.folder) / "config.yaml").read_text()
    config = OmegaConf.create(text)
    assert "auto" not in text and "hydra:" not in text
    assert config.aug.transforms[0].rotate == 7.5  # 15 degrees at strength 1
    assert config.choices.aug == "medical_elastic"


def test_early_stopping_ends_a_training_that_gets_no_better(segtrain: CommandLine) -> None:
    longer = [s for s in SMALL if not s.startswith("trainer.max_epochs")]
    command = ["trainer.max_epochs=30", "early_stopping=2", "optimizer.lr=0.0", *longer]
    assert segtrain(*command) == 0, segtrain.err
    assert len(rows(only_run(segtrain.folder) / "metrics.csv")) < 30


@pytest.mark.parametrize("scheduler", ["plateau", "one_cycle"])
def test_learning_rate_follows_the_scheduler(scheduler: str, segtrain: CommandLine) -> None:
    assert segtrain(f"scheduler={scheduler}", *SMALL) == 0, segtrain.err
    rates = [float(row["lr"]) for row in rows(only_run(segtrain.folder) / "metrics.csv")]
    assert (rates[-1] == 0.002) is (scheduler == "plateau")


def test_bf16_trains_with_the_defaults_and_clips(segtrain: CommandLine) -> None:
    mixed = [*SMALL, "trainer.precision=bf16-mixed"]  # what `auto` is on a GPU
    assert segtrain(*mixed, "name=defaults") == 0, segtrain.err
    tables = []
    for clip in ("1.0", "1e-6"):
        fused = ["optimizer=sgd", "+optimizer.fused=true", f"trainer.gradient_clip_val={clip}"]
        assert segtrain(*mixed, *fused, f"name=clip{clip}") == 0, segtrain.err
        (table,) = segtrain.folder.glob(f"outputs/clip{clip}/*/metrics.csv")
        tables.append(table.read_bytes())
    assert tables[0] != tables[1]


def test_images_of_any_size_train_whole_and_empty_ones_are_counted(segtrain: CommandLine) -> None:
    """Sizes neither equal nor divisible by 32: the padding is ignored. Half of the images show nothing."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (segtrain.folder / "data" / kind).mkdir(parents=True)
    for i in range(12):
        mask = (rng.random((33 + i, 70 - 2 * i)) < (0.5 if i % 2 else 0)).astype(np.uint8)
        Image.fromarray(mask * 200).save(segtrain.folder / "data/images" / f"{i}.png")
        Image.fromarray(mask).save(segtrain.folder / "data/masks" / f"{i}.png")
    small = [s for s in SMALL if not s.startswith(("dataset", "data.crop"))]
    data = ["dataset=folder", "dataset.root=data", "dataset.classes={background:0,cell:1}", "data.crop=null"]
    data.append("dataset.split.test=0.4")
    assert segtrain(*data, *small) == 0, segtrain.err
    run = only_run(segtrain.folder)
    pixels = [int(row["pixels"]) for row in rows(run / "per_image.csv")]
    split = json.loads((run / "split.json").read_text())
    assert pixels == [(33 + int(i)) * (70 - 2 * int(i)) for i in split["test"]]
    table, results = rows(run / "per_image.csv"), json.loads((run / "results.json").read_text())
    empty = [row for row in table if int(row["id"]) % 2 == 0]
    assert empty and all((row["truth/cell"] == "0") == (row in empty) for row in table)
    wrong = sum(row["dice/cell"] == "0.0" for row in empty)
    for end in ("", "/cell"):
        assert results[f"test/empty_images{end}"] == len(empty)
        assert results[f"test/false_positive_images{end}"] == wrong
    assert f"{wrong} of {len(empty)} (" in segtrain.out and "Empty images" in segtrain.out
