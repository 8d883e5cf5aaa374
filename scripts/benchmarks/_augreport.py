"""The page that a full run of `aug` writes."""

import os
import statistics
import textwrap
from collections.abc import Mapping, Sequence

from benchmarks import Comparison
from benchmarks._augcases import NOISE, RMS, ROTATE, SCALE, SIGMA, TONE
from segtrain.runs.environment import environment

FLOAT, FLOOR = "ours, normalised to float32", "one remap of image and mask"
Versions = Mapping[str, Mapping[str, str]]  # of a peer's packages
Matched = Mapping[int, Mapping[str, tuple[float, float, int]]]  # side: peer: RMS and distance in %, draws
HEADS = ("size", "peer", "theirs, µs", "ours, µs")
TABLES = {  # the first part of a comparison's name: heading and what to know
    "pipeline all on": (
        "Medical pipeline, every op on every sample",
        f"Flip, rotation ± {ROTATE:g}° and scale {SCALE[0]:g} to {SCALE[1]:g}, elastic, crop where one is named, "
        f"brightness and contrast ± {TONE:g}, gamma {SCALE[0]:g} to {SCALE[1]:g}, noise up to {NOISE:g}. "
        "The flip keeps its chance of .5. Peers normalise to float32; ours hands uint8 to the module, which normalises "
        "on its device: what that is worth stands two tables below.",
    ),
    "pipeline usual chances": (
        "Medical pipeline, usual chances",
        "Flip .5, affine .5, elastic .3, brightness and contrast .5, gamma .5, noise .3; the rest as above. "
        "Without kornia, which computes every op and then picks, so that its times above hold, and without "
        "torchvision: half a minute at a chance of .3 takes hours to average.",
    ),
    "pipeline without elastic": (
        "Medical pipeline without elastic and gamma, every op on every sample",
        "What variopinta has too, which knows no elastic and no gamma; the rest as above.",
    ),
    "elastic": (
        "Elastic alone",
        "Array: image (H, W, C) as it comes; tensor: channels first. The floor is one cv2.remap of image and one of "
        "mask through a ready map; there the ratio is ours / floor.",
    ),
    "flip": ("Flips alone", "On every sample. Peers from the fastest; the aim is not to be slower than any."),
    "crop": ("Crops alone", "To half the side. Peers from the fastest; the aim is not to be slower than any."),
    "key handling": ("Key handling", "Setting a sample's generators to its key, three a sample, inside the pipeline."),
}


def report(comparisons: Sequence[Comparison], versions: Versions, matched: Matched) -> str:
    """Markdown; every missed aim stands in the summary and in its row."""
    parts = [INTRODUCTION, summary(comparisons), machine(), peers(versions), elastics(matched)]
    floats = [c for c in comparisons if c.alternative_name == FLOAT]
    for kind, (heading, text) in TABLES.items():
        rows = [c for c in comparisons if c.name.partition(", ")[0] == kind and c not in floats]
        if rows:
            shown = "theirs / ours" if rows[0].figure == "ratio" else "ours - theirs"
            heads = (*HEADS, f"{shown} (middle half)", "aim")
            parts.append(section(heading, text, table(heads, [row(kind, c) for c in rows])))
        if kind == "pipeline usual chances" and floats:
            parts.append(normalised(floats, comparisons))
    return "\n\n".join(parts) + "\n"


def summary(comparisons: Sequence[Comparison]) -> str:
    stated = [c for c in comparisons if is_stated(c)]
    missed = [f"- {c.name}, against {c.alternative_name}: {figure(c)}; {aim(c)}" for c in stated if not c.met]
    count = f"{len(stated) - len(missed)} of {len(stated)} aims are met{', these are not:' if missed else '.'}"
    return "\n".join([count, *missed])


def machine() -> str:
    where = environment({})
    return (
        f"Measured on {where['cpu']}, {where['cpu_usable']} cores, Python {where['python']}, one thread a process; "
        f"load at the end {os.getloadavg()[0]:.1f}."
    )


def peers(versions: Versions) -> str:
    rows = [(name, ", ".join(f"{p} {v}" for p, v in packages.items())) for name, packages in versions.items()]
    return section("Peers", PEERS, table(("peer", "versions"), rows))


def elastics(matched: Matched) -> str:
    """What each elastic does at each side, from the same map as in the tables below."""
    sides = list(matched)
    rows = []
    for name in matched[sides[0]]:
        found = [matched[side][name] for side in sides]
        if all(found):  # a peer without elastic has no row
            rows.append((name, *(f"{rms:.2f} % / {length:.0f} % ({draws})" for rms, length, draws in found)))
    heads = ("peer", *(f"{side}²" for side in sides))
    return section("How the elastics are matched", MATCHED, table(heads, rows))


def row(kind: str, c: Comparison) -> tuple[str, ...]:
    size = c.name.removeprefix(kind).removeprefix(", ")
    medians = [f"{statistics.median(samples):,.0f}" for samples in (c.alternative, c.ours)]
    return size, c.alternative_name, *medians, figure(c), aim(c)


def times(c: Comparison) -> list[float]:
    return [1 / pair for pair in c.pairs]


def is_times(c: Comparison) -> bool:
    """Whether the page shows theirs / ours, not the figure itself."""
    return c.figure == "ratio" and c.alternative_name != FLOOR


def figure(c: Comparison) -> str:
    pairs, unit = (times(c), " x") if is_times(c) else (c.pairs, " x" if c.figure == "ratio" else f" {c.unit}")
    low, middle, high = statistics.quantiles(pairs, n=4, method="inclusive")
    form = ",.2f" if middle < 10 else ",.1f" if middle < 100 else ",.0f"
    return f"{middle:{form}}{unit} ({low:{form}} to {high:{form}})"


def is_stated(c: Comparison) -> bool:
    """Elsewhere, to be slower at all counts as a miss too."""
    return c.aim != 1 or c.name.startswith(("flip", "crop")) or not c.met


def aim(c: Comparison) -> str:
    if not is_stated(c):
        return ""
    bound = f"≥ {1 / c.aim:g}" if is_times(c) else f"≤ {c.aim:g}"
    return f"{bound}: {'met' if c.met else '**missed**'}"


def normalised(floats: Sequence[Comparison], comparisons: Sequence[Comparison]) -> str:
    """Ours with and without normalisation, and what then remains of each peer's ratio."""
    rows = []
    for c in floats:
        more = statistics.median(times(c))
        others = [o for o in comparisons if o.name == c.name and o is not c]
        left = ", ".join(f"{o.alternative_name} {statistics.median(times(o)) / more:,.1f} x" for o in others)
        medians = [f"{statistics.median(samples):,.0f}" for samples in (c.ours, c.alternative)]
        rows.append((c.name.partition(", ")[2], *medians, left))
    heads = ("size", "ours uint8, µs", "ours float32, µs", "theirs / ours float32")
    return section("Ours normalised on the CPU too", NORMALISED, table(heads, rows))


def section(heading: str, text: str, content: str) -> str:
    return f"## {heading}\n{textwrap.fill(text, 120, break_on_hyphens=False)}\n\n{content}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows))


INTRODUCTION = """# How fast augmentation is
Written by `python scripts/bench.py aug`, which also makes the peers' environments; `--check` fails on a missed aim.

CPU time of one sample in one thread, ours beside ten others, each in a process of its own. They take turns: ours
makes a few samples, then each peer, then ours again. A ratio is the median over such turns of theirs / ours, with its
middle half; it need not equal the quotient of the medians beside it. Ours runs through `Policy` with its per-sample
key. Every pipeline starts at a decoded uint8 image (H, W, 3) and its mask and ends at a contiguous image and a mask."""
PEERS = """AlbumentationsX is AGPL-3.0 and calls its module `albumentations`: it is measured in an environment of its
own and never imported by segtrain. `opencv` is the elastic of the article that `OpenCVElastic` reproduces, with a
kernel that fits its sigma; it has nothing else. torchvision cannot reflect at the border: it fills. batchgeneratorsv2
has no flip without a chance. A library without an op or a result has no row there."""
MATCHED = f"""All are set to an RMS displacement of {100 * RMS:g} % of the short side and, as near as they offer, to a
Gaussian sigma of {100 * SIGMA:g} %, whose correlation falls to 1/e at twice that distance. Measured with an image of
coordinates pushed through each, in its middle 60 %: RMS displacement / distance of correlation 1/e (number of draws).
AlbumentationsX' finest grid at this displacement is coarser; a finer one it refuses, as it might fold."""
NORMALISED = """Like for like: normalised to float32 a sample at a time on one CPU thread, as the peers do it. The last
column is the ratio of the first table over what that adds to ours."""
