"""Tells the runs of a find that raced, by which the arms were chosen, from those that confirm."""

import os
from pathlib import Path

FIND_RECORD = "find_record.json"  # what a find has decided; its presence means that the runs beside it are a find's
FIRST_CONFIRMING = 10_000  # the first seed that confirms: no race has as many


def is_raced(run: Path, seed: int) -> bool:
    """Returns whether a run took part in a find's race, by which the arms were chosen.

    Args:
        run: its folder, which lies in the find's, or in the ensemble there.
        seed: of its training.
    """
    folders = run.parent, run.parent.parent
    return seed < FIRST_CONFIRMING and any(os.path.isfile(folder / FIND_RECORD) for folder in folders)
