"""What is measured of an image beside its confusion matrix."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from segtrain.app.evaluate.details import Details, surface_table
from segtrain.parts.evaluation import Image

MASK = np.zeros((20, 30), np.uint8)
MASK[5:12, 4:15] = 1
PRED = np.roll(MASK, (3, 2), (0, 1))


class Loaded:
    """As much of a loaded run as is asked."""

    classes = ("background", "one")
    ignore_index = 255


def measured(spacing: Any = None, own: Any = None, channels: int = 2, **options: Any) -> Details:
    wanted = OmegaConf.create({"bins": 10, "surface": True, "tolerance": 2.0, "spacing": spacing, **options})
    details = Details(Loaded(), wanted, own)  # type: ignore[arg-type]
    one = torch.from_numpy(PRED.astype(np.float32)) * 8 - 4
    logits = one[None] if channels == 1 else torch.stack([torch.zeros_like(one), one])
    details.add(Image(7, logits, torch.from_numpy(PRED), torch.from_numpy(MASK)))
    return details


def test_distances_are_in_the_unit_that_is_typed_or_that_the_data_know() -> None:
    plain, typed = measured(), measured([3, 3])
    known, both = measured(own=lambda index: (index, 7.0)), measured([3, 3], lambda index: (index, 7.0))
    assert [details.unit for details in (plain, typed, known, both)] == ["pixels", "mm", "mm", "mm"]
    hd95 = [details.surfaces[7]["hd95/one"] for details in (plain, typed, known, both)]
    assert hd95 == pytest.approx([hd95[0], 3 * hd95[0], 7 * hd95[0], 3 * hd95[0]]) and hd95[0] >= 2


@pytest.mark.parametrize("channels", [1, 2])
def test_one_logit_is_as_sure_as_two(channels: int) -> None:
    details = measured(channels=channels, surface=False)
    confidence = 1 / (1 + math.exp(-4))
    right = float((PRED == MASK).mean())
    assert details.calibration.error() == pytest.approx(confidence - right, abs=1e-6)
    assert details.surfaces == {}


def test_labels_come_back_as_they_were() -> None:
    assert np.array_equal(measured().pred(7), PRED)


def test_shares_of_rightly_empty_images_count_as_1_and_distances_are_left_out_and_counted() -> None:
    """A measured image, one that is rightly empty, one with a false positive, and one of which no pixel counts."""
    nan = math.nan
    rows = [
        {"hd95": hd95, "surface_dice": share, "hd95/one": hd95, "surface_dice/one": share}
        for hd95, share in ((2.0, 0.8), (nan, nan), (30.0, 0.0), (nan, nan))
    ]
    found = surface_table(rows, [9, 9, 9, 0])
    assert found.distances.tolist() == [True, False, True, False]
    means = found.means()
    assert (means["hd95"], means["hd95/one"]) == (16, 16)
    assert means["surface_dice"] == pytest.approx((0.8 + 1 + 0) / 3) == means["surface_dice/one"]
    assert (means["distance_images"], means["distance_images/one"]) == (2, 2)
    nothing = surface_table([rows[1]], [9]).means()
    assert math.isnan(nothing["hd95"]) and nothing["distance_images"] == 0 and nothing["surface_dice"] == 1
    assert surface_table([{}, {}], [9, 9]).means() == {}


def test_the_farthest_distance_is_the_largest_image_s_diagonal() -> None:
    assert measured().farthest == pytest.approx(math.hypot(20, 30))
    assert measured([2, 1]).farthest == pytest.approx(math.hypot(40, 30))
