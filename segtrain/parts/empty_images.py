"""Says what there is to say of empty images, in tables and sentences; `segtrain.model.metrics` has the rule."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from segtrain.model.metrics import false_positives

HEADING = "false positives, of empty images"
RULE = (
    "An image, or a class in an image, is empty when its truth holds no counted pixel of it. Where nothing is "
    "predicted there either, it counts as 1 in every mean over images; a prediction there is a false positive and "
    "scores 0, as in the BraTS challenges (arXiv 2011.00848)."
)
Results = Mapping[str, Any]


def counts(matrices: Mapping[int, Tensor], classes: Sequence[str]) -> dict[str, float]:
    """Returns `segtrain.model.metrics.false_positives` of confusion matrices by sample."""
    return false_positives(torch.stack(list(matrices.values())), classes)


def are_there(results: Results, part: str, classes: Sequence[str]) -> bool:
    """Returns whether an image is empty, of a class or of all; not of results that were written before they said it."""
    return any(results.get(f"{part}/empty_images/{name}") for name in classes)


def cell(results: Results, part: str, name: str = "") -> str:
    """Returns "3 of 20 (15 %)": the false positives on images without the class, or without any of the foreground."""
    end = f"/{name}" if name else ""
    return of_row({key: results[f"{part}/{key}{end}"] for key in ("empty_images", "false_positive_images")})


def of_row(row: Results) -> str:
    """Returns the same of a row of shifts.csv, of images without any of the foreground."""
    empty, wrong = int(row["empty_images"]), int(row["false_positive_images"])
    return f"{wrong} of {empty} ({100 * wrong / empty:.0f} %)" if empty else "–"


def sentences(results: Results, part: str) -> list[str]:
    """Returns what is to be said beside the table: images that are empty throughout, and those without a score."""
    found = []
    if empty := int(results[f"{part}/empty_images"]):
        wrong = int(results[f"{part}/false_positive_images"])
        others = "; on the others nothing, rightly, which counts as 1 in means over images" if wrong < empty else ""
        found.append(
            f"Empty images, without any of the foreground: {empty}. Something is predicted on {wrong} of them, "
            f"{100 * wrong / empty:.0f} %{others}."
        )
    if unscored := int(results[f"{part}/unscored_images"]):
        found.append(
            f"Images without a counted pixel, all of them ignored: {unscored}. They have no score and are left out of "
            "means over images."
        )
    return found
