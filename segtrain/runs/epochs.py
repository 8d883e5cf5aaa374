"""Counts epochs and batches: from 0 in the code, the seeds and the checkpoints, from 1 wherever a user reads.

Files of earlier versions count from 0 under the plain names; what counts from 1 says so in its name, so that neither is
ever taken for the other.
"""

from collections.abc import Mapping
from typing import Any

FROM_1 = "_from_1"  # ends the name of a number in a file that counts from 1


def number_of(index: int) -> int:
    """Returns the number by which a user knows an epoch or batch that the code knows by its index from 0."""
    return index + 1


def index_of(number: int) -> int:
    """Returns the index from 0 of an epoch or batch that a user names by its number from 1."""
    return number - 1


def written(name: str, index: int) -> dict[str, int]:
    """Returns an entry for a file, such as {"best_epoch_from_1": 8} for the index 7."""
    return {f"{name}{FROM_1}": number_of(index)}


def read_index(entry: Mapping[str, Any], name: str) -> int | None:
    """Returns the index from 0 that an entry of a file means, an earlier version's too; None where it has none."""
    if f"{name}{FROM_1}" in entry:
        return index_of(int(entry[f"{name}{FROM_1}"]))
    return None if entry.get(name) is None else int(entry[name])
