"""Mistakes in how samples are split."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from segtrain.data.duplicates import refuse_torn
from segtrain.data.split import Blocks, Folds, Given, Ratios, Stratified, statistic_groups

IDS = [f"p{i // 2}_{i}" for i in range(8)]
PATIENT = r"^(p\d+)_"
STACKS = ["one"] * 4 + ["two"] * 4


def split(
    splitter: Blocks | Folds | Given | Ratios, given: Sequence[str | None] = (), groups: Sequence[str] | None = None
) -> Callable[[], object]:
    """Splits eight samples of four patients; `given` is what the data says of the first ones."""
    return lambda: splitter.assign(IDS, [*given, *[None] * (len(IDS) - len(given))], groups)


def torn() -> None:
    parts = Given(group=PATIENT).assign(IDS, ["train"] * 5 + ["test", "val", "val"])
    refuse_torn(statistic_groups(IDS, None, re.compile(PATIENT)), parts, allow=False)


def empty_class_free_part() -> None:
    masks = [(None, np.zeros((2, 2), np.uint8))] * 2
    Stratified(0.2, 0.2).assign(IDS[:2], [None] * 2, read=masks.__getitem__, ignore_index=255)


MISTAKES = {
    "shares that leave nothing to train on": lambda: Ratios(0.5, 0.5),
    "too few samples": lambda: Ratios(0.2, 0.2).assign(["a", "b"], [None, None]),
    "too few samples to stratify": empty_class_free_part,
    "no regular expression": lambda: Ratios(0.2, 0.2, group="("),
    "a sample without a group": split(Ratios(0.2, 0.2, group=r"^patient(\d+)")),
    "an expression that tears a group of the data's": split(Ratios(0.2, 0.2, group="_[0-5]$|_"), groups=STACKS),
    "a group on two sides of the data's own split": torn,
    "a split that there is not": split(Ratios(0.2, 0.2), ["dev"]),
    "a negative gap": lambda: Blocks(0.1, 0.1, gap=-1),
    "gaps that leave nothing": split(Blocks(0.2, 0.2, gap=5)),
    "a stack too short for its slabs": split(Blocks(0.2, 0.2, gap=1, group=PATIENT)),
    "too few folds": lambda: Folds(2),
    "no such fold": lambda: Folds(5, fold=5),
    "a share that folds leave no room for": lambda: Folds(2, val=0.5),
    "fewer groups than folds": split(Folds(5, group=PATIENT)),
    "folds of data with a split of its own": split(Folds(4), ["test"]),
    "given, but not of every sample": split(Given(), ["train", "val", "test"]),
    "given, but no test": split(Given(), ["train"] * 4 + ["val"] * 4),
}
