"""Peers in processes of their own, each in its environment, so that ours and theirs run in turn in one run.

Environments lie in $SEGTRAIN_BENCH_ENV, by default segtrain-bench in the user's cache folder, and are made where
missing or where their requirements changed: `peers` from peers.txt, `newest` from newest.txt, `albumentationsx` from
albumentationsx.txt. Where one cannot be made, its peers are left out, and the command that would make it is printed.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENVIRONMENTS = {  # peer: its environment; None is the one that segtrain runs in
    "ours": None,
    "albumentations": None,
    "opencv": None,
    "albumentationsx": "albumentationsx",
    "torchvision": "peers",
    "monai": "peers",
    "batchgeneratorsv2": "peers",
    "kornia": "peers",
    "torchtransform": "newest",
    "augrs": "newest",
    "variopinta": "newest",
}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def python_of(environment: str | None) -> str:
    """Its interpreter; makes the environment first where that is needed."""
    if environment is None:
        return sys.executable
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segtrain-bench"
    folder = Path(os.environ.get("SEGTRAIN_BENCH_ENV") or cache) / environment
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted, done = HERE / f"{environment}.txt", folder / "requirements.txt"
    if not done.exists() or done.read_text() != wanted.read_text():
        commands = [[sys.executable, "-m", "venv", "--clear", str(folder)]]
        commands += [[str(python), "-m", "pip", "install", "--quiet", "-r", str(wanted)]]
        print(
            f"making the environment {environment} (once; minutes):", *map(shlex.join, commands), sep="\n  ", flush=True
        )
        for command in commands:
            subprocess.run(command, check=True)
        done.write_text(wanted.read_text())
    return str(python)


def able(names: Sequence[str]) -> list[str]:
    """The peers whose environment is there or can be made; the others are told."""
    found, failed = [], dict[str, str]()
    for name in names:
        environment = ENVIRONMENTS[name]
        try:
            if environment not in failed:
                python_of(environment)
        except (subprocess.CalledProcessError, OSError) as error:
            failed[str(environment)] = str(error)
        if environment in failed:
            print(f"left out: {name}, whose environment {environment} is not there: {failed[environment]}", flush=True)
        else:
            found.append(name)
    return found


class Process:
    """A running peer; `ask` waits for the answer, so that no two peers work at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.popen = subprocess.Popen(
            [python_of(ENVIRONMENTS[name]), str(HERE / "_augworker.py"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **ONE_THREAD},
        )

    def ask(self, *request: Any) -> Any:
        assert self.popen.stdin is not None and self.popen.stdout is not None
        self.popen.stdin.write(json.dumps(request) + "\n")
        answer = self.popen.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended with status {self.popen.wait()}; its message is above")
        return json.loads(answer)

    def close(self) -> None:
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        self.popen.wait()


@contextmanager
def started(names: Sequence[str]) -> Iterator[dict[str, Process]]:
    """The peers by name, all started at once; they end with the block."""
    with ExitStack() as stack:
        processes = {}
        for name in able(names):
            processes[name] = Process(name)
            stack.callback(processes[name].close)
        yield processes
