"""What a model card says of the scores of a run, and of how little they rest on."""

from typing import Any

import numpy as np

from segtrain.draw.markdown import bullets, table
from segtrain.errors import UserError, damaged
from segtrain.model.bootstrap import LEAST
from segtrain.model.intervals import of_means
from segtrain.model.metrics import as_counted
from segtrain.parts import empty_images
from segtrain.parts.trained_run import Loaded
from segtrain.printable import in_code, in_markdown
from segtrain.runs.folder import RunFolder
from segtrain.runs.image_table import read_images

SCORES = ("dice", "iou", "precision", "recall")

Results = dict[str, Any]


def results_of(run: RunFolder) -> Results | None:
    """results.json; None of a run that has not finished."""
    return run.read_json("results.json") if (run.path / "results.json").exists() else None


def scores(loaded: Loaded, results: Results | None) -> str:
    """The section: of each class the scores over all test pixels, and means over images with intervals."""
    if results is None:
        return "## Scores\n\nThe run has not finished: it was not tested."
    path = loaded.run.path / "results.json"
    asked = [f"test/{score}{end}" for score in SCORES for end in ("", *(f"/{name}" for name in loaded.classes))]
    if lacks := [key for key in (*asked, "test/pixel_accuracy", "val/dice") if key not in results]:
        raise damaged(path, f"no key '{lacks[0]}'", "the scores of every class")
    means, rows = _means(loaded), []
    for name in (None, *loaded.classes):
        end = f"/{name}" if name else ""
        pooled = [_shown(results[f"test/{score}{end}"]) for score in SCORES]
        rows.append((name or "mean", *pooled, means[f"dice{end}"], means[f"iou{end}"]))
    without = " The mean is over the classes but background." if "background" in loaded.classes else ""
    return (
        f"## Scores\n\nOn {results['test/images']} test images, after the training. The first four columns count the "
        "pixels of all of them together (2 TP / (2 TP + FP + FN), TP / (TP + FP + FN), TP / (TP + FP), TP / (TP + FN))"
        f"; the last two are means over images with 95 % intervals by a bootstrap over images.{without} "
        f"{empty_images.RULE} A score that fewer than {LEAST:g} independent images carry has no interval.\n\n"
        + table(("class", "Dice", "IoU", "precision", "recall", "Dice, mean [95 %]", "IoU, mean [95 %]"), rows)
        + f"\n\nPixel accuracy {_shown(results['test/pixel_accuracy'])}; mean Dice on the validation images, by which "
        f"the epoch was chosen, {_shown(results['val/dice'])}."
    )


def limits(loaded: Loaded, results: Results | None) -> str:
    """The section: where the network was not tried."""
    data = in_code(f"dataset={loaded.config.choices.dataset}")
    lines = [
        f"Tried on test images of {data} alone, not on other devices, sites, "
        "populations or resolutions: `evaluate run=RUN dataset=…` and `evaluate run=RUN shift=…` do that. Nothing here "
        "speaks for a clinical use.",
        f"Label {loaded.ignore_index} in a mask says nothing: such pixels were neither trained on nor scored, and the "
        "network does not predict it.",
        *(_of_scores(loaded, results) if results else []),
    ]
    precision = str(loaded.config.trainer.precision)
    if precision != "32-true":
        lines.append(f"Training and scores are in {in_markdown(precision)}; the exported file computes in float32.")
    return "## Limits\n\n" + bullets(lines)


def _of_scores(loaded: Loaded, results: Results) -> list[str]:
    images, found = int(results["test/images"]), []
    dice = {name: results[f"test/dice/{name}"] for name in loaded.classes}
    known = {name: value for name, value in dice.items() if value is not None}
    if known:
        worst = min(known, key=lambda name: known[name])
        found.append(f"The weakest class is {in_markdown(worst)}, with a Dice of {known[worst]:.3f}.")
    if absent := [name for name in dice if name not in known]:
        found.append(
            f"No test image shows {in_markdown(', '.join(absent))}, and none was predicted: that was not tried."
        )
    alone = " Images count as independent; where several show one patient or scene, the intervals are too short."
    groups = _groups(loaded)
    kin = alone if len(set(groups.values())) == len(groups) else ""
    return [
        *found,
        f"The scores rest on {images} test images and one training, with one seed.{kin}",
        *_of_empties(results),
    ]


def _of_empties(results: Results) -> list[str]:
    """What is to be said of empty images, by a training that counted them."""
    return empty_images.sentences(results, "test") if "test/empty_images" in results else []


def _groups(loaded: Loaded) -> dict[str, str]:
    """Test image to its group; empty in runs of versions that wrote only the data's own."""
    return dict(loaded.run.read_json("split.json").get("groups") or {})


def _means(loaded: Loaded) -> dict[str, str]:
    """Of each score in per_image.csv the mean over images and its interval, in words.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = loaded.run.path / "per_image.csv"
    columns = [f"{score}{end}" for score in ("dice", "iou") for end in ("", *(f"/{name}" for name in loaded.classes))]
    groups = _groups(loaded)
    try:
        images = read_images(path, {})
        rows = [*images.values()]
        if lacks := [key for key in (*columns, "pixels") if not rows or key not in rows[0]]:
            raise damaged(path, f"no {lacks[0]}", "a row of scores for each test image, as training wrote it")
    except UserError as error:
        raise UserError(f"{error}; or export without the card: card=false") from error
    values = np.array([[row[key] for key in columns] for row in rows])
    values = as_counted(values, np.array([int(row["pixels"]) for row in rows]))
    found = of_means(values, groups=[groups.get(name, name) for name in images])
    means = [float(column[~np.isnan(column)].mean()) if (~np.isnan(column)).any() else None for column in values.T]
    shown = [
        f"{_shown(m)} [{_shown(i.low)}, {_shown(i.high)}]" if i.low == i.low else _shown(m)
        for m, i in zip(means, found, strict=True)
    ]
    return dict(zip(columns, shown, strict=True))


def _shown(value: float | None) -> str:
    return "none" if value is None or value != value else f"{value:.3f}"
