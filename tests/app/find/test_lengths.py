"""Longer trainings of a find."""

from pathlib import Path

import pytest

from segtrain.app.find.lengths import possible_factors
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import reproducible_bytes
from tests.conftest import SMALL, CommandLine

LONGER = [o for o in SMALL if not o.startswith("trainer.max_epochs")]
CONSTANT = [*LONGER, "aug=flips", "scheduler=none", "seed=3"]


def only_run(segtrain: CommandLine, name: str) -> Path:
    (config,) = (segtrain.folder / "outputs" / name).glob("*/config.yaml")
    return config.parent


@pytest.mark.slow
def test_a_copy_that_goes_on_ends_with_the_bits_of_one_that_was_trained_so_long(segtrain: CommandLine) -> None:
    assert segtrain(*CONSTANT, "trainer.max_epochs=2", "name=find") == 0, segtrain.err
    assert segtrain(*CONSTANT, "trainer.max_epochs=4", "name=whole") == 0, segtrain.err
    short, whole = only_run(segtrain, "find"), only_run(segtrain, "whole")
    before = {path: path.read_bytes() for path in short.rglob("*") if path.is_file()}
    copy = segtrain.folder / "outputs/find" / whole.name
    RunFolder(short).copy_for_more(copy, RunFolder(whole).overrides()[:-1])
    assert segtrain(*CONSTANT, "trainer.max_epochs=4", "name=find") == 0, segtrain.err
    for name in ("metrics.csv", "per_image.csv", "results.json", "checkpoints/best.safetensors"):
        assert reproducible_bytes(copy / name) == reproducible_bytes(whole / name), name
    assert before == {path: path.read_bytes() for path in short.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("asked", "epochs", "found"),
    [
        ((2.0, 4.0), 12, (2.0, 4.0)),
        ((0.5, 2.0), 1, (2.0,)),  # half an epoch is none: it would be the usual length once more
        ((0.5, 1.5), 3, (2 / 3, 4 / 3)),
        ((1.1, 1.2, 2.0), 4, (5 / 4, 2.0)),
        ((2.0,), 0, ()),
    ],
)
def test_lengths_are_those_that_whole_epochs_allow(
    asked: tuple[float, ...], epochs: int, found: tuple[float, ...]
) -> None:
    assert possible_factors(asked, epochs) == pytest.approx(found)
