"""The torture test in its short form: killed at random moments, a training ends with the same bits."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "torture.py"


@pytest.mark.slow
def test_a_kill_changes_nothing() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--kills", "1", "--quick"], capture_output=True, text=True)
    assert done.returncode == 0 and "1 of 1 identical, 1 kills each" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_a_sweep_that_is_killed_ends_with_the_same_report() -> None:
    command = [sys.executable, str(SCRIPT.with_name("torture_sweep.py")), "--kills", "2", "--seeds", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files that differ: none" in done.stdout
