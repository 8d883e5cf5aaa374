"""Sets evaluate.html: scores with their intervals, figures, and the worst, median and best images, inside the file."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from segtrain.app.evaluate.findings import Evaluated, pictured
from segtrain.draw.html_page import Cell, figure, group, html_image, html_key, html_page, html_table, inline, paragraph
from segtrain.draw.pictures import CONFUSED, EXTRA, MISSED, prediction_tiles
from segtrain.files import bytes_of
from segtrain.parts import evaluation
from segtrain.printable import in_html
from segtrain.runs.run_files import PER_IMAGE, RESULTS

STYLE = Path(__file__).with_name("evaluate.css")
SCORES = ("dice", "iou", "precision", "recall")
SURFACES = {
    "hd95": "HD95",
    "asd": "average surface distance",
    "surface_dice": "surface Dice",
    "boundary_iou": "boundary IoU",
}
AVERAGES = {"macro": "macro", "micro": "micro", "image_mean": "mean over images"}
AVERAGED = (
    "Of the foreground classes. Macro: the mean of the classes' scores, each over the pixels of all images. Micro: one "
    "score of all those pixels and classes together. Mean over images: of each image's mean over the classes that its "
    "truth or prediction has; 1 where neither has any."
)
METHOD = (
    "A score of a class counts the pixels of all images together; a class in neither truth nor prediction is left out, "
    f"one in only one of the two scores 0. {evaluation.RULE} Surface scores are means over images; where only truth "
    "or prediction has the class, both distances are the image's diagonal and both shares 0; where neither has it no "
    "distance is counted. Intervals are by a bootstrap-t over images, those of one group (patient) drawn together, and "
    "reach further down than up, for failures that these images do not show: they say how much the scores would differ "
    "on other images like these, not with another training. Ignored pixels count nowhere."
)


def evaluate_page(found: Evaluated, folder: Path) -> str:
    """Returns the page; figures that lie in `folder` are taken up into it."""
    results, part, how = found.results, found.data.part, found.how()
    mean = _cell(found, "dice", "{:.4f}").replace("<small>", " (").replace("</small>", ")")
    parts = [f"<h1>{in_html(found.name)}</h1>"]
    parts.append(
        f'<p class="headline">Dice {mean}, mean of the foreground classes, {results[f"{part}/images"]} images</p>'
    )
    parts += [paragraph(warning, "warning") for warning in found.warnings]
    parts += [paragraph(note) for note in found.notes]
    parts.append(paragraph(_words(how), "soft"))
    parts += ["<h2>By class</h2>", _by_class(found), "<h2>Averages</h2>", _averages(found)]
    parts.append(paragraph(AVERAGED, "soft"))
    if found.curves:
        parts += ["<h2>Under shifts</h2>", _shifts(found), _figure(folder / "shifts.png", "Dice as the shift grows")]
    shown = [("confusion.png", "Share of each class's pixels that is predicted as each class; rows are the truth.")]
    shown.append(("reliability.png", "How often pixels are right at each confidence; below, how many have it."))
    parts += [
        "<h2>Confusion and calibration</h2>",
        group("pair", (_figure(folder / one, words) for one, words in shown)),
    ]
    parts += ["<h2>Worst, median and best images</h2>", _key(found), *_gallery(found)]
    parts += ["<h2>Method</h2>", paragraph(METHOD), paragraph(f"All of it: {RESULTS}, {PER_IMAGE}.", "soft")]
    return html_page(found.name, parts, STYLE)


def _words(how: dict[str, Any]) -> str:
    window = f"windows of {how['window']}, overlap {how['overlap']}" if how["window"] else "whole images"
    views = f"views {', '.join(how['views'])}" if how["views"] else "no test-time augmentation"
    own = "" if how["own_data"] else ", other data than the run was trained on"
    way = "each image by those that have not seen it" if how["ensemble"] == "unseen" else "their probabilities averaged"
    runs = f"{len(how['runs'])} runs, {way}; " if len(how["runs"]) > 1 else ""
    return (
        f"{runs}dataset {how['dataset']}{own}, part {how['part']}; {window}; {views}; {how['device']}, "
        f"{how['precision']}; distances in {how['distances_in']}; independent images or groups: {how['independent']}; "
        f"bootstrap draws of an interval: {how['bootstrap']}"
    )


def _cell(found: Evaluated, key: str, form: str) -> str:
    """Returns a score with its interval below, as HTML."""
    value = found.results[f"{found.data.part}/{key}"]
    low, high = found.intervals.get(key, (math.nan, math.nan))
    if value is None or math.isnan(value):
        return "–"
    between = "" if math.isnan(low) else f"<small>{form.format(low)} to {form.format(high)}</small>"
    return f"{form.format(value)}{between}"


def _by_class(found: Evaluated) -> str:
    kinds = {name: (name, "{:.4f}") for name in SCORES}
    if found.details.surfaces:
        units = {"hd95": f", {found.details.unit}", "asd": f", {found.details.unit}"}
        kinds |= {key: (name + units.get(key, ""), "{:.3f}") for key, name in SURFACES.items()}
    heads, rows = ["class", *(name for name, _ in kinds.values())], []
    told = evaluation.are_there(found.results, found.data.part, found.classes)
    for name in (*found.classes, ""):
        cells = [_cell(found, f"{kind}/{name}" if name else kind, form) for kind, (_, form) in kinds.items()]
        cells += [_on_empties(found, name)] if told else []
        rows.append((name or "mean of foreground", cells))
    return _table([*heads, *([evaluation.HEADING] if told else [])], rows, last="all")


def _on_empties(found: Evaluated, name: str) -> str:
    """Returns the false positives on images without the class, as HTML, with the interval of their rate below."""
    shown = in_html(evaluation.cell(found.results, found.data.part, name))
    rate = found.intervals.get(f"false_positive_rate/{name}" if name else "false_positive_rate")
    return shown if rate is None else f"{shown}<small>{100 * rate.low:.0f} to {100 * rate.high:.0f} %</small>"


def _averages(found: Evaluated) -> str:
    rows = [
        (words, [_cell(found, f"{score}_{kind}", "{:.4f}") for score in SCORES]) for kind, words in AVERAGES.items()
    ]
    return _table(["average", *SCORES], rows)


def _shifts(found: Evaluated) -> str:
    strengths = sorted({row["strength"] for row in found.curves})
    values = {(row["shift"], row["strength"]): row["dice_image_mean"] for row in found.curves}
    rows = []
    for name in dict.fromkeys(row["shift"] for row in found.curves):
        of = [values.get((name, strength), math.nan) for strength in strengths]
        rows.append((name, [f"{value:.4f}" for value in of]))
    heads = [f"{strength:g}" for strength in strengths]
    shown = _table(["Dice, mean over images, at strength", *heads], rows)
    if not any(row["empty_images"] for row in found.curves):
        return shown
    wrong = {(row["shift"], row["strength"]): evaluation.of_row(row) for row in found.curves}
    rows = [(name, [wrong.get((name, strength), "") for strength in strengths]) for name, _ in rows]
    return shown + _table(["false positives, of images without foreground, at strength", *heads], rows)


def _table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], last: str = "") -> str:
    """Returns a table of rows with their names; the other cells are HTML."""
    return html_table(heads, [[name, *map(Cell, cells)] for name, cells in rows], last=last)


def _figure(path: Path, words: str) -> str:
    return figure(inline(bytes_of(path), "png"), words)


def _key(found: Evaluated) -> str:
    colours = dict(zip(found.classes, found.loaded[0].palette, strict=True))
    errors = {"missed": MISSED, "extra": EXTRA, "wrong class": CONFUSED}
    return (
        paragraph("Image, truth, prediction, errors.", "soft")
        + html_key(colours, "In truth and prediction:")
        + html_key(errors, "In the errors, where a colour means another thing:")
    )


def _gallery(found: Evaluated) -> list[str]:
    shown = []
    palette, ignored = found.loaded[0].palette, found.data.dataset.ignore_index
    for kind, index in found.gallery():
        name, image, mask, pred, dice = pictured(found, index)
        tiles = prediction_tiles(image, mask, pred, palette, found.classes, ignored)
        named = zip(("image", "truth", "prediction", "errors"), tiles, strict=True)
        pictures = group("tiles", (html_image(_webp(tile), words) for words, tile in named))
        scores = ", ".join(f"{key} {value:.3f}" for key, value in dice.items() if not math.isnan(value))
        words = in_html(f"{kind}: {name} | Dice: {scores}")
        shown.append(f"<figure>{pictures}<figcaption>{words}</figcaption></figure>")
    return shown


def _webp(tile: np.ndarray[Any, Any]) -> str:
    return inline(cv2.imencode(".webp", tile[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])[1].tobytes(), "webp")
