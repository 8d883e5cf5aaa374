"""One op alone, at chance 1: whether it does anything, how much, how fast."""

import time

import numpy as np

from segtrain.aug.audit_draws import Watched
from segtrain.aug.audit_field import STILL, measure
from segtrain.aug.audit_lines import Line
from segtrain.aug.audit_pairs import change
from segtrain.aug.audit_parts import Transform, moves
from segtrain.aug.keys import Key

UNSEEN = 0.001  # of the full range: a quarter of a grey level of 8 bits


class OpTally:
    """What one op did to some samples."""

    def __init__(self, name: str, op: Transform, ignore_index: int) -> None:
        """Without any yet."""
        self.name, self.op, self.ignore_index = name, op, ignore_index
        self.moved, self.changed, self.relabelled = list[float](), list[float](), 0.0
        self.spent, self.calls = 0.0, 0

    def add(self, image: np.ndarray, mask: np.ndarray, key: Key) -> None:
        """One draw: timed, then measured."""
        began = time.process_time()
        new, out = self.op(image.copy(), mask, key)
        self.spent += time.process_time() - began
        self.calls += 1
        self.relabelled = max(self.relabelled, float((out != mask).mean()) if out.shape == mask.shape else 1.0)
        self.changed.append(change(image, new))
        try:
            field = measure(self.op, mask.shape, key, self.ignore_index) if moves(self.op) else None
        except Exception:  # takes no float32 image
            field = None
        self.moved.append(field.total if field else 0.0)

    @property
    def idle(self) -> bool:
        """Whether it changed nothing that counts, in any draw."""
        return max(self.moved, default=0.0) < STILL and max(self.relabelled, *self.changed, 0.0) < UNSEEN

    def line(self, watched: Watched) -> Line:
        """How often it fires in the whole, what it then does, and its speed."""
        chance, rate = watched.chance(self.name), self.calls / max(self.spent, 1e-9)
        far = float(np.sqrt(np.mean(np.square(self.moved)))) if self.moved else 0.0
        much = 100 * float(np.mean(self.changed)) if self.changed else 0.0
        what = f"moves {far:.3g} px" if far >= STILL or (self.idle and far) else f"changes {much:.2g} %"
        if chance == 0:
            verdict, meaning = "warn", f"never fired in {watched.count} draws"
        elif self.idle:
            verdict, meaning = "warn", "does nothing that can be seen: raise its magnitude, or leave it out"
        else:
            verdict, meaning = "ok", "of one core, when it fires"
        fires = "" if chance is None else f"fires {100 * chance:.0f} %, "
        shown = f"{fires}{what}; {rate:.0f} pairs/s"
        return Line(f"op {self.name}", far or much, shown, f"warn < {STILL} px, < {100 * UNSEEN:g} %", verdict, meaning)
