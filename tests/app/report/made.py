"""Run folders as a training leaves them, with made-up scores."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

from segtrain.draw.pictures import THUMBNAIL, THUMBNAIL_COLUMNS
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import write_csv

IMAGES = [f"p{i // 3:02d}_{i % 3}" for i in range(18)]  # three of each patient
Gain = Callable[[str, float], float]


def gain(policy: str, strength: float) -> float:
    """flips helps a little, elastic much up to strength 1 and harms above."""
    if policy == "none":
        return 0.0
    return 0.02 if policy == "flips" else {0.5: 0.05, 1.0: 0.09, 2.0: -0.08}[strength]


def run(
    folder: Path,
    policy: str,
    strength: float,
    seed: int,
    gain: Gain = gain,
    state: str = "finished",
    group: str | None = None,
    pictures: bool = False,
    **config: object,
) -> Path:
    """One run folder; state "running" has no scores yet."""
    typed = [f"aug={policy}", *([] if policy == "none" else [f"aug.strength={strength:g}"]), f"seed={seed}"]
    made = RunFolder(folder / ",".join(typed))
    whole = {
        "seed": seed,
        "aug": {"strength": strength, "transforms": [] if policy == "none" else [policy]},
        "choices": {"aug": policy, "dataset": "cells"},
        "dataset": {"split": {"group": group}},
        "trainer": {"max_epochs": 3, "accumulate_grad_batches": 1},
        "data": {"batch_size": 4},
        **config,
    }
    made.create(OmegaConf.to_yaml(OmegaConf.create(whole)), typed)
    made.set_status("running")
    made.write_json(
        "env.json",
        {"segtrain_commit": "abc", "packages": {"torch": "2.13.0"}, "device": "CPU", "threads": 1, "precision": "32"},
    )
    made.write_json("split.json", {"fingerprint": "f1", "train": ["t"], "val": ["v"], "test": IMAGES, "unused": []})
    rng = np.random.default_rng([1, seed, sum(policy.encode()), int(100 * strength)])
    mean = 0.7 + gain(policy, strength) + 0.01 * np.random.default_rng(seed).normal() + 0.004 * rng.normal()
    for epoch in range(3):
        made.metrics.append({"epoch": epoch, "step": 20 * (epoch + 1), "val/dice": mean - 0.05 * (2 - epoch)})
    if state == "running":
        return made.path
    of_images = mean + 0.05 * np.random.default_rng(7).normal(size=len(IMAGES)) + 0.01 * rng.normal(size=len(IMAGES))
    rows = [
        {"id": name, "dice": float(v), "dice/background": 0.99, "dice/cell": float(v), "iou": float(v / (2 - v))}
        for name, v in zip(IMAGES, of_images, strict=True)
    ]
    write_csv(made.path / "per_image.csv", rows)
    for name in ("augmented.png", "thumbnails.jpg") if pictures else ():
        noise = rng.integers(0, 255, (3 * THUMBNAIL, 2 * THUMBNAIL * THUMBNAIL_COLUMNS, 3), dtype=np.uint8)
        Image.fromarray(noise).save(made.path / name)
    results = {"test/dice": float(of_images.mean()), "test/images": len(IMAGES)}
    made.write_json("results.json", {**results, "val/dice": float(mean), "best_epoch": 2})
    made.set_status(state)  # type: ignore[arg-type]
    return made.path


def sweep(folder: Path, seeds: int = 8, **options: object) -> Path:
    """Two policies, one of them at three strengths, and none, over the seeds; the same again is a copy."""
    key = repr((seeds, sorted(options.items())))
    if key not in _MADE:
        _MADE[key] = Path(_PLACE.name) / str(len(_MADE))
        for seed in range(seeds):
            for policy, strength in ARMS:
                run(_MADE[key], policy, strength, seed, **options)  # type: ignore[arg-type]
    shutil.copytree(_MADE[key], folder, dirs_exist_ok=True)
    return folder


ARMS = (("none", 1.0), ("flips", 1.0), ("elastic", 0.5), ("elastic", 1.0), ("elastic", 2.0))
_PLACE = tempfile.TemporaryDirectory()
_MADE: dict[str, Path] = {}
