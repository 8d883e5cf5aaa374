"""OpenCVElastic against the formula that it states, and what its numbers do to a picture."""

import albumentations as A
import cv2
import numpy as np
import pytest

from segtrain.aug import OpenCVElastic, Policy
from segtrain.aug.elastic import OpenCVElasticDraw
from segtrain.errors import UserError


def pair(size: tuple[int, int] = (60, 76), channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (*size, channels), dtype=np.uint8), rng.integers(0, 4, size, dtype=np.uint8)


@pytest.mark.parametrize("numbers", [(2000, 50, 5), (260, 20, 121)])
def test_parity_with_the_stated_formula_given_the_same_noise(numbers: tuple[float, float, int]) -> None:
    alpha, sigma, kernel = numbers
    image, mask = pair()
    noise = np.random.default_rng(1).uniform(-1, 1, (2, 60, 76))
    dx = cv2.GaussianBlur(noise[0], (kernel, kernel), sigma) * alpha
    dy = cv2.GaussianBlur(noise[1], (kernel, kernel), sigma) * alpha
    x, y = np.meshgrid(np.arange(76), np.arange(60))
    maps = (x + dx).astype(np.float32), (y + dy).astype(np.float32)
    expected = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    labels = cv2.remap(mask, *maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=255)
    op = OpenCVElastic(alpha, sigma, kernel)
    out = op.act(image, mask, op.draw(np.random.default_rng(0), image.shape), noise)
    assert np.array_equal(out[0], expected) and np.array_equal(out[1], labels)


@pytest.mark.parametrize(("numbers", "rms"), [((2000, 50, 5), 327.0), ((260, 20, 121), 3.0)])
def test_rms_displacement_is_as_the_presets_state(numbers: tuple[float, float, int], rms: float) -> None:
    """230 px along each axis as stated, 3 px in all as corrected."""
    noise = np.random.default_rng(1).uniform(-1, 1, (2, 400, 400))
    x, y = OpenCVElastic(*numbers).map(noise, numbers[0])
    dx, dy = x - np.arange(400), y - np.arange(400)[:, None]
    assert np.sqrt((dx**2 + dy**2).mean()) == pytest.approx(rms, rel=0.15)


def test_the_corrected_numbers_fold_nowhere_at_strength_2_and_the_stated_ones_do() -> None:
    def folded(alpha: float, sigma: float, kernel: int) -> float:
        op, found = OpenCVElastic(alpha, sigma, kernel), []
        for seed in range(3):
            x, y = op.map(np.random.default_rng(seed).uniform(-1, 1, (2, 200, 200)), alpha)
            (xy, xx), (yy, yx) = np.gradient(x), np.gradient(y)
            found.append(float((xx * yy - xy * yx <= 0).mean()))
        return max(found)

    assert folded(520, 20, 121) == 0
    assert folded(2000, 50, 5) > 0.3


def test_alpha_scales_the_displacement_linearly_under_one_draw() -> None:
    noise = np.random.default_rng(1).uniform(-1, 1, (2, 50, 50))
    op, grid = OpenCVElastic(1, 10, 31), np.arange(50)
    one, two = (op.map(noise, alpha)[0] - grid for alpha in (10, 20))
    assert np.allclose(two, 2 * one, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_runs_in_a_policy_and_in_a_plain_compose(channels: int) -> None:
    image, mask = pair(channels=channels)
    op = OpenCVElastic(60, 5, 31)
    outs = [Policy([op])(image, mask, (0, 0, i)) for i in (0, 1, 0)]
    assert np.array_equal(outs[0][0], outs[2][0]) and not np.array_equal(outs[0][0], outs[1][0])
    plain = A.Compose([op])(image=image, mask=mask)
    assert plain["image"].shape == image.shape and set(np.unique(plain["mask"])) <= {0, 1, 2, 3, 255}


def test_outside_is_ignored_in_the_mask() -> None:
    image, mask = pair()
    out = Policy([OpenCVElastic(2000, 50, 5)], ignore_index=9)(image, mask, (0, 0, 0))[1]
    assert (out == 9).mean() > 0.3 and set(np.unique(out)) <= {0, 1, 2, 3, 9}


def test_a_draw_is_json_and_back() -> None:
    draw = OpenCVElastic().draw(np.random.default_rng(0), (6, 7, 3))
    assert OpenCVElasticDraw.from_json(draw.to_json()) == draw and draw.noise().shape == (2, 6, 7)


@pytest.mark.parametrize("wrong", [{"kernel": 4}, {"sigma": 0}, {"alpha": -1}])
def test_numbers_that_cv2_refuses_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="OpenCVElastic"):
        OpenCVElastic(**wrong)
