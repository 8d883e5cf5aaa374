"""What a file says of its pixels beside their numbers, over every format that can hold such a file."""

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.files.pixels import read_image
from segtrain.errors import UserError, hearing
from segtrain.parts.data import build_dataset
from tests.data.datasets.layouts import LAYOUTS, SIDE, Encode, Made, grey_tiff, stacks
from tests.data.datasets.test_promises import configured

Array = np.ndarray[Any, Any]

CODED = ("folder", "csv", "tiff", "tiff, pages=samples", "huggingface")  # masks are files of one value a class
PICTURES = (*CODED, "coco", "instances")  # images are files; scans are NIfTI and DICOM, litdata holds what was read
CORNER = (..., slice(0, 5), slice(0, 6))
IGNORED = 255

images = pytest.mark.parametrize("name", PICTURES)
masks = pytest.mark.parametrize("name", CODED)


def opened(name: str, root: Path, encode: Encode | None = None, mask: Encode | None = None, **more: Any) -> Any:
    """A data set of one stack whose files are written so, and what was drawn."""
    samples = [one._replace(encode=encode, encode_mask=mask) for one in stacks(1, 2)]
    return build_dataset(RunConfig(configured(name, LAYOUTS[name].write(root, samples) | more))), samples


def tagged(text: str) -> dict[str, Any]:
    return {"extratags": [(42113, 2, 0, text, False)]}


def with_corner(value: float, kind: Any = np.uint8, **options: Any) -> Encode:
    """Writes pixels of which some, in all bands and pages, hold a value."""

    def encode(pixels: Array) -> bytes:
        changed = pixels.astype(kind)
        changed[CORNER] = value
        return grey_tiff(changed, **options)

    return encode


def drawn(one: Made, channels: int) -> Array:
    bands = {1: [one.image], 2: [one.image, 255 - one.image], 3: [one.image] * 3}  # of coco grey is repeated
    return np.stack(bands[channels], 2)


@images
@pytest.mark.parametrize("highest", [2**8 - 1, 2**16 - 1])
def test_an_image_whose_0_is_white_is_turned_about(name: str, highest: int, tmp_path: Path) -> None:
    kind = np.uint8 if highest == 255 else np.uint16
    dataset, samples = opened(name, tmp_path, lambda p: grey_tiff((highest - p.astype(kind)), photometric="miniswhite"))
    for index, one in enumerate(samples):
        image, mask = dataset.read(index)
        assert image.dtype == kind and np.array_equal(image, drawn(one, dataset.channels))
        assert np.array_equal(mask, one.mask)


@images
def test_signed_numbers_whose_0_is_white_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="WhiteIsZero"):
        opened(name, tmp_path, lambda p: grey_tiff(p.astype(np.float32), photometric="miniswhite"))[0].read(0)


@pytest.mark.parametrize("name", [*CODED, "instances"])
@pytest.mark.parametrize("bits", [1, 8])
def test_a_mask_whose_0_is_white_is_refused(name: str, bits: int, tmp_path: Path) -> None:
    def encode(labels: Array) -> bytes:
        return grey_tiff(labels == 0 if bits == 1 else 255 - labels, photometric="miniswhite")

    with pytest.raises(UserError, match="WhiteIsZero"):
        opened(name, tmp_path, mask=encode)[0].read(0)


@images
@pytest.mark.parametrize(("value", "text", "kind"), [(7, "7", np.uint8), (-9999, "-9999", np.float32)])
def test_nodata_of_an_image_counts_nowhere_and_is_its_mean_elsewhere(
    name: str, value: float, text: str, kind: Any, tmp_path: Path
) -> None:
    dataset, samples = opened(name, tmp_path, with_corner(value, kind, **tagged(text)))
    for index, one in enumerate(samples):
        with hearing() as heard:
            image, mask = dataset.read(index)
        expected, missing = drawn(one, dataset.channels).astype(np.float64), np.zeros((SIDE, SIDE), bool)
        missing[CORNER] = True
        if kind == np.uint8:  # what was drawn may hold the value elsewhere too
            missing |= (expected == value).all(2)
        mean = expected[~missing].mean(0)
        expected[missing] = np.rint(mean) if kind == np.uint8 else mean
        np.testing.assert_allclose(image, expected, rtol=1e-6)
        assert image.dtype == kind and np.array_equal(mask, np.where(missing, IGNORED, one.mask))
        assert [remark.kind for remark in heard] == ["nodata"]


@images
def test_a_value_that_the_pixels_cannot_hold_marks_none(name: str, tmp_path: Path) -> None:
    for text in ("-9999", "0.5", "nan", "1e30"):
        dataset, samples = opened(name, tmp_path / text, lambda p, text=text: grey_tiff(p, **tagged(text)))
        image, mask = dataset.read(0)
        assert np.array_equal(image, drawn(samples[0], dataset.channels)) and np.array_equal(mask, samples[0].mask)


@pytest.mark.parametrize("name", ["folder", "tiff"])
def test_not_a_number_may_be_the_nodata_value_and_is_refused_or_kept_without(name: str, tmp_path: Path) -> None:
    dataset, _ = opened(name, tmp_path / "said", with_corner(np.nan, np.float32, **tagged("nan")))
    image, mask = dataset.read(0)
    assert np.isfinite(image).all() and (mask[CORNER] == IGNORED).all()
    dataset, _ = opened(name, tmp_path / "not", with_corner(np.nan, np.float32))
    if name == "tiff":
        with pytest.raises(UserError, match="NaN"):
            dataset.read(0)
    else:  # training ends with a message; see tests/app/train/test_failures.py
        assert np.isnan(dataset.read(0).image).any()


@images
def test_a_nodata_tag_without_a_number_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="GDAL_NODATA"):
        opened(name, tmp_path, lambda p: grey_tiff(p, **tagged("none")))[0].read(0)


@masks
def test_nodata_of_a_mask_counts_nowhere_unless_it_is_a_class(name: str, tmp_path: Path) -> None:
    dataset, samples = opened(name, tmp_path / "other", mask=with_corner(9, **tagged("9")))
    corner = np.zeros((SIDE, SIDE), bool)
    corner[CORNER] = True
    assert np.array_equal(dataset.read(0).mask, np.where(corner, IGNORED, samples[0].mask))
    dataset, samples = opened(name, tmp_path / "class", mask=lambda p: grey_tiff(p, **tagged("0")))
    assert np.array_equal(dataset.read(0).mask, samples[0].mask)
    dataset, samples = opened(name, tmp_path / "float", mask=with_corner(-9999, np.float32, **tagged("-9999")))
    assert np.array_equal(dataset.read(0).mask, np.where(corner, IGNORED, samples[0].mask))
    dataset, samples = opened(name, tmp_path / "wrong", mask=with_corner(8, **tagged("9")))
    with pytest.raises(UserError, match="value 8"):
        dataset.read(0)


@masks
def test_scaled_labels_are_named(name: str, tmp_path: Path) -> None:
    dataset, _ = opened(name, tmp_path, mask=lambda p: grey_tiff(p.astype(np.float32) * np.float32(1.0118)))
    with pytest.raises(UserError, match=r"holds 1\.0118 .*expected whole numbers"):
        dataset.read(0)


def png(pixels: Array) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def rgba(colour: Callable[[Array], Array], alpha: Callable[[Array], Array]) -> Encode:
    """Writes labels as a picture with transparency, as PNG, of a stack as TIFF."""

    def encode(labels: Array) -> bytes:
        picture = np.stack([*[colour(labels)] * 3, alpha(labels)], -1).astype(np.uint8)
        return png(picture) if labels.ndim == 2 else grey_tiff(picture, photometric="rgb", extrasamples=["unassalpha"])

    return encode


LOST = {
    "black paint": rgba(lambda labels: labels * 0, lambda labels: labels * 255),
    "colours hidden under alpha": rgba(lambda labels: labels, lambda labels: (np.indices(labels.shape)[-1] > 9) * 255),
}
SAID = {
    "no alpha that differs": rgba(lambda labels: labels, lambda labels: labels * 0 + 255),
    "transparent background": rgba(lambda labels: labels, lambda labels: labels * 255),
    "soft paint": rgba(lambda labels: labels, lambda labels: labels * (100 + np.indices(labels.shape)[-1])),
}


@pytest.mark.parametrize("name", [*CODED, "instances"])
@pytest.mark.parametrize("kind", LOST)
def test_a_mask_that_says_more_by_its_alpha_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="alpha"):
        opened(name, tmp_path, mask=LOST[kind])[0].read(0)


@pytest.mark.parametrize("name", [*CODED, "instances"])
@pytest.mark.parametrize("kind", SAID)
def test_a_mask_whose_colours_say_all_is_read(name: str, kind: str, tmp_path: Path) -> None:
    dataset, samples = opened(name, tmp_path, mask=SAID[kind])
    assert np.array_equal(dataset.read(0).mask, samples[0].mask)


@pytest.mark.parametrize("name", ["folder", "csv", "coco", "instances", "huggingface"])
def test_images_seen_through_are_read_and_remarked(name: str, tmp_path: Path) -> None:
    for alpha, kinds in ((255, []), (np.indices((SIDE, SIDE))[0] % 2 * 255, ["transparent pixels"])):
        encode = rgba(lambda p: p, lambda p, alpha=alpha: p * 0 + np.asarray(alpha, np.uint8))  # type: ignore[misc]
        dataset, samples = opened(name, tmp_path / f"{kinds}", encode)
        with hearing() as heard:
            image = dataset.read(0).image
        assert [remark.kind for remark in heard] == kinds and np.array_equal(image[..., 0], samples[0].image)


def test_an_audit_reads_the_pixels_that_training_reads(tmp_path: Path) -> None:
    """Colour and grey of 8 and 16 bits, with alpha and without, which is looked at in an audit alone."""
    for number, (kind, channels) in enumerate(itertools.product((np.uint8, np.uint16), (1, 3, 4))):
        stored = np.random.default_rng(number).integers(0, np.iinfo(kind).max, (9, 7, channels)).astype(kind)
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), stored)
        with hearing() as heard:
            audited = read_image(path)
        expected = stored[..., :1] if channels == 1 else stored[..., 2::-1]
        assert np.array_equal(audited, expected) and np.array_equal(read_image(path), expected)
        assert bool(heard) == (channels == 4)


def jpeg(labels: Array) -> bytes:
    file = io.BytesIO()
    Image.fromarray(labels * np.uint8(255)).convert("RGB").save(file, "JPEG", quality=60)
    return file.getvalue()


@pytest.mark.parametrize("name", ["folder", "csv", "tiff", "huggingface"])
def test_jpeg_masks_are_read_by_the_nearest_class_where_a_tolerance_says_so(name: str, tmp_path: Path) -> None:
    classes = {"background": 0, "cell": 255}
    plain, _ = opened(name, tmp_path / "a", mask=jpeg, classes=classes)
    with pytest.raises(UserError, match="value"):
        plain.read(0)
    dataset, samples = opened(name, tmp_path / "b", mask=jpeg, classes=classes, tolerance=120)
    mask: Any = dataset.read(0).mask
    assert (mask == samples[0].mask).mean() > 0.98 and set(np.unique(mask)) == {0, 1}
    assert fingerprints(name, tmp_path / "c", classes) == fingerprints(name, tmp_path / "c", classes, tolerance=0)
    assert fingerprints(name, tmp_path / "c", classes) != fingerprints(name, tmp_path / "c", classes, tolerance=120)


def fingerprints(name: str, root: Path, classes: dict[str, int], **more: Any) -> str:
    dataset: SegmentationDataset = opened(name, root, mask=jpeg, classes=classes, **more)[0]
    return dataset.fingerprint()
