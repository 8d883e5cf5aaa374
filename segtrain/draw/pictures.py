"""Draws the pictures of a run: what the network saw, what it predicted, and its curves. No pyplot, no global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from segtrain.area import shrink_labels
from segtrain.draw.sheet import DPI, Row, letters_of, patch, write_figure, write_sheet
from segtrain.files import write_whole
from segtrain.runs.epochs import number_of

Image = npt.NDArray[Any]
Rgb = npt.NDArray[np.uint8]
Palette = Sequence[tuple[int, int, int]]
Points = list[tuple[float, float]]
T = TypeVar("T")

BLACK = (0, 0, 0)
STRIPES = ((96, 96, 96), (176, 176, 176))  # the two greys over ignored pixels
# Kinds of error, told apart by colour-blind readers too. Source: Okabe and Ito, Color Universal Design.
MISSED, EXTRA, CONFUSED = (213, 94, 0), (86, 180, 233), (240, 228, 66)
TILE = 256  # longest side of an image in a sheet, pixels
THUMBNAIL, THUMBNAIL_COLUMNS = 128, 8  # pixels a side; pairs a row
MOST_THUMBNAILS = 64  # test images
NO_BREAK = "\u00a0"  # a space that keeps a class and its score on one line


def to_rgb(image: Image, limits: tuple[float, float] | None = None) -> Rgb:
    """Returns the image (H,W,C) of any dtype as (H,W,3) uint8 for showing.

    One channel, or the first of two, as grey; else the first three. uint8 stays as it is; other dtypes are
    scaled linearly so that `limits` (low, high) become 0 and 255; without, the image's own `shown_range`.
    """
    shown = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    low, high = limits or shown_range([shown])
    values = np.nan_to_num(shown.astype(np.float32), nan=low, posinf=high, neginf=low)
    scaled: Rgb = np.rint(np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
    return scaled


def shown_range(images: Sequence[Image]) -> tuple[float, float]:
    """Returns the .5 and 99.5 percentiles of all finite values: a few hot pixels must not darken the rest."""
    values = np.concatenate([image[..., :3].ravel() for image in images]).astype(np.float32)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    return float(low), float(high)


def overlay(image: Image, mask: Image, palette: Palette, ignore_index: int) -> Rgb:
    """Returns the image as (H,W,3) uint8 with a contour and a light fill for every class of the mask (H,W).

    Class 0 stays untouched when its palette colour is black; ignored pixels are hatched grey. Contours lie
    inside their class, so that neighbours do not cover each other.
    """
    shown = to_rgb(image).copy()
    thickness = max(1, round(min(mask.shape) / 200))  # pixels
    for label, colour in enumerate(palette):
        if label == ignore_index or (label == 0 and tuple(colour) == BLACK):
            continue
        region = mask == label
        inner = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=thickness)
        shown[region] = _blend(shown[region], colour, 0.2)
        shown[region & (inner == 0)] = colour
    _hatch(shown, mask == ignore_index)
    return shown


def augmented_sheet(
    path: Path,
    rows: Sequence[tuple[str, Sequence[tuple[Image, Image]]]],
    palette: Palette,
    class_names: Sequence[str],
    ignore_index: int,
    columns: Sequence[str] = (),
) -> None:
    """Writes a PNG of what the network saw: for each sample its views, image above overlay.

    rows: (sample name, its (image, mask) pairs, one a column); `columns` are the heads over them. Views of
    one sample share their grey scale, so that changes of brightness and contrast stay visible.
    """
    tiled = []
    for title, views in rows:
        images = [image for image, _ in views]
        limits = None if images[0].dtype == np.uint8 else shown_range(images)  # bytes are shown as they are
        tiles = [_tile(to_rgb(image, limits), mask, TILE) for image, mask in views]
        tiled.append(Row(title, [image for image, _ in tiles]))
        tiled.append(Row("", [overlay(*tile, palette, ignore_index) for tile in tiles]))
    ignored = any((mask == ignore_index).any() for _, views in rows for _, mask in views)
    write_sheet(path, columns, tiled, _class_legend(palette, class_names, ignored))


def predictions_sheet(
    path: Path,
    items: Sequence[tuple[str, Image, Image, Image, Mapping[str, float]]],
    palette: Palette,
    class_names: Sequence[str],
    ignore_index: int,
) -> None:
    """Writes a PNG with a row a sample: image, truth, prediction, errors; the Dice of each class above it.

    items: (id, image, mask, pred, Dice by class name); a NaN Dice (class absent) is shown as a dash. An error
    is missed (truth is a class, prediction background), extra (the reverse) or the wrong class.
    """
    rows = []
    for name, image, mask, pred, dice in items:
        scores = ", ".join(f"{key.replace(' ', NO_BREAK)}{NO_BREAK}{_score(value)}" for key, value in dice.items())
        tiles = prediction_tiles(image, mask, pred, palette, class_names, ignore_index)
        rows.append(Row(f"{name} | Dice: {scores}", tiles))
    ignored = any((mask == ignore_index).any() for _, _, mask, _, _ in items)
    legend = _class_legend(palette, class_names, ignored) + _error_legend(class_names)
    write_sheet(path, ("image", "truth", "prediction", "errors"), rows, legend)


def prediction_tiles(
    image: Image, mask: Image, pred: Image, palette: Palette, class_names: Sequence[str], ignore_index: int
) -> list[Rgb]:
    """Returns image, truth, prediction and errors, as in `predictions_sheet`, each up to `TILE` pixels a side."""
    background = list(class_names).index("background") if "background" in class_names else -1
    shown, truth = _tile(to_rgb(image), mask, TILE)
    _, guess = _tile(to_rgb(image), pred, TILE)
    over = [overlay(shown, labels, palette, ignore_index) for labels in (truth, guess)]
    return [shown, *over, _errors(shown, truth, guess, background, ignore_index)]


def thumbnailed(items: Sequence[T]) -> list[T]:
    """Returns those of the test images, evenly spaced, that have a place in thumbnails.jpg, in its order.

    A report finds an image in the file of an old run by this rule, so the rule stays as it was.
    """
    count = min(MOST_THUMBNAILS, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def thumbnails(
    path: Path, items: Sequence[tuple[str, Image, Image, Image]], palette: Palette, ignore_index: int
) -> None:
    """Writes a JPEG without a word: a grid, row by row, of pairs of truth and prediction, `THUMBNAIL` pixels a side.

    items: (id, image, mask, pred).
    """
    rows = -(-len(items) // THUMBNAIL_COLUMNS)
    sheet = np.full((max(1, rows) * THUMBNAIL, 2 * THUMBNAIL_COLUMNS * THUMBNAIL, 3), 255, np.uint8)
    for number, (_, image, mask, pred) in enumerate(items):
        row, column = divmod(number, THUMBNAIL_COLUMNS)
        for side, labels in enumerate((mask, pred)):
            scale = THUMBNAIL / max(labels.shape)
            size = max(1, round(labels.shape[1] * scale)), max(1, round(labels.shape[0] * scale))
            shown, over = _shrunk(to_rgb(image), labels, size) if scale < 1 else _enlarged(to_rgb(image), labels, size)
            tile = overlay(shown, over, palette, ignore_index)
            top, left = row * THUMBNAIL, (2 * column + side) * THUMBNAIL
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    written = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    write_whole(path, written.tobytes())


def curves(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes a PNG of metrics.csv: losses, validation Dice (mean and classes), learning rate, over epochs.

    rows: as MetricsTable.rows() gives them; the learning rate is `lr` or any key with the part `lr`. A line
    marks the epoch with the best val/dice, the first of equals. A panel without values is left out.
    """
    keys = dict.fromkeys(key for row in rows for key in row)
    panels = {
        "loss": [key for key in keys if key in ("train/loss", "val/loss")],
        "validation Dice": [key for key in keys if key == "val/dice" or key.startswith("val/dice/")],
        "learning rate": [key for key in keys if "lr" in key.split("/")],
    }
    drawn = {title: names for title, names in panels.items() if names} or {"no metrics yet": []}
    figure = Figure(figsize=(9, 0.5 + 2.6 * len(drawn)), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    best = max(_points(rows, "val/dice"), key=lambda point: point[1], default=None)
    for axis, (title, names) in zip(axes, drawn.items(), strict=True):
        _panel(axis, title, {name: _points(rows, name) for name in names}, best)
    axes[-1].set_xlabel("epoch")
    write_figure(figure, path)


def _panel(axis: Axes, title: str, lines: Mapping[str, Points], best: tuple[float, float] | None) -> None:
    """Draws one panel of `curves`; the mean Dice is thick and black over its classes, few points get markers."""
    for index, (name, points) in enumerate(lines.items()):
        marker = "o" if len(points) <= 30 else ""
        style: dict[str, Any] = {"linewidth": 1.2, "linestyle": ("-", "--", ":")[index // 10 % 3]}
        if name == "val/dice":
            style = {"color": "black", "linewidth": 2, "zorder": 3}
        epochs, values = [epoch for epoch, _ in points], [value for _, value in points]
        axis.plot(
            epochs, values, label=letters_of(name.removeprefix("val/dice/")), marker=marker, markersize=4, **style
        )
    if lines and all(len(points) == 1 for points in lines.values()):  # one epoch has no range of its own
        axis.set_ylim(0, 1.15 * max(points[0][1] for points in lines.values()) or 1)
    if best:
        axis.axvline(best[0], color="0.5", linestyle="--", linewidth=1, zorder=0)
    if best and "val/dice" in lines:
        title += f"   best {best[1]:.4f} at epoch {best[0]:g}"
    axis.set_title(title, fontsize=10, loc="left")
    axis.grid(alpha=0.3)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if lines:
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, ncols=1 + len(lines) // 15)


def _points(rows: Sequence[Mapping[str, float]], key: str) -> Points:
    """Returns (epoch from 1, value) wherever the value is there and finite."""
    return [(number_of(int(row["epoch"])), row[key]) for row in rows if key in row and np.isfinite(row[key])]


def _tile(image: Rgb, mask: Image, longest: int) -> tuple[Rgb, Image]:
    """Returns image and mask at the size at which they are shown; labels stay labels."""
    height, width = mask.shape
    scale = longest / max(height, width)
    if scale >= 1:  # whole pixels stay whole squares
        times = int(scale)
        return image.repeat(times, 0).repeat(times, 1), mask.repeat(times, 0).repeat(times, 1)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _shrunk(image, mask, size)


def _shrunk(image: Rgb, mask: Image, size: tuple[int, int]) -> tuple[Rgb, Image]:
    """Returns image and mask at a smaller size (width, height), both read off the same areas."""
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8), shrink_labels(mask, size)


def _enlarged(image: Rgb, mask: Image, size: tuple[int, int]) -> tuple[Rgb, Image]:
    """Returns image and mask at a larger size (width, height), both with the same pixels repeated."""
    shown, labels = (cv2.resize(one, size, interpolation=cv2.INTER_NEAREST) for one in (image, mask.astype(np.uint8)))
    return shown.astype(np.uint8), labels


def _blend(pixels: Image, colour: tuple[int, int, int], share: float) -> Rgb:
    return np.rint(pixels * (1 - share) + np.array(colour) * share).astype(np.uint8)


def _hatch(shown: Rgb, where: npt.NDArray[np.bool_]) -> None:
    """Draws diagonal stripes, opaque: what the network is not judged on is not worth seeing."""
    down, across = np.nonzero(where)
    shown[down, across] = np.array(STRIPES, np.uint8)[(down + across) // 4 % 2]


def _errors(shown: Rgb, truth: Image, guess: Image, background: int, ignore_index: int) -> Rgb:
    """Returns the image dimmed, wrong pixels in the colour of their kind."""
    kinds = _blend(shown, BLACK, 0.5)
    wrong = (truth != guess) & (truth != ignore_index)
    kinds[wrong] = CONFUSED
    kinds[wrong & (guess == background)] = MISSED
    kinds[wrong & (truth == background)] = EXTRA
    _hatch(kinds, truth == ignore_index)
    return kinds


def _score(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"


def _class_legend(palette: Palette, class_names: Sequence[str], ignored: bool) -> list[Patch]:
    """Returns an entry a class that `overlay` draws, and one for ignored pixels when there are any."""
    classes = list(zip(class_names, palette, strict=True))
    drawn = classes[1:] if tuple(palette[0]) == BLACK else classes
    stripes = Patch(label="ignored", facecolor="0.69", edgecolor="0.38", linewidth=0, hatch="/////")
    return [patch(name, colour) for name, colour in drawn] + ([stripes] if ignored else [])


def _error_legend(class_names: Sequence[str]) -> list[Patch]:
    """Returns the kinds of error that these classes can have."""
    others = [name for name in class_names if name != "background"]
    kinds = [("missed", MISSED), ("extra", EXTRA)] if len(others) < len(class_names) else []
    kinds += [("wrong class", CONFUSED)] if len(others) > 1 else []
    return [patch(f"error: {kind}", colour) for kind, colour in kinds]
