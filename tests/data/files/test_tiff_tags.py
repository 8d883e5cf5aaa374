"""Where strips and tiles lie: what ordinary writers lay out is read, what lies over other things is refused."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from struct import pack, pack_into, unpack_from
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from segtrain.data.files.large_tiff import LargeTiff, pages_and_pixels
from segtrain.data.files.pixels import read_image
from segtrain.data.files.tiff_pages import read_pixels
from segtrain.data.files.tiff_tags import MOST_PAGES, MOST_TILE, count_pages, require_strips, require_tile
from segtrain.errors import UserError

RANDOM = np.random.default_rng(0)
READERS: dict[str, Callable[[Path], Any]] = {
    "as a picture": read_image,
    "by pages": lambda path: read_pixels(path, "channels", 0).pixels,
    "by rows": lambda path: LargeTiff(path, drops_alpha=True).rows(0, 40),
}
LAYOUT = st.fixed_dictionaries(
    {},
    optional={
        "compression": st.sampled_from([None, "zlib"]),
        "bigtiff": st.booleans(),
        "byteorder": st.sampled_from("<>"),
        "description": st.text("abc ", max_size=60),
    },
)
SPLIT = st.one_of(
    st.builds(lambda n: {"rowsperstrip": n}, st.integers(1, 70)), st.just({"tile": (16, 32)}), st.just({})
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layouts")


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(LAYOUT, SPLIT, st.sampled_from(["uint8", "uint16", "float32"]), st.sampled_from([(), (3,)]), st.integers(1, 3))
def test_what_tifffile_lays_out_is_read(
    folder: Path, layout: dict[str, Any], split: dict[str, Any], dtype: str, colour: tuple[int, ...], pages: int
) -> None:
    pixels = (RANDOM.random((pages, 40, 56, *colour)) * 200).astype(dtype)
    tifffile.imwrite(folder / "a.tif", pixels, photometric="rgb" if colour else "minisblack", **layout, **split)
    for page in range(pages):
        assert (read_pixels(folder / "a.tif", "samples", page).pixels == pixels[page].reshape(40, 56, -1)).all()
    assert (LargeTiff(folder / "a.tif", drops_alpha=True).rows(0, 40) == pixels[0].reshape(40, 56, -1)).all()
    by_pil = not layout.get("bigtiff") or layout.get("byteorder") != ">"
    is_swapped = layout.get("byteorder") == ">" and dtype == "float32" and layout.get("compression") is not None
    if by_pil and pages == 1 and is_swapped and not colour:
        with pytest.raises(UserError, match="high bytes first"):
            read_image(folder / "a.tif")
    elif by_pil and pages == 1 and (dtype == "uint8" or not colour):
        assert (read_image(folder / "a.tif") == pixels[0].reshape(40, 56, -1)).all()


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4"])
def test_what_pil_lays_out_is_read(tmp_path: Path, compression: str | None) -> None:
    pixels = RANDOM.integers(0, 256, (300, 200), dtype=np.uint8)
    image = Image.fromarray(pixels)
    (image.convert("1") if compression == "group4" else image).save(tmp_path / "a.tif", compression=compression)
    assert read_image(tmp_path / "a.tif").shape == (300, 200, 1)


def test_hyperstacks_and_series_of_imagej_are_read(tmp_path: Path) -> None:
    stack = RANDOM.integers(0, 65536, (3, 2, 40, 56), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    assert (read_pixels(tmp_path / "a.tif", "samples", 2).pixels == np.moveaxis(stack[2], 0, 2)).all()
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for page in stack[:, 0]:
            file.write(page, contiguous=True, photometric="minisblack")
    assert (read_pixels(tmp_path / "b.tif", "samples", 1).pixels[..., 0] == stack[1, 0]).all()


def test_tiles_that_were_left_out_are_0(tmp_path: Path) -> None:
    pixels = RANDOM.integers(1, 256, (64, 64), dtype=np.uint8)
    tiles = [pixels[:32, :32], None, None, pixels[32:, 32:]]
    tifffile.imwrite(
        tmp_path / "a.tif", iter(tiles), shape=(64, 64), dtype=np.uint8, tile=(32, 32), compression="zlib",
        photometric="minisblack",
    )  # fmt: skip
    pixels[:32, 32:] = pixels[32:, :32] = 0
    assert (READERS["by pages"](tmp_path / "a.tif")[..., 0] == pixels).all()
    assert (LargeTiff(tmp_path / "a.tif", drops_alpha=True).rows(0, 64)[..., 0] == pixels).all()


def strips(order: str = "<", **layout: Any) -> tuple[bytearray, int, list[int]]:
    """A file of four strips, where its offsets stand, and what they are."""
    pixels = np.arange(40 * 56, dtype=np.uint16).reshape(40, 56)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, rowsperstrip=10, byteorder=order, photometric="minisblack", **layout)
    page = tifffile.TiffFile(io.BytesIO(file.getvalue())).pages[0]
    return bytearray(file.getvalue()), page.tags[273].valueoffset, list(page.dataoffsets)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_strip_that_lies_over_something_else_is_refused(
    tmp_path: Path, reader: str, order: str, compression: str | None
) -> None:
    content, place, offsets = strips(order, compression=compression)
    size = len(content)
    directory = unpack_from(f"{order}I", content, 4)[0]
    for number, wrong in (
        (1, offsets[0]), (1, offsets[0] + 4), (3, offsets[2]), (1, 0), (0, 4), (2, directory + 2), (0, place - 1),
        (3, size - 4), (3, size), (2, 2**32 - 8),
    ):  # fmt: skip
        broken = bytearray(content)
        pack_into(f"{order}I", broken, place + 4 * number, wrong)
        (tmp_path / "a.tif").write_bytes(broken)
        with pytest.raises(UserError, match=r"a\.tif' cannot be read"):
            READERS[reader](tmp_path / "a.tif")
    (tmp_path / "a.tif").write_bytes(content)
    READERS[reader](tmp_path / "a.tif")


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=8), st.integers(0, 3))
def test_places_are_apart_just_where_no_byte_is_taken_twice(stored: list[tuple[int, int]], left_out: int) -> None:
    taken = [(0, 8), (30, 36)]
    bytes_of = [set(range(*one)) for one in [(start, start + length) for start, length in stored]]
    free = all(not bytes_of[i] & bytes_of[j] for i in range(len(stored)) for j in range(i))
    free &= all(not one & set(range(*other)) for one in bytes_of for other in taken)
    free &= all(start + length <= 64 for start, length in stored)
    every = [*stored, *[(0, 0)] * left_out]
    try:
        require_strips([start for start, _ in every], [length for _, length in every], taken, 64)
    except ValueError:
        assert not free
    else:
        assert free


def test_a_tile_is_not_much_larger_than_its_image() -> None:
    require_tile(4096, 4096, 10, 10)
    require_tile(8192, 8192, 8000, 8000)
    with pytest.raises(ValueError, match="65536 x 65536 pixels, of an image of 10 x 10"):
        require_tile(65536, 65536, 10, 10)
    with pytest.raises(ValueError, match="a tile is"):
        require_tile(1, MOST_TILE + 1, 1, 100)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_with_such_a_tile_is_refused_before_it_fills_the_memory(tmp_path: Path, reader: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 56), np.uint8), tile=(48, 64), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        for tag in (322, 323):
            file.pages[0].tags[tag].overwrite(65520)
    with pytest.raises(UserError, match="a tile is 65520 x 65520 pixels"):
        READERS[reader](tmp_path / "a.tif")


@pytest.mark.parametrize("pages", [1, 2])
def test_pixels_are_those_of_the_file_itself_whatever_its_ome_text_names(tmp_path: Path, pages: int) -> None:
    (tmp_path / "mine").mkdir()
    tifffile.imwrite(tmp_path / "secret.tif", np.full((40, 56), 77, np.uint8))
    sides = 'DimensionOrder="XYCZT" Type="uint8" SizeX="56" SizeY="40" SizeC="1" SizeZ="1" SizeT="1"'
    for named in (tmp_path / "secret.tif", Path("../secret.tif")):
        place = f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{named}">urn:uuid:1</UUID></TiffData>'
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:0"><Image ID="Image:0"><Pixels ID="Pixels:0" {sides}>'
            f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{place}</Pixels></Image></OME>'
        )
        pixels, path = np.full((pages, 40, 56), 5, np.uint8), tmp_path / "mine" / "a.tif"
        tifffile.imwrite(path, pixels, description=text, metadata=None, photometric="minisblack")
        assert (read_pixels(path, "samples", 0).pixels == 5).all()


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pages", [1, 2, 30])
def test_pages_are_counted(tmp_path: Path, bigtiff: bool, order: str, pages: int) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=bigtiff, byteorder=order) as file:
        for number in range(pages):
            file.write(np.full((4, 5), number, np.uint8), photometric="minisblack", metadata=None)
    assert count_pages(tmp_path / "a.tif") == pages
    if not bigtiff or order == "<":  # PIL opens no other
        assert pages_and_pixels(tmp_path / "a.tif") == (pages, 20)


def chain(length: int, last: int = 0) -> bytes:
    """A TIFF of so many directories, each with the one tag that it is 1 pixel wide, the last leading to `last`."""
    each = 2 + 12 + 4
    following = [8 + each * (number + 1) for number in range(length - 1)]
    return b"II*\0\x08\0\0\0" + b"".join(pack("<HHHIII", 1, 256, 3, 1, 1, one) for one in [*following, last])


def test_a_chain_of_pages_without_end_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(chain(10))
    assert count_pages(tmp_path / "a.tif") == 10
    for content in (chain(10 * MOST_PAGES), chain(5, 8), chain(5, 26), chain(5)[:-2], chain(5, 10**6)):
        (tmp_path / "a.tif").write_bytes(content)
        began = time.process_time()
        with pytest.raises(ValueError, match=r"its pages lead back|its tags are cut"):
            count_pages(tmp_path / "a.tif")
        with pytest.raises(UserError):
            read_pixels(tmp_path / "a.tif", "samples", 0)
        pages_and_pixels(tmp_path / "a.tif")
        assert time.process_time() - began < 5  # PIL would take hours
