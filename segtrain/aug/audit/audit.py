"""An audit of a transform of image and mask on the user's own samples: what is measured, in which order."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from segtrain.aug import tail
from segtrain.aug.audit.draws import Watched, correlation_line
from segtrain.aug.audit.field import STILL, Fields, measure
from segtrain.aug.audit.lines import Line
from segtrain.aug.audit.pairs import Intensity, Labels, Pairing, change
from segtrain.aug.audit.parts import Op, Parts, mixes, moves, take_apart
from segtrain.aug.keys import Key
from segtrain.aug.policy import Pair

__all__ = ["Line", "audit"]
OP_SAMPLES = 6  # samples on which each op is measured alone
LIGHT_SIDE = 64  # pixels: firing and correlation need many draws, not many pixels
SHARES = {"pairs": 0.7, "ops": 0.2, "draws": 0.1}  # of the time
UNSEEN = 0.001  # of the full range: a quarter of a grey level of 8 bits
SLOW = 20.0  # pairs/s of one core: a small U-Net trains on a CPU about as fast


class OpTally:
    """What one op did to some samples."""

    def __init__(self, op: Op, ignore_index: int) -> None:
        """Without any yet."""
        self.op, self.ignore_index = op, ignore_index
        self.moved, self.changed, self.relabelled = list[float](), list[float](), 0.0
        self.seen = 0.0  # largest change of grey values beyond what so small a displacement blends
        self.spent, self.calls = 0.0, 0

    def add(self, image: np.ndarray, mask: np.ndarray, key: Key) -> None:
        """One draw: timed, then measured."""
        began = time.process_time()
        self.op.timed(image, mask, key)
        self.spent += time.process_time() - began
        self.calls += 1
        new, out = self.op.alone(image.copy(), mask, key)
        self.relabelled = max(self.relabelled, float((out != mask).mean()) if out.shape == mask.shape else 1.0)
        self.changed.append(change(image, new))
        moved = self._moved(mask.shape, key)
        self.moved.append(moved or 0.0)
        blended = 2 * (moved or 0.0) * change(image[:, 1:], image[:, :-1])  # neighbours, along both axes
        self.seen = max(self.seen, self.changed[-1] - blended)

    def _moved(self, shape: tuple[int, ...], key: Key) -> float | None:
        """RMS displacement in pixels; None where it cannot be measured, or nothing moves."""
        try:
            field = measure(self.op.alone, shape, key, self.ignore_index) if moves(self.op) else None
        except Exception:  # takes no float32 image
            return None
        return field and field.total

    @property
    def idle(self) -> bool:
        """Whether it changed nothing that counts, in any draw."""
        return max(self.moved, default=0.0) < STILL and max(self.relabelled, self.seen) < UNSEEN

    def line(self, watched: Watched) -> Line:
        """How often it fires in the whole, what it then does, and its speed."""
        chance, rate = watched.chance(self.op.path, self.op.op), self.calls / max(self.spent, 1e-9)
        far = float(np.sqrt(np.mean(np.square(self.moved)))) if self.moved else 0.0
        much = 100 * float(np.mean(self.changed)) if self.changed else 0.0
        what = f"moves {far:.3g} px" if far >= STILL or (self.idle and far) else f"changes {much:.2g} %"
        if chance == 0:
            verdict, meaning = "warn", f"never fired in {watched.count} draws"
        elif self.idle:
            verdict, meaning = "warn", "does nothing that can be seen: raise its magnitude, or leave it out"
        elif rate < SLOW:
            verdict, meaning = "warn", "slow: the network waits for its data, at least where this fires"
        else:
            verdict, meaning = "ok", "of one core, when it fires"
        fires = "" if chance is None else f"fires {100 * chance:.0f} %, "
        shown = f"{fires}{what}; {rate:.0f} pairs/s"
        threshold = f"warn never, < {STILL} px, < {100 * UNSEEN:g} %, < {SLOW:g} pairs/s"
        return Line(f"op {self.op.label}", far or much, shown, threshold, verdict, meaning)


def audit(
    transform: Any,
    samples: Iterable[tuple[int, np.ndarray, np.ndarray]],
    classes: Sequence[str],
    ignore_index: int,
    *,
    seed: int = 0,
    draws: int = 4,
    light_draws: int = 256,
    seconds: float = 12.0,
) -> tuple[list[Line], dict[str, Any]]:
    """The lines of the audit, and what was sampled for them.

    Args:
        transform: a `Policy`, an albumentations composition, or any callable (image, mask, key) -> (image, mask).
        samples: (index, image (H, W, C), mask (H, W) of uint8 labels), in an order that may be cut short.
        classes: names in label order.
        ignore_index: label that counts nowhere.
        seed: first part of the keys (seed, draw, index, 0).
        draws: full draws a sample.
        light_draws: draws on one small picture, for chances and correlations.
        seconds: about how long all of it may take.
    """
    parts = take_apart(transform)
    labels, pairing = Labels(classes, ignore_index, mixes(transform)), Pairing(ignore_index)
    fields, intensity = Fields(ignore_index), Intensity()
    kept: list[tuple[int, np.ndarray, np.ndarray]] = []
    spent, count = 0.0, 0
    for index, image, mask in _within(samples, seconds * SHARES["pairs"]):
        kept += [(index, image, mask)] if len(kept) < OP_SAMPLES else []
        began = time.process_time()
        masks = [parts.whole(image, mask, (seed, draw, index, 0))[1] for draw in range(draws)]
        spent += time.process_time() - began
        labels.add(mask, masks, [parts.crop(image, mask, (seed, draw, index, 0))[1] for draw in range(draws)])
        key = (seed, 0, index, 0)
        fields.add(parts, mask.shape, key)
        pairing.add(parts, image, mask, key)
        intensity.add(parts, image, mask, key)
        count += 1
    rate = count * draws / max(spent, 1e-9)
    watched = _watch(parts, kept, seed, light_draws, seconds * SHARES["draws"])
    ops = _ops(parts, kept, seed, ignore_index, seconds * SHARES["ops"])
    lines = [
        tail.line(getattr(transform, "transforms", ()), *kept[0][1:]),
        pairing.line(),
        *labels.lines(),
        *fields.lines(),
    ]
    lines.append(intensity.line())
    lines += [correlation_line(watched), *(tally.line(watched) for tally in ops), _speed(rate)]
    sampled = {"samples": count, "draws": count * draws, "light_draws": watched.count, "ops_alone": len(ops)}
    return lines, sampled


def _within(samples: Iterable[Any], seconds: float) -> Iterator[Any]:
    """The samples until the time is over; at least one."""
    began = time.monotonic()
    for sample in samples:
        yield sample
        if time.monotonic() - began > seconds:
            return


def _watch(parts: Parts, kept: Sequence[Any], seed: int, draws: int, seconds: float) -> Watched:
    """Which op fires in which draw, on a small piece of the first sample."""
    index, image, mask = kept[0]
    pair: Pair = _piece(image), _piece(mask)
    try:
        parts.whole(*pair, (seed, 0, index, 0))
    except Exception:  # a crop of fixed size needs the whole image
        pair = image, mask
    began, watched = time.monotonic(), Watched(parts.leaves)
    with watched:
        for draw in range(draws):
            key: Key = (seed, draw, index, 0)
            watched.next()
            parts.whole(*pair, key)
            if time.monotonic() - began > seconds:
                break
    return watched


def _piece(pixels: np.ndarray) -> np.ndarray:
    top, left = ((length - min(length, LIGHT_SIDE)) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + LIGHT_SIDE, left : left + LIGHT_SIDE])


def _ops(parts: Parts, kept: Sequence[Any], seed: int, ignore_index: int, seconds: float) -> list[OpTally]:
    tallies = [OpTally(op, ignore_index) for op in parts.ops]
    for tally in tallies:
        for index, image, mask in _within(kept, seconds / len(tallies)):
            tally.add(image, mask, (seed, 0, index, 0))
    return tallies


def _speed(rate: float) -> Line:
    return Line.above(
        "speed, all ops",
        rate,
        f"{rate:.0f} pairs/s",
        unit=" pairs/s",
        warn=SLOW,
        meaning="of one core, reading left out; below it the network waits for its data",
    )
