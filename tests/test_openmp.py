"""Commands have OpenMP's threads spin briefly, where the user has not said how they wait; libgomp takes it up."""

import ctypes
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segtrain.app.sweep.pool import Answer
from segtrain.openmp import OF_THE_USER, SPINS

# What libgomp says that it read when it was loaded, in a process that a command begins, in one of an engine's, and in
# a job's of a command's.
COMMAND = "import sys; from segtrain.__main__ import main; sys.argv = ['segtrain', '--help']; main()"
ENGINE = "import segtrain.app.sweep.clusters"
LIBRARY = "import segtrain"
TORCH = Path(str(importlib.util.find_spec("torch").origin)).parent  # type: ignore[union-attr]
TORCHS = [str(path) for path in (TORCH / "lib").glob("libgomp*.so*")]
THEN = f"; import ctypes; ctypes.CDLL({TORCHS[0]!r})" if TORCHS else "; import torch"  # the same in less time
JOB = f"""{COMMAND}
from segtrain.app.sweep.pool import Pool
from tests.test_openmp import load_libgomp
Pool(load_libgomp, [None]).run([("job", None)])
"""
BITS = """
import hashlib, torch
torch.set_num_threads(2)
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.Conv2d(16, 2, 3))
network(torch.rand(4, 3, 48, 48)).square().mean().backward()
print(hashlib.sha256(b"".join(p.grad.numpy().tobytes() for p in network.parameters())).hexdigest())
"""


def load_libgomp(payload: Any, answer: Any) -> None:
    """In a job's process."""
    for library in TORCHS:
        ctypes.CDLL(library)
    answer.send(Answer("finished"))


def environment(**more: str) -> dict[str, str]:
    """Ours, without what a user or these tests say of OpenMP."""
    return {name: value for name, value in os.environ.items() if name not in OF_THE_USER} | more


def read_by_libgomp(code: str, **more: str) -> str | None:
    """The number of spins; None where torch comes with another OpenMP."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(OMP_DISPLAY_ENV="VERBOSE", **more),
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    if found is None:
        pytest.skip("torch does not come with libgomp")
    return found[1]


@pytest.mark.parametrize("code", [COMMAND + THEN, ENGINE + THEN, JOB], ids=["command", "engine", "job"])
def test_a_command_and_its_jobs_spin_briefly(code: str) -> None:
    assert read_by_libgomp(code) == str(SPINS)


def test_what_the_user_says_holds() -> None:
    assert read_by_libgomp(COMMAND + THEN, GOMP_SPINCOUNT="7") == "7"
    assert int(read_by_libgomp(COMMAND + THEN, OMP_WAIT_POLICY="active") or 0) > 1_000_000


def test_the_library_leaves_the_process_of_others_as_it_is() -> None:
    assert read_by_libgomp(LIBRARY + THEN) not in (None, str(SPINS))


@pytest.mark.slow
def test_how_threads_wait_changes_no_bit() -> None:
    ways = [{}, {"GOMP_SPINCOUNT": str(SPINS)}, {"OMP_WAIT_POLICY": "passive"}]
    command = [sys.executable, "-c", BITS]
    done = [
        subprocess.Popen(command, env=environment(OMP_NUM_THREADS="2", **way), stdout=subprocess.PIPE) for way in ways
    ]
    bits = [process.communicate()[0] for process in done]
    assert bits[0] and len(set(bits)) == 1
