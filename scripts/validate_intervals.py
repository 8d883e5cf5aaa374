"""How often do evaluate's 95 % intervals hold the truth? Test sets are simulated, `segtrain.model.bootstrap` asked.

    python scripts/validate_intervals.py                 about 3 minutes; the table stands in docs/evaluate.md
    python scripts/validate_intervals.py --sets 200      a look

A cell is the share of simulated test sets whose interval holds the truth that they were drawn from. Sets that the
intervals refuse (see LEAST there) are not in it: a cell in which some are says of how many sets it is, and "none" is a
cell in which all are. The aim is 93 to 97 %; where nearly all images score alike nothing holds less than it says.
"""

import argparse
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from segtrain.model.intervals import of_ratios

GROUPS = (4, 5, 8, 15, 30, 60, 120)
GOOD = 8 / 9.5  # mean of the beta distribution of `good`
Rng = np.random.Generator
Shape = tuple[int, ...]


class Sets(NamedTuple):
    """Simulated test sets: numerators and denominators (images, sets) of their scores, and the images' groups."""

    above: np.ndarray
    below: np.ndarray
    groups: list[int]


Draw = Callable[[Rng, int, int], Sets]  # of so many groups, so many sets


def good(rng: Rng, shape: Shape) -> np.ndarray:
    """Skewed Dice scores."""
    return rng.beta(8, 1.5, shape)


def alone(draw: Callable[[Rng, Shape], np.ndarray]) -> Draw:
    """Every image is its own group."""

    def drawn(rng: Rng, groups: int, sets: int) -> Sets:
        values = draw(rng, (groups, sets))
        return Sets(values, np.ones(values.shape), list(range(groups)))

    return drawn


def empty(share: float, right: float, others: Callable[[Rng, Shape], np.ndarray] = good) -> Draw:
    """A share of images is empty, and of those a share rightly: 1; on the others there is a false positive: 0."""

    def draw(rng: Rng, shape: Shape) -> np.ndarray:
        nothing = rng.random(shape) < share
        return np.where(nothing, (rng.random(shape) < right).astype(float), others(rng, shape))

    return alone(draw)


def patients(sizes: Callable[[Rng, Shape], np.ndarray], share: float = 0.0) -> Draw:
    """Groups of images that resemble each other; a share is empty, false positives on all images of one in five."""

    def draw(rng: Rng, groups: int, sets: int) -> Sets:
        of = sizes(rng, (groups, 1, sets))
        images = np.arange(of.max())[None, :, None]
        values = 0.7 * good(rng, of.shape) + 0.3 * good(rng, (groups, images.size, sets))
        nothing, right = rng.random(of.shape) < share, rng.random(of.shape) < 0.8
        there = (images < of).astype(float)
        values = there * np.where(nothing, right.astype(float), values)
        return Sets(values.reshape(-1, sets), there.reshape(-1, sets), np.repeat(range(groups), images.size).tolist())

    return draw


def pixels(share: float, fails: float) -> Draw:
    """Dice of the pixels of all images together, objects of very unequal sizes; a share of images is without one."""

    def draw(rng: Rng, groups: int, sets: int) -> Sets:
        shape = (groups, sets)
        truth = rng.lognormal(0, 0.7, shape) * (rng.random(shape) >= share)
        found = truth * good(rng, shape) * (rng.random(shape) >= fails)
        extra = rng.lognormal(-2, 0.7, shape) * (rng.random(shape) < 0.5)  # false positives: a few pixels, on half
        return Sets(2 * found, truth + found + extra, list(range(groups)))

    return draw


def several(rng: Rng, shape: Shape) -> np.ndarray:
    """Sizes of patients: 1 to 20 images, most have few."""
    return np.minimum(20, rng.geometric(0.15, shape))


DESIGNS: dict[str, Draw] = {
    "normal": alone(lambda rng, shape: rng.normal(0.8, 0.05, shape)),
    "skewed": alone(good),
    "one in twenty scores 0": alone(lambda rng, shape: good(rng, shape) * (rng.random(shape) >= 0.05)),
    "30 % empty, a false positive on one in five": empty(0.3, 0.8),
    "50 % empty, a false positive on one in two": empty(0.5, 0.5),
    "80 % empty, a false positive on one in ten": empty(0.8, 0.9),
    "90 % rightly empty, the others poor": empty(0.9, 1.0, lambda rng, shape: rng.beta(2, 2, shape)),
    "all empty, a false positive on one in fifty": empty(1.0, 0.98),
    "patients of 5 images": patients(lambda rng, shape: np.full(shape, 5)),
    "patients of 1 to 20 images": patients(several),
    "the same, 30 % of patients empty": patients(several, 0.3),
    "pixels of all images together": pixels(0.0, 0.0),
    "the same, 30 % empty, one in twenty missed": pixels(0.3, 0.05),
}


@cache
def truth(draw: Draw) -> float:
    """The score of 400,000 groups."""
    sets = draw(np.random.default_rng(1), 1000, 400)
    return float(sets.above.sum() / sets.below.sum())


def held(draw: Draw, groups: int, sets: int) -> tuple[float, float]:
    """The share of sets that have an interval, and the share of those whose interval holds the truth."""
    above, below, group = draw(np.random.default_rng(groups), groups, sets)
    found = np.array(of_ratios(above, below, groups=group))
    known, right = ~np.isnan(found[:, 0]), truth(draw)
    inside = (found[:, 0] <= right) & (right <= found[:, 1])
    return float(known.mean()), float(inside[known].mean()) if known.any() else 0.0


def cell(has: float, inside: float, sets: int) -> str:
    """In words of the table."""
    if round(sets * has) < sets / 100:
        return " none |"
    return f" {inside:.1%} |" if has >= 0.995 else f" {inside:.1%} of {has:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1500, help="simulated test sets a cell")
    sets = parser.parse_args().sets
    print("| Dice scores |" + "".join(f" {groups} |" for groups in GROUPS))
    print("|---|" + "---|" * len(GROUPS))
    for name, draw in DESIGNS.items():
        print(f"| {name} |" + "".join(cell(*held(draw, groups, sets), sets) for groups in GROUPS), flush=True)


if __name__ == "__main__":
    main()
