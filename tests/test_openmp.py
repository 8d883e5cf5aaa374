"""Commands have OpenMP's threads spin briefly, where the user has not said how they wait; libgomp takes it up."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from segtrain.openmp import OF_THE_USER, SPINS

# What libgomp says that it read when it was loaded, in a process that a command begins and in one of an engine's.
COMMAND = "import sys; from segtrain.__main__ import main; sys.argv = ['segtrain', '--help']; main()"
ENGINE = "import segtrain.app.sweep.clusters"
LIBRARY = "import segtrain"
TORCHS = [str(path) for path in (Path(torch.__file__).parent / "lib").glob("libgomp*.so*")]
THEN = f"; import ctypes; ctypes.CDLL({TORCHS[0]!r})" if TORCHS else "; import torch"  # the same in less time


def read_by_libgomp(code: str, **environment: str) -> str | None:
    """The number of spins; None where torch comes with another OpenMP."""
    clean = {name: value for name, value in os.environ.items() if name not in OF_THE_USER}
    done = subprocess.run(
        [sys.executable, "-c", code + THEN],
        env={**clean, "OMP_DISPLAY_ENV": "VERBOSE", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    if found is None:
        pytest.skip("torch does not come with libgomp")
    return found[1]


@pytest.mark.parametrize("code", [COMMAND, ENGINE])
def test_a_command_spins_briefly(code: str) -> None:
    assert read_by_libgomp(code) == str(SPINS)


def test_what_the_user_says_holds() -> None:
    assert read_by_libgomp(COMMAND, GOMP_SPINCOUNT="7") == "7"
    assert int(read_by_libgomp(COMMAND, OMP_WAIT_POLICY="active") or 0) > 1_000_000


def test_the_library_leaves_the_process_of_others_as_it_is() -> None:
    assert read_by_libgomp(LIBRARY) not in (None, str(SPINS))
