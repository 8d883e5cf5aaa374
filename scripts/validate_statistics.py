"""Are the report's statistics right? Sweeps are simulated, and the report's own functions held against the truth.

    python scripts/validate_statistics.py                 some minutes; writes docs/statistics.md with --write
    python scripts/validate_statistics.py --draws 500     a look

A simulated difference of two arms, by seed and image, is gain + effect of the seed + of the training on a fold + of the
image + rest, times the image's headroom where Dice is skewed: images that are nearly right already move little. It goes
through `segtrain.app.report.design.arrange`, as the report's differences do, so that the design is recognised, not
told. Printed for each: how often no gain is called one at alpha = .05, how often the 95 % interval holds the true gain,
how often a gain of 2 points is found; beside it the coverage of Student's interval over repetitions and over images,
which forget the other source of chance. A second table picks the best of many arms without an effect and asks whether
the interval of the picked one holds. Exit status 1 when false positives exceed 6 %, or coverage is below 94 % (93 %
where Dice is skewed or there are fewer than 8 seeds); where the report settles nothing, as with few patients, 10 %.
"""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segtrain.app.report import cross_checks, paired
from segtrain.app.report.design import ScoreTable, arrange
from segtrain.app.report.read_runs import Repetition

ALPHA = 0.05
MOST_FALSE, LEAST, LEAST_SMALL = 0.06, 0.94, 0.93
MOST_UNSETTLED = 0.10  # where the report settles nothing
GAIN = 0.02  # Dice, of the power column
PAGE = Path(__file__).resolve().parents[1] / "docs" / "statistics.md"
Values = dict[Repetition, dict[str, float]]


class Setting(NamedTuple):
    """A kind of sweep; standard deviations in Dice."""

    name: str
    seeds: int = 8
    images: int = 30
    seed_sd: float = 0.01
    image_sd: float = 0.02
    rest_sd: float = 0.02
    skewed: bool = False  # image effects exponential, times a skewed headroom
    ties: float = 0.0  # share of images on which arms never differ
    empty: float = 0.0  # share of images that are empty: each run hallucinates on some of them, or not
    groups: tuple[int, ...] = ()  # images of each patient; the patient's effect is the image effect's size
    folds: int = 1  # of each seed
    training_sd: float = 0.0  # of the training on a fold by a seed
    own: float = 0.0  # share of the images that each seed draws for its own test set; 0: all test the same
    missing: int = 0  # seeds of which one arm has no run
    draws: int = 0  # of the split, each with all seeds; 0: each seed its own, or one for all
    lacks: bool = False  # the last seed lacks its last fold

    @property
    def settles(self) -> bool:
        """Whether the report calls anything better or worse without reserve here."""
        return not self.groups or len(self.groups) == 1 or len(self.groups) >= paired.SETTLING_UNITS

    @property
    def small(self) -> bool:
        return self.skewed or self.seeds - self.missing < 8 or bool(self.empty)

    def draw(self, gain: float, rng: np.random.Generator) -> tuple[Values, dict[str, str]]:
        """Differences by repetition and image, whose expectation is `gain`, and the group of each image."""
        sizes = self.groups or (1,) * self.images
        group = np.repeat(np.arange(len(sizes)), sizes)
        images, seeds = len(group), self.seeds - self.missing
        of_images = rng.exponential(1, len(sizes)) - 1 if self.skewed else rng.standard_normal(len(sizes))
        headroom = rng.gamma(2, 0.5, len(sizes)) if self.skewed else np.ones(len(sizes))
        differs = (rng.random(images) >= self.ties) / (1 - self.ties)
        fold = np.arange(images) * self.folds // images
        training = self.training_sd * rng.standard_normal((seeds, self.folds))[:, fold]
        rest = self.rest_sd * rng.standard_normal((seeds, images))
        shared = gain + self.seed_sd * rng.standard_normal((seeds, 1)) + training
        table = (shared + self.image_sd * of_images[group] + rest) * headroom[group] * differs
        table = self._with_empty(table, gain, rng)
        names = [f"i{j}" for j in range(images)]
        values: Values = {}
        tested = [rng.permutation(images)[: round((self.own or 1) * images)] for _ in range(self.draws or seeds)]
        for seed in range(seeds):
            for deal in range(self.draws) if self.draws else [seed if self.own else 0]:
                luck = self.training_sd * rng.standard_normal() if self.draws else 0.0
                for j in tested[deal].tolist():
                    at = Repetition(seed, deal, int(fold[j]))
                    values.setdefault(at, {})[names[j]] = float(table[seed, j]) + luck
        if self.lacks:
            del values[Repetition(seeds - 1, 0, self.folds - 1)]
        return values, {names[j]: f"p{group[j]}" for j in range(images)} if self.groups else {}

    def _with_empty(self, table: np.ndarray, gain: float, rng: np.random.Generator) -> np.ndarray:
        """On some images the truth is empty: a run scores 1 or 0 there, by how easily each is taken for something."""
        if not self.empty:
            return table
        empty = rng.random(table.shape[1]) < self.empty
        ease = rng.beta(1, 4, table.shape[1])
        ours, theirs = ((rng.random(table.shape) < ease).astype(float) for _ in range(2))
        return np.where(empty, theirs - ours + gain, table)


def patients(rng: np.random.Generator, many: int) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 12, many))


SETTINGS = (
    Setting("both effects"),
    Setting("seeds alone", image_sd=0.0),
    Setting("images alone", seed_sd=0.0),
    Setting("neither", seed_sd=0.0, image_sd=0.0),
    Setting("skewed Dice", skewed=True),
    Setting("ties on 30 % of images", ties=0.3),
    Setting("skewed, with ties, 2 seeds missing", seeds=10, missing=2, skewed=True, ties=0.2),
    Setting("large seed effects", seed_sd=0.03),
    Setting("100 images", images=100),
    Setting("5 seeds", seeds=5),
    Setting("3 seeds", seeds=3),
    Setting("2 seeds", seeds=2),
    Setting("8 images", images=8),
    Setting("half of the images empty", images=60, empty=0.5),
    Setting("12 patients of 1 to 11 images", groups=patients(np.random.default_rng(0), 12), image_sd=0.03),
    Setting("6 patients, 5 seeds", seeds=5, groups=patients(np.random.default_rng(1), 6), image_sd=0.03),
    Setting("1 patient: on exactly its images", groups=(30,), image_sd=0.0),
    Setting("6 patients, skewed: settles nothing", groups=patients(np.random.default_rng(1), 6), skewed=True),
    Setting("5 folds, 1 seed", seeds=1, folds=5, seed_sd=0.0, training_sd=0.01, image_sd=0.04),
    Setting("5 folds x 2 seeds", seeds=2, folds=5, training_sd=0.01, image_sd=0.04),
    Setting("5 folds x 4 seeds", seeds=4, folds=5, training_sd=0.01, image_sd=0.04),
    Setting("5 folds x 8 seeds", folds=5, training_sd=0.01, image_sd=0.04),
    Setting("5 folds x 8 seeds, images alone", folds=5, seed_sd=0.0, image_sd=0.04, rest_sd=0.0),
    Setting("5 folds x 8 seeds, a fold missing", folds=5, training_sd=0.01, image_sd=0.04, lacks=True),
    Setting("5 seeds on each of 6 splits", seeds=5, images=100, own=0.15, draws=6, training_sd=0.01, image_sd=0.04),
    Setting("own splits of 40 images", images=40, own=0.15, image_sd=0.04),
    Setting("own splits of 100 images", images=100, own=0.15, image_sd=0.04),
    Setting("own splits of 100, images alone", images=100, own=0.15, seed_sd=0.0, image_sd=0.04, rest_sd=0.0),
    Setting("own splits of 100, 5 seeds", seeds=5, images=100, own=0.15, image_sd=0.04),
)


class Found(NamedTuple):
    """Shares of the draws."""

    false_positives: float
    coverage: float
    power: float
    over_rows: float  # coverage of Student's interval over repetitions: every run of a fold counted as one
    over_images: float  # likewise over image means


def table_of(drawn: tuple[Values, dict[str, str]]) -> ScoreTable:
    table = arrange(*drawn)
    assert table is not None
    return table


def simulate(setting: Setting, draws: int) -> Found:
    """The shares of a setting."""
    rng = np.random.default_rng(list(setting.name.encode()))
    found = np.zeros((draws, 5), bool)
    for row in found:
        drawn = setting.draw(0.0, rng)
        table = table_of(drawn)
        estimate = table.estimate()
        row[0] = estimate.p < ALPHA
        row[1] = estimate.low <= 0 <= estimate.high
        row[2] = table_of(setting.draw(GAIN, rng)).estimate().p < ALPHA
        runs = np.array([np.mean(list(of.values())) for of in drawn[0].values()])
        row[3], row[4] = (holds(paired.over_rows(means)) for means in (runs, np.nanmean(table.cells, 0)))
    return Found(*found.mean(0).tolist())


def holds(estimate: paired.Estimate) -> bool:
    return math.isnan(estimate.low) or estimate.low <= 0 <= estimate.high


class Pick(NamedTuple):
    """The best of many arms without an effect, by a score whose luck the test shares."""

    name: str
    by: Callable[[np.ndarray, np.ndarray], int]  # of test means and luck of training, each (arms,)
    arms: int = 11
    seeds: int = 8
    images: int = 30


PICKS = (
    Pick("none: an arm named before", lambda test, luck: 0),
    Pick("validation, which shares the training's luck", lambda test, luck: int(np.argmax(luck))),
    Pick("validation, of 3 arms", lambda test, luck: int(np.argmax(luck)), arms=3),
    Pick("validation, 5 seeds", lambda test, luck: int(np.argmax(luck)), seeds=5),
    Pick("the test images themselves (robustness)", lambda test, luck: int(np.argmax(test))),
)


def picked(pick: Pick, draws: int) -> tuple[float, float, float]:
    """The mean difference of the picked arm, and how often its own interval and the one for all arms hold 0."""
    rng = np.random.default_rng(list(pick.name.encode()))
    means, own, at_once = [], 0, 0
    for _ in range(draws):
        # half of each effect is the baseline's, which all arms share
        training = 0.01 * (rng.standard_normal((pick.seeds, 1)) + rng.standard_normal((pick.arms, pick.seeds, 1)))
        of_images = 0.014 * (rng.standard_normal(pick.images) + rng.standard_normal((pick.arms, 1, pick.images)))
        shape = (pick.seeds, pick.images)
        rest = 0.014 * (rng.standard_normal(shape) + rng.standard_normal((pick.arms, *shape)))
        tables = training + of_images + rest
        luck = training.mean((1, 2)) + 0.003 * rng.standard_normal(pick.arms)  # and images of validation's own
        best = pick.by(tables.mean((1, 2)), luck)
        estimate = paired.crossed(tables[best])
        low, high = paired.interval_at(estimate, cross_checks.level_for_each(list(tables)))
        means.append(estimate.mean)
        own, at_once = own + holds(estimate), at_once + (low <= 0 <= high)
    return float(np.mean(means)), own / draws, at_once / draws


def is_right(setting: Setting, found: Found) -> bool:
    """Whether a setting keeps the bounds."""
    if not setting.settles:
        return found.false_positives <= MOST_UNSETTLED
    least = LEAST_SMALL if setting.small else LEAST
    return found.false_positives <= MOST_FALSE and found.coverage >= least


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=4000, help="simulated sweeps a setting")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/statistics.md")
    arguments = parser.parse_args()
    heads = ("setting", "seeds x images", "false positives", "coverage", f"power at +{100 * GAIN:g} points")
    table = [(*heads, "Student over runs", "Student over images"), ("---",) * 7]
    wrong = []
    for setting in SETTINGS:
        found = simulate(setting, arguments.draws)
        size = f"{setting.seeds - setting.missing} x {sum(setting.groups) or setting.images}"
        table.append((setting.name, size, *(f"{100 * share:.1f} %" for share in found)))
        print(" | ".join(table[-1]), flush=True)
        wrong += [] if is_right(setting, found) else [setting.name]
    chosen = [
        ("picked by", "arms", "its mean, points", "its own interval holds", "the one at once holds"),
        ("---",) * 5,
    ]
    for pick in PICKS:
        mean, own, at_once = picked(pick, max(1, arguments.draws // 2))
        chosen.append((pick.name, str(pick.arms), f"{100 * mean:+.2f}", f"{100 * own:.1f} %", f"{100 * at_once:.1f} %"))
        print(" | ".join(chosen[-1]), flush=True)
        wrong += [] if at_once >= LEAST else [pick.name]
    error = 100 * math.sqrt(0.05 * 0.95 / arguments.draws)
    print(f"{arguments.draws} draws each: standard error of a share of 5 % is {error:.2f} %")
    print(f"out of bounds: {', '.join(wrong) or 'none'}")
    if arguments.write:
        write({"simulated": table, "picked": chosen}, arguments.draws)
    return 1 if wrong else 0


def write(tables: dict[str, list[tuple[str, ...]]], draws: int) -> None:
    """Each table between its two markers in the page."""
    text = PAGE.read_text(encoding="utf-8")
    made = f"Made by `python scripts/validate_statistics.py --draws {draws} --write`."
    for name, table in tables.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        after = rest.partition(f"<!-- /{name} -->")[2]
        lines = "\n".join([*("| " + " | ".join(row) + " |" for row in table), "", made])
        text = f"{before}<!-- {name} -->\n{lines}\n<!-- /{name} -->{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
