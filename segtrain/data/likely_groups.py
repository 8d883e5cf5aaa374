"""Guesses what belongs together: samples of a patient by their names, slices of a stack by their pixels."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np

from segtrain.data.files.file_names import natural
from segtrain.data.files.pixels import read_image, with_channels
from segtrain.errors import UserError
from segtrain.spread import spread

# Tried in turn; the first that puts several samples together is taken.
EXPRESSIONS = (
    r"^([^/]+)/",  # p01/3
    r"^(?:.*/)?(.+)\.rf\.[0-9a-f]+$",  # IMG_1_jpg.rf.1091c06e…: Roboflow's copies of an image
    r"^(?:.*/)?([A-Za-z]*[_-]?\d[^_\-/]*)[_-]",  # p01_left, patient003_slice12, case_12_3, 0001TP_006690
    r"^(?:.*/)?([A-Za-z]*[_-]?\d[^_\-\s#(/]*)[\s#(]",  # P00 cell #0, p01 (2)
    r"^(?:.*/)?(.*\d)[_\- ]?(?:[LR]|OD|OS|left|right)$",  # Image_01L, 12_left: two eyes of one
    r"^(?:.*/)?(.+)[_-][A-Za-z]*\d+$",  # TCGA_CS_4941_1
    r"^(?:.*/)?(.+?)[\s#(]+[A-Za-z]*\d+\)?$",  # mouse A 12
)
PREFIX = r"^(?:.*/)?([A-Za-z][A-Za-z_\- ]*?)[_\-\s#(]*\d+\)?$"  # ctrl_001, drug (2), control12
FEWEST = 3  # groups: one for each of train, val and test
FEW, MANY = 6, 8  # fewer groups, of more samples each, may be something else than patients
LARGEST = 0.6  # share of the samples that one group may have and still leave val and test theirs
SLICES = 8  # samples from which slices are looked for
PAIRS = 40  # neighbours, and as many distant pairs, that are compared
THUMB = 32  # pixels a side of the thumbnails that are compared
ALIKE = 0.15  # correlation by which neighbours of a stack exceed distant slices; of unrelated images: under 0.05


class Groups(NamedTuple):
    """Holds an expression for `split.group`, and what it finds."""

    expression: str
    number: int
    smallest: int
    largest: int
    example: str

    @property
    def doubtful(self) -> bool:
        """Says whether they are few and large: sites, days or kinds of images rather than patients."""
        return self.number < FEW and self.smallest >= MANY


class Stack(NamedTuple):
    """Says how alike neighbours (1 apart) and distant samples are (correlation), and a gap between the parts."""

    near: float
    far: float
    gap: int


def find_groups(ids: Sequence[str], behind_split: bool) -> Groups | None:
    """Returns how samples share the part of a name before a number; None where none do.

    Args:
        ids: as the dataset will name its samples.
        behind_split: whether they begin with train/, val/ or test/; no group then lies in two of them.
    """
    for expression in EXPRESSIONS[behind_split:]:
        found = [re.search(expression, name) for name in ids]
        if not found or not all(found):
            continue
        sizes = Counter(match[1] for match in found if match)
        several = sum(size > 1 for size in sizes.values())
        sides = {(name.partition("/")[0], match[1]) for name, match in zip(ids, found, strict=True) if match}
        if behind_split and len(sides) > len(sizes):
            continue
        fits = len(sizes) >= FEWEST and 2 * several >= len(sizes) and max(sizes.values()) <= LARGEST * len(ids)
        if fits:
            return Groups(expression, len(sizes), min(sizes.values()), max(sizes.values()), max(sizes))
    return None


def find_prefixes(ids: Sequence[str]) -> dict[str, int]:
    """Returns the few words that the names of many samples begin with, and how many do; empty where they do not."""
    found = [re.search(PREFIX, name) for name in ids]
    sizes = Counter(match[1].strip() for match in found if match)
    few = 2 <= len(sizes) < FEW and all(found) and min(sizes.values()) >= MANY
    return dict(sorted(sizes.items())) if few else {}


def find_stack(root: Path, files: Mapping[str, str]) -> Stack | None:
    """Returns how much numbered images, id -> path, resemble their neighbours more than others; None if not."""
    ids = sorted(files, key=natural)
    if len(ids) < SLICES or not _consecutive(ids):
        return None
    chosen = sorted({i for start in _starts(len(ids)) for i in range(start, min(start + 4, len(ids)))})
    thumbs = {i: thumb for i in chosen if (thumb := _thumb(root / files[ids[i]])) is not None}
    if len(thumbs) < SLICES:
        return None
    mean = np.mean(list(thumbs.values()), axis=0)  # what all have in common, such as a cell in the middle
    unit = {i: (t - mean) / (np.linalg.norm(t - mean) or 1) for i, t in thumbs.items()}
    alike = {d: [float((unit[i] * unit[i + d]).sum()) for i in unit if i + d in unit] for d in (1, 2, 3)}
    far = [float((unit[i] * unit[j]).sum()) for i in unit for j in unit if j - i >= len(ids) / 4]
    if not alike[1] or not far:
        return None
    near, base = median(alike[1]), median(far)  # which a few copies of one image do not move
    if near - base < ALIKE:
        return None
    still = [d for d, values in alike.items() if values and median(values) - base > (near - base) / 3]
    return Stack(near, base, max(1, min(max(still) + 2, len(ids) // 15)))


def _consecutive(ids: Sequence[str]) -> bool:
    """Returns whether nearly all follow the one before by 1 in their last number, and are alike otherwise."""
    steps = 0
    for one, other in itertools.pairwise(ids):
        a, b = (re.fullmatch(r"(.*?)(\d+)(\D*)", name, re.DOTALL) for name in (one, other))
        steps += bool(a and b and (a[1], a[3]) == (b[1], b[3]) and int(b[2]) == int(a[2]) + 1)
    return steps >= 0.9 * (len(ids) - 1)


def _starts(count: int) -> list[int]:
    """Returns where runs of four neighbours begin."""
    return spread(range(max(1, count - 3)), PAIRS // 4)


def _thumb(path: Path) -> np.ndarray | None:
    try:
        image = with_channels(read_image(path), 1)
    except UserError:
        return None
    small = cv2.resize(image[..., 0].astype(np.float32), (THUMB, THUMB), interpolation=cv2.INTER_AREA).ravel()
    return np.asarray((small - small.mean()) / (small.std() or 1))
