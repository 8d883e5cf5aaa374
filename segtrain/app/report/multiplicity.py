"""Many arms at once: p-values and intervals that hold for all of them, so that the one that is picked may be believed.

Sources: Holm 1979 (Scand. J. Statist. 6:65); Hothorn, Bretz and Westfall 2008 (Biometrical Journal 50:346) for
simultaneous intervals by the maximum of correlated statistics.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from segtrain.app.report.paired import LEVEL

DRAWS = 20_000  # of the largest of many statistics


def holm(ps: Sequence[float]) -> list[float]:
    """Returns the p-values after Holm's correction for so many; a NaN stays one and counts for none."""
    known = sorted((p, i) for i, p in enumerate(ps) if not math.isnan(p))
    found, running = [math.nan] * len(ps), 0.0
    for rank, (p, i) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        found[i] = running
    return found


def level_for_each(tables: Sequence[np.ndarray]) -> float:
    """Returns the level at which each arm's own interval is to be taken, so that all hold at once in 95 of 100 sweeps.

    Arms share seeds, test images and often the baseline, so that their errors go together: the level is that of the
    largest of correlated normal statistics, and at most Bonferroni's. Tables of different rows or units are taken as
    unrelated.

    Args:
        tables: paired differences (rows, units) of each arm; NaN where a row does not test a unit.
    """
    many = len(tables)
    bonferroni = 1 - (1 - LEVEL) / max(many, 1)
    if many < 2 or len({table.shape for table in tables}) > 1:
        return bonferroni
    correlation = _correlation(np.stack(tables))
    if correlation is None:
        return bonferroni
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    drawn = np.random.default_rng(0).standard_normal((DRAWS, many)) @ root.T
    reach = float(np.quantile(np.abs(drawn).max(1), LEVEL))
    return min(1 - 2 * float(special.ndtr(-reach)), bonferroni)


def _correlation(stacked: np.ndarray) -> np.ndarray | None:
    """Correlations (arms, arms) of the arms' means, of differences (arms, rows, units); None where one never varies.

    The covariance of two means is that of `paired.crossed` with products of both in place of squares.
    """
    arms, rows, units = stacked.shape
    known = ~np.isnan(stacked)
    if rows < 2 or (known != known[:1]).any():
        return None
    of_rows = np.nanmean(stacked, 2)
    apart = of_rows - of_rows.mean(1, keepdims=True)
    covariance = apart @ apart.T / (rows - 1) / rows
    if known.all() and units > 1:
        of_units = stacked.mean(1) - stacked.mean((1, 2))[:, None]
        rest = (stacked - of_rows[:, :, None] - of_units[:, None]).reshape(arms, -1)
        n = rows * units
        covariance += of_units @ of_units.T * rows / (units - 1) / n - rest @ rest.T / ((rows - 1) * (units - 1)) / n
    spread = np.diag(covariance)
    if (spread <= 0).any():
        return None
    return np.asarray(covariance / np.sqrt(np.outer(spread, spread)))
