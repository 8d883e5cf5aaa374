"""Numbers agree with their nouns."""

import pytest

from segtrain.counted import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 batches, 0 runs"), (1, "1 batch, 1 run"), (2, "2 batches, 2 runs")]
)
def test_the_noun_is_as_many_as_the_number(number: int, said: str) -> None:
    assert f"{counted(number, 'batch', 'batches')}, {counted(number, 'run')}" == said
