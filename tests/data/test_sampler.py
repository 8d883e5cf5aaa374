"""Order as a function of (seed, epoch, view)."""

from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.sampler import EpochSampler


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
