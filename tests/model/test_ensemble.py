"""Several networks as one, and one network that sees an image in several ways: the mean of probabilities."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from segtrain.errors import UserError
from segtrain.model.ensemble import VIEWS, AveragedNetwork, View, ensembled, log_probabilities, scaled, viewed, views_of
from segtrain.model.metrics import prediction
from segtrain.model.normalised_network import NormalisedNetwork


def drawn(seed: int, classes: int, spread: float = 3.0) -> Tensor:
    return torch.randn(2, classes, 4, 5, generator=torch.Generator().manual_seed(seed)) * spread


@given(st.integers(0, 1000), st.integers(2, 4), st.integers(2, 5), st.sampled_from([1.0, 300.0]))
def test_softmax_of_the_logits_is_the_mean_of_the_probabilities(
    seed: int, models: int, classes: int, spread: float
) -> None:
    each = [drawn(seed + i, classes, spread) for i in range(models)]
    found = ensembled([lambda _, logits=logits: logits for logits in each])(torch.zeros(1))
    mean = torch.stack([logits.softmax(1) for logits in each]).mean(0)
    torch.testing.assert_close(found.softmax(1), mean, atol=1e-5, rtol=1e-4)
    assert found.isfinite().all()


def test_a_model_of_one_logit_counts_as_two_classes() -> None:
    one, two = drawn(0, 1), drawn(1, 2)
    found = ensembled([lambda _: one, lambda _: two])(torch.zeros(1))
    expected = (torch.sigmoid(one[:, 0]) + two.softmax(1)[:, 1]) / 2
    torch.testing.assert_close(found.exp()[:, 1], expected)
    assert torch.equal(prediction(log_probabilities(one)), prediction(one))


def test_one_model_alone_is_itself() -> None:
    assert ensembled([drawn_model]) is drawn_model  # not even its bits change


def drawn_model(image: Tensor) -> Tensor:
    return image


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
    assert sizes == [(64, 128), (64, 96), (96, 160)]  # 48 and 80 are between multiples: what is grown is cut off
    torch.testing.assert_close(found, torch.full((1, 1, 64, 128), 7.0))
    sizes.clear()
    found = viewed(model, ["scales"], least=(64, 128))(image)
    assert sizes == [(64, 128), (64, 128), (96, 160)]  # no view is smaller than what training showed
    torch.testing.assert_close(found, torch.full((1, 1, 64, 128), 7.0))


@pytest.mark.parametrize("side", [32, 64, 96, 128, 160, 224, 256])
def test_every_scale_shows_an_image_of_any_side_in_another_size(side: int) -> None:
    """Where the nearest multiple of the stride is the side itself, what the network sees is scaled all the same."""
    for view in VIEWS["scales"][1:]:
        length = scaled(side, view.scale)
        assert length != side and 0.65 < length / side / view.scale < 1.35
        if side in (32, 64):
            assert length == side * view.scale
    ramp = torch.arange(side).float().expand(1, 1, side, side)
    slopes = []

    def model(image: Tensor) -> Tensor:
        assert image.shape[-1] % 32 == image.shape[-2] % 32 == 0
        middle = image[0, 0, 4, 4:12]
        slopes.append(float(middle.diff().mean()))
        return image.float()

    found = viewed(model, ["scales"])(ramp)
    expected = [1, side / scaled(side, 0.75), side / scaled(side, 1.25)]
    assert slopes == pytest.approx(expected, rel=0.02)
    torch.testing.assert_close(found[..., 4:-4], ramp[..., 4:-4], atol=0.1, rtol=0)  # and it is turned back


@torch.no_grad()
@pytest.mark.parametrize("side", [32, 64])
def test_scales_are_turned_back_to_where_they_were(side: int) -> None:
    """A bright square stays where it is, through flips, turns and what a scaled side is grown by."""
    image = torch.zeros(1, 1, side, side)
    image[..., side // 4 : side // 2, side // 8 : side // 3] = 1
    for names in (["scales"], ["flips", "scales"], ["turns", "scales"]):
        found = viewed(lambda seen: seen.float(), names)(image)
        place = [float((found[0, 0].sum(1 - axis) * torch.arange(side)).sum() / found.sum()) for axis in (0, 1)]
        right = [float((image[0, 0].sum(1 - axis) * torch.arange(side)).sum() / image.sum()) for axis in (0, 1)]
        assert place == pytest.approx(right, abs=0.05) and not torch.equal(found, image)


def test_a_single_view_is_the_model_itself() -> None:
    model = nn.Conv2d(1, 2, 1)
    assert viewed(model, []) is model and viewed(model, ["none"]) is model


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match="views has 'mirror'; expected a list of none, flips, turns, scales"):
        views_of(["flips", "mirror"])


@pytest.mark.parametrize("classes", [1, 3])
def test_an_averaged_network_gives_the_mean_of_probabilities(classes: int) -> None:
    torch.manual_seed(0)
    members = [
        NormalisedNetwork(torch.nn.Conv2d(2, classes, 1), [10.0 * i, 20.0], [3.0, 4.0 + i]).eval() for i in range(3)
    ]
    images = torch.rand(2, 2, 32, 64) * 255
    with torch.no_grad():
        found = AveragedNetwork(members)(images)
        each = [log_probabilities(member(images)).exp() for member in members]
    assert found.shape == (2, max(2, classes), 32, 64)
    torch.testing.assert_close(found.softmax(1), torch.stack(each).mean(0))
    with torch.no_grad():
        assert torch.equal(AveragedNetwork(members[:1])(images), members[0](images))
