"""A folder of configs from a stranger runs nothing, writes nothing, hangs nothing, and says so in one message."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from segtrain.config.composition import composed
from segtrain.config.files import is_inside
from segtrain.errors import UserError
from segtrain.mistakes import explain
from tests.conftest import SMALL, CommandLine

TOUCH = {"_target_": "timeit.timeit", "number": 1, "stmt": "open('canary', 'w')"}
HANDLER = {"class": "logging.FileHandler", "filename": "canary", "mode": "w"}


def of_hydra(**hydra: Any) -> dict[str, Any]:
    return {"hydra": hydra}


# What a file may not say, at the root of the config (`# @package _global_`).
REFUSED: dict[str, dict[str, Any]] = {
    "a callback": of_hydra(callbacks={"x": TOUCH}),
    "a callback of ours": of_hydra(callbacks={"x": {"_target_": "segtrain.data.datasets.Shapes"}}),
    "a callback without a target": of_hydra(callbacks={"x": {"a": 1}}),
    "callbacks elsewhere": {**of_hydra(callbacks="${evil}"), "evil": {"x": TOUCH}},
    "all of hydra elsewhere": {"hydra": "${evil}", "evil": {"callbacks": {"x": TOUCH}}},
    "a handler": of_hydra(job_logging={"version": 1, "root": {"handlers": ["x"]}, "handlers": {"x": HANDLER}}),
    "a factory": of_hydra(
        hydra_logging={"version": 1, "root": {"handlers": []}, "formatters": {"x": {"()": "os.system"}}}
    ),
    "a launcher": of_hydra(launcher=TOUCH),
    "below the launcher": of_hydra(launcher={"n_jobs": TOUCH}),
    "below the launcher, by reference": {**of_hydra(launcher={"n_jobs": "${evil}"}), "evil": TOUCH},
    "a sweeper": of_hydra(sweeper=TOUCH),
    "below the sweeper": of_hydra(sweeper={"seed": TOUCH}),
    "commands of a cluster": of_hydra(launcher={"setup": ["touch canary"]}),
    "lines of a cluster": of_hydra(launcher={"comment": "x\ntouch canary"}),
    "parameters of a cluster": of_hydra(launcher={"additional_parameters": {"wrap": "touch canary"}}),
    "a line as a parameter": of_hydra(launcher={"additional_parameters": {"x\ntouch canary": 1}}),
    "the jobs' folder": of_hydra(launcher={"submitit_folder": "/elsewhere"}),
    "a study's address": of_hydra(sweeper={"storage": "postgresql://elsewhere/x"}),
    "an axis of hydra": of_hydra(sweeper={"params": {"+hydra.callbacks.x._target_": "os.system"}}),
    "a chosen axis of hydra": of_hydra(sweeper={"params": {"hydra/launcher": "basic"}}),
    "trust as an axis": of_hydra(sweeper={"params": {"trust": "[[evil]]"}}),
    "trust as an arm": of_hydra(sweeper={"params": {"arms": [{"aug": "none", "++trust": "[evil]"}]}}),
    "an axis of mappings": of_hydra(sweeper={"params": {"aug": {"strength": 1}}}),
    "a run's folder": of_hydra(run={"dir": "/elsewhere"}),
    "a sweep's folder": of_hydra(sweep={"dir": "/elsewhere"}),
    "a sweep's folder, upwards": of_hydra(sweep={"dir": "${outputs}/../.."}),
    "a sweep's subfolder": of_hydra(sweep={"subdir": "../x"}),
    "a folder for hydra": of_hydra(output_subdir=".hydra"),
    "another current folder": of_hydra(job={"chdir": True}),
    "a variable": of_hydra(job={"env_set": {"LD_PRELOAD": "x.so"}}),
    "a variable's copy": of_hydra(job={"env_copy": ["HOME"]}),
    "a log's name": of_hydra(job={"name": "../../x"}),
    "a search path": of_hydra(searchpath=["pkg://evil"]),
    "what was typed": of_hydra(overrides={"hydra": ["+hydra.callbacks.x._target_=os.system"]}),
    "where configs came from": of_hydra(runtime={"choices": {"dataset": "../x"}}),
    "help": of_hydra(help={"template": "${oc.env:HOME}"}),
    "ours as a callback": {"defaults": [{"/dataset@hydra.callbacks.x": "shapes"}]},
    "ours below the launcher": {"defaults": [{"/dataset@hydra.launcher.x": "shapes"}]},
    "a file elsewhere": {"defaults": ["../../elsewhere/x"]},
    "a file elsewhere, by way of ours": {"defaults": [f"/{'../' * 12}etc/x@zz"]},
    "an engine that would not be taken": {"defaults": [{"override /hydra/launcher": "basic"}]},
    "a run to go on with": {"resume": "outputs/a/b"},
    "what a run may change": {"resume_allow": ["seed"], "resume_with": ["seed=1"]},
    "another place": {"outputs": "/other"},
    "another place, upwards": {"outputs": "a/../../x"},
    "another place, by a variable": {"outputs": "${oc.env:HOME}/x"},
    "another place as an axis": of_hydra(sweeper={"params": {"outputs": "/other,/another"}}),
    "a run as an axis": of_hydra(sweeper={"params": {"resume": "outputs/a/b"}}),
    "a part of a sweeper": of_hydra(sweeper={"_partial_": True}),
    "a part of a launcher": of_hydra(launcher={"_partial_": True}),
    "a name elsewhere": {"name": "../../x"},
    "trust": {"trust": ["evil"]},
    "references without end": {"evil": {f"a{i}": f"${{evil.a{i - 1}}}" * 2 if i else "x" for i in range(60)}},
    "lists without end": {"evil": {f"a{i}": [f"${{..a{i - 1}}}"] * 2 if i else "x" for i in range(60)}},
}
# What a file of ordinary use says of Hydra.
TAKEN: dict[str, dict[str, Any]] = {
    "axes": of_hydra(sweeper={"params": {"aug": "none,flips", "seed": "range(3)", "arms": [{"data.crop": 32}]}}),
    "a list as an axis": of_hydra(sweeper={"params": {"seed": [0, 1], "optimizer.lr": 0.1}}),
    "jobs at a time": of_hydra(launcher={"n_jobs": 2, "timeout": 30, "retries": 1}),
    "the launcher": of_hydra(launcher={"_target_": "hydra_plugins.segtrain_plugins.ProcessLauncher", "n_jobs": 2}),
    "a cluster": of_hydra(launcher={"partition": "gpu,cpu", "mem_gb": 32, "qos": "x", "array_parallelism": 8}),
    "a search": of_hydra(sweeper={"n_trials": 5, "sampler": "random", "pruner": "median", "seed": 1}),
    "a sweep of one file": of_hydra(mode="MULTIRUN"),
    "what conf/ says": of_hydra(run={"dir": "."}, sweep={"dir": "${outputs}/${name}", "subdir": "."},
                                output_subdir=None,
                                job={"name": "segtrain"}, job_logging={"version": 1, "root": None}),
}  # fmt: skip


def lay(folder: Path, content: dict[str, Any], path: str = "experiment/x.yaml") -> list[str]:
    """Writes a config file of that content; the overrides that choose it."""
    file = folder / "own" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("# @package _global_\n" + yaml.safe_dump(content, sort_keys=False))
    group, _, name = path.removesuffix(".yaml").rpartition("/")
    return [
        f"hydra.searchpath=[file://{folder / 'own'}]",
        f"{group}={name}",
        *["dataset=shapes"] * (group != "dataset"),
    ]


def refused(verb: str, overrides: list[str]) -> str:
    """The message with which composing is refused."""
    with pytest.raises(Exception) as caught:  # of Hydra or ours: it must be one that is told
        composed(verb, overrides)
    message = explain(caught.value)
    assert message is not None and message.isprintable()
    return message


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_does_not_tell_hydra_what_to_run(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segtrain: CommandLine
) -> None:
    overrides = lay(tmp_path, REFUSED[case])
    monkeypatch.chdir(tmp_path)
    if case == "trust":  # a key of the run: told when the run is looked at
        assert segtrain(*overrides) == 2
    elif "elsewhere" not in case and "name" in REFUSED[case]:
        assert segtrain(*overrides, "-m") == 2
    else:
        refused("train", overrides)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


@pytest.mark.parametrize("case", ["a callback", "a handler", "a run's folder", "trust as an axis"])
@pytest.mark.parametrize("more", [[], ["-m"], ["--cfg", "job"]], ids=str)  # --info leaves a log handler
def test_every_way_to_compose_asks(case: str, more: list[str], segtrain: CommandLine) -> None:
    _, *overrides = lay(segtrain.folder, REFUSED[case])
    assert segtrain("--config-dir", "own", *overrides, *SMALL[1:], *more) == 2, segtrain.out
    assert segtrain.err.count("\n") == 1 and "experiment/x.yaml" in segtrain.err
    assert sorted(path.name for path in segtrain.folder.iterdir()) == ["own"]


@pytest.mark.parametrize("path", ["dataset/x.yaml", "sweep/x.yaml", "hydra/launcher/x.yaml", "hydra/sweeper/x.yaml"])
def test_a_file_of_any_group_is_asked(path: str, tmp_path: Path) -> None:
    assert "own" in refused("train", lay(tmp_path, REFUSED["a callback"], path))


def test_an_experiment_of_an_experiment_is_asked(tmp_path: Path) -> None:
    overrides = lay(tmp_path, {"defaults": ["y"]})
    lay(tmp_path, REFUSED["a callback"], "experiment/y.yaml")
    assert "experiment/y.yaml" in refused("train", overrides)


def test_a_primary_file_is_asked(segtrain: CommandLine) -> None:
    lay(segtrain.folder, {"defaults": ["train", "_self_"], **REFUSED["a search path"]}, "own/mine.yaml")
    assert segtrain("--config-dir", "own/own", "--config-name", "mine") == 2
    assert "searchpath" in segtrain.err and segtrain.err.count("\n") == 1


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_ordinary_is_taken(case: str, tmp_path: Path) -> None:
    if case == "a cluster":
        pytest.importorskip("submitit")
    engine = {"a cluster": ["hydra/launcher=submitit_slurm"], "a search": ["hydra/sweeper=optuna"]}
    composed("train", [*lay(tmp_path, TAKEN[case]), *engine.get(case, [])])


def test_an_object_of_a_trusted_package_is_made(tmp_path: Path) -> None:
    overrides = lay(tmp_path, of_hydra(callbacks={"x": {"_target_": "mine.Callback"}}))
    composed("train", [*overrides, "trust=[mine]"])
    assert "mine.Callback" in refused("train", [*overrides, "trust=[min]"])


FILES = {
    "anchors": "a0: &a0 x\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
    "deep": "a: " + "[" * 1000 + "]" * 1000,
    "no text": b"\xff\xfe\x00a",
    "a list": "- a\n- b\n",
    "broken": "a: [1\n",
    "a tag": "a: !!python/object/apply:os.system ['touch canary']\n",
    "a set": "a: !!set {x, y}\n",
    "a header": "# @package a b c\na: 1\n",
    "twice": "a: 1\na: 2\n",
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_none_is_told(case: str, tmp_path: Path) -> None:
    overrides, content = lay(tmp_path, {}), FILES[case]
    (tmp_path / "own/experiment/x.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "x.yaml" in refused("train", overrides)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "link to zeros", "folder", "broken link"])
def test_what_is_no_regular_file_hangs_nothing(kind: str, tmp_path: Path) -> None:
    overrides = lay(tmp_path, {})
    path = tmp_path / "own/experiment/x.yaml"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    else:
        path.symlink_to("/dev/zero" if kind == "link to zeros" else "nothing")
    refused("train", overrides)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\0b"])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        is_inside(name, "own")


@pytest.mark.slow
def test_modules_that_lie_in_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    """Only Python itself looks there first, before segtrain is reached: see docs."""
    (tmp_path / "hydra_plugins").mkdir()
    for name in ("yaml", "torch", "omegaconf", "json", "difflib", "hydra_plugins/evil", "hydra_plugins/__init__"):
        (tmp_path / f"{name}.py").write_text("open('canary', 'w')\n")
    (tmp_path / "mine.py").write_text("from segtrain.data.datasets import Shapes\n\n\nclass Mine(Shapes):\n    pass\n")
    command = [sys.executable, "-m", "segtrain", *SMALL, "dataset._target_=mine.Mine", "trust=[mine]"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*command, "-m", "trainer.max_epochs=1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "canary").exists()
