"""Whole files whose header leads elsewhere; damage of all formats is in test_damage.py."""

from pathlib import Path
from struct import pack_into, unpack_from

import numpy as np
import pytest
from PIL import Image

from segtrain.data.files.pixels import read_image
from segtrain.errors import UserError


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_pixels_of_a_bmp_begin_behind_its_header(tmp_path: Path, mode: str) -> None:
    Image.fromarray(np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)).convert(mode).save(tmp_path / "a.bmp")
    read_image(tmp_path / "a.bmp")
    content = bytearray((tmp_path / "a.bmp").read_bytes())
    pixels = len(content) - unpack_from("<I", content, 10)[0]
    for offset in (2, 14, 53):
        pack_into("<I", content, 10, offset)
        pack_into("<I", content, 34, pixels)
        (tmp_path / "a.bmp").write_bytes(content)
        with pytest.raises(UserError, match=r"a\.bmp' cannot be read"):
            read_image(tmp_path / "a.bmp")
