"""`python -m segtrain convert` as a user types it, and training from what it writes."""

import csv
import json
from pathlib import Path

import pytest
import torch

from segtrain.config.run_config import RunConfig
from segtrain.parts.data import build_dataset
from segtrain.parts.feeding import Feeding, build_data
from segtrain.runs.metrics_csv import TIMES
from tests.conftest import SMALL, CommandLine

pytest.importorskip("litdata")

SMALL_SHAPES = [option for option in SMALL if option.startswith("dataset")]
THE_REST = [option for option in SMALL if not option.startswith("dataset")]


def test_a_folder_is_written_whole_and_the_command_that_trains_from_it(segtrain: CommandLine) -> None:
    assert segtrain("convert", *SMALL_SHAPES, "to=data/shapes=16", "dataset.split.val=0.25") == 0, segtrain.err
    folder = segtrain.folder / "data" / "shapes=16"
    assert sorted(p.name for p in folder.iterdir()) == ["chunk-0-0.bin", "index.json", "segtrain.json"]
    assert [p.name for p in folder.parent.iterdir()] == ["shapes=16"]
    assert "wrote data/shapes=16: 16 samples in 3 classes, " in segtrain.out
    said = segtrain.out.splitlines()[-1].partition("train from it:  ")[2]
    assert said == "python -m segtrain dataset=litdata dataset.root=data/shapes=16 dataset.split.val=0.25"
    assert not segtrain.err


def test_the_split_that_the_dataset_chose_is_said_too(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nibabel")
    assert segtrain("convert", "dataset=brain_tissue", "dataset.step=30", "to=b") == 0, segtrain.err
    assert segtrain.out.endswith("dataset=litdata dataset.root=b split=brain_tissue\n")


def test_a_folder_that_is_there_is_left_alone(segtrain: CommandLine) -> None:
    (segtrain.folder / "there").mkdir()
    assert segtrain("convert", *SMALL_SHAPES, "to=there") == 2
    assert "to=there is there already" in segtrain.err and not list((segtrain.folder / "there").iterdir())


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "expected to="),
        (["to=x", "compress=perhaps"], "compress is"),
        (["to=x", "dataset.n=0"], "dataset.n"),
    ],
)
def test_a_mistake_leaves_nothing_behind(typed: list[str], said: str, segtrain: CommandLine) -> None:
    assert segtrain("convert", "dataset=shapes", *typed) == 2
    assert said in segtrain.err and list(segtrain.folder.iterdir()) == []


def test_what_breaks_halfway_leaves_nothing_behind(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status, said in (
        (OSError(28, "No space left on device"), 2, "to=FOLDER"),
        (KeyboardInterrupt(), 130, ""),
    ):

        def stop(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("segtrain.data.datasets.shapes.Shapes.read", stop)
        assert segtrain("convert", *SMALL_SHAPES, "to=x") == status
        assert said in segtrain.err and list(segtrain.folder.iterdir()) == []


@pytest.mark.parametrize("compress", ["false", "true"])
def test_training_batches_are_the_same_to_the_bit(compress: str, segtrain: CommandLine, composed) -> None:
    assert segtrain("convert", *SMALL_SHAPES, "to=s", f"compress={compress}") == 0, segtrain.err
    options = [*THE_REST, "aug=medical_elastic", "seed=3", "data.num_workers=0"]
    batches = []
    for dataset in (SMALL_SHAPES, ["dataset=litdata", f"dataset.root={segtrain.folder / 's'}"]):
        config = composed(*dataset, *options)
        data = build_data(RunConfig(config), Feeding(RunConfig(config), build_dataset(RunConfig(config))))
        data.setup("fit")
        loaders = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
        loaders[0].sampler.set_epoch(1)
        batches.append([batch for loader in loaders for batch in loader])
    assert len(batches[0]) == len(batches[1]) > 3
    for one, other in zip(*map(_tensors, batches), strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


def _tensors(batches: list) -> list[torch.Tensor]:
    flat = [part for batch in batches for part in (batch if isinstance(batch, list) else [batch])]
    return [batch[name] for batch in flat for name in sorted(batch)]


def _rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def test_training_gives_the_same_metrics(segtrain: CommandLine) -> None:
    assert segtrain("convert", *SMALL_SHAPES, "to=s") == 0, segtrain.err
    runs = []
    for name, dataset in (("files", SMALL_SHAPES), ("stream", ["dataset=litdata", "dataset.root=s"])):
        typed = [*dataset, *THE_REST, "aug=flips", f"name={name}", "data.num_workers=1"]
        assert segtrain(*typed) == 0, segtrain.err
        runs += [path.parent for path in (segtrain.folder / "outputs" / name).glob("**/metrics.csv")]
    assert len(_rows(runs[0])) == 2 and _rows(runs[0]) == _rows(runs[1])
    splits = [json.loads((run / "split.json").read_text()) for run in runs]
    for part in ("train", "val", "test"):
        assert splits[0][part] == splits[1][part]
