"""Reading samples from what `segtrain convert` wrote against reading the PNG files it was made from.

Milliseconds a sample, image and mask, in the order of a training epoch, in one process, from files that the system
holds in memory: RGB images of 512 x 512 pixels, smoothed noise, which PNG makes smaller by a third or so. Once with
arrays as they are, once with `compress=true`. Needs the extra "stream".
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks import Comparison
from segtrain.data.datasets import Folder, SegmentationDataset, Streamed
from segtrain.data.datasets.streamed import write_stream

SIZE, SAMPLES = 512, 24
RAW_AIM, COMPRESSED_AIM = 0.25, 1.0  # times the PNG files
CLASSES = {"background": 0, "cell": 1, "rim": 2}


def run(quick: bool) -> list[Comparison]:
    """Both ways of writing against the files."""
    with tempfile.TemporaryDirectory() as folder:
        original = files(Path(folder, "files"))
        return [
            against(original, Path(folder, name), compress, aim, 5 if quick else 20)
            for name, compress, aim in (("raw", False, RAW_AIM), ("compressed", True, COMPRESSED_AIM))
        ]


def files(folder: Path) -> Folder:
    """PNG images and masks."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(SAMPLES):
        smooth = cv2.GaussianBlur(rng.normal(0, 1, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 4)
        image = np.clip(128 + 900 * smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{number:03d}.png")
        mask = np.digitize(smooth[..., 0], [0.0, 0.1]).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{number:03d}.png")
    return Folder(folder, CLASSES)


def against(original: Folder, folder: Path, compress: bool, aim: float, repeats: int) -> Comparison:
    folder.mkdir()
    write_stream(original, folder, compress)
    stream, times = Streamed(folder), dict[str, list[float]](ours=[], alternative=[])
    read = {"ours": stream, "alternative": original}
    for _ in range(2):  # what opens files, and brings them into memory
        [milliseconds(dataset, [0, 1]) for dataset in read.values()]
    for repeat in range(repeats):
        order = np.random.default_rng(repeat).permutation(SAMPLES).tolist()
        for name, dataset in read.items():
            times[name].append(milliseconds(dataset, order))
    size = sum(file.stat().st_size for file in folder.iterdir())
    pngs = sum(file.stat().st_size for file in original._root.rglob("*.png"))
    return Comparison(
        name=f"reading a sample, {folder.name} arrays",
        setting=f"{SIZE} x {SIZE} RGB, {SAMPLES} samples, {size / pngs:.2f} times the bytes",
        alternative_name="PNG files",
        unit="ms",
        figure="ratio",
        aim=aim,
        **times,
    )


def milliseconds(dataset: SegmentationDataset, order: Sequence[int]) -> float:
    began = time.perf_counter()
    for index in order:
        dataset.read(index)
    return (time.perf_counter() - began) * 1e3 / len(order)
