"""The mark `left_out`: plain tests that the last plain run did not pass, as they ask for an extra that was not there.

pytest && pip install -e ".[serve]" && pytest -m left_out
"""

import pytest

PASSED = "segtrain/passed"
_passed: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks them, before -m is looked at; all of them where nothing is known of a plain run."""
    cache = getattr(config, "cache", None)  # none with -p no:cacheprovider
    known = set(cache.get(PASSED, []) if cache is not None else [])
    for item in items:
        if item.nodeid not in known and not item.get_closest_marker("slow"):
            item.add_marker("left_out")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Notes what passed, of all processes."""
    if report.when == "call" and report.passed:
        _passed.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keeps it, when it was a plain run."""
    config, cache = session.config, getattr(session.config, "cache", None)
    if cache is not None and config.getoption("markexpr") == "not slow" and not hasattr(config, "workerinput"):
        cache.set(PASSED, _passed)
