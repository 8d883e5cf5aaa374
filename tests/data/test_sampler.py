"""Order as a function of (seed, epoch, view)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.datamodule import EpochSampler


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
