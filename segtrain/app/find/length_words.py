"""Says how the gain changes with the length of the training, and whether the order of the arms is likely to turn."""

import math
from collections.abc import Mapping, Sequence

from segtrain.app.find.answer import FindAnswer, LengthPoint
from segtrain.app.find.phrasing import NOTHING, begun, size, spoken
from segtrain.app.report.verdict import points
from segtrain.counted import counted

MANY = 4  # arms that are not named one by one
AHEAD = 1.0  # doublings beyond the longest training to which a shrinking lead is followed


def curves_by_arm(answer: FindAnswer) -> dict[str, list[LengthPoint]]:
    """Returns each arm's gain over no augmentation by length, shortest first, the leader's before the others."""
    found: dict[str, list[LengthPoint]] = {}
    plain = {arm.name for arm in answer.race.arms if arm.plain}
    for point in sorted(answer.lengths, key=lambda point: (point.arm != answer.race.leader, point.factor)):
        if point.arm not in plain and math.isfinite(point.gain):
            found.setdefault(point.arm, []).append(point)
    return found


def length_sentences(answer: FindAnswer) -> list[str]:
    """Returns what longer trainings say; nothing where there is one length only."""
    answer = spoken(answer)
    curves = {arm: curve for arm, curve in curves_by_arm(answer).items() if len(curve) > 1}
    if not curves:
        return []
    said = [f"{arm} {_gains(curve)}." for arm, curve in curves.items() if arm == answer.race.leader]
    leads = _leads(answer, curves)
    if not leads:
        return said
    turns = [sentence for rival, lead in leads.items() if (sentence := _turn(answer.race.leader, rival, lead, curves))]
    if not turns and min(ahead for lead in leads.values() for ahead in lead.values()) <= 0:
        turns = [
            f"Whether the order turns with length cannot be seen: {answer.race.leader} is ahead at some of them only."
        ]
    if not turns:
        turns = [
            f"There is no sign that the order turns with length: {answer.race.leader} stays ahead of "
            f"{' and of '.join(leads) if len(leads) < MANY else 'all else that was trained longer'}."
        ]
    fewest = min(point.seeds for curve in curves.values() for point in curve)
    return [
        *said,
        *turns,
        f"This is a hint from {counted(fewest, 'seed')} at the length with the fewest, and no test. "
        f"{begun(answer.race.leader)} was chosen by its runs at 1 ×, which flatters its lead there.",
    ]


def _gains(curve: Sequence[LengthPoint]) -> str:
    steps = [f"{points(point.gain)} at {point.factor:g} ×" for point in curve]
    return f"gains, in points of val/dice over {NOTHING}, {', '.join(steps)} the training length"


def _leads(answer: FindAnswer, curves: Mapping[str, Sequence[LengthPoint]]) -> dict[str, dict[float, float]]:
    """Returns by how much the leader is ahead of each other arm, and of no augmentation, at each length of both."""
    leader, plains = answer.race.leader, [arm.name for arm in answer.race.arms if arm.plain]
    if len(plains) > 1:
        return {}  # gains over different arms: their difference is not that of the arms
    plain = leader in plains
    if not plain and leader not in curves:
        return {}
    gains = {arm: {point.factor: point.gain for point in curve} for arm, curve in curves.items()}
    nothing = {factor: 0.0 for of in gains.values() for factor in of}
    ours = nothing if plain else gains.pop(leader)
    rivals = gains if plain else {NOTHING: nothing, **gains}
    leads = {rival: {f: ours[f] - of[f] for f in sorted(of) if f in ours} for rival, of in rivals.items()}
    return {rival: lead for rival, lead in leads.items() if len(lead) > 1}


def _turn(leader: str, rival: str, lead: Mapping[float, float], curves: Mapping[str, Sequence[LengthPoint]]) -> str:
    """Returns whether a rival overtakes the leader at the longest training, or would soon; empty where it does not."""
    first, last = min(lead), max(lead)
    if lead[last] < 0:
        sure = "do not overlap" if _are_apart(leader, rival, last, curves) else "overlap, so that this is not settled"
        return (
            f"At {last:g} × the training length {rival} is ahead of {leader} by {size(lead[last])} points: the order "
            f"looks as if it turns with length; their intervals {sure}."
        )
    slope = _slope(lead)
    doublings = lead[last] / -slope if slope < 0 else math.inf
    if doublings > AHEAD:
        return ""
    return (
        f"The lead of {leader} over {rival} goes from {points(lead[first])} points at {first:g} × the training length "
        f"to {points(lead[last])} at {last:g} ×; going on so, it would be gone at about {last * 2**doublings:.2g} ×: "
        "the order may turn."
    )


def _slope(lead: Mapping[float, float]) -> float:
    """Returns by how much the lead grows with each doubling of the length, by least squares."""
    xs = [math.log2(factor) for factor in lead]
    middle, mean = sum(xs) / len(xs), sum(lead.values()) / len(lead)
    spread = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * (y - mean) for x, y in zip(xs, lead.values(), strict=True)) / spread


def _are_apart(leader: str, rival: str, factor: float, curves: Mapping[str, Sequence[LengthPoint]]) -> bool:
    """Returns whether the intervals of the two gains at a length have nothing in common."""

    def limits(arm: str) -> tuple[float, float]:
        found = [(one.low, one.high) for one in curves.get(arm, ()) if one.factor == factor]
        return found[0] if found else (0.0, 0.0)  # no augmentation gains nothing over itself

    (low, high), (others_low, others_high) = limits(leader), limits(rival)
    return high < others_low or others_high < low
