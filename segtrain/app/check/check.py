"""Runs `python -m segtrain check`: is the data sound, and does augmentation do on it what it should, and nothing else?

The audit of augmentation and what it needs take seconds to import: that is done while other processes read the data.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from segtrain.app.check.data_audit import AuditedData, audit_data
from segtrain.app.check.page import render_check
from segtrain.config.composition import run_config
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.files import make_own, write_whole
from segtrain.runs.run_files import folder_name
from segtrain.screen import Screen, styled

SHOWN = 20  # findings that are not ok, in full on the terminal
COLOURS = {"unmeasured": "dim", "ok": "green", "warn": "yellow", "fail": "red"}  # from good to bad


def check(config: DictConfig) -> None:
    """Audits the data and the policy on its samples: what is not ok on the terminal, all in check.json and check.html.

    Raises:
        SystemExit: with status 1 when a verdict is "fail".
    """
    began, typed = time.monotonic(), list(HydraConfig.get().overrides.task)
    decided = run_config(config)
    folder = Path(decided.outputs) / "check" / decided.name / folder_name(typed)
    data, both = AuditedData([]), "augmentation" in decided.parts
    if "data" in decided.parts:
        data = audit_data(decided, meanwhile=_import_audit if both else lambda: None)
    lines: list[Any] = list(data.lines)
    sampled: dict[str, Any] = {}
    mistake: UserError | None = None
    if both and (data.readable or not data.lines):
        from segtrain.app.check.augmentation_audit import audit_policy

        try:
            more, sampled = audit_policy(decided, data)
            lines += more
        except UserError as error:
            if not lines:
                raise
            mistake = error
    policy = f"aug={decided.choices.aug} aug.strength={decided.aug.strength:g} on " if sampled else ""
    report: dict[str, Any] = {
        "title": f"{policy}dataset={decided.choices.dataset}",
        "verdict": max((line.verdict for line in lines), key=list(COLOURS).index, default="ok"),
        "seed": decided.seed,
        **sampled,
        "workers": decided.workers,
        "data": data.numbers,
    }
    _write(report, lines, data, folder, began)
    if mistake:
        raise mistake
    if report["verdict"] == "fail":
        raise SystemExit(1)


def _import_audit() -> None:
    import segtrain.app.check.augmentation_audit  # noqa: F401


def _write(report: dict[str, Any], lines: Sequence[Any], data: AuditedData, folder: Path, began: float) -> None:
    """Writes check.json and check.html, and prints the lines; check.json has the report and the lines."""
    make_own(folder)
    write_whole(folder / "check.html", render_check(report, lines, data))
    report["seconds"] = round(time.monotonic() - began, 1)
    lines_json = [line.to_json() for line in lines]
    write_whole(folder / "check.json", json.dumps({**report, "lines": lines_json}, indent=1).encode())
    _print(lines, report, folder)


def _print(lines: Sequence[Any], report: dict[str, Any], folder: Path) -> None:
    """Prints what is not ok in full, the rest in a line; the verdict, with the names of what is not ok, comes last."""
    console = Screen(soft_wrap=True)
    counts = Counter(line.verdict for line in lines)
    wrong = [line for verdict in ("fail", "warn") for line in lines if line.verdict == verdict]
    rest = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("ok", "unmeasured") if counts[verdict])
    console.print(report["title"], style="bold")
    for line in wrong[:SHOWN]:
        console.print(styled(_coloured(line.verdict), "  ", (line.check, "bold"), f": {line.shown}"))
        console.print(styled(f"      {_one_line(line.meaning)} ", (f"(threshold: {line.threshold})", "dim")))
    if len(wrong) > SHOWN:
        console.print(f"and {len(wrong) - SHOWN} more that are not ok, in check.html")
    if "samples" in report:
        console.print(
            f"sampled: {report['samples']} of {counted(report['images'], 'image')}, "
            f"{counted(report['draws'], 'draw')}; chances from {counted(report['light_draws'], 'draw')}; "
            f"{counted(report['workers'], 'loader worker')}; seed {report['seed']}; {report['seconds']:.0f} s"
        )
    console.print(f"{rest or 'nothing is ok'}; each value, and pictures, in {folder}/check.html, check.json")
    named = Counter(line.check for line in wrong)
    names = ", ".join(f"{name} ({count} times)" if count > 1 else name for name, count in named.items())
    said = f", {counts['fail']} fail, {counts['warn']} warn{f': {names}' if names else ''}"
    console.print(styled("verdict: ", _coloured(report["verdict"]), said))


def _coloured(verdict: str) -> tuple[str, str]:
    return verdict, COLOURS[verdict]


def _one_line(text: str) -> str:
    return " ".join(text.split())
