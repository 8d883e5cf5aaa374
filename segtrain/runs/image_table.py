"""Reads the scores of each test image so that what contradicts itself or the run's other files is told.

The scores of a line follow from each other as training computed them, and what results.json says of the same images
bounds them. What is right in itself and wrong all the same, such as a score changed in both places, cannot be seen.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segtrain.counted import counted
from segtrain.errors import damaged
from segtrain.runs.metrics_csv import read_cells, read_csv

SHIFTED_TEXTS = ("shift", "id", "seed")  # columns of robustness.csv that hold no numbers

BACKGROUND = "background"  # the class that is left out of means
CLOSE = 1e-6  # scores are written exactly; results.json too
Scores = Mapping[str, float]
Images = dict[str, dict[str, float]]  # test image to its scores
Shift = tuple[str, float]  # a policy and its strength
UNSHIFTED = ("none", 0.0)


def read_images(path: Path, results: Mapping[str, Any], test: Sequence[str] = (), whole: bool = False) -> Images:
    """Returns test image to its scores, in the order of the table; none before the end.

    Args:
        path: of per_image.csv.
        results: of results.json; empty where it is not there, as of a run that goes on, whose table is an older one.
        test: ids of the test split, in the order of split.json; empty where it is not asked.
        whole: whether all of these are tested, none left out by `trainer.limit_test_batches`.

    Raises:
        UserError: the table is damaged, or is not of the results, or of the split.
    """
    rows = read_csv(path)
    images = {row["id"]: {key: value for key, value in row.items() if key != "id"} for row in rows}
    if len(images) < len(rows):
        raise damaged(path, "an image that stands twice", "a line an image")
    for name, row in images.items():
        if problem := _problem(row):
            raise damaged(path, f"{problem} in the line of '{name}'", "scores that follow from each other")
    if not (images and results):
        return images
    if len(images) != results["test/images"]:
        raise damaged(path, counted(len(images), "image"), f"the {results['test/images']} of results.json")
    if problem := _apart([*images.values()], results):
        raise damaged(path, f"{problem} than results.json has", "the scores of one training in both")
    if problem := _other_images([*images], test, whole):
        raise damaged(path, problem, "the test images of split.json, in their order")
    return images


def read_shifted(path: Path) -> tuple[str, dict[Shift, Images]]:
    """Returns the seed of the draws of a robustness.csv, and the images' Dice and pixels of the truth by shift.

    Raises:
        UserError: the table is damaged.
    """
    rows = read_csv(path, SHIFTED_TEXTS)
    keys = [tuple(row[name] for name in (*SHIFTED_TEXTS[:2], "strength")) for row in rows if _is_of_shift(row)]
    if len({*keys}) < len(rows) or len({row["seed"] for row in rows}) > 1 or not all(map(_is_of_shift, rows)):
        raise damaged(path, "another", "a line an image, shift and strength, of one seed")
    found: dict[Shift, Images] = {}
    for row in rows:
        scores = {key: value for key, value in row.items() if key.partition("/")[0] in ("dice", "truth")}
        found.setdefault((row["shift"], row["strength"]), {})[row["id"]] = scores
    return rows[0]["seed"] if rows else "", found


def read_shifted_cells(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a robustness.csv with every cell as its text, to be written again.

    Raises:
        UserError: the table is damaged.
    """
    read_csv(path, SHIFTED_TEXTS)
    return read_cells(path)


def _is_of_shift(row: Mapping[str, object]) -> bool:
    """Returns whether a row has its score and the strength of its shift."""
    strength = row.get("strength")
    return "dice" in row and isinstance(strength, float) and not math.isnan(strength)


def _other_images(tested: Sequence[str], test: Sequence[str], whole: bool) -> str:
    """Returns how the images differ from those of the split, in whose order training writes them."""
    if not test:
        return ""
    if strange := sorted({*tested} - {*test}):
        return f"'{strange[0]}', which is not tested by split.json"
    if whole and (lacking := sorted({*test} - {*tested})):
        return f"no line of '{lacking[0]}', which is tested by split.json"
    there = {*tested}
    return "" if [*tested] == [name for name in test if name in there] else "images in another order"


def _problem(row: Scores) -> str:
    """Returns what in a line contradicts itself: means over classes, Dice and IoU of one class, counted pixels."""
    dice, iou, truth = (_classes(row, kind) for kind in ("dice", "iou", "truth"))
    for metric, classes in (("dice", dice), ("iou", iou)):
        known = [value for name, value in classes.items() if name != BACKGROUND and not math.isnan(value)]
        mean = sum(known) / len(known) if known else math.nan
        if classes and not _same(row.get(metric, 2.0), mean):
            return f"{row.get(metric, 'nothing')} under '{metric}', where its classes have the mean {mean:.6g},"
    if any(of and of.keys() != dice.keys() for of in (iou, truth)):
        return "other classes of iou or truth than of dice"
    for name, value in iou.items():
        if not _same(value, dice[name] / (2 - dice[name])):
            return f"a Dice of {dice[name]:.6g} with an IoU of {value:.6g} under '{name}'"
    if any(map(math.isnan, truth.values())):
        return ""  # of an older version
    if truth and not _same(row.get("pixels", math.nan), sum(truth.values())):
        return f"{row.get('pixels', 'nothing')} under 'pixels', where its classes have {sum(truth.values()):g},"
    lost = next((name for name, pixels in truth.items() if pixels > 0 and math.isnan(dice[name])), None)
    return "" if lost is None else f"no Dice of '{lost}', of which there are pixels,"


def _apart(rows: Sequence[Scores], results: Mapping[str, Any]) -> str:
    """Returns what results.json denies: classes, empty images, pooled scores that no images' give."""
    pooled = {key.removeprefix("test/dice/"): value for key, value in results.items() if key.startswith("test/dice/")}
    classes = _classes(rows[0], "dice")
    if pooled and classes and pooled.keys() != classes.keys():
        return "other classes"
    for name, value in pooled.items() if classes else ():
        low, high = _bounds(rows, name)
        if (value is None) != math.isnan(low) or (value is not None and not low - CLOSE <= value <= high + CLOSE):
            return f"images that have a common Dice of '{name}' from {low:.6g} to {high:.6g}, another"
    for name in classes:
        number = results.get(f"test/empty_images/{name}")
        truth = [row.get(f"truth/{name}", math.nan) for row in rows]
        empty = sum(t == 0 and row["pixels"] > 0 for t, row in zip(truth, rows, strict=True))
        if number is not None and not any(map(math.isnan, truth)) and empty != number:
            return f"{counted(empty, 'image')} without '{name}', another number"
    return ""


def _bounds(rows: Iterable[Scores], name: str) -> tuple[float, float]:
    """Returns between which numbers the Dice of a class over all pixels lies; NaN where no image has the class.

    It is the mean of the images' Dice d, each weighted by the pixels t of truth and p of prediction together. The table
    holds t alone; d = 2r / (t + p), with r right pixels of at most t and p, bounds the weight: 2t / (2 - d) to 2t / d.
    """
    found: list[tuple[float, float, float]] = []  # Dice, least weight, most
    for row in rows:
        dice, truth = row[f"dice/{name}"], row.get(f"truth/{name}", math.nan)
        if math.isnan(dice):
            continue
        if math.isnan(truth):
            found.append((dice, 0.0, 1.0))
        else:
            most = truth + row["pixels"]
            found.append((dice, 2 * truth / (2 - dice), min(most, 2 * truth / dice) if dice else most))
    if not found:
        return math.nan, math.nan
    return _extreme(found, lower=True), _extreme(found, lower=False)


def _extreme(found: Sequence[tuple[float, float, float]], lower: bool) -> float:
    """Returns the least, or the largest, mean; each step weighs by the mean before, until none is further."""
    mean = sum(score for score, _, _ in found) / len(found)
    for _ in range(len(found) + 2):
        weights = [most if (score < mean) == lower else least for score, least, most in found]
        if not sum(weights):
            return (min if lower else max)(score for score, _, _ in found)
        further = sum(w * score for w, (score, _, _) in zip(weights, found, strict=True)) / sum(weights)
        if abs(further - mean) < CLOSE / 100:
            break
        mean = further
    return mean


def _classes(row: Scores, kind: str) -> dict[str, float]:
    """Returns what stands under a kind of column, such as dice/cell, by class."""
    return {key.partition("/")[2]: value for key, value in row.items() if key.startswith(f"{kind}/")}


def _same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or abs(a - b) <= CLOSE
