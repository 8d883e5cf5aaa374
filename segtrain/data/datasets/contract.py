"""Says what every dataset is: a sequence of image and mask pairs that also says what its labels mean."""

from collections.abc import Sequence
from typing import Protocol

from segtrain.data.files.samples import IGNORE_INDEX, OKABE_ITO, RGB, Sample, colours

__all__ = ["IGNORE_INDEX", "OKABE_ITO", "RGB", "Sample", "SegmentationDataset", "colours"]


class SegmentationDataset(Protocol):
    """Says what training asks of a dataset; any class with these members will do, it need not inherit.

    Six more are optional, None or no such member saying nothing:

    - `groups` (`Sequence[str | None]`), equal for samples that belong together, as slices of one scan, pages of one
      stack or tiles of one image do: a split keeps them in one part, a statistic draws them together. None is a sample
      by itself.
    - `weights` (n,) float64 from 0, how often each is drawn where sampling is weighted.
    - `hashes()` (`Sequence[Hashable | None]`), equal for samples that show the same image: a draw puts them into one
      part, a statistic draws them together, and a split that tears them apart is refused. None is a sample of which
      that is not known, or in whose image nothing is, so that it is equal to others without being their copy. Where an
      image is a file it is a hash of the file's content, which the fingerprint reads anyway; where it is not, of its
      pixels. Too many to be read at the start: None in place of all, and `check` alone finds copies.
    - `spacing(index)`, height and width of a sample's pixels in mm, in which surface distances then are.
    - `stamp(index)`, of a dataset whose `fingerprint` does not follow what its files hold: a whole number below 2⁶⁴
      that changes with the files of a sample (0: the fingerprint does follow them). Caches ask it before they give what
      they keep.
    - `older_fingerprints()` (`list[str]`), what `fingerprint` gave in versions that took it in another way of the same
      samples: a run that holds one of them is of these data, if its own options of the data set are those at hand.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Returns the names in label order; one named "background" is left out of foreground means."""

    @property
    def palette(self) -> tuple[RGB, ...]:
        """Returns the colour of each class in pictures, RGB, 0..255."""

    @property
    def channels(self) -> int:
        """Returns the channels of every image."""

    @property
    def ignore_index(self) -> int:
        """Returns the label in masks that counts nowhere."""

    @property
    def ids(self) -> Sequence[str]:
        """Returns unique, stable names of the samples, sorted."""

    @property
    def splits(self) -> Sequence[str | None]:
        """Returns what the data itself says of each sample: train, val or test; None where it leaves it open."""

    def read(self, index: int) -> Sample:
        """Returns the sample of `ids[index]`, as stored: not resized, not normalised."""

    def fingerprint(self) -> str:
        """Returns hex digits that change when the data changes."""
