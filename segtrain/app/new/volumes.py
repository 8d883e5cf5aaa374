"""Guesses the config of scans in three dimensions with labels in NIfTI."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from segtrain.app.new.class_names import find_names, read_dataset_json
from segtrain.app.new.config_lines import ConfigLine, Guess, key_line
from segtrain.app.new.file_samples import MANY, Pixels
from segtrain.app.new.layout import ORPHANS, FileGroup, group_files, left_out_words, orphan_words
from segtrain.app.new.mask_values import class_lines, class_questions, class_words, read_meaning
from segtrain.counted import counted
from segtrain.data.files.extras import need
from segtrain.data.files.file_names import MASK_WORDS, Found, says
from segtrain.data.likely_groups import find_groups
from segtrain.errors import UserError
from segtrain.files import require_regular
from segtrain.spread import spread

FEW = 64  # values that labels have at most
LABELS = 5  # files of labels whose voxels are read: each may take a second to unpack
SCANS = 3  # scans of which it is asked whether they are CT
NIFTI = (".nii.gz", ".nii")
HOUNSFIELD = -900  # air: a scan with such values is CT
LOOKED = 2  # files of a kind of which it is asked whether they are labels
VOXELS = 500_000  # of such a file that are compared, evenly spread
ENOUGH = 0.9  # share of the labels that a modality must have a scan for
SOME = 0.3  # share from which on a modality is spoken of


class ScansAndLabels(NamedTuple):
    """Holds labels, the scans of each modality, and what of the same names looks like labels, and so is neither."""

    labels: FileGroup
    images: tuple[FileGroup, ...]
    doubtful: tuple[FileGroup, ...]
    partial: tuple[FileGroup, ...]  # scans of some patients alone
    unlabelled: tuple[str, ...]  # splits that have scans and no labels

    @property
    def keys(self) -> set[tuple[str, str]]:
        """Returns the patients that have everything."""
        return self.labels.files.keys() & set.intersection(*({*part.files} for part in self.images))

    def orphans(self, real: Mapping[str, str]) -> list[str]:
        """Returns the files that fit a pattern and lack a partner."""
        parts, keys = (self.labels, *self.images), self.keys
        return sorted(real.get(path, path) for part in parts for key, path in part.files.items() if key not in keys)


def guess_volumes(root: Path, found: Found) -> Guess | None:
    """Returns the config of scans with their labels; None when the folder holds pictures in the main, or no scans.

    Raises:
        UserError: there are scans, and none that pair with labels.
    """
    nifti, dicom = found.ending(*NIFTI), found.ending(".dcm", ".dicom")
    if len(nifti) + len(dicom) <= len(found.pictures):
        return None
    series = sorted({f"{PurePosixPath(path).parent}.dcm" for path in dicom})
    plain = [*sorted({_plain(path) for path in nifti}), *series]
    real = {_plain(path): path for path in nifti}
    sides = _find_scans(root, [kind for part in group_files(plain) if (kind := _fit_to_scans(part))], real)
    if sides is None:
        raise _no_labels(root, nifti, series)
    chosen = spread([real[sides.labels.files[key]] for key in sorted(sides.keys)], LABELS)
    meaning = read_meaning((root / path for path in chosen), _read_voxels, names=find_names(root, found))
    groups = find_groups([f"{'/'.join(part for part in key if part)}/slice_0000" for key in sorted(sides.keys)], False)
    patterns, alone = [_pattern_of(part) for part in sides.images], sides.orphans(real)
    lines = (
        ConfigLine("defaults: [volume]"),
        key_line("root", str(root)),
        key_line(
            "images",
            patterns if len(patterns) > 1 else patterns[0],
            f"{counted(len(sides.keys), 'scan')}, {counted(len(patterns), 'channel')}",
        ),
        key_line("labels", _pattern_of(sides.labels)),
        *([key_line("orphans", ORPHANS, orphan_words(alone))] if alone else []),
        *_scale(root, sides.images[0], real, read_dataset_json(root, found)),
        *class_lines(meaning),
        *([ConfigLine("split:"), key_line("group", groups.expression, _patients(groups.number), 2)] if groups else []),
    )
    said = f"{counted(len(sides.keys), 'scan')} ({', '.join(patterns)}) with labels ({_pattern_of(sides.labels)})"
    kept = f"{_patients(groups.number)} (split.group)" if groups else "a patient's slices stay together"
    asked = list(class_questions(meaning))
    return Guess(
        lines,
        (f"{said}; {kept}", class_words(meaning)),
        (*asked, *_asked(sides, alone)),
        units=groups.number if groups else len(sides.keys),
    )


def _asked(sides: ScansAndLabels, alone: Sequence[str]) -> Iterator[str]:
    for part in sides.doubtful:
        yield (
            f"'{_pattern_of(part)}' looks like labels and is no input; if it is one, add it to images; if it is the "
            f"right labels, write it as labels instead of '{_pattern_of(sides.labels)}'"
        )
    for part in sides.partial:
        yield (
            f"'{_pattern_of(part)}' is there for {len(part.files)} patients, not for the {len(sides.labels.files)} "
            "that have labels, and is no input; if it is to be one, add it to images, which leaves out the others"
        )
    if alone:
        yield left_out_words(alone)
    if sides.unlabelled:
        yield f"{' and '.join(sides.unlabelled)} has scans without labels, which training cannot use"


def _patients(number: int) -> str:
    return f"several scans of a patient by their names, of {number} patients: all of one stay together"


def _no_labels(root: Path, nifti: Sequence[str], series: Sequence[str]) -> UserError:
    for path in spread(nifti, LABELS):
        values = np.unique(_read_voxels(root / path))
        if 1 < len(values) <= FEW and np.any(values % 1):
            some = ", ".join(f"{value:g}" for value in values[:4])
            return UserError(
                f"'{root / path}' looks like labels, and holds {some}; expected whole numbers; they were scaled when "
                "the file was written: save them without a scale (scl_slope 1), as integers"
            )
    return UserError(
        f"'{root}' holds {counted(len(nifti), 'NIfTI file')} and {counted(len(series), 'folder')} of DICOM files, and "
        "none that pair as scans with labels; expected labels in NIfTI under the name of their scan, whole numbers of "
        "few values, such as images/p01.nii.gz with labels/p01.nii.gz; lay them out so; outlines in XML (LIDC-IDRI), "
        "DICOM SEG and RTSTRUCT are not read: save them as NIfTI on the grid of the scan, as pylidc, dcmqi or 3D "
        "Slicer do"
    )


def _plain(path: str) -> str:
    """Returns the path with one suffix, so that `.nii.gz` is none of two."""
    return re.sub(r"\.nii(\.gz)?$", ".nii", path, flags=re.IGNORECASE)


def _scale(root: Path, images: FileGroup, real: Mapping[str, str], about: Mapping[str, Any]) -> list[ConfigLine]:
    """Returns the line of a window for CT, of percentiles for what has no unit."""
    paths = spread(sorted(images.files.values()), SCANS)
    said = about.get("modality") or about.get("channel_names")
    named = {str(kind).lower() for kind in said.values()} if isinstance(said, dict) else set()
    if not paths[0].endswith(".nii"):
        return [key_line("window", (-160, 240), "HU, soft tissue: what is your organ's? null for MR")]
    if named == {"ct"}:
        return [key_line("window", (-160, 240), "HU, since dataset.json says CT: soft tissue; bone [-450, 1050]")]
    if not named and any(_read_voxels(root / real[path]).min() <= HOUNSFIELD for path in paths):
        return [key_line("window", (-160, 240), "HU, since values reach below -900: soft tissue; bone [-450, 1050]")]
    return [key_line("normalise", "percentile", "of each scan, since the values are no HU; or zscore")]


def _fit_to_scans(part: FileGroup) -> FileGroup | None:
    """Returns the part as patterns of scans take it, whose `{id}` reaches over no slash; None when none does."""
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


def _pattern_of(part: FileGroup) -> str:
    """Returns the part as `images` and `labels` of the volume format take it."""
    text = "/".join(piece for piece in (part.folder, f"{part.before}{{id}}{part.after}") if piece)
    if all("/" in name for _, name in part.files):
        text = text.replace("{id}", "{id}/{id}")
    return text + (".nii*" if next(iter(part.files.values())).endswith(".nii") else "")


def _find_scans(root: Path, parts: Sequence[FileGroup], real: Mapping[str, str]) -> ScansAndLabels | None:
    """Returns labels and the scans of each modality; None when nothing pairs."""
    few: dict[str, bool] = {}

    def are_labels(part: FileGroup) -> bool:
        name = f"{_pattern_of(part)} {len(part.files)}"
        if name not in few:
            few[name] = _are_labels(root, part, real)
        return few[name]

    best: tuple[float, ScansAndLabels] | None = None
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
                best = score, ScansAndLabels(labels, images, _disjoint(doubtful), partial, ())
    return best and _of_labelled_splits(best[1])


def _apart(part: FileGroup, labels: FileGroup) -> FileGroup | None:
    """Returns the group without the labels: {id}.nii* beside {id}_gt.nii*, which says more, does not mean those."""
    mine = {*labels.files.values()}
    if mine.isdisjoint(part.files.values()):
        return part
    if part.folder != labels.folder or part.before or part.after or not (labels.before or labels.after):
        return None
    rest = {key: path for key, path in part.files.items() if path not in mine}
    return part._replace(files=rest) if rest else None


def _share(part: FileGroup, labels: FileGroup) -> float:
    return len(part.files.keys() & labels.files.keys()) / len(labels.files)


def _outside(part: FileGroup, chosen: Sequence[FileGroup]) -> bool:
    return all({*part.files.values()}.isdisjoint(one.files.values()) for one in chosen)


def _own_words(part: FileGroup, labels: FileGroup) -> str:
    """Returns what the group's names say and the labels' do not, such as the folder unless both lie in it."""
    return part.says if part.folder != labels.folder else f"{part.before}/{part.after}"


def _disjoint(parts: Sequence[FileGroup]) -> tuple[FileGroup, ...]:
    """Returns groups that share no file: narrow ones before the wide that hold them."""
    taken: set[str] = set()
    apart = []
    for part in sorted(parts, key=lambda part: (len(part.files), part.folder.count("*"))):
        if taken.isdisjoint(part.files.values()):
            apart.append(part)
            taken |= {*part.files.values()}
    return tuple(sorted(apart, key=_pattern_of))


def _of_labelled_splits(sides: ScansAndLabels) -> ScansAndLabels:
    """Returns the sides without the splits that have no labels; a single split that is left is none."""
    splits = set.union(*(part.splits for part in sides.images))
    bare = tuple(sorted(splits - sides.labels.splits)) if sides.labels.splits else ()
    left = (splits & sides.labels.splits) or {""}
    if not bare and len(left) > 1:
        return sides
    return ScansAndLabels(
        sides.labels.within(left),
        tuple(part.within(left) for part in sides.images),
        tuple(kept for part in sides.doubtful if (kept := part.within(left)).files),
        tuple(kept for part in sides.partial if (kept := part.within(left)).files),
        bare,
    )


def _are_labels(root: Path, part: FileGroup, real: Mapping[str, str]) -> bool:
    """Says whether a sample of the files holds few whole numbers, as labels do and scans do not."""
    paths = spread(sorted(part.files.values()), LOOKED)
    if not all(path.endswith(".nii") for path in paths):
        return False
    for path in paths:
        voxels = _read_voxels(root / real[path]).ravel()
        if voxels.dtype.kind == "f" or len(np.unique(voxels[:: max(1, voxels.size // VOXELS)])) > MANY:
            return False
    return True


def _read_voxels(path: Path) -> Pixels:
    """Returns labels flattened to (slices, pixels): whole numbers, or float32 where they are none."""
    nibabel = need("nibabel", "medical")
    try:
        require_regular(path)
        voxels = np.asarray(nibabel.load(path).dataobj)
    except Exception as error:  # nibabel raises nearly anything on a broken file
        raise UserError(f"'{path}' cannot be read; expected NIfTI; got {type(error).__name__}: {error}") from error
    flat = voxels.reshape(len(voxels), -1)
    whole = flat.dtype.kind in "iu" or bool((flat == np.round(flat)).all())
    return flat.astype(np.int32 if whole else np.float32)
