import numpy as np
import pytest

from segtrain.data.datasets import Shapes
from segtrain.errors import UserError


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("size", "shape"), [(64, (64, 64)), ([48, 96], (48, 96))])
def test_samples_have_the_size_asked_for_and_all_classes(channels, size, shape):
    dataset = Shapes(n=20, size=size, channels=channels)
    for index in range(20):
        image, mask = dataset.read(index)
        assert image.shape == (*shape, channels) and image.dtype == np.uint8
        assert mask.shape == shape and mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1, 2}


def test_a_sample_is_a_function_of_seed_and_index():
    one, again, other = Shapes(n=4), Shapes(n=9), Shapes(n=4, seed=1)
    one.read(3)  # what was drawn before does not matter
    assert all((a == b).all() for a, b in zip(one.read(2), again.read(2), strict=True))
    assert (one.read(2).mask != one.read(1).mask).any()
    assert (one.read(2).mask != other.read(2).mask).any()


def test_without_noise_the_image_is_a_function_of_the_mask():
    image, mask = Shapes(noise=0).read(0)
    assert all(len(np.unique(image[mask == label])) == 1 for label in range(3))
    assert len(np.unique(image)) == 3


def test_ids_are_unique_and_sorted_and_no_split_is_given():
    dataset = Shapes(n=101)
    assert len(set(dataset.ids)) == 101 and list(dataset.ids) == sorted(dataset.ids)
    assert set(dataset.splits) == {None} and len(dataset.splits) == 101
    assert len(dataset.palette) == len(dataset.classes)
    with pytest.raises(IndexError):
        dataset.read(101)


def test_fingerprint_follows_the_parameters():
    changes = [{}, {"seed": 1}, {"n": 65}, {"size": 65}, {"channels": 3}, {"noise": 1}]
    prints = [Shapes(**change).fingerprint() for change in changes]
    assert len(set(prints)) == len(changes)
    assert Shapes().fingerprint() == prints[0]


@pytest.mark.parametrize("wrong", [{"n": 0}, {"size": 8}, {"size": [64, 8]}, {"channels": 2}, {"noise": -1}])
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(UserError, match=rf"dataset\.{next(iter(wrong))} is"):
        Shapes(**wrong)
