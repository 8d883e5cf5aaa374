"""Longer trainings of a find."""

from pathlib import Path

import pytest

from segtrain.runs.folder import RunFolder
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
        assert (copy / name).read_bytes() == (whole / name).read_bytes(), name
    assert before == {path: path.read_bytes() for path in short.rglob("*") if path.is_file()}
