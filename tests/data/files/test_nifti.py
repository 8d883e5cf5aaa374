"""What stands before a scan's voxels: what nibabel writes is read, what would be read without end is refused."""

import gzip
import time
from pathlib import Path
from struct import pack_into
from typing import Any

import nibabel
import numpy as np
import pytest

from segtrain.data.files.nifti import MOST_BEFORE, open_nifti
from segtrain.errors import UserError

VOXELS = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
KINDS = {nibabel.Nifti1Image: (348, "f", 108), nibabel.Nifti2Image: (540, "q", 168)}


def image(kind: Any, *extensions: bytes) -> Any:
    made = kind(VOXELS, np.eye(4))
    made.header.extensions.extend(nibabel.nifti1.Nifti1Extension(6, one) for one in extensions)
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("extensions", [[], [b"a comment"], [b"a", b"b" * 5000]])
def test_what_nibabel_writes_is_read(tmp_path: Path, kind: Any, ending: str, extensions: list[bytes]) -> None:
    nibabel.save(image(kind, *extensions), tmp_path / f"a.{ending}")
    assert (open_nifti(tmp_path / f"a.{ending}").load() == VOXELS).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [1, 16, 300, MOST_BEFORE + 16, 2**40, -16])
def test_voxels_begin_behind_the_header_and_not_far_away(tmp_path: Path, kind: Any, offset: int) -> None:
    content = bytearray(image(kind).to_bytes())
    pack_into(f"<{KINDS[kind][1]}", content, KINDS[kind][2], offset)
    for name, packed in (("a.nii", bytes(content)), ("a.nii.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(UserError, match="its voxels begin at byte"):
            open_nifti(tmp_path / name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [0, -16, 8, 2**31 - 16])
def test_an_extension_is_as_long_as_there_is_room(tmp_path: Path, kind: Any, length: int) -> None:
    content = bytearray(image(kind, b"a comment").to_bytes())
    pack_into("<i", content, KINDS[kind][0] + 4, length)
    with gzip.open(tmp_path / "a.nii.gz", "wb", 1) as file:
        file.write(content)
        file.write(bytes(1 << 26))
    began = time.process_time()
    with pytest.raises(UserError, match="an extension of its header has"):
        open_nifti(tmp_path / "a.nii.gz")
    assert time.process_time() - began < 0.2  # nothing was inflated: 64 MB take longer


def test_channels_count_among_the_values(tmp_path: Path) -> None:
    content = bytearray(image(nibabel.Nifti1Image).to_bytes())
    pack_into("<8h", content, 40, 4, 3000, 3000, 20, 30000, 1, 1, 1)
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(UserError, match="3000 x 3000 x 20 x 30000 values"):
        open_nifti(tmp_path / "a.nii")
