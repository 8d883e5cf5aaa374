"""Kills a sweep and single jobs of it again and again; the same command finishes it, and the report must be the same.

    python scripts/torture_sweep.py --kills 10            drawn shapes and a tiny network: about 5 min on 2 cores

Each kill is a SIGKILL at a random moment: in turn of the sweep's own process, and of a job's. In the end every file of
the report (without times) must be, byte by byte, that of the sweep without kills. Exit status 1 when one differs.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = [
    *("-m", "aug=none,flips", "dataset=shapes", "dataset.n=24", "trainer=cpu"),
    *("trainer.max_epochs=2", "data.batch_size=2", "data.crop=32", "data.steps_per_epoch=40", "checkpoint.every=10"),
    *("model.encoder_name=tu-test_resnet", "+model.decoder_channels=[8,8,8,8,8]", "name=s", "hydra.launcher.n_jobs=2"),
]
LONGEST = 600.0  # seconds after which a sweep counts as hung


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=4, help="jobs of each of two arms")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    SWEEP.append(f"seed=range({arguments.seeds})")
    dice = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        whole.mkdir()
        cut.mkdir()
        began = time.monotonic()
        finished(started(whole), whole)
        print(f"without kills: {time.monotonic() - began:.0f} s", flush=True)
        for number in range(arguments.kills):
            what = kill(cut, dice, a_job=number % 2 == 1)
            print(f"kill {number + 1}: {what}", flush=True)
        finished(started(cut), cut)
        wrong = differing(report(whole), report(cut))
    print(f"{arguments.kills} kills; the report's files that differ: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


def started(folder: Path) -> subprocess.Popen[bytes]:
    with open(folder / "log", "ab") as log:
        return subprocess.Popen([sys.executable, "-m", "segtrain", *SWEEP], cwd=folder, stdout=log, stderr=log)


def finished(sweep: subprocess.Popen[bytes], folder: Path) -> None:
    if sweep.wait(LONGEST) != 0:
        raise SystemExit(f"the sweep ended with {sweep.returncode}:\n{(folder / 'log').read_text()[-3000:]}")


def kill(folder: Path, dice: random.Random, a_job: bool) -> str:
    """Start the sweep, kill it or one of its jobs while jobs are at work, and see it gone."""
    sweep = started(folder)
    while not processes_in(folder) and sweep.poll() is None:
        time.sleep(0.1)
    time.sleep(dice.uniform(0, 6))
    jobs = processes_in(folder)
    if a_job and jobs:
        os.kill(dice.choice(jobs), signal.SIGKILL)
        time.sleep(1)
    sweep.kill()
    sweep.wait()
    end = time.monotonic() + 60
    while processes_in(folder) and time.monotonic() < end:  # jobs notice, write a checkpoint, and end
        time.sleep(0.1)
    if left := processes_in(folder):
        raise SystemExit(f"processes {left} outlived their sweep")
    done = len(list(folder.glob("outputs/s/*/results.json")))
    return (
        f"{'a job, then the sweep' if a_job and jobs else 'the sweep'}, {len(jobs)} jobs at work, {done} runs finished"
    )


def processes_in(folder: Path) -> list[int]:
    """The jobs at work: those that hold the lock of a run."""
    found = []
    for lock in folder.glob("outputs/s/*/.lock"):
        digits = "".join(c for c in lock.read_text().partition(",")[0] if c.isdigit())
        if digits and Path(f"/proc/{digits}").exists():
            found.append(int(digits))
    return found


def report(folder: Path) -> dict[str, bytes]:
    command = [sys.executable, "-m", "segtrain", "report", "outputs/s", "to=report", "times=false"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    files = sorted(path for path in (folder / "report").rglob("*") if path.is_file())
    return {path.relative_to(folder / "report").as_posix(): path.read_bytes() for path in files}


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


if __name__ == "__main__":
    sys.exit(main())
