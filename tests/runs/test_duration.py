"""How long a sweep takes is told from runs that are there, and from none that differ in what takes time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from segtrain.runs.duration import Planned, by_one_run, forecast, time_in_words
from segtrain.runs.folder import RunFolder

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def config(**changed: Any) -> dict[str, Any]:
    plain = {
        "dataset": {"root": "cells", "split": {"val": 0.2}},
        "model": {"encoder_name": "resnet18"},
        "data": {"batch_size": 4, "crop": 96, "steps_per_epoch": 60},
        "trainer": {"accelerator": "cpu", "max_epochs": 8},
        "threads": 1,
    }
    for key, value in changed.items():
        group, _, name = key.partition("_of_")
        if name:
            plain[group][name] = value  # type: ignore[index]
        else:
            plain[key] = value
    return plain


def ran(folder: Path, seconds: float, state: str = "finished", **changed: Any) -> None:
    run = RunFolder(folder)
    run.create(yaml.safe_dump(config(**changed)), [])
    times = {"started_at": BEGAN.isoformat(), "ended_at": (BEGAN + timedelta(seconds=seconds)).isoformat()}
    run.write_json("status.json", {"state": state, **times})
    run.write_json("results.json", {})


def planned(outputs: Path, number: int, **changed: Any) -> list[Planned]:
    return [Planned(str(outputs / "sweep" / f"seed={i}"), config(**changed), False) for i in range(number)]


def test_without_a_run_like_them_no_time_is_made_up(tmp_path: Path) -> None:
    told = forecast(planned(tmp_path, 6), tmp_path, 2)
    assert told.startswith("6 runs; no run like these is there")


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_the_time_is_that_of_the_runs_that_are_left_so_many_at_a_time(tmp_path: Path, slots: int) -> None:
    for i, seconds in enumerate((500, 600, 700)):
        ran(tmp_path / "sweep" / f"seed={i}", seconds)
    told = forecast(planned(tmp_path, 15), tmp_path, slots)
    assert "15 runs; 3 are finished already" in told
    assert f"12 take about {time_in_words(12 * 600 / slots)}, {slots} at a time, by 3 like them" in told


def test_a_run_on_more_threads_says_how_much_work_it_is(tmp_path: Path) -> None:
    ran(tmp_path / "alone" / "default", 600, threads=2)
    assert f"take about {time_in_words(4 * 600)}," in forecast(planned(tmp_path, 4), tmp_path, 2)


@pytest.mark.parametrize(
    "other",
    [
        {"trainer_of_max_epochs": 9},
        {"data_of_batch_size": 8},
        {"data_of_crop": 64},
        {"data_of_steps_per_epoch": 61},
        {"model_of_encoder_name": "resnet50"},
        {"dataset_of_root": "other"},
        {"trainer_of_accelerator": "gpu"},
        {"state": "failed"},
    ],
)
def test_runs_of_other_data_model_length_or_machine_say_nothing(tmp_path: Path, other: dict[str, Any]) -> None:
    ran(tmp_path / "a" / "default", 600, **other)
    assert "no run like these" in forecast(planned(tmp_path, 4), tmp_path, 2)


def test_other_splits_and_names_are_alike_and_damaged_folders_are_passed(tmp_path: Path) -> None:
    ran(tmp_path / "a" / "default", 600, dataset_of_split={"val": 0.5})
    for name, content in (("b", "{"), ("c", "a: 1"), ("d", "[]")):
        ran(tmp_path / name / "default", 1)
        (tmp_path / name / "default" / "config.yaml").write_text(content)
    assert "by 1 like them that is there" in forecast(planned(tmp_path, 4), tmp_path, 2)


def test_nothing_left_and_an_engine_of_its_own(tmp_path: Path) -> None:
    ran(tmp_path / "sweep" / "seed=0", 600)
    assert "nothing is left" in forecast(planned(tmp_path, 1), tmp_path, 2)
    assert "other 2 takes about 10 min" in forecast(planned(tmp_path, 3), tmp_path, None)


def test_a_sweep_by_one_of_its_runs_is_reckoned_as_by_runs_that_are_there() -> None:
    assert by_one_run(9, seconds=60, threads=2, each=1, at_once=2) == "9 runs, about 9 min"
    assert by_one_run(1, seconds=60, threads=2, each=2, at_once=4) == "1 run, about 60 s"


def test_one_run_is_no_runs(tmp_path: Path) -> None:
    ran(tmp_path / "sweep" / "seed=0", 600)
    assert forecast(planned(tmp_path, 1), tmp_path, 2).startswith("1 run; 1 is finished already")
