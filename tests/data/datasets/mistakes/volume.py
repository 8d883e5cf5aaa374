"""Mistakes in scans of three dimensions and their labels."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from segtrain.data.datasets import Volume

SHAPE = (6, 8, 5)  # right, anterior, superior
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])  # mm; RAS
RAMP = np.arange(240).reshape(SHAPE, order="F").astype(np.int16)


def body(shape: tuple[int, ...] = SHAPE, value: int = 1) -> NDArray[np.uint8]:
    """A label with a box of `value`, empty at both ends of every axis."""
    label = np.zeros(shape, np.uint8)
    label[1:-1, 2:-1, 1:-1] = value
    return label


def nifti(path: str, values: NDArray[np.generic], affine: NDArray[np.float64] = AFFINE) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(values, affine).to_filename(path)
    return Path(path)


def pair(name: str = "p1", image: NDArray[np.generic] = RAMP, label: NDArray[np.generic] | None = None) -> None:
    """images/NAME.nii.gz with labels/NAME.nii.gz."""
    nifti(f"images/{name}.nii.gz", image)
    nifti(f"labels/{name}.nii.gz", body(image.shape[:3]) if label is None else label)


def series(folder: str, values: NDArray[np.int16] = RAMP, affine: NDArray[np.float64] = AFFINE, **tags: object) -> None:
    """A CT series, a file a slice, HU = stored - 1024; the names say nothing of the order."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    uid = generate_uid(entropy_srcs=[folder])
    for number in range(values.shape[2]):
        slice_ = pydicom.Dataset()
        slice_.file_meta = pydicom.dataset.FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.file_meta.MediaStorageSOPClassUID = slice_.SOPClassUID = CTImageStorage
        slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID = generate_uid(entropy_srcs=[f"{number}"])
        slice_.SeriesInstanceUID, slice_.Modality = uid, "CT"
        slice_.Columns, slice_.Rows = values.shape[:2]
        lps = np.diag([-1, -1, 1]) @ affine[:3]
        sides = np.sqrt((lps[:, :3] ** 2).sum(0))
        slice_.ImageOrientationPatient = [*(lps[:, 0] / sides[0]), *(lps[:, 1] / sides[1])]
        slice_.ImagePositionPatient = list(lps @ [0, 0, number, 1])
        slice_.PixelSpacing, slice_.SliceThickness = [sides[1], sides[0]], sides[2]
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 16, 15, 0
        slice_.RescaleSlope, slice_.RescaleIntercept = 1, -1024
        slice_.PixelData = (values[..., number].T + 1024).astype(np.uint16).tobytes()
        for tag, value in tags.items():
            setattr(slice_, tag, value)
        slice_.save_as(Path(folder, f"{number * 7 % 11:02d}.dcm"), enforce_file_format=True)


def scanned(**tags: object) -> Path:
    """images/p1/*.dcm with labels/p1.nii.gz; the folder of the series."""
    series("images/p1", **tags)
    nifti("labels/p1.nii.gz", body())
    return Path("images/p1")


def opened(**options: object) -> Volume:
    return Volume(**({"root": ".", "classes": {"background": 0, "liver": 1}} | options))  # type: ignore[arg-type]


def good() -> dict[str, object]:
    """Right data: four patients, with the arguments they need."""
    for number in range(4):
        pair(f"p{number + 1}", RAMP + np.int16(number))
    return {"root": ".", "classes": {"background": 0, "liver": 1}}


def with_pair(
    read: bool = True, options: dict[str, object] | None = None, **arrays: NDArray[np.generic]
) -> Callable[[], object]:
    """Opens, and reads the second slice of, one patient with this image or label."""

    def make() -> None:
        pair(**arrays)
        dataset = opened(**options or {})
        if read:
            dataset.read(1)

    return make


def with_options(**options: object) -> Callable[[], object]:
    return with_pair(options=options)


def moved() -> None:
    pair()
    nifti("labels/p1.nii.gz", body(), AFFINE + 4 * np.eye(4)[:, [3, 0, 1, 2]] * (np.arange(4) == 3))
    opened()


def flat() -> None:
    pair()
    image = nibabel.Nifti1Image(RAMP, AFFINE)
    image.set_sform(np.diag([2, 2, 0, 1]), 1)
    image.to_filename("images/p1.nii.gz")
    opened()


def without(path: str) -> Callable[[], object]:
    def make() -> None:
        good()
        Path(path).unlink()
        opened()

    return make


def twice() -> None:
    pair()
    nifti("images/p1.nii", RAMP)
    opened()


def cut(name: str, share: float) -> Callable[[], object]:
    """Reads a scan whose file lacks its end."""

    def make() -> None:
        pair()
        path = Path("images", name)
        Path("images/p1.nii.gz").unlink()
        whole = nifti(path.as_posix(), np.random.default_rng(0).integers(0, 999, SHAPE).astype(np.int16)).read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        opened().read(0)

    return make


def lying() -> None:
    """A header that says 30000³ voxels, over a file of a few bytes."""
    pair()
    content = bytearray(gzip.decompress(Path("images/p1.nii.gz").read_bytes()))
    content[42:48] = np.full(3, 30000, "<i2").tobytes()
    Path("images/p1.nii.gz").write_bytes(gzip.compress(bytes(content)))
    opened()


def modalities() -> None:
    for name in ("p1", "p2"):
        nifti(f"images/{name}.nii.gz", np.stack([RAMP] * (2 if name == "p1" else 3), 3))
        nifti(f"labels/{name}.nii.gz", body())
    opened()


def in_folders(change: Callable[[Path], object], read: bool = False) -> Callable[[], object]:
    """Opens a DICOM series after a change to its folder."""

    def make() -> None:
        change(scanned())
        dataset = opened(images="images/{id}")
        if read:
            dataset.read(1)

    return make


def shown_as(kind: str) -> Callable[[], object]:
    """Opens a series that says so of its values."""
    return lambda: (scanned(PhotometricInterpretation=kind), opened(images="images/{id}"))


def shortened(folder: Path) -> None:
    path = folder / "00.dcm"
    path.write_bytes(path.read_bytes()[:-20])


def other_spacing(folder: Path) -> None:
    header = pydicom.dcmread(folder / "07.dcm")
    header.PixelSpacing = [1, 1]
    header.save_as(folder / "07.dcm")


def split_twice() -> None:
    for part in ("train", "val"):
        nifti(f"images/{part}/p1.nii", RAMP)
        nifti(f"labels/{part}/p1.nii", body())
    opened(images="images/{split}/{id}.nii", labels="labels/{id}.nii")


NOT_A_NUMBER = np.where(RAMP == 50, np.nan, RAMP).astype(np.float32)
HALVES = body().astype(np.float32) / 2

MISTAKES = {
    "nothing fits the pattern": lambda: opened(images="scans/{id}.nii.gz"),
    "a pattern without {id}": lambda: opened(images="images/*.nii.gz"),
    "{split} in one pattern only": split_twice,
    "a scan without a label": without("labels/p2.nii.gz"),
    "a label without a scan": without("images/p3.nii.gz"),
    "two scans for one patient": twice,
    "a label of another shape": with_pair(label=body((6, 8, 6))),
    "a label that lies elsewhere": moved,
    "an affine without three directions": flat,
    "a label of several volumes": with_pair(label=np.stack([body()] * 2, 3)),
    "a scan of two axes": with_pair(image=RAMP[:, :, 0], label=body()),
    "patients with other modalities": modalities,
    "a truncated .nii.gz": cut("p1.nii.gz", 0.98),
    "a truncated .nii": cut("p1.nii", 0.7),
    "a header that lies": lying,
    "not a number": with_pair(image=NOT_A_NUMBER),
    "a label that is no class": with_pair(label=body(value=3)),
    "a label between two classes": with_pair(label=HALVES),
    "a scan of one value under zscore": with_pair(image=np.zeros(SHAPE, np.int16), options={"normalise": "zscore"}),
    "another axis": with_options(axis=3),
    "a window the wrong way round": with_options(window=[400, 40]),
    "window and normalise at once": with_options(window=[-160, 240], normalise="zscore"),
    "another normalisation": with_options(normalise="minmax"),
    "every=0": with_options(every=0),
    "empty=drop where every slice is empty": with_pair(label=body() * 0, options={"empty": "drop"}),
    "empty=drop without background": with_options(empty="drop", classes={"body": 0, "liver": 1}),
    "DICOM: a slice is missing": in_folders(lambda folder: (folder / "03.dcm").unlink()),
    "DICOM: a slice twice": in_folders(lambda folder: (folder / "x.dcm").write_bytes((folder / "00.dcm").read_bytes())),
    "DICOM: two spacings": in_folders(other_spacing),
    "DICOM: another kind of file": in_folders(lambda folder: (folder / "readme.dcm").write_text("x" * 200)),
    "DICOM: an empty folder": in_folders(lambda folder: [path.unlink() for path in folder.iterdir()]),
    "DICOM: a truncated file": in_folders(shortened, read=True),
    "DICOM: white as the lowest value": shown_as("MONOCHROME1"),
    "DICOM: an empty RescaleSlope": lambda: (scanned(RescaleSlope=None), opened(images="images/{id}")),
    "a scan in NRRD": lambda: (
        pair(),
        Path("images/p1.nii.gz").rename("images/p1.nrrd"),
        opened(images="images/{id}.nrrd"),
    ),
    "scans in NRRD, and no NIfTI": lambda: (pair(), Path("images/p1.nii.gz").rename("images/p1.nrrd"), opened()),
    "DICOM: colours by a palette": shown_as("PALETTE COLOR"),
}
