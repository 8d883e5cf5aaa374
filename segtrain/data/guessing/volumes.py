"""Scans in three dimensions with labels in NIfTI."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from segtrain.data.datasets.extras import need
from segtrain.data.guessing.classes import NAME_THEM, class_lines, class_words
from segtrain.data.guessing.files import MASK_WORDS, Found, says
from segtrain.data.guessing.looks import MANY, Pixels
from segtrain.data.guessing.meaning import meaning_of
from segtrain.data.guessing.parts import Part, parts_of
from segtrain.data.guessing.yaml import Guess, Line, entry
from segtrain.errors import UserError
from segtrain.spread import spread

LABELS = 5  # files of labels whose voxels are read: each may take a second to unpack
SCANS = 3  # scans of which it is asked whether they are CT
NIFTI = (".nii.gz", ".nii")
HOUNSFIELD = -900  # air: a scan with such values is CT


def guess_volumes(root: Path, found: Found) -> Guess | None:
    """Scans, a modality each, with their labels; None when the folder holds pictures in the main, or no scans.

    Raises:
        UserError: there are scans, and none that pair with labels.
    """
    nifti, dicom = found.ending(*NIFTI), found.ending(".dcm", ".dicom")
    if len(nifti) + len(dicom) <= len(found.pictures):
        return None
    series = sorted({f"{PurePosixPath(path).parent}.dcm" for path in dicom})
    parts = [part for part in parts_of([*sorted({_plain(path) for path in nifti}), *series]) if _pattern(part)]
    real = {_plain(path): path for path in nifti}
    labels, images = _sides(root, parts, real)
    if not images:
        raise UserError(
            f"'{root}' holds {len(nifti)} NIfTI files and {len(series)} folders of DICOM files, and none that pair as "
            "scans with labels; expected labels in NIfTI under the name of their scan, whole numbers of few values, "
            "such as images/p01.nii.gz with labels/p01.nii.gz; lay them out so"
        )
    keys = sorted(labels.files.keys() & images[0].files.keys())
    chosen = spread([real[labels.files[key]] for key in keys], LABELS)
    meaning = meaning_of((root / path for path in chosen), _voxels)
    patterns = [_pattern(part) for part in images]
    lines = (
        Line("defaults: [volume]"),
        entry("root", str(root)),
        entry("images", patterns if len(patterns) > 1 else patterns[0], f"{len(keys)} scans, {len(patterns)} channels"),
        entry("labels", _pattern(labels)),
        *_scale(root, images[0], real),
        *class_lines(meaning),
    )
    asked = (NAME_THEM.format(", ".join(meaning.unnamed)),) if meaning.unnamed else ()
    said = (
        f"{len(keys)} scans ({', '.join(patterns)}) with labels ({_pattern(labels)}); a patient's slices stay together"
    )
    return Guess(lines, (said, class_words(meaning)), asked)


def _plain(path: str) -> str:
    """With one suffix, so that `.nii.gz` is none of two."""
    return re.sub(r"\.nii(\.gz)?$", ".nii", path, flags=re.IGNORECASE)


def _pattern(part: Part) -> str:
    """As the volume format takes it, whose `{id}` reaches over no slash; empty when that cannot be."""
    names = [name for _, name in part.files]
    text = "/".join(piece for piece in (part.folder, f"{part.before}{{id}}{part.after}") if piece)
    if all("/" in name for name in names):
        if any(name.split("/") != [name.split("/")[0]] * 2 for name in names):
            return ""
        text = text.replace("{id}", "{id}/{id}")
    elif any("/" in name for name in names):
        return ""
    return text + (".nii*" if next(iter(part.files.values())).endswith(".nii") else "")


def _sides(root: Path, parts: Sequence[Part], real: dict[str, str]) -> tuple[Part, list[Part]]:
    """The labels, and the scans of each modality; no scans when nothing pairs."""
    best: tuple[float, Part, list[Part]] = (0, parts[0], []) if parts else (0, Part("", "", "", "", {}), [])
    for labels in parts:
        others = [p for p in parts if p is not labels and set(p.files.values()).isdisjoint(labels.files.values())]
        alike = [p for p in others if len(p.files.keys() & labels.files.keys()) > len(labels.files) / 2]
        if alike and _are_labels(root, labels, real):
            shared = max(len(p.files.keys() & labels.files.keys()) for p in alike)
            score = shared + says(labels.says, MASK_WORDS) / 2
            if score > best[0]:
                best = score, labels, [p for p in alike if p.files.keys() >= labels.files.keys()]
    _, labels, images = best
    taken: set[str] = set()
    apart = []
    for part in sorted(images, key=lambda part: len(part.files)):  # narrow kinds before the wide that hold them
        if taken.isdisjoint(part.files.values()):
            apart.append(part)
            taken |= set(part.files.values())
    return labels, sorted(apart, key=_pattern)


def _are_labels(root: Path, part: Part, real: dict[str, str]) -> bool:
    path = next(iter(part.files.values()))
    if not path.endswith(".nii"):
        return False
    return len(np.unique(_voxels(root / real[path]))) <= MANY


def _voxels(path: Path) -> Pixels:
    """Labels flattened to (slices, pixels): whole numbers, or float32 where they are none."""
    nibabel = need("nibabel", "medical")
    try:
        voxels = np.asarray(nibabel.load(path).dataobj)
    except Exception as error:  # nibabel raises nearly anything on a broken file
        raise UserError(f"'{path}' cannot be read; expected NIfTI; got {type(error).__name__}: {error}") from error
    flat = voxels.reshape(len(voxels), -1)
    whole = flat.dtype.kind in "iu" or bool((flat == np.round(flat)).all())
    return flat.astype(np.int32 if whole else np.float32)


def _scale(root: Path, images: Part, real: dict[str, str]) -> list[Line]:
    """A window for CT, percentiles for what has no unit."""
    paths = spread(sorted(images.files.values()), SCANS)
    if not paths[0].endswith(".nii"):
        return [entry("window", (-160, 240), "HU, soft tissue: what is your organ's? null for MR")]
    if any(_voxels(root / real[path]).min() <= HOUNSFIELD for path in paths):
        return [entry("window", (-160, 240), "HU, since values reach below -900: soft tissue; bone [-450, 1050]")]
    return [entry("normalise", "percentile", "of each scan, since the values are no HU; or zscore")]
