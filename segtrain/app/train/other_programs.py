"""Tells how many cores other programs keep busy, from what Linux has counted for each core since it was started."""

import os
from pathlib import Path
from typing import NamedTuple

LEAST = 2.0  # seconds between two looks: in less, another program may have done a moment's work
MISSED = 0.5  # cores that a training must lack before it is told


class CoreTimes(NamedTuple):
    """Holds seconds that only grow: of the clock, of work on the cores that this process may use, of its own work."""

    clock: float
    worked: float
    own: float


def read_core_times() -> CoreTimes | None:
    """Returns the times until now; None where the system does not tell, as on macOS and Windows.

    Programs of a lower priority count only where this one has a lower one too: elsewhere they make room for it. What
    another virtual machine has taken of a core counts.
    Source: https://man7.org/linux/man-pages/man5/proc_stat.5.html
    """
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        usable = {f"cpu{core}" for core in os.sched_getaffinity(0)}
        counts = [[int(word) for word in line.split()[1:9]] for line in lines if line.partition(" ")[0] in usable]
        ticks = 0
        for user, nice, system, _, _, interrupt, soft_interrupt, stolen in counts:
            ticks += user + system + interrupt + soft_interrupt + stolen
            ticks += nice if os.nice(0) > 0 else 0
        per_second = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    times = os.times()
    return CoreTimes(times.elapsed, ticks / per_second, sum(times[:4])) if counts else None


def cores_taken(before: CoreTimes | None, now: CoreTimes | None) -> float | None:
    """Returns how many cores other programs have kept busy between two looks; None where nobody can tell yet."""
    if before is None or now is None or now.clock - before.clock < LEAST:
        return None
    return max(0.0, (now.worked - before.worked - (now.own - before.own)) / (now.clock - before.clock))


def busy_words(taken: float | None, cores: int, threads: int) -> str:
    """Returns what a training with so many threads says of the machine: nothing where it has the cores that it wants.

    Args:
        taken: cores that other programs keep busy; None where nobody can tell.
        cores: that this process may use.
        threads: of the training.
    """
    if taken is None or taken + threads < cores + MISSED:
        return ""
    return (
        f"other programs keep {taken:.1f} of {cores} {'core' if cores == 1 else 'cores'} busy: "
        "steps take longer, and results stay the same"
    )
