"""find_lr: a figure and a number, the command to train with it, and no run."""

import json
import shlex
from pathlib import Path

import pytest

from segtrain.app.find_lr import range_test
from segtrain.app.find_lr.find_lr import training_command
from tests.conftest import SMALL, CommandLine

TYPED = [*SMALL, "encoder_lr=0.1", "+trainer.limit_train_batches=1", "trainer.accumulate_grad_batches=2"]


def test_a_number_a_figure_and_a_command_come_out_and_no_run(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_test, "STEPS", 20)
    monkeypatch.setattr(range_test, "LEAST", 1e-4)
    found: list[dict[str, object]] = []
    for _ in range(2):  # the same command, the same bits
        assert segtrain("find_lr", *TYPED) == 0, segtrain.err
        (path,) = segtrain.folder.glob("outputs/find_lr/shapes/*/find_lr.json")
        found.append(json.loads(path.read_text()))
    assert found[0] == found[1]
    assert path.with_name("find_lr.png").stat().st_size > 0
    assert {p.name for p in (segtrain.folder / "outputs").iterdir()} == {"cache", "find_lr"}
    rates, losses = found[0]["rates"], found[0]["losses"]
    assert len(rates) == len(losses) == len(found[0]["smoothed"]) <= 20
    assert rates[0] == pytest.approx(1e-4) and rates == sorted(rates)
    assert rates[0] / 10 <= found[0]["suggested"] <= rates[-1] / 10
    command = shlex.split(str(found[0]["command"]))
    assert command[:3] == ["python", "-m", "segtrain"]
    assert command[3:] == [*TYPED, f"optimizer.lr={found[0]['suggested']:g}"]


def test_the_command_has_one_rate_and_the_batch_size_that_was_found() -> None:
    typed = ["aug=flips", "optimizer.lr=0.5", "data.batch_size=auto"]
    assert training_command(typed, 0.002, 16).endswith("segtrain aug=flips data.batch_size=16 optimizer.lr=0.002")


@pytest.mark.parametrize("typed", ["-m", "sweep=strength", "resume=outputs/a/b"])
def test_it_is_for_one_new_training(segtrain: CommandLine, typed: str) -> None:
    assert segtrain("find_lr", *SMALL, typed) == 2
    assert typed.partition("outputs")[0] in segtrain.err
    assert list(Path(segtrain.folder).iterdir()) == []
