"""data.batch_size=auto: the largest that fits, found once, recorded, and never in a sweep."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from segtrain.app.train import batch_size
from segtrain.app.train.batch_size import Memory, available_bytes, largest_that_fits, peak_bytes, resident_bytes
from segtrain.app.train.failures import ONE_VALUE
from segtrain.runs.metrics_csv import reproducible_bytes
from tests.conftest import SMALL, CommandLine

FEW = [o for o in SMALL if not o.startswith(("data.batch_size", "trainer.max_epochs"))]


@given(
    foresees=st.booleans(),
    always=st.integers(0, 50),
    each=st.integers(1, 20),
    free=st.integers(0, 3000),
    most=st.integers(1, 300),
)
def test_it_is_a_power_of_two_that_fits_and_nothing_beyond_the_cap_is_tried(
    foresees: bool, always: int, each: int, free: int, most: int
) -> None:
    tried: list[int] = []

    def trial(size: int) -> int:
        tried.append(size)
        return always + each * size

    found = largest_that_fits(trial, free, most, foresees=foresees)
    assert found == 0 or (found & (found - 1) == 0 and found <= most and always + each * found <= free)
    assert found or always + each > free
    too_large = [size for size in tried if always + each * size > free]
    assert len(too_large) <= (1 if not foresees or not found else 0)  # the first alone, where it is foreseen
    beyond = 2 * (always + each * found) if foresees else always + each * 2 * found
    assert not found or 2 * found > most or beyond > free  # it did not stop early


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (torch.OutOfMemoryError("no"), 8),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 8),
        (RuntimeError("other"), None),
    ],
)
def test_running_out_ends_the_doubling_and_other_errors_pass(error: Exception, found: int | None) -> None:
    def trial(size: int) -> int:
        if size > 8:
            raise error
        return 0

    if found is None:
        with pytest.raises(RuntimeError, match="other"):
            largest_that_fits(trial, 1, 64, foresees=False)
    else:
        assert largest_that_fits(trial, 1, 64, foresees=False) == found


def test_a_network_that_wants_two_samples_begins_with_two() -> None:
    def trial(size: int) -> int:
        if size == 1:
            raise ValueError(f"{ONE_VALUE}, got input size [1, 8, 1, 1]")
        return 0

    assert largest_that_fits(trial, 1, 5, foresees=True) == 4


def test_what_is_taken_is_measured() -> None:
    memory = Memory(torch.device("cpu"))
    assert resident_bytes() > 0 and 0 < memory.held <= peak_bytes() and 0 < memory.most < available_bytes()
    before, held = peak_bytes(), torch.ones(peak_bytes() // 4 + 8_000_000)  # more than was ever held
    assert memory.taken() >= 4 * held.numel() * 0.9 and peak_bytes() > before


def test_it_is_found_once_and_a_run_goes_on_with_it(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [*FEW, "data.batch_size=auto"]
    assert segtrain(*typed, "trainer.max_epochs=1", "name=auto") == 0, segtrain.err
    (run,) = (segtrain.folder / "outputs/auto").iterdir()
    found = OmegaConf.load(run / "config.yaml").data.batch_size
    assert found == 8  # of 12 training images
    number = [*FEW, "trainer.max_epochs=1", f"data.batch_size={found}", "name=number"]
    assert segtrain(*number) == 0, segtrain.err
    (other,) = (segtrain.folder / "outputs/number").iterdir()
    assert reproducible_bytes(run / "metrics.csv") == reproducible_bytes(other / "metrics.csv")  # no draw moved

    def refuse(*_: object) -> int:
        raise AssertionError("tried again")

    monkeypatch.setattr(batch_size, "find_batch_size", refuse)
    assert segtrain(*typed, "trainer.max_epochs=1", "name=auto") == 0, segtrain.err
    resumed = [f"resume={run.relative_to(segtrain.folder)}", "trainer.max_epochs=2", "data.batch_size=auto"]
    assert segtrain(*resumed) == 0, segtrain.err
    assert OmegaConf.load(run / "config.yaml").data.batch_size == found


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["-m", "seed=0,1"], "one number for all jobs"),
        (["data.crop=null"], "expected a crop"),
    ],
)
def test_it_is_refused_where_it_would_compare_or_measure_what_is_not_the_same(
    segtrain: CommandLine, typed: list[str], told: str
) -> None:
    small = [o for o in FEW if not o.startswith("data.crop=")]
    assert segtrain(*typed, *small, "data.batch_size=auto") == 2
    assert told in segtrain.err


def test_what_does_not_fit_is_one_message(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "largest_that_fits", lambda *_, **__: 0)
    assert segtrain(*FEW, "data.batch_size=auto") == 2
    assert "found no batch that fits" in segtrain.err
