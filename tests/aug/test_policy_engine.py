import os
import pickle

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A
import numpy as np
import pytest

from segtrain.aug.geometry import Geometry
from segtrain.aug.keys import restream, stream
from segtrain.aug.photometry import Photometry
from segtrain.aug.policy import Policy


def pair(shape=(70, 90), channels=3):
    image = np.random.default_rng(0).integers(0, 256, (*shape, channels), dtype=np.uint8)
    return image, (image[..., 0] // 64).astype(np.uint8)


def medical(**more):
    return Policy([Geometry(hflip=0.5, turn=0.5, rotate=20, elastic=2), Photometry(contrast=0.3, noise=0.1)], **more)


def test_reused_streams_equal_fresh_ones():
    for i in range(5):
        fresh, numbers = stream((1, 2, i), "a"), restream((1, 2, i), ["a"])["a"]
        assert (fresh.random(9) == numbers.generator.random(9)).all()
        assert 0 <= numbers.python.random() < 1 and 3 <= numbers.python.randint(3, 9) <= 9
        numbers.python.gauss(0, 1)
    first = [restream((0,), ["a"])["a"].python.gauss(0, 1) for _ in range(2)]
    assert first[0] == first[1]


@pytest.mark.parametrize("crop", [None, 32, (100, 40), 200])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_tensors_are_the_call_with_channels_first(crop, channels):
    image, mask = pair(channels=channels)
    before = image.copy(), mask.copy()
    for i in range(6):
        policy = medical(crop=crop)
        a, b = policy(image, mask, (0, 1, i))
        c, d = policy.tensors(image, mask, (0, 1, i))
        assert (a.transpose(2, 0, 1) == c).all() and (b == d).all()
        assert c.flags.c_contiguous and a.flags.c_contiguous and d.flags.c_contiguous
        assert crop is None or b.shape == (crop if isinstance(crop, tuple) else (crop, crop))
        assert not any(np.shares_memory(x, y) for x in (a, b, c, d) for y in (image, mask))
    assert (image == before[0]).all() and (mask == before[1]).all()


def test_strength_zero_is_the_crop_alone_and_crops_are_paired():
    image, mask = pair()
    plain = Policy(crop=32)(image, mask, (0, 0, 7))
    assert all((x == y).all() for x, y in zip(plain, medical(strength=0, crop=32)(image, mask, (0, 0, 7)), strict=True))
    flips = Policy([Geometry(hflip=0.0)], crop=32)(image, mask, (0, 0, 7))
    assert all((x == y).all() for x, y in zip(plain, flips, strict=True))
    whole = Policy([])(image, mask, (0, 0, 7))
    assert (whole[0] == image).all() and not np.shares_memory(whole[0], image)


def test_shared_ops_share_draws_and_pickling_changes_nothing():
    image, mask = pair()
    both = medical(crop=48)
    alone = Policy(both.transforms[:1], crop=48)
    again = pickle.loads(pickle.dumps(both))
    for i in range(5):
        assert (both(image, mask, (0, 0, i))[1] == alone(image, mask, (0, 0, i))[1]).all()
        assert (both(image, mask, (0, 0, i))[0] == again(image, mask, (0, 0, i))[0]).all()


def test_plain_albumentations_transforms_are_keyed_and_filled():
    image, mask = pair()
    policy = Policy(
        [
            A.Affine(rotate=(-45, 45), p=1),
            Photometry(brightness=0.1),
            A.OneOf([A.Blur(), A.MedianBlur()], p=1),
            A.GaussNoise(p=1),
            A.ElasticTransform(p=0.5),
        ],
        crop=40,
    )
    outs = [policy(image, mask, (0, 0, i)) for i in (1, 2, 1)]
    assert (outs[0][0] == outs[2][0]).all() and (outs[0][1] == outs[2][1]).all() and (outs[0][0] != outs[1][0]).any()
    seen = set(np.unique(np.concatenate([policy(image, mask, (0, 0, i))[1] for i in range(20)])))
    assert seen <= {0, 1, 2, 3, 255} and 255 in seen
