"""Broken files end in an error that names them, or in the right pixels; what no checksum covers is listed here.

A corrupted file may still be a whole file of other pixels: BMP, TIFF without deflate, GIF and JPEG hold no checksum, so
a changed pixel, palette or tag that decodes cannot be told from one that was meant. PNG is exact, as are the pixels,
not the tags, of deflated TIFF.
"""

import io
import os
import random
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segtrain.data.files.picture_files import ORIENTATION
from segtrain.data.files.pixels import read_header, read_image, read_mask
from segtrain.errors import UserError

# Files with a checksum over everything that makes a pixel.
EXACT = ("grey.png", "colour.png", "alpha.png", "palette.png", "bit.png", "deep.png", "deep_colour.png")


def drawn():
    """36 x 40 smooth colours with noise, as pictures are."""
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (40, 36), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def saved(pixels, kind, **options):
    file = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, kind, **options)
    return file.getvalue()


def every_kind():
    """A good file of every kind: name -> bytes."""
    colour = drawn()
    grey, picture = colour[..., 0], Image.fromarray(colour)
    palette, bit, deep = picture.quantize(8), Image.fromarray(grey > 99), grey.astype(np.uint16) * 250
    deep_colour = colour.astype(np.uint16) * 250
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    png = {
        "grey": grey,
        "colour": colour,
        "alpha": picture.convert("RGBA"),
        "palette": palette,
        "bit": bit,
        "deep": deep,
    }
    tiff = {
        "grey": grey,
        "colour": colour,
        "palette": palette,
        "bit": bit,
        "deep": deep,
        "float": grey.astype(np.float32),
    }
    packed = ("tiff_deflate", "tiff_adobe_deflate", "tiff_lzw", "packbits", "jpeg")
    return {
        **{f"{name}.png": saved(pixels, "PNG") for name, pixels in png.items()},
        **{f"{name}.tif": saved(pixels, "TIFF", exif=turned) for name, pixels in tiff.items()},
        **{f"{name}.tif": saved(colour, "TIFF", compression=name) for name in packed},
        **{f"deep_colour.{suffix}": cv2.imencode(f".{suffix}", deep_colour)[1].tobytes() for suffix in ("png", "tif")},
        "colour.jpg": saved(colour, "JPEG", quality=90, exif=turned),
        "grey.jpg": saved(grey, "JPEG", quality=90),
        "progressive.jpg": saved(colour, "JPEG", progressive=True),
        "ink.jpg": saved(picture.convert("CMYK"), "JPEG"),
        "colour.bmp": saved(colour, "BMP"),
        "palette.bmp": saved(palette, "BMP"),
        "bit.bmp": saved(bit, "BMP"),
        "palette.gif": saved(palette, "GIF"),
        "grey.gif": saved(grey, "GIF"),
    }


GOOD = every_kind()


def truncated(content, rng):
    return content[: rng.randrange(len(content))]


def emptied(content, rng):
    return b""


def closed(content, rng):
    """Cut, and given its end again, as by a program that repairs."""
    return truncated(content, rng) + content[-rng.randint(1, 12) :]


def flipped(content, rng):
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwritten(content, rng):
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def header_edited(content, rng):
    """Within the first 64 bytes, where sizes stand."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        changed[rng.randrange(min(64, len(changed)))] = rng.choice([0, 1, 2, 127, 255, rng.randrange(256)])
    return bytes(changed)


def swapped(content, rng):
    length = rng.randint(1, 64)
    first = rng.randrange(len(content) - 2 * length)
    second = rng.randrange(first + length, len(content) - length)
    one, other = content[first : first + length], content[second : second + length]
    return content[:first] + other + content[first + length : second] + one + content[second + length :]


def inserted(content, rng):
    at = rng.randrange(len(content))
    return content[:at] + rng.randbytes(rng.randint(1, 9)) + content[at:]


def deleted(content, rng):
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randint(1, 9) :]


def repeated(content, rng):
    at = rng.randrange(len(content))
    return content[:at] + content[max(0, at - rng.randrange(200)) :]


HARMS = (truncated, emptied, closed, flipped, overwritten, header_edited, swapped, inserted, deleted, repeated)
CUTS = (truncated, emptied)  # of these, every format tells: no pixel may be missing


def outcome(read, path, whole):
    """ "refused", "same" or "other": what comes of reading a broken file, beside which nothing may happen."""
    try:
        pixels = read(path)
    except UserError as error:
        assert str(path) in str(error) and len(str(error)) < 1000
        return "refused"
    assert pixels.ndim in (2, 3) and pixels.dtype.name in ("uint8", "uint16", "int32", "float32")
    return "same" if pixels.dtype == whole.dtype and np.array_equal(pixels, whole) else "other"


def judge(name, harm, seed, folder):
    """Corrupt one file and read it in every way: what came of it as image and as mask."""
    content = GOOD[name]
    harmed = harm(content, random.Random(seed))
    right, path = folder / name, folder / f"harmed-{name}"
    right.write_bytes(content)
    path.write_bytes(harmed)
    outcomes = [outcome(read, path, read(right)) for read in (read_image, read_mask)]
    try:
        header = read_header(path)
        if outcomes[0] != "refused":
            assert (*read_image(path).shape, read_image(path).dtype.name) == header
    except UserError as error:
        assert outcomes[0] == "refused" and str(path) in str(error)
    return outcomes


def allowed(name, harm):
    """What may come of it; "other" pixels only where the format holds no checksum."""
    if name in EXACT or harm in CUTS:
        return {"refused", "same"}
    return {"refused", "same", "other"}


@settings(max_examples=60)
@given(st.sampled_from(sorted(GOOD)), st.sampled_from(HARMS), st.integers(0, 2**32))
def test_a_harmed_file_is_refused_by_name_or_read_right(tmp_path_factory, name, harm, seed):
    outcomes = judge(name, harm, seed, tmp_path_factory.getbasetemp())
    assert {*outcomes} <= allowed(name, harm)


@settings(max_examples=60)
@given(st.sampled_from(sorted(GOOD)), st.sampled_from(["png", "jpg", "jpeg", "tif", "tiff", "bmp", "gif"]))
def test_a_wrong_extension_changes_nothing(tmp_path_factory, name, suffix):
    right, wrong = (tmp_path_factory.getbasetemp() / n for n in (name, f"renamed.{suffix}"))
    right.write_bytes(GOOD[name])
    wrong.write_bytes(GOOD[name])
    for read in (read_image, read_mask, read_header):
        np.testing.assert_array_equal(read(wrong), read(right))


@settings(max_examples=100)
@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"GIF89a", b""]), st.binary())
def test_noise_behind_a_signature_is_refused(tmp_path_factory, signature, noise):
    path = tmp_path_factory.getbasetemp() / "noise.png"
    path.write_bytes(signature + noise)
    for read in (read_header, read_image, read_mask):
        with pytest.raises(UserError, match=r"noise\.png"):
            read(path)


@pytest.mark.parametrize("name", ["palette.png", "bit.png"])
def test_no_byte_of_a_png_can_change_unseen(tmp_path, name):
    path = tmp_path / name
    for at in range(len(GOOD[name])):
        path.write_bytes(GOOD[name][:at] + bytes([GOOD[name][at] ^ 4]) + GOOD[name][at + 1 :])
        with pytest.raises(UserError):
            read_mask(path)


@pytest.mark.parametrize("name", ["tiff_deflate.tif", "tiff_adobe_deflate.tif"])
def test_no_byte_of_deflated_pixels_can_change_unseen(tmp_path, name):
    path, content = tmp_path / name, GOOD[name]
    path.write_bytes(content)
    whole = read_image(path)
    with Image.open(path) as image:
        [start], [length] = image.tag_v2[273], image.tag_v2[279]
    for at in range(start, start + length, 9):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        assert outcome(read_image, path, whole) == "refused"


def test_tiff_tags_that_are_cut_off_are_missed(tmp_path):
    """With the tags at the end, PIL would go on without the last ones, such as the sample format."""
    path, content = tmp_path / "a.tif", GOOD["deep_colour.tif"]
    assert int.from_bytes(content[4:8], "little") > len(content) // 2
    for cut in range(5, 60):
        path.write_bytes(content[:-cut])
        with pytest.raises(UserError, match=r"a\.tif' cannot be read"):
            read_image(path)


def thousands(folder, each):
    """Every kind of file harmed in every way, `each` times: what came of it, by kind."""
    warnings.simplefilter("error")
    counts = {name: Counter() for name in GOOD}
    for name in GOOD:
        for number in range(each):
            for harm in HARMS:
                outcomes = judge(name, harm, number, folder)
                assert {*outcomes} <= allowed(name, harm), (name, harm.__name__, number)
                counts[name].update(outcomes)
    return counts


@pytest.mark.slow
def test_thousands_of_harmed_files_crash_and_hang_nothing(tmp_path):
    """2,000 and more in a process of its own: a crash would be its exit status, a hang the timeout."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})\n"
    code += "from pathlib import Path\nfrom tests.data.datasets import test_fuzz as f\n"
    code += f"print(*(f'{{n}} {{dict(c)}}' for n, c in f.thousands(Path({str(tmp_path)!r}), 8).items()), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)  # pytest -s shows how much of each kind is found
    assert len(done.stdout.splitlines()) == len(GOOD)
