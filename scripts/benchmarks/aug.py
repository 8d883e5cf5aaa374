"""Augmenting one sample: ours beside seven others, one thread each, CPU time.

Every peer is a process of its own, in an environment that this script makes (see _augpeers.py; AlbumentationsX is
AGPL and shares albumentations' module name, so it has one to itself and segtrain never imports it). They take turns:
ours makes a few samples, then each peer, then ours again; a pair of such turns is one pair of samples here, and a
figure is the median over pairs of theirs / ours. Ours runs through the real Policy with its per-sample key.

Every pipeline starts at a decoded uint8 image (H, W, 3) and its mask and ends at a contiguous image, channels first,
uint8 or float32, and a mask. All elastics are set to one RMS displacement, 2 % of the short side, and to the nearest
they offer to sigma 8 %; what each then does is measured by pushing an image of coordinates through it, and printed.
The floor is one cv2.remap of image and one of mask through a ready map.

A full run writes docs/benchmarks/augmentation.md.
"""

import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import Comparison
from benchmarks._augcases import Case
from benchmarks._augpeers import ENVIRONMENTS, Process, started
from benchmarks._augreport import report

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "augmentation.md"
BIG, SMALL, CROP = Case("pipeline", 512), Case("pipeline", 256), Case("pipeline", 512, 256)
USUAL = [case._replace(usual=True) for case in (BIG, SMALL, CROP)]
AIMS = {  # at least so many times as fast as that peer; 1 where nothing is said
    (BIG, "albumentations"): 15,
    (SMALL, "albumentations"): 8,
    (CROP, "albumentations"): 40,
    (USUAL[0], "albumentations"): 6,
    (BIG, "albumentationsx"): 8,
    (SMALL, "albumentationsx"): 5,
    (CROP, "albumentationsx"): 12,
    (USUAL[0], "albumentationsx"): 4,
    (BIG, "monai"): 20,
    (BIG, "batchgeneratorsv2"): 20,
    (CROP, "batchgeneratorsv2"): 12,
}
FLOOR_AIM = 1.5  # elastic alone, times the floor
KEY_AIM = 20.0  # µs a sample
MOVES = [
    Case(kind, side, side // 2 if kind == "crop" else None, result=result)
    for kind in ("flip", "crop")
    for side in (512, 256)
    for result in ("array", "tensor")
]
ELASTIC = [Case("elastic", side, result=result) for side in (512, 256) for result in ("array", "tensor")]
TURN = 15_000  # µs that one turn of one side should last


@dataclass(frozen=True)
class Speedup(Comparison):
    """Says how many times as fast ours is: one line a comparison, as there are many."""

    @property
    def times(self) -> float:
        return 1 / self.median

    def text(self) -> str:
        low, _, high = statistics.quantiles([1 / pair for pair in self.pairs], n=4, method="inclusive")
        verdict = "" if self.aim == 1 and self.met else f"; aim {1 / self.aim:g}: {'met' if self.met else 'MISSED'}"
        return (
            f"{self.name:46s} ours {statistics.median(self.ours):7.0f} µs, {self.alternative_name:17s} "
            f"{statistics.median(self.alternative):8.0f}: {self.times:6.2f} x ({low:.2f} to {high:.2f}){verdict}"
        )


def run(quick: bool) -> list[Comparison]:
    """All comparisons; a full run writes the page."""
    names = [name for name in ENVIRONMENTS if not (quick and name in ("kornia", "opencv"))]
    with started(names) as peers:
        versions = {name: peer.ask("versions") for name, peer in peers.items()}
        matched = {
            side: {name: peer.ask("calibrate", side, 2 if quick else 16) for name, peer in peers.items()}
            for side in (512, 256)
        }
        for side, found in matched.items():
            texts = [f"{name} {rms:.2f} % / {length:.0f} %" for name, (rms, length) in found.items()]
            print(f"elastic at {side}²: RMS displacement / distance of correlation 1/e: {', '.join(texts)}", flush=True)
        comparisons = list(measured(peers, 1.2 if quick else 15.0, quick))
        comparisons += [*floors(peers["ours"], 30 if quick else 200), keys(peers["ours"], 40 if quick else 400)]
    if not quick:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(report(comparisons, versions, matched), encoding="utf-8")
    return comparisons


def measured(peers: dict[str, Process], seconds: float, quick: bool) -> Iterator[Comparison]:
    """Ours against every peer, case by case."""
    cases = [BIG, SMALL, CROP, *USUAL, *ELASTIC, *MOVES]
    if quick:
        cases = [BIG, SMALL, CROP, USUAL[0], *MOVES]
    for case in cases:
        found = in_turn(case, peers, seconds)
        ours = found.pop("ours")
        if case.kind in ("flip", "crop"):  # the aim is the fastest; the others are named on the page
            found = dict(sorted(found.items(), key=lambda item: statistics.median(item[1])))
        for name, theirs in found.items():
            yield Speedup(
                name=label(case),
                setting="CPU time of a sample, one thread",
                alternative_name=name,
                unit="µs",
                figure="ratio",
                aim=1 / AIMS.get((case._replace(result="tensor"), name), 1),
                ours=ours,
                alternative=theirs,
            )
        if case in (BIG, SMALL, CROP):
            yield from normalised(case, peers, min(seconds, 3.0), found)


def normalised(case: Case, peers: dict[str, Process], seconds: float, found: Any) -> Iterator[Comparison]:
    """What ours costs with the module's normalisation added, on the CPU, a sample at a time."""
    both = in_turn(case, {"ours": peers["ours"]}, seconds), in_turn(
        case._replace(result="float"), {"ours": peers["ours"]}, seconds
    )
    count = min(len(both[0]["ours"]), len(both[1]["ours"]))
    yield Speedup(
        name=f"{label(case)}, ours as uint8",
        setting="CPU time of a sample, one thread",
        alternative_name="ours as float32",
        unit="µs",
        figure="ratio",
        aim=1.0,
        ours=both[0]["ours"][:count],
        alternative=both[1]["ours"][:count],
    )


def label(case: Case) -> str:
    """The case in words."""
    what = {"pipeline": "medical pipeline, all on", "elastic": "elastic", "flip": "flip", "crop": "crop"}[case.kind]
    if case.usual:
        what = "medical pipeline, usual chances"
    return f"{case.size} {what}" + ("" if case.kind == "pipeline" else f", to {case.result}")


def in_turn(case: Case, peers: dict[str, Process], seconds: float) -> dict[str, list[float]]:
    """µs a sample of each peer that has the case, one figure a turn; three turns at least."""
    counts = {}
    for name, peer in peers.items():
        once = peer.ask("time", case, 2)
        if once is not None:
            counts[name] = max(2, min(300, math.ceil(TURN * (4 if case.usual else 1) / once)))
    found: dict[str, list[float]] = {name: [] for name in counts}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(found["ours"]) < 3:
        for name, count in counts.items():
            found[name].append(peers[name].ask("time", case, count))
    return found


def floors(ours: Process, turns: int) -> Iterator[Comparison]:
    for side in (512, 256):
        samples: tuple[list[float], list[float]] = ([], [])
        for _ in range(turns):
            samples[0].append(ours.ask("time", Case("elastic", side, result="array"), 5))
            samples[1].append(ours.ask("time", Case("floor", side), 5))
        yield Comparison(
            name=f"{side}² elastic alone",
            setting="CPU time of a sample, one thread",
            alternative_name="one remap of image and mask",
            unit="µs",
            figure="ratio",
            aim=FLOOR_AIM,
            ours=samples[0],
            alternative=samples[1],
        )


def keys(ours: Process, turns: int) -> Comparison:
    """Inside the medical pipeline with a crop: three streams a sample, caches cold."""
    samples: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns):
        for result, found in zip(("tensor", "array"), samples, strict=True):
            found.append(ours.ask("time", Case("keys", 512, 256, result=result), 10))
    return Comparison(
        name="key handling",
        setting="three streams a sample, inside the medical pipeline",
        alternative_name="a ready generator (what the clock costs)",
        unit="µs",
        figure="difference",
        aim=KEY_AIM,
        ours=samples[0],
        alternative=samples[1],
    )
