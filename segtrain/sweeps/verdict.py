"""A report's sentences: which arm is best and how sure that is, what harms, what makes it invalid, what to do next."""

import fnmatch
import json
import math
from collections.abc import Sequence

from segtrain.sweeps.arms import ALPHA, BASELINE, Arm, Choice, Contrast
from segtrain.sweeps.figures import POINTS
from segtrain.sweeps.paired import BETTER, LEAST_SEEDS
from segtrain.sweeps.reading import Run

# Keys that may differ between runs of one arm without changing a result.
HARMLESS = (
    *("seed", "name", "outputs", "debug", "resume*", "trust*", "data.num_workers", "data.cache", "logger*"),
    *("choices.logger", "choices.trainer", "choices.sweep", "checkpoint.*", "trainer.accelerator"),
    *("dataset.split.seed", "dataset.split.fold"),
)
NAMED = 4  # runs that a warning names
ENVIRONMENT = ("segtrain_commit", "packages", "device", "threads", "precision", "deterministic", "python")


def points(value: float) -> str:
    """A difference of scores in Dice points (hundredths) with its sign."""
    return "n/a" if math.isnan(value) else f"{POINTS * value:+.2f}"


def interval(contrast: Contrast) -> str:
    """The 95 % interval in points."""
    e = contrast.estimate
    return "no interval" if math.isnan(e.low) else f"{points(e.low)} to {points(e.high)}"


def p_value(p: float) -> str:
    """A p-value as it is printed."""
    return "n/a" if math.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def sentences(choice: Choice | None, contrasts: Sequence[Contrast]) -> list[str]:
    """The verdict in words, most important first."""
    if choice is None or not contrasts:
        return ["Nothing can be compared yet: no seed has finished in every arm."]
    of = {contrast.arm.name: contrast for contrast in contrasts}
    said = [_best(choice, of.get(choice.best.name), contrasts)]
    if choice.mildest.name != choice.best.name:
        said.append(
            f"{choice.mildest.name} is the mildest arm within one standard error of it on validation: as good, with "
            "less augmentation."
        )
    for verdict, words in _WORDS.items():
        named = [f"{c.arm.name} ({points(c.estimate.mean)})" for c in contrasts if c.verdict == verdict]
        if named:
            said.append(f"{words}: {', '.join(named)}.")
    return said + _harmful_strengths(contrasts)


_WORDS = {
    "better": "Better than the baseline",
    "looks better": "Looks better, not settled",
    "not distinguishable": "Not distinguishable from the baseline",
    "looks worse": "Looks worse, not settled",
    "worse": "Harms",
    "too few seeds": "Too few seeds to say anything",
}


def _best(choice: Choice, contrast: Contrast | None, contrasts: Sequence[Contrast]) -> str:
    best = choice.best.name
    if contrast is None:
        return f"{best}, the baseline, is best on validation: no arm beats it there."
    e, base = contrast.estimate, contrast.baseline.name
    seeds = f"{e.seeds} seed{'' if e.seeds == 1 else 's'}"
    if contrast.verdict == "too few seeds":
        return (
            f"{best} is best on validation. With {seeds} it cannot be compared with {base}: the difference is "
            f"{points(e.mean)} Dice points, and no interval can be given."
        )
    way = {
        "better": f"On test it is better than {base}",
        "looks better": f"On test it looks better than {base}, which is not settled",
        "not distinguishable": f"On test it cannot be told from {base}",
        "looks worse": f"On test it looks worse than {base}, which is not settled",
        "worse": f"On test it is worse than {base}",
    }[contrast.verdict]
    share, low, high = contrast.superiority
    on = f"{e.images} test images" if not contrast.clusters else f"{contrast.clusters} groups of test images"
    images = "" if contrast.own_test_sets else f" and {on}"
    return (
        f"{best} is best on validation. {way}: {points(e.mean)} Dice points (95 % interval {interval(contrast)}; "
        f"{seeds}{images}; p {p_value(contrast.p_holm)} after Holm over {len(contrasts)} arms). It wins in "
        f"{share:.0%} of the seeds (interval {low:.0%} to {high:.0%}; from {BETTER:.0%} it is worth having)."
    )


def _harmful_strengths(contrasts: Sequence[Contrast]) -> list[str]:
    said = []
    kinds = dict.fromkeys((c.arm.policy, c.arm.others) for c in contrasts if c.arm.policy != BASELINE)
    for policy, others in kinds:
        curve = sorted((c for c in contrasts if (c.arm.policy, c.arm.others) == (policy, others)), key=_strength)
        harmful = [c.arm.strength for c in curve if c.verdict == "worse"]
        if harmful and len(curve) > 1:
            said.append(f"{', '.join([policy, *others])} harms from strength {harmful[0]:g} on, of those tried.")
    return said


def _strength(contrast: Contrast) -> float:
    return contrast.arm.strength


def next_steps(choice: Choice | None, contrasts: Sequence[Contrast]) -> list[str]:
    """What to run next, if anything; with a winner, only arms that may be as good are worth more runs."""
    steps = []
    winner = choice and next((c for c in contrasts if c.arm is choice.best and c.verdict == "better"), None)
    least = winner.estimate.mean if winner else 0.0
    fewest = min((c.estimate.seeds for c in contrasts), default=0)
    if fewest < LEAST_SEEDS:
        steps.append(
            f"Run at least {LEAST_SEEDS} seeds of every arm (the fewest now: {fewest}); fewer never yield a verdict."
        )
    for contrast in contrasts:
        settled = contrast.verdict != "not distinguishable" and not contrast.p_holm >= ALPHA
        if settled or contrast.estimate.mean <= 0 or contrast.estimate.high < least:
            continue
        seeds, images = contrast.needed
        ways = [f"{n} {what} in all" for n, what in ((seeds, "seeds"), (images, "test images")) if n is not None]
        if ways:
            steps.append(
                f"{contrast.arm.name}: a difference of this size would take about {' or '.join(ways)} to settle."
            )
    if choice is not None and (winner or not steps):
        mildest = choice.mildest
        other = "other policies" if mildest.policy == BASELINE else "other policies at its strength"
        steps.insert(0, f"Train with {mildest.name} on all your data, or sweep {other}.")
    return steps


def warnings(
    runs: Sequence[Run], arms: Sequence[Arm], contrasts: Sequence[Contrast], missing: Sequence[str]
) -> list[str]:
    """What makes the comparison invalid or incomplete, worst first."""
    said = []
    if len({run.fingerprint for run in runs if run.fingerprint}) > 1:
        said.append("The runs did not see the same data (several fingerprints): the differences may be the data's.")
    for arm in arms:
        if keys := _differing([run.config for run in arm.runs.values()]):
            said.append(f"Runs of {arm.name} differ in more than the seed: {', '.join(keys)}.")
    for key in ENVIRONMENT:
        if len({json.dumps(run.versions[key], sort_keys=True) for run in runs if key in run.versions}) > 1:
            said.append(f"The runs were made under different conditions: {key.replace('_', ' ')} in env.json differs.")
    if any(run.versions.get("segtrain_dirty") for run in runs):
        said.append("Some runs were made with uncommitted changes in segtrain's code.")
    if any(c.own_test_sets for c in contrasts):
        said.append("Seeds have test sets of their own: the interval is over seeds alone, and tests the split as well.")
    said += [
        f"{c.arm.name}: the two-way bootstrap ({points(c.bootstrap[0])} to {points(c.bootstrap[1])}) disagrees with "
        "the interval about 0."
        for c in contrasts
        if c.disagrees
    ]
    unfinished = [run for run in runs if not run.finished]
    if unfinished:
        said.append(f"Without scores, left out: {_some([f'{run.path.name} ({run.state})' for run in unfinished])}.")
    if missing:
        said.append(f"Planned and not begun: {_some(missing)}.")
    return said


def _some(names: Sequence[str]) -> str:
    """The names, or the first and how many more there are."""
    return ", ".join(names) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _differing(configs: Sequence[dict[str, object]]) -> list[str]:
    keys = {key for config in configs for key in config}
    return sorted(
        key
        for key in keys
        if len({json.dumps(config.get(key)) for config in configs}) > 1
        and not any(fnmatch.fnmatchcase(key, pattern) for pattern in HARMLESS)
    )


def config_differences(runs: Sequence[Run]) -> list[str]:
    """Keys in which runs differ beside those that were typed, the policy's own and the harmless ones."""
    typed = {o.lstrip("+~").partition("=")[0] for run in runs for o in run.typed}
    groups = (*(f"{key}." for key in typed), "aug.", "choices.")
    return [key for key in _differing([run.config for run in runs]) if key not in typed and not key.startswith(groups)]
