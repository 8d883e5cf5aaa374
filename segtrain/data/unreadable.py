"""What training does with samples that cannot be read: `on_bad` raise or skip.

A split is assigned first, by names alone, and bad samples leave their part afterwards: so a sample that is mended comes
back where it was and moves no other, and all arms of a sweep lose the same ones.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from segtrain.data.datasets import SegmentationDataset
from segtrain.data.split import PARTS, Split
from segtrain.data.survey import Unread, survey
from segtrain.errors import UserError, noting


class Skipping:
    """A dataset some of whose samples cannot be read; all else it says is the dataset's own."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        """Of a dataset from `opened`; nothing is read yet."""
        self.dataset = dataset

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # not there yet: unpickling asks
            raise AttributeError(name)
        return getattr(self.dataset, name)

    @cached_property
    def bad(self) -> dict[str, str]:
        """As `unreadable` finds it, over all samples."""
        return unreadable(self.dataset, range(len(self.dataset.ids)))


def opened(open_it: Callable[[], SegmentationDataset]) -> SegmentationDataset:
    """The dataset, opened though some of its files are broken.

    Raises:
        UserError: something is wrong that leaving samples out does not mend, such as an image without a mask.
    """
    with noting() as noted:
        dataset = open_it()
    if noted:
        raise UserError(noted[0].message)
    return dataset


def unreadable(dataset: SegmentationDataset, indices: Sequence[int], workers: int = 1) -> dict[str, str]:
    """Id -> why, of those of the samples that cannot be read; every one is tried.

    Raises:
        UserError: a file cannot be reached, because of the disk, the network or its permissions: another run might
            read it, and runs that are compared must not differ in their data.
    """
    found = survey(dataset, indices, workers)
    bad = {dataset.ids[index]: one for index, one in found.items() if isinstance(one, Unread)}
    for name, one in bad.items():
        if one.away:
            raise UserError(
                f"sample '{name}' cannot be reached, which on_bad=skip does not leave out: another run might read it, "
                f"and its data would differ; got: {one.reason}"
            )
    return {name: one.reason for name, one in bad.items()}


def without(split: Split, ids: Mapping[str, int], bad: Mapping[str, str]) -> Split:
    """The split with the samples `bad` (id -> why) moved to `unused`.

    Args:
        split: as it was assigned.
        ids: id -> index.
        bad: as `unreadable` found it, or split.json holds it; ids that are gone count for nothing.

    Raises:
        UserError: nothing is left of a part.
    """
    gone = {ids[name] for name in bad if name in ids}
    parts = {part: tuple(i for i in getattr(split, part) if i not in gone) for part in PARTS}
    for part in PARTS:
        if not parts[part]:
            name, reason = next((name, why) for name, why in bad.items() if ids.get(name) in getattr(split, part))
            raise UserError(
                f"no sample of {part} can be read, so on_bad=skip leaves none; expected at least one; "
                f"got, for '{name}': {reason}"
            )
    return Split(parts["train"], parts["val"], parts["test"], tuple(sorted({*split.unused, *gone})))
