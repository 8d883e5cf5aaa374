"""Printed commands can be pasted as they stand: one line, quoted, with the folder of configs in force."""

import shlex
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.command_line import command, in_shell
from tests.conftest import SMALL, CommandLine
from tests.test_main import folder_data


@given(st.lists(st.text(st.characters(exclude_categories=["C"]), min_size=1), min_size=1))
def test_a_shell_reads_what_was_meant(arguments: list[str]) -> None:
    assert shlex.split(command("predict", *arguments)) == ["python", "-m", "segtrain", "predict", *arguments]


def test_what_is_plain_has_no_quotes() -> None:
    assert command("predict", "model=a/b.onnx", "input=…") == "python -m segtrain predict model=a/b.onnx input=…"
    assert in_shell("dataset.split.group='^(p)'") == "\"dataset.split.group='^(p)'\""
    assert command("check", "dataset=x", conf="my conf") == "python -m segtrain check --config-dir 'my conf' dataset=x"


def printed(out: str) -> Iterator[list[str]]:
    for line in out.splitlines():
        if "python -m segtrain" in line:
            yield shlex.split(line[line.index("python -m segtrain") :], comments=True)[3:]


@pytest.fixture
def cells(segtrain: CommandLine) -> CommandLine:
    folder_data(segtrain.folder / "data")
    path = segtrain.folder / "my_conf" / "dataset" / "cells.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("defaults: [folder]\nroot: data\nclasses: {background: 0, cell: 255}\n")
    return segtrain


QUICK = [o for o in SMALL if not o.startswith(("dataset", "trainer.max_epochs"))] + ["trainer.max_epochs=1"]


def test_the_next_command_has_the_folder_that_was_in_force(cells: CommandLine) -> None:
    for typed in (["--config-dir", "my_conf"], [f"--config-dir={cells.folder / 'my_conf'}"]):
        assert cells(*typed, "dataset=cells", *QUICK, f"name=n{len(typed)}") == 0, cells.err
        (following,) = printed(cells.out)
        assert following[:2] == ["--config-dir", "my_conf"] and "dataset=cells" in following
    assert cells("dataset=shapes", *QUICK) == 0, cells.err
    (following,) = printed(cells.out)
    assert "--config-dir" not in following and "--config-dir" not in cells.out
    single = [one for one in following[1:] if "," not in one or "[" in one]
    assert cells(*single, "--cfg", "job") == 0, cells.err


def test_a_folder_that_is_not_searched_is_named(cells: CommandLine) -> None:
    assert cells("dataset=cells", *QUICK) == 2
    assert "my_conf/dataset/cells.yaml" in cells.err and "--config-dir my_conf" in cells.err
    assert cells("dataset=cell", *QUICK) == 2 and "--config-dir my_conf" not in cells.err


def test_where_a_folder_is_given_none_is_advised(cells: CommandLine) -> None:
    for typed in (["--config-dir", "my_conf"], [f"--config-dir={cells.folder / 'my_conf'}"]):
        for wrong in ("dataset=celsl", "aug=flisp"):
            assert cells(*typed, wrong, *QUICK) == 2
            assert "--config-dir" not in cells.err and f"my_conf, as {wrong.replace('=', '/')}.yaml" in cells.err
        assert cells(*typed, "dataset=folder", *QUICK) == 2  # it lacks a root
        assert "--config-dir" not in cells.err and "my_conf/dataset/NAME.yaml" in cells.err
    (cells.folder / "other/dataset").mkdir(parents=True)
    (cells.folder / "other/dataset/mine.yaml").write_text("defaults: [shapes]\n")
    assert cells("--config-dir", "my_conf", "dataset=mine", *QUICK) == 2
    assert "--config-dir other in the place of my_conf" in cells.err


def test_shifts_of_a_run_alone_propose_no_report(cells: CommandLine) -> None:
    assert cells("dataset=shapes", *QUICK, "name=s", "aug=none") == 0, cells.err
    shifted = ["shift=noise", "shift_strength=1", "surface=false", "bootstrap=0"]
    (alone,) = (cells.folder / "outputs/s").iterdir()
    assert cells("evaluate", f"run={alone}", *shifted) == 0, cells.err
    assert list(printed(cells.out)) == []
    assert cells("dataset=shapes", *QUICK, "name=s", "aug=flips") == 0, cells.err
    assert cells("evaluate", f"run={alone}", *shifted, "seed=1") == 0, cells.err
    (following,) = printed(cells.out)
    assert following[0] == "evaluate"
    assert cells(*following, "surface=false", "bootstrap=0", "seed=1") == 0, cells.err
    *_, last = printed(cells.out)
    assert last == ["report", str(alone.parent)] and cells(*last) == 0, cells.err


@pytest.mark.parametrize("value", ["a\nb", "x\rrm -rf", "\x1b[2J", "it's\t\\", "\u202ea"])
def test_a_command_is_one_line_and_means_what_it_shows(value: str) -> None:
    shown = in_shell(f"name={value}")
    assert shown.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True)
    assert done.stdout.decode() == f"name={value}"
