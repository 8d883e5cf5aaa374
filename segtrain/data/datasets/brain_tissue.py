"""Reads coronal slices of the MNI152 average brain with grey and white matter, as nilearn carries it."""

import hashlib
import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.errors import UserError
from segtrain.files import bytes_of, require_regular

Volume = np.ndarray[Any, np.dtype[np.uint8]]

BRAIN = "MNI152"
MARGIN = 3  # mm of background kept around the brain
MIN_BRAIN = 0.02  # share of brain pixels that a slice must have; below it the slice is all but empty


class _Slices(NamedTuple):
    """Holds image and labels, each (slices, H, W) uint8, with the coronal index y of each slice."""

    images: Volume
    masks: Volume
    positions: tuple[int, ...]


class BrainTissue:
    """Gives MRI slices (158 x 151 pixels of 1 mm) in four classes, for a demonstration on real data.

    The volume is cut to the box around the brain, with a margin: two thirds of it are empty.

    Image: T1 (H, W, 1) uint8, superior up, T1 / max(T1) x 255. Labels: 1 other_brain where T1 > 0, 2
    grey_matter where gm ≥ .5 and gm > wm, 3 white_matter where wm ≥ .5, with gm and wm scaled to 0..1; 0
    background elsewhere.

    This is one averaged brain with thresholded labels: it shows that a pipeline trains on real MRI, and is no
    medical result. Neighbouring slices are near-duplicates, and the volume is exactly left-right mirrored, so
    a random split would leak: split it into contiguous slabs with a gap (`Blocks`).

    Source: ICBM 152 nonlinear symmetric 2009a (Fonov et al. 2011, NeuroImage 54), as nilearn's
    load_mni152_template.
    """

    classes = ("background", "other_brain", "grey_matter", "white_matter")
    palette = ((0, 0, 0), (86, 180, 233), (230, 159, 0), (240, 228, 66))
    channels = 1
    ignore_index = IGNORE_INDEX

    def __init__(self, step: int = 1) -> None:
        """Takes the step; the three volumes are loaded once, when ids or a sample are first asked for.

        Args:
            step: every how many-th slice is taken, in mm.

        Raises:
            UserError: nilearn is not installed, or step is below 1.
        """
        if type(step) is not int or step < 1:
            raise UserError(f"dataset.step is {step!r}; expected a whole number of slices from 1; 1 takes every slice")
        self._step = step
        self._files = {kind: _file(kind) for kind in ("t1", "gm", "wm")}

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Returns names such as "coronal_029", the index along the second axis: posterior first, 1 mm apart."""
        return tuple(f"coronal_{y:03d}" for y in self._slices.positions)

    @cached_property
    def splits(self) -> tuple[None, ...]:
        """Returns None for every slice: the data does not say."""
        return (None,) * len(self.ids)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Returns the brain of every slice: there is one."""
        return (BRAIN,) * len(self.ids)

    def read(self, index: int) -> Sample:
        """Returns the slice of `ids[index]`: image (H, W, 1) and mask (H, W), copies that the caller may change."""
        return Sample(self._slices.images[index][..., None].copy(), self._slices.masks[index].copy())

    def fingerprint(self) -> str:
        """Returns BLAKE2b over step and the three files."""
        digest = hashlib.blake2b(f"step={self._step}".encode(), digest_size=16)
        for path in self._files.values():
            digest.update(bytes_of(path))
        return digest.hexdigest()

    @cached_property
    def _slices(self) -> _Slices:
        t1, gm, wm = (_scaled(path) for path in self._files.values())
        positions = np.flatnonzero((t1 > 0).mean(axis=(0, 2)) >= MIN_BRAIN)[:: self._step]
        box = _box(t1[:, positions])
        labels = _labels(t1, gm, wm)
        return _Slices(
            _planes(np.rint(t1 * 255).astype(np.uint8)[box], positions),
            _planes(labels[box], positions),
            tuple(int(y) for y in positions),
        )


def _box(t1: np.ndarray[Any, Any]) -> tuple[slice, slice, slice]:
    """Returns the (x, y, z) box around the brain in all slices, with MARGIN in x and z and all of y."""
    corners = []
    for other in ((1, 2), (0, 1)):
        inside = np.flatnonzero((t1 > 0).any(axis=other))
        corners.append(slice(max(0, inside[0] - MARGIN), inside[-1] + 1 + MARGIN))
    return corners[0], slice(None), corners[1]


def _labels(t1: np.ndarray[Any, Any], gm: np.ndarray[Any, Any], wm: np.ndarray[Any, Any]) -> Volume:
    labels: Volume = (t1 > 0).astype(np.uint8)
    labels[wm >= 0.5] = 3
    labels[(gm >= 0.5) & (gm > wm)] = 2
    return labels


def _planes(volume: Volume, positions: np.ndarray[Any, Any]) -> Volume:
    """Returns coronal planes of an (x, y, z) volume as (slices, H, W), superior (high z) up."""
    return np.ascontiguousarray(volume[:, positions, ::-1].transpose(1, 2, 0))


def _scaled(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Returns the volume (x, y, z) float32, divided by its highest value."""
    import nibabel  # here: only this dataset needs it

    require_regular(path)
    volume = np.asarray(nibabel.Nifti1Image.from_filename(path).dataobj).astype(np.float32)
    scaled: np.ndarray[Any, np.dtype[np.float32]] = volume / volume.max()
    return scaled


def _file(kind: str) -> Path:
    """Returns the volume inside the installed nilearn, found without importing it, which takes 3 s."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "dataset brain_tissue reads the MRI volumes that the package nilearn carries; expected it to be "
            "installed; "
            'got none; pip install "segtrain[demo]", or choose another dataset, such as dataset=shapes'
        )
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    path = folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
    if not path.is_file():
        raise UserError(
            f"the installed nilearn has no '{path}'; expected a version that carries the MNI152 volumes at 1 "
            "mm; "
            'pip install "segtrain[demo]" brings one'
        )
    return path
