"""Test-time augmentation: what is seen another way is turned back."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from segtrain.errors import UserError
from segtrain.model.views import VIEWS, View, viewed, views_of

RIGID = st.builds(View, st.integers(0, 3), st.booleans())


def seen(image: Tensor, view: View) -> Tensor:
    mirrored = image.flip(-1) if view.mirrored else image
    return torch.rot90(mirrored, view.turns, (-2, -1))


@given(RIGID, RIGID)
def test_one_view_then_another_is_one_view(first: View, second: View) -> None:
    image = torch.arange(12).reshape(1, 1, 3, 4)
    assert torch.equal(seen(seen(image, first), second), seen(image, first.then(second)))


@pytest.mark.parametrize(
    ("names", "count"),
    [([], 1), (["none"], 1), (["flips"], 4), (["turns"], 4), (["flips", "turns"], 8), (["flips", "scales"], 12)],
)
def test_named_ways_are_combined_each_once(names: list[str], count: int) -> None:
    views = views_of(names)
    assert len(views) == len(set(views)) == count and views[0] == View()


def test_flips_are_left_right_top_bottom_and_both() -> None:
    image = torch.arange(12).reshape(1, 1, 3, 4)
    found = [seen(image, view) for view in VIEWS["flips"]]
    for expected in (image, image.flip(-1), image.flip(-2), image.flip(-1, -2)):
        assert any(torch.equal(expected, one) for one in found)


def test_a_network_that_looks_at_each_pixel_alone_sees_the_same_in_every_view() -> None:
    image = torch.randint(0, 255, (2, 3, 32, 64), dtype=torch.uint8)
    model = nn.Conv2d(3, 2, 1).requires_grad_(False)
    found = viewed(lambda x: model(x.float()), ["flips", "turns"])(image)
    torch.testing.assert_close(found, model(image.float()), rtol=1e-5, atol=1e-4)


@torch.no_grad()
def test_flips_and_turns_make_any_network_equivariant() -> None:
    torch.manual_seed(0)
    model, image = nn.Conv2d(1, 2, 5, padding=2), torch.rand(1, 1, 32, 64)
    mean = viewed(model, ["flips", "turns"])
    assert not torch.allclose(model(image.flip(-1)), model(image).flip(-1), atol=1e-3)
    for view in itertools.starmap(View, itertools.product(range(4), (False, True))):
        torch.testing.assert_close(mean(seen(image, view)), seen(mean(image), view))


def test_scales_keep_sides_at_multiples_of_the_stride_and_give_back_the_size() -> None:
    sizes = []

    def model(image: Tensor) -> Tensor:
        sizes.append(tuple(image.shape[-2:]))
        return image.float()

    image = torch.full((1, 1, 64, 128), 7, dtype=torch.uint8)
    found = viewed(model, ["scales"])(image)
    assert sizes == [(64, 128), (64, 96), (64, 160)]  # 48 and 80 are halfway between multiples: to the even one
    torch.testing.assert_close(found, torch.full((1, 1, 64, 128), 7.0))


def test_a_single_view_is_the_model_itself() -> None:
    model = nn.Conv2d(1, 2, 1)
    assert viewed(model, []) is model and viewed(model, ["none"]) is model


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match="views has 'mirror'; expected a list of none, flips, turns, scales"):
        views_of(["flips", "mirror"])
