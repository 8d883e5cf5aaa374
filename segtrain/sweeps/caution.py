"""What makes a comparison invalid or incomplete, or narrows what it says."""

import fnmatch
import json
from collections.abc import Sequence

from segtrain.sweeps.arms import Arm, Choice, baseline_of
from segtrain.sweeps.contrasts import Contrast
from segtrain.sweeps.design import Design
from segtrain.sweeps.paired import LEAST_UNITS
from segtrain.sweeps.reading import Run
from segtrain.sweeps.verdict import points, units_in_words

# Keys that may differ between runs of one arm without changing a result.
HARMLESS = (
    *("seed", "name", "outputs", "debug", "resume*", "trust*", "data.num_workers", "data.cache", "logger*"),
    *("choices.logger", "choices.trainer", "choices.sweep", "checkpoint.*", "trainer.accelerator"),
    *("dataset.split.seed", "dataset.split.fold"),
)
NAMED = 4  # runs that a warning names
ENVIRONMENT = ("segtrain_commit", "packages", "device", "threads", "precision", "deterministic", "python")


def warnings(
    runs: Sequence[Run],
    arms: Sequence[Arm],
    contrasts: Sequence[Contrast],
    missing: Sequence[str],
    choice: Choice | None = None,
) -> list[str]:
    """Returns what makes the comparison invalid, narrow or incomplete, worst first."""
    return [*_conditions(runs, arms), *reach(contrasts), *_left_out(runs, arms, contrasts, missing, choice)]


def _conditions(runs: Sequence[Run], arms: Sequence[Arm]) -> list[str]:
    """What differs between runs that should be alike."""
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
    return said


def reach(contrasts: Sequence[Contrast]) -> list[str]:
    """Returns what the intervals do not speak of."""
    said = []
    for contrast in contrasts[:1]:  # the arms of a sweep are tested alike
        design = contrast.table.design
        if design is Design.THESE_IMAGES:
            said.append(
                "The intervals are over seeds alone and hold for exactly these test images. It takes "
                f"{LEAST_UNITS} independent ones to speak of others; got {units_in_words(contrast)}."
            )
        if design is Design.FOLDS:
            said.append(
                "The intervals are over the folds of one seed: they take its luck for that of all seeds, so nothing is "
                "settled by them."
            )
        if design is Design.OWN_SETS:
            said.append(
                "Repetitions have test images of their own: the interval is over them, and counts the images that they "
                "share."
            )
        if "fold" in contrast.table.rows[0] or any(rep.fold for rep in contrast.arm.finished):
            said.append(
                "Folds train on images that they share: the intervals do not say what another set to train on would "
                "change (Nadeau and Bengio 2003)."
            )
    if alike := next((c.neighbours for c in contrasts if c.neighbours), None):
        said.append(
            f"Test images that are neighbours by name differ alike (correlation {alike.correlation:.2f}), and no "
            f"groups are named: the intervals are too short, about {alike.stretch:.1f} times where the images' share "
            "rules, and nothing is settled by them. If they are slices of one scan or tiles of one image, name the "
            "groups (dataset.split.group)."
        )
    said += [
        f"{c.arm.name}: the two-way bootstrap ({points(c.bootstrap[0])} to {points(c.bootstrap[1])}) disagrees with "
        "the interval about 0."
        for c in contrasts
        if c.disagrees
    ]
    return said


def _left_out(
    runs: Sequence[Run],
    arms: Sequence[Arm],
    contrasts: Sequence[Contrast],
    missing: Sequence[str],
    choice: Choice | None,
) -> list[str]:
    said = []
    if unfinished := [f"{run.path.name} ({run.state})" for run in runs if not run.finished]:
        said.append(f"Without scores, left out: {_some(unfinished)}.")
    if repeated := [run.path.name for arm in arms for run in arm.repeated]:
        said.append(f"A run of the same arm and seed is there already, left out: {_some(repeated)}.")
    if lonely := [arm.name for arm in arms if not arm.plain and arm.finished and baseline_of(arm, arms) is None]:
        said.append(
            f"Compared with nothing, as no arm without augmentation is else the same: {_some(lonely)}; add aug=none to "
            "the sweep, or aug.strength=0."
        )
    if unpaired := [f"{c.arm.name} ({', '.join(lone)})" for c in contrasts if (lone := _unpaired(c))]:
        said.append(f"Finished in an arm and not in its baseline, left out of the differences: {_some(unpaired)}.")
    if left := max((c.left_out for c in contrasts), default=0):
        said.append(f"Left out, as no pixel of their masks counts: {left} test image{'' if left == 1 else 's'}.")
    if choice is not None and choice.unranked:
        named = _some([arm.name for arm in choice.unranked])
        said.append(f"Not ranked, as validation has no score of a run (nothing to find, and nothing found): {named}.")
    if missing:
        said.append(f"Planned and not begun: {_some(missing)}.")
    return said


def _unpaired(contrast: Contrast) -> list[str]:
    return [str(rep) for rep in contrast.arm.finished if rep not in contrast.baseline.finished]


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
