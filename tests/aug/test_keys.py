"""Random numbers by key and name."""

from segtrain.aug.keys import restream, stream


def test_reused_streams_equal_fresh_ones() -> None:
    for i in range(5):
        fresh, numbers = stream((1, 2, i), "a"), restream((1, 2, i), ["a"])["a"]
        assert (fresh.random(9) == numbers.generator.random(9)).all()
        assert 0 <= numbers.python.random() < 1 and 3 <= numbers.python.randint(3, 9) <= 9
        numbers.python.gauss(0, 1)
    first = [restream((0,), ["a"])["a"].python.gauss(0, 1) for _ in range(2)]
    assert first[0] == first[1]
