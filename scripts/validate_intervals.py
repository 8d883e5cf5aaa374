"""How often do evaluate's 95 % intervals hold the truth? Test sets are simulated, `segtrain.model.intervals` asked.

    python scripts/validate_intervals.py                 half a minute; the table stands in docs/after_training.md
    python scripts/validate_intervals.py --sets 200      a look

A set is the Dice of so many images. Its interval of the mean should hold the mean that the images were drawn from in
95 of 100 sets; with few images it holds it less often, as what a set lacks no draw can hold.
"""

import argparse
from collections.abc import Callable

import numpy as np

from segtrain.model.intervals import of_means

IMAGES = (8, 15, 30, 60, 120)
FAILS = 0.05  # share of images on which everything is missed
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

# Name: the Dice of images, and its true mean.
KINDS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.normal(0.8, 0.05, shape), 0.8),
    "skewed": (lambda rng, shape: rng.beta(8, 1.5, shape), 8 / 9.5),
    "one in twenty scores 0": (
        lambda rng, shape: rng.beta(8, 1.5, shape) * (rng.random(shape) >= FAILS),
        (1 - FAILS) * 8 / 9.5,
    ),
}


def coverage(draw: Draw, truth: float, images: int, sets: int) -> float:
    """The share of simulated sets whose interval holds the truth."""
    values = draw(np.random.default_rng(images), (images, sets))
    found = np.array(of_means(values))
    return float(np.mean((found[:, 0] <= truth) & (truth <= found[:, 1])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1500, help="simulated test sets a cell")
    sets = parser.parse_args().sets
    print("| Dice of an image |" + "".join(f" {images} images |" for images in IMAGES))
    print("|---|" + "---|" * len(IMAGES))
    for name, (draw, truth) in KINDS.items():
        cells = [f" {coverage(draw, truth, images, sets):.1%} |" for images in IMAGES]
        print(f"| {name} |" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
