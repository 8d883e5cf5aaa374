"""Names of files with a part that tells the sample: "images/{id}.png", "{split}annot/{id}.png"."""

import re
from collections.abc import Iterable
from pathlib import Path

from segtrain.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif")
SPLITS = ("train", "val", "test")
LOOKALIKES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}

# What is not read, though some take it for images: ending -> what it is, and the way out.
NRRD = "NRRD files are not read; save scans and labels as NIfTI (.nii.gz; 3D Slicer: Export to file) for dataset=volume"
META = (
    "MetaImage files are not read; save scans and labels as NIfTI (.nii.gz; SimpleITK: WriteImage) for dataset=volume"
)
ARRAY = "arrays are not read; save them as PNG or TIFF, of scans as NIfTI for dataset=volume"
SLIDE = "slides are not read; cut them into tiles, saved as PNG or TIFF with their masks"
MICROSCOPE = "microscopes' own files are not read; save images and masks as TIFF, as Fiji does"
SCAN = "scans are read by dataset=volume"
UNREAD = {
    **dict.fromkeys((".nrrd", ".nhdr"), NRRD),
    **dict.fromkeys((".mha", ".mhd"), META),
    **dict.fromkeys((".npy", ".npz", ".mat", ".h5", ".hdf5"), ARRAY),
    **dict.fromkeys((".svs", ".ndpi", ".mrxs", ".scn"), SLIDE),
    **dict.fromkeys((".czi", ".lif", ".nd2", ".oir"), MICROSCOPE),
}
SCANS = dict.fromkeys((".nii", ".gz", ".dcm"), SCAN)

ANY_SUFFIX = "(?i:" + "|".join(re.escape(suffix) for suffix in SUFFIXES) + ")"
SPLIT = "(?i:" + "|".join((*LOOKALIKES, *SPLITS)) + ")"
FIELDS = {"id": ".+", "folder": ".+", "split": SPLIT}


class Pattern:
    """Which files below a folder belong to one side of a dataset, and to which sample.

    `{id}` stands for any text, folders included, and takes as much as it can; `{folder}` for folders that come before
    it in the sample's name, where those of one name lie in each of many; `{split}` for train, val or test or their
    other spellings; `*` for any text within one name; `.*` at the end for any extension of an image. A field that comes
    twice must say the same twice.
    """

    def __init__(self, text: str, option: str) -> None:
        """Read the pattern; `option` is the key that gave it.

        Raises:
            UserError: an unknown field, no `{id}`, a path that leaves the folder, an extension that is no image's.
        """
        self.text, self.option = text, option
        _check(text, option)
        self._expression = re.compile(_expression(text))
        self.has_split = "{split}" in text
        fixed = re.split(r"[{*]", text)[0]
        self.folder = fixed.rpartition("/")[0]  # no file outside it fits
        self.weight = weight(text)

    def fits(self, name: str) -> tuple[str | None, str] | None:
        """Split and id of a file, by its path with slashes; None when it does not fit."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        split = found["split"].casefold() if self.has_split else None
        name = f"{found['folder']}/{found['id']}" if "{folder}" in self.text else found["id"]
        return LOOKALIKES.get(split, split) if split else None, name


def weight(pattern: str) -> int:
    """Returns how much of a name a pattern says: of two that fit, the one with the longer text is meant."""
    return len(re.sub(r"\{\w+\}|\*", "", pattern))


def way_out(names: Iterable[str], scans: bool) -> str:
    """Returns what is to be done about files of kinds that are not read here, behind a semicolon; empty where nothing.

    Args:
        names: of the files found.
        scans: whether scans are of another data set's kind here.
    """
    known = UNREAD | (SCANS if scans else {})
    found = dict.fromkeys(known[suffix] for name in names if (suffix := Path(name).suffix.lower()) in known)
    return "".join(f"; {said}" for said in found)


def _check(text: str, option: str) -> None:
    unknown = [name for name in re.findall(r"\{(.*?)\}", text) if name not in FIELDS]
    rest = re.sub(r"\{\w+\}", "", text)
    if unknown or "{" in rest or "}" in rest or "{id}" not in text:
        raise UserError(
            f"{option} is '{text}'; expected a folder, or a pattern with {{id}} for the name of the sample and, where "
            "folders or names tell it, {split}, such as 'masks/{id}_mask.png'; * stands for any text within a name"
        )
    if text.startswith("/") or ".." in text.split("/"):
        raise UserError(
            f"{option} is '{text}'; expected a pattern below dataset.root; give a root that holds all files"
        )
    if not text.lower().endswith((*SUFFIXES, ".*")):
        raise UserError(
            f"{option} is '{text}'; expected it to end in .* for any kind of image, or in one of {', '.join(SUFFIXES)}"
        )


def _expression(text: str) -> str:
    body = text.removesuffix(".*")
    parts, seen = [], set()
    for part in re.split(r"(\{\w+\}|\*)", body):
        name = part[1:-1]
        if part == "*":
            parts.append("[^/]*")
        elif part.startswith("{"):
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{FIELDS[name]})")
            seen.add(name)
        else:
            parts.append(re.escape(part))
    return "".join(parts) + (ANY_SUFFIX if text.endswith(".*") else "")
