"""Writing without waiting for the disk: what a test reads again, it reads from memory, as no power fails in between.

A run of a second waits as long for its sixty calls of fsync. What is to be flushed before what is tested by the calls
themselves, which go on being made: tests/test_files.py, tests/runs/test_checkpoint.py.
"""

import os


def write_quickly() -> None:
    """From here on os.fsync flushes nothing in this process; of what is no open file it still raises."""

    def flush_nothing(file: int) -> None:
        os.fstat(file)

    os.fsync = flush_nothing  # type: ignore[assignment]
