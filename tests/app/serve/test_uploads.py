"""What was dropped on serve's page: whose it is, how much of it there may be, when it is deleted."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.app.serve.uploads import KEPT, MOST_FILES, MOST_SESSIONS, Uploads
from segtrain.errors import UserError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def uploads(folder: Path, most: int = 100, in_all: int = 10_000, clock: Clock | None = None) -> Uploads:
    return Uploads(folder, most, in_all, lambda: None, clock or Clock())


def put(held: Uploads, session: str, size: int = 10, name: str = "a.png") -> str:
    key, path = held.take(session, name, size)
    path.write_bytes(b"0" * size)
    return key


def test_a_file_is_its_sessions_alone(tmp_path: Path) -> None:
    held = uploads(tmp_path)
    mine, other = held.begin(), held.begin()
    key = put(held, mine)
    found = held.find(mine, key)
    assert found is not None and found.path.read_bytes() == b"0" * 10 and found.name == "a.png"
    assert found.path.parent == tmp_path and found.path.suffix == ".png"
    for session, guess in ((other, key), (mine, key[:-1]), (mine, str(found.path)), (mine, ""), ("nobody", key)):
        assert held.find(session, guess) is None
    held.drop(other, key)
    assert found.path.exists()
    held.drop(mine, key)
    assert not found.path.exists() and held.find(mine, key) is None


@pytest.mark.parametrize("name", ["../../a.png", "/etc/passwd", "a\0.png", "a.png\n", "x" * 5000, "", ".nii.gz"])
def test_a_name_leads_nowhere(tmp_path: Path, name: str) -> None:
    held = uploads(tmp_path)
    put(held, held.begin(), name=name)
    (path,) = tmp_path.rglob("*")
    assert path.parent == tmp_path and path.name.partition(".")[0].isalnum()


def test_too_much_is_refused_and_the_oldest_of_a_session_makes_room(tmp_path: Path) -> None:
    held = uploads(tmp_path, most=100, in_all=300)
    session = held.begin()
    with pytest.raises(UserError, match="max_mb="):
        held.take(session, "a.png", 101)
    keys = [put(held, session) for _ in range(MOST_FILES + 1)]
    assert [held.find(session, key) is not None for key in keys] == [False, *[True] * MOST_FILES]
    assert len(list(tmp_path.iterdir())) == MOST_FILES
    for _ in range(2):
        put(held, held.begin(), 100)
    with pytest.raises(UserError, match="max_uploads_mb="):
        held.take(held.begin(), "a.png", 100)
    held.end(session)
    put(held, held.begin(), 100)


def test_what_nobody_asks_for_is_deleted_with_age(tmp_path: Path) -> None:
    clock = Clock()
    held = uploads(tmp_path, clock=clock)
    session = held.begin()
    old, used = put(held, session), put(held, session)
    clock.now = KEPT - 1
    assert held.find(session, used) is not None
    clock.now = KEPT + 1
    held.drop_old()
    assert held.find(session, old) is None and held.find(session, used) is not None


def test_the_session_that_was_not_heard_of_for_longest_is_forgotten(tmp_path: Path) -> None:
    held = uploads(tmp_path)
    first, second = held.begin(), held.begin()
    put(held, second)
    assert held.knows(first)
    for _ in range(MOST_SESSIONS - 1):
        held.begin()
    assert held.knows(first) and not held.knows(second) and not list(tmp_path.iterdir())


STEPS = st.lists(st.tuples(st.sampled_from(["take", "drop", "end", "begin"]), st.integers(0, 3), st.integers(1, 120)))


@given(STEPS)
def test_files_on_disk_are_those_that_are_held_and_never_too_many(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("uploads")
    held, sessions, keys = uploads(folder, in_all=400), [], []
    for step, number, size in steps:
        if step == "begin" or not sessions:
            sessions.append(held.begin())
        session = sessions[number % len(sessions)]
        if step == "take" and held.knows(session):
            with contextlib.suppress(UserError):
                keys.append((session, put(held, session, size)))
        elif step == "drop" and keys:
            held.drop(*keys[number % len(keys)])
        elif step == "end":
            held.end(session)
        found = [file for one, key in keys if (file := held.find(one, key))]
        assert {file.path for file in found} == set(folder.iterdir())
        assert sum(file.size for file in found) <= 400 and all(file.size <= 100 for file in found)
