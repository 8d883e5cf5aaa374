"""Files of tiff, volume and coco, damaged at random: a named error or, where the format has checksums, a right read."""

import random
from pathlib import Path

import numpy as np
import pytest

from segtrain.errors import UserError
from tests.data.datasets.mistakes import coco, tiff, volume

DAMAGED = 60  # copies of each file
CASES = {  # what makes the data, what opens it, which file is damaged, whether the format notices changed pixels
    "tiff": (tiff.pair, tiff.opened, "images/a.tif", False),
    "deflated tiff": (lambda: tiff.pair(compression="zlib"), tiff.opened, "images/a.tif", True),
    "nii.gz": (volume.pair, volume.opened, "images/p1.nii.gz", True),
    "label": (volume.pair, volume.opened, "labels/p1.nii.gz", True),
    "nii": (
        lambda: (volume.nifti("images/p1.nii", volume.RAMP), volume.nifti("labels/p1.nii", volume.body())),
        volume.opened,
        "images/p1.nii",
        False,
    ),
    "dicom": (volume.scanned, lambda: volume.opened(images="images/{id}"), "images/p1/07.dcm", False),
    "coco": (lambda: coco.write(coco.content()), coco.opened, coco.ANNOTATIONS, False),
}


@pytest.mark.filterwarnings("ignore")  # libraries warn of what they find broken
@pytest.mark.parametrize("case", CASES)
def test_damage_is_named_or_does_no_harm(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, opened, name, checked = CASES[case]
    make()
    image, mask = opened().read(0)
    whole, refused = Path(name).read_bytes(), 0
    for seed in range(DAMAGED):
        Path(name).write_bytes(_damaged(whole, random.Random(seed)))
        try:
            found = opened().read(0)
        except UserError:
            refused += 1
            continue
        assert found.image.dtype == image.dtype and found.mask.shape == found.image.shape[:2]
        if checked:
            np.testing.assert_array_equal(found.image, image)
            np.testing.assert_array_equal(found.mask, mask)
    assert refused > DAMAGED / 4


def _damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut, or with up to 20 other bytes, in half of the cases near the beginning, where headers are."""
    if rng.random() < 0.3:
        return content[: rng.randrange(len(content))]
    changed, end = bytearray(content), len(content) if rng.random() < 0.5 else min(len(content), 360)
    for _ in range(rng.choice((1, 3, 20))):
        changed[rng.randrange(end)] = rng.randrange(256)
    return bytes(changed)
