"""What is damaged: small sets of images in several formats, a run and a sweep, made by the verbs themselves."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from fuzzing.forked import run

TINY = [
    *("trainer=cpu", "trainer.max_epochs=1", "data.batch_size=2", "data.crop=32", "data.steps_per_epoch=1"),
    *("threads=1", "model.encoder_name=tu-test_resnet", "+model.decoder_channels=[8,8,8,8,8]", "data.num_workers=0"),
]
CLASSES = "dataset.classes={background:0,cell:255}"
FOLDER = ["dataset=folder", "dataset.root=data", CLASSES]
SWEEP = ["aug=none,flips", "seed=0,1,2", "checkpoint.keep=best", "hydra.launcher.n_jobs=1"]
SIDE, SAMPLES = 32, 12


def make(root: Path) -> None:
    """Fills the folder with data/ (PNG), other/ (a format each), runs below outputs/one and outputs/many.

    Raises:
        SystemExit: a command that nothing was damaged for did not end well.
    """
    _images(root)
    for arguments in (
        [*TINY, *FOLDER, "name=one"],
        ["-m", *TINY, *FOLDER, *SWEEP, "name=many"],
    ):
        ended = run(arguments, root, 300)
        if ended.status != 0:
            raise SystemExit(f"segtrain {' '.join(arguments)} ended with {ended.status}:\n{ended.text[-3000:]}")


def _pair(rng: np.random.Generator, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """An image (SIDE, SIDE, channels) uint8 and its mask (SIDE, SIDE) of 0 and 255: a bright disc on noise."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    centre = rng.integers(8, SIDE - 8, 2)
    inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < rng.integers(20, 60)
    image = rng.integers(0, 90, (SIDE, SIDE, channels)) + 120 * inside[..., None]
    return image.astype(np.uint8), (inside * 255).astype(np.uint8)


def _images(root: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("data/images", "data/masks", "other/images", "other/masks"):
        (root / folder).mkdir(parents=True)
    annotations = []
    for i in range(SAMPLES):
        image, mask = _pair(rng)
        Image.fromarray(image[..., 0]).save(root / f"data/images/s{i:02d}.png")
        Image.fromarray(mask).save(root / f"data/masks/s{i:02d}.png")
        rows, columns = (axis.tolist() for axis in np.nonzero(mask))
        box = [min(columns), min(rows), max(columns) - min(columns) + 1, max(rows) - min(rows) + 1]
        x, y, w, h = box
        outline = [x, y, x + w, y, x + w, y + h, x, y + h]
        annotations.append({"id": i + 1, "image_id": i + 1, "category_id": 1, "bbox": box, "area": w * h, "iscrowd": 0})
        annotations[-1]["segmentation"] = [outline]
    names = [f"images/s{i:02d}.png" for i in range(SAMPLES)]
    lines = [f"{name},{name.replace('images', 'masks')},g{i // 2}" for i, name in enumerate(names)]
    (root / "data/pairs.csv").write_text("\n".join(["image,mask,group", *lines]) + "\n")
    described = [{"id": i + 1, "file_name": name, "width": SIDE, "height": SIDE} for i, name in enumerate(names)]
    coco = {"images": described, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    (root / "data/coco.json").write_text(json.dumps(coco))
    for i, part in enumerate(("train", "val", "test")):
        chosen = names[4 * i : 4 * i + 4]
        (root / f"data/{part}.txt").write_text("".join(f"{Path(name).stem}\n" for name in chosen))
    _others(root, rng)


def _others(root: Path, rng: np.random.Generator) -> None:
    """The same image as every kind of file that predict reads, the ones of extras where they are installed."""
    image, _ = _pair(rng)
    plain, inputs = Image.fromarray(image[..., 0]), root / "inputs"
    inputs.mkdir()
    for suffix in ("png", "jpg", "bmp", "gif", "tif"):
        plain.save(inputs / f"a.{suffix}")
    plain.save(inputs / "lzw.tif", compression="tiff_lzw")
    try:
        import tifffile

        tifffile.imwrite(inputs / "tiled.tif", image[..., 0], tile=(16, 16))
        tifffile.imwrite(inputs / "pages.tif", np.stack([image[..., 0]] * 3), photometric="minisblack")
        tifffile.imwrite(inputs / "big.tif", image[..., 0], bigtiff=True, compression="zlib")
    except ImportError:
        pass
    try:
        import nibabel

        scan = nibabel.Nifti1Image(np.repeat(image, 3, 2), np.eye(4))
        nibabel.save(scan, inputs / "a.nii")
        nibabel.save(scan, inputs / "a.nii.gz")
    except ImportError:
        pass
