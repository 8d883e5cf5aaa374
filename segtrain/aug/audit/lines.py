"""Says what an audit measured, against which threshold, and what it means."""

from typing import Any, NamedTuple


class AuditLine(NamedTuple):
    """Holds one measurement and its verdict."""

    check: str
    value: float | None  # None where it could not be measured
    shown: str
    threshold: str
    verdict: str  # unmeasured, ok, warn or fail
    meaning: str

    @classmethod
    def judged(
        cls,
        check: str,
        value: float,
        shown: str,
        *,
        warn: float | None = None,
        fail: float | None = None,
        least: bool = False,
        unit: str = " %",
        meaning: str,
    ) -> "AuditLine":
        """Returns a line that warns, or fails, above a threshold, or below it where the threshold is the least."""
        named = {"warn": warn, "fail": fail}
        limits = {verdict: limit for verdict, limit in named.items() if limit is not None}
        passed = [verdict for verdict, limit in limits.items() if (value < limit if least else value > limit)]
        threshold = ", ".join(f"{verdict} {'<' if least else '>'} {v:g}{unit}" for verdict, v in limits.items())
        return cls(check, value, shown, threshold or "none", passed[-1] if passed else "ok", meaning)

    @classmethod
    def unmeasured(cls, check: str, why: str) -> "AuditLine":
        """Returns a line without a value, where nothing of the kind is there to measure."""
        return cls(check, None, "–", "none", "unmeasured", why)

    def to_json(self) -> dict[str, Any]:
        """Returns the line as a JSON-ready dict."""
        return self._asdict()


def percent(share: float) -> str:
    """Returns a share in 0..1 as a reader wants it."""
    return f"{100 * share:.3g} %"
