"""Scans in three dimensions with labels in NIfTI."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.datasets.extras import need
from segtrain.data.guessing.class_names import dataset_json, find_names
from segtrain.data.guessing.classes import class_lines, class_questions, class_words
from segtrain.data.guessing.files import MASK_WORDS, Found, says
from segtrain.data.guessing.groups import find_groups
from segtrain.data.guessing.looks import MANY, Pixels
from segtrain.data.guessing.meaning import meaning_of
from segtrain.data.guessing.orphans import ORPHANS, left_out_words, orphan_words
from segtrain.data.guessing.parts import Part, parts_of
from segtrain.data.guessing.yaml import Guess, Line, entry
from segtrain.errors import UserError
from segtrain.spread import spread

LABELS = 5  # files of labels whose voxels are read: each may take a second to unpack
SCANS = 3  # scans of which it is asked whether they are CT
LOOKED = 2  # files of a kind of which it is asked whether they are labels
VOXELS = 500_000  # of such a file that are compared, evenly spread
NIFTI = (".nii.gz", ".nii")
HOUNSFIELD = -900  # air: a scan with such values is CT
ENOUGH = 0.9  # share of the labels that a modality must have a scan for
SOME = 0.3  # share from which on a modality is spoken of


class Sides(NamedTuple):
    """Labels, the scans of each modality, and files under the same names that look like labels, and so are neither."""

    labels: Part
    images: tuple[Part, ...]
    doubtful: tuple[Part, ...]
    partial: tuple[Part, ...]  # scans of some patients alone
    unlabelled: tuple[str, ...]  # splits that have scans and no labels

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Patients that have everything."""
        return self.labels.files.keys() & set.intersection(*({*part.files} for part in self.images))

    def orphans(self, real: Mapping[str, str]) -> list[str]:
        """Files that fit a pattern and lack a partner."""
        parts, keys = (self.labels, *self.images), self.keys
        return sorted(real.get(path, path) for part in parts for key, path in part.files.items() if key not in keys)


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
    sides = _sides(root, [kind for part in parts_of(plain) if (kind := _for_scans(part))], real)
    if sides is None:
        raise _no_labels(root, nifti, series)
    chosen = spread([real[sides.labels.files[key]] for key in sorted(sides.keys)], LABELS)
    meaning = meaning_of((root / path for path in chosen), _voxels, names=find_names(root, found))
    groups = find_groups([f"{'/'.join(part for part in key if part)}/slice_0000" for key in sorted(sides.keys)], False)
    patterns, alone = [_pattern(part) for part in sides.images], sides.orphans(real)
    lines = (
        Line("defaults: [volume]"),
        entry("root", str(root)),
        entry(
            "images",
            patterns if len(patterns) > 1 else patterns[0],
            f"{len(sides.keys)} scans, {len(patterns)} channel{'s' * (len(patterns) > 1)}",
        ),
        entry("labels", _pattern(sides.labels)),
        *([entry("orphans", ORPHANS, orphan_words(alone))] if alone else []),
        *_scale(root, sides.images[0], real, dataset_json(root, found)),
        *class_lines(meaning),
        *([Line("split:"), entry("group", groups.expression, _patients(groups.number), 2)] if groups else []),
    )
    said = f"{len(sides.keys)} scans ({', '.join(patterns)}) with labels ({_pattern(sides.labels)})"
    kept = f"{_patients(groups.number)} (split.group)" if groups else "a patient's slices stay together"
    asked = list(class_questions(meaning))
    return Guess(lines, (f"{said}; {kept}", class_words(meaning)), (*asked, *_asked(sides, alone)))


def _asked(sides: Sides, alone: Sequence[str]) -> Iterator[str]:
    for part in sides.doubtful:
        yield (
            f"'{_pattern(part)}' looks like labels and is no input; if it is one, add it to images; if it is the right "
            f"labels, write it as labels instead of '{_pattern(sides.labels)}'"
        )
    for part in sides.partial:
        yield (
            f"'{_pattern(part)}' is there for {len(part.files)} patients, not for the {len(sides.labels.files)} that "
            "have labels, and is no input; if it is to be one, add it to images, which leaves out the others"
        )
    if alone:
        yield left_out_words(alone)
    if sides.unlabelled:
        yield f"{' and '.join(sides.unlabelled)} has scans without labels, which training cannot use"


def _patients(number: int) -> str:
    return f"several scans of a patient by their names, of {number} patients: all of one stay together"


def _no_labels(root: Path, nifti: Sequence[str], series: Sequence[str]) -> UserError:
    return UserError(
        f"'{root}' holds {len(nifti)} NIfTI files and {len(series)} folders of DICOM files, and none that pair as "
        "scans with labels; expected labels in NIfTI under the name of their scan, whole numbers of few values, "
        "such as images/p01.nii.gz with labels/p01.nii.gz; lay them out so; outlines in XML (LIDC-IDRI), DICOM SEG and "
        "RTSTRUCT are not read: save them as NIfTI on the grid of the scan, as pylidc, dcmqi or 3D Slicer do"
    )


def _plain(path: str) -> str:
    """With one suffix, so that `.nii.gz` is none of two."""
    return re.sub(r"\.nii(\.gz)?$", ".nii", path, flags=re.IGNORECASE)


def _for_scans(part: Part) -> Part | None:
    """The part as the volume format's patterns take it, whose `{id}` reaches over no slash; None when none does."""
    if "{folder}" in part.folder or "{split}" in part.before + part.after:
        return None
    names = [name.split("/") for _, name in part.files]
    depths = {len(name) for name in names}
    if depths == {1} or (depths == {2} and all(name[0] == name[1] for name in names)):
        return part
    last = {(split, name.rpartition("/")[2]): path for (split, name), path in part.files.items()}
    if depths != {2} or len(last) < len(part.files) or (part.before + part.after).startswith("/"):
        return None
    return part._replace(folder="/".join(filter(None, (part.folder, "*"))), files=last)


def _pattern(part: Part) -> str:
    text = "/".join(piece for piece in (part.folder, f"{part.before}{{id}}{part.after}") if piece)
    if all("/" in name for _, name in part.files):
        text = text.replace("{id}", "{id}/{id}")
    return text + (".nii*" if next(iter(part.files.values())).endswith(".nii") else "")


def _sides(root: Path, parts: Sequence[Part], real: Mapping[str, str]) -> Sides | None:
    """Labels and the scans of each modality; None when nothing pairs."""
    few: dict[str, bool] = {}

    def are_labels(part: Part) -> bool:
        name = f"{_pattern(part)} {len(part.files)}"
        if name not in few:
            few[name] = _are_labels(root, part, real)
        return few[name]

    best: tuple[float, Sides] | None = None
    for labels in parts:
        alike = [other for part in parts if part is not labels and (other := _apart(part, labels))]
        alike = [part for part in alike if _share(part, labels) >= SOME]
        if not alike or not are_labels(labels):
            continue
        doubtful = [part for part in alike if says(_own_words(part, labels), MASK_WORDS) or are_labels(part)]
        scans = [part for part in alike if part not in doubtful]
        images = _disjoint(
            [part for part in scans if _share(part, labels) >= ENOUGH]
            or [p for p in scans if 2 * _share(p, labels) > 1]
        )
        partial = _disjoint([part for part in scans if _outside(part, images)])
        if images:
            shared = len(labels.files.keys() & set.intersection(*({*part.files} for part in images)))
            stars = sum(part.folder.count("*") for part in (labels, *images))
            score = shared + says(labels.says, MASK_WORDS) / 2 - 0.01 * stars
            if best is None or score > best[0]:
                best = score, Sides(labels, images, _disjoint(doubtful), partial, ())
    return best and _of_labelled_splits(best[1])


def _apart(part: Part, labels: Part) -> Part | None:
    """The part without what are labels: {id}.nii* beside {id}_gt.nii*, which says more, does not mean those."""
    mine = {*labels.files.values()}
    if mine.isdisjoint(part.files.values()):
        return part
    if part.folder != labels.folder or part.before or part.after or not (labels.before or labels.after):
        return None
    rest = {key: path for key, path in part.files.items() if path not in mine}
    return part._replace(files=rest) if rest else None


def _share(part: Part, labels: Part) -> float:
    return len(part.files.keys() & labels.files.keys()) / len(labels.files)


def _outside(part: Part, chosen: Sequence[Part]) -> bool:
    return all({*part.files.values()}.isdisjoint(one.files.values()) for one in chosen)


def _own_words(part: Part, labels: Part) -> str:
    """What the part's names say beside what those of the labels say too, such as the folder that both lie in."""
    return part.says if part.folder != labels.folder else f"{part.before}/{part.after}"


def _disjoint(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Narrow kinds before the wide that hold them."""
    taken: set[str] = set()
    apart = []
    for part in sorted(parts, key=lambda part: (len(part.files), part.folder.count("*"))):
        if taken.isdisjoint(part.files.values()):
            apart.append(part)
            taken |= {*part.files.values()}
    return tuple(sorted(apart, key=_pattern))


def _of_labelled_splits(sides: Sides) -> Sides:
    """Without the splits that have no labels; a single split that is left is none."""
    splits = set.union(*(part.splits for part in sides.images))
    bare = tuple(sorted(splits - sides.labels.splits)) if sides.labels.splits else ()
    left = (splits & sides.labels.splits) or {""}
    if not bare and len(left) > 1:
        return sides
    return Sides(
        sides.labels.within(left),
        tuple(part.within(left) for part in sides.images),
        tuple(part.within(left) for part in sides.doubtful),
        tuple(part.within(left) for part in sides.partial),
        bare,
    )


def _are_labels(root: Path, part: Part, real: Mapping[str, str]) -> bool:
    """Whether a sample of the files holds few whole numbers, as labels do and scans do not."""
    paths = spread(sorted(part.files.values()), LOOKED)
    if not all(path.endswith(".nii") for path in paths):
        return False
    for path in paths:
        voxels = _voxels(root / real[path]).ravel()
        if voxels.dtype.kind == "f" or len(np.unique(voxels[:: max(1, voxels.size // VOXELS)])) > MANY:
            return False
    return True


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


def _scale(root: Path, images: Part, real: Mapping[str, str], about: Mapping[str, Any]) -> list[Line]:
    """A window for CT, percentiles for what has no unit."""
    paths = spread(sorted(images.files.values()), SCANS)
    said = about.get("modality") or about.get("channel_names")
    named = {str(kind).lower() for kind in said.values()} if isinstance(said, dict) else set()
    if not paths[0].endswith(".nii"):
        return [entry("window", (-160, 240), "HU, soft tissue: what is your organ's? null for MR")]
    if named == {"ct"}:
        return [entry("window", (-160, 240), "HU, since dataset.json says CT: soft tissue; bone [-450, 1050]")]
    if not named and any(_voxels(root / real[path]).min() <= HOUNSFIELD for path in paths):
        return [entry("window", (-160, 240), "HU, since values reach below -900: soft tissue; bone [-450, 1050]")]
    return [entry("normalise", "percentile", "of each scan, since the values are no HU; or zscore")]
