"""Questions in line: one at a time, for a limited time, the last of each session."""

import asyncio
import threading
import time
from typing import Any

import pytest

from segtrain.app.serve.queue import MOST_WAITING, Queue, TimeLimit
from segtrain.errors import UserError


def slow(limit: TimeLimit, seconds: float = 30.0) -> str:
    """An answer in many steps, as windows are."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        limit.require()
        time.sleep(0.002)
    return "done"


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_comes() -> None:
    async def both() -> tuple[Any, Any, float]:
        limit = TimeLimit(0.2)
        line, began = Queue(limit), time.monotonic()
        asked = [line.ask("a", lambda: slow(limit)), line.ask("b", lambda: "the next")]
        found = await asyncio.gather(*asked, return_exceptions=True)
        line.end()
        return found[0], found[1], time.monotonic() - began

    first, second, took = asyncio.run(both())
    assert isinstance(first, UserError) and "max_seconds=" in str(first)
    assert second == "the next" and 0.2 <= took < 5


def test_what_a_session_asked_before_is_given_up() -> None:
    async def ask() -> list[Any]:
        limit = TimeLimit(60)
        line = Queue(limit)
        first = asyncio.create_task(line.ask("a", lambda: slow(limit)))
        await asyncio.sleep(0.05)  # it has begun
        others = [line.ask("a", lambda: "second"), line.ask("b", lambda: "of another"), line.ask("a", lambda: "last")]
        found = await asyncio.gather(first, *others, return_exceptions=True)
        line.end()
        return found

    first, second, other, last = asyncio.run(ask())
    assert isinstance(first, UserError) and isinstance(second, UserError)
    assert (other, last) == ("of another", "last")


def test_the_line_has_a_length() -> None:
    async def ask() -> list[Any]:
        limit, go = TimeLimit(60), threading.Event()
        line = Queue(limit)
        asked = [asyncio.create_task(line.ask(str(number), go.wait)) for number in range(MOST_WAITING + 5)]
        await asyncio.sleep(0.05)
        go.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert await line.ask("later", lambda: "room again") == "room again"
        line.end()
        return found

    found = asyncio.run(ask())
    assert found[: MOST_WAITING + 1] == [True] * (MOST_WAITING + 1)
    assert [type(one) for one in found[MOST_WAITING + 1 :]] == [UserError] * 4


def test_the_end_gives_up_what_is_asked() -> None:
    async def ask() -> Any:
        limit = TimeLimit(60)
        line = Queue(limit)
        asked = asyncio.create_task(line.ask("a", lambda: slow(limit)))
        await asyncio.sleep(0.05)
        line.end()
        return await asyncio.gather(asked, return_exceptions=True)

    (found,) = asyncio.run(ask())
    assert isinstance(found, UserError) and "stopped" in str(found)


@pytest.mark.parametrize("error", [ValueError, MemoryError])
def test_an_error_of_the_answer_reaches_who_asked(error: type[Exception]) -> None:
    def fail() -> None:
        raise error("no")

    async def ask() -> None:
        line = Queue(TimeLimit(60))
        with pytest.raises(error):
            await line.ask("a", fail)
        assert await line.ask("a", lambda: "goes on") == "goes on"
        line.end()

    asyncio.run(ask())
