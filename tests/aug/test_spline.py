"""Smooth random fields: how strong they come out."""

import math

import numpy as np
import pytest

from segtrain.aug.warp import CELL, displacement, gram


def reached(shape: tuple[int, int], rms: float = 1.0, draws: int = 1500) -> np.ndarray:
    """Root mean square length of drawn displacements over the image, as a share of what is asked for."""
    rng, cell = np.random.default_rng(0), CELL * 0.08 * min(shape)
    fields = (displacement(rng, shape, cell, rms) for _ in range(draws))
    power = [np.vdot(field, gram(shape[0], cell) @ field @ gram(shape[1], cell)) for field in fields]
    return np.sqrt(np.array(power, np.float64)) / rms


@pytest.mark.parametrize(
    ("shape", "low", "high"),
    [((96, 96), 0.10, 0.18), ((256, 256), 0.10, 0.18), ((128, 256), 0.04, 0.10), ((128, 512), 0.005, 0.03)],
)
def test_a_draw_in_seven_on_a_square_stays_below_what_is_asked_for_by_up_to_a_fifth(
    shape: tuple[int, int], low: float, high: float
) -> None:
    share = reached(shape)
    assert low < (share < 1 - 1e-4).mean() < high
    assert share.min() > 0.8 and share.max() == pytest.approx(1, abs=1e-4)


def test_the_field_is_linear_in_what_is_asked_for() -> None:
    one, two = (displacement(np.random.default_rng(3), (64, 80), CELL * 5, rms) for rms in (1.0, 2.0))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)
    assert math.isfinite(float(one.sum()))
