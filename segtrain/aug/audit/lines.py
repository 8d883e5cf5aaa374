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
    def below(
        cls,
        check: str,
        value: float,
        shown: str,
        *,
        warn: float | None = None,
        fail: float | None = None,
        unit: str = " %",
        meaning: str,
    ) -> "AuditLine":
        """Returns a line that warns, or fails, above a threshold."""
        bad = "fail" if fail is not None and value > fail else "warn" if warn is not None and value > warn else "ok"
        named = {"warn": warn, "fail": fail}
        threshold = ", ".join(f"{k} > {v:g}{unit}" for k, v in named.items() if v is not None)
        return cls(check, value, shown, threshold or "none", bad, meaning)

    @classmethod
    def above(
        cls,
        check: str,
        value: float,
        shown: str,
        *,
        warn: float | None = None,
        fail: float | None = None,
        unit: str = " %",
        meaning: str,
    ) -> "AuditLine":
        """Returns a line that warns, or fails, below a threshold."""
        bad = "fail" if fail is not None and value < fail else "warn" if warn is not None and value < warn else "ok"
        named = {"warn": warn, "fail": fail}
        threshold = ", ".join(f"{k} < {v:g}{unit}" for k, v in named.items() if v is not None)
        return cls(check, value, shown, threshold or "none", bad, meaning)

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
