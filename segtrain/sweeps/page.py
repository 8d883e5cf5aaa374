"""A report as a page: Markdown, and HTML in which everything is inside the file."""

import html
from collections.abc import Sequence
from pathlib import Path
from string import Template

from segtrain.sweeps import pictures, robustness_page, verdict
from segtrain.sweeps.figures import POINTS, Drawn
from segtrain.sweeps.findings import Findings, featured
from segtrain.sweeps.robustness import Robustness
from segtrain.sweeps.verdict import interval, points

TEMPLATE = Path(__file__).with_name("report.html")


def _intro(found: Findings) -> str:
    done = sum(run.finished for run in found.runs)
    images = sorted({len(run.images) for run in found.runs if run.finished})
    base = {c.baseline.name for c in found.contrasts}
    return (
        f"{done} of {len(found.runs)} runs finished, {len(found.arms)} arms, test images: "
        f"{' or '.join(map(str, images)) or 'none yet'}. Differences are in Dice points (hundredths), paired by "
        f"seed and image, against {' or '.join(sorted(base)) or 'nothing yet'}."
    )


METHOD = (
    "The unit is the paired difference d(seed, image) between an arm and its baseline, of the mean foreground Dice of "
    "one test image. Both runs of a seed share split, initial weights, order and shared draws. Seeds and images are "
    "both samples, crossed: interval and p come from the two-way random-effects model (variance of the mean from the "
    "mean squares of seeds and images less that of the rest, Satterthwaite's degrees of freedom); images of one group "
    "(patient) are averaged first. p is corrected for the number of arms (Holm). 'Wins in' is P(arm > baseline) over "
    "seeds, ties half. 'p, these images' is the sign-flip test over seeds: it answers for exactly these test images. "
    "Fewer than 5 seeds never yield 'better' or 'worse'. The arm is chosen on validation and confirmed on test. "
    "`scripts/validate_statistics.py` checks all of it by simulation."
)


def _conditions(found: Findings) -> list[str]:
    env = next((run.versions for run in found.runs if run.versions), {})
    packages = env.get("packages", {})
    named = [
        f"{name} {packages[name]}" for name in ("segtrain", "torch", "albumentations", "lightning") if name in packages
    ]
    kept = [f"{key.replace('_', ' ')} {env[key]}" for key in ("device", "threads", "precision", "python") if key in env]
    other = verdict.config_differences(found.runs)
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
            cells.append(f"{points(of.estimate.mean)} ({interval(of)})" if of else "")
        rows.append(cells)
    return rows


def markdown(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn]) -> str:
    """report.md: the same words and tables, figures by name."""
    lines = [f"# {found.title}", "", _intro(found), ""]
    lines += [f"> **Careful:** {warning}\n" for warning in found.warnings]
    lines += [f"- {sentence}" for sentence in verdict.sentences(found.choice, found.contrasts)]
    lines += ["", "Next:", *(f"- {step}" for step in verdict.next_steps(found.choice, found.contrasts)), ""]
    lines += _markdown_table(list(rows[0]), [list(row.values()) for row in rows])
    if len(found.by_class) > 1:
        lines += ["", "## By class", "", *_markdown_table(["arm", *found.by_class], _class_rows(found))]
    if found.robustness:
        heads, cells = robustness_page.table(found.robustness, found.arms)
        lines += ["", f"## {robustness_page.TITLE}", ""]
        lines += [f"- {sentence}" for sentence in robustness_page.sentences(found.robustness)]
        lines += ["", *_markdown_table(heads, cells), "", robustness_page.NOTE]
    for one in drawn:
        lines += ["", f"![{one.caption}](figures/{one.name}.png)", "", one.caption]
    lines += ["", "## Conditions", "", *(f"- {line}" for line in _conditions(found)), "", "## Method", "", METHOD, ""]
    return "\n".join(lines)


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    table = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in table]


def html_page(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn], svgs: dict[str, str]) -> str:
    """report.html."""
    filled = {"title": html.escape(found.title), "body": _body(found, rows, drawn, svgs)}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


def _body(found: Findings, rows: Sequence[dict[str, str]], drawn: Sequence[Drawn], svgs: dict[str, str]) -> str:
    said = verdict.sentences(found.choice, found.contrasts)
    parts = [f"<h1>{html.escape(found.title)}</h1>", f'<p class="soft">{html.escape(_intro(found))}</p>']
    parts += [f'<p class="warning">{html.escape(warning)}</p>' for warning in found.warnings]
    parts += [f'<p class="verdict">{html.escape(sentence)}</p>' for sentence in said]
    steps = "".join(f"<li>{html.escape(step)}</li>" for step in verdict.next_steps(found.choice, found.contrasts))
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
    parts.append(pictures.images_section(featured(found), svgs.get("images"), POINTS))
    parts += ["<h2>What the networks saw</h2>", pictures.sheets(found.arms)]
    parts += [f"<h2>Learning</h2>{pictures.figure(svgs[d.name], d.caption)}" for d in drawn if d.name == "learning"]
    conditions = "".join(f"<li>{html.escape(line)}</li>" for line in _conditions(found))
    parts.append(f"<h2>Conditions</h2><ul>{conditions}</ul><h2>Method</h2><p>{html.escape(METHOD)}</p>")
    return "\n".join(parts)


def _robustness(found: Findings, robust: Robustness, drawn: Sequence[Drawn], svgs: dict[str, str]) -> list[str]:
    said = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in robustness_page.sentences(robust))
    shown = [pictures.figure(svgs[one.name], one.caption) for one in drawn if one.name.startswith("robustness")]
    return [
        f"<h2>{robustness_page.TITLE}</h2><ul>{said}</ul>",
        pictures.side_by_side(shown),
        pictures.table(*robustness_page.table(robust, found.arms)),
        f'<p class="soft">{html.escape(robustness_page.NOTE)}</p>',
    ]
