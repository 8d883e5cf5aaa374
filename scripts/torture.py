"""Kills a training again and again, lets it go on, and compares with the one that nothing happened to.

    python scripts/torture.py --kills 20                  brain_tissue, 2 loader processes: about 15 min on 2 cores
    python scripts/torture.py --kills 3 --quick           drawn shapes and a tiny network: half a minute

The training runs in a process group of its own, which gets SIGKILL at a random moment; each second kill waits until a
checkpoint is being written. Then the same command goes on with it, each time with another number of loader processes,
and once with last.ckpt cut in half. In the end the weights, metrics.csv, per_image.csv and results.json must be those
of the run without kills, byte by byte, and no temporary file may be left. Exit status 1 when anything differs.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from segtrain.runs.metrics_csv import reproducible_bytes

COMMON = ["aug=medical_elastic", "deterministic=true"]
REAL = [*COMMON, "trainer.max_epochs=4", "data.steps_per_epoch=40", "checkpoint.every=7"]
QUICK = [
    *(*COMMON, "dataset=shapes", "dataset.n=24", "trainer=cpu", "trainer.max_epochs=3", "data.batch_size=2"),
    *("data.crop=32", "data.steps_per_epoch=120", "checkpoint.every=7", "threads=1"),
    *("model.encoder_name=tu-test_resnet", "+model.decoder_channels=[8,8,8,8,8]"),
]
COMPARED = ("metrics.csv", "per_image.csv", "results.json", "checkpoints/best.safetensors")
PATIENCE = 900.0  # seconds after which a run that neither ends nor fails counts as hung


def main() -> int:
    arguments = parse()
    overrides = QUICK if arguments.quick else REAL
    dice = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, seconds = uninterrupted(Path(folder), overrides)
        print(f"without kills: {seconds:.0f} s", flush=True)
        identical = 0
        for trial in range(arguments.trials):
            cut = tortured(Path(folder), overrides, f"cut{trial}", arguments.kills, seconds, dice)
            wrong = [name for name in COMPARED if digest(whole / name) != digest(cut / name)]
            wrong += weights_that_differ(whole, cut)
            left = [path.name for path in cut.rglob("*.part")] + [path.name for path in cut.rglob(".lock")]
            missing = {p.name for p in whole.rglob("*")} - {p.name for p in cut.rglob("*")}
            print(f"trial {trial}: differ {wrong or 'none'}, left {left or 'none'}, missing {missing or 'none'}")
            identical += not (wrong or left or missing)
    print(f"{identical} of {arguments.trials} identical, {arguments.kills} kills each")
    return 0 if identical == arguments.trials else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=1, help="how often from the start")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--quick", action="store_true", help="a training of seconds")
    return parser.parse_args()


def started(folder: Path, overrides: list[str], name: str, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "segtrain", *overrides, f"name={name}", f"data.num_workers={workers}"]
    with open(folder / f"{name}.log", "a", encoding="utf-8") as log:
        return subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )


def uninterrupted(folder: Path, overrides: list[str]) -> tuple[Path, float]:
    """The run that nothing happens to, and how long it took."""
    began = time.monotonic()
    status = started(folder, overrides, "whole", 2).wait(PATIENCE)
    if status != 0:
        raise SystemExit(f"the run without kills ended with {status}:\n{(folder / 'whole.log').read_text()[-3000:]}")
    return only(folder / "outputs" / "whole"), time.monotonic() - began


def tortured(folder: Path, overrides: list[str], name: str, kills: int, seconds: float, dice: random.Random) -> Path:
    """The run after `kills` kills, each followed by the same command."""
    done, begun, startup = 0, 0, min(6.0, seconds / 4)
    while True:
        process = started(folder, overrides, name, workers=(2, 0, 1)[begun % 3])
        begun += 1
        wait = startup + dice.uniform(0, max(1.0, 1.5 * (seconds - startup) / max(1, kills)))
        in_writing = begun % 2 == 0
        if done < kills and killed(process, folder / "outputs" / name, wait, in_writing):
            done += 1
            if done == kills // 2:
                cut_in_half(folder / "outputs" / name)
            continue
        status = process.wait(PATIENCE)
        if status != 0:
            raise SystemExit(f"{name} ended with {status}:\n{(folder / f'{name}.log').read_text()[-3000:]}")
        if done < kills:
            print(f"  it was done after {done} kills, {begun} starts")
        return only(folder / "outputs" / name)


def killed(process: subprocess.Popen[str], run: Path, wait: float, in_writing: bool) -> bool:
    """Kills the process group after `wait` seconds, or when a checkpoint is next being written; false if it ended."""
    end = time.monotonic() + wait
    while process.poll() is None:
        late = time.monotonic() > end
        if late and (not in_writing or any(run.glob("*/checkpoints/.*.part")) or time.monotonic() > end + 20):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.002)
    return False


def cut_in_half(runs: Path) -> None:
    for last in runs.glob("*/checkpoints/last.ckpt"):
        if last.with_name("previous.ckpt").exists() and not (last.parents[1] / "results.json").exists():
            content = last.read_bytes()
            last.unlink()  # its content may have other names
            last.write_bytes(content[: len(content) // 2])


def only(folder: Path) -> Path:
    (run,) = folder.iterdir()
    return run


def digest(path: Path) -> str:
    return hashlib.sha256(reproducible_bytes(path)).hexdigest() if path.exists() else "missing"


def weights_that_differ(whole: Path, cut: Path) -> list[str]:
    """Tensors of last.ckpt that are not equal to the bit."""
    import torch

    a, b = (
        torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)["state_dict"]
        for run in (whole, cut)
    )
    return [f"weight {name}" for name in a if not torch.equal(a[name], b[name])]


if __name__ == "__main__":
    sys.exit(main())
