"""Files without a partner: refused, or left out and named, by every format that pairs files."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segtrain.data.datasets import Folder, Tiff, Volume
from segtrain.errors import UserError
from tests.data.datasets.mistakes.volume import RAMP, body, nifti

CLASSES = {"background": 0, "cell": 1}


def picture(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def grey(root: Path, folder: str, name: str, suffix: str) -> None:
    rng = np.random.default_rng(sum(map(ord, name)))
    high = 2 if folder == "masks" else 200
    picture(root / folder / f"{name}{suffix}", rng.integers(0, high, (8, 9)).astype(np.uint8))


def volume(root: Path, folder: str, name: str) -> None:
    if folder == "images":
        nifti(str(root / folder / f"{name}.nii.gz"), RAMP)
    else:
        nifti(str(root / "labels" / f"{name}.nii.gz"), body())


FORMATS: dict[str, tuple[Callable[[Path, str, str], None], Callable[..., Any]]] = {
    "folder": (lambda root, folder, name: grey(root, folder, name, ".png"), Folder),
    "tiff": (lambda root, folder, name: grey(root, folder, name, ".tif"), Tiff),
    "volume": (volume, Volume),
}
NAMES = st.sets(st.sampled_from([f"p{i}" for i in range(8)]), min_size=1)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=12, deadline=None)
@given(images=NAMES, masks=NAMES)
def test_what_has_a_partner_is_kept_and_the_rest_is_named(name: str, images: set[str], masks: set[str]) -> None:
    write, open_it = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for side, names in (("images", images), ("masks", masks)):
            for one in names:
                write(root, side, one)
        if not images & masks:
            with pytest.raises(UserError):
                open_it(root, CLASSES, orphans="leave_out")
            return
        dataset = open_it(root, CLASSES, orphans="leave_out")
        assert {one.partition("/")[0] for one in dataset.ids} == images & masks
        assert sorted(Path(one).name.partition(".")[0] for one in dataset.left_out) == sorted(images ^ masks)
        if images == masks:
            assert open_it(root, CLASSES).fingerprint() == dataset.fingerprint()
        else:
            with pytest.raises(UserError, match="orphans=leave_out"):
                open_it(root, CLASSES)


@pytest.mark.parametrize("name", FORMATS)
def test_another_choice_is_refused(name: str, tmp_path: Path) -> None:
    write, open_it = FORMATS[name]
    for side in ("images", "masks"):
        write(tmp_path, side, "p1")
    with pytest.raises(UserError, match=r"dataset\.orphans .*'skip'; expected leave_out"):
        open_it(tmp_path, CLASSES, orphans="skip")


def test_a_picture_without_its_region_is_left_out_too(tmp_path: Path) -> None:
    for folder, names in (("images", "abc"), ("masks", "abc"), ("views", "ab")):
        for one in names:
            picture(tmp_path / folder / f"{one}.png", np.ones((8, 9), np.uint8))
    dataset = Folder(tmp_path, CLASSES, regions="views", orphans="leave_out")
    assert dataset.ids == ("a", "b") and len(dataset.left_out) == 2
