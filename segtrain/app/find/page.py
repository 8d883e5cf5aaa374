"""Sets find.html: the answer in a sentence, the confirmed gain, the race, what each arm cost, and what to do next."""

import math
from collections.abc import Mapping, Sequence

from segtrain.app.find.answer import ArmAnswer, Costs, FindAnswer, RaceAnswer
from segtrain.app.find.compared import behind_leader, mean_score, seeds_of_drop, waits
from segtrain.app.find.figures import find_figures
from segtrain.app.find.gain_words import confirmation_sentences
from segtrain.app.find.length_words import curves_by_arm, length_sentences
from segtrain.app.find.line_ends import NARROW
from segtrain.app.find.next_steps import Asked, NextStep, next_steps_of
from segtrain.app.find.phrasing import bound, outward, size
from segtrain.app.find.race_words import answer_sentences
from segtrain.app.find.words import cost_sentences, guarantee_sentences, spread_sentence
from segtrain.app.report.contrasts import POINTS
from segtrain.app.report.figures import svg_text, write_drawn
from segtrain.app.report.page import SCRIPT, STYLE
from segtrain.app.report.verdict import points
from segtrain.counted import counted
from segtrain.draw.html_page import Cell, figure, group, html_list, html_page, html_table, inline, own_text, paragraph
from segtrain.files import followed, make_own, write_whole
from segtrain.printable import in_html

PAGE, FIGURES = "find.html", "figures"
ARM_HEADS = (
    "arm",
    "state",
    "mean val/dice",
    "points behind the leader",
    "at stake, points",
    "what happened",
    "seeds",
    "minutes",
)
LENGTH_HEADS = ("arm", "length", "points over none", "95 % interval", "seeds")
READING = (
    "Points are hundredths of Dice. The mean is over an arm's own seeds; how far it is behind the leader is over the "
    "seeds that both have. At stake is what training with an arm loses at most against the best one, with 95 % "
    "confidence. The mildest is training without augmentation, else the arm with the lowest training loss. Where "
    "many are left, those with the best means run on first, and the others wait. Seeds and minutes are those of the "
    "race."
)


def write_find_page(answer: FindAnswer, costs: Costs, asked: Asked) -> None:
    """Writes find.html and its figures, as PNG and SVG, into the folder of the find.

    Raises:
        UserError: the disk does not take it.
    """
    folder = followed(asked.folder)
    make_own(folder / FIGURES, folder)
    wide = {one.name: (one.caption, write_drawn(one, folder / FIGURES)) for one in find_figures(answer)}
    narrow = {one.name: svg_text(one) for one in find_figures(answer, NARROW)}
    figures = {name: figure(_address(svg), caption, _address(narrow[name])) for name, (caption, svg) in wide.items()}
    write_whole(folder / PAGE, render_find(answer, costs, asked, figures))


def _address(svg: str) -> str:
    return inline(svg.encode(), "svg+xml")


def render_find(answer: FindAnswer, costs: Costs, asked: Asked, figures: Mapping[str, str]) -> str:
    """Returns find.html, in which everything is inside the file.

    Args:
        answer: what was found.
        costs: what it took.
        asked: the command, of which the next ones are made.
        figures: HTML by name: race, gain, lengths, as far as there is something for them.
    """
    first, *others = answer_sentences(answer)
    cautions = answer.confirmation.cautions if answer.confirmation else ()
    parts = [f"<h1>{in_html(answer.title)}</h1>", paragraph(_intro(answer, costs), "soft")]
    parts += [paragraph(first, "verdict"), *(paragraph(one) for one in others)]
    parts += ["<h2>The gain on the test images</h2>", *(paragraph(one) for one in confirmation_sentences(answer))]
    parts += [*(paragraph(one, "warning") for one in cautions), figures.get("gain", "")]
    parts += ["<h2>The race</h2>", figures["race"]] if "race" in figures else []
    parts += ["<h2>What to do next</h2>", _steps(next_steps_of(answer, costs, asked))]
    parts += ["<h2>The arms</h2>", _arms(answer.race, costs), paragraph(READING, "soft")]
    if answer.lengths:
        parts += ["<h2>Longer training</h2>", *(paragraph(one) for one in length_sentences(answer))]
        parts += [group("strip", [figures["lengths"]]) if "lengths" in figures else "", _lengths(answer)]
    parts += ["<h2>What this means, and what not</h2>", html_list(guarantee_sentences(answer))]
    parts += ["<h2>What it took</h2>", paragraph(" ".join([*cost_sentences(costs), spread_sentence(answer.race)]))]
    return html_page(answer.title, parts, STYLE, own_text(SCRIPT))


def _intro(answer: FindAnswer, costs: Costs) -> str:
    race, runs = answer.race, costs.race_runs + costs.confirming_runs + costs.length_runs
    return (
        f"Which augmentation is best for {answer.dataset}? {counted(len(race.arms), 'arm')}, "
        f"{counted(runs, 'training')} in all. Points are Dice points (hundredths)."
    )


def _steps(steps: Sequence[NextStep]) -> str:
    items = []
    for step in steps:
        command = f'<div class="wide"><code>{in_html(step.command)}</code></div>' if step.command else ""
        items.append(f"<li>{in_html(step.words)}{command}</li>")
    return f"<ul>{''.join(items)}</ul>"


def _arms(race: RaceAnswer, costs: Costs) -> str:
    """Returns the table of arms: those left first, by their order, then the dropped, the last of them first."""
    took = {cost.arm: cost for cost in costs.arms}
    places = {name: i for i, name in enumerate(race.left)}
    order = {"left": 0, "dropped": 1, "failed": 2}
    arms = sorted(
        race.arms,
        key=lambda arm: (order[arm.state], places.get(arm.name, 0), -(arm.seed or 0), behind_leader(arm, race) or 0.0),
    )
    rows = []
    for arm in arms:
        cost = took.get(arm.name)
        rows.append(
            [
                _text(arm.name),
                _text(arm.state),
                _number(mean_score(arm), "{:.4f}"),
                _behind(arm, race),
                _number(arm.stake, "{:.6f}", None if arm.stake is None else bound(arm.stake)),
                _text(_happened(arm, race)),
                _text(str(len([score for score in arm.scores if score is not None]))),
                _number(cost.seconds / 60 if cost else None, "{:.1f}"),
            ]
        )
    return html_table(ARM_HEADS, rows, sorts=True)


def _behind(arm: ArmAnswer, race: RaceAnswer) -> Cell:
    behind = behind_leader(arm, race)
    shown = "leads" if arm.name == race.leader else None if behind is None else f"{POINTS * behind:.2f}"
    return _number(behind, "{:.6f}", shown)


def _happened(arm: ArmAnswer, race: RaceAnswer) -> str:
    if arm.state == "failed":
        return f"failed at seed {arm.seed}: {arm.error}"
    if arm.state == "dropped":
        told = f"out {seeds_of_drop(arm)}"
        if arm.by is None or arm.limit is None or not arm.behind:
            return told
        return f"{told}, {size(arm.by)} behind {arm.behind}, limit {size(arm.limit)}"
    said = [f"waits after {counted(len(arm.scores), 'seed')}"] if waits(arm, race) else []
    said += ["the mildest of those left"] if arm.name == race.mildest and len(race.left) > 1 else []
    return "; ".join(said)


def _lengths(answer: FindAnswer) -> str:
    rows = [
        [
            _text(arm),
            Cell(f"{point.factor:g} ×", value=f"{point.factor:g}"),
            _number(point.gain, "{:.6f}", points(point.gain)),
            _text(outward(point.low, point.high)),
            _text(str(point.seeds)),
        ]
        for arm, curve in curves_by_arm(answer).items()
        for point in curve
    ]
    return html_table(LENGTH_HEADS, rows, sorts=True)


def _text(text: str) -> Cell:
    return Cell(in_html(text))


def _number(value: float | None, form: str, shown: str | None = None) -> Cell:
    """Returns a number as a cell that sorts by it."""
    if value is None or math.isnan(value):
        return Cell("")
    return Cell(in_html(form.format(value) if shown is None else shown), value=f"{value:.9g}")
