"""Files without a partner: how a config leaves them out, and how they are named."""

from collections.abc import Sequence

ORPHANS = "leave_out"  # of the formats that pair files
NAMED = 3


def orphan_words(paths: Sequence[str]) -> str:
    """Returns how many there are, and the first of them."""
    shown = ", ".join(f"'{path}'" for path in paths[:NAMED]) + (", …" if len(paths) > NAMED else "")
    return f"{len(paths)} file{'s have' if len(paths) > 1 else ' has'} no partner: {shown}"


def left_out_words(paths: Sequence[str]) -> str:
    """Returns what the user is asked about them."""
    return f"{orphan_words(paths)}; left out (orphans: {ORPHANS}): is that right? Else add what is missing"
