"""Reads slices of scans in three dimensions, NIfTI or DICOM, with labels in NIfTI."""

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from segtrain.data.datasets.contract import IGNORE_INDEX, Sample
from segtrain.data.files.dicom import open_series
from segtrain.data.files.digest import MOST_VALUES, Hashes, digest, hashes_of_pixels
from segtrain.data.files.label_coding import Code, Coding
from segtrain.data.files.nifti import open_nifti
from segtrain.data.files.pairs import remark_left_out, require_orphans
from segtrain.data.files.patterns import Case, find_cases
from segtrain.data.files.scans import Grid, Recent, Scan, ScanIntensity, depth, plane, require_same_grid, spacing
from segtrain.errors import UserError, is_noting

AXES = {0: "left to right", 1: "back to front", 2: "feet to head"}


class _Patient(NamedTuple):
    """Holds a case with its scans open: headers read, voxels not."""

    case: Case
    images: list[Scan]
    label: Scan


class Volume:
    """Reads slices along one of the patient's axes; `ids` are "PATIENT/slice_0012", `groups` the patients.

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
        orphans: str | None = None,
    ) -> None:
        """Finds the scans and reads their headers; with empty="drop" the labels too.

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
            orphans: "leave_out" goes on without scans and labels that have no partner, which `left_out` names; None
                refuses them.

        Raises:
            UserError: scans and labels do not pair, differ in grid, are broken, or arguments do not fit.
        """
        _check_choices(axis, window, normalise, percentiles, empty, every, keep)
        self._coding = Coding(classes, ignore_value, palette)
        self.classes, self.palette = self._coding.names, self._coding.palette
        self._root, self._axis, self._empty, self._every = Path(root).expanduser(), axis, empty, every
        self._window, self._normalise, self._percentiles = window, normalise, percentiles
        self._recent = Recent(keep)
        self._intensity = ScanIntensity(window, normalise, percentiles, self._recent)
        patterns = [images] if isinstance(images, str) else list(images)
        require_orphans(orphans)
        cases, self.left_out = find_cases(self._root, patterns, labels, orphans == "leave_out")
        remark_left_out(self.left_out)
        self._patients = [_opened(case) for case in cases]
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
        case_of = [self._patients[number].case for number, _ in self._slices]
        self.splits = tuple(case.split for case in case_of)
        self.groups = tuple(case.patient for case in case_of)
        self._meaning = () if _is_plain(classes, ignore_value) else (dict(classes), ignore_value)
        self._contents: dict[Path, bytes] = {}

    def read(self, index: int) -> Sample:
        """Returns image and labels of `ids[index]`.

        Raises:
            UserError: a file is broken, holds what is no number, or a label that is no class.
        """
        number, at = self._slices[index]
        return Sample(self._image(index), self._labels(self._patients[number].label, at))

    def spacing(self, index: int) -> tuple[float, float]:
        """Returns height and width in mm of a pixel of `ids[index]`."""
        return spacing(self._patients[self._slices[index][0]].label.grid, self._axis)

    def fingerprint(self) -> str:
        """Returns BLAKE2b over the choices, and names and contents of all files."""
        return self._digest(*self._meaning, keep=self._contents)

    def older_fingerprints(self) -> list[str]:
        """Returns what `fingerprint` was until it followed what values of labels mean; none where it is the same."""
        return [self._digest()] if self._meaning else []

    def _digest(self, *meaning: object, keep: dict[Path, bytes] | None = None) -> str:
        files = (file for _, images, label in self._patients for scan in (*images, label) for file in scan.files)
        chosen = (self._axis, self._window, self._normalise, self._percentiles, self._empty, self._every)
        plain = (list(c) if isinstance(c, Sequence) else c for c in chosen)
        return digest(self._root, files, *plain, *meaning, keep=keep)

    def hashes(self) -> Hashes:
        """Returns a hash of each slice's pixels; None where they are of one value throughout, such as air.

        Of more than `MOST_VALUES` values in all not the pixels', but those of the scans' files and the slice's place:
        whole copies of a scan are found then, single slices in several are not.
        """
        return self._hashes

    def files(self, index: int) -> list[Path]:
        """Returns the files of `ids[index]`: images, a folder's slices too, and the label."""
        _, images, label = self._patients[self._slices[index][0]]
        return [file for scan in (*images, label) for file in scan.files]

    @functools.cached_property
    def _hashes(self) -> Hashes:
        values = sum(math.prod(scan.grid.shape) * scan.channels for _, images, _ in self._patients for scan in images)
        if values <= MOST_VALUES:
            return hashes_of_pixels(self._image, len(self.ids))
        if not self._contents:
            self.fingerprint()
        files = [[file for scan in patient.images for file in scan.files] for patient in self._patients]
        scans = [hashlib.blake2b(b"".join(self._contents[one] for one in some)).digest() for some in files]
        return [scans[number] + at.to_bytes(4) for number, at in self._slices]

    def _image(self, index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        number, at = self._slices[index]
        channels = [self._intensity.image(scan, self._axis, at) for scan in self._patients[number].images]
        return np.concatenate(channels, 2)

    def _indices(self, patient: _Patient) -> Sequence[int]:
        places = range(0, depth(patient.label.grid, self._axis), self._every)
        if self._empty == "keep":
            return places
        if "background" not in self.classes:
            raise UserError(
                "dataset.empty=drop needs a class named background; expected one; name it, or give empty=keep"
            )
        return [index for index in places if not self._is_empty(patient, index)]

    def _is_empty(self, patient: _Patient, index: int) -> bool:
        try:
            labels = self._labels(patient.label, index)
        except UserError:
            if not is_noting():  # an audit hears of it by reading the slice
                raise
            return False
        return bool(np.isin(labels, (self.classes.index("background"), IGNORE_INDEX)).all())

    def _labels(self, scan: Scan, at: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        stored = np.ascontiguousarray(plane(self._recent.load(scan), scan.grid, self._axis, at))
        if scan.slope != 1 or scan.intercept != 0 or stored.dtype.kind == "f":
            values = scan.values(stored)
            stored = np.rint(values).astype(np.int64)
            if (stored != values).any():
                raise UserError(
                    f"label '{scan.name}' holds {values[stored != values][0]:g}; expected whole numbers, those of "
                    "dataset.classes; resample labels by nearest neighbour, or undo what scaled them"
                )
        return self._coding.labels(stored, f"{scan.name}, slice {at}")


def _is_plain(classes: Mapping[str, Any], ignore_value: object) -> bool:
    """Returns whether a label is the value in the file: then what is read does not hang on the classes."""
    return ignore_value is None and list(classes.values()) == list(range(len(classes)))


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
    """Returns the case with the headers of its scans read.

    While an audit looks on, a scan whose header is broken stands on the grid of the others, and says so when it is
    read: so the patient keeps its slices.
    """
    found = [_scan(path) for path in (*case.images, case.label)]
    sound = [scan for scan in found if isinstance(scan, Scan)]
    broken = [error for error in found if isinstance(error, UserError)]
    if broken and not (sound and is_noting()):
        raise broken[0]
    paths = (*case.images, case.label)
    scans = [
        _stand_in(path, sound[0].grid, scan) if isinstance(scan, UserError) else scan
        for path, scan in zip(paths, found, strict=True)
    ]
    return _checked(case, scans[:-1], scans[-1])


def _scan(path: Path) -> Scan | UserError:
    try:
        return open_series(path) if path.is_dir() else open_nifti(path)
    except UserError as error:
        return error


def _stand_in(path: Path, grid: Grid, error: UserError) -> Scan:
    """Returns a scan that raises the error when it is loaded; of how many channels nobody knows."""
    files = sorted(one for one in path.iterdir() if not one.is_dir()) if path.is_dir() else [path]
    return Scan(str(path), grid, 0, 1.0, 0.0, functools.partial(_raise, error), tuple(files))


def _raise(error: UserError) -> NoReturn:
    raise error


def _checked(case: Case, images: list[Scan], label: Scan) -> _Patient:
    if label.channels > 1:
        raise UserError(
            f"label '{label.name}' has four axes, {label.channels} volumes; expected one value a voxel; save it as "
            "three axes, with a value for each class"
        )
    for scan in images:
        require_same_grid(scan, label)
    # one grid for all: of a scan that lies at 45 degrees, rounding alone says which way each would be turned
    return _Patient(case, [scan._replace(grid=label.grid) for scan in images], label)


def _channels(patients: Sequence[_Patient]) -> int:
    whole = [patient for patient in patients if all(scan.channels for scan in patient.images)]
    if not whole:  # only while an audit looks on
        patients[0].images[0].load()  # says why
    counts = [sum(scan.channels for scan in patient.images) for patient in whole]
    for patient, count in zip(whole, counts, strict=True):
        if count != counts[0]:
            raise UserError(
                f"the scans of {patient.case.id} have {count} channels; expected {counts[0]} as those of "
                f"{whole[0].case.id} have; move them away, or choose modalities by dataset.images"
            )
    return counts[0]
