"""Holds columns of many strings without a Python object each: a million names in 40 MB, labels in 4 MB."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

STEP = 1 << 16  # strings that are Python objects at a time while all are gone through


class NameColumn(Sequence[str]):
    """Holds strings that mostly differ, in a numpy array of strings."""

    def __init__(self, array: Any) -> None:
        """Takes an array (n,) of numpy's variable-width strings, or any sequence of strings, which is copied."""
        self.array: np.ndarray[Any, Any] = np.asarray(array, np.dtypes.StringDType())

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "NameColumn": ...
    def __getitem__(self, index: int | slice) -> "str | NameColumn":
        return NameColumn(self.array[index]) if isinstance(index, slice) else str(self.array[index])

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), STEP):
            yield from self.array[start : start + STEP].tolist()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool((self.array == NameColumn([name]).array).any())


class Codes(Sequence[str | None]):
    """Holds strings of which many are equal: `codes` (n,) are positions in `names`, -1 is None."""

    def __init__(self, codes: np.ndarray[Any, Any], names: Sequence[str]) -> None:
        """Takes whole numbers (n,) and what they stand for."""
        self.codes, self.names = codes, names

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> "Codes": ...
    def __getitem__(self, index: int | slice) -> "str | Codes | None":
        if isinstance(index, slice):
            return Codes(self.codes[index], self.names)
        code = int(self.codes[index])
        return None if code < 0 else self.names[code]


def as_codes(values: Sequence[str | None]) -> Codes:
    """Returns the values as `Codes`: themselves where they are."""
    if isinstance(values, Codes):
        return values
    table: dict[str, int] = {}
    codes = (-1 if value is None else table.setdefault(value, len(table)) for value in values)
    return Codes(np.fromiter(codes, np.int32, len(values)), tuple(table))
