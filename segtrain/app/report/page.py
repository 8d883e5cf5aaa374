"""A report as a page: Markdown, and HTML in which everything is inside the file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from segtrain.app.report import cautions as caution
from segtrain.app.report import page_parts as pictures
from segtrain.app.report import robustness_page, verdict
from segtrain.app.report.figures import POINTS, Drawn
from segtrain.app.report.findings import Findings, featured
from segtrain.app.report.robustness import Robustness
from segtrain.app.report.verdict import own_interval, points
from segtrain.counted import counted
from segtrain.printable import in_html, in_markdown

TEMPLATE = Path(__file__).with_name("report.html")


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
    other = caution.config_differences(found.runs)
    return [
        f"Data fingerprint {', '.join(sorted({run.fingerprint for run in found.runs if run.fingerprint})) or 'none'}.",
        f"{'; '.join([*kept, *named])}; commit {str(env.get('segtrain_commit'))[:12]}.",
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
    """One row an arm; none where no test image is empty."""
    if not found.empty:
        return []
    return [[arm.name, *(str(of.get(arm.name, "")) for of in found.empty.values())] for arm in found.arms]


def markdown(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn]) -> str:
    """report.md: the same words and tables, figures by name."""
    said = [*verdict.sentences(found.choice, found.contrasts, found.arms)]
    lines = [f"# {in_markdown(found.title)}", "", in_markdown(_intro(found)), ""]
    lines += [f"> **Careful:** {in_markdown(warning)}\n" for warning in found.warnings]
    lines += _bullets(said)
    lines += ["", "Next:", *_bullets(verdict.next_steps(found.choice, found.contrasts)), ""]
    lines += _markdown_table(list(rows[0]), [list(row.values()) for row in rows])
    if len(found.by_class) > 1:
        lines += ["", "## By class", "", *_markdown_table(["arm", *found.by_class], _class_rows(found))]
    if rows_of_empty := _empty_rows(found):
        lines += ["", f"## {EMPTY}", "", *_markdown_table(["arm", *_empty_heads(found)], rows_of_empty), "", EMPTY_NOTE]
    if found.robustness:
        heads, cells = robustness_page.table(found.robustness, found.arms)
        lines += ["", f"## {robustness_page.TITLE}", ""]
        lines += _bullets(robustness_page.sentences(found.robustness, found.arms))
        lines += ["", *_markdown_table(heads, cells), "", robustness_page.NOTE]
    for one in drawn:
        caption = in_markdown(one.caption)
        lines += [
            "",
            f"![{caption}](<figures/{one.name}.png>)" if " " in one.name else f"![{caption}](figures/{one.name}.png)",
            "",
            caption,
        ]
    lines += ["", "## Conditions", "", *_bullets(_conditions(found)), "", "## Method", "", METHOD, ""]
    return "\n".join(lines)


def _bullets(sentences: Iterable[str]) -> list[str]:
    return [f"- {in_markdown(sentence)}" for sentence in sentences]


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    table = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(map(in_markdown, row))} |" for row in table]


def html_page(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn], svgs: dict[str, str]) -> str:
    """report.html."""
    filled = {"title": in_html(found.title), "body": _body(found, rows, drawn, svgs)}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


def _body(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn], svgs: dict[str, str]) -> str:
    said = verdict.sentences(found.choice, found.contrasts, found.arms)
    parts = [f"<h1>{in_html(found.title)}</h1>", f'<p class="soft">{in_html(_intro(found))}</p>']
    parts += [f'<p class="warning">{in_html(warning)}</p>' for warning in found.warnings]
    parts += [f'<p class="verdict">{in_html(sentence)}</p>' for sentence in said]
    steps = "".join(f"<li>{in_html(step)}</li>" for step in verdict.next_steps(found.choice, found.contrasts))
    parts += [f"<h2>What to do next</h2><ul>{steps}</ul>", "<h2>The arms</h2>"]
    parts.append(pictures.table(list(rows[0]), [list(row.values()) for row in rows]))
    shown = [pictures.figure(svgs[d.name], d.caption) for d in drawn if d.name in ("dose-response", "differences")]
    parts.append(pictures.side_by_side(shown))
    if found.robustness:
        parts += _robustness(found, found.robustness, drawn, svgs)
    if len(found.by_class) > 1:
        parts += ["<h2>By class</h2>", pictures.table(["arm", *found.by_class], _class_rows(found))]
        shown = [pictures.figure(svgs[d.name], d.caption) for d in drawn if d.name.startswith("dose-response-")]
        parts.append(pictures.side_by_side(shown))
    if rows_of_empty := _empty_rows(found):
        parts += [f"<h2>{EMPTY}</h2>", pictures.table(["arm", *_empty_heads(found)], rows_of_empty)]
        parts.append(f'<p class="soft">{in_html(EMPTY_NOTE)}</p>')
    parts.append(pictures.images_section(featured(found), svgs.get("images"), POINTS))
    parts += ["<h2>What the networks saw</h2>", pictures.sheets(found.arms)]
    parts += [f"<h2>Learning</h2>{pictures.figure(svgs[d.name], d.caption)}" for d in drawn if d.name == "learning"]
    conditions = "".join(f"<li>{in_html(line)}</li>" for line in _conditions(found))
    parts.append(f"<h2>Conditions</h2><ul>{conditions}</ul><h2>Method</h2><p>{in_html(METHOD)}</p>")
    return "\n".join(parts)


def _robustness(found: Findings, robust: Robustness, drawn: Sequence[Drawn], svgs: dict[str, str]) -> list[str]:
    said = "".join(f"<li>{in_html(sentence)}</li>" for sentence in robustness_page.sentences(robust, found.arms))
    shown = [pictures.figure(svgs[one.name], one.caption) for one in drawn if one.name.startswith("robustness")]
    return [
        f"<h2>{robustness_page.TITLE}</h2><ul>{said}</ul>",
        pictures.side_by_side(shown),
        pictures.table(*robustness_page.table(robust, found.arms)),
        f'<p class="soft">{in_html(robustness_page.NOTE)}</p>',
    ]
