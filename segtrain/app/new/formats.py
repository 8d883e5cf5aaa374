"""Formats that are no folder of images and masks: what gives them away, and the config that reads them."""

from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath

from segtrain.app.new.coco import guess_coco
from segtrain.app.new.manifest import guess_manifest
from segtrain.app.new.volumes import guess_volumes
from segtrain.app.new.yaml_lines import Guess, Line, entry
from segtrain.counted import counted
from segtrain.data.files.file_names import IMAGE_WORDS, MASK_WORDS, Found, says

PARTS = ("train", "val", "test")


def guess_other(root: Path, found: Found) -> Guess | None:
    """The config of the format that gives itself away by its files; None when it may be images and masks.

    Raises:
        UserError: it gives itself away, and cannot be read.
    """
    return (
        guess_coco(root, found)
        or guess_manifest(root, found)
        or guess_volumes(root, found)
        or guess_instances(root, found)
    )


def guess_instances(root: Path, found: Found) -> Guess | None:
    """A folder a sample with one image and a mask for each of its objects (DSB2018)."""
    files: dict[str, Counter[str]] = defaultdict(Counter)  # folder of a sample -> files in the folders in it
    for path in found.pictures:
        folders = PurePosixPath(path).parts[:-1]
        if len(folders) > 1:
            files["/".join(folders[:-1])][folders[-1]] += 1
    kinds = Counter(folder for inside in files.values() for folder in inside)
    masks = next((folder for folder, _ in kinds.most_common() if says(folder, MASK_WORDS)), "")
    images = next((folder for folder, _ in kinds.most_common() if says(folder, IMAGE_WORDS) and folder != masks), "")
    samples = [sample for sample, inside in files.items() if inside[images] == 1 and inside[masks]]
    several = sum(files[sample][masks] > 1 for sample in samples)
    if len(samples) < 2 or 2 * several < len(samples) or 2 * len(samples) < kinds[masks]:
        return None
    above, count = Counter(sample.rpartition("/")[0] for sample in samples).most_common(1)[0]
    if PurePosixPath(above).name in PARTS:  # beside val and test, which the format reads itself
        above, count = str(PurePosixPath(above).parent), len(samples)
    lines = (
        Line("defaults: [instances]"),
        entry(
            "root",
            str(root / above),
            f"{counted(count, 'sample')}: a folder each, with an image and a mask for each object",
        ),
        entry("classes", ["background", "object"], "what is outside and inside the masks; name them"),
        entry("images", images, "folder of a sample's one image"),
        entry("masks", masks, "folder of its masks"),
    )
    named = "name the classes background and object, which are guesses"
    return Guess(lines, (f"{counted(count, 'folder')} with an image and a mask for each object",), (named,))
