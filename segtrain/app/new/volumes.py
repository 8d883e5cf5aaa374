"""Scans in three dimensions with labels in NIfTI."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from segtrain.app.new.class_names import dataset_json, find_names
from segtrain.app.new.classes import class_lines, class_questions, class_words
from segtrain.app.new.file_groups import Part, parts_of
from segtrain.app.new.mask_values import meaning_of
from segtrain.app.new.orphans import ORPHANS, left_out_words, orphan_words
from segtrain.app.new.scan_sides import Sides, find_sides, for_scans, pattern_of, read_voxels
from segtrain.app.new.yaml_lines import Guess, Line, entry
from segtrain.counted import counted
from segtrain.data.files.file_names import Found
from segtrain.data.likely_groups import find_groups
from segtrain.errors import UserError
from segtrain.spread import spread

FEW = 64  # values that labels have at most
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
    plain = [*sorted({_plain(path) for path in nifti}), *series]
    real = {_plain(path): path for path in nifti}
    sides = find_sides(root, [kind for part in parts_of(plain) if (kind := for_scans(part))], real)
    if sides is None:
        raise _no_labels(root, nifti, series)
    chosen = spread([real[sides.labels.files[key]] for key in sorted(sides.keys)], LABELS)
    meaning = meaning_of((root / path for path in chosen), read_voxels, names=find_names(root, found))
    groups = find_groups([f"{'/'.join(part for part in key if part)}/slice_0000" for key in sorted(sides.keys)], False)
    patterns, alone = [pattern_of(part) for part in sides.images], sides.orphans(real)
    lines = (
        Line("defaults: [volume]"),
        entry("root", str(root)),
        entry(
            "images",
            patterns if len(patterns) > 1 else patterns[0],
            f"{counted(len(sides.keys), 'scan')}, {counted(len(patterns), 'channel')}",
        ),
        entry("labels", pattern_of(sides.labels)),
        *([entry("orphans", ORPHANS, orphan_words(alone))] if alone else []),
        *_scale(root, sides.images[0], real, dataset_json(root, found)),
        *class_lines(meaning),
        *([Line("split:"), entry("group", groups.expression, _patients(groups.number), 2)] if groups else []),
    )
    said = f"{counted(len(sides.keys), 'scan')} ({', '.join(patterns)}) with labels ({pattern_of(sides.labels)})"
    kept = f"{_patients(groups.number)} (split.group)" if groups else "a patient's slices stay together"
    asked = list(class_questions(meaning))
    return Guess(lines, (f"{said}; {kept}", class_words(meaning)), (*asked, *_asked(sides, alone)))


def _asked(sides: Sides, alone: Sequence[str]) -> Iterator[str]:
    for part in sides.doubtful:
        yield (
            f"'{pattern_of(part)}' looks like labels and is no input; if it is one, add it to images; if it is the "
            "right "
            f"labels, write it as labels instead of '{pattern_of(sides.labels)}'"
        )
    for part in sides.partial:
        yield (
            f"'{pattern_of(part)}' is there for {len(part.files)} patients, not for the {len(sides.labels.files)} that "
            "have labels, and is no input; if it is to be one, add it to images, which leaves out the others"
        )
    if alone:
        yield left_out_words(alone)
    if sides.unlabelled:
        yield f"{' and '.join(sides.unlabelled)} has scans without labels, which training cannot use"


def _patients(number: int) -> str:
    return f"several scans of a patient by their names, of {number} patients: all of one stay together"


def _no_labels(root: Path, nifti: Sequence[str], series: Sequence[str]) -> UserError:
    for path in spread(nifti, LABELS):
        values = np.unique(read_voxels(root / path))
        if 1 < len(values) <= FEW and np.any(values % 1):
            some = ", ".join(f"{value:g}" for value in values[:4])
            return UserError(
                f"'{root / path}' looks like labels, and holds {some}; expected whole numbers; they were scaled when "
                "the file was written: save them without a scale (scl_slope 1), as integers"
            )
    return UserError(
        f"'{root}' holds {counted(len(nifti), 'NIfTI file')} and {counted(len(series), 'folder')} of DICOM "
        f"files, and none that pair as "
        "scans with labels; expected labels in NIfTI under the name of their scan, whole numbers of few values, "
        "such as images/p01.nii.gz with labels/p01.nii.gz; lay them out so; outlines in XML (LIDC-IDRI), DICOM SEG and "
        "RTSTRUCT are not read: save them as NIfTI on the grid of the scan, as pylidc, dcmqi or 3D Slicer do"
    )


def _plain(path: str) -> str:
    """With one suffix, so that `.nii.gz` is none of two."""
    return re.sub(r"\.nii(\.gz)?$", ".nii", path, flags=re.IGNORECASE)


def _scale(root: Path, images: Part, real: Mapping[str, str], about: Mapping[str, Any]) -> list[Line]:
    """A window for CT, percentiles for what has no unit."""
    paths = spread(sorted(images.files.values()), SCANS)
    said = about.get("modality") or about.get("channel_names")
    named = {str(kind).lower() for kind in said.values()} if isinstance(said, dict) else set()
    if not paths[0].endswith(".nii"):
        return [entry("window", (-160, 240), "HU, soft tissue: what is your organ's? null for MR")]
    if named == {"ct"}:
        return [entry("window", (-160, 240), "HU, since dataset.json says CT: soft tissue; bone [-450, 1050]")]
    if not named and any(read_voxels(root / real[path]).min() <= HOUNSFIELD for path in paths):
        return [entry("window", (-160, 240), "HU, since values reach below -900: soft tissue; bone [-450, 1050]")]
    return [entry("normalise", "percentile", "of each scan, since the values are no HU; or zscore")]
