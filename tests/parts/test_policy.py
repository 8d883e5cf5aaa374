"""Shifts: an image changed by a policy of conf/aug, whose draw is fixed by its number."""

import numpy as np
import pytest

from segtrain.errors import UserError
from segtrain.parts.policy import Shifts, describe_draw


@pytest.fixture(scope="module")
def shifts() -> Shifts:
    return Shifts(["photometric", "geometric", "medical_elastic"], 255)


@pytest.fixture(params=["uint8", "uint16", "float32"])
def image(request: pytest.FixtureRequest) -> np.ndarray:
    values = np.random.default_rng(0).random((40, 56, 2))
    return (values if request.param == "float32" else values * np.iinfo(request.param).max).astype(request.param)


@pytest.mark.parametrize("name", ["photometric", "geometric", "medical_elastic"])
def test_strength_0_changes_nothing_and_more_changes_more(shifts: Shifts, image: np.ndarray, name: str) -> None:
    before = image.copy()
    apart = []
    for strength in (0, 0.2, 1):
        shifted, words = shifts.apply(image, name, strength, 0, True)
        assert shifted.dtype == image.dtype and shifted.shape == image.shape
        apart.append(float(np.abs(shifted.astype(float) - before).mean()))
        assert ("no op fired" in words) == (strength == 0)
    assert apart[0] == 0 < apart[1] < apart[2]
    assert (image == before).all()


def test_the_number_of_the_draw_fixes_it(shifts: Shifts) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 1), dtype=np.uint8)
    first, words = shifts.apply(image, "photometric", 1, 3, True)
    again, same = shifts.apply(image, "photometric", 1, 3, True)
    other, different = shifts.apply(image, "photometric", 1, 4, True)
    assert (first == again).all() and words == same
    assert (first != other).any() and words != different


def test_with_their_chances_ops_fire_sometimes(shifts: Shifts) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 1), dtype=np.uint8)
    quiet = [shifts.apply(image, "photometric", 1, draw, False) for draw in range(30)]
    assert 0 < sum("no op fired" in words for _, words in quiet) < 30
    assert all((shifted == image).all() for shifted, words in quiet if "no op fired" in words)
    assert all("no op fired" not in shifts.apply(image, "photometric", 1, draw, True)[1] for draw in range(30))


def test_what_was_drawn_is_said() -> None:
    drawn = {
        "Geometry.0": {"shape": (4, 4), "hflip": True, "vflip": False, "rotate": -12.864, "shear": (0.0, -0.0)},
        "Photometry.0": {"noise": 0.0, "noise_seed": 5, "bias": [[0.5, 0.1]]},
        "Blur.0": None,
    }
    assert describe_draw(drawn) == "hflip, rotate -12.9, bias"


def test_a_policy_that_mixes_samples_is_refused() -> None:
    with pytest.raises(UserError, match=r"aug=cutmix .*leave cutmix out"):
        Shifts(["flips", "cutmix"], 255)


def test_colour_ops_on_grey_are_the_users_mistake() -> None:
    with pytest.raises(UserError):
        Shifts(["natural"], 255).apply(np.zeros((8, 8, 2), np.uint8), "natural", 1, 0, True)
