"""Arms: runs that differ in nothing but the seed, and each arm compared with its baseline."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segtrain.sweeps import paired
from segtrain.sweeps.paired import Estimate, Needed
from segtrain.sweeps.reading import Run, groups_of, key_of

BASELINE = "none"  # the policy without augmentation
ALPHA = 1 - paired.LEVEL


class Arm(NamedTuple):
    """Runs of one kind, by seed."""

    name: str  # such as "flips × 0.5"
    policy: str
    strength: float
    others: tuple[str, ...]  # what tells it from other arms beside policy and strength
    runs: dict[int, Run]  # seed to run, ascending

    @property
    def finished(self) -> dict[int, Run]:
        """The runs that have scores."""
        return {seed: run for seed, run in self.runs.items() if run.finished}


class Contrast(NamedTuple):
    """An arm against its baseline, in one score."""

    arm: Arm
    baseline: Arm
    score: str
    estimate: Estimate
    of_seeds: dict[int, float]  # mean difference over the images
    of_images: dict[str, float]  # mean difference over the seeds; empty where each seed has its own test set
    own_test_sets: bool  # images are not crossed with seeds
    left_out: int  # images without a score in some run
    clusters: int  # groups of images (patients); 0 where every image is its own
    p_holm: float
    sign_flip: float  # p over seeds, on exactly these images
    superiority: tuple[float, float, float]  # P(arm > baseline) with its interval
    bootstrap: tuple[float, float]
    needed: Needed

    @property
    def verdict(self) -> str:
        """better, worse, looks better, looks worse, not distinguishable, too few seeds."""
        e = self.estimate
        if e.seeds < 2 or math.isnan(e.p):
            return "too few seeds"
        way = "better" if e.mean > 0 else "worse"
        if self.p_holm < ALPHA:
            return way if e.seeds >= paired.LEAST_SEEDS else f"looks {way}"
        return "not distinguishable" if e.p >= ALPHA else f"looks {way}"

    @property
    def disagrees(self) -> bool:
        """Whether the bootstrap's interval and the model's tell 0 apart differently."""
        sides = [low <= 0 <= high for low, high in ((self.estimate.low, self.estimate.high), self.bootstrap)]
        return not math.isnan(self.bootstrap[0]) and sides[0] != sides[1]


def arms_of(runs: Sequence[Run]) -> list[Arm]:
    """The arms, the baseline first, then by the rest of their overrides, policy and strength."""
    common = set.intersection(*(set(run.typed) for run in runs))
    found: dict[tuple[str, ...], dict[int, Run]] = {}
    for run in runs:
        key = tuple(sorted(o for o in run.typed if o not in common))
        found.setdefault(key, {}).setdefault(run.seed, run)
    arms = []
    strengths = {run.strength for run in runs if run.policy != BASELINE}
    for key, of_seeds in found.items():
        first = next(iter(of_seeds.values()))
        others = tuple(o for o in key if key_of(o) not in ("aug", "aug.strength"))
        label = (
            first.policy if first.policy == BASELINE or len(strengths) < 2 else f"{first.policy} × {first.strength:g}"
        )
        arms.append(
            Arm(", ".join([label, *others]), first.policy, first.strength, others, dict(sorted(of_seeds.items())))
        )
    return sorted(arms, key=lambda a: (a.policy != BASELINE, a.others, a.policy, a.strength))


def baseline_of(arm: Arm, arms: Sequence[Arm]) -> Arm:
    """The arm without augmentation that else is the same; or any such; or the first arm."""
    plain = [a for a in arms if a.policy == BASELINE]
    return next((a for a in plain if a.others == arm.others), (plain or list(arms))[0])


def contrasts(arms: Sequence[Arm], score: str) -> list[Contrast]:
    """Every arm but the baselines against its own, with p corrected for their number (Holm)."""
    pairs = [(arm, baseline_of(arm, arms)) for arm in arms]
    found = [contrast(arm, base, score) for arm, base in pairs if arm is not base]
    known = [c for c in found if c is not None]
    ps = paired.holm([c.estimate.p for c in known])
    return [c._replace(p_holm=p) for c, p in zip(known, ps, strict=True)]


def contrast(arm: Arm, baseline: Arm, score: str) -> Contrast | None:
    """The paired differences of two arms over the seeds that both have; None without one."""
    ours, theirs = arm.finished, baseline.finished
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        return None
    sets = {tuple(run.images) for seed in seeds for run in (ours[seed], theirs[seed])}
    if len(sets) > 1:
        return _with_own_test_sets(arm, baseline, score, seeds)
    names = list(sets.pop())
    table = np.array([[ours[s].images[n][score] - theirs[s].images[n][score] for n in names] for s in seeds])
    known = ~np.isnan(table).any(0)
    names, table = [n for n, k in zip(names, known, strict=True) if k], table[:, known]
    if not names:
        return None
    groups = groups_of(ours[seeds[0]])
    clustered, clusters = _clustered(table, [groups[n] for n in names])
    of_seeds = clustered.mean(1)
    crossed = paired.crossed(clustered)
    several = min(clustered.shape) > 1
    return Contrast(
        arm=arm,
        baseline=baseline,
        score=score,
        estimate=crossed,
        of_seeds=dict(zip(seeds, of_seeds.tolist(), strict=True)),
        of_images=dict(zip(names, table.mean(0).tolist(), strict=True)),
        own_test_sets=False,
        left_out=int((~known).sum()),
        clusters=clusters,
        p_holm=math.nan,
        sign_flip=paired.sign_flip(of_seeds),
        superiority=paired.superiority(of_seeds),
        bootstrap=paired.bootstrap(clustered) if several else (math.nan, math.nan),
        needed=paired.needed(crossed) if several else Needed(None, None),
    )


def _clustered(table: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, int]:
    """Differences averaged over the images of each group, and the number of groups; as they are without groups."""
    distinct = list(dict.fromkeys(groups))
    if len(distinct) == len(groups):
        return table, 0
    of = np.array(groups)
    return np.stack([table[:, of == group].mean(1) for group in distinct], 1), len(distinct)


def _with_own_test_sets(arm: Arm, baseline: Arm, score: str, seeds: Sequence[int]) -> Contrast | None:
    """Each seed has a split of its own: one difference a seed, over the images that its two runs share."""
    means = {}
    for seed in seeds:
        ours, theirs = arm.finished[seed].images, baseline.finished[seed].images
        apart = [ours[n][score] - theirs[n][score] for n in ours if n in theirs]
        if known := [d for d in apart if not math.isnan(d)]:
            means[seed] = sum(known) / len(known)
    if not means:
        return None
    of_seeds = np.array(list(means.values()))
    nothing = (math.nan, math.nan)
    return Contrast(
        arm=arm,
        baseline=baseline,
        score=score,
        estimate=paired.over_seeds(of_seeds),
        of_seeds=means,
        of_images={},
        own_test_sets=True,
        left_out=0,
        clusters=0,
        p_holm=math.nan,
        sign_flip=paired.sign_flip(of_seeds),
        superiority=paired.superiority(of_seeds),
        bootstrap=nothing,
        needed=Needed(None, None),
    )


class Choice(NamedTuple):
    """What validation chooses: the best arm, and the mildest that is as good."""

    best: Arm
    mildest: Arm
    scores: dict[str, float]  # arm name to its mean val/dice


def choice(arms: Sequence[Arm]) -> Choice | None:
    """The arm with the best mean val/dice over the seeds that all arms have; None without one such seed.

    The one-standard-error rule (Breiman et al. 1984): the mildest arm, by strength, whose mean loss against the best is
    within one standard error of that loss, paired by seed.
    """
    able = [arm for arm in arms if arm.finished]
    seeds = sorted(set.intersection(*(set(arm.finished) for arm in able))) if able else []
    if not seeds:
        return None
    values = {a.name: np.array([float(a.finished[s].results["val/dice"]) for s in seeds]) for a in able}
    best = max(able, key=lambda arm: float(values[arm.name].mean()))

    def is_as_good(arm: Arm) -> bool:
        loss = values[best.name] - values[arm.name]
        error = loss.std(ddof=1) / math.sqrt(len(seeds)) if len(seeds) > 1 else 0.0
        return bool(loss.mean() <= error)

    mildest = min((arm for arm in able if is_as_good(arm)), key=_amount)
    return Choice(best, mildest, {name: float(v.mean()) for name, v in values.items()})


def _amount(arm: Arm) -> float:
    return 0.0 if arm.policy == BASELINE else arm.strength
