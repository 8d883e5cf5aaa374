"""A sweep's folder as it lies there at the end: one real run, copied to other arms and seeds with scores made up."""

import csv
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
            gain = 0.03 * POLICIES.index(policy) * strength - 0.03 * strength**2 if policy in POLICIES else 0.0
            _scored(real, run, gain, np.random.default_rng([seed, ARMS.index((policy, strength))]))
    return made


def _configured(real: Path, run: Path, policy: str, strength: float, seed: int) -> None:
    config = yaml.load((real / "config.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    config["seed"], config["aug"]["strength"], config["choices"]["aug"] = seed, strength, policy
    (run / "config.yaml").write_text(yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")


def _scored(real: Path, run: Path, gain: float, rng: np.random.Generator) -> None:
    """Every Dice and IoU of the real run changed: by the arm's gain, and by chance for the run and each image."""
    change = gain + 0.01 * float(rng.normal())

    def moved(row: Mapping[str, Any], spread: float = 0.0) -> dict[str, Any]:
        own = {k: v for k, v in row.items() if {"dice", "iou"} & set(k.split("/")) and v not in ("", None)}
        return {**row, **{k: min(1.0, float(v) + change + spread * float(rng.normal())) for k, v in own.items()}}

    with open(real / "per_image.csv", encoding="utf-8", newline="") as file:
        write_csv(run / "per_image.csv", [moved(row, 0.02) for row in csv.DictReader(file)])
    write_csv(run / "metrics.csv", [moved(row) for row in MetricsTable(real / "metrics.csv").rows()])
    results = moved(json.loads((real / "results.json").read_text(encoding="utf-8")))
    (run / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
