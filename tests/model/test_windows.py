"""Images by windows: the whole is what a pass over it would say, wherever windows can know."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from segtrain.errors import UserError
from segtrain.model.windows import Windows, bands, places, shares, windowed
from segtrain.padding import STRIDE, pad_to, reflected

SIDES = st.sampled_from([32, 64, 96])
WINDOWS = st.builds(Windows, st.tuples(SIDES, SIDES), st.floats(0, 0.9), st.integers(1, 4), st.booleans())


def pointwise(image: Tensor) -> Tensor:
    """Logits that know nothing but their own pixel."""
    return torch.cat([image, image * image], 1)


def gossip(image: Tensor) -> Tensor:
    """Logits that differ from window to window, and from place to place in one."""
    return image + image.mean((-2, -1), keepdim=True)


@given(st.integers(1, 2000), SIDES, st.floats(0, 0.95))
def test_windows_stand_on_the_grid_from_end_to_end_and_share_what_is_asked(
    length: int, side: int, overlap: float
) -> None:
    length = -(-length // STRIDE) * STRIDE
    shared = int(side * overlap)
    starts = places(length, side, shared)
    assert starts[0] == 0 and all(start % STRIDE == 0 for start in starts)
    assert starts[-1] + side == max(length, side)
    steps = np.diff(starts)
    assert (steps > 0).all() and (steps <= max(STRIDE, side - shared)).all()


@given(st.integers(1, 40), SIDES, st.floats(0, 0.95))
def test_shares_of_all_windows_in_a_pixel_add_up_to_one(units: int, side: int, overlap: float) -> None:
    length = units * STRIDE
    side = min(side, length)
    starts = places(length, side, int(side * overlap))
    total = np.zeros(length)
    for start, share in zip(starts, shares(starts, side, side), strict=True):
        assert (share > 0).all()
        total[start : start + side] += share.numpy()
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_window_that_is_longer_than_usual_has_the_gaussian_at_its_ends_only() -> None:
    usual, long = shares([0, 16], 64, 64)[0], shares([0, 112], 160, 64)[0]
    torch.testing.assert_close(long[:112], torch.ones(112))
    assert usual[0] == 1 and usual[16] < 1
    falls = long[112:]
    assert (falls.diff() < 0).all()


@settings(max_examples=25)
@given(st.integers(1, 200), st.integers(1, 200), WINDOWS)
@example(65, 65, Windows(32, 0.0, 1))
def test_what_each_pixel_says_for_itself_is_kept_by_any_windows(height: int, width: int, windows: Windows) -> None:
    image = torch.rand(2, height, width, generator=torch.Generator().manual_seed(height * width))
    found = windowed(pointwise, image, windows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, pointwise(image[None])[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (31, 33), (64, 96), (17, 2)])
def test_an_image_is_grown_as_for_training(height: int, width: int) -> None:
    seen: list[Tensor] = []

    def model(image: Tensor) -> Tensor:
        seen.append(image)
        return image

    image = np.random.default_rng(0).integers(0, 255, (height, width, 2), np.uint8)
    size = -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE
    grown, _ = pad_to(image, np.zeros((height, width), np.uint8), size, 255)
    found = windowed(model, torch.from_numpy(image.transpose(2, 0, 1).copy()), None)
    assert len(seen) == 1 and seen[0].dtype == torch.uint8
    np.testing.assert_array_equal(seen[0][0].numpy(), grown.transpose(2, 0, 1))
    np.testing.assert_array_equal(found.numpy(), image.transpose(2, 0, 1))


class Sees(nn.Module):
    """Convolutions at two scales; a pixel is reached from up to REACH pixels away."""

    REACH = 12

    def __init__(self) -> None:
        super().__init__()
        first, second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        up = nn.Upsample(scale_factor=4, mode="nearest")
        self.layers = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(4), second, nn.ReLU(), up, nn.Conv2d(4, 3, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.layers(image)
        return logits


def knowing(length: int, starts: list[int], side: int) -> np.ndarray[Any, Any]:
    """Where along an axis every window sees as far as the network does, or to the end of the image."""
    knows = np.ones(length, bool)
    for start in starts:
        if start > 0:
            knows[start : start + Sees.REACH] = False
        if start + side < length:
            knows[start + side - Sees.REACH : start + side] = False
    return knows


@torch.no_grad()
@pytest.mark.parametrize("joined", [True, False])
def test_the_result_is_that_of_a_whole_pass_where_windows_see_as_far_as_the_network(joined: bool) -> None:
    torch.manual_seed(0)
    model, image = Sees(), torch.rand(1, 320, 416)
    whole = windowed(model, image, None)
    found = windowed(model, image, Windows(128, 0.25, 2, joined))
    side = 224 if joined else 128  # two windows in place of four
    rows = knowing(320, places(320, 128, 32), 128)
    columns = knowing(416, places(416, side, 32), side)
    apart = (found - whole).abs().amax(0).numpy()
    assert apart[np.ix_(rows, columns)].max() < 1e-4 and rows.mean() > 0.3 and columns.mean() > 0.3
    assert apart.max() > 3e-4  # elsewhere they cannot know


def by_hand(image: np.ndarray[Any, Any], side: int, step: int) -> np.ndarray[Any, Any]:
    """gossip by windows, blended in float64 as the articles state it."""
    across = np.arange(side) - (side - 1) / 2
    weight = np.exp(-0.5 * (across / (side / 8)) ** 2)
    weight = weight[:, None] * weight
    total, weights = np.zeros_like(image), np.zeros_like(image)
    for top in range(0, image.shape[0] - side + 1, step):
        for left in range(0, image.shape[1] - side + 1, step):
            window = image[top : top + side, left : left + side]
            total[top : top + side, left : left + side] += weight * (window + window.mean())
            weights[top : top + side, left : left + side] += weight
    return total / weights


def test_windows_that_disagree_are_blended_by_a_gaussian() -> None:
    image = np.random.default_rng(0).normal(size=(160, 224)) * np.linspace(0, 4, 224)
    found = windowed(gossip, torch.tensor(image, dtype=torch.float32)[None], Windows(64, 0.5, 3, joined=False))
    np.testing.assert_allclose(found[0].numpy(), by_hand(image, 64, 32), atol=1e-5)


@pytest.mark.slow  # its import
def test_the_blend_is_monais_but_for_its_floor_under_the_weights() -> None:
    from monai.inferers.utils import sliding_window_inference

    image = torch.rand(1, 160, 224, generator=torch.Generator().manual_seed(0)) * torch.linspace(0, 4, 224)
    found = windowed(gossip, image, Windows(64, 0.5, 3, joined=False))
    theirs = sliding_window_inference(image[None], 64, 3, gossip, overlap=0.5, mode="gaussian")
    assert isinstance(theirs, Tensor)
    inside = np.s_[:, 32:-32, 32:-32]  # it lifts weights below .001 to that, which tells at the image's own border
    torch.testing.assert_close(found[inside], theirs[0][inside], atol=5e-3, rtol=0)
    plain = sliding_window_inference(image[None], 64, 3, gossip, overlap=0.5, mode="constant")
    assert isinstance(plain, Tensor) and (plain[0] - found)[inside].abs().max() > 0.02


@pytest.mark.parametrize("joined", [True, False])
def test_no_more_rows_and_pixels_are_held_than_stated(joined: bool) -> None:
    windows, image = Windows(64, 0.25, 2, joined), torch.rand(1, 500, 700)
    asked: list[int] = []

    def model(batch: Tensor) -> Tensor:
        assert batch.shape[0] * batch.shape[2] * batch.shape[3] <= 2 * 64 * 64
        return pointwise(batch)

    def read(top: int, end: int) -> Tensor:
        asked.append(end - top)
        return image[:, top:end]

    found = list(bands(model, read, (500, 700), windows))
    assert max(asked) == 64 and all(logits.shape[1] <= 64 for _, logits in found)
    assert [top for top, _ in found] == np.cumsum([0, *(logits.shape[1] for _, logits in found)])[:-1].tolist()
    torch.testing.assert_close(torch.cat([logits for _, logits in found], 1), pointwise(image[None])[0])


def test_rows_of_a_grown_image_come_from_inside_it() -> None:
    assert reflected(5, 8).tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert reflected(2, 8).tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert reflected(1, 4).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((100,), "window is 100; expected a side"),
        (((64, 0),), "window is"),
        ((True,), "window is True"),
        ((64, 1.0), "overlap is 1.0"),
        ((64, 0.5, 0), "batch of windows is 0"),
    ],
)
def test_windows_that_cannot_be_are_refused(values: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Windows(*values)
