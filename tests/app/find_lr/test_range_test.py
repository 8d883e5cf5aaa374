"""The range test of learning rates: how they grow, and which one is suggested."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.find_lr.range_test import LEAST, MOST, STEPS, RatedLoss, growing, smoothed, suggested_rate


def rates_of(lr: float) -> list[list[float]]:
    a, b = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [a], "lr": lr}, {"params": [b], "lr": lr / 10}], lr=lr)
    scheduler, found = growing(optimizer, STEPS), []
    for _ in range(STEPS):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("lr", [0.5, 1e-6])
def test_rates_grow_by_one_factor_and_groups_keep_their_ratio(lr: float) -> None:
    found = rates_of(lr)
    assert found[0][0] == pytest.approx(LEAST) and found[-1][0] == pytest.approx(MOST)
    factors = [after[0] / before[0] for before, after in itertools.pairwise(found)]
    assert factors == pytest.approx([(MOST / LEAST) ** (1 / (STEPS - 1))] * (STEPS - 1))
    assert [rest / first for first, rest in found] == pytest.approx([0.1] * STEPS)


@given(best=st.floats(-3, -1), noise=st.floats(0, 0.05), seed=st.integers(0, 99))
def test_a_tenth_of_the_lowest_is_suggested_whatever_the_noise(best: float, noise: float, seed: int) -> None:
    draws = torch.randn(STEPS, generator=torch.Generator().manual_seed(seed)).tolist()
    exponents = [-7 + 8 * i / (STEPS - 1) for i in range(STEPS)]
    losses = [min(2.0, 0.5 + (e - best) ** 2) for e in exponents]
    readings = [RatedLoss(10**e, loss + noise * draw) for e, loss, draw in zip(exponents, losses, draws, strict=True)]
    rate = suggested_rate(readings)
    assert rate is not None and abs(math.log10(rate) - (best - 1)) < 0.5


def test_nothing_is_suggested_where_the_loss_never_falls() -> None:
    assert suggested_rate([]) is None
    assert suggested_rate([RatedLoss(10**-i, 1.0) for i in range(7, 0, -1)]) is None
    assert suggested_rate([RatedLoss(10**-i, 8.0 - i) for i in range(7, 0, -1)]) is None


@given(losses=st.lists(st.floats(0, 10), min_size=1, max_size=40), offset=st.floats(-1, 1))
def test_smoothing_keeps_length_range_and_offsets(losses: list[float], offset: float) -> None:
    found = smoothed(losses)
    assert len(found) == len(losses) and min(losses) - 1e-9 <= min(found) and max(found) <= max(losses) + 1e-9
    assert smoothed([one + offset for one in losses]) == pytest.approx([one + offset for one in found])
