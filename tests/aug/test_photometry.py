import json
import os

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.aug.keys import stream
from segtrain.aug.photometry import Photometry, PhotometryDraw
from segtrain.aug.photometry_ops import add_noise, colour_matrix
from segtrain.errors import UserError

TONE = dict(brightness=0.2, contrast=0.5, gamma=0.7)
ALL = dict(**TONE, noise=0.1, blur=2, lowres=1.5, bias=0.4)
TOP = {np.uint8: 255, np.uint16: 65535, np.float32: 1.0}


def picture(dtype, channels=3, shape=(40, 56), seed=0):
    values = np.random.default_rng(seed).random((*shape, channels)) * TOP[dtype]
    return values.astype(dtype) if dtype == np.float32 else np.rint(values).astype(dtype)


def reference(image, draw, top):
    """Contrast about the mean, brightness, gamma, in float64."""
    v = image.astype(np.float64) / top
    v = (v - v.mean()) * (1 + draw.contrast) + v.mean() + draw.brightness
    if image.dtype == np.float32:
        return np.sign(v) * np.abs(v) ** 2**draw.gamma
    return np.clip(np.clip(v, 0, 1) ** 2**draw.gamma, 0, 1) * top


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    channels=st.sampled_from([1, 3, 5]),
    big=st.booleans(),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
)
def test_tone_matches_the_formula(seed, channels, big, dtype):
    image = picture(dtype, channels, (200, 180) if big else (40, 56))
    op = Photometry(**TONE)
    draw = op.draw(stream((seed,), "p"), image.shape)
    before = image.copy()
    got = op.act(image, draw)
    assert got.dtype == dtype and (image == before).all()
    tolerance = 1e-4 if dtype == np.float32 else 1
    assert np.abs(got.astype(np.float64) - reference(image, draw, TOP[dtype])).max() <= tolerance


def test_no_type_is_clipped_to_bytes():
    assert (
        Photometry(brightness=0.1).act(picture(np.uint16), PhotometryDraw(0.1, 0, 0, 0, 0, 0, 0, 0, 0, None)).max()
        == 65535
    )
    bright = picture(np.float32) * 300
    assert Photometry().act(bright, PhotometryDraw(0.1, 0, 0, 0, 0, 0, 0, 0, 0, None)).max() > 299
    twelve = (picture(np.uint16) // 16).astype(np.uint16)
    got = Photometry(full_range=4095).act(twelve, PhotometryDraw(0.1, 0, 0, 0, 0, 0, 0, 0, 0, None))
    assert np.abs(got.astype(int) - twelve - 409.5).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_every_op_keeps_shape_and_type_and_zero_is_identity(dtype, channels):
    image = picture(dtype, channels)
    for name, size in ALL.items():
        op = Photometry(**{name: size})
        got = op.act(image, op.draw(stream((6,), "p"), image.shape))
        assert got.shape == image.shape and got.dtype == dtype and (got != image).any(), name
    assert Photometry().act(image, Photometry().draw(stream((4,), "p"), image.shape)) is image


def test_in_place_and_copy_agree():
    image = picture(np.uint8)
    op = Photometry(**ALL)
    draw = op.draw(stream((4,), "p"), image.shape)
    assert (op.act(image, draw) == op.act(image.copy(), draw, in_place=True)).all()


@pytest.mark.parametrize("dtype,sigma", [(np.uint8, 12.0), (np.uint8, 0.6), (np.uint16, 900.0), (np.float32, 0.1)])
def test_noise_is_gaussian_and_white(dtype, sigma):
    middle = {np.uint8: 128, np.uint16: 30000, np.float32: 0.5}[dtype]
    pair = []
    for seed in (1, 2):
        image = np.full((300, 400, 3), middle, dtype)
        add_noise(image, sigma, seed)
        pair.append((image.astype(np.float64) - middle) / sigma)
    noise = pair[0]
    rounding = 1 / 12 / sigma**2 if dtype != np.float32 else 0
    assert abs(noise.mean()) < 0.01 and noise.var() == pytest.approx(
        1 + rounding, rel=0.02
    )  # thresholds in steps of 1/32
    assert (noise**4).mean() / noise.var() ** 2 == pytest.approx(3, abs=0.1)
    shifted = [noise[:, 1:] * noise[:, :-1], noise[1:] * noise[:-1], noise[..., 0] * noise[..., 1], pair[0] * pair[1]]
    assert max(abs(product.mean()) for product in shifted) < 0.01


def test_noise_saturates():
    for value in (0, 255):
        image = np.full((64, 64, 3), value, np.uint8)
        add_noise(image, 20, 3)
        assert np.abs(image.astype(int) - value).max() < 100 and 0.4 < (image == value).mean() < 0.6


def test_colour_keeps_greys_and_luma_and_zero_is_one():
    assert np.allclose(colour_matrix(0, 0), np.eye(3), atol=1e-12)
    matrix = colour_matrix(0.4, 33)
    assert np.allclose(matrix @ np.ones(3), 1, atol=1e-6) and np.allclose(
        [0.299, 0.587, 0.114] @ matrix, [0.299, 0.587, 0.114], atol=1e-6
    )
    with pytest.raises(UserError, match="3 channels"):
        Photometry(hue=10).draw(stream((4,), "p"), (8, 8, 1))


@pytest.mark.parametrize(
    "name", ["brightness", "contrast", "gamma", "noise", "blur", "lowres", "bias", "saturation", "hue"]
)
def test_change_grows_with_the_magnitude(name):
    image = picture(np.float32, shape=(64, 64)) * 0.5 + np.linspace(0, 0.3, 64, dtype=np.float32)[:, None, None]
    unit = {"blur": 6.0, "lowres": 1.0, "hue": 20.0, "gamma": 0.4}.get(name, 0.2)
    changes = []
    for strength in (0, 0.5, 1, 2):
        op = Photometry(**{name: unit * strength})
        draw = op.draw(stream((6,), "p"), image.shape)
        changes.append(np.sqrt(((op.act(image, draw) - image) ** 2).mean()))
    assert changes[0] == 0 and changes[0] < changes[1] < changes[2] < changes[3]


def test_one_op_changed_leaves_the_other_draws_and_json_replays():
    image = picture(np.uint8)
    for name in ALL:
        draws = [Photometry(**{**ALL, **c}).draw(stream((5,), "p"), image.shape) for c in ({}, {name: 0})]
        a, b = ({k: v for k, v in d.to_json().items() if k != name} for d in draws)
        assert a == b
    again = PhotometryDraw.from_json(json.loads(json.dumps(draws[0].to_json())))
    assert (Photometry().act(image, draws[0]) == Photometry().act(image, again)).all()


def test_inside_a_plain_compose():
    out = A.Compose([Photometry(**ALL)], strict=True)(image=picture(np.uint8), mask=np.zeros((40, 56), np.uint8))
    assert out["image"].shape == (40, 56, 3)


@pytest.mark.parametrize("wrong", [dict(noise=-1), dict(contrast=1.5), dict(chances={"rotate": 1}), dict(p=2)])
def test_mistakes_are_told(wrong):
    with pytest.raises(UserError):
        Photometry(**wrong)
