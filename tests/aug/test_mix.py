"""Mixing two samples: which, from what generator, and that masks follow."""

from functools import partial

import numpy as np
import pytest
from torch.utils.data import BatchSampler

from segtrain.aug import CopyPaste, CutMix, Mosaic, Partners, Policy
from segtrain.data.batch import stack
from segtrain.data.datamodule import EpochSampler, TrainSamples
from segtrain.data.datasets.shapes import Shapes
from segtrain.data.feed import Feed
from segtrain.errors import UserError

ALL = [CopyPaste(scale=0, translate=0, hflip=0, p=1), CutMix(p=1), Mosaic(p=1)]


def sample(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Of a size of its own, painted with its number; class 1 in samples 3, 6, 9, class 2 in sample 3 only."""
    mask = np.zeros((40 + index, 50 - index), np.uint8)
    if index % 3 == 0 and index:
        mask[10:20, 10:20] = 1
    if index == 3:
        mask[22:26, 12:16] = 2
    return (mask[..., None] * 40 + 10 * index).astype(np.uint8), mask


def partners(count: int = 10) -> Partners:
    return Partners(sample, range(count))


@pytest.mark.parametrize("op", ALL, ids=lambda op: type(op).__name__)
def test_each_pixel_and_its_label_come_from_the_same_place(op: object) -> None:
    policy = Policy([op], partners=partners())
    mixed = 0
    for i in range(10):
        image, mask = policy(*sample(i), (0, 0, i))
        assert image.shape[:2] == mask.shape == sample(i)[1].shape and image.dtype == mask.dtype == np.uint8
        known = mask != 255
        number = (image[..., 0].astype(int) - mask * 40)[known]
        assert set(number // 10) <= set(range(10)) and not (number % 10).any()
        mixed += len(set(number)) > 1
    assert mixed >= 5


@pytest.mark.parametrize("op", ALL, ids=lambda op: type(op).__name__)
def test_draws_depend_on_the_key_alone_and_print(op: object) -> None:
    policy = Policy([op], crop=24, partners=partners())
    first, again, other = (policy(*sample(2), (0, epoch, 2))[0] for epoch in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    draw = op.draw(np.random.default_rng(0), (40, 50, 1), partners(), 2)  # type: ignore[attr-defined]
    assert (
        draw.to_json()["partner" if hasattr(draw, "partner") else "partners"]
        == draw[1 if hasattr(draw, "label") else 0]
    )


@pytest.mark.parametrize("op", ALL, ids=lambda op: type(op).__name__)
def test_the_input_is_not_written_to(op: object) -> None:
    kept = [sample(i) for i in range(10)]
    policy = Policy([op], partners=Partners(lambda i: kept[i], range(10)))
    for i in range(10):
        policy(*kept[i], (0, 0, i))
    assert all(np.array_equal(a, b) for i in range(10) for a, b in zip(kept[i], sample(i), strict=True))


def test_copy_paste_prefers_the_rare_class_and_takes_it_from_who_holds_it() -> None:
    rng, pool = np.random.default_rng(0), partners()
    drawn = [pool.draw_rare(rng, 5) for _ in range(600)]
    assert {label for label, _ in drawn} == {1, 2}  # the commonest, 0, is left out
    rare = sum(label == 2 for label, _ in drawn) / 600
    assert rare == pytest.approx((1 / 16) / (1 / 16 + 1 / 300), abs=0.03)
    assert {index for label, index in drawn if label == 2} == {3}
    assert {index for label, index in drawn if label == 1} == {3, 6, 9}


def test_copy_paste_pastes_the_whole_of_the_drawn_class() -> None:
    same = Partners(lambda i: (sample(3 * i)[0][:40, :40], sample(3 * i)[1][:40, :40]), range(2))
    image, mask = Policy([CopyPaste(scale=0, translate=0, hflip=0, p=1)], partners=same)(*same.read(0), (0, 0, 0))
    other, labels = same.read(1)
    pasted = mask > 0
    assert len(set(mask[pasted])) == 1 and np.array_equal(pasted, labels == mask[pasted][0])
    assert np.array_equal(image[pasted], other[pasted]) and (image[~pasted] == 0).all()


def test_cutmix_replaces_shares_of_every_size() -> None:
    two = Partners(lambda i: (np.full((32, 32, 1), i, np.uint8), np.full((32, 32), i, np.uint8)), range(2))
    shares = [Policy([CutMix(p=1)], partners=two)(*two.read(0), (0, 0, 0, view))[1].mean() for view in range(300)]
    assert min(shares) < 0.02 and max(shares) > 0.8


def test_a_partner_is_another_sample_where_there_is_one() -> None:
    rng = np.random.default_rng(0)
    drawn = [Partners(sample, [2, 5, 7]).draw(rng, 5) for _ in range(100)]
    assert set(drawn) == {2, 7} and 25 < drawn.count(2) < 75
    assert Partners(sample, [4]).draw(rng, 4) == 4
    assert {Partners(sample, [2, 5]).draw(rng, None) for _ in range(50)} == {2, 5}


def test_mixing_without_partners_or_classes_or_likeness_is_refused() -> None:
    with pytest.raises(UserError, match="partners"):
        Policy([CutMix()])(*sample(0), (0, 0, 0))
    with pytest.raises(UserError, match="class beside the commonest"):
        partners(2).draw_rare(np.random.default_rng(0))
    with pytest.raises(UserError, match="3 channels"):
        Policy([CutMix(p=1)], partners=partners())(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8), (0, 0, 0))


# More workers than cores may be what is tested: https://docs.pytorch.org/docs/stable/data.html
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_are_the_same_for_0_and_2_workers_and_hold_training_samples_only() -> None:
    dataset, train = Shapes(n=12, size=40), [1, 4, 5, 8]
    read: list[int] = []
    pool = Partners(lambda i: (read.append(i), dataset.read(i))[1], train)
    policy = Policy([CopyPaste(p=1), Mosaic(p=1), CutMix(p=1)], crop=32, partners=pool)

    def batches(workers: int) -> list[bytes]:
        keys = BatchSampler(EpochSampler(train, seed=3, length=8), 2, drop_last=False)  # type: ignore[arg-type]
        collate = partial(stack, ignore_index=255)
        feed = Feed(TrainSamples(dataset, policy, 3), keys, collate, workers=workers, context="fork")
        return [b["image"].numpy().tobytes() + b["mask"].numpy().tobytes() for b in feed]

    assert batches(0) == batches(2)
    assert set(read) == set(train)
