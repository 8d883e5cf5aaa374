"""Epochs and batches: from 0 in the code, from 1 where they are read, and files of before are told apart."""

from hypothesis import given
from hypothesis import strategies as st

from segtrain.runs.epochs import index_of, number_of, read_index, written
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import MetricsTable

INDEX = st.integers(0, 10**6)


@given(INDEX)
def test_what_is_written_is_read_as_what_it_was_and_so_is_what_was_written_before(index: int) -> None:
    assert number_of(0) == 1 and index_of(number_of(index)) == index
    assert read_index(written("epoch", index), "epoch") == index == read_index({"epoch": index}, "epoch")
    assert list(written("epoch", index).values()) == [number_of(index)]
    assert read_index({}, "epoch") is None


def test_metrics_csv_counts_from_1_and_says_so(tmp_path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv")
    for epoch in range(3):
        table.append({"epoch": epoch, "step": 10 * epoch, "x": 0.5})
    lines = table.path.read_text().splitlines()
    assert lines[0].split(",")[0] == "epoch_from_1" and [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
    assert [row["epoch"] for row in table.rows()] == [0, 1, 2]
    table.cut(1)
    assert [row["epoch"] for row in table.rows()] == [0, 1]


def test_a_metrics_csv_of_before_is_read_and_goes_on_as_it_began(tmp_path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv")
    table.path.write_text("epoch,step,x\n0,2,0.5\n1,4,0.25\n2,6,0.125\n")
    assert [row["epoch"] for row in table.rows()] == [0, 1, 2]
    table.cut(1)
    table.append({"epoch": 2, "step": 6, "x": 0.1, "new": 1.0})
    assert table.path.read_text() == "epoch,step,x,new\n0,2,0.5,\n1,4,0.25,\n2,6,0.1,1.0\n"
    assert table.rows()[-1] == {"epoch": 2, "step": 6, "x": 0.1, "new": 1.0}


def test_changes_of_before_are_read(tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create("a: 1\n", [])
    run.change("a: 2\n", {"a": [1, 2]}, 3, 5)
    (entry,) = run.changes()
    assert (entry["epoch"], entry["batch"]) == (3, 5) and (entry["epoch_from_1"], entry["batch_from_1"]) == (4, 6)
    (run.path / "changes.yaml").write_text("- {at: now, epoch: 3, batch: 5, changed: {a: [1, 2]}}\n")
    (entry,) = run.changes()
    assert (entry["epoch"], entry["batch"]) == (3, 5)
