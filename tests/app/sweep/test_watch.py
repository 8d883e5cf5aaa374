"""What a sweep says while it runs: a line for each job that ends."""

import pytest

from segtrain.app.sweep.pool import Answer, Outcome
from segtrain.app.sweep.watch import Watch


@pytest.mark.parametrize(("tells_skipped", "lines"), [(True, 3), (False, 1)])
def test_jobs_that_were_finished_before_may_be_counted_only(
    tells_skipped: bool, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {f"outputs/s/seed={i}": f"seed={i}" for i in range(3)}
    states = ("skipped", "finished", "skipped")
    ended = [Outcome(name, Answer(state), 1.0) for name, state in zip(names, states, strict=True)]  # type: ignore[arg-type]
    with Watch(names, 2, tells_skipped=tells_skipped) as watch:
        watch([], ended)
    out = capsys.readouterr().out
    assert sum(f"{name}: " in out for name in names.values()) == lines
    assert "1 finished, 2 skipped" in out
