"""Says what an image scores in a comparison, and which images are empty: hold nothing of what is sought.

An empty image on which nothing is predicted is right, and counts as 1; what is predicted on it is a false positive, and
counts as 0. So do the BraTS challenges (Isensee et al. 2020, arXiv 2011.00848, section 2), and so an arm that sees what
is not there cannot gain by it. Only an image of which no pixel counts (all of its mask is the ignore index) has no
score.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from segtrain.app.report.read_runs import Run

TRUTH = "truth/"  # columns of per_image.csv: counted pixels of each class in the truth
PIXELS = "pixels"  # its column of counted pixels
BACKGROUND = "background"
Images = Mapping[str, Mapping[str, float]]  # test image to its scores


class FalsePositives(NamedTuple):
    """Counts predictions of what is not there."""

    empty: int  # images without it, each counted once a run
    found: int  # those on which it is predicted

    def __str__(self) -> str:
        """Returns words such as "12 of 120 (10 %)"; none where no image is empty."""
        return f"{self.found} of {self.empty} ({self.found / self.empty:.0%})" if self.empty else ""


def score_of_image(row: Mapping[str, float], score: str) -> float:
    """Returns the score of an image, in [0, 1]; 1 where it is rightly empty.

    NaN where no pixel of it counts, or where the run has no such score.
    """
    if score not in row:
        return math.nan
    if not math.isnan(row[score]):
        return row[score]
    return math.nan if _pixels(row) == 0 else 1.0


def _pixels(row: Mapping[str, float]) -> float:
    counts = _truth(row)
    return sum(counts.values()) if counts else row.get(PIXELS, 1.0)


def _truth(row: Mapping[str, float]) -> dict[str, float]:
    """Returns the counted pixels of each class; empty where an older version wrote the row, if only the row."""
    found = {key.removeprefix(TRUTH): count for key, count in row.items() if key.startswith(TRUTH)}
    return {} if any(map(math.isnan, found.values())) else found


def empty_images(runs: Iterable[Run], score: str) -> set[str]:
    """Returns the test images whose truth holds nothing of a score's class, or of any class but the background.

    Runs of older versions do not write what the truth holds: there an image is known to be empty where a run has no
    score of it, and one on which every run predicts something cannot be told from one on which every run misses.
    """
    return {name for run in runs for name, row in run.images.items() if _is_empty(row, score)}


def _is_empty(row: Mapping[str, float], score: str) -> bool:
    if _pixels(row) == 0 or score not in row:
        return False
    of = score.partition("/")[2]
    counts = _truth(row)
    if not counts:
        return math.isnan(row[score])
    return (counts.get(of, math.nan) if of else sum(n for name, n in counts.items() if name != BACKGROUND)) == 0


def count_false_positives(runs: Sequence[Run], score: str, empty: set[str]) -> FalsePositives:
    """Returns on how many of the empty images the runs predict what is not there."""
    scored = [score_of_image(run.images[name], score) for run in runs for name in empty & run.images.keys()]
    known = [one for one in scored if not math.isnan(one)]
    return FalsePositives(len(known), sum(one < 1 for one in known))
