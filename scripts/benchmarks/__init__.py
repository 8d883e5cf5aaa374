"""What every benchmark hands back: paired samples of ours and of the alternative, and the aim."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Comparison:
    """Samples taken in turn: `ours[i]` and `alternative[i]` stood side by side in time.

    `figure` is what the aim bounds from above: the median over pairs of ours / alternative, or of
    ours - alternative in `unit`; infinite where there is none.
    """

    name: str
    setting: str  # device, precision, sizes: what the figure holds for
    alternative_name: str
    unit: str
    figure: Literal["ratio", "difference"]
    aim: float
    ours: Sequence[float]
    alternative: Sequence[float]
    ours_name: str = "ours"

    @property
    def pairs(self) -> list[float]:
        both = zip(self.ours, self.alternative, strict=True)
        return [a / b if self.figure == "ratio" else a - b for a, b in both]

    @property
    def median(self) -> float:
        return statistics.median(self.pairs)

    @property
    def met(self) -> bool:
        return self.median <= self.aim

    def text(self) -> str:
        low, _, high = statistics.quantiles(self.pairs, n=4, method="inclusive")
        unit = "" if self.figure == "ratio" else f" {self.unit}"
        aim = f"; aim at most {self.aim:g}{unit}: {'met' if self.met else 'MISSED'}" if math.isfinite(self.aim) else ""
        return (
            f"{self.name} ({self.setting}; {len(self.ours)} pairs)\n"
            f"  {self.ours_name} {statistics.median(self.ours):.4g} {self.unit}, "
            f"{self.alternative_name} {statistics.median(self.alternative):.4g} {self.unit}\n"
            f"  {self.figure} {self.median:.3f}{unit}, middle half {low:.3f} to {high:.3f}{aim}"
        )

    def as_dict(self) -> dict[str, Any]:
        low, _, high = statistics.quantiles(self.pairs, n=4, method="inclusive")
        return {
            **{key: value for key, value in vars(self).items() if key not in ("ours", "alternative")},
            "median": {
                "ours": statistics.median(self.ours),
                "alternative": statistics.median(self.alternative),
                self.figure: self.median,
            },
            "quartiles": [low, high],
            "met": self.met,
            "samples": {"ours": list(self.ours), "alternative": list(self.alternative)},
        }
