"""How soon a process gets to its first line: a job of the pool, a fresh Python. Jobs import this: keep it light."""

import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from segtrain.app.sweep.pool import Answer, Pool


def work(payload: tuple[float, Any], answer: Connection) -> None:
    """What a job does here: it says how many seconds it was on its way."""
    answer.send(Answer("finished", results={"seconds": time.monotonic() - payload[0]}))


class Timed(Pool):
    """A pool that hands each job the time of its launch."""

    def _start(self, name: str, payload: Any) -> None:
        super()._start(name, (time.monotonic(), payload))


def of_job(pool: Pool, payload: Any) -> float:
    """Seconds from the launch of a job to its first line."""
    answer = pool.run([("job", payload)])[-1].answer
    if answer.results is None:
        raise RuntimeError(answer.message)
    return float(answer.results["seconds"])


def of_python(modules: Sequence[str]) -> float:
    """Seconds from the launch of this Python to its first line after those imports; the same clock."""
    code = f"import {', '.join(['sys', 'time', *modules])}; print(time.monotonic() - float(sys.argv[1]))"
    command = [sys.executable, "-c", code, repr(time.monotonic())]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
