import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segtrain.data.datasets import Tiff
from segtrain.errors import UserError
from tests.conftest import SMALL
from tests.data.datasets.mistakes.tiff import BANDS, MASK, good, opened, pair, save

CHANNELS_LAST = BANDS.transpose(1, 2, 0)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


LAYOUTS = {
    "pages": (BANDS, {}),
    "planes": (BANDS, {"planarconfig": "separate"}),
    "interleaved": (CHANNELS_LAST.copy(), {"planarconfig": "contig"}),
    "imagej": (BANDS, {"imagej": True, "metadata": {"axes": "CYX"}}),
    "ome": (BANDS, {"ome": True, "metadata": {"axes": "CYX"}}),
    "bigtiff": (BANDS, {"bigtiff": True}),
    "tiles": (BANDS, {"tile": (16, 16)}),
    "deflate": (BANDS, {"compression": "zlib"}),
    "big-endian": (BANDS, {"byteorder": ">"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_channels_are_read_from_any_layout(layout):
    values, options = LAYOUTS[layout]
    pair(image=values, **options)
    image, mask = opened().read(0)
    assert image.dtype == np.uint16 and image.dtype.isnative
    np.testing.assert_array_equal(image, CHANNELS_LAST)
    np.testing.assert_array_equal(mask, MASK)


def test_channels_are_chosen_in_order():
    pair()
    dataset = opened(channels=[4, 0])
    assert dataset.channels == 2 and dataset.groups is None
    np.testing.assert_array_equal(dataset.read(0).image, CHANNELS_LAST[..., [4, 0]])


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.float32, np.int8, np.int16, np.uint32, np.int32, np.float16, np.float64]
)
def test_types_of_the_contract_stay_and_others_become_float32(dtype):
    values = (BANDS // 2).astype(dtype)
    pair(image=values)
    image = opened().read(0).image
    assert image.dtype == (dtype if dtype in (np.uint8, np.uint16, np.float32) else np.float32)
    np.testing.assert_array_equal(image, values.transpose(1, 2, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64])
def test_masks_may_have_any_whole_numbers(dtype):
    pair(mask=MASK.astype(dtype))
    np.testing.assert_array_equal(opened().read(0).mask, MASK)


def test_masks_may_be_bits_colours_palettes_or_other_files():
    pair("a", mask=MASK.astype(bool))
    np.testing.assert_array_equal(opened().read(0).mask, MASK)
    green = MASK[..., None] * np.array([0, 255, 0], np.uint8)
    in_colour = {"background": "#000000", "crop": "#00ff00"}
    save("masks/a.tif", green, photometric="rgb")
    np.testing.assert_array_equal(opened(classes=in_colour).read(0).mask, MASK)
    colormap = np.zeros((3, 256), np.uint16)
    colormap[1, 1] = 65535
    save("masks/a.tif", MASK, photometric="palette", colormap=colormap)
    np.testing.assert_array_equal(opened().read(0).mask, MASK)
    np.testing.assert_array_equal(opened(classes=in_colour).read(0).mask, MASK)
    for file in ("masks/a.tif", "masks/a.png"):
        Image.fromarray(MASK).save(file)
        np.testing.assert_array_equal(opened().read(0).mask, MASK)
        Path(file).unlink()


@pytest.mark.parametrize("options", [{}, {"imagej": True, "metadata": {"axes": "TYX"}}, {"compression": "zlib"}])
def test_pages_are_samples_that_stay_together(options):
    pair("a-1", BANDS[:3], np.stack([MASK * 0, MASK, MASK]), **options)
    pair("a", BANDS, np.stack([MASK] * 5), **options)
    dataset = opened(pages="samples")
    assert list(dataset.ids) == sorted(dataset.ids) and len(dataset.ids) == 8 and dataset.channels == 1
    at = dataset.ids.index("a-1/page_0001")
    np.testing.assert_array_equal(dataset.read(at).image[..., 0], BANDS[1])
    assert not dataset.read(dataset.ids.index("a-1/page_0000")).mask.any() and dataset.groups[at] == "a-1"


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX"])
def test_a_stack_of_channels_is_samples_of_channels(axes):
    values = np.arange(2 * 3 * 6 * 8, dtype=np.uint16).reshape((2, 3, 6, 8) if axes == "ZCYX" else (3, 2, 6, 8))
    pair(image=values, mask=np.stack([MASK, MASK]), ome=True, metadata={"axes": axes})
    dataset = opened(pages="samples")
    expected = values if axes == "ZCYX" else values.swapaxes(0, 1)
    assert dataset.ids == ("a/page_0000", "a/page_0001") and dataset.channels == 3
    np.testing.assert_array_equal(dataset.read(1).image, expected[1].transpose(1, 2, 0))


def test_one_page_is_read_without_the_others(monkeypatch):
    pair(image=BANDS, mask=np.stack([MASK] * 5))
    read = []
    whole = tifffile.TiffPage.asarray
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda self, **o: read.append(self.index) or whole(self, **o))
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", lambda self, **o: read.append(self.index) or whole(self, **o))
    opened(pages="samples").read(3)
    assert read == [3, 3]  # image and mask


def test_pictures_beside_tiff_are_read_as_folder_reads_them():
    pair("a", np.zeros((6, 8, 3), np.uint8), photometric="rgb")
    Image.fromarray(np.full((6, 8, 3), 9, np.uint8)).save("images/b.png")
    save("masks/b.tif", MASK)
    assert opened().read(1).image.tolist() == np.full((6, 8, 3), 9).tolist()


def test_lzw_needs_imagecodecs_or_is_read():
    pair()
    Image.fromarray(BANDS[0]).save("images/a.tif", compression="tiff_lzw")
    try:
        import imagecodecs  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(UserError, match=r"pip install \"segtrain\[tiff\]\""):
            opened().read(0)
    else:
        np.testing.assert_array_equal(opened().read(0).image[..., 0], BANDS[0])


def test_fingerprint_follows_files_and_choices():
    pair()
    prints = [opened().fingerprint(), opened(channels=[1]).fingerprint()]
    pair(image=BANDS + np.uint16(1))
    prints.append(opened().fingerprint())
    assert len(set(prints)) == 3 and opened().fingerprint() == prints[-1]


def test_a_dataset_can_be_sent_to_a_worker():
    pair()
    copy: Tiff = pickle.loads(pickle.dumps(opened()))
    np.testing.assert_array_equal(copy.read(0).image, CHANNELS_LAST)


@pytest.mark.slow
@pytest.mark.parametrize("aug", ["none", "medical_elastic"])
def test_five_channels_of_16_bits_train_by_config_alone(segtrain, aug):
    good()
    options = [o for o in SMALL if not o.startswith("dataset")]
    chosen = ["dataset=tiff", "dataset.root=.", "dataset.classes={background:0,crop:1}", f"aug={aug}"]
    assert segtrain(*chosen, *options) == 0, segtrain.err
