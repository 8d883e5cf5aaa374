"""Shifts of evaluate: image and mask together, the same draw for every run, training's strengths."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segtrain.app.evaluate.shifts import Shift, Shifted, shifts_of
from segtrain.config.composition import conf_dir
from segtrain.data.datasets.contract import Sample
from segtrain.errors import UserError

MIXING = ("copy_paste", "cutmix", "mosaic")
SHIFTS = ("photometric", "geometric", "noise", "blur", "lowres")


class Marked:
    """Images that hold their mask, so that one that moved by itself is seen."""

    ignore_index = 255
    ids = ("a", "b", "c")

    def read(self, index: int) -> Sample:
        mask = np.zeros((40, 56), np.uint8)
        mask[3 : 20 + index, 5:30] = 1
        mask[25:, 40 - index :] = 2
        return Sample((mask * 100)[..., None], mask)


def made(names: Sequence[str], strengths: Sequence[float]) -> list[Shift]:
    data: Any = SimpleNamespace(dataset=Marked())
    return shifts_of(names, strengths, data)


def test_every_policy_at_every_strength_but_none_at_0() -> None:
    found = made(["noise", "blur"], [2, 0, 1, 1])
    assert [(shift.name, shift.strength) for shift in found] == [("noise", 1), ("noise", 2), ("blur", 1), ("blur", 2)]
    assert [shift.policy.transforms[0].noise for shift in found[:2]] == pytest.approx([0.05, 0.1])


def test_a_mask_moves_with_its_image() -> None:
    (shift,) = made(["flips"], [1])
    source, moved = Shifted(Marked(), shift.policy, seed=0), 0
    for index in range(3):
        image, mask = source.read(index)
        assert np.array_equal(image[..., 0], mask * 100)
        moved += not np.array_equal(mask, Marked().read(index).mask)
    assert moved
    (shift,) = made(["geometric"], [2])
    image, mask = Shifted(Marked(), shift.policy, seed=0).read(1)
    inner = mask != 255
    assert set(np.unique(mask)) <= {0, 1, 2, 255}
    assert np.mean(np.rint(image[..., 0][inner] / 100) == mask[inner]) > 0.97  # but for outlines, which are blended


@pytest.mark.parametrize("name", SHIFTS)
def test_draws_are_fixed_by_seed_and_image_and_photometry_leaves_masks(name: str) -> None:
    (shift,) = made([name], [2])
    one, again, other = (Shifted(Marked(), shift.policy, seed) for seed in (0, 0, 1))
    pairs = [(one.read(index), again.read(index), other.read(index)) for index in range(3)]
    assert all(np.array_equal(a.image, b.image) and np.array_equal(a.mask, b.mask) for a, b, _ in pairs)
    assert not all(np.array_equal(a.image, c.image) for a, _, c in pairs)
    if name != "geometric":
        assert all(np.array_equal(a.mask, Marked().read(i).mask) for i, (a, _, _) in enumerate(pairs))


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "aug").glob("*.yaml")))
def test_every_policy_is_a_shift_or_is_refused(name: str) -> None:
    if name in MIXING:
        with pytest.raises(UserError, match=f"leave {name} out"):
            made([name], [1])
        return
    (shift,) = made([name], [1])
    image = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    shifted, mask = shift.policy(image, np.zeros((300, 300), np.uint8), (0, 0, 0, 0))
    assert shifted.dtype == np.uint8 and shifted.shape[:2] == mask.shape
