"""One op alone, at chance 1: whether it does anything, how much, how fast."""

import time

import numpy as np

from segtrain.aug.audit.draws import Watched
from segtrain.aug.audit.field import STILL, measure
from segtrain.aug.audit.lines import Line
from segtrain.aug.audit.pairs import change
from segtrain.aug.audit.parts import Op, moves
from segtrain.aug.keys import Key

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
