"""Augmenting one sample: ours beside ten others, one thread each, CPU time.

Every peer is a process of its own, in an environment that this script makes (see _augpeers.py; AlbumentationsX is
AGPL and shares albumentations' module name, so it has one to itself and segtrain never imports it). They take turns:
ours makes a few samples, then each peer, then ours again; a pair of such turns is one pair of samples here, and a
figure is the median over pairs of theirs / ours. Ours runs through the real Policy with its per-sample key.

Every pipeline starts at a decoded uint8 image (H, W, 3) and its mask and ends at a contiguous image, channels first,
uint8 or float32, and a mask. All elastics are set to one RMS displacement, 2 % of the short side, and to the nearest
they offer to sigma 8 %; what each then does a full run measures, by pushing an image of coordinates through it.
The floor is one cv2.remap of image and one of mask through a ready map.

A full run takes a quarter of an hour, a third of it torchvision's elastic, and writes
docs/benchmarks/augmentation.md; --quick leaves out kornia, opencv and torchvision's elastic.
"""

import math
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import Comparison
from benchmarks._augcases import Case
from benchmarks._augpeers import ENVIRONMENTS, Process, started
from benchmarks._augreport import FLOAT, FLOOR, report

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "augmentation.md"
BIG, SMALL, CROP = Case("pipeline", 512), Case("pipeline", 256), Case("pipeline", 512, 256)
POSE = [case._replace(kind="pose") for case in (BIG, SMALL, CROP)]
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
TURNS = 3  # at least
SLOW = 1e6  # µs a sample; such a peer takes TURNS turns of one sample


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
            f"{self.name:40s} ours {statistics.median(self.ours):7.0f} µs, {self.alternative_name:17s} "
            f"{statistics.median(self.alternative):8.0f}: {self.times:6.2f} x ({low:.2f} to {high:.2f}){verdict}"
        )


def run(quick: bool) -> list[Comparison]:
    """All comparisons; a full run writes the page."""
    names = [name for name in ENVIRONMENTS if not (quick and name in ("kornia", "opencv"))]
    with started(names) as peers:
        comparisons = list(measured(peers, 0.4 if quick else 15.0, quick))
        comparisons += [*floors(peers["ours"], 30 if quick else 200), keys(peers["ours"], 40 if quick else 400)]
        if not quick:
            versions = {name: peer.ask("versions") for name, peer in peers.items()}
            matched = {
                side: {name: peer.ask("displacement", side, 5) for name, peer in peers.items()} for side in (512, 256)
            }
            PAGE.parent.mkdir(parents=True, exist_ok=True)
            PAGE.write_text(report(comparisons, versions, matched), encoding="utf-8")
    return comparisons


def measured(peers: dict[str, Process], seconds: float, quick: bool) -> Iterator[Comparison]:
    """Ours against every peer, case by case."""
    few = [BIG, SMALL, CROP, POSE[0], USUAL[0], *MOVES]
    cases = few if quick else [BIG, SMALL, CROP, *POSE, *USUAL, *ELASTIC, *MOVES]
    for case in cases:
        slow = ("torchvision",) if quick and case.kind == "pipeline" else ()
        print(f"measuring {label(case)}", file=sys.stderr, flush=True)  # a full run says nothing else for long
        able = {name: peer for name, peer in peers.items() if name not in slow}
        found = in_turn(case, able, seconds * (2 if case.usual else 0.5 if case in MOVES else 1))
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
                ours=ours[: len(theirs)],
                alternative=theirs,
            )
        if case in (BIG, SMALL, CROP):
            yield normalised(case, peers["ours"], min(seconds, 3.0))


def normalised(case: Case, ours: Process, seconds: float) -> Comparison:
    """What ours costs with the module's normalisation added, on the CPU, a sample at a time."""
    samples: tuple[list[float], list[float]] = ([], [])
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(samples[0]) < TURNS:
        for result, found in zip(("tensor", "float"), samples, strict=True):
            found.append(ours.ask("time", case._replace(result=result), 10))
    return Speedup(
        name=label(case),
        setting="CPU time of a sample, one thread",
        alternative_name=FLOAT,
        unit="µs",
        figure="ratio",
        aim=1.0,
        ours=samples[0],
        alternative=samples[1],
    )


def label(case: Case) -> str:
    """The case in words; _augreport.py parts its tables by what stands before the first comma."""
    if case.kind == "pipeline":
        return f"pipeline {'usual chances' if case.usual else 'all on'}, {case.size}"
    if case.kind == "pose":
        return f"pipeline without elastic, {case.size}"
    return f"{case.kind}, {case.size}, to {case.result}"


def in_turn(case: Case, peers: dict[str, Process], seconds: float) -> dict[str, list[float]]:
    """µs a sample of each peer that has the case, one figure a turn."""
    counts = {name: count for name, peer in peers.items() if (count := samples_a_turn(case, peer))}
    found: dict[str, list[float]] = {name: [] for name in counts}
    end = math.inf
    while time.monotonic() < end:
        for name, count in counts.items():
            if count > 1 or len(found[name]) < TURNS:
                found[name].append(peers[name].ask("time", case, count))
        if len(found["ours"]) == TURNS:
            end = time.monotonic() + seconds
    return found


def samples_a_turn(case: Case, peer: Process) -> int:
    """0 where the peer has no such case; with chances enough that what fires averages out."""
    once = peer.ask("time", case, 1)
    if once is None or once > SLOW:
        return int(once is not None)
    once = peer.ask("time", case, 5)
    return max(12, math.ceil(4 * TURN / once)) if case.usual else max(2, min(300, math.ceil(TURN / once)))


def floors(ours: Process, turns: int) -> Iterator[Comparison]:
    for side in (512, 256):
        samples: tuple[list[float], list[float]] = ([], [])
        for _ in range(turns):
            samples[0].append(ours.ask("time", Case("elastic", side, result="array"), 5))
            samples[1].append(ours.ask("time", Case("floor", side), 5))
        yield Comparison(
            name=f"elastic, {side}², to array",
            setting="CPU time of a sample, one thread",
            alternative_name=FLOOR,
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
