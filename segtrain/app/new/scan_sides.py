"""Which scans are inputs and which are labels, and what is neither."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segtrain.app.new.file_groups import Part
from segtrain.app.new.file_looks import MANY, Pixels
from segtrain.data.files.extras import need
from segtrain.data.files.file_names import MASK_WORDS, says
from segtrain.errors import UserError
from segtrain.files import require_regular
from segtrain.spread import spread

LOOKED = 2  # files of a kind of which it is asked whether they are labels
VOXELS = 500_000  # of such a file that are compared, evenly spread
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


def for_scans(part: Part) -> Part | None:
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


def pattern_of(part: Part) -> str:
    """Returns the part as `images` and `labels` of the volume format take it."""
    text = "/".join(piece for piece in (part.folder, f"{part.before}{{id}}{part.after}") if piece)
    if all("/" in name for _, name in part.files):
        text = text.replace("{id}", "{id}/{id}")
    return text + (".nii*" if next(iter(part.files.values())).endswith(".nii") else "")


def find_sides(root: Path, parts: Sequence[Part], real: Mapping[str, str]) -> Sides | None:
    """Returns labels and the scans of each modality; None when nothing pairs."""
    few: dict[str, bool] = {}

    def are_labels(part: Part) -> bool:
        name = f"{pattern_of(part)} {len(part.files)}"
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
    return tuple(sorted(apart, key=pattern_of))


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
        tuple(kept for part in sides.doubtful if (kept := part.within(left)).files),
        tuple(kept for part in sides.partial if (kept := part.within(left)).files),
        bare,
    )


def _are_labels(root: Path, part: Part, real: Mapping[str, str]) -> bool:
    """Whether a sample of the files holds few whole numbers, as labels do and scans do not."""
    paths = spread(sorted(part.files.values()), LOOKED)
    if not all(path.endswith(".nii") for path in paths):
        return False
    for path in paths:
        voxels = read_voxels(root / real[path]).ravel()
        if voxels.dtype.kind == "f" or len(np.unique(voxels[:: max(1, voxels.size // VOXELS)])) > MANY:
            return False
    return True


def read_voxels(path: Path) -> Pixels:
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
