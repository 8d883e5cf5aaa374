"""Writes a contact sheet: rows of tiles at their own pixels, titles above them, heads over the columns, a legend."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from segtrain.files import write_whole
from segtrain.printable import one_line

DPI = 100
GAP = 8  # pixels between tiles
FONT = 9  # points
LINE = 18  # pixels a line of text takes at FONT
LETTER = 7.6  # pixels an average letter takes at FONT
NARROWEST = 480  # pixels: room for a title over a single narrow image


class Row(NamedTuple):
    """Holds a row of a sheet: a title above it (none when empty) and its RGB tiles (H,W,3) uint8."""

    title: str
    tiles: list[npt.NDArray[np.uint8]]


class _Layout(NamedTuple):
    """Says where things go, in pixels from the top left."""

    width: int
    height: int
    pitch: int  # from one column to the next
    tops: list[int]  # of the rows' tiles
    titles: list[list[str]]  # the lines above each row
    legend_columns: int


def write_sheet(path: Path, heads: Sequence[str], rows: Sequence[Row], legend: Sequence[Patch]) -> None:
    """Writes the sheet as PNG; long titles are wrapped, never cut.

    Raises:
        UserError: the disk does not take it.
    """
    layout = _layout(heads, rows, legend)
    figure = Figure(figsize=(layout.width / DPI, layout.height / DPI), dpi=DPI)
    for lines, top in zip(layout.titles, layout.tops, strict=True):
        for index, line in enumerate(reversed(lines)):
            _text(figure, layout, line, GAP, top - GAP // 2 - LINE * index)
    for column, head in enumerate(heads):
        _text(figure, layout, head, GAP + column * layout.pitch, GAP + LINE - 2, "bold")
    _legend(figure, legend, layout.legend_columns)
    canvas = _drawn(figure, layout)
    for row, top in zip(rows, layout.tops, strict=True):
        for column, tile in enumerate(row.tiles):
            left = GAP + column * layout.pitch
            canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    write_whole(path, cv2.imencode(".png", canvas[..., ::-1])[1].tobytes())


def _drawn(figure: Figure, layout: _Layout) -> npt.NDArray[np.uint8]:
    """Returns the letters as RGB; tiles are laid over them, as matplotlib takes seconds to draw and pack large ones."""
    canvas = np.full((layout.height, layout.width, 3), 255, np.uint8)
    letters = _pixels(figure)[: layout.height, : layout.width]
    canvas[: letters.shape[0], : letters.shape[1]] = letters
    return canvas


def write_figure(figure: Figure, path: Path) -> None:
    """Writes the figure as PNG, whole; laid out and drawn once, where matplotlib's savefig does both twice."""
    written = cv2.imencode(".png", _pixels(figure)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 6])[1]
    write_whole(path, written.tobytes())


def _pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    """Returns the figure as RGB (H,W,3)."""
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib types neither draw nor buffer_rgba
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def letters_of(name: str) -> str:
    """Returns a name for a figure, in which matplotlib reads $ as mathematics and leaves out labels that begin with _.

    Characters that nothing can draw are shown as escapes, as on a terminal.
    """
    text = one_line(name).replace("$", r"\$")
    return f"\u200b{text}" if text.startswith("_") else text


def patch(label: str, colour: tuple[int, int, int]) -> Patch:
    """Returns a legend entry; colour in 0..255."""
    face = (colour[0] / 255, colour[1] / 255, colour[2] / 255)
    return Patch(label=letters_of(label), facecolor=face, edgecolor="0.3", linewidth=0.5)


def _layout(heads: Sequence[str], rows: Sequence[Row], legend: Sequence[Patch]) -> _Layout:
    pitch = GAP + max([1, *(tile.shape[1] for row in rows for tile in row.tiles)])
    width = max(GAP + pitch * max([1, *(len(row.tiles) for row in rows)]), NARROWEST)
    letters = int((width - 2 * GAP) / LETTER)
    titles = [textwrap.wrap(row.title, letters, break_on_hyphens=False) for row in rows]
    tops, y = [], GAP + (LINE if heads else 0)
    for row, lines in zip(rows, titles, strict=True):
        y += (LINE * len(lines) + GAP // 2) if lines else 0
        tops.append(y)
        y += GAP + max([1, *(tile.shape[0] for tile in row.tiles)])
    longest = max([1, *(len(str(entry.get_label())) for entry in legend)])
    columns = max(1, int(width // (LETTER * longest + 52)))  # 52: the colour patch and the space between
    height = y + (LINE * -(-len(legend) // columns) + GAP if legend else 0)
    return _Layout(width, height, pitch, tops, titles, columns)


def _text(figure: Figure, layout: _Layout, text: str, x: int, y: int, weight: str = "normal") -> None:
    """Writes a text with its lower edge `y` pixels below the top."""
    style: dict[str, Any] = {"va": "bottom", "fontsize": FONT, "fontweight": weight}
    figure.text(x / layout.width, 1 - y / layout.height, letters_of(text), **style)


def _legend(figure: Figure, entries: Sequence[Patch], columns: int) -> None:
    if not entries:
        return
    style: dict[str, Any] = {"fontsize": FONT, "labelspacing": 0.3, "handlelength": 1.4, "frameon": False}
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 0), "borderaxespad": 0.2}
    figure.legend(handles=list(entries), ncols=columns, **place, **style)
