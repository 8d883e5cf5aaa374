"""Are the report's statistics right? Sweeps are simulated, and `segtrain.sweeps.paired` held against the truth.

    python scripts/validate_statistics.py                 about a minute; writes docs/statistics.md with --write
    python scripts/validate_statistics.py --draws 500     a look

A simulated difference of two arms, by seed and image, is gain + seed effect + image effect + rest, times the image's
headroom where Dice is skewed: images that are nearly right already move little. Printed for each setting: how often no
gain is called one at alpha = .05, how often the 95 % interval holds the true gain, how often a true gain is found;
beside it the coverage of Student's interval over seeds and over images, which forget the other source of chance. Exit
status 1 when false positives exceed 6 %, or coverage leaves 93 to 97 %, for 8 seeds.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segtrain.sweeps import paired

ALPHA = 0.05
BOUNDS = {"false positives": (0.0, 0.06), "coverage": (0.93, 0.97)}
GAIN = 0.02  # Dice, of the power column
PAGE = Path(__file__).resolve().parents[1] / "docs" / "statistics.md"


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
    missing: int = 0  # seeds of which one arm has no run

    def draw(self, gain: float, rng: np.random.Generator) -> np.ndarray:
        """Differences (seeds, images), whose expectation is `gain`."""
        shape = (self.seeds - self.missing, self.images)
        of_images = rng.exponential(1, shape[1]) - 1 if self.skewed else rng.standard_normal(shape[1])
        seeds, rest = self.seed_sd * rng.standard_normal((shape[0], 1)), self.rest_sd * rng.standard_normal(shape)
        headroom = rng.gamma(2, 0.5, shape[1]) if self.skewed else np.ones(shape[1])
        differs = (rng.random(shape[1]) >= self.ties) / (1 - self.ties)
        drawn: np.ndarray = (gain + seeds + self.image_sd * of_images + rest) * headroom * differs
        return drawn


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
)


class Found(NamedTuple):
    """Shares of the draws."""

    false_positives: float
    coverage: float
    power: float
    over_seeds: float  # coverage of Student's interval over seed means
    over_images: float  # likewise over image means


def simulate(setting: Setting, draws: int) -> Found:
    """The shares of a setting."""
    rng = np.random.default_rng(list(setting.name.encode()))
    found = np.zeros((draws, 5), bool)
    for row in found:
        nothing = setting.draw(0.0, rng)
        estimate = paired.crossed(nothing)
        row[0] = estimate.p < ALPHA
        row[1] = estimate.low <= 0 <= estimate.high
        row[2] = paired.crossed(setting.draw(GAIN, rng)).p < ALPHA
        row[3], row[4] = (holds(paired.over_seeds(nothing.mean(axis))) for axis in (1, 0))
    return Found(*found.mean(0).tolist())


def holds(estimate: paired.Estimate) -> bool:
    return estimate.low <= 0 <= estimate.high


def is_right(setting: Setting, found: Found) -> bool:
    """Whether a setting with 8 seeds keeps the bounds; without any effect, as no experiment is, it may be too wide."""
    if setting.seeds - setting.missing != 8:
        return True
    least, most = BOUNDS["coverage"]
    most = 1.0 if setting.seed_sd == setting.image_sd == 0 else most
    return found.false_positives <= BOUNDS["false positives"][1] and least <= found.coverage <= most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=4000, help="simulated sweeps a setting")
    parser.add_argument("--write", action="store_true", help="put the table into docs/statistics.md")
    arguments = parser.parse_args()
    heads = ("setting", "seeds x images", "false positives", "coverage", f"power at +{100 * GAIN:g} points")
    table = [(*heads, "Student over seeds", "Student over images"), ("---",) * 7]
    wrong = []
    for setting in SETTINGS:
        found = simulate(setting, arguments.draws)
        size = f"{setting.seeds - setting.missing} x {setting.images}"
        table.append((setting.name, size, *(f"{100 * share:.1f} %" for share in found)))
        print(" | ".join(table[-1]), flush=True)
        wrong += [] if is_right(setting, found) else [setting.name]
    error = 100 * math.sqrt(0.05 * 0.95 / arguments.draws)
    print(f"{arguments.draws} draws each: standard error of a share of 5 % is {error:.2f} %")
    print(f"out of bounds: {', '.join(wrong) or 'none'}")
    if arguments.write:
        write(["| " + " | ".join(row) + " |" for row in table], arguments.draws)
    return 1 if wrong else 0


def write(table: list[str], draws: int) -> None:
    """The table between its two markers in the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- simulated -->\n")
    after = rest.partition("<!-- /simulated -->")[2]
    made = f"`python scripts/validate_statistics.py --draws {draws} --write`"
    lines = "\n".join([*table, "", f"Made by {made}."])
    PAGE.write_text(f"{before}<!-- simulated -->\n{lines}\n<!-- /simulated -->{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
