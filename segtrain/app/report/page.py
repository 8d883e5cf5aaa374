"""Sets a report as a page: Markdown, and HTML in which everything is inside the file."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from segtrain.app.report import cautions, robustness, verdict
from segtrain.app.report.arms import Arm
from segtrain.app.report.contrasts import POINTS, Contrast
from segtrain.app.report.figures import Drawn
from segtrain.app.report.findings import Findings, featured
from segtrain.app.report.robustness import Robustness
from segtrain.app.report.verdict import own_interval, points
from segtrain.counted import counted
from segtrain.draw.html_page import Cell, figure, group, html_list, html_page, html_table, inline, own_text, paragraph
from segtrain.draw.pictures import THUMBNAIL, THUMBNAIL_COLUMNS, thumbnailed
from segtrain.errors import UserError
from segtrain.files import opened
from segtrain.printable import in_html, in_markdown
from segtrain.runs.folder import RunFolder

SHOWN = 4  # images that gain most, and that lose most
MOST_PIXELS = 1 << 26  # of a sheet: a run's own have a tenth of it
WIDE = 900  # pixels of a contact sheet in the page
COLOURED = ("better", "worse")  # verdicts, each a class of the style

STYLE, SCRIPT = (Path(__file__).with_name(name) for name in ("report.css", "report.js"))


def _intro(found: Findings) -> str:
    done = sum(run.finished for run in found.runs)
    images = sorted({len(run.images) for run in found.runs if run.finished})
    base = {c.baseline.name for c in found.contrasts}
    return (
        f"{done} of {counted(len(found.runs), 'run')} finished, {counted(len(found.arms), 'arm')}, test images a run: "
        f"{' or '.join(map(str, images)) or 'none yet'}. Differences are in Dice points (hundredths), paired by "
        f"seed and image, against {' or '.join(sorted(base)) or 'nothing yet'}."
    )


METHOD = (
    "The unit is the paired difference d(seed, image) between an arm and its baseline, of the mean foreground Dice of "
    "one test image. Both runs of a seed share split, initial weights, order and shared draws. An image that is empty "
    "in truth counts as 1 where nothing is predicted on it, else as 0 (the rule of the BraTS challenges). Images of "
    "one group (patient, scan, stack) are averaged first. Seeds and images are both samples, crossed: interval and p "
    "come from the two-way random-effects model, by its generalised pivotal quantity. Folds of one seed count as one "
    "repetition; where each seed has a split of its own, the images that splits share are counted in. p is corrected "
    "for the number of arms (Holm); an interval 'at once' holds together with those of all other arms, so also for the "
    "one that was chosen. 'Wins in' is P(arm > baseline) over repetitions, ties half. 'p, these images' is the "
    "sign-flip test over repetitions: it answers for exactly these test images. Fewer than 5 seeds never yield "
    "'better' or 'worse'. The arm is chosen on validation and judged on test. The intervals say nothing of another set "
    "to train on. `scripts/validate_statistics.py` checks all of it by simulation."
)


def _conditions(found: Findings) -> list[str]:
    env = next((run.versions for run in found.runs if run.versions), {})
    packages = env.get("packages", {})
    named = [
        f"{name} {packages[name]}" for name in ("segtrain", "torch", "albumentations", "lightning") if name in packages
    ]
    kept = [f"{key.replace('_', ' ')} {env[key]}" for key in ("device", "threads", "precision", "python") if key in env]
    other = cautions.config_differences(found.runs)
    return [
        f"Data fingerprint {', '.join(sorted({run.fingerprint for run in found.runs if run.fingerprint})) or 'none'}.",
        f"{'; '.join([*kept, *named])}; commit {str(env.get('segtrain_commit') or 'unknown')[:12]}.",
        f"Config keys that differ beside the swept ones: {', '.join(other) if other else 'none'}.",
    ]


def _class_rows(found: Findings) -> list[list[str]]:
    names = list(found.by_class)
    rows = []
    for contrast in found.contrasts:
        cells = [contrast.arm.name]
        for name in names:
            of = next((c for c in found.by_class[name] if c.arm.name == contrast.arm.name), None)
            cells.append(f"{points(of.estimate.mean)} ({own_interval(of)})" if of else "")
        rows.append(cells)
    return rows


EMPTY = "False positives on empty images"
EMPTY_NOTE = (
    "Test images whose truth holds nothing of the class (or of any class), each counted once a run, and on how many of "
    "them something is predicted. Runs of older versions do not say what the truth holds: there an image counts as "
    "empty where a run has no score of it."
)


def _empty_heads(found: Findings) -> list[str]:
    return [score.partition("/")[2] or "any class" for score in found.empty]


def _empty_rows(found: Findings) -> list[list[str]]:
    """Returns one row an arm; none where no test image is empty."""
    if not found.empty:
        return []
    return [[arm.name, *(str(of.get(arm.name, "")) for of in found.empty.values())] for arm in found.arms]


def set_markdown(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn]) -> str:
    """Returns report.md: the same words and tables, figures by name."""
    said = [*verdict.verdict_sentences(found.choice, found.contrasts, found.arms)]
    lines = [f"# {in_markdown(found.title)}", "", in_markdown(_intro(found)), ""]
    lines += [f"> **Careful:** {in_markdown(warning)}\n" for warning in found.warnings]
    lines += _markdown_bullets(said)
    lines += ["", "Next:", *_markdown_bullets(verdict.next_steps(found.choice, found.contrasts)), ""]
    lines += _markdown_table(list(rows[0]), [list(row.values()) for row in rows])
    if len(found.by_class) > 1:
        lines += ["", "## By class", "", *_markdown_table(["arm", *found.by_class], _class_rows(found))]
    if rows_of_empty := _empty_rows(found):
        lines += ["", f"## {EMPTY}", "", *_markdown_table(["arm", *_empty_heads(found)], rows_of_empty), "", EMPTY_NOTE]
    if found.robustness:
        heads, cells = robustness.robustness_table(found.robustness, found.arms)
        lines += ["", f"## {robustness.TITLE}", ""]
        lines += _markdown_bullets(robustness.robustness_sentences(found.robustness, found.arms))
        lines += ["", *_markdown_table(heads, cells), "", robustness.NOTE]
    for one in drawn:
        caption = in_markdown(one.caption)
        lines += [
            "",
            f"![{caption}](<figures/{one.name}.png>)" if " " in one.name else f"![{caption}](figures/{one.name}.png)",
            "",
            caption,
        ]
    lines += ["", "## Conditions", "", *_markdown_bullets(_conditions(found)), "", "## Method", "", METHOD, ""]
    return "\n".join(lines)


def _markdown_bullets(sentences: Iterable[str]) -> list[str]:
    return [f"- {in_markdown(sentence)}" for sentence in sentences]


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    table = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(map(in_markdown, row))} |" for row in table]


def set_html(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn], svgs: dict[str, str]) -> str:
    """Returns report.html."""
    return html_page(found.title, _parts(found, rows, drawn, svgs), STYLE, own_text(SCRIPT))


def _parts(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn], svgs: dict[str, str]) -> list[str]:
    said = verdict.verdict_sentences(found.choice, found.contrasts, found.arms)
    parts = [f"<h1>{in_html(found.title)}</h1>", paragraph(_intro(found), "soft")]
    parts += [paragraph(warning, "warning") for warning in found.warnings]
    parts += [paragraph(sentence, "verdict") for sentence in said]
    parts += ["<h2>What to do next</h2>" + html_list(verdict.next_steps(found.choice, found.contrasts))]
    parts += ["<h2>The arms</h2>", _table(list(rows[0]), [list(row.values()) for row in rows])]
    parts.append(_figures(svgs, [d for d in drawn if d.name in ("dose-response", "differences")]))
    if found.robustness:
        parts += _robustness(found, found.robustness, drawn, svgs)
    if len(found.by_class) > 1:
        parts += ["<h2>By class</h2>", _table(["arm", *found.by_class], _class_rows(found))]
        parts.append(_figures(svgs, [d for d in drawn if d.name.startswith("dose-response-")]))
    if rows_of_empty := _empty_rows(found):
        parts += [f"<h2>{EMPTY}</h2>", _table(["arm", *_empty_heads(found)], rows_of_empty)]
        parts.append(paragraph(EMPTY_NOTE, "soft"))
    parts.append(images_section(featured(found), svgs.get("images"), POINTS))
    parts += ["<h2>What the networks saw</h2>", sheets(found.arms)]
    parts += [f"<h2>Learning</h2>{_figure_of(svgs[d.name], d.caption)}" for d in drawn if d.name == "learning"]
    parts.append(f"<h2>Conditions</h2>{html_list(_conditions(found))}<h2>Method</h2>{paragraph(METHOD)}")
    return parts


def _robustness(found: Findings, robust: Robustness, drawn: Sequence[Drawn], svgs: dict[str, str]) -> list[str]:
    return [
        f"<h2>{robustness.TITLE}</h2>" + html_list(robustness.robustness_sentences(robust, found.arms)),
        _figures(svgs, [one for one in drawn if one.name.startswith("robustness")]),
        _table(*robustness.robustness_table(robust, found.arms)),
        paragraph(robustness.NOTE, "soft"),
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table that sorts by a click on a head: by numbers, where cells begin with one."""
    return html_table(heads, [[_cell(text) for text in row] for row in rows], sorts=True)


def _cell(text: str) -> Cell:
    number = text.split(" ")[0].replace("%", "")
    try:
        value = str(float(number))
    except ValueError:
        value = ""
    return Cell(in_html(text), text if text in COLOURED else "", value)


def _figures(svgs: dict[str, str], drawn: Sequence[Drawn]) -> str:
    """Returns figures in a row, as many as there is room for."""
    return group("strip", [_figure_of(svgs[one.name], one.caption) for one in drawn])


def _figure_of(svg: str, caption: str) -> str:
    return figure(inline(svg.encode(), "svg+xml"), caption)


def images_section(contrast: Contrast | None, svg: str | None, unit: float) -> str:
    """Returns which test images win and lose under an arm, with the largest shown; empty without images in common."""
    if contrast is None or svg is None:
        return ""
    ordered = sorted(contrast.of_images, key=lambda name: -contrast.of_images[name])
    parts = ["<h2>Image by image</h2>", _figure_of(svg, f"{contrast.arm.name} against {contrast.baseline.name}")]
    gain = [name for name in ordered if contrast.of_images[name] > 0]
    lose = [name for name in reversed(ordered) if contrast.of_images[name] < 0]
    for words, names in (("Gain most", gain[:SHOWN]), ("Lose most", lose[:SHOWN])):
        shown = [_thumbnail(contrast, name, unit) for name in names]
        if any(shown):
            parts.append(f"<h3>{words}</h3>{group('strip', shown)}")
    note = "Pairs: truth, then prediction; the baseline above, the arm below; first seed with it."
    parts.append(paragraph(note, "soft"))
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
    return figure(_webp(both), f"{name}: {unit * contrast.of_images[name]:+.2f}")


def sheets(arms: Sequence[Arm]) -> str:
    """Returns what the network saw, of each arm's first seed."""
    parts = []
    for arm in arms:
        path = next((RunFolder(run.path).augmented for run in arm.runs.values()), Path())
        picture = _picture_of(path)
        if picture is None:
            continue
        picture.thumbnail((WIDE, 10 * WIDE))
        words = in_html(arm.name)
        parts.append(f"<details><summary>{words}</summary>{figure(_webp(picture), arm.name)}</details>")
    return "".join(parts)


def _picture_of(path: Path) -> Image.Image | None:
    """Returns a picture that a run has drawn; None where there is none, or something else in its place."""
    try:
        with opened(path) as file, Image.open(file, formats=("PNG", "JPEG")) as picture:
            return picture.convert("RGB") if picture.width * picture.height <= MOST_PIXELS else None
    except (OSError, ValueError, SyntaxError, UserError, Image.DecompressionBombError):
        return None


def _webp(picture: Image.Image) -> str:
    memory = io.BytesIO()
    picture.save(memory, "WEBP", quality=80)  # half the bytes of a JPEG that looks the same
    return inline(memory.getvalue(), "webp")
