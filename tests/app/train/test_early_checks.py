"""Mistakes in values, paths and data are told before torch is imported, and leave no folder of a run behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SMALL, CommandLine
from tests.test_main import folder_data

NOWHERE = ["dataset=folder", "dataset.root=nowhere", "dataset.classes={background:0,cell:255}"]
CASES: dict[str, tuple[list[str], str]] = {
    "no folder of data": (NOWHERE, "there is no folder 'nowhere'"),
    "no table of data": (["dataset=csv", "dataset.manifest=no.csv", "dataset.classes={a:0,b:1}"], "no.csv"),
    "no file of COCO": (
        ["dataset=coco", "dataset.root=nowhere", "dataset.classes=[background,a]"],
        "nowhere",
    ),
    "no scans": (["dataset=volume", "dataset.root=nowhere", "dataset.classes={a:0,b:1}"], "nowhere"),
    "negative strength": (["aug=flips", "aug.strength=-1"], "one number ≥ 0"),
    "no value": (["dataset=folder"], "dataset.classes has no value"),
    "a share that is none": (["dataset=shapes", "dataset.split.val=2"], "expected a share from 0 to 1"),
    "batches in words": (["data.batch_size=many"], "data.batch_size is 'many'"),
    "no epoch": (["trainer.max_epochs=0"], "trainer.max_epochs is 0"),
    "unknown key": (["aug.strenght=2"], "did you mean aug.strength?"),
    "unknown key with +": (["+imgsz=512"], "'imgsz'"),
    "no run to go on with": (["resume=outputs/nothing"], "'outputs/nothing' is no run folder"),
    "no weights to begin with": (["init_from=outputs/nothing"], "init_from=outputs/nothing is no file of weights"),
    "a sweep without data": (["-m", "seed=0,1", *NOWHERE], "there is no folder 'nowhere'"),
    "null to evaluate": (["evaluate", "run=null"], "evaluate wants a run"),
    "a part that is not there": (["-c", "job", "-p", "nosuch"], "named 'nosuch', and there is none"),
    "keys taken away": (["data=null", "data.crop=32"], "leave out data=…"),
    "several choices": (["aug=[flips]"], "names a list of choices"),
    "a path as a choice": (["aug=../aug/flips"], "a path out of the group"),
    "callbacks": (["hydra.callbacks={}"], "leave it out"),
    "another folder": (["hydra.job.chdir=true"], "leave it out"),
    "a variable": (["+hydra.job.env_set.A=b"], "set variables in the shell"),
    "nothing to evaluate": (["evaluate", "run=outputs/nothing"], "'outputs/nothing' is no run folder"),
    "nothing to export": (["export", "run=outputs/nothing"], "'outputs/nothing' is no run folder"),
    "nothing to serve": (["serve", "run=outputs/nothing"], "'outputs/nothing' is no run folder"),
    "nothing to predict with": (["predict", "run=outputs/nothing", "input=."], "'outputs/nothing' is no run folder"),
    "nothing to predict": (["predict", "model=a.onnx", "input=nowhere"], "nowhere"),
    "no run to evaluate": (["evaluate"], "run=outputs/NAME/RUN"),
    "no run to export": (["export"], "run=outputs/NAME/RUN"),
    "no input": (["predict", "run=outputs/nothing"], "input=FOLDER"),
    "no place to convert to": (["convert", "dataset=shapes"], "to=FOLDER"),
    "a sweep without -m": (["seed=0,1"], "-m seed=0,1"),
    "a check of several without -m": (["check", "seed=range(2)"], "segtrain check -m seed=range(2)"),
    "a bare -m": (["-m"], "-m sweeps nothing"),
    "brackets in a text": (["name=a[1]"], "'name=\"a[1]\"'"),
    "a folder of configs that is not there": (["--config-dir", "nope"], "there is no folder 'nope'"),
    "no folder of configs": (["dataset=shapes", "--config-dir"], "--config-dir"),
    "no value of a flag": (["--cfg"], "--cfg"),
    "more folds than groups": (["dataset=shapes", "split=folds", "dataset.split.k=300"], "300 folds"),
    "nothing to preview": (["preview", *NOWHERE], "there is no folder 'nowhere'"),
    "nothing to replay": (["preview", "replay=outputs/nothing"], "'outputs/nothing' is no run folder"),
    "nothing to convert": (["convert", "to=x", *NOWHERE], "there is no folder 'nowhere'"),
}
IN_ONE_PROCESS = """
import contextlib, io, json, sys
from segtrain.__main__ import main

for name, arguments in json.loads(sys.argv[1]).items():
    sys.argv = ["segtrain", *arguments]
    said, status = io.StringIO(), None
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    print(json.dumps([name, status, said.getvalue(), "torch" in sys.modules]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, bool]]:
    """Case to exit status, message, and whether torch had been imported, in one process for all; it is left empty."""
    folder = tmp_path_factory.mktemp("empty")
    given = json.dumps({name: arguments for name, (arguments, _) in CASES.items()})
    done = subprocess.run(
        [sys.executable, "-c", IN_ONE_PROCESS, given], cwd=folder, capture_output=True, text=True, check=True
    )
    assert list(folder.iterdir()) == []
    return {name: tuple(rest) for name, *rest in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_before_torch_is_imported(case: str, told: dict[str, tuple[int, str, bool]]) -> None:
    status, message, has_torch = told[case]
    assert status == 2 and message.startswith("error: ") and CASES[case][1] in message
    assert not has_torch


def test_a_finished_run_is_asked_nothing_of_its_data(segtrain: CommandLine) -> None:
    overrides = folder_data(segtrain.folder / "cells")
    assert segtrain(*overrides, "name=a") == 0, segtrain.err
    (segtrain.folder / "cells").rename(segtrain.folder / "moved")
    assert segtrain(*overrides, "name=a") == 0, segtrain.err
    assert "finished already" in segtrain.out
    assert segtrain("-m", *overrides, "seed=0", "name=b") == 2 and "cells" in segtrain.err
    assert not (segtrain.folder / "outputs" / "b").exists()


def test_a_run_that_goes_on_looks_at_its_own_data(segtrain: CommandLine, tmp_path: Path) -> None:
    """What is typed beside resume is looked at with it."""
    assert segtrain(*SMALL, "name=a", "trainer.max_epochs=1") == 0, segtrain.err
    (run,) = (segtrain.folder / "outputs" / "a").iterdir()
    assert segtrain(f"resume={run}", "trainer.max_epochs=none") == 2 and "trainer.max_epochs is 'none'" in segtrain.err
