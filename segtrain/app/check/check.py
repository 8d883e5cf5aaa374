"""`python -m segtrain check`: is the data sound, and does an augmentation do on it what it should, and nothing else."""

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from torch.utils.data import DataLoader, Dataset, get_worker_info

from segtrain.app.check.data_audit import Data, audit_data
from segtrain.app.check.page import page
from segtrain.aug.audit.parts import Transform
from segtrain.config.composition import run_config
from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.sampler import EpochSampler
from segtrain.errors import UserError
from segtrain.files import make_own, write_whole
from segtrain.parts.data import build_dataset, build_policy, build_split
from segtrain.runs.folder import folder_name
from segtrain.screen import Screen, styled
from segtrain.spread import spread

SHOWN = 20  # findings that are not ok, in full on the terminal
COLOURS = {"unmeasured": "dim", "ok": "green", "warn": "yellow", "fail": "red"}  # from good to bad
EPOCHS = 2
DRAWS = 64  # a worker and epoch: tells repetition from chance unless four draws of five leave the picture alone
BATCH = 4
SIDE = 128  # pixels of the picture: many draws are needed, not many pixels
Stream = dict[tuple[int, int], list[str]]


def check(config: DictConfig) -> None:
    """Audit the data and the policy on its samples; what is not ok on the terminal, all in check.json and check.html.

    Raises:
        SystemExit: with status 1 when a verdict is "fail".
    """
    began, typed = time.monotonic(), list(HydraConfig.get().overrides.task)
    decided = run_config(config)
    folder = Path(decided.outputs) / "check" / decided.name / folder_name(typed)
    data, both = Data([]), "augmentation" in decided.parts
    if "data" in decided.parts:
        data = audit_data(decided, meanwhile=_import_audit if both else lambda: None)
    lines: list[Any] = list(data.lines)
    sampled: dict[str, Any] = {}
    if both and (data.readable or not data.lines):
        try:
            more, sampled = _audit_policy(decided, data)
            lines += more
        except UserError:
            if lines:
                _write(decided, data, lines, sampled, folder, began)
            raise
    report = _write(decided, data, lines, sampled, folder, began)
    if report["verdict"] == "fail":
        raise SystemExit(1)


def _import_audit() -> None:
    """What takes seconds to import, while other processes read the data."""
    import segtrain.app.check.check
    import segtrain.aug.audit.audit  # noqa: F401


def _audit_policy(config: RunConfig, data: Data) -> tuple[list[Any], dict[str, Any]]:
    """The lines of the audit of the augmentation, on samples that can be read, and what was sampled for them."""
    from segtrain.app.check.check import Repeated, streams
    from segtrain.aug.audit.audit import audit
    from segtrain.aug.audit.draws import repeats_line

    cv2.setNumThreads(1)  # speed is said for one core
    dataset = data.dataset or build_dataset(config)
    good = data.readable or list(range(len(dataset.ids)))
    policy = build_policy(config, dataset, _partners(config, dataset, set(good)))
    order = [good[i] for i in _order(len(good), config.samples, config.seed)]
    samples = ((i, *dataset.read(i)) for i in order)
    options = {"seed": config.seed, "draws": config.draws, "seconds": config.seconds}
    lines, sampled = audit(policy, samples, dataset.classes, dataset.ignore_index, **options)
    probe = Repeated(policy, *dataset.read(order[0]), seed=config.seed)
    lines.append(repeats_line(streams(probe, workers=config.workers)))
    return lines, {"images": len(dataset.ids), **sampled}


def _partners(config: RunConfig, dataset: SegmentationDataset, good: set[int]) -> Any:
    """Partners that can be read; None, so that the policy finds its own, where all can."""
    from segtrain.aug import Partners

    if len(good) == len(dataset.ids):
        return None
    try:
        train = [i for i in build_split(config, dataset).train if i in good]
    except UserError:  # a line of the data's says so
        train = sorted(good)
    return Partners(dataset.read, train or sorted(good), dataset.ignore_index)


def _order(count: int, wanted: int, seed: int) -> list[int]:
    """Samples evenly spread, shuffled: cut short by the time they are still spread."""
    order: list[int] = np.random.default_rng(seed).permutation(spread(range(count), wanted)).tolist()
    return order


def _write(
    config: RunConfig, data: Data, lines: Sequence[Any], sampled: dict[str, Any], folder: Path, began: float
) -> dict[str, Any]:
    """check.json, check.html and the terminal's lines; returns what the first says beside the lines."""
    policy = f"aug={config.choices.aug} aug.strength={config.aug.strength:g} on " if sampled else ""
    report: dict[str, Any] = {
        "title": f"{policy}dataset={config.choices.dataset}",
        "verdict": max((line.verdict for line in lines), key=list(COLOURS).index, default="ok"),
        "seed": config.seed,
        **sampled,
        "workers": config.workers,
        "data": data.numbers,
    }
    make_own(folder)
    write_whole(folder / "check.html", page(report, lines, data))
    report["seconds"] = round(time.monotonic() - began, 1)
    lines_json = [line.to_json() for line in lines]
    write_whole(folder / "check.json", json.dumps({**report, "lines": lines_json}, indent=1).encode())
    _print(lines, report, folder)
    return report


def _print(lines: Sequence[Any], report: dict[str, Any], folder: Path) -> None:
    """What is not ok in full, the rest in a line; the verdict, with the names of what is not ok, comes last."""
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
            f"{counted(report['draws'], 'draw')}; chances from "
            f"{counted(report['light_draws'], 'draw')}; {counted(report['workers'], 'loader worker')}; seed "
            f"{report['seed']}; "
            f"{report['seconds']:.0f} s"
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


class Repeated(Dataset[Any]):
    """The same pair under every key (epoch, index, view), through a transform."""

    def __init__(self, transform: Transform, image: np.ndarray, mask: np.ndarray, seed: int = 0) -> None:
        """Samples are a piece of this pair; `seed` is the first part of every key."""
        self.transform, self.seed = transform, seed
        self.pair = _piece(image), _piece(mask)
        try:
            transform(*self.pair, (seed, 0, 0, 0))
        except Exception:  # a crop of fixed size needs the whole image
            self.pair = image, mask

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        return self.transform(*self.pair, (self.seed, *key))


class _Marked(Dataset[Any]):
    """A dataset whose items are replaced by the worker that made them and a mark of their content."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> tuple[int, str]:
        info = get_worker_info()
        digest = hashlib.blake2b(digest_size=8)
        for part in _arrays(self.dataset[key]):
            digest.update(np.ascontiguousarray(part).tobytes())
        return info.id if info else 0, digest.hexdigest()


def streams(dataset: Dataset[Any], workers: int = 2, draws: int = DRAWS) -> Stream:
    """(epoch, worker) -> marks of its outputs in their order, from a loader that starts its workers every epoch.

    Args:
        dataset: items are tuples or dicts of arrays or tensors, all of one source sample. One that has a length is
            indexed from 0 on, as a plain Dataset; another by the keys of a training epoch.
        workers: loader processes.
        draws: of each worker in an epoch.
    """
    found: Stream = defaultdict(list)
    for epoch in range(EPOCHS):
        sampler: Any = EpochSampler(range(draws * workers), 0, draws * workers)
        sampler.set_epoch(epoch)
        if hasattr(dataset, "__len__"):
            sampler = [i % len(cast(Sized, dataset)) for i in range(draws * workers)]
        marked: Dataset[Any] = _Marked(dataset)
        loader = DataLoader(marked, BATCH, sampler=sampler, num_workers=workers, collate_fn=list)
        for batch in loader:
            for worker, mark in batch:
                found[epoch, worker].append(mark)
    return dict(found)


def _arrays(item: Any) -> list[np.ndarray]:
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple) else [item]
    return [np.asarray(part) for part in parts]


def _piece(pixels: np.ndarray) -> np.ndarray:
    top, left = ((length - min(length, SIDE)) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])
