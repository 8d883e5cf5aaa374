"""How many jobs run at a time, and which GPUs each has to itself."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from segtrain.app.sweep.processes import Limits, slots_of
from segtrain.config.composition import cores
from segtrain.errors import UserError


def slots(accelerator: str, devices: Any, n_jobs: int | None = None, threads: int = 1) -> list[str | None]:
    trainer = {"accelerator": accelerator, "devices": devices}
    return slots_of(Limits(n_jobs, None, 0), OmegaConf.create({"trainer": trainer, "threads": threads}))


@pytest.mark.parametrize(
    ("devices", "n_jobs", "found"),
    [
        (1, None, ["0", "1", "2", "3"]),
        (2, None, ["0,1", "2,3"]),
        (3, None, ["0,1,2"]),
        ("auto", None, ["0,1,2,3"]),
        ([1, 3], None, ["0,1,2,3"]),
        (2, 3, ["0,1", "2,3", "0,1"]),
    ],
)
def test_jobs_have_groups_of_gpus(devices: Any, n_jobs: int | None, found: list[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert slots("gpu", devices, n_jobs) == found


def test_more_devices_than_there_are_cannot_be_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(UserError, match="each job trains on 3 devices"):
        slots("gpu", 3)


@pytest.mark.parametrize(("devices", "threads"), [(1, 1), (2, 1), (2, 2), ("auto", 1), (1000, 1)])
def test_on_a_cpu_each_process_has_its_threads(devices: Any, threads: int) -> None:
    each = 1 if devices == "auto" else devices
    assert slots("cpu", devices, threads=threads) == [None] * max(1, cores() // (each * threads))
