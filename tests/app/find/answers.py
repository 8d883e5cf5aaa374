"""Makes answers of finds whose parts agree with each other, from the scores of a race up."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from segtrain.app.find.answer import ArmAnswer, Confirmation, Cost, Costs, FindAnswer, LengthPoint, RaceAnswer
from segtrain.app.find.boundary import Boundary, Stage, detectable
from segtrain.app.find.race import Standing, judge_race

POLICIES = ("none", "flips", "geometric", "photometric", "elastic", "cutmix", "randaugment", "trivialaugment")
FIRST, LAST, SCORE = 3, 16, 2.7  # as calibrated for some arms


class NoAnswer(Exception):
    """Says that a race ended before it had a seed."""


def race(
    gains: Mapping[str, float],
    seeds: int,
    *,
    sd: float = 0.006,
    failed: Mapping[str, int] | None = None,
    stages: int = 1,
    tolerance: float = 0.005,
    rng: int = 0,
    missing: Mapping[str, int] | None = None,
) -> RaceAnswer:
    """Races arms as `find` does, and says what it answers.

    Args:
        gains: true val/dice by name; the arm without augmentation is called none.
        seeds: the budget, in seeds.
        sd: of a run.
        failed: name to the seed at which it fails.
        stages: of the race: 1, or 2 of which the second begins after 4 seeds.
        tolerance: at which it ends.
        rng: of the scores.
        missing: name to the seed that the budget has no room for any more.
    """
    draws, names = np.random.default_rng(rng), tuple(gains)
    of_seed = draws.normal(0, 0.01, seeds)
    scores = np.array([gain + of_seed + draws.normal(0, sd, seeds) for gain in gains.values()])
    fails = np.array([[(failed or {}).get(name) == seed for seed in range(seeds)] for name in names])
    scores[fails] = np.nan
    for name, seed in (missing or {}).items():
        scores[names.index(name), seed:] = np.nan
    looks = (Stage(LAST, 0.04, SCORE),) if stages == 1 else (Stage(4, 0.04, SCORE), Stage(LAST, 0.005, SCORE + 0.5))
    boundary = Boundary(len(names), FIRST, looks)
    standing = judge_race(names, scores, fails, boundary, tolerance)
    return _answered(standing, names, scores, boundary, tolerance)


def _answered(
    standing: Standing, names: tuple[str, ...], scores: np.ndarray, boundary: Boundary, tolerance: float
) -> RaceAnswer:
    if standing.leader is None:  # every arm failed with the first seed: find ends with a message then
        raise NoAnswer
    looked = standing.seeds >= FIRST and standing.sd is not None
    return RaceAnswer(
        arms=tuple(_arm(standing, name, scores[i], 0.5 + 0.1 * i) for i, name in enumerate(names)),
        leader=standing.leader,
        left=standing.left,
        mildest=min(standing.left, key=lambda name: (name != "none", names.index(name))),
        seeds=standing.seeds,
        first=FIRST,
        last=boundary.last,
        boundary=float(boundary.looks[max(FIRST, standing.seeds)]),
        stages=sum(stage.last < standing.seeds for stage in boundary.stages) + 1,
        residual_sd=standing.sd if looked else None,
        detectable=detectable(boundary, standing.seeds, standing.sd or 0.0) if looked else None,
        end=standing.end or "budget",
        tolerance=tolerance,
    )


def _arm(standing: Standing, name: str, scores: np.ndarray, train_loss: float) -> ArmAnswer:
    failed = next((one.seed for one in standing.failures if one.arm == name), None)
    drop = next((one for one in standing.drops if one.arm == name), None)
    ran = standing.taken[name] + (failed is not None)
    known = tuple(None if math.isnan(score) else float(score) for score in scores[:ran])
    found = ArmAnswer(name, (f"aug={name}",), name == "none", known, "left", standing.stakes.get(name))
    found = found._replace(train_loss=train_loss)
    if failed is not None:
        return found._replace(state="failed", seed=failed, error="the loss is not finite")
    if drop is not None:
        return found._replace(state="dropped", seed=drop.seeds, behind=drop.behind, by=drop.by, limit=drop.limit)
    return found


def confirmation(
    found: RaceAnswer, gain: float, low: float, high: float, verdict: str | None = None, **more: object
) -> Confirmation:
    """Returns a confirmation of the leader against the first arm that is not of its kind."""
    plain = {arm.name: arm.plain for arm in found.arms}
    against = next(name for name in plain if plain[name] != plain[found.leader])
    word = "not distinguishable" if not (low > 0 or high < 0) else "better" if gain > 0 else "worse"
    values: dict[str, object] = {
        "winner": found.leader,
        "against": against,
        "seeds": tuple(range(10_000, 10_008)),
        "images": 35,
        "groups": 35,
        "score": 0.91234,
        "gain": gain,
        "low": low,
        "high": high,
        "p": 0.5 if word == "not distinguishable" else 0.004,
        "verdict": verdict or word,
        "over": "seeds and test images",
    }
    return Confirmation(**{**values, **more})  # type: ignore[arg-type]


def answer(found: RaceAnswer, confirmed: Confirmation | None = None, lengths: Sequence[LengthPoint] = ()) -> FindAnswer:
    """Returns the whole answer."""
    members = tuple(f"aug={found.leader},seed={seed}" for seed in range(min(5, found.seeds)))
    return FindAnswer("cells-find", "cells", found, confirmed, tuple(lengths), members, found.end == "budget")


def costs(found: FindAnswer, slots: int = 2, budget: float = 7200) -> Costs:
    """Returns costs that fit the answer."""
    of = tuple(Cost(arm.name, len(arm.scores), 41.5 * len(arm.scores)) for arm in found.race.arms)
    confirming = 2 * len(found.confirmation.seeds) if found.confirmation else 0
    runs = sum(cost.runs for cost in of)
    spent = (runs + confirming) * 41.5 / slots
    return Costs(budget, spent, slots, 40.0, of, 8 * len(of), runs, confirming, 2 * len(found.lengths))


def points_at(arm: str, gains: Mapping[float, float], reach: float = 0.004, seeds: int = 2) -> list[LengthPoint]:
    """Returns an arm's points, by factor."""
    return [LengthPoint(arm, factor, gain, gain - reach, gain + reach, seeds) for factor, gain in gains.items()]


@st.composite
def races(draw: st.DrawFn) -> RaceAnswer:
    """Draws races of all ends, with arms that fail, and with and without an arm that has no augmentation."""
    names = draw(st.permutations(POLICIES))[: draw(st.integers(2, len(POLICIES)))]
    spacing = draw(st.sampled_from([0.0, 0.002, 0.006, 0.03]))
    failed = draw(st.dictionaries(st.sampled_from(names), st.integers(0, 6), max_size=len(names)))
    try:
        return race(
            {name: 0.8 + spacing * i for i, name in enumerate(names)},
            draw(st.integers(1, LAST)),
            sd=draw(st.sampled_from([0.0004, 0.003, 0.012])),
            failed=failed,
            stages=draw(st.integers(1, 2)),
            tolerance=draw(st.sampled_from([0.0, 0.0025, 0.005, 0.05])),
            rng=draw(st.integers(0, 50)),
            missing=draw(st.dictionaries(st.sampled_from(names), st.integers(6, 15), max_size=2)),
        )
    except NoAnswer:
        reject()


@st.composite
def all_answers(draw: st.DrawFn) -> FindAnswer:
    """Draws whole answers: confirmed with any interval, or not; with other lengths, or without."""
    found = draw(races())
    confirmed = None
    if len({arm.plain for arm in found.arms}) == 2 and draw(st.booleans()):
        confirmed = draw(confirmations(found))
    lengths: list[LengthPoint] = []
    for name in [name for name in found.left if name != "none"][:3] if confirmed else ():
        factors = draw(st.sampled_from([(1.0,), (1.0, 2.0), (1.0, 2.0, 4.0)]))
        lengths += points_at(name, {factor: draw(st.floats(-0.1, 0.1)) for factor in factors})
    return answer(found, confirmed, lengths)


@st.composite
def confirmations(draw: st.DrawFn, found: RaceAnswer) -> Confirmation:
    """Draws confirmations whose word agrees with the interval; some without an interval."""
    gain, reach = draw(st.floats(-0.2, 0.2)), draw(st.floats(1e-6, 0.1) | st.just(math.nan))
    word = draw(st.sampled_from(["better", "looks better", "not distinguishable"]))
    if math.isnan(reach):
        word = "too few seeds"
    elif gain - reach <= 0 <= gain + reach:
        word = "not distinguishable"
    elif word == "not distinguishable":
        word = "looks better"
    if gain < 0:
        word = word.replace("better", "worse")
    groups = draw(st.integers(1, 35))
    return confirmation(found, gain, gain - reach, gain + reach, word, groups=groups)
