"""From samples to batches: what is padded, and how."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.batch import Room, stack, stack_by_size, to_tensors
from segtrain.data.datamodule import EpochSampler, PlainSamples
from segtrain.data.datasets.contract import Sample
from segtrain.data.datasets.shapes import Shapes


class Stored:
    """Samples in memory, all their labels 1."""

    classes, palette, channels, ignore_index = ("background", "cell"), ((0, 0, 0), (255, 0, 0)), 2, 9

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images, self.ids, self.splits = images, [str(i) for i in range(len(images))], [None] * len(images)

    def read(self, index: int) -> Sample:
        return Sample(self.images[index], np.ones(self.images[index].shape[:2], np.uint8))

    def fingerprint(self) -> str:
        return ""


sides = st.integers(1, 70)


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=4))
def test_padding_is_ignored_and_the_sample_stands_in_its_corner(sizes: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(0)
    samples = [
        to_tensors(rng.integers(0, 255, (2, h, w), dtype=np.uint8), np.ones((h, w), np.uint8), i)
        for i, (h, w) in enumerate(sizes)
    ]
    batch = stack(samples, len(samples), ignore_index=9, room=Room())
    assert batch["image"].shape[2:] == batch["mask"].shape[1:]
    assert all(side % 32 == 0 for side in batch["mask"].shape[1:])
    for i, (h, w) in enumerate(sizes):
        assert torch.equal(batch["image"][i, :, :h, :w], samples[i]["image"])
        mask = batch["mask"][i]
        assert (mask[:h, :w] == 1).all() and (mask == 1).sum() == h * w and (mask == 9).sum() == mask.numel() - h * w


def test_evaluation_pads_by_the_datasets_own_ignore_index_and_groups_by_size() -> None:
    rng = np.random.default_rng(0)
    shapes = [(33, 40), (64, 64), (20, 64), (64, 33)]
    dataset = Stored([rng.integers(0, 2**16, (*shape, 2), dtype=np.uint16) for shape in shapes])
    samples = [PlainSamples(dataset, range(4))[i] for i in range(4)]
    assert all(sample["image"].dtype == torch.float32 for sample in samples)  # uint16 has no arithmetic in torch
    groups = stack_by_size(samples, 4, room=Room())
    assert sorted(tuple(group["image"].shape) for group in groups) == [(1, 2, 32, 64), (3, 2, 64, 64)]
    for group in groups:
        for index, image, mask in zip(group["index"].tolist(), group["image"], group["mask"], strict=True):
            h, w = shapes[index]
            assert np.array_equal(image[:, :h, :w].numpy(), dataset.images[index].transpose(2, 0, 1))
            assert set(mask.unique().tolist()) <= {1, 9} and int((mask == 1).sum()) == h * w


def test_an_image_of_the_size_of_the_stride_is_not_copied_into_padding() -> None:
    sample = PlainSamples(Shapes(n=1, size=64), [0])[0]
    assert sample["image"].shape == (1, 64, 64) and (sample["mask"] != 255).all()


@given(st.sets(st.integers(0, 10**6), min_size=1, max_size=20), st.integers(0, 9), st.integers(1, 60))
def test_every_view_is_a_permutation_of_the_indices(indices: set[int], seed: int, length: int) -> None:
    keys = list(EpochSampler(sorted(indices), seed, length))
    assert len(keys) == len(set(keys)) == length
    for view in range(length // len(indices)):
        assert {index for _, index, v in keys if v == view} == indices


def test_order_depends_on_seed_and_epoch_only() -> None:
    def order(seed: int, epoch: int) -> list[tuple[int, int, int]]:
        sampler = EpochSampler(range(50), seed, 50)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 1) == order(0, 1)
    assert len({tuple(i for _, i, _ in order(s, e)) for s in range(3) for e in range(3)}) == 9


@given(st.integers(0, 9), st.integers(1, 60), st.integers(0, 60))
def test_weighted_keys_are_unique_and_go_on_from_any_place(seed: int, length: int, start: int) -> None:
    weights = [0.0, 1.0, 2.0, 3.0]
    keys = list(EpochSampler([5, 6, 7, 8], seed, length, weights=weights))
    assert len(set(keys)) == length and 5 not in {index for _, index, _ in keys}
    assert list(EpochSampler([5, 6, 7, 8], seed, length, start=start, weights=weights)) == keys[start:]


def test_samples_come_in_proportion_to_their_weights() -> None:
    drawn = [index for _, index, _ in EpochSampler(range(3), 0, 30_000, weights=[1, 2, 3])]
    np.testing.assert_allclose(np.bincount(drawn) / 30_000, [1 / 6, 2 / 6, 3 / 6], atol=0.01)  # 3 sd: .009
