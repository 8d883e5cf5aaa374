"""Makes check.html: the table of the audit, and pictures of the samples that it is about, all inside the file."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from segtrain.app.check.data_audit import AuditedData
from segtrain.area import shrink_labels
from segtrain.files import opened
from segtrain.printable import in_html

TEMPLATE = Path(__file__).with_name("check.html")
SIDE = 160  # pixels of a thumbnail
SAMPLES, GROUPS, OF_GROUP = 12, 8, 12  # shown of a line, and of a group of it
MOST_CODES = 6  # values outside the classes named under a mask
VERDICTS = ("fail", "warn", "ok", "unmeasured")


def render_check(report: Mapping[str, Any], lines: Sequence[Any], data: AuditedData) -> str:
    """Returns the page: what is wrong first, with pictures; then all lines; then pictures of what is worth a look."""
    counts = ", ".join(f"{sum(line.verdict == verdict for line in lines)} {verdict}" for verdict in VERDICTS[:3])
    parts = [f"<h1>{in_html(report['title'])}</h1>"]
    parts.append(f'<p class="verdict {report["verdict"]}">Verdict: {report["verdict"]} ({counts}).</p>')
    parts.append('<p class="soft">The same, with every sample that a line is about, stands in check.json.</p>')
    parts += [_section(line, data) for verdict in ("fail", "warn") for line in lines if line.verdict == verdict]
    rest = lines[len(data.lines) :]
    parts += [
        f"<h2>{head}</h2>{_table(some)}"
        for head, some in (("The data", data.lines), ("The augmentation", rest))
        if some
    ]
    parts += [_section(line, data) for line in data.lines if line.verdict == "ok" and line.samples]
    filled = {"title": in_html(report["title"]), "body": "\n".join(parts)}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


def _table(lines: Sequence[Any]) -> str:
    rows = []
    for line in lines:
        cells = [line.check, line.shown, line.verdict, line.threshold if line.threshold != "none" else "", line.meaning]
        kinds = ["", "", f' class="{line.verdict}"', "", ""]
        row = "".join(f"<td{kind}>{in_html(cell)}</td>" for cell, kind in zip(cells, kinds, strict=True))
        rows.append(f"<tr>{row}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("check", "value", "verdict", "threshold", "meaning"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _section(line: Any, data: AuditedData) -> str:
    """Returns a line with pictures of the samples that it is about, if it is about any."""
    head = f'<h2>{in_html(line.check)} <span class="{line.verdict}">{line.verdict}</span></h2>'
    words = f'<p>{in_html(line.shown)}</p><p class="soft">{in_html(line.meaning)}</p>'
    samples, groups = getattr(line, "samples", ()), getattr(line, "groups", ())
    strips = [_group(group, data) for group in groups[:GROUPS]]
    inner = f'<div class="strip">{"".join(strips)}</div>' if groups else _strip(samples[:SAMPLES], data)
    more = len(groups) - GROUPS if groups else len(samples) - SAMPLES
    rest = f'<p class="soft">and {more} more, in check.json</p>' if more > 0 else ""
    return f"{head}{words}{inner}{rest}"


def _group(names: Sequence[str], data: AuditedData) -> str:
    """Returns the samples of a group, and how many of them are not shown."""
    more = len(names) - OF_GROUP
    rest = f'<p class="soft">and {more} more of this group: {in_html(", ".join(names[OF_GROUP:]))}</p>'
    return _strip(names[:OF_GROUP], data, " group") + (rest if more > 0 else "")


def _strip(names: Sequence[str], data: AuditedData, kind: str = "") -> str:
    return f'<div class="strip{kind}">{"".join(_figure(name, data) for name in names)}</div>' if names else ""


def _figure(name: str, data: AuditedData) -> str:
    """Returns image and labels of a sample side by side; of one that cannot be read what can be shown of its files."""
    if data.facts is None or data.dataset is None:
        return f'<figure><div class="noimage">{in_html(name)}</div></figure>'
    part = data.facts.part_of.get(name, "")
    words = in_html(f"{name} ({part})" if part else name)
    if name in data.facts.seen:
        tiles = _labelled(data, data.dataset.ids.index(name))
        return f'<figure><img alt="{words}" src="{_inline(tiles)}"><figcaption>{words}</figcaption></figure>'
    if name not in data.facts.unread:  # a file that no sample is made of
        return f'<figure><div class="noimage">{words}</div></figure>'
    codes = list(data.facts.unread[name].codes)[:MOST_CODES]
    words = f"{words}: {in_html(', '.join(codes))}" if codes else words
    rest = _raw(data, data.dataset.ids.index(name))
    picture = f'<img alt="{words}" src="{_inline(rest)}">' if rest else '<div class="noimage">no picture</div>'
    return f"<figure>{picture}<figcaption>{words}</figcaption></figure>"


def _labelled(data: AuditedData, index: int) -> list[Image.Image]:
    from segtrain.draw.pictures import overlay, to_rgb  # matplotlib behind it takes half a second to import

    assert data.dataset is not None
    image, mask = data.dataset.read(index)
    scale = SIDE / max(mask.shape)
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    shown = Image.fromarray(to_rgb(image)).resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)
    labels = (
        shrink_labels(mask, size)
        if scale < 1
        else np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    )
    over = overlay(np.asarray(shown), labels, data.dataset.palette, data.dataset.ignore_index)
    return [shown, Image.fromarray(over)]


def _raw(data: AuditedData, index: int) -> list[Image.Image]:
    """Returns what can be shown of a sample's files, if the dataset has any: broken ones as far as they decode."""
    files = getattr(data.dataset, "files", None)
    tiles = []
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        for path in files(index)[:2] if files else ():
            tiles += _as_stored(path)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
    return tiles


def _as_stored(path: Path) -> list[Image.Image]:
    """Returns the picture, grey values stretched to what they span: labels 0, 1, 2 can then be told apart."""
    try:
        with opened(path) as file, Image.open(file) as picture:
            picture.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
            if picture.mode in ("RGB", "RGBA", "P", "CMYK", "YCbCr"):
                return [picture.convert("RGB")]
            values = np.asarray(picture, np.float32)
    except Exception:  # nothing to show
        return []
    low, high = float(values.min()), float(values.max())
    grey = ((values - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    return [Image.fromarray(grey).convert("RGB")] if grey.ndim == 2 else []


def _inline(tiles: Sequence[Image.Image]) -> str:
    sheet = Image.new("RGB", (sum(tile.width for tile in tiles), max(tile.height for tile in tiles)), "white")
    left = 0
    for tile in tiles:
        sheet.paste(tile, (left, 0))
        left += tile.width
    memory = io.BytesIO()
    sheet.save(memory, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(memory.getvalue()).decode()}"
