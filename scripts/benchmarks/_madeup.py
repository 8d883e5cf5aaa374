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
    """Every score of the real run changed: by the arm's gain, and by chance for the run and each image."""
    change = gain + 0.01 * float(rng.normal())
    with open(real / "per_image.csv", encoding="utf-8", newline="") as file:
        rows = [_moved_image(row, change + 0.02 * float(rng.normal())) for row in csv.DictReader(file)]
    write_csv(run / "per_image.csv", rows)
    write_csv(run / "metrics.csv", [_moved(row, change) for row in MetricsTable(real / "metrics.csv").rows()])
    results = _moved(json.loads((real / "results.json").read_text(encoding="utf-8")), change)
    results = {key: value for key, value in results.items() if not key.startswith("test/dice/")}  # pooled: unknown
    (run / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _moved(row: Mapping[str, Any], change: float) -> dict[str, Any]:
    own = {k: v for k, v in row.items() if {"dice", "iou"} & set(k.split("/")) and v not in ("", None)}
    return {**row, **{k: min(1.0, max(0.0, float(v) + change)) for k, v in own.items()}}


def _moved_image(row: Mapping[str, Any], change: float) -> dict[str, Any]:
    """The line of an image: the Dice of each class moved, and what follows from them."""
    dice = {k.partition("/")[2]: v for k, v in _moved(row, change).items() if k.startswith("dice/") and v != ""}
    scores = {"dice": dice, "iou": {name: d / (2 - d) for name, d in dice.items()}}
    own: dict[str, Any] = {f"{kind}/{name}": v for kind, of in scores.items() for name, v in of.items()}
    for kind, of in scores.items():
        known = [value for name, value in of.items() if name != "background"]
        own[kind] = sum(known) / len(known) if known else ""
    return {**row, **own}
