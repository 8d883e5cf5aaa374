import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from segtrain.data.files.picture_files import ADAM7, ORIENTATION
from segtrain.data.files.pixels import MOST_PIXELS, Header, read_header, read_image, read_mask
from segtrain.errors import UserError

GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 9
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
DEEP = COLOUR.astype(np.uint16) * 256 + 3


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def palette_image(indices, colours, transparency=None):
    image = Image.fromarray(indices)
    image.putpalette(colours)  # turns the mode into P
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(path, width, height, depth, colour, rows, interlaced=0):
    """A PNG of these bytes of rows, filter bytes included, whatever its header says."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def packed_grey_png(path, depth, row, width):
    """A grey PNG of one row with less than 8 bits a pixel, which PIL cannot write."""
    return raw_png(path, width, 1, depth, 0, b"\0" + row)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_files_come_back_as_stored_in_rgb_order(write, suffix, pixels):
    path = write(f"a.{suffix}", pixels)
    image, mask = read_image(path), read_mask(path)
    assert image.dtype == mask.dtype == np.uint8
    np.testing.assert_array_equal(image, pixels.reshape(4, 6, -1))
    np.testing.assert_array_equal(mask, pixels)
    assert image.flags.writeable and image.flags.c_contiguous


def test_jpeg_is_rgb(write):
    image = read_image(write("a.JPG", np.full((8, 8, 3), (250, 10, 10), np.uint8)))
    assert abs(image.astype(int) - (250, 10, 10)).max() < 6


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("pixels", [GREY.astype(np.uint16) * 250 + 7, DEEP], ids=["grey", "colour"])
def test_sixteen_bits_are_kept(tmp_path, suffix, pixels):
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[..., ::-1])
    assert read_image(path).dtype == np.uint16
    np.testing.assert_array_equal(read_image(path), pixels.reshape(4, 6, -1))
    np.testing.assert_array_equal(read_mask(path), pixels)


def test_big_endian_sixteen_bits_are_native(write):
    path = write("a.tif", Image.frombytes("I;16B", (6, 4), GREY.astype(">u2").tobytes()))
    assert read_mask(path).dtype == np.dtype("=u2")
    np.testing.assert_array_equal(read_mask(path), GREY)


def test_sixteen_bit_alpha_is_dropped(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.dstack([DEEP[..., ::-1], DEEP[..., 0]]))
    np.testing.assert_array_equal(read_image(path), DEEP)


def test_float_images_are_kept(write):
    pixels = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
    image = read_image(write("a.tif", pixels))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[..., 0], pixels)


def test_integers_of_32_bits_are_a_mask_but_no_image(write):
    path = write("a.tif", GREY.astype(np.int32) + 70_000)
    np.testing.assert_array_equal(read_mask(path), GREY.astype(np.int32) + 70_000)
    with pytest.raises(UserError, match=r"a\.tif' has int32 pixels; expected 8-bit"):
        read_image(path)


@pytest.mark.parametrize(("mode", "channels"), [("LA", 1), ("RGBA", 3)])
def test_alpha_is_dropped(write, mode, channels):
    opaque = Image.fromarray(GREY if channels == 1 else COLOUR)
    clear = opaque.copy()
    clear = clear.convert(mode)
    clear.putalpha(Image.fromarray(GREY))
    path = write("a.png", clear)
    np.testing.assert_array_equal(read_image(path), np.array(opaque).reshape(4, 6, channels))
    np.testing.assert_array_equal(read_mask(path), np.array(opaque))


@pytest.mark.parametrize("transparency", [None, b"\x00\x80\xff"], ids=["opaque", "transparent"])
def test_palette_gives_colours_to_images_and_indices_to_masks(write, transparency):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    colours = [0, 0, 0, 255, 10, 20, 30, 40, 250]
    path = write("a.png", palette_image(indices, colours, transparency))
    np.testing.assert_array_equal(read_mask(path), indices)
    np.testing.assert_array_equal(read_image(path), np.reshape(colours, (3, 3))[indices])


def test_palette_indices_are_not_turned_grey(write):
    indices = np.array([[0, 1], [2, 255]], np.uint8)
    path = write("a.png", palette_image(indices, np.random.default_rng(0).bytes(768)))
    np.testing.assert_array_equal(read_mask(path), indices)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_one_bit_is_zero_and_one_in_masks_and_full_range_in_images(write, suffix):
    path = write(f"a.{suffix}", Image.fromarray(GREY > 99))
    np.testing.assert_array_equal(read_mask(path), GREY > 99)
    assert read_mask(path).dtype == np.uint8
    np.testing.assert_array_equal(read_image(path)[..., 0], (GREY > 99) * 255)


@pytest.mark.parametrize(("depth", "row", "values"), [(2, b"\x1b", [0, 1, 2, 3]), (4, b"\x12\x3f", [1, 2, 3, 15])])
def test_masks_of_few_bits_are_as_stored(tmp_path, depth, row, values):
    path = packed_grey_png(tmp_path / "a.png", depth, row, len(values))
    assert read_mask(path).tolist() == [values]
    assert read_image(path)[..., 0].tolist() == [[v * 255 // (2**depth - 1) for v in values]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_image_mask_and_header_alike(write, suffix, orientation):
    path = write(f"a.{suffix}", COLOUR, exif=exif(orientation))
    with Image.open(path) as stored:
        expected = np.array(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(read_image(path), expected)
    np.testing.assert_array_equal(read_mask(path), expected)
    assert read_header(path) == (*expected.shape, expected.dtype.name)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_sixteen_bit_colour(tmp_path, write, orientation):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), DEEP[..., ::-1])
    plain = path.read_bytes()
    turned = write("b.png", COLOUR, exif=exif(orientation)).read_bytes()
    start = turned.index(b"eXIf") - 4
    chunk = turned[start : start + 12 + int.from_bytes(turned[start : start + 4])]
    path.write_bytes(plain[:33] + chunk + plain[33:])  # 33: signature and IHDR
    np.testing.assert_array_equal(read_image(path) >> 8, read_image(tmp_path / "b.png"))


def test_header_counts_channels_of_the_image(write):
    assert read_header(write("grey.png", GREY)) == Header(4, 6, 1, "uint8")
    assert read_header(write("alpha.png", Image.fromarray(GREY).convert("LA"))) == Header(4, 6, 1, "uint8")
    assert read_header(write("palette.png", palette_image(GREY // 9, bytes(768)))) == Header(4, 6, 3, "uint8")
    assert read_header(write("deep.tif", GREY.astype(np.uint16))) == Header(4, 6, 1, "uint16")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_truncated_file_is_an_error_that_names_it(write, suffix, kept):
    path = write(f"cut.{suffix}", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    for read in (read_image, read_mask):
        with pytest.raises(UserError, match=rf"cut\.{suffix}' cannot be read; expected a whole"):
            read(path)


def test_truncated_sixteen_bit_colour_is_an_error(tmp_path):
    path = tmp_path / "cut.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 2**16, (64, 64, 3), np.uint16))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UserError, match=r"cut\.png' cannot be read"):
        read_image(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["png", "jpg", "tif", "bmp"]), st.data())
def test_a_broken_file_is_read_or_refused_in_our_words(write, suffix, data):
    path = write(f"a.{suffix}", COLOUR)
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        assert read_image(path).ndim == 3
    except UserError as error:
        assert str(path) in str(error)


def test_several_pages_are_refused(write):
    path = write("a.tif", Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(GREY)])
    with pytest.raises(UserError, match="several pages"):
        read_image(path)


def test_missing_file_and_other_content_are_refused(tmp_path):
    (tmp_path / "text.png").write_text("not pixels")
    for name in ("text.png", "none.png"):
        with pytest.raises(UserError, match=rf"{name}' cannot be read"):
            read_mask(Path(tmp_path / name))


def passes(pixels):
    """The rows of an interlaced PNG. Source: PNG specification, 8.1."""
    parts = [pixels[y::step_y, x::step_x] for x, y, step_x, step_y in ADAM7]
    return b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (5, 4), (8, 8), (17, 30)])
@pytest.mark.parametrize("channels", [1, 3])
def test_interlaced_png_of_any_size_is_read(tmp_path, shape, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
    path = raw_png(tmp_path / "a.png", shape[1], shape[0], 8, channels - 1, passes(pixels), 1)
    np.testing.assert_array_equal(read_image(path), pixels)
    raw_png(path, shape[1], shape[0], 8, channels - 1, passes(pixels) + b"\0", 1)
    with pytest.raises(UserError, match="its data holds more"):
        read_image(path)


@pytest.mark.parametrize(("width", "height", "got"), [(6, 5, "less"), (6, 3, "more"), (7, 4, "less"), (5, 4, "more")])
def test_png_whose_header_lies_is_refused(tmp_path, width, height, got):
    rows = b"".join(b"\0" + row.tobytes() for row in COLOUR)
    np.testing.assert_array_equal(read_image(raw_png(tmp_path / "a.png", 6, 4, 8, 2, rows)), COLOUR)
    path = raw_png(tmp_path / "a.png", width, height, 8, 2, rows)
    with pytest.raises(UserError, match=rf"a\.png' cannot be read.* its header asks for \d+ bytes.*holds {got}"):
        read_mask(path)


def test_bmp_whose_header_lies_is_refused_and_padding_is_none(write):
    path = write("a.bmp", COLOUR)
    content = path.read_bytes()
    for at, number in ((18, 5), (18, 7), (22, 3), (22, 5)):  # width and height
        path.write_bytes(content[:at] + struct.pack("<I", number) + content[at + 4 :])
        with pytest.raises(UserError, match=r"a\.bmp' cannot be read.* its header asks for"):
            read_image(path)
    path.write_bytes(content[:2] + struct.pack("<I", len(content) + 2) + content[6:] + b"\0\0")
    np.testing.assert_array_equal(read_image(path), COLOUR)
    path.write_bytes(content[:60] + b"x" + content[60:])
    with pytest.raises(UserError, match="its header asks for 80 bytes of pixels, it holds 81"):
        read_image(path)


@pytest.mark.parametrize("packing", ["raw", "tiff_deflate"])
@pytest.mark.parametrize(("tag", "number"), [(256, 5), (256, 7), (257, 3), (257, 5)])
def test_tiff_whose_header_lies_is_refused(write, packing, tag, number):
    path = write("a.tif", COLOUR, compression=packing)
    content = path.read_bytes()
    with Image.open(path) as image:
        start, size = image.tag_v2._offset, image.size[tag - 256]
    entry = next(i for i in range(start, len(content)) if content[i : i + 2] == struct.pack("<H", tag))
    assert content[entry + 8] == size
    path.write_bytes(content[: entry + 8] + bytes([number]) + content[entry + 9 :])
    with pytest.raises(UserError, match=r"a\.tif' cannot be read"):
        read_image(path)


def test_planes_tiles_and_strips_of_tiff_are_whole(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    big = np.random.default_rng(0).integers(0, 256, (70, 50, 3), np.uint8)
    kinds = [{}, {"rowsperstrip": 16}, {"tile": (32, 16)}, {"bigtiff": True}, {"byteorder": ">"}]
    for compression in (None, "zlib"):
        for options in kinds:
            path = tmp_path / "a.tif"
            tifffile.imwrite(path, big, photometric="rgb", compression=compression, **options)
            np.testing.assert_array_equal(read_image(path), big)


def test_a_jpeg_that_was_cut_and_closed_is_refused(write):
    path = write("a.jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    content = path.read_bytes()
    for kept in range(700, len(content) - 2, 97):
        path.write_bytes(content[:kept] + b"\xff\xd9")
        with pytest.raises(UserError, match=r"a\.jpg' cannot be read"):
            read_image(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_jpeg_is_what_pil_reads(write, mode, options):
    pixels = cv2.resize(COLOUR, (67, 45), interpolation=cv2.INTER_CUBIC)
    path = write("a.jpg", Image.fromarray(pixels).convert(mode), **options)
    with Image.open(path) as image:
        expected = np.array(image.convert("L" if mode == "L" else "RGB"))
    np.testing.assert_array_equal(read_image(path), expected.reshape(45, 67, -1))
    assert read_header(path) == (*read_image(path).shape, read_image(path).dtype.name)


def test_gif_gives_indices_to_masks_and_colours_to_images(write):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    colours = [0, 0, 0, 255, 10, 20, 30, 40, 250]
    path = write("a.gif", palette_image(indices, colours))
    np.testing.assert_array_equal(read_mask(path), indices)
    np.testing.assert_array_equal(read_mask(path, in_colour=True), np.reshape(colours, (3, 3))[indices])
    np.testing.assert_array_equal(read_image(path), np.reshape(colours, (3, 3))[indices])
    path = write("b.gif", GREY, optimize=False)
    np.testing.assert_array_equal(read_mask(path), GREY)
    np.testing.assert_array_equal(read_image(path)[..., 0], GREY)


def test_gif_that_does_not_cover_its_screen_is_refused(write):
    path = write("a.gif", GREY)
    content = path.read_bytes()
    for width in (3, 7):
        path.write_bytes(content[:6] + struct.pack("<H", width) + content[8:])
        with pytest.raises(UserError, match=r"a\.gif' cannot be read"):
            read_mask(path)


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_pictures_that_move_are_refused(write, suffix):
    path = write(
        f"a.{suffix}", Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(GREY.T.copy().T // 2)]
    )
    with pytest.raises(UserError, match="several pages"):
        read_image(path)


@pytest.mark.parametrize("side", [9460, 13_378])
def test_pixels_up_to_the_cap_are_not_warned_of_and_beyond_are_refused(tmp_path, side):
    """9460² is above where PIL warns, 13,378² above where it raises."""
    path = raw_png(tmp_path / "bomb.png", side, side, 8, 0, b"")
    if side**2 <= MOST_PIXELS:
        assert read_header(path)[:3] == (side, side, 1)
        return
    for read in (read_header, read_image, read_mask):
        with pytest.raises(
            UserError, match=rf"bomb\.png' is too large; expected at most {MOST_PIXELS}.*got {side**2};"
        ):
            read(path)


def test_a_bomb_of_pixels_swells_no_further_than_its_header_says(tmp_path):
    path = raw_png(tmp_path / "bomb.png", 10, 10, 8, 0, bytes(10**8))
    tracemalloc.start()
    with pytest.raises(UserError, match="its data holds more"):
        read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_orientation_told_by_xmp_turns_header_and_pixels_alike(write):
    xmp = '<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    path = write("a.png", COLOUR, pnginfo=info)
    assert read_header(path)[:3] == read_image(path).shape == (6, 4, 3)


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_means_nothing_turns_nothing(write, orientation):
    path = write("a.png", COLOUR, exif=exif(orientation))
    np.testing.assert_array_equal(read_image(path), COLOUR)
    assert read_header(path)[:3] == COLOUR.shape


@pytest.mark.parametrize(("kind", "suffix"), [("WEBP", "png"), ("PPM", "bmp"), ("ICO", "png")])
def test_other_formats_are_refused_whatever_their_extension(tmp_path, kind, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path, kind)
    with pytest.raises(UserError, match=r"got a file that begins like none of these"):
        read_image(path)


def test_an_empty_file_is_called_so(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match=r"a\.png' cannot be read.*got an empty file"):
        read_header(tmp_path / "a.png")
