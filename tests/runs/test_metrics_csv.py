"""metrics.csv reads back what was appended, whatever happened in between."""

import csv
import errno
import io
import math
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segtrain.errors import UserError
from segtrain.runs.metrics_csv import DATA_WAIT, MetricsTable, read_csv, reproducible_bytes, write_csv


def test_rows_come_back_exactly_and_in_order(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    rows = [{"epoch": e, "step": 10 * e, "train/loss": 0.1 + e / 3, "lr": 1e-7, "n": e} for e in range(4)]
    for row in rows:
        table.append(row)
    assert table.rows() == rows
    assert [type(value) for value in table.rows()[1].values()] == [int, int, float, float, int]


@settings(max_examples=20, deadline=None)  # a disk may take its time
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=100))
def test_any_float_survives(values):
    with TemporaryDirectory() as folder:
        table = MetricsTable(Path(folder) / "metrics.csv")
        table.append({"epoch": 0, "step": 1, **{f"v{index}": value for index, value in enumerate(values)}})
        assert repr(list(table.rows()[0].values())[2:]) == repr(values)


def test_appending_leaves_the_bytes_before_it(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.append({"step": 5, "val/dice": 0.5, "epoch": 0})
    before = table.path.read_bytes()
    inode = table.path.stat().st_ino
    table.append({"val/dice": 0.6, "epoch": 1, "step": 9})
    assert table.path.read_bytes() == before + b"2,9,0.6\n"
    assert table.path.stat().st_ino == inode  # appended, not rewritten


def test_new_column_stands_last_and_is_blank_before(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.append({"epoch": 0, "step": 1, "a": 1.0})
    table.append({"epoch": 1, "step": 2, "b": 2.0})
    table.append({"epoch": 2, "step": 3, "b": math.nan, "a": 3.0})
    assert table.path.read_text() == "epoch_from_1,step,a,b\n1,1,1.0,\n2,2,,2.0\n3,3,3.0,nan\n"
    assert table.rows()[:2] == [{"epoch": 0, "step": 1, "a": 1.0}, {"epoch": 1, "step": 2, "b": 2.0}]
    assert math.isnan(table.rows()[2]["b"])


@pytest.mark.parametrize("at", range(6))
def test_cut_and_written_again_gives_the_same_bytes(tmp_path, at):
    rows = [{"epoch": e, "step": e, "x": e / 7, **({"late": e / 3} if e > 2 else {})} for e in range(6)]
    table = MetricsTable(tmp_path / "metrics.csv")
    for row in rows:
        table.append(row)
    whole = table.path.read_bytes()
    table.cut(at)
    assert [row["epoch"] for row in table.rows()] == list(range(at + 1))
    for row in rows[at + 1 :]:
        table.append(row)
    assert table.path.read_bytes() == whole


def test_line_that_a_crash_cut_off_counts_as_not_written(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.append({"epoch": 0, "step": 1, "x": 0.25})
    whole = table.path.read_bytes()
    table.path.write_bytes(whole + b"2,2,0.12")
    assert len(table.rows()) == 1
    table.cut(5)
    assert table.path.read_bytes() == whole
    table.path.write_bytes(whole + b"2,2,0.12")
    table.append({"epoch": 1, "step": 2, "x": 0.125})
    assert table.path.read_bytes() == whole + b"2,2,0.125\n"


def test_failed_append_leaves_no_half_line(tmp_path, monkeypatch):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.append({"epoch": 0, "step": 1, "x": 0.25})
    whole = table.path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"metrics\.csv.*No space"):
        table.append({"epoch": 1, "step": 2, "x": 0.5})
    assert table.path.read_bytes() == whole


def test_an_epoch_is_never_written_twice(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.append({"epoch": 3, "step": 1})
    with pytest.raises(ValueError, match="epoch 3 came after epoch 3"):
        table.append({"epoch": 3, "step": 2})


def test_damaged_table_is_named(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step\n0,1\n\x00\x00,2,3\n")
    with pytest.raises(UserError, match=r"metrics\.csv' is damaged"):
        MetricsTable(path).rows()


def test_no_file_is_no_rows(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv")
    table.cut(3)
    assert table.rows() == [] and not table.path.exists()


def test_write_csv_quotes_names_and_fills_gaps(tmp_path):
    rows = [{"id": 'a,"1".png', "dice": 0.5}, {"id": "b", "dice": math.nan, "iou": 1.0}]
    write_csv(tmp_path / "per_image.csv", rows)
    assert (tmp_path / "per_image.csv").read_text() == 'id,dice,iou\n"a,""1"".png",0.5,\nb,nan,1.0\n'


def test_no_row_is_added_through_a_link(tmp_path):
    table, mine = MetricsTable(tmp_path / "metrics.csv"), tmp_path / "mine.csv"
    table.append({"epoch": 0, "step": 1})
    table.path.rename(mine)
    table.path.symlink_to(mine)
    before = mine.read_bytes()
    with pytest.raises(UserError, match="is a link"):
        table.append({"epoch": 1, "step": 2})
    table.append({"epoch": 1, "step": 2, "new": 3})  # written anew, in the link's place
    assert mine.read_bytes() == before and not table.path.is_symlink() and len(table.rows()) == 2


@given(
    st.lists(
        st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1),
        min_size=1,
        unique=True,
    )
)
def test_names_come_back_and_none_is_run_by_a_spreadsheet(names):
    with TemporaryDirectory() as folder:
        path = Path(folder, "per_image.csv")
        write_csv(path, [{"id": name, f"dice/{name}": 0.5, "gain": -0.25} for name in names])
        rows = read_csv(path)
        assert [row["id"] for row in rows] == names and {row["gain"] for row in rows} == {-0.25}
        assert all(row[f"dice/{name}"] == 0.5 for row, name in zip(rows, names, strict=True))
        for cells in csv.reader(io.StringIO(path.read_text("utf-8"), newline="")):
            for cell in cells:
                assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r") or float(cell) is not None


def test_a_formula_is_a_text(tmp_path):
    write_csv(tmp_path / "a.csv", [{"id": "=cmd|' /C calc'!A0", "n": -1}, {"id": "'=x", "n": 2}])
    assert (tmp_path / "a.csv").read_text() == "id,n\n'=cmd|' /C calc'!A0,-1\n''=x,2\n"


@pytest.mark.parametrize(
    "text",
    [
        "id,dice\na,0.5", "id,dice\na,0.5\nb\n", "id,dice\na,x\n", "id,dice\na,1.5\n", "id,dice\n,0.5\n", "",
        "dice\n0.5\n",
        "id,dice,dice\na,0.5,0.5\n", "id,dice\na,inf\n", "id,dice\n", 'id,dice\n"a,0.5\n', "\x00",
        "id,dice\n" + "a" * 200_000,
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_one_message(tmp_path, text):
    path = tmp_path / "per_image.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"per_image\.csv' is damaged"):
        read_csv(path)


@pytest.mark.parametrize(
    "text",
    [
        "{}", "a,b\n", "epoch,step\nx,1\n", "epoch,step\n0,x\n", "epoch,step\n0,1\n0,2\n",
        "epoch,step\n\u00b2,1\n",
        "epoch,step\n0," + "9" * 5000 + "\n", "epoch,step,step\n0,1,1\n",
        "epoch,step\n-1,1\n", "epoch,step\n0,1e9999\n",
    ],
)  # fmt: skip
def test_metrics_that_are_none_are_one_message(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"metrics\.csv' is damaged"):
        MetricsTable(path).rows()


def test_what_a_command_gives_again_leaves_out_the_times(tmp_path: Path) -> None:
    texts = []
    for name, share in (("a", 0.1), ("b", 0.2)):
        (tmp_path / name).mkdir()
        table = MetricsTable(tmp_path / name / "metrics.csv")
        table.append({"epoch": 0, "step": 2, DATA_WAIT: share, "val/dice": 1 / 3})
        texts.append(reproducible_bytes(table.path))
    assert texts[0] == texts[1] == b"epoch_from_1,step,val/dice\n1,2,0.3333333333333333\n"
    other = tmp_path / "results.json"
    other.write_bytes(b"train/data_wait\r\n")
    assert reproducible_bytes(other) == other.read_bytes()
