"""What the values of a scan become: as they are, windowed, or normalised over the scan."""

from collections.abc import Sequence

import numpy as np

from segtrain.data.files.scans import Array, Recent, Scan, plane
from segtrain.errors import UserError


class Intensity:
    """Slices of scans with their values brought to a range; see the arguments of `Volume`."""

    def __init__(
        self, window: Sequence[float] | None, normalise: str | None, percentiles: Sequence[float], recent: Recent
    ) -> None:
        """Keep the choices; `recent` holds the scans that were read."""
        self._window, self._normalise, self._percentiles, self._recent = window, normalise, percentiles, recent
        self._ranges: dict[str, list[tuple[float, float]]] = {}

    def image(self, scan: Scan, axis: int, at: int) -> Array:
        """The slice (H, W, C) float32, windowed or normalised.

        Raises:
            UserError: a value that is no finite number, or a scan without a range.
        """
        values = scan.values(plane(self._recent.load(scan), scan.grid, axis, at))
        values = values[..., None] if values.ndim == 2 else values
        ranges = np.array(self._range(scan), np.float32)
        scaled: Array = (values - ranges[:, 0]) / (ranges[:, 1] - ranges[:, 0])
        return np.clip(scaled, 0, 1) if self._window or self._normalise == "percentile" else scaled

    def _range(self, scan: Scan) -> list[tuple[float, float]]:
        """What becomes 0 and what becomes 1, for each channel of a scan."""
        if self._window:
            return [(self._window[0], self._window[1])] * scan.channels
        if not self._normalise:
            return [(0, 1)] * scan.channels
        if scan.name not in self._ranges:
            values = scan.values(self._recent.load(scan)).reshape(-1, scan.channels, order="F")
            self._ranges[scan.name] = [self._measured(values[:, i], scan.name) for i in range(scan.channels)]
        return self._ranges[scan.name]

    def _measured(self, values: Array, name: str) -> tuple[float, float]:
        body = values[values != 0]
        if not len(body) or body.min() == body.max():
            raise UserError(
                f"'{name}' holds one value only, beside 0, so that dataset.normalise={self._normalise} has no range; "
                "remove the scan, or give dataset.window"
            )
        if self._normalise == "percentile":
            low, high = np.percentile(body, list(self._percentiles))
            return float(low), float(high)
        mean = float(body.mean(dtype=np.float64))
        return mean, mean + float(body.std(dtype=np.float64))
