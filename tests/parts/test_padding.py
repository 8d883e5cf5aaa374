"""Images smaller than the training crop meet the network grown to it, in training and in every use."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf

import segtrain
from segtrain.app.export.formats import describe_export
from segtrain.config.run_config import RunConfig
from segtrain.padding import pad_to
from segtrain.parts.limits import least_size
from segtrain.parts.network import load_run
from segtrain.runs.folder import RunFolder
from tests.conftest import SMALL, CommandLine, train

SMALLER = [*SMALL, "dataset.size=[40,24]", "data.crop=[48,64]"]
LEAST = (64, 64)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("smaller"), *SMALLER, "name=small")


def test_evaluate_says_what_training_said(run: Path, segtrain: CommandLine) -> None:
    assert segtrain("evaluate", f"run={run}", "bootstrap=0", "surface=false") == 0
    (again,) = segtrain.folder.glob("outputs/evaluate/**/results.json")
    trained, scored = (json.loads(path.read_text()) for path in (run / "results.json", again))
    assert {key: scored[key] for key in trained if key.startswith("test/")} == {
        key: value for key, value in trained.items() if key.startswith("test/")
    }


def test_a_use_sees_what_the_crop_would_have_shown(run: Path) -> None:
    predictor = segtrain.load(run)
    assert predictor.least == LEAST
    image = np.random.default_rng(0).integers(0, 255, (40, 24, predictor.channels), np.uint8)
    grown, _ = pad_to(image, image[..., 0], LEAST, 255)
    found, whole = predictor.predict(image), predictor.predict(grown)
    assert np.array_equal(found.labels, whole.labels[:40, :24])
    assert np.array_equal(found.probabilities, whole.probabilities[:, :40, :24])


def test_an_exported_file_says_so(run: Path) -> None:
    assert describe_export(load_run(RunFolder(run)), 32)["least"] == [64, 64]
    assert describe_export(load_run(RunFolder(run)), 96)["least"] == [96, 96]


def test_no_window_is_smaller_than_the_crop() -> None:
    windows = segtrain.model.windows.Windows(32)
    assert windows.of_at_least(LEAST).sides == LEAST
    assert segtrain.model.windows.Windows(512).of_at_least(LEAST).sides == (512, 512)


def test_a_run_of_an_earlier_version_keeps_its_own(segtrain: CommandLine) -> None:
    command = [*SMALLER, "name=old"]
    assert segtrain(*command, "data.padding=stride") == 0
    (file,) = segtrain.folder.glob("outputs/old/*/config.yaml")
    folder = file.parent.rename(file.parent.with_name(file.parent.name.replace(",data.padding=stride", "")))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["data"].pop("padding") == "stride"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert least_size(RunConfig(OmegaConf.create(config))) == (0, 0)
    before = (folder / "results.json").read_bytes()
    assert segtrain(*command) == 0  # the same command: finished already
    assert (folder / "results.json").read_bytes() == before
    assert segtrain("evaluate", f"run={folder}", "bootstrap=0", "surface=false") == 0
    (again,) = segtrain.folder.glob("outputs/evaluate/**/results.json")
    assert json.loads(again.read_text())["test/dice"] == json.loads(before)["test/dice"]
    assert segtrain(f"resume={folder}", "trainer.max_epochs=3") == 0
    assert least_size(RunConfig(RunFolder(folder).config())) == (0, 0)


def test_evaluation_in_training_sees_the_crops_size(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunFolder(run).config()
    assert least_size(RunConfig(config)) == LEAST
    predictor = segtrain.load(run)
    seen: list[tuple[int, ...]] = []
    plain = predictor.model

    def watched(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape[2:]))
        return plain(images)

    monkeypatch.setattr(predictor, "model", watched)
    for size in ((1, 1), (40, 24), (64, 70), (100, 10)):
        predictor.predict(np.zeros((*size, predictor.channels), np.uint8))
    assert seen == [(64, 64), (64, 64), (64, 96), (128, 64)]
