import pickle

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SMALL
from tests.data.datasets.mistakes.instances import BOX, box, good, opened, sample


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_union_of_the_masks_is_foreground():
    sample("a1f", box(*BOX), box(2, 3, 6, 8))
    dataset = opened()
    image, mask = dataset.read(0)
    assert dataset.ids == ("a1f",) and dataset.splits == (None,) and dataset.channels == 3
    assert image.shape == (6, 8, 3)
    np.testing.assert_array_equal(mask, (box(*BOX) | box(2, 3, 6, 8)) // 255)


@pytest.mark.parametrize("dtype", ["1", "L", "RGB", "RGBA"])
def test_masks_may_be_bits_grey_or_colour(dtype):
    folder = sample("a1f")
    Image.fromarray(box(*BOX)).convert(dtype).save(folder / "masks" / "0.png")
    np.testing.assert_array_equal(opened().read(0).mask, box(*BOX) // 255)


def test_the_border_between_two_nuclei_is_ignored():
    sample("a1f", box(0, 0, 6, 3), box(0, 4, 6, 8))
    assert opened().read(0).mask[0].tolist() == [1, 1, 1, 0, 1, 1, 1, 1]
    assert opened(border=1).read(0).mask[0].tolist() == [1, 1, 1, 255, 1, 1, 1, 1]
    assert opened(border=2).read(0).mask[0].tolist() == [1, 1, 255, 255, 255, 1, 1, 1]


def test_many_nuclei_do_not_overflow():
    sample("a1f", *[box(0, 0, 6, 8)] * 257)
    assert (opened().read(0).mask == 1).all()


def test_folders_of_splits_set_the_split():
    for name in ("train/a", "train/b", "val/a"):
        sample(name, box(*BOX))
    dataset = opened()
    assert dict(zip(dataset.ids, dataset.splits, strict=True)) == {
        "train/a": "train",
        "train/b": "train",
        "val/a": "val",
    }


def test_an_image_without_masks_is_background_where_that_is_allowed():
    sample("a1f")
    assert not opened(allow_empty=True).read(0).mask.any()


def test_fingerprint_follows_files_and_choices():
    sample("a1f", box(*BOX))
    prints = [opened().fingerprint(), opened(border=1).fingerprint()]
    sample("a1f", box(*BOX), box(2, 3, 6, 8))
    prints.append(opened().fingerprint())
    assert len(set(prints)) == 3 and opened().fingerprint() == prints[-1]


def test_a_dataset_can_be_sent_to_a_worker():
    sample("a1f", box(*BOX))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(opened())).read(0).mask, box(*BOX) // 255)


@pytest.mark.slow
def test_a_training_by_config_alone(segtrain):
    good()
    options = [o for o in SMALL if not o.startswith("dataset")]
    assert segtrain("dataset=instances", "dataset.root=.", "dataset.border=1", *options) == 0, segtrain.err
