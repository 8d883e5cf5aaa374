"""The torture test in its short form: killed at random moments, a sweep and a job of it end with the same report."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "torture_sweep.py"


@pytest.mark.slow
@pytest.mark.longest
def test_a_sweep_that_is_killed_ends_with_the_same_report() -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "2", "--seeds", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files that differ: none" in done.stdout
