"""The trainer's limits: schedules, tables and replays go by what was trained and tested."""

import csv
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from segtrain.config.run_config import RunConfig
from segtrain.parts.limits import limited, optimizer_steps, samples_of
from tests.conftest import SMALL, CommandLine

QUICK = [o for o in SMALL if "steps_per_epoch" not in o]


def config(size: int = 1, **trainer: object) -> DictConfig:
    return OmegaConf.create({"data": {"batch_size": size}, "trainer": trainer})


def run_of(segtrain: CommandLine, name: str, *typed: str) -> Path:
    assert segtrain(*QUICK, f"name={name}", *typed) == 0, segtrain.err
    (run,) = (segtrain.folder / "outputs" / name).iterdir()
    return run


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@given(images=st.integers(1, 50), size=st.integers(1, 9), wanted=st.none() | st.integers(1, 60) | st.just(1.0))
def test_a_limit_of_test_batches_is_training_s(images: int, size: int, wanted: int | float | None) -> None:
    loader = [range(start, min(start + size, images)) for start in range(0, images, size)]
    kept = loader[: wanted if isinstance(wanted, int) else None]
    assert [*samples_of(config(size, limit_test_batches=wanted), range(images))] == [*itertools.chain(*kept)]


@given(batches=st.integers(1, 50), wanted=st.none() | st.integers(1, 60) | st.floats(0.01, 1), every=st.integers(1, 7))
def test_the_schedule_s_length_is_that_of_a_plain_training_of_what_is_left(
    batches: int, wanted: int | float | None, every: int
) -> None:
    trainer = {"max_epochs": 3, "accumulate_grad_batches": every}
    left = limited(wanted, batches)
    assert 0 <= left <= batches and (wanted is not None or left == batches)
    limit = config(**trainer, limit_train_batches=wanted)
    assert optimizer_steps(RunConfig(limit), batches) == optimizer_steps(RunConfig(config(**trainer)), left)


@pytest.mark.parametrize("wanted", ["2", "0.5"])
def test_the_schedule_comes_down_over_the_batches_that_are_trained(wanted: str, segtrain: CommandLine) -> None:
    plain = run_of(segtrain, "plain", "data.steps_per_epoch=2")
    limit = run_of(segtrain, "limit", "data.steps_per_epoch=4", f"+trainer.limit_train_batches={wanted}")
    assert "2 epochs of 2 steps" in segtrain.out
    rates = [[row["lr"] for row in rows(run / "metrics.csv")] for run in (plain, limit)]
    assert rates[0] == rates[1]


def test_a_replay_knows_the_samples_that_a_limit_left_out(segtrain: CommandLine) -> None:
    run = run_of(segtrain, "few", "dataset.n=8", "data.steps_per_epoch=4", "+trainer.limit_train_batches=1")
    train = json.loads((run / "split.json").read_text())["train"]
    seen = sum(
        segtrain("preview", f"replay={run}", f"sample={name}", f"epoch={epoch}") == 0
        for name in train
        for epoch in (1, 2)
    )
    assert seen == 4  # two epochs of a batch of two


@pytest.mark.parametrize("wanted", ["1", "0.5"])
def test_the_images_that_are_told_are_those_that_were_tested(wanted: str, segtrain: CommandLine) -> None:
    run = run_of(segtrain, "some", "dataset.n=30", f"+trainer.limit_test_batches={wanted}")
    tested = len(rows(run / "per_image.csv"))
    number = len(json.loads((run / "split.json").read_text())["test"])
    assert tested < number and f"test {tested} of {number}" in segtrain.out
    assert json.loads((run / "results.json").read_text())["test/images"] == tested
    assert f"test, {tested} images" in segtrain.out


@pytest.mark.parametrize(
    "typed",
    [
        *(
            f"+trainer.limit_{part}_batches={value}"
            for part in ("train", "val", "test")
            for value in ("0", "0.0", "-1")
        ),
        *(f"+trainer.limit_{part}_batches=0.1" for part in ("train", "val", "test")),
        "+trainer.limit_val_batches=1.5",
        "+trainer.val_check_interval=100",
        "trainer.check_val_every_n_epoch=3",
        "trainer.check_val_every_n_epoch=null +trainer.val_check_interval=100",
    ],
)
def test_a_limit_that_leaves_nothing_is_refused(typed: str, segtrain: CommandLine) -> None:
    assert segtrain(*SMALL, *typed.split()) == 2
    assert typed.split("+")[-1].partition("=")[0] in segtrain.err and "Traceback" not in segtrain.err
