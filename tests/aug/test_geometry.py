import json
import os

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.aug import warp
from segtrain.aug.draws import GeometryDraw
from segtrain.aug.exact import move
from segtrain.aug.geometry import Geometry
from segtrain.aug.keys import stream
from segtrain.aug.warp import Warp, fill_in, nodes
from segtrain.errors import UserError

EVERYTHING = dict(hflip=0.5, vflip=0.5, turn=0.5, rotate=40, scale=0.7, shear=10, translate=15, elastic=3)
SHAPES = [(64, 64), (96, 61), (50, 130)]


def painted(shape, channels=3, dtype=np.uint8, classes=4, seed=0):
    """A smooth label map and an image painted from it."""
    noise = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    field = cv2.GaussianBlur(noise, (0, 0), min(shape) / 12)
    mask = np.digitize(field, np.quantile(field, np.arange(1, classes) / classes)).astype(np.uint8)
    steps = 60 if dtype == np.uint8 else 9000
    image = np.stack([mask.astype(np.float64) * steps] * channels, 2).astype(dtype)
    return image, mask, steps


def full_map(geometry, draw, window=None):
    """The actual map (x, y) over the window, in source pixels."""
    at = nodes(
        draw.matrix(), draw.lattice, warp.CELL * draw.length, draw.size, window or (0, 0, *draw.size), draw.length
    )
    x, y = fill_in(at, (0, 0))
    return x.astype(np.float64), y.astype(np.float64)


def least_jacobian(x, y):
    """Smallest determinant over all corners of all pixels of the sampled map."""
    least = np.inf
    ax, ay = np.diff(x, axis=1), np.diff(y, axis=1)
    bx, by = np.diff(x, axis=0), np.diff(y, axis=0)
    for i in (slice(None, -1), slice(1, None)):
        for j in (slice(None, -1), slice(1, None)):
            least = min(least, (ax[i] * by[:, j] - ay[i] * bx[:, j]).min())
    return least


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    shape=st.sampled_from(SHAPES),
    channels=st.sampled_from([1, 2, 3, 4, 6]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    crop=st.booleans(),
)
def test_image_and_mask_move_together(seed, shape, channels, dtype, crop):
    image, mask, steps = painted(shape, channels, dtype)
    before = image.copy(), mask.copy()
    geometry = Geometry(**EVERYTHING)
    draw = geometry.draw(stream((seed,), "g"), shape)
    new_image, new_mask = geometry.act(image, mask, draw, (7, -5, 40, 150) if crop else None)
    assert new_image.shape == ((40, 150) if crop else draw.size) + (channels,)
    assert new_image.dtype == dtype and new_mask.dtype == np.uint8 and new_image.shape[:2] == new_mask.shape
    assert set(np.unique(new_mask)) <= set(np.unique(mask)) | {255}
    assert (image == before[0]).all() and (mask == before[1]).all()
    alike = cv2.erode(mask, np.ones((3, 3))) == cv2.dilate(mask, np.ones((3, 3)))  # all four neighbours have one label
    inside = geometry.act(None, alike.astype(np.uint8), draw, (7, -5, 40, 150) if crop else None)[1] == 1
    wanted = new_mask[inside].astype(np.float64) * steps
    assert np.abs(new_image[inside].astype(np.float64) - wanted[:, None]).max(initial=0) <= 1e-3 * steps


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**40), shape=st.sampled_from(SHAPES))
def test_outside_is_ignored_exactly(seed, shape):
    geometry = Geometry(**EVERYTHING)
    draw = geometry.draw(stream((seed,), "g"), shape)
    mask = geometry.act(None, np.zeros(shape, np.uint8), draw)[1]
    if draw.exact:
        assert not mask.any()
        return
    x, y = full_map(geometry, draw)
    tie = 1e-3  # float32 rounding of the map
    deep = (x > -0.5 + tie) & (x < shape[1] - 0.5 - tie) & (y > -0.5 + tie) & (y < shape[0] - 0.5 - tie)
    far = (x < -0.5 - tie) | (x > shape[1] - 0.5 + tie) | (y < -0.5 - tie) | (y > shape[0] - 0.5 + tie)
    assert (mask[deep] == 0).all() and (mask[far] == 255).all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    shape=st.sampled_from(SHAPES),
    channels=st.sampled_from([1, 2, 3, 6]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
)
def test_flips_turns_and_crops_are_bit_exact(seed, shape, channels, dtype):
    image = np.random.default_rng(seed).integers(0, 255, (*shape, channels)).astype(dtype)
    mask = image[..., 0].astype(np.uint8)
    geometry = Geometry(hflip=0.5, vflip=0.5, turn=0.75)
    draw = geometry.draw(stream((seed,), "g"), shape)
    wanted = np.rot90(image, draw.turns)
    wanted = wanted[:: -1 if draw.vflip else 1, :: -1 if draw.hflip else 1]
    got, got_mask = geometry.act(image, mask, draw)
    assert (got == wanted).all() and (got_mask == wanted[..., 0]).all()
    got, got_mask = geometry.act(image, mask, draw, (5, 9, 30, 33))
    assert (got == wanted[5:35, 9:42]).all() and (got_mask == wanted[5:35, 9:42, 0]).all()
    got, got_mask = geometry.act(image, mask, draw, (-4, 0, 150, 150))
    h, w = draw.size
    assert (got[4 : 4 + h, :w] == wanted).all() and (got_mask[4 : 4 + h, :w] == wanted[..., 0]).all()
    assert (got_mask[:4] == 255).all() and (got_mask[:, w:] == 255).all() and (got[3, :w] == wanted[1]).all()


def test_the_matrix_agrees_with_the_exact_path():
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    geometry = Geometry(hflip=0.5, vflip=0.5, turn=0.75)
    for seed in range(40):
        draw = geometry.draw(stream((seed,), "g"), (40, 60))
        warp = Warp(nodes(draw.matrix(), None, 0.0, draw.size, (0, 0, *draw.size), 0.0), draw.shape)
        exact = geometry.act(image, image[..., 0].copy(), draw)
        assert (warp.image(image, True, 0) == exact[0]).all()
        assert (warp.mask(np.ascontiguousarray(image[..., 0]), 255) == exact[1]).all()


def test_zero_changes_nothing():
    image, mask, _ = painted((64, 50))
    geometry = Geometry()
    got = geometry.act(image, mask, geometry.draw(stream((1,), "g"), mask.shape))
    assert (got[0] == image).all() and (got[1] == mask).all()


@pytest.mark.parametrize("shape", [(128, 128), (128, 200), (1024, 1024), (1024, 700)])
@pytest.mark.parametrize("percent", [0.5, 2.0, 4.0])
def test_rms_displacement_is_as_stated_at_every_size(shape, percent):
    geometry = Geometry(elastic=percent)
    y, x = np.mgrid[: shape[0], : shape[1]]
    measured = []
    for seed in range(12):
        mx, my = full_map(geometry, geometry.draw(stream((seed,), "g"), shape))
        measured.append(np.sqrt(((mx - x) ** 2 + (my - y) ** 2).mean()) / min(shape) * 100)
    assert np.mean(measured) == pytest.approx(percent, rel=0.05)
    assert min(measured) > 0.8 * percent and max(measured) < 1.02 * percent


def test_displacement_is_linear_and_the_same_field_at_every_strength_and_size():
    fields = []
    for side, percent in ((128, 1.0), (128, 3.0), (512, 2.0)):
        geometry = Geometry(elastic=percent)
        draw = geometry.draw(stream((3,), "g"), (side, side))
        fields.append(draw.lattice / percent / side)
    assert np.allclose(fields[0], fields[1], rtol=1e-4)
    assert np.allclose(fields[0], fields[2], atol=0.02 * np.abs(fields[0]).max())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**40), shape=st.sampled_from([(128, 128), (100, 333), (256, 64)]), all_ops=st.booleans())
def test_nothing_folds_at_the_bound(seed, shape, all_ops):
    others = dict(rotate=30, scale=1.0, shear=15) if all_ops else {}
    geometry = Geometry(elastic=4, elastic_length=8, **others)
    draw = geometry.draw(stream((seed,), "g"), shape)
    assert least_jacobian(*full_map(geometry, draw)) > 0


def test_the_fold_free_bound_holds_for_the_worst_coefficients():
    """Σ|e·∇w| ≤ 1.5/cell for every direction e: with vectors of length b the gradient stays below 1.5 b / cell."""
    t = np.linspace(0, 1, 41)
    value = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    slope = np.stack([-((1 - t) ** 2), 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2]) / 2
    along_x = np.einsum("iy,jx->yxij", value, slope).reshape(41, 41, 16)
    along_y = np.einsum("iy,jx->yxij", slope, value).reshape(41, 41, 16)
    worst = max(np.abs(np.cos(a) * along_x + np.sin(a) * along_y).sum(2).max() for a in np.linspace(0, np.pi, 49))
    assert worst == pytest.approx(1.5, abs=1e-9)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        lattice = warp.displacement(rng, (128, 128), warp.CELL * 10.24, 0.5 * 10.24)
        assert np.hypot(*lattice).max() * 1.5 / (warp.CELL * 10.24) < 1


def test_a_draw_is_replayed_from_its_json():
    image, mask, _ = painted((90, 70))
    geometry = Geometry(**EVERYTHING)
    for seed in range(10):
        draw = geometry.draw(stream((seed,), "g"), mask.shape)
        again = GeometryDraw.from_json(json.loads(json.dumps(draw.to_json())))
        first, second = geometry.act(image, mask, draw), geometry.act(image, mask, again)
        assert (first[0] == second[0]).all() and (first[1] == second[1]).all()


@pytest.mark.parametrize(
    "changed", [dict(rotate=0), dict(elastic=0), dict(shear=3), dict(chances={"scale": 0.3}), dict(hflip=0)]
)
def test_one_op_changed_leaves_the_other_draws(changed):
    for seed in range(5):
        draws = [Geometry(**{**EVERYTHING, "turn": 0, **c}).draw(stream((seed,), "g"), (64, 64)) for c in ({}, changed)]
        name = "scale" if "chances" in changed else next(iter(changed))
        rest = [
            {k: v for k, v in d.to_json().items() if k not in (name, "lattice" if name == "elastic" else "")}
            for d in draws
        ]
        assert rest[0] == rest[1]


def test_a_window_is_the_part_of_the_whole():
    image, mask, _ = painted((256, 256), classes=3)
    geometry = Geometry(rotate=30, elastic=2)
    draw = geometry.draw(stream((5,), "g"), mask.shape)
    whole, part = geometry.act(image, mask, draw), geometry.act(image, mask, draw, (60, 31, 100, 90))
    assert (whole[1][60:160, 31:121] != part[1]).mean() < 0.01
    assert np.abs(whole[0][60:160, 31:121].astype(int) - part[0]).mean() < 1


@pytest.mark.parametrize("border,value", [("reflect", 0), ("constant", 77)])
def test_what_lies_outside(border, value):
    image = np.full((50, 50, 3), 10, np.uint8)
    geometry = Geometry(translate=40, rotate=5, border=border, fill=value)
    for seed in range(5):
        got, mask = geometry.act(image, image[..., 0].copy(), geometry.draw(stream((seed,), "g"), (50, 50)))
        far = cv2.erode((mask == 255).astype(np.uint8), np.ones((3, 3)), borderValue=1).astype(bool)
        assert (got[far] == (77 if border == "constant" else 10)).all()


def test_reflection_with_and_without_padding_agrees(monkeypatch):
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8), (5, 5), 0)
    geometry = Geometry(rotate=40, scale=1, translate=30)
    draws = [geometry.draw(stream((s,), "g"), (80, 120)) for s in range(20)]
    padded = [geometry.act(image, None, d)[0] for d in draws]
    monkeypatch.setattr("segtrain.aug.warp._LARGEST_PADDING", 0.0)
    for draw, one in zip(draws, padded, strict=True):
        assert np.abs(geometry.act(image, None, draw)[0].astype(int) - one).max() <= 1


def test_inside_a_plain_compose():
    image, mask, _ = painted((64, 80))
    compose = A.Compose([A.VerticalFlip(p=0.5), Geometry(**EVERYTHING), A.RandomBrightnessContrast()], strict=True)
    for _ in range(5):
        out = compose(image=image, mask=mask)
        assert out["image"].shape[:2] == out["mask"].shape and set(np.unique(out["mask"])) <= {0, 1, 2, 3, 255}
    gray = compose(image=image[..., 0], mask=mask)
    assert gray["image"].ndim == 2


@pytest.mark.parametrize(
    "wrong",
    [
        dict(elastic=4.1),
        dict(rotate=-1),
        dict(border="wrap"),
        dict(chances={"flip": 1}),
        dict(hflip=1.2),
        dict(shear=70),
    ],
)
def test_mistakes_are_told(wrong):
    with pytest.raises(UserError):
        Geometry(**wrong)


def test_move_agrees_with_numpy_for_every_type():
    pixels = np.arange(5 * 7).reshape(5, 7)
    for dtype in (bool, np.int64, np.int32, np.uint8):
        got = move(pixels.astype(dtype), 1, True, False, (0, 0, 7, 5), cv2.BORDER_CONSTANT, 0)
        assert (got == np.rot90(pixels.astype(dtype))[:, ::-1]).all()
