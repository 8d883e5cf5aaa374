"""Says what makes a comparison invalid or incomplete, or narrows what it says."""

import json
from collections.abc import Sequence

from segtrain.app.report.arms import Arm, baseline_of, rankable, unscored
from segtrain.app.report.contrasts import Contrast
from segtrain.app.report.design import Design
from segtrain.app.report.paired import LEAST_UNITS, SETTLING_UNITS
from segtrain.app.report.read_runs import Run, count_false_positives, empty_images, is_harmless
from segtrain.app.report.verdict import points, units_in_words
from segtrain.runs.find_folder import FIRST_CONFIRMING
from segtrain.runs.run_files import ENVIRONMENT as ENVIRONMENT_FILE

NAMED = 4  # runs that a warning names
FEW_EMPTY = 10  # empty test images below which what false positives cost is not well known
ENVIRONMENT = ("segtrain_commit", "packages", "device", "threads", "precision", "deterministic", "python")


def warnings(
    runs: Sequence[Run],
    arms: Sequence[Arm],
    contrasts: Sequence[Contrast],
    missing: Sequence[str] = (),
) -> list[str]:
    """Returns what makes the comparison invalid, narrow or incomplete, worst first."""
    return [
        *_conditions(runs, arms),
        *_of_find(contrasts),
        *_reach(contrasts),
        *_doubts(contrasts),
        *_left_out(runs, arms, contrasts, missing),
    ]


def _conditions(runs: Sequence[Run], arms: Sequence[Arm]) -> list[str]:
    """Returns what differs between runs that should be alike."""
    said = []
    if len({run.fingerprint for run in runs if run.fingerprint}) > 1:
        said.append(
            "The runs did not see the same data (several fingerprints): the differences may be the data's, and nothing "
            "is settled between such runs."
        )
    if len({tuple(sorted(next(iter(run.images.values())))) for run in runs if run.images}) > 1:
        said.append("The runs do not score the same classes; each score compares the runs that have it.")
    for arm in arms:
        if keys := _differing([run.config for run in arm.runs.values()]):
            said.append(f"Runs of {arm.name} differ in more than the seed: {', '.join(keys)}.")
    for key in ENVIRONMENT:
        if len({json.dumps(run.versions[key], sort_keys=True) for run in runs if key in run.versions}) > 1:
            said.append(
                f"The runs were made under different conditions: {key.replace('_', ' ')} in {ENVIRONMENT_FILE} differs."
            )
    if any(run.versions.get("segtrain_dirty") for run in runs):
        said.append("Some runs were made with uncommitted changes in segtrain's code.")
    return said


def _of_find(contrasts: Sequence[Contrast]) -> list[str]:
    """Returns what is to be said of runs by which a find chose: their scores flatter some arms, and wrong others."""
    said = []
    if apart := [c.arm.name for c in contrasts if c.raced and not c.by_race]:
        said.append(
            f"Left out, as a find chose its arms by them: the seeds of its race, below {FIRST_CONFIRMING}, where both "
            f"arms have others ({_some(apart)})."
        )
    if alone := [c.arm.name for c in contrasts if c.by_race]:
        said.append(
            f"Compared by seeds of a find's race alone: {_some(alone)}. Arms were chosen and dropped by them: the "
            "leader is flattered, an arm that was dropped early has few seeds, on which it may have been unlucky, and "
            "nothing is settled by them. The find's own answer is in its find.html."
        )
    return said


def _reach(contrasts: Sequence[Contrast]) -> list[str]:
    """Returns what the intervals do not speak of."""
    said, found = [], {c.table.design: c for c in contrasts}
    if these := found.get(Design.THESE_IMAGES):
        said.append(
            "The intervals are over seeds alone and hold for exactly these test images. It takes "
            f"{LEAST_UNITS} independent ones to speak of others; got {units_in_words(these)}."
        )
    if Design.FOLDS in found:
        said.append(
            "The intervals are over the folds of one seed: they take its luck for that of all seeds, so nothing is "
            "settled by them."
        )
    if Design.OWN_SETS in found:
        said.append(
            "Repetitions do not all test the same images (splits of their own, or folds that are missing): the "
            "intervals are over them, and count the images that they share."
        )
    few = [c for c in contrasts if LEAST_UNITS <= len(c.table.units) < SETTLING_UNITS]
    if few:
        said.append(
            f"{units_in_words(few[0])}: with fewer than {SETTLING_UNITS} independent ones nothing is settled, as where "
            "their scores are very skewed the intervals can be too short."
        )
    if any(rep.fold for c in contrasts for rep in c.arm.finished):
        said.append(
            "Folds train on images that they share: the intervals do not say what another set to train on would "
            "change (Nadeau and Bengio 2003)."
        )
    return said


def _doubts(contrasts: Sequence[Contrast]) -> list[str]:
    """Returns what speaks against an interval itself."""
    said = []
    if found := next((c for c in contrasts if c.neighbours), None):
        alike = found.neighbours
        assert alike is not None
        where = f" in {found.score}" if len({c.score for c in contrasts}) > 1 else ""
        said.append(
            f"Test images that are neighbours by name differ alike{where} (correlation {alike.correlation:.2f}), and "
            "no groups are named: if that is no accident, the intervals are too short, about "
            f"{alike.stretch:.1f} times where the images' share rules; nothing is settled by them. If they are slices "
            "of one scan or tiles of one image, name the groups (dataset.split.group)."
        )
    said += [
        f"{c.arm.name}: the two-way bootstrap ({points(c.bootstrap[0])} to {points(c.bootstrap[1])}) disagrees with "
        "the interval about 0."
        for c in contrasts
        if c.disagrees
    ]
    return said


def _left_out(
    runs: Sequence[Run], arms: Sequence[Arm], contrasts: Sequence[Contrast], missing: Sequence[str]
) -> list[str]:
    said = []
    if unfinished := [f"{run.path.name} ({run.state})" for run in runs if not run.finished]:
        said.append(f"Without scores, left out: {_some(unfinished)}.")
    if repeated := [run.path.name for arm in arms for run in arm.repeated]:
        said.append(f"A run of the same arm and seed is there already, left out: {_some(repeated)}.")
    said += _not_compared(arms, contrasts)
    if unpaired := [f"{c.arm.name} ({', '.join(lone)})" for c in contrasts if (lone := _unpaired(c))]:
        said.append(f"Finished in an arm and not in its baseline, left out of the differences: {_some(unpaired)}.")
    if left := max((c.left_out for c in contrasts), default=0):
        said.append(f"Left out, as no pixel of their masks counts: {left} test image{'' if left == 1 else 's'}.")
    if apart := [f"{c.arm.name} ({c.unshared})" for c in contrasts if c.unshared]:
        said.append(f"Test images that only one of two paired runs has, left out: {_some(apart)}.")
    said += _few_empty(arms)
    if lacking := [arm.name for arm in arms if unscored(arm)]:
        said.append(
            f"Not ranked, as validation has no score of a run (nothing to find, and nothing found): {_some(lacking)}."
        )
    able = {arm.name for arm in rankable(arms)}
    if fewer := [a.name for a in arms if a.finished and not unscored(a) and a.name not in able]:
        said.append(f"Not ranked on validation, as they have fewer than half of the others' runs: {_some(fewer)}.")
    if missing:
        said.append(f"Planned and not begun: {_some(missing)}.")
    return said


def _not_compared(arms: Sequence[Arm], contrasts: Sequence[Contrast]) -> list[str]:
    """Returns what is to be said of arms that have runs and no comparison."""
    compared = {c.arm.name for c in contrasts}
    alone = [arm for arm in arms if not arm.plain and arm.finished and arm.name not in compared]
    without = [arm.name for arm in alone if baseline_of(arm, arms) is None]
    apart = [arm.name for arm in alone if arm.name not in without]
    said = []
    if without:
        said.append(
            f"Compared with nothing, as no arm without augmentation is else the same: {_some(without)}; add aug=none "
            "to the sweep, or aug.strength=0."
        )
    if apart:
        said.append(
            f"Compared with nothing, as no finished seed and test image is shared with a baseline: {_some(apart)}."
        )
    return said


def _few_empty(arms: Sequence[Arm]) -> list[str]:
    """Returns whether what false positives cost rests on few images."""
    runs = [run for arm in arms for run in arm.finished.values()]
    empty = empty_images(runs, "dice")
    if not empty or len(empty) >= FEW_EMPTY or not count_false_positives(runs, "dice", empty).found:
        return []
    return [
        f"{len(empty)} test image{' is' if len(empty) == 1 else 's are'} empty: an arm's false positives there weigh 0 "
        "or 1, and where they rule a difference its interval rests on few images and is too short."
    ]


def _unpaired(contrast: Contrast) -> list[str]:
    return [str(rep) for rep in contrast.arm.finished if rep not in contrast.baseline.finished]


def _some(names: Sequence[str]) -> str:
    """Returns the names, or the first and how many more there are."""
    return ", ".join(names) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _differing(configs: Sequence[dict[str, object]]) -> list[str]:
    keys = {key for config in configs for key in config}
    return sorted(
        key for key in keys if len({json.dumps(config.get(key)) for config in configs}) > 1 and not is_harmless(key)
    )


def config_differences(runs: Sequence[Run]) -> list[str]:
    """Returns the keys in which runs differ beside those typed, the policy's own and the harmless ones."""
    typed = {o.lstrip("+~").partition("=")[0] for run in runs for o in run.typed}
    groups = (*(f"{key}." for key in typed), "aug.", "choices.")
    return [key for key in _differing([run.config for run in runs]) if key not in typed and not key.startswith(groups)]
