"""python scripts/thresholds.py        20 s: what reaches how much on dataset=brain_tissue without a network

Fits the two thresholds between the tissues on the train slabs by the mean Dice of the three tissue classes, and
prints the Dice on the test slab: the floor under what a network may be praised for on that data. Then, for several gaps
between the slabs, whether the parts hold near copies of each other, and the Dice of the labels of the nearest train
slice on the test slab: what a network reached that knows its training by heart.
"""

import itertools

import numpy as np

from segtrain.config.composition import composed
from segtrain.config.run_config import RunConfig
from segtrain.data.duplicates import ALIKE, WITHIN, mark
from segtrain.parts.data import build_dataset, build_split

GAPS = (0, 2, 4, 6, 9, 12)


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


def copied(dataset, split):
    """Mean Dice of the three tissue classes of the nearest train slice's labels, over all pixels of the test slab."""
    matrix = np.zeros((len(dataset.classes),) * 2, np.int64)
    for index in split.test:
        nearest = min(split.train, key=lambda other: abs(other - index))
        np.add.at(matrix, (dataset.read(index).mask.ravel(), dataset.read(nearest).mask.ravel()), 1)
    return (2 * np.diag(matrix) / (matrix.sum(0) + matrix.sum(1)))[1:].mean()


def alikeness(marks, split):
    """Near copies between the parts, as `check` defines them, and the highest correlation of grey copies."""
    parts = [np.array(part) for part in (split.train, split.val, split.test)]
    hashes = np.array([one.near for one in marks], np.uint64)
    grey = np.corrcoef([np.frombuffer(one.sketch, np.uint8).astype(float) for one in marks])
    pairs, most = 0, 0.0
    for one, other in itertools.combinations(parts, 2):
        between = grey[np.ix_(one, other)]
        bits = np.bitwise_count(hashes[one][:, None] ^ hashes[other])
        pairs += int(((between >= ALIKE) & (bits <= WITHIN)).sum())
        most = max(most, float(between.max()))
    return pairs, most


def main():
    config = composed("train", ["dataset=brain_tissue", "data.num_workers=0"])
    dataset = build_dataset(RunConfig(config))
    split = build_split(RunConfig(config), dataset)
    train, test = histogram(dataset, split.train), histogram(dataset, split.test)
    pairs = itertools.combinations(range(60, 250, 2), 2)
    low, high = max(pairs, key=lambda pair: dice(train, *pair)[1:].mean())
    print(f"thresholds {low} and {high} of 255, fitted on {len(split.train)} slices; on {len(split.test)} test slices:")
    for name, value in zip(dataset.classes, dice(test, low, high), strict=True):
        print(f"  dice/{name:14s}{value:.3f}")
    print(f"  dice                {dice(test, low, high)[1:].mean():.3f}   mean of the three tissue classes")
    marks = [mark(dataset.read(index).image) for index in range(len(dataset.ids))]
    for gap in GAPS:
        config.dataset.split.gap = gap
        split = build_split(RunConfig(config), dataset)
        pairs, most = alikeness(marks, split)
        sizes = f"train {len(split.train)}, val {len(split.val)}, test {len(split.test)}"
        known = f"the nearest train slice's labels: dice {copied(dataset, split):.3f}"
        print(f"gap {gap:2d}: {sizes}; {pairs} near copies across parts, highest correlation {most:.3f}; {known}")


if __name__ == "__main__":
    main()
