"""The boundary: how often the best of equal arms is dropped, also after an extension, and what lead it finds."""

import math

import numpy as np
import pytest

from segtrain.app.find import boundary as module
from segtrain.app.find.boundary import Boundary, Stage, calibrate, detectable, extend
from segtrain.app.find.elimination import eliminate


def share_dropped(boundary: Boundary, races: int, start: int = 0) -> float:
    """The share of equal arms that are dropped after `start` seeds or later, of draws that calibration has not seen."""
    tables = np.random.default_rng(99).normal(0, 1, (races, boundary.arms, boundary.last))
    return float((eliminate(tables, boundary.looks, marks=boundary.marks).dropped >= max(1, start)).mean())


def test_equal_arms_are_dropped_as_often_as_the_stage_spends() -> None:
    found = calibrate(2, 3, 8)
    assert share_dropped(found, 4000) == pytest.approx(0.04, abs=4 * math.sqrt(0.04 / 8000))
    assert share_dropped(calibrate(4, 3, 6), 4000) < 0.045  # a noisy best arm needs more room than equal ones


def test_it_is_the_same_each_time_and_reckoned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calibrate(3, 3, 5)
    assert calibrate(3, 3, 5) is found
    module._with_stage.cache_clear()
    assert calibrate(3, 3, 5) == found


def test_more_arms_and_more_looks_need_a_wider_boundary() -> None:
    (two,), (four,), (longer,) = calibrate(2, 3, 5).stages, calibrate(4, 3, 5).stages, calibrate(2, 3, 8).stages
    assert two.score < four.score and two.score < longer.score


def test_looks_are_those_of_the_stages() -> None:
    found = Boundary(4, 3, (Stage(5, 0.04, 2.5), Stage(8, 0.005, 3.1)))
    assert found.looks.tolist() == [math.inf] * 3 + [2.5] * 3 + [3.1] * 3
    assert found.last == 8 and found.marks == (6,)  # all run abreast up to there, whatever the first stage was
    assert found._replace(stages=(Stage(3, 0.04, 2.5), Stage(5, 0.005, 3.1))).marks == ()
    assert found._replace(stages=(Stage(16, 0.04, 2.5), Stage(24, 0.005, 3.1))).marks == (6, 16)
    assert found._replace(stages=(Stage(6, 0.04, 2.5),)).marks == ()


def test_an_extension_leaves_the_looks_before_and_spends_little() -> None:
    before = calibrate(3, 3, 4)
    found = extend(extend(before, 6), 8)
    assert np.array_equal(found.looks[:5], before.looks) and found.last == 8 and found.arms == 3
    assert [stage.spent for stage in found.stages] == [0.04, 0.005, 0.0025]
    assert extend(found, 6) is found
    assert share_dropped(found, 3000) <= 0.05 + 3 * math.sqrt(0.05 / 9000)
    assert 0.002 < share_dropped(found, 3000, start=5) < 0.0075 + 4 * math.sqrt(0.0075 / 9000)


def test_all_stages_that_there_may_be_spend_five_percent() -> None:
    spent = [module.SPENT_FIRST, *(module.SPENT_NEXT * 0.5**i for i in range(50))]
    assert sum(spent) == pytest.approx(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("arms", [2])
def test_the_best_survives_two_extensions(arms: int) -> None:
    found = extend(extend(calibrate(arms, 3, 8), 16), 32)
    races = 4000
    tables = np.random.default_rng(99).normal(0, 1, (races, arms, 32))
    assert share_dropped(found, races) <= 0.05
    tables[:, 0] *= 3
    assert 1 - eliminate(tables, found.looks, marks=found.marks).left[:, 0].mean() <= 0.06


@pytest.mark.parametrize(("arms", "seeds"), [(2, 3), (2, 8), (4, 3), (4, 8)])
def test_what_is_called_detectable_is_found_with_eighty_percent(arms: int, seeds: int) -> None:
    found = calibrate(arms, 3, 8)
    lead = detectable(found, seeds, 0.02)
    gaps = np.r_[0, -lead, np.full(arms - 2, -1.0)]
    tables = np.random.default_rng(1).normal(0, 0.02, (1500, arms, seeds)) + gaps[:, None]
    dropped = (eliminate(tables, found.looks).dropped[:, 1] > 0).mean()
    assert 0.75 < dropped < 0.9


def test_more_seeds_find_smaller_leads_and_noise_hides_them() -> None:
    found = calibrate(4, 3, 8)
    leads = [detectable(found, n, 1.0) for n in range(3, 9)]
    assert leads == sorted(leads, reverse=True)
    assert detectable(found, 6, 0.5) == pytest.approx(leads[3] / 2)


def test_one_arm_has_a_boundary_that_is_never_asked() -> None:
    assert calibrate(1, 3, 8).last == 8
