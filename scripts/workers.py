"""Do results depend on the number of loader processes? Trains with 0, 1 and 2 and prints the sums of what came out.

python scripts/workers.py        brain_tissue, 2 to 5 min on 2 cores; exit status 1 when anything differs
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from segtrain.runs.metrics_csv import reproducible_bytes

TRAINING = ["aug=medical_elastic", "trainer.max_epochs=3", "data.steps_per_epoch=30"]
COMPARED = ("checkpoints/best.safetensors", "metrics.csv", "per_image.csv", "results.json")


def main() -> int:
    sums = []
    with tempfile.TemporaryDirectory() as folder:
        for workers in (0, 1, 2):
            name = f"workers{workers}"
            command = [sys.executable, "-m", "segtrain", *TRAINING, f"data.num_workers={workers}", f"name={name}"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            (run,) = (Path(folder) / "outputs" / name).iterdir()
            sums.append([hashlib.sha256(reproducible_bytes(run / file)).hexdigest()[:16] for file in COMPARED])
            print(
                f"{workers} workers: {', '.join(f'{f} {s}' for f, s in zip(COMPARED, sums[-1], strict=True))}",
                flush=True,
            )
    same = all(one == sums[0] for one in sums)
    print("all equal" if same else "they differ")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
