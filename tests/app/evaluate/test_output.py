"""What an evaluation tells to run next, whatever lies beside the run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from segtrain.app.evaluate.output import next_command
from segtrain.runs.folder import RunFolder
from tests.app.report import made

WANTED: Any = SimpleNamespace(wanted=SimpleNamespace(shift=["noise"], shift_strength=[1.0]))


def test_the_next_command_compares_arms_and_no_damaged_run_beside_them_ends_it(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    for seed in (0, 1):
        made.run(sweep, "flips", 1.0, seed)
    (one, _) = sorted(sweep.iterdir())
    assert next_command(one, WANTED) == ""  # two seeds are one arm
    made.run(sweep, "elastic", 1.0, 0)
    damaged = made.run(sweep, "elastic", 2.0, 0)
    (damaged / "overrides.yaml").unlink()
    assert "evaluate" in next_command(one, WANTED) and "shift=noise" in next_command(one, WANTED)
    for run in map(RunFolder, sweep.iterdir()):
        run.robustness.write_text("")
    assert next_command(one, WANTED).split()[-2] == "report"
