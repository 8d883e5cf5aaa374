"""What was done, and what is not to be replaced."""

import csv
import os
from pathlib import Path

import pytest

from segtrain.app.predict.progress import TABLE, Done
from segtrain.errors import UserError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"image")
    (tmp_path / "out").mkdir()
    return path


def test_done_is_what_the_same_model_made_of_the_same_file(source: Path) -> None:
    folder = source.parent / "out"
    output = folder / "a,1.png"
    output.write_bytes(b"labels")
    Done(folder, "m").add("a", source, [output])
    assert Done(folder, "m").has("a", source)
    assert not Done(folder, "other").has("a", source) and not Done(folder, "m").has("b", source)
    os.utime(source, ns=(0, 0))
    assert not Done(folder, "m").has("a", source)
    Done(folder, "m").add("a", source, [output])
    assert Done(folder, "m").has("a", source)  # the last line counts
    output.unlink()
    assert not Done(folder, "m").has("a", source)


def test_half_a_line_of_a_killed_process_counts_for_nothing(source: Path) -> None:
    folder = source.parent / "out"
    output = folder / "a.png"
    output.write_bytes(b"labels")
    done = Done(folder, "m")
    done.add("a", source, [output])
    whole = (folder / TABLE).read_text()
    (folder / TABLE).write_text(whole[:-20])
    assert not Done(folder, "m").has("a", source)
    Done(folder, "m").add("a", source, [output])
    assert Done(folder, "m").has("a", source)


def test_a_file_that_predict_has_not_made_is_not_replaced(source: Path) -> None:
    folder = source.parent / "out"
    output = folder / "a.png"
    output.write_bytes(b"precious")
    with pytest.raises(UserError, match="nothing was replaced"):
        Done(folder, "m").refuse_others("a", [output])
    Done(folder, "m").add("a", source, [output])
    Done(folder, "other").refuse_others("a", [output])  # another model's labels may replace ours
    with pytest.raises(UserError, match="is what predict made of 'a'"):
        Done(folder, "m").refuse_others("b", [output])


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x85b\u2028", "a|b", "a\\u0041", 'a,"b"', os.fsdecode(b"\xffa")])
def test_any_name_is_known_again(source: Path, name: str) -> None:
    folder = source.parent / "out"
    source = source.rename(source.with_name(f"{name}.png"))
    (output := folder / f"{name}.png").write_bytes(b"labels")
    for _ in range(2):
        Done(folder, "m").add(name, source, [output])
        done = Done(folder, "m")
        assert done.has(name, source)
        done.refuse_others(name, [output])
        with pytest.raises(UserError, match="is there already"):
            done.refuse_others("another", [output])
    assert (folder / TABLE).read_bytes().decode().count("\n") == 3


@pytest.mark.parametrize("name", ["=cmd", "+1+1", "@SUM(1)", "-rf", "'=1", "'a", "''@x"])
def test_no_name_is_a_formula_and_each_is_known_again(source: Path, name: str) -> None:
    folder = source.parent / "out"
    source = source.rename(source.with_name(f"{name}.png"))
    (output := folder / f"{name}.png").write_bytes(b"labels")
    Done(folder, "m").add(name, source, [output])
    cells = [cell for row in csv.reader((folder / TABLE).read_text().splitlines()) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "@", "-")]
    done = Done(folder, "m")
    assert done.has(name, source)
    done.refuse_others(name, [output])


def test_what_was_done_is_written_through_no_link(source: Path) -> None:
    folder, mine = source.parent / "out", source.parent / "mine"
    (folder / TABLE).symlink_to(mine)
    with pytest.raises(UserError, match="is a link"):
        Done(folder, "m").add("a", source, [])
    assert not mine.exists()
