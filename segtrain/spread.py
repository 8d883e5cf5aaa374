"""Takes some of many, evenly spread: the one rule by which everything here looks at a sample of a list."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(items: Sequence[T], count: int) -> list[T]:
    """Returns min(count, number of items) of the items in their order, evenly spread from the first to the last.

    The gaps between neighbours differ by one at most, whatever the two numbers are. One alone is the first.
    """
    last = len(items) - 1
    if count <= 1:
        return [items[0]] if len(items) and count == 1 else []
    if last < count:
        return [items[i] for i in range(last + 1)]
    return [items[i * last // (count - 1)] for i in range(count)]
