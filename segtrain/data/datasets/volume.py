"""Slices of scans in three dimensions, NIfTI or DICOM, with labels in NIfTI."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segtrain.data.datasets.cases import Case, find_cases
from segtrain.data.datasets.coding import Code, Coding
from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.datasets.dicom import open_series
from segtrain.data.datasets.digest import digest
from segtrain.data.datasets.intensity import Intensity
from segtrain.data.datasets.nifti import open_nifti
from segtrain.data.datasets.scans import Recent, Scan, check_same, depth, plane, spacing
from segtrain.errors import UserError

AXES = {0: "left to right", 1: "back to front", 2: "feet to head"}


class _Patient(NamedTuple):
    """A case with its scans open: headers read, voxels not."""

    case: Case
    images: list[Scan]
    label: Scan


class Volume:
    """Slices along one of the patient's axes; `ids` are "PATIENT/slice_0012", `groups` the patients.

    Scans are turned to the nearest patient's axes by the affine of each, never resampled. Images (H, W, C) are
    float32; channels are those of the modalities in turn.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        root: str | Path,
        classes: Mapping[str, Code | Sequence[Code]],
        images: str | Sequence[str] = "images/{id}.nii*",
        labels: str = "labels/{id}.nii*",
        axis: int = 2,
        window: Sequence[float] | None = None,
        normalise: str | None = None,
        percentiles: Sequence[float] = (0.5, 99.5),
        empty: str = "keep",
        every: int = 1,
        keep: int = 4,
        ignore_value: Code | Sequence[Code] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
    ) -> None:
        """Find the scans and read their headers; with empty="drop" the labels too.

        Args:
            root: folder of the data, from the current directory when relative.
            classes: name -> value in the labels, or list of values, in label order.
            images: pattern of the scans below root (`find_cases`), or one a modality; folders are DICOM series.
            labels: pattern of the labels, NIfTI.
            axis: slices from 0 left to right (sagittal), 1 back to front (coronal), 2 feet to head (axial).
            window: lowest and highest value, HU in CT, which become 0 and 1; what lies outside is cut off.
            normalise: "zscore" or "percentile", over the voxels of a scan that are not 0; None: values as they are.
            percentiles: which become 0 and 1 under "percentile"; what lies outside is cut off.
            empty: slices whose labels are all background or ignored: "keep" or "drop".
            every: 2 takes every other slice.
            keep: scans and labels that stay in memory, in each process; a slice of a .nii.gz needs its whole file.
            ignore_value: value in the labels that becomes `ignore_index`.
            palette: RGB 0..255 for each class; None: colours are chosen.

        Raises:
            UserError: scans and labels do not pair, differ in grid, are broken, or arguments do not fit.
        """
        _check_choices(axis, window, normalise, percentiles, empty, every, keep)
        self._coding = Coding(classes, ignore_value, palette)
        self.classes, self.palette = self._coding.names, self._coding.palette
        self._root, self._axis, self._empty, self._every = Path(root).expanduser(), axis, empty, every
        self._window, self._normalise, self._percentiles = window, normalise, percentiles
        self._recent = Recent(keep)
        self._intensity = Intensity(window, normalise, percentiles, self._recent)
        patterns = [images] if isinstance(images, str) else list(images)
        self._patients = [_opened(case) for case in find_cases(self._root, patterns, labels)]
        self.channels = _channels(self._patients)
        named = sorted(
            (f"{patient.case.id}/slice_{index:04d}", number, index)
            for number, patient in enumerate(self._patients)
            for index in self._indices(patient)
        )
        if not named:
            raise UserError(
                "every slice is empty, and dataset.empty=drop; expected a class in the labels; give empty=keep"
            )
        self.ids = tuple(name for name, _, _ in named)
        self._slices = [(number, index) for _, number, index in named]
        cases = [self._patients[number].case for number, _ in self._slices]
        self.splits = tuple(case.split for case in cases)
        self.groups = tuple(case.patient for case in cases)

    def read(self, index: int) -> Sample:
        """Image and labels of `ids[index]`.

        Raises:
            UserError: a file is broken, holds what is no number, or a label that is no class.
        """
        number, at = self._slices[index]
        patient = self._patients[number]
        channels = [self._intensity.image(scan, self._axis, at) for scan in patient.images]
        return Sample(np.concatenate(channels, 2), self._labels(patient.label, at))

    def spacing(self, index: int) -> tuple[float, float]:
        """Height and width in mm of a pixel of `ids[index]`."""
        return spacing(self._patients[self._slices[index][0]].label.grid, self._axis)

    def fingerprint(self) -> str:
        """BLAKE2b over the choices, and names and contents of all files."""
        files = (file for _, images, label in self._patients for scan in (*images, label) for file in scan.files)
        chosen = (self._axis, self._window, self._normalise, self._percentiles, self._empty, self._every)
        return digest(self._root, files, *(list(c) if isinstance(c, Sequence) else c for c in chosen))

    def files(self, index: int) -> list[Path]:
        """The files of `ids[index]`: images, a folder's slices too, and the label."""
        _, images, label = self._patients[self._slices[index][0]]
        return [file for scan in (*images, label) for file in scan.files]

    def _indices(self, patient: _Patient) -> Sequence[int]:
        places = range(0, depth(patient.label.grid, self._axis), self._every)
        if self._empty == "keep":
            return places
        if "background" not in self.classes:
            raise UserError(
                "dataset.empty=drop needs a class named background; expected one; name it, or give empty=keep"
            )
        nothing = (self.classes.index("background"), IGNORE_INDEX)
        return [index for index in places if not np.isin(self._labels(patient.label, index), nothing).all()]

    def _labels(self, scan: Scan, at: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        stored = np.ascontiguousarray(plane(self._recent.load(scan), scan.grid, self._axis, at))
        if scan.slope != 1 or scan.intercept != 0 or stored.dtype.kind == "f":
            values = scan.values(stored)
            stored = np.rint(values).astype(np.int64)
            if (stored != values).any():
                raise UserError(
                    f"label '{scan.name}' holds {values[stored != values][0]:g}; expected whole numbers, those of "
                    "dataset.classes; resample labels by nearest neighbour"
                )
        return self._coding.labels(stored, f"{scan.name}, slice {at}")


def _check_choices(
    axis: object, window: object, normalise: object, percentiles: object, empty: object, every: object, keep: object
) -> None:
    numbers = {"every": every, "keep": keep}
    words = {"axis": (axis, tuple(AXES)), "normalise": (normalise, (None, "zscore", "percentile"))}
    for name, (value, allowed) in (words | {"empty": (empty, ("keep", "drop"))}).items():
        if value not in allowed or isinstance(value, bool):
            shown = ", ".join("null" if word is None else str(word) for word in allowed)
            raise UserError(f"dataset.{name} is {value!r}; expected one of {shown}")
    for name, value in numbers.items():
        if type(value) is not int or value < 1:
            raise UserError(f"dataset.{name} is {value!r}; expected a whole number from 1")
    for name, value in {"window": window, "percentiles": percentiles}.items():
        if value is not None and not _is_range(value):
            raise UserError(
                f"dataset.{name} is {value!r}; expected [lowest, highest]; a window of center 40 and width 400 is "
                "[-160, 240]"
            )
    if window is not None and normalise is not None:
        raise UserError("dataset.window and dataset.normalise are both given; expected one of them; set one to null")


def _is_range(value: object) -> bool:
    numbers = [v for v in value if isinstance(v, int | float)] if isinstance(value, Sequence) else []
    return isinstance(value, Sequence) and len(value) == len(numbers) == 2 and numbers[0] < numbers[1]


def _opened(case: Case) -> _Patient:
    images = [open_series(path) if path.is_dir() else open_nifti(path) for path in case.images]
    label = open_nifti(case.label)
    if label.channels != 1:
        raise UserError(
            f"label '{label.name}' has four axes, {label.channels} volumes; expected one value a voxel; save it as "
            "three axes, with a value for each class"
        )
    for scan in images:
        check_same(scan, label)
    # one grid for all: of a scan that lies at 45 degrees, rounding alone says which way each would be turned
    return _Patient(case, [scan._replace(grid=label.grid) for scan in images], label)


def _channels(patients: Sequence[_Patient]) -> int:
    counts = [sum(scan.channels for scan in patient.images) for patient in patients]
    for patient, count in zip(patients, counts, strict=True):
        if count != counts[0]:
            raise UserError(
                f"the scans of {patient.case.id} have {count} channels; expected {counts[0]} as those of "
                f"{patients[0].case.id} have; move them away, or choose modalities by dataset.images"
            )
    return counts[0]
