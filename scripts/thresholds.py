"""python scripts/thresholds.py        10 s: what two grey-level thresholds reach on dataset=brain_tissue

Fits the two thresholds between the tissues on the train slab by the mean Dice of the three tissue classes, and
prints the Dice on the test slab: the floor under what a network may be praised for on that data.
"""

import itertools

import numpy as np

from segtrain.app.sources import build_dataset, build_split
from segtrain.config import composed


def histogram(dataset, indices):
    """(classes, 256) pixel counts of each grey level in each class."""
    counts = np.zeros((len(dataset.classes), 256), np.int64)
    for index in indices:
        image, mask = dataset.read(index)
        np.add.at(counts, (mask.ravel(), image[..., 0].ravel()), 1)
    return counts


def dice(counts, low, high):
    """Dice a class when level 0 is background and the others are parted at low and high."""
    pred = np.digitize(np.arange(256), [1, low, high])
    matrix = np.stack([counts[:, pred == k].sum(1) for k in range(len(counts))], 1)
    return 2 * np.diag(matrix) / (matrix.sum(0) + matrix.sum(1))


def main():
    config = composed("train", ["dataset=brain_tissue", "data.num_workers=0"])
    dataset = build_dataset(config)
    split = build_split(config, dataset)
    train, test = histogram(dataset, split.train), histogram(dataset, split.test)
    pairs = itertools.combinations(range(60, 250, 2), 2)
    low, high = max(pairs, key=lambda pair: dice(train, *pair)[1:].mean())
    print(f"thresholds {low} and {high} of 255, fitted on {len(split.train)} slices; on {len(split.test)} test slices:")
    for name, value in zip(dataset.classes, dice(test, low, high), strict=True):
        print(f"  dice/{name:14s}{value:.3f}")
    print(f"  dice                {dice(test, low, high)[1:].mean():.3f}   mean of the three tissue classes")


if __name__ == "__main__":
    main()
