"""Crops placed about a class that is not the commonest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.aug import CutMix, Geometry, Partners, Photometry, Policy, RandAugment
from segtrain.aug.exact import start
from segtrain.aug.keys import stream
from segtrain.aug.warp import fill_in, nodes
from segtrain.errors import UserError

EVERYTHING = dict(hflip=0.5, vflip=0.5, turn=0.5, rotate=40, scale=0.7, shear=10, translate=15, elastic=3)
EXACT = dict(hflip=0.5, vflip=0.5, turn=0.5)


def dots(shape: tuple[int, int] = (120, 150)) -> tuple[np.ndarray, np.ndarray]:
    """One pixel of class 1, a square of class 2, the rest background; every image pixel tells its place."""
    mask = np.zeros(shape, np.uint8)
    mask[7, shape[1] - 5], mask[60:80, 20:40] = 1, 2
    return np.arange(mask.size, dtype=np.float32).reshape(*shape, 1), mask


@given(
    u=st.floats(0, 1, exclude_max=True),
    length=st.integers(1, 300),
    side=st.integers(1, 300),
    at=st.floats(0, 1, exclude_max=True),
)
def test_a_window_lies_inside_and_holds_its_target_and_a_larger_one_the_whole(
    u: float, length: int, side: int, at: float
) -> None:
    free, pixel = start(u, length, side, None), int(at * length)
    aimed = start(u, length, side, pixel)
    for first in (free, aimed):
        assert min(0, length - side) <= first <= max(0, length - side)
    assert aimed <= pixel < aimed + side
    if side <= length:
        assert free == int(u * (length - side + 1))
    else:
        assert free == aimed == -int(u * (side - length + 1))
        assert start(u, length, side, None, drawn_margin=False) == 0  # as in runs of earlier versions


@pytest.mark.parametrize("transforms", [[], [Geometry(**EXACT)], [Photometry(contrast=0.2)]], ids=len)
def test_every_crop_holds_a_class_beside_the_commonest_each_as_often(transforms: list[object]) -> None:
    policy = Policy(transforms, crop=24, crop_class=1)
    seen = [np.unique(policy(*dots(), (0, 0, i))[1]) for i in range(200)]
    assert all(len(labels) > 1 for labels in seen)
    assert sum(1 in labels for labels in seen) == pytest.approx(100, abs=30)  # one pixel, as often as 400


def test_it_is_a_chance() -> None:
    shares = []
    for chance in (0, 0.33, 1):
        policy = Policy([], crop=24, crop_class=chance)
        shares.append(np.mean([(policy(*dots(), (0, 0, i))[1] == 1).any() for i in range(400)]))
    assert shares[0] < 0.05 and shares[1] == pytest.approx(shares[0] + 0.33 * shares[2], abs=0.06)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**40), shape=st.sampled_from([(128, 128), (90, 200), (150, 64)]))
def test_a_source_pixel_is_found_where_it_lands(seed: int, shape: tuple[int, int]) -> None:
    draw = Geometry(**EVERYTHING).draw(stream((seed,), "g"), shape)
    at = nodes(draw.matrix(), draw.lattice, 3**0.5 * draw.length, draw.size, (0, 0, *draw.size), draw.length)
    x, y = fill_in(at, (0, 0))
    for point in np.random.default_rng(seed).integers(0, shape, (4, 2)).tolist():
        row, column = (round(v) for v in draw.lands(point))
        if 0 <= row < draw.size[0] and 0 <= column < draw.size[1]:
            zoom = 2.0 ** -min(0, draw.scale)  # half a pixel of the result is this much of the source
            assert np.hypot(y[row, column] - point[0], x[row, column] - point[1]) < 1.5 * zoom


def test_where_pixels_only_change_places_they_land_exactly() -> None:
    image, mask = dots()
    for seed in range(20):
        draw = Geometry(**EXACT).draw(stream((seed,), "g"), mask.shape)
        moved = Geometry().act(image, None, draw)[0]
        row, column = (round(v) for v in draw.lands((33, 71)))
        assert moved[row, column, 0] == image[33, 71, 0]


@pytest.mark.parametrize("last", [Geometry(**EVERYTHING), RandAugment({"rotate": 30, "translate_x": 20}, n=2)])
def test_large_classes_survive_any_move(last: object) -> None:
    """Both the map of a Geometry and a mask that was moved before: the square of class 2 is hit."""
    mask = np.where(dots()[1] == 2, 2, 0).astype(np.uint8)
    policy = Policy([last, Photometry(noise=0.1)], crop=32, crop_class=1)
    kept = [(policy(np.zeros((*mask.shape, 1), np.uint8), mask, (0, 0, i))[1] == 2).any() for i in range(100)]
    assert np.mean(kept) > 0.95  # some draws push the class out of the picture


def test_a_mix_is_aimed_at_what_was_mixed_in() -> None:
    empty, mask = np.zeros((120, 150, 1), np.float32), np.zeros((120, 150), np.uint8)
    policy = Policy([CutMix(p=1)], crop=16, crop_class=1, partners=Partners(lambda i: dots(), [5]))
    crops = [policy(empty, mask, (0, 0, 0, view))[1] for view in range(100)]
    uniform = Policy([CutMix(p=1)], crop=16, partners=policy.partners)
    assert np.mean([crop.any() for crop in crops]) > 2 * np.mean(
        [uniform(empty, mask, (0, 0, 0, view))[1].any() for view in range(100)]
    )


def test_crops_are_the_key_s_alone_and_shared_by_policies_that_leave_places() -> None:
    policies = [
        Policy([], crop=24, crop_class=0.5),
        Policy([Geometry(**EVERYTHING)], strength=0, crop=24, crop_class=0.5),
        Policy([Photometry(gamma=0.1), Geometry(hflip=0)], crop=24, crop_class=0.5),
    ]
    for i in range(30):
        masks = [policy(*dots(), (0, 2, i))[1] for policy in policies]
        assert all(np.array_equal(masks[0], mask) for mask in masks[1:])
    assert np.array_equal(policies[0](*dots(), (0, 2, 0))[1], policies[0](*dots(), (0, 2, 0))[1])


def test_off_or_without_a_second_class_crops_lie_where_they_did() -> None:
    image, mask = dots()
    plain, aimed = Policy([Geometry(**EXACT)], crop=24), Policy([Geometry(**EXACT)], crop=24, crop_class=1)
    one = np.where(np.arange(150) < 40, 255, 3).astype(np.uint8) * np.ones((120, 1), np.uint8)
    for i in range(20):
        assert np.array_equal(plain(image, one, (0, 0, i))[0], aimed(image, one, (0, 0, i))[0])
    off = Policy([Geometry(**EXACT)], crop=24, crop_class=0)
    assert np.array_equal(plain(image, mask, (0, 0, 1))[0], off(image, mask, (0, 0, 1))[0])


@pytest.mark.parametrize("crop", [200, (130, 10), (10, 160)])
def test_crops_larger_than_the_image_hold_all_of_it(crop: object) -> None:
    policy = Policy([], crop=crop, crop_class=1)  # type: ignore[arg-type]
    for i in range(20):
        image, mask = policy(*dots(), (0, 0, i))
        assert mask.shape == ((200, 200) if crop == 200 else crop) and set(np.unique(mask)) & {1, 2}
        assert crop != 200 or ((mask != 255).sum(), len(np.unique(image))) == (dots()[1].size, dots()[1].size)


@pytest.mark.parametrize("wrong", [dict(crop_class=1.5, crop=9), dict(crop_class=-1, crop=9), dict(crop_class=0.3)])
def test_mistakes_are_told(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="crop_class"):
        Policy([], **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("crop", [0, -5, 1.5, "96", [1, 2, 3], [32], True])
def test_what_is_no_crop_is_refused(crop: object) -> None:
    with pytest.raises(UserError, match=r"the crop is its side, or \[height, width\]"):
        Policy([], crop=crop)  # type: ignore[arg-type]
