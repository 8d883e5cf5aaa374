"""What CI runs again when the extras are there: what was skipped, or not there, without them."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests import left_out


class Cache(dict[str, Any]):
    """pytest's, which lives from one session to the next."""

    def set(self, key: str, value: Any) -> None:
        self[key] = list(value)


def item(name: str, slow: bool, marked: list[str]) -> Any:
    """A collected test, which notes its name where it is marked."""
    return SimpleNamespace(
        nodeid=name, get_closest_marker=lambda mark: slow or None, add_marker=lambda mark: marked.append(name)
    )


@pytest.mark.parametrize(("ran", "left"), [("not slow", ["skipped", "new"]), ("slow", ["passed", "skipped", "new"])])
def test_all_that_passed_in_no_plain_run_is_left_out(
    ran: str, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(left_out, "_passed", [])
    config: Any = SimpleNamespace(cache=Cache(), getoption={"markexpr": ran}.get)
    for name, outcome in (("passed", True), ("skipped", False)):
        left_out.pytest_runtest_logreport(SimpleNamespace(nodeid=name, when="call", passed=outcome))  # type: ignore[arg-type]
        left_out.pytest_runtest_logreport(SimpleNamespace(nodeid=name, when="setup", passed=True))  # type: ignore[arg-type]
    left_out.pytest_sessionfinish(SimpleNamespace(config=config))  # type: ignore[arg-type]
    marked = list[str]()
    items = [item(name, False, marked) for name in ("passed", "skipped", "new")] + [item("long", True, marked)]
    left_out.pytest_collection_modifyitems(config, items)
    assert marked == left
