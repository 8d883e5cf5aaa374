"""Shares of several processes are together what one process has, with nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from segtrain.data.datamodule import EpochSampler
from segtrain.data.share import WHOLE, Share

NUMBERS = st.integers(1, 9)


@given(ranks=NUMBERS, more=st.integers(0, 9), steps=NUMBERS, start=st.integers(0, 8), epoch=st.integers(0, 3))
def test_the_shares_of_a_batch_in_turn_are_the_batch(ranks: int, more: int, steps: int, start: int, epoch: int) -> None:
    batch = ranks + more
    begun = min(start, steps - 1)

    def sampler() -> EpochSampler:
        return EpochSampler(range(7), 3, steps * batch, epoch, begun * batch)

    whole = list(sampler())
    shares = [Share(rank, ranks) for rank in range(ranks)]
    keys = [list(share.of_training(sampler(), batch)) for share in shares]
    sizes = [share.size(batch) for share in shares]
    for step in range(steps - begun):
        taken = [mine[step * size : (step + 1) * size] for mine, size in zip(keys, sizes, strict=True)]
        assert [key for part in taken for key in part] == whole[step * batch : (step + 1) * batch]
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    assert all(
        len(share.of_training(sampler(), batch)) == steps * size for share, size in zip(shares, sizes, strict=True)
    )


@given(ranks=NUMBERS, samples=st.integers(0, 40), batch=NUMBERS)
def test_every_sample_is_evaluated_once_in_the_batch_of_one_process(ranks: int, samples: int, batch: int) -> None:
    parts = [Share(rank, ranks).of_evaluation(samples, batch) for rank in range(ranks)]
    assert len({len(part) for part in parts}) == 1  # all come to the end together
    dealt = [one for turn in zip(*parts, strict=True) for one in turn if one]
    assert dealt == [one for one in WHOLE.of_evaluation(samples, batch) if one]
    assert [place for one in dealt for place in one] == list(range(samples))


def test_another_epoch_has_other_keys() -> None:
    keys = Share(1, 2).of_training(EpochSampler(range(50), 0, 8), 4)
    first = list(keys)
    keys.set_epoch(1)
    assert list(keys) != first and {epoch for epoch, _, _ in keys} == {1}
