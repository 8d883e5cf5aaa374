"""Groups runs into arms, which differ in nothing but seed and the split's draw; and says what validation chooses."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segtrain.app.report.design import ScoreTable, arrange
from segtrain.app.report.read_runs import Repetition, Run, groups_of_run, is_harmless, key_of, score_of_image

BASELINE = "none"  # the policy without augmentation
POLICY = ("aug", "aug.strength")  # the keys that an arm's label says itself
OF_POLICY = "aug."  # what begins so is the policy's own: without augmentation it means nothing
USUAL = 0.5  # share of the most repetitions of an arm that another must have to be ranked


class Arm(NamedTuple):
    """Holds runs of one kind, by repetition."""

    name: str  # such as "flips × 0.5"
    policy: str
    strength: float
    others: tuple[str, ...]  # what tells it from other arms beside its policy, such as "model=fpn"
    ops: tuple[str, ...]  # what else tells its policy from others, such as "aug.without=[noise]"
    runs: dict[Repetition, Run]  # ascending
    repeated: tuple[Run, ...] = ()  # further runs of a repetition that is there

    @property
    def finished(self) -> dict[Repetition, Run]:
        """Returns the runs that have scores."""
        return {rep: run for rep, run in self.runs.items() if run.finished}

    @property
    def plain(self) -> bool:
        """Returns whether it trains without augmentation: no policy, or one at strength 0, the same to the bit."""
        return _is_plain(self)

    def holds(self, path: Path) -> bool:
        """Returns whether a run folder is one of its runs."""
        return any(run.path.resolve() == path.resolve() for run in (*self.runs.values(), *self.repeated))

    @property
    def kind(self) -> str:
        """Returns what arms of several strengths have in common."""
        return ", ".join([self.policy, *self.ops, *self.others])

    def table(self, score: str) -> ScoreTable | None:
        """Returns what its finished runs score; None without any."""
        runs = self.finished
        values = {
            rep: {name: score_of_image(row, score) for name, row in run.images.items()} for rep, run in runs.items()
        }
        return arrange(values, groups_of_all(list(runs.values())))


def groups_of_all(runs: Sequence[Run]) -> dict[str, str]:
    """Returns the group of every test image of the runs."""
    return {name: group for run in runs for name, group in groups_of_run(run).items()}


def arms_of(runs: Sequence[Run]) -> list[Arm]:
    """Returns the arms, those without augmentation first, then by the rest of what was typed, policy and strength.

    An override that was typed for some runs tells arms apart by its value, whether it was typed or is the default.
    """
    typed = {key_of(o): None for run in runs for o in run.typed}
    differing = [
        key
        for key in typed
        if key not in POLICY and not is_harmless(key) and len({_told(run, key) for run in runs}) > 1
    ]
    strengths = {run.strength for run in runs if run.policy != BASELINE}
    found: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        amount = math.nan if run.policy == BASELINE else run.strength
        told = (_told(run, key) for key in differing if not (_is_plain(run) and key.startswith(OF_POLICY)))
        found.setdefault((run.policy, repr(amount), *told), []).append(run)
    words = {(key, _told(run, key)): o for run in runs for o in run.typed for key in [key_of(o)]}
    arms = []
    for of in found.values():
        told_by = {key: _told(of[0], key) for key in differing}
        arms.append(_arm(of, [(key, words.get((key, is_), f"{key}={is_}")) for key, is_ in told_by.items()], strengths))
    return sorted(arms, key=lambda arm: (not arm.plain, arm.others, arm.policy, arm.ops, arm.strength))


def _is_plain(one: Run | Arm) -> bool:
    return one.policy == BASELINE or one.strength == 0


def _arm(runs: Sequence[Run], told: Sequence[tuple[str, str]], strengths: set[float]) -> Arm:
    first = runs[0]
    by_repetition: dict[Repetition, Run] = {}
    for run in sorted(runs, key=lambda run: not run.finished):
        by_repetition.setdefault(run.repetition, run)
    label = first.policy if first.policy == BASELINE or len(strengths) < 2 else f"{first.policy} × {first.strength:g}"
    repeated = tuple(run for run in runs if by_repetition[run.repetition] is not run)
    ops = tuple(word for key, word in told if key.startswith(OF_POLICY) and not _is_plain(first))
    others = tuple(word for key, word in told if not key.startswith(OF_POLICY))
    name = ", ".join([label, *ops, *others])
    return Arm(name, first.policy, first.strength, others, ops, dict(sorted(by_repetition.items())), repeated)


def _told(run: Run, key: str) -> str:
    """Returns what a run's config says of an override's key, as text that is equal for equal values."""
    choice = run.config.get(f"choices.{key}")
    if choice is not None:
        return str(choice)
    below = {k: v for k, v in run.config.items() if k == key or k.startswith(f"{key}.")}
    if not below:  # taken away, or a folder of an older version: what was typed says it
        return ", ".join(sorted(o.partition("=")[2] or o for o in run.typed if key_of(o) == key))
    return str(below[key]) if below.keys() == {key} else json.dumps(below, sort_keys=True, default=str)


def baseline_of(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """Returns the arm without augmentation that else is the same; None where there is none.

    Of several (none, and policies at strength 0, which are the same to the bit) it is the one that shares most finished
    repetitions with the arm, then none, then the arm's own policy.
    """

    def worth(other: Arm) -> tuple[int, bool, bool]:
        shared = len(arm.finished.keys() & other.finished.keys())
        return shared, other.policy == BASELINE, other.policy == arm.policy

    return max((other for other in arms if other.plain and other.others == arm.others), key=worth, default=None)


class Choice(NamedTuple):
    """Holds what validation chooses: the best arm, and the mildest of its kind that is as good there."""

    best: Arm
    mildest: Arm
    scores: dict[str, float]  # arm name to its mean val/dice
    repetitions: int  # that these are means of


def rankable(arms: Sequence[Arm]) -> list[Arm]:
    """Returns the arms that validation can rank: with scores in every run, and about as many runs as the others."""
    scored = [arm for arm in arms if arm.finished and not unscored(arm)]
    most = max((len(arm.finished) for arm in scored), default=0)
    return [arm for arm in scored if len(arm.finished) >= USUAL * most]


def unscored(arm: Arm) -> bool:
    """Returns whether validation has no score in a run: no image there holds a class, and none is predicted."""
    return any(math.isnan(_validation(run)) for run in arm.finished.values())


def choice(arms: Sequence[Arm]) -> Choice | None:
    """Returns the arm with the best mean val/dice over the repetitions that all arms have; None without one such.

    An arm that cannot be ranked counts as none. The one-standard-error rule (Breiman et al. 1984): the mildest arm of
    the best one's policy, or without augmentation, whose mean loss against it is within one standard error of that
    loss, paired by seed.
    """
    able = rankable(arms)
    shared = sorted(set.intersection(*(set(arm.finished) for arm in able))) if able else []
    if not shared or all(arm.plain for arm in able):
        return None
    values = {arm.name: _by_seed({rep: _validation(arm.finished[rep]) for rep in shared}) for arm in able}
    best = max(able, key=lambda arm: float(values[arm.name].mean()))

    def is_as_good(arm: Arm) -> bool:
        loss = values[best.name] - values[arm.name]
        error = loss.std(ddof=1) / math.sqrt(len(loss)) if len(loss) > 1 else 0.0
        return bool(loss.mean() <= error)

    of_its_kind = [arm for arm in able if arm.others == best.others and (arm.plain or arm.kind == best.kind)]
    mildest = min((arm for arm in of_its_kind if is_as_good(arm)), key=lambda arm: 0.0 if arm.plain else arm.strength)
    means = {name: float(of.mean()) for name, of in values.items()}
    return Choice(best, mildest, means, len(values[best.name]))


def _validation(run: Run) -> float:
    score = run.results.get("val/dice")  # null where it is not defined
    return math.nan if score is None else float(score)


def _by_seed(values: Mapping[Repetition, float]) -> np.ndarray:
    """Returns the mean over folds of each seed and draw of the split."""
    joined: dict[Repetition, list[float]] = {}
    for rep, one in values.items():
        joined.setdefault(rep._replace(fold=0), []).append(one)
    return np.array([sum(of) / len(of) for of in joined.values()])
