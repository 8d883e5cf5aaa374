"""A sweep's folder as it lies there at the end: one real run, copied to other arms and seeds with scores made up."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import yaml

from benchmarks.startup import seconds
from segtrain.runs.metrics_csv import MetricsTable, write_csv

POLICIES = ("flips", "geometric", "photometric", "medical_elastic", "randaugment")
STRENGTHS = (0.5, 1.0, 1.5, 2.0)
ARMS = [("none", 1.0), *((policy, strength) for policy in POLICIES for strength in STRENGTHS)]
REAL = (  # 35 test images, 4 classes; 20 epochs of next to no training
    *("dataset=brain_tissue", "model=unet_shallow", "trainer=smoke", "trainer.max_epochs=20"),
    *("trainer.limit_test_batches=1.0", "threads=1", "aug=medical_elastic", "name=real"),
)
OWN = ("config.yaml", "overrides.yaml", "per_image.csv", "metrics.csv", "results.json")  # differ from run to run
HARM = 0.03  # Dice that a policy's gain loses with the square of its strength


def sweep(folder: Path, seeds: int) -> Path:
    """A new folder below `folder` with a run of every arm and seed: all that a report may read, no checkpoints."""
    seconds(["-m", "segtrain", *REAL], folder)
    (real,) = (folder / "outputs/real").iterdir()
    made = folder / "made"
    for policy, strength in ARMS:
        for seed in range(seeds):
            typed = [f"aug={policy}", *([] if policy == "none" else [f"aug.strength={strength:g}"]), f"seed={seed}"]
            run = made / ",".join(typed)
            shutil.copytree(real, run, ignore=shutil.ignore_patterns("checkpoints", *OWN), copy_function=os.link)
            (run / "overrides.yaml").write_text(yaml.safe_dump([*typed, *REAL[:-2]]), encoding="utf-8")
            _configured(real, run, policy, strength, seed)
            _scored(real, run, _change(policy, strength, seed), np.random.default_rng(seed))
    return made


def _configured(real: Path, run: Path, policy: str, strength: float, seed: int) -> None:
    config = yaml.load((real / "config.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    config["seed"], config["aug"]["strength"], config["choices"]["aug"] = seed, strength, policy
    (run / "config.yaml").write_text(yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")


def _change(policy: str, strength: float, seed: int) -> float:
    """Of the Dice: policies differ, more is better up to a point, seeds vary."""
    number = (*POLICIES, "none").index(policy)
    gain = 0.0 if policy == "none" else 0.03 * number * strength - HARM * strength**2
    return gain + 0.01 * float(np.random.default_rng([seed, number]).normal())


def _scored(real: Path, run: Path, change: float, rng: np.random.Generator) -> None:
    """Every Dice and IoU of the real run moved, an image's by chance as well."""

    def moved(row: dict[str, str], by: float) -> dict[str, str | float]:
        return {k: float(v) + by if v and k.split("/")[0] in ("dice", "iou") else v for k, v in row.items()}

    with open(real / "per_image.csv", encoding="utf-8", newline="") as file:
        rows = [moved(row, change + 0.02 * float(rng.normal())) for row in csv.DictReader(file)]
    write_csv(run / "per_image.csv", rows)
    epochs = [
        {k: v + change if "dice" in k else v for k, v in row.items()}
        for row in MetricsTable(real / "metrics.csv").rows()
    ]
    write_csv(run / "metrics.csv", epochs)
    results = json.loads((real / "results.json").read_text(encoding="utf-8"))
    results |= {key: value + change for key, value in results.items() if "dice" in key and value is not None}
    (run / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
