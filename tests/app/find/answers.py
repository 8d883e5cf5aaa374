"""Makes answers of finds whose parts agree with each other, from the scores of a race up."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from segtrain.app.find.answer import Answer, ArmAnswer, Confirmation, Cost, Costs, End, LengthPoint, RaceAnswer

POLICIES = ("none", "flips", "geometric", "photometric", "elastic", "cutmix")
FIRST, LAST, BOUNDARY = 3, 16, 3.4
Arms = dict[str, ArmAnswer]


def race(
    gains: Mapping[str, float],
    seeds: int,
    *,
    sd: float = 0.006,
    failed: Mapping[str, int] | None = None,
    stages: int = 1,
    tolerance: float = 0.005,
    rng: int = 0,
) -> RaceAnswer:
    """Races arms, name to true val/dice: those behind the leader by more than the limit are out from the third seed on.

    Args:
        gains: true val/dice by name; the arm without augmentation is called none.
        seeds: the budget, in seeds.
        sd: of a run.
        failed: name to the seed at which it fails.
        stages: of the race.
        tolerance: at which it ends.
        rng: of the scores.
    """
    draws = np.random.default_rng(rng)
    of_seed = draws.normal(0, 0.01, seeds)
    scores = {name: gain + of_seed + draws.normal(0, sd, seeds) for name, gain in gains.items()}
    arms = {name: ArmAnswer(name, (f"aug={name}",), name == "none", (), "left", None) for name in gains}
    done = 0
    while done < seeds and len(names_left(arms)) > 1:
        _take_seed(arms, scores, done, failed or {})
        done += 1
        if done >= FIRST:
            _drop(arms, scores, done, sd)
    return _answered(arms, scores, done, sd, stages, tolerance)


def names_left(arms: Mapping[str, ArmAnswer]) -> list[str]:
    return [name for name, arm in arms.items() if arm.state == "left"]


def _take_seed(arms: Arms, scores: Mapping[str, np.ndarray], seed: int, failed: Mapping[str, int]) -> None:
    for name in names_left(arms):
        arm = arms[name]
        if failed.get(name) == seed:
            arms[name] = arm._replace(
                state="failed", seed=seed, scores=(*arm.scores, None), error="the loss is not finite"
            )
        else:
            arms[name] = arm._replace(scores=(*arm.scores, float(scores[name][seed])))


def _drop(arms: Arms, scores: Mapping[str, np.ndarray], done: int, sd: float) -> None:
    means = {name: float(scores[name][:done].mean()) for name in names_left(arms)}
    leader = max(means, key=lambda name: means[name], default="")
    for name, mean in means.items():
        by, limit = means[leader] - mean, BOUNDARY * sd * math.sqrt(2 / done)
        if by > limit:
            arms[name] = arms[name]._replace(state="dropped", seed=done, behind=leader, by=by, limit=limit)


def _answered(
    arms: Arms, scores: Mapping[str, np.ndarray], done: int, sd: float, stages: int, tolerance: float
) -> RaceAnswer:
    means = {name: float(scores[name][:done].mean()) for name in names_left(arms)}
    left = sorted(means, key=lambda name: -means[name])
    limit = BOUNDARY * sd * math.sqrt(2 / max(1, done))
    for name in left if done >= FIRST else ():
        others = [means[other] - means[name] for other in left if other != name]
        arms[name] = arms[name]._replace(stake=max(0.0, max(others, default=-limit) + limit))
    stake = arms[left[0]].stake if left else None
    close = stake is not None and stake <= tolerance
    end: End = "one left" if len(left) == 1 else "tolerance" if close else "seeds" if done == LAST else "budget"
    measured = done >= FIRST and bool(left)
    first = next(iter(arms))
    return RaceAnswer(
        arms=tuple(arm._replace(train_loss=0.5 + 0.1 * i) for i, arm in enumerate(arms.values())),
        leader=left[0] if left else first,
        left=tuple(left),
        mildest=min(left, key=[*arms].index) if left else first,
        seeds=done,
        first=FIRST,
        last=LAST,
        boundary=BOUNDARY,
        stages=stages,
        residual_sd=sd if measured else None,
        detectable=(BOUNDARY + 0.84) * sd * math.sqrt(2 / max(1, done)) if measured else None,
        end=end,
        tolerance=tolerance,
    )


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


def answer(found: RaceAnswer, confirmed: Confirmation | None = None, lengths: Sequence[LengthPoint] = ()) -> Answer:
    """Returns the whole answer."""
    members = tuple(f"aug={found.leader},seed={seed}" for seed in range(5)) if found.left and found.seeds else ()
    return Answer("cells-find", "cells", found, confirmed, tuple(lengths), members, found.end == "budget")


def costs(found: Answer, slots: int = 2, budget: float = 7200) -> Costs:
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
    return race(
        {name: 0.8 + spacing * i for i, name in enumerate(names)},
        draw(st.integers(1, LAST)),
        sd=draw(st.sampled_from([0.0004, 0.003, 0.012])),
        failed=failed,
        stages=draw(st.integers(1, 3)),
        tolerance=draw(st.sampled_from([0.0, 0.0025, 0.005, 0.05])),
        rng=draw(st.integers(0, 50)),
    )


@st.composite
def all_answers(draw: st.DrawFn) -> Answer:
    """Draws whole answers: confirmed with any interval, or not; with other lengths, or without."""
    found = draw(races())
    confirmed = None
    if found.left and len({arm.plain for arm in found.arms}) == 2 and draw(st.booleans()):
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
