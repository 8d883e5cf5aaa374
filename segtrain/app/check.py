"""`python -m segtrain check`: does an augmentation do on the user's own data what it should, and nothing else."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from segtrain.app.loading import Repeated, streams
from segtrain.app.sources import build_dataset, build_policy
from segtrain.aug.audit import Line, audit
from segtrain.aug.audit_draws import repeats_line
from segtrain.aug.audit_lines import worst
from segtrain.config import choices_of, plain
from segtrain.runs.files import explained, write_whole
from segtrain.runs.folder import folder_name
from segtrain.values import check_values

WIDTH = 160  # letters of a line where standard output is no terminal
COLOURS = {"unmeasured": "dim", "ok": "green", "warn": "yellow", "fail": "red"}


def check(config: DictConfig) -> None:
    """Audit the policy on samples of the dataset; table on the terminal, check.json beside.

    Raises:
        SystemExit: with status 1 when a verdict is "fail".
    """
    began, typed = time.monotonic(), list(HydraConfig.get().overrides.task)
    choices = choices_of(HydraConfig.get())
    decided: dict[str, Any] = {**plain(config, choices), "choices": choices}
    config = DictConfig(decided)
    check_values(config)
    cv2.setNumThreads(1)  # speed is said for one core
    dataset = build_dataset(config)
    policy = build_policy(config, dataset)
    order = _order(len(dataset.ids), config.samples, config.seed)
    samples = ((i, *dataset.read(i)) for i in order)
    lines, sampled = audit(
        policy,
        samples,
        dataset.classes,
        dataset.ignore_index,
        seed=config.seed,
        draws=config.draws,
        seconds=config.seconds,
    )
    probe = Repeated(policy, *dataset.read(order[0]), seed=config.seed)
    lines.append(repeats_line(streams(probe, workers=config.workers)))
    title = f"aug={choices['aug']} aug.strength={config.aug.strength:g} on dataset={choices['dataset']}"
    folder = Path(config.outputs) / "check" / config.name / folder_name(typed)
    report = {"title": title, "verdict": worst(lines), "seed": config.seed, "images": len(dataset.ids), **sampled}
    report |= {"workers": config.workers, "seconds": round(time.monotonic() - began, 1)}
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lines_json = [line.to_json() for line in lines]
    write_whole(folder / "check.json", json.dumps({**report, "lines": lines_json}, indent=1).encode())
    _print(lines, report, folder)
    if report["verdict"] == "fail":
        raise SystemExit(1)


def _order(count: int, wanted: int, seed: int) -> list[int]:
    """Samples evenly spread, shuffled: cut short by the time they are still spread."""
    spread = np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))
    order: list[int] = np.random.default_rng(seed).permutation(spread).tolist()
    return order


def _print(lines: Sequence[Line], report: dict[str, Any], folder: Path) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    table = Table(title=report["title"], pad_edge=False)
    for heading in ("check", "value", "verdict", "threshold"):
        table.add_column(heading, overflow="fold")
    table.add_column("meaning", overflow="fold", max_width=80)
    said = ""
    for line in lines:
        colour = COLOURS[line.verdict]
        meaning = line.meaning if line.meaning != said else ""
        table.add_row(line.check, line.shown, f"[{colour}]{line.verdict}[/{colour}]", line.threshold, meaning)
        said = line.meaning
    console.print(table)
    bad = {verdict: sum(line.verdict == verdict for line in lines) for verdict in ("fail", "warn")}
    console.print(
        f"sampled: {report['samples']} of {report['images']} images, {report['draws']} draws; chances from "
        f"{report['light_draws']} draws; {report['workers']} loader workers; seed {report['seed']}; "
        f"{report['seconds']:.0f} s"
    )
    colour = COLOURS[report["verdict"]]
    console.print(
        f"verdict: [{colour}]{report['verdict']}[/{colour}], {bad['fail']} fail, {bad['warn']} warn", end="; "
    )
    console.print(f"all of it in {folder}/check.json", soft_wrap=True)
