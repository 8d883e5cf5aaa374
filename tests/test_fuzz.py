"""The fuzz in its short form: runs, configs, lists and images with one thing wrong end rightly or in one message."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "fuzz.py"


@pytest.mark.slow
@pytest.mark.longest
def test_damaged_and_hostile_inputs_end_in_one_message() -> None:
    command = [sys.executable, str(SCRIPT), "--cases", "40", "--jobs", "1", "--limit", "60"]  # CI's machine is shared
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 right" in done.stdout
