"""The same image on both sides of a split."""

from segtrain.data.duplicates import refuse_leaks
from segtrain.data.split import Split


def leak() -> None:
    ids = ("p1_a", "p1_b", "p2_a", "p2_b")
    refuse_leaks(ids, Split((0, 1), (2,), (3,), ()), ["one", "two", "three", "one"], allow=False)


MISTAKES = {"the same image in two parts of the split": leak}
