"""What other programs take of the cores is told of a training that lacks them, and of no other."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.train.other_programs import LEAST, CoreTimes, busy_words, cores_taken, read_core_times

BURNED = 0.3  # seconds of a core
BURN = f"""
import sys, time
while time.process_time() < {BURNED}: pass
print(flush=True)
sys.stdin.readline()
"""


def look() -> CoreTimes:
    times = read_core_times()
    if times is None:
        pytest.skip("this system does not count the work of its cores")
    return times


def test_what_another_program_does_counts_and_our_own_does_not() -> None:
    before = look()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-S", "-c", BURN], **pipes) as other:
        assert other.stdout is not None
        other.stdout.readline()  # it is still there: what a child did is our own work when it has ended
        now = look()
        other.communicate(b"\n")
    ended = look()
    worked, own = now.worked - before.worked, now.own - before.own
    assert worked - own > 0.8 * BURNED  # at least: others are there too; counted in hundredths of a second
    assert ended.own - now.own > 0.8 * BURNED


def test_too_short_a_look_tells_nothing() -> None:
    before = CoreTimes(10.0, 100.0, 5.0)
    assert cores_taken(before, CoreTimes(10.0 + 0.9 * LEAST, 109.0, 6.0)) is None
    assert cores_taken(None, before) is None and cores_taken(before, None) is None


@given(
    taken=st.floats(0, 8), own=st.floats(0, 8), seconds=st.floats(LEAST * 1.001, 60), since=st.floats(0, 1e6)
)  # cores and cores; the machine's times began long ago
def test_cores_are_seconds_of_others_a_second(taken: float, own: float, seconds: float, since: float) -> None:
    now = CoreTimes(since + seconds, since + (taken + own) * seconds, own * seconds)
    assert cores_taken(CoreTimes(since, since, 0.0), now) == pytest.approx(taken, abs=1e-6)


@given(cores=st.integers(1, 64), data=st.data())
def test_a_training_is_told_that_lacks_cores_and_one_that_has_them_is_not(cores: int, data: st.DataObject) -> None:
    threads = data.draw(st.integers(1, cores))
    siblings = float(cores - threads)  # jobs of a sweep that fills the machine
    assert not busy_words(None, cores, threads)
    assert not busy_words(data.draw(st.floats(0, siblings)), cores, threads)
    assert f"{siblings + 1:.1f} of {cores} core" in busy_words(siblings + 1, cores, threads)
