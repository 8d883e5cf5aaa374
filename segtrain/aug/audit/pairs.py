"""Compares image with mask, labels in with labels out, grey values before with those after."""

from collections.abc import Sequence

import cv2
import numpy as np

from segtrain.aug.audit.parts import AuditLine, TransformParts, percent, with_painted_partners
from segtrain.aug.keys import Key

INTERIOR = 5  # px, side of the window that must lie in one region: borders mix two labels
SMOOTHING = 5  # px: noise of a transform that cannot be taken apart is averaged away


class PairingTally:
    """Follows images painted from their masks: grey where a class is, dark elsewhere, and so they must come out."""

    def __init__(self, ignore_index: int) -> None:
        """Starts without a draw."""
        self.ignore_index, self.wrong, self.pixels, self.draws = ignore_index, 0, 0, 0

    def add(self, parts: TransformParts, image: np.ndarray, mask: np.ndarray, key: Key) -> None:
        """Adds one draw on an image painted from one class of the mask, each class in turn."""
        labels = [label for label in np.unique(mask).tolist() if label != self.ignore_index]
        if len(labels) < 2:
            return  # a mask of one class follows anything
        label = labels[self.draws % len(labels)]
        self.draws += 1
        full = {"uint8": 255, "uint16": 65535}.get(image.dtype.name, 1)

        def paint(labels: np.ndarray) -> np.ndarray:
            levels = np.where((labels == label)[..., None], 0.75 * full, 0.25 * full).astype(image.dtype)
            return np.repeat(levels, image.shape[2], axis=2)

        moved, out = with_painted_partners(parts.pairing, paint)(paint(mask), mask, key)
        seen = cv2.blur(moved.mean(axis=2, dtype=np.float32), (SMOOTHING, SMOOTHING))
        is_label = (out == label).astype(np.uint8)
        other = ((out != label) & (out != self.ignore_index)).astype(np.uint8)
        window = np.ones((INTERIOR, INTERIOR), np.uint8)
        inner, outer = (cv2.erode(region, window, borderValue=(0,)) > 0 for region in (is_label, other))
        level = _between(seen, inner, outer)
        self.wrong += int((seen[inner] < level).sum() + (seen[outer] > level).sum())
        self.pixels += int(inner.sum() + outer.sum())

    def line(self) -> AuditLine:
        """Returns the line on the share of pixels that show another class than their label."""
        if not self.pixels:
            why = "it leaves no region of one class" if self.draws else "no sampled mask holds two classes"
            return AuditLine.unmeasured("pairing", f"not measured: {why}")
        share = self.wrong / self.pixels
        return AuditLine.judged(
            "pairing",
            100 * share,
            f"{percent(share)} of pixels wrong",
            warn=0.5,
            fail=2,
            meaning="pixels inside a region whose image, painted from the mask, came out as another class: image and "
            "mask must take the same draw",
        )


def _between(seen: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> float:
    """Returns the grey level between both regions; between the extremes where one is missing or they overlap."""
    if inner.any() and outer.any():
        high, low = float(np.median(seen[inner])), float(np.median(seen[outer]))
        if high - low > 0.2 * float(np.ptp(seen)):
            return (high + low) / 2
    return (float(seen.max()) + float(seen.min())) / 2


class LabelTally:
    """Compares the numbers of labels before and after."""

    def __init__(self, classes: Sequence[str], ignore_index: int, mixed: bool) -> None:
        """Starts without a draw; `mixed` samples may hold every class."""
        self.mixed, self.classes, self.ignore_index = mixed, classes, ignore_index
        self.before, self.after, self.present, self.gone, self.cut = (np.zeros(len(classes)) for _ in range(5))
        self.invented: set[int] = set()
        self.draws = self.bad = 0
        self.ignored = list[float]()

    def add(self, mask: np.ndarray, outs: Sequence[np.ndarray], crops: Sequence[np.ndarray]) -> None:
        """Adds what became of a mask in some draws, and what the crop alone had left of it in each."""
        before = _counts(mask)
        for out, crop in zip(outs, crops, strict=True):
            self._add(mask, before, out, before if crop is mask else _counts(crop), crop.size)

    def _add(self, mask: np.ndarray, before: np.ndarray, out: np.ndarray, cropped: np.ndarray, size: int) -> None:
        after = _counts(out)
        new = set(np.nonzero((after > 0) & (before[: len(after)] == 0))[0].tolist()) - {self.ignore_index}
        new -= set(range(len(self.classes))) if self.mixed else set()
        self.invented |= new
        self.bad += bool(new)
        self.draws += 1
        n = len(self.classes)
        present = before[:n] > 0
        self.before += np.where(present, cropped[:n], 0) / size
        self.after += np.where(present, after[:n], 0) / out.size
        self.present += present
        self.gone += present & (after[:n] == 0)
        self.cut += present & (cropped[:n] == 0)
        self.ignored.append(max(0.0, after[self.ignore_index] / out.size - before[self.ignore_index] / mask.size))

    def lines(self) -> list[AuditLine]:
        """Returns the lines on labels invented, what is left of each class, how much is ignored."""
        share = self.bad / max(1, self.draws)
        names = ", ".join(map(str, sorted(self.invented)[:5])) or "none"
        filled = float(np.mean(self.ignored)) if self.ignored else 0.0
        invented = AuditLine.judged(
            "labels invented",
            100 * share,
            f"{names}; in {percent(share)} of draws",
            fail=0,
            meaning="labels in a mask that were not in it before: interpolated, or painted outside; nearest and "
            "ignore_index only",
        )
        ignored = AuditLine.judged(
            "ignored",
            100 * filled,
            f"{percent(filled)}, at most {percent(max(self.ignored, default=0.0))}",
            warn=25,
            fail=60,
            meaning="mask pixels that come from outside the image and count in no loss",
        )
        return [invented, *self._classes(), ignored]

    def _classes(self) -> list[AuditLine]:
        found = []
        for i, name in enumerate(self.classes):
            if not self.present[i]:
                found.append(AuditLine.unmeasured(f"class {name}", "not measured: in no sampled mask"))
                continue
            kept, cut = self.after[i] / max(self.before[i], 1e-12), self.cut[i] / self.present[i]
            gone = max(0.0, self.gone[i] / self.present[i] - cut)
            meaning = "share of its area kept; samples that held the class and lost it whole, beyond those of the crop"
            shown = f"{100 * kept:.0f} % kept, gone in {percent(gone)}"
            shown += f", {percent(cut)} by the crop" if cut else ""
            line = AuditLine.judged(f"class {name}", 100 * gone, shown, warn=5, fail=50, meaning=meaning)
            low = "fail" if kept < 0.1 else "warn" if kept < 0.5 else "ok"
            verdict = max(line.verdict, low, key=("ok", "warn", "fail").index)
            thresholds = "warn kept < 50 %, gone > 5 %; fail kept < 10 %, gone > 50 %"
            found.append(line._replace(verdict=verdict, threshold=thresholds))
        return found


def _counts(mask: np.ndarray) -> np.ndarray:
    flat = mask.reshape(-1)
    return np.bincount(flat if flat.dtype.kind in "ui" else flat.astype(np.int64), minlength=256)


class IntensityTally:
    """Measures the change of grey values by what leaves pixels in place."""

    def __init__(self) -> None:
        """Starts without a draw."""
        self.changes = list[float]()
        self.apart = True

    def add(self, parts: TransformParts, image: np.ndarray, mask: np.ndarray, key: Key) -> None:
        """Adds one draw."""
        if parts.colouring is None:
            self.apart = False
            return
        self.changes.append(mean_change(image, parts.colouring(image.copy(), mask, key)[0]))

    def line(self) -> AuditLine:
        """Returns the line on the mean absolute change, of the full range."""
        if not self.apart:
            return AuditLine.unmeasured(
                "intensity", "not measured: places and grey values cannot be told apart from outside"
            )
        mean, most = (float(f(self.changes)) if self.changes else 0.0 for f in (np.mean, np.max))
        return AuditLine.judged(
            "intensity",
            100 * mean,
            f"{percent(mean)}, at most {percent(most)}",
            warn=15,
            fail=40,
            meaning="mean absolute change of a grey value, of the full range",
        )


def mean_change(image: np.ndarray, new: np.ndarray) -> float:
    """Returns the mean absolute change, of 255 for uint8, else of what the image spans; 1 for another size."""
    if image.shape != new.shape:
        return 1.0
    full = 255.0 if image.dtype == np.uint8 else float(np.ptp(image)) or 1.0
    return float(np.abs(new.astype(np.float32) - image.astype(np.float32)).mean()) / full
