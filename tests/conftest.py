"""Composed configs, and the command line as a user types it."""

import os

from segtrain.openmp import spin_briefly

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests run in several processes
spin_briefly()

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from omegaconf import DictConfig

from segtrain import compat
from segtrain.__main__ import main
from segtrain.config import composition
from tests.composing import compose_quickly
from tests.drawing import draw_quickly, laid_out
from tests.left_out import pytest_collection_modifyitems, pytest_runtest_logreport, pytest_sessionfinish
from tests.writing import write_quickly

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
compat.register_torchvision_operators()
composition.register_resolvers()
compose_quickly()
draw_quickly()
write_quickly()
settings.register_profile("segtrain", deadline=None)  # a busy machine is no failure
settings.load_profile("segtrain")

__all__ = ["laid_out", "pytest_collection_modifyitems", "pytest_runtest_logreport", "pytest_sessionfinish"]

# A run of seconds: drawn images, a small network, one thread.
SMALL = [
    "dataset=shapes",
    "dataset.n=16",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "data.batch_size=2",
    "data.crop=32",
    "data.steps_per_epoch=2",
    "threads=1",
    "model.encoder_name=tu-test_resnet",
    "+model.decoder_channels=[8,8,8,8,8]",
]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist tells the others what there is
def pytest_collection_finish(session: pytest.Session) -> None:
    """The longest tests begin first: at the end no process works at one of them while the others have nothing to do.

    From here on no process leaves compiled modules beside a test's own; those of the suite are there by now.

    Nor does the garbage collector look through all modules and tests again and again, a tenth of the suite's time.
    """
    session.items.sort(key=lambda item: item.get_closest_marker("longest") is None)
    sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    gc.freeze()
    gc.set_threshold(200_000, 5, 5)


@pytest.fixture
def composed() -> Callable[..., DictConfig]:
    """compose("aug=flips", …) -> the train config with these overrides."""
    return lambda *overrides: composition.composed("train", overrides)


class CommandLine:
    """`python -m segtrain …` in this process: exit status, and what came out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path) -> None:
        self.monkeypatch, self.capfd, self.folder = monkeypatch, capfd, folder
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self.monkeypatch.chdir(self.folder)
        self.monkeypatch.setattr("sys.argv", ["segtrain", *arguments])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        self.out, self.err = self.capfd.readouterr()
        return status


def train(folder: Path, *arguments: str) -> Path:
    """The folder of a run, trained below `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr("sys.argv", ["segtrain", *arguments])
        main()
    (config,) = (folder / "outputs").glob("*/*/config.yaml")
    return config.parent


@pytest.fixture
def segtrain(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """The command line, in an empty folder; keeps HYDRA_FULL_ERROR from leaking into other tests."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    return CommandLine(monkeypatch, capfd, tmp_path)
