"""The parts of a report's page: tables, figures, thumbnails and contact sheets, all inside the file."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from segtrain.app.report.arms import Arm
from segtrain.app.report.contrasts import Contrast
from segtrain.draw.pictures import THUMBNAIL, THUMBNAIL_COLUMNS, thumbnailed
from segtrain.errors import UserError
from segtrain.files import opened
from segtrain.printable import in_html
from segtrain.runs.folder import RunFolder

SHOWN = 4  # images that gain most, and that lose most
MOST_PIXELS = 1 << 26  # of a sheet: a run's own have a tenth of it
WIDE = 900  # pixels of a contact sheet in the page
CLASSES = {"better": "better", "worse": "worse"}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that sorts by a click on a head."""
    head = "".join(f'<th data-sort="none">{in_html(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(_cell(text) for text in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    number = text.split(" ")[0].replace("%", "")
    try:
        value = f' data-value="{float(number)}"'
    except ValueError:
        value = ""
    kind = f' class="{CLASSES[text]}"' if text in CLASSES else ""
    return f"<td{kind}{value}>{in_html(text)}</td>"


def figure(svg: str, caption: str) -> str:
    """A figure from its SVG."""
    data = base64.b64encode(svg.encode()).decode()
    return _figure(f"data:image/svg+xml;base64,{data}", caption)


def side_by_side(figures: Sequence[str]) -> str:
    """Figures in a row, as many as there is room for."""
    return f'<div class="strip">{"".join(figures)}</div>'


def _figure(source: str, caption: str) -> str:
    words = in_html(caption)
    return f'<figure><img alt="{words}" src="{source}"><figcaption>{words}</figcaption></figure>'


def images_section(contrast: Contrast | None, svg: str | None, unit: float) -> str:
    """Which test images win and lose under an arm, with the largest shown; empty without images in common."""
    if contrast is None or svg is None:
        return ""
    ordered = sorted(contrast.of_images, key=lambda name: -contrast.of_images[name])
    parts = ["<h2>Image by image</h2>", figure(svg, f"{contrast.arm.name} against {contrast.baseline.name}")]
    gain = [name for name in ordered if contrast.of_images[name] > 0]
    lose = [name for name in reversed(ordered) if contrast.of_images[name] < 0]
    for words, names in (("Gain most", gain[:SHOWN]), ("Lose most", lose[:SHOWN])):
        shown = [_thumbnail(contrast, name, unit) for name in names]
        if any(shown):
            parts.append(f"<h3>{words}</h3>{side_by_side(shown)}")
    parts.append(
        '<p class="soft">Pairs: truth, then prediction; the baseline above, the arm below; first seed with it.</p>'
    )
    return "".join(parts)


def _thumbnail(contrast: Contrast, name: str, unit: float) -> str:
    ours, theirs = contrast.arm.finished, contrast.baseline.finished
    first = next(rep for rep in ours if rep in theirs and name in ours[rep].images)
    tiles = []
    for run in (theirs[first], ours[first]):
        sheet = RunFolder(run.path).thumbnails
        shown = thumbnailed(list(run.images))
        if name not in shown:
            return ""
        row, column = divmod(shown.index(name), THUMBNAIL_COLUMNS)
        left, top = 2 * THUMBNAIL * column, THUMBNAIL * row
        picture = _picture_of(sheet)
        if picture is None:
            return ""
        tiles.append(picture.crop((left, top, left + 2 * THUMBNAIL, top + THUMBNAIL)))
    both = Image.new("RGB", (tiles[0].width, 2 * tiles[0].height))
    for i, cut in enumerate(tiles):
        both.paste(cut, (0, i * tiles[0].height))
    return _figure(_inline(both), f"{name}: {unit * contrast.of_images[name]:+.2f}")


def sheets(arms: Sequence[Arm]) -> str:
    """Each arm's augmented.png of its first seed."""
    parts = []
    for arm in arms:
        path = next((RunFolder(run.path).augmented for run in arm.runs.values()), Path())
        picture = _picture_of(path)
        if picture is None:
            continue
        picture.thumbnail((WIDE, 10 * WIDE))
        words = in_html(arm.name)
        parts.append(f"<details><summary>{words}</summary>{_figure(_inline(picture), arm.name)}</details>")
    return "".join(parts)


def _picture_of(path: Path) -> Image.Image | None:
    """Returns a picture that a run has drawn; None where there is none, or something else in its place."""
    try:
        with opened(path) as file, Image.open(file, formats=("PNG", "JPEG")) as picture:
            return picture.convert("RGB") if picture.width * picture.height <= MOST_PIXELS else None
    except (OSError, ValueError, SyntaxError, UserError, Image.DecompressionBombError):
        return None


def _inline(picture: Image.Image) -> str:
    memory = io.BytesIO()
    picture.save(memory, "WEBP", quality=80)  # half the bytes of a JPEG that looks the same
    return f"data:image/webp;base64,{base64.b64encode(memory.getvalue()).decode()}"
