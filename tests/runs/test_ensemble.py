"""A folder of runs that are used as one."""

import json
import shutil
from pathlib import Path

import pytest

from segtrain.errors import UserError
from segtrain.runs import ensemble
from segtrain.runs.ensemble import average_words, ensemble_members, ensemble_of, is_ensemble, run_name, write_ensemble
from segtrain.runs.find_run import find_run, find_runs, runs_of
from segtrain.runs.folder import RunFolder
from segtrain.runs.run_files import MEMBERS
from tests.app.report import made


def trained(folder: Path, seeds: int = 3) -> list[Path]:
    runs = [made.run(folder, "flips", 1.0, seed) for seed in range(seeds)]
    for run in runs:
        (run / "checkpoints" / "best.safetensors").write_bytes(run.name.encode())
        (run / "checkpoints" / "last.ckpt").write_bytes(b"large")
    return runs


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_ensemble_stands_alone(tmp_path: Path) -> None:
    runs = trained(tmp_path / "outputs/s")
    folder = tmp_path / "outputs/s/best"
    write_ensemble(folder, runs)
    assert is_ensemble(folder) and not is_ensemble(runs[0])
    for run in runs:
        for name in ("config.yaml", "results.json", "per_image.csv", "split.json", "checkpoints/best.safetensors"):
            assert (folder / run.name / name).read_bytes() == (run / name).read_bytes()
        assert not (folder / run.name / "checkpoints" / "last.ckpt").exists()
        shutil.rmtree(run)
    moved = folder.rename(tmp_path / "moved")
    assert [run.path for run in ensemble_members(moved)] == [moved / run.name for run in runs]


def test_it_is_meant_by_its_path_and_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = trained(Path("outputs/s"))
    write_ensemble(Path("outputs/s/best"), runs)
    expected = [run.name for run in runs]
    for named in ("outputs/s/best", "s/best", "best"):
        assert [run.path.name for run in runs_of(named, Path("outputs"))] == expected
        assert [run.path.name for run in find_runs([named], Path("outputs"))] == expected
        with pytest.raises(UserError, match="an ensemble of 3 runs"):
            find_run(named, Path("outputs"))
    assert find_run(runs[0].name, Path("outputs")).path == runs[0]  # a run's name is not the copy's too


def test_a_run_of_it_is_meant_by_its_name_and_a_name_that_several_have_by_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("s", "t"):
        runs = trained(Path("outputs") / name)
        write_ensemble(Path("outputs") / name / "best", runs)
    inner = Path("outputs/t/best") / runs[0].name
    assert find_run(f"t/best/{runs[0].name}", Path("outputs")).path == inner
    assert run_name(inner) == f"t/best/{runs[0].name}" and run_name(runs[0]) == f"t/{runs[0].name}"
    with pytest.raises(UserError, match="'best' is no run"):
        find_runs(["best"], Path("outputs"))


def test_it_is_called_by_its_name_and_arm(tmp_path: Path) -> None:
    runs = trained(tmp_path / "cells-find")
    write_ensemble(tmp_path / "cells-find/best", runs)
    words = average_words(ensemble_members(tmp_path / "cells-find/best"))
    assert words == "cells-find/best (3 runs of aug=flips,aug.strength=1 averaged)"
    assert average_words([RunFolder(run) for run in runs]) == f"cells-find/{runs[0].name} and 2 more, averaged"


@pytest.mark.parametrize("inside", ["", "run"])
def test_what_a_user_made_in_one_is_not_lost_when_another_takes_its_place(tmp_path: Path, inside: str) -> None:
    runs, folder = trained(tmp_path / "s"), tmp_path / "best"
    for number, members in enumerate((runs[:1], runs[:2], runs)):
        kept = write_ensemble(folder, members)
        assert kept == (tmp_path / f"best-{number}" if number else None)
        mine = folder / (members[0].name if inside else "") / "exported" / "model.onnx"
        mine.parent.mkdir()
        mine.write_text(f"{number}")
    mine = mine.relative_to(folder)
    assert [(tmp_path / f"best-{n}" / mine).read_text() for n in (1, 2)] == ["0", "1"]
    assert [len(ensemble_members(tmp_path / f"best-{n}")) for n in (1, 2)] == [1, 2]
    assert (folder / mine).read_text() == "2" and len(ensemble_members(folder)) == 3


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    runs, folder = trained(tmp_path / "s"), tmp_path / "best"
    write_ensemble(folder, runs)
    (folder / "exported").mkdir()
    before, inode = content(folder), folder.stat().st_ino
    write_ensemble(folder, runs)
    assert content(folder) == before and folder.stat().st_ino == inode
    write_ensemble(folder, runs[:2])
    assert [run.path.name for run in ensemble_members(folder)] == [run.name for run in runs[:2]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "best-1", "s"]  # something was made in it


def test_other_weights_of_the_same_runs_replace_it(tmp_path: Path) -> None:
    runs, folder = trained(tmp_path / "s"), tmp_path / "best"
    write_ensemble(folder, runs)
    (runs[1] / "checkpoints/best.safetensors").write_bytes(b"better")
    write_ensemble(folder, runs)
    assert (folder / runs[1].name / "checkpoints/best.safetensors").read_bytes() == b"better"


@pytest.mark.parametrize("at", range(1, 40, 6))
def test_killed_on_the_way_the_one_that_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    runs, folder = trained(tmp_path / "s"), tmp_path / "best"
    write_ensemble(folder, runs[:1])
    before, written = content(folder), 0

    def killed(path: Path, text: bytes | str) -> None:
        nonlocal written
        written += 1
        if written == at:
            raise KeyboardInterrupt
        write(path, text)

    from segtrain.runs import folder as run_folder

    write = ensemble.write_whole
    for module in (ensemble, run_folder):
        monkeypatch.setattr(module, "write_whole", killed)
    try:
        write_ensemble(folder, runs)
        assert len(ensemble_members(folder)) == 3  # fewer files than that
    except KeyboardInterrupt:
        assert content(folder) == before
    monkeypatch.undo()
    write_ensemble(folder, runs)
    assert len(ensemble_members(folder)) == 3 and sorted(p.name for p in tmp_path.iterdir()) == ["best", "s"]


@pytest.mark.parametrize("at", [1, 2])
def test_killed_between_the_renames_neither_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    runs, folder = trained(tmp_path / "s"), tmp_path / "best"
    write_ensemble(folder, runs[:1])
    before, rename, renamed = content(folder), Path.rename, 0

    def killed(path: Path, to: Path) -> Path:
        nonlocal renamed
        renamed += 1
        if renamed == at:
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        write_ensemble(folder, runs)
    monkeypatch.undo()
    monkeypatch.setattr(RunFolder, "copy_for_use", full_disk)  # the next one gets no further
    with pytest.raises(UserError, match="No space"):
        write_ensemble(folder, runs)
    assert content(folder) == before
    monkeypatch.undo()
    write_ensemble(folder, runs)
    assert len(ensemble_members(folder)) == 3 and sorted(p.name for p in tmp_path.iterdir()) == ["best", "s"]


def full_disk(run: RunFolder, path: Path) -> None:
    raise UserError("No space left")


def test_what_is_no_ensemble_is_not_replaced(tmp_path: Path) -> None:
    runs, folder = trained(tmp_path / "s"), tmp_path / "best"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="no ensemble"):
        write_ensemble(folder, runs)
    assert content(folder) == {"mine.txt": b"mine"}


@pytest.mark.parametrize("damage", ["list", "member"])
def test_a_damaged_one_is_written_anew(tmp_path: Path, damage: str) -> None:
    runs, folder = trained(tmp_path / "s"), tmp_path / "best"
    write_ensemble(folder, runs)
    before = content(folder)
    if damage == "list":
        (folder / MEMBERS).write_text("{")
    else:
        shutil.rmtree(folder / runs[1].name)
    write_ensemble(folder, runs)
    assert content(folder) == before


def test_what_is_left_of_one_is_used_by_the_paths_of_its_runs(tmp_path: Path) -> None:
    """As the message says that tells what is missing."""
    runs, folder = trained(tmp_path / "s"), tmp_path / "best"
    write_ensemble(folder, runs)
    whole = ensemble_members(folder)
    assert ensemble_of(whole) == folder
    assert (
        ensemble_of(whole[:1]) is None
        and ensemble_of(whole[::-1]) is None
        and ensemble_of([RunFolder(runs[0])]) is None
    )
    shutil.rmtree(whole[1].path)
    with pytest.raises(UserError, match=r"lacks its run.*name runs that are there"):
        runs_of(str(folder), tmp_path)
    left = runs_of(f"[{whole[0].path},{whole[2].path}]", tmp_path)
    assert [run.path for run in left] == [whole[0].path, whole[2].path] and ensemble_of(left) is None


def test_a_glob_means_runs_and_where_there_are_none_ensembles(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_ensemble(tmp_path / name / "best", trained(tmp_path / name, seeds=2))
    assert len(runs_of(f"{tmp_path}/a/*", tmp_path)) == 2  # the copies do not count twice
    assert len(runs_of(f"{tmp_path}/?/best", tmp_path)) == 4
    assert len(runs_of(f"[{tmp_path}/a/best,{tmp_path}/b/best]", tmp_path)) == 4


def test_a_run_that_has_a_list_beside_it_is_a_run(tmp_path: Path) -> None:
    """What one verb takes for a run, no other takes for several."""
    runs, outputs = trained(tmp_path / "outputs/s"), tmp_path / "outputs"
    write_ensemble(outputs / "s/best", runs)
    shutil.copy(runs[0] / "config.yaml", outputs / "s/best")
    named = str(outputs / "s/best")
    assert [run.path for run in runs_of(named, outputs)] == [find_run(named, outputs).path] == [Path(named)]


@pytest.mark.parametrize(
    "members", [[], ["../s"], ["/etc"], ["."], ["a/b"], [1], "a", None, ["gone"], ["link"], ["one", "one"]]
)
def test_a_list_from_a_stranger_names_only_what_lies_in_the_folder(tmp_path: Path, members: object) -> None:
    (run,) = trained(tmp_path / "s", seeds=1)
    write_ensemble(tmp_path / "best", [run])
    (tmp_path / "best" / run.name).rename(tmp_path / "best" / "one")
    (tmp_path / "best" / "link").symlink_to(run)
    (tmp_path / "best" / MEMBERS).write_text(json.dumps({"members": members}))
    with pytest.raises(UserError):
        ensemble_members(tmp_path / "best")


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    runs = trained(tmp_path / "s", seeds=1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "best").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError):
        write_ensemble(tmp_path / "best", runs)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_run_that_has_not_finished_is_no_member(tmp_path: Path) -> None:
    run = made.run(tmp_path / "s", "flips", 1.0, 0, state="running")
    with pytest.raises(UserError):
        write_ensemble(tmp_path / "best", [run])
    assert not (tmp_path / "best").exists()


def test_names_longer_than_a_disk_takes_are_told(tmp_path: Path) -> None:
    runs, outputs = trained(tmp_path / "outputs/s"), tmp_path / "outputs"
    several = f"[{','.join(run.name for run in runs * 60)}]"
    assert [run.path for run in runs_of(several, outputs)] == runs
    with pytest.raises(UserError, match="is no run folder"):
        find_run("x" * 300, outputs)
