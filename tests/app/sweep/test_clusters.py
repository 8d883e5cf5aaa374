"""Jobs on another engine than ours: the run folders' rules hold there too."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from segtrain.app.sweep import clusters, job
from segtrain.app.sweep.clusters import run_elsewhere
from segtrain.mistakes import explain
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import reproducible_bytes
from tests.conftest import SMALL, CommandLine

SCORED = {"test/dice": 0.5, "val/dice": 0.4, "test/images": 2, "best_epoch_from_1": 1}


def scores(folder: Path) -> dict[str, bytes]:
    """The policy of each finished run to its table of metrics."""
    runs = [path.parent for path in folder.glob("*/results.json")]
    policies = {run: (run / "overrides.yaml").read_text().partition("aug=")[2].split()[0] for run in runs}
    return {policy: reproducible_bytes(run / "metrics.csv") for run, policy in policies.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "package"), [("submitit_local", "submitit"), ("ray", "ray")])
def test_an_engine_runs_what_is_missing_and_tells_what_failed(segtrain: CommandLine, engine: str, package: str) -> None:
    pytest.importorskip(package)
    sweep = ["-m", f"hydra/launcher={engine}", "name=there", *SMALL]
    assert segtrain(*sweep, "aug=flips", "dataset.channels=1,2") == 2  # told before a job runs
    assert not (segtrain.folder / "outputs" / "there").exists()
    diverging = "optimizer.lr=0.001,1e30"
    assert segtrain(*sweep, "aug=flips", diverging, "trainer.gradient_clip_val=null") == 1
    assert "1 failed, 1 finished" in segtrain.out and "train" in segtrain.out
    assert segtrain(*sweep, "aug=flips", "optimizer.lr=0.001", "trainer.gradient_clip_val=null") == 0
    assert "1 skipped" in segtrain.out
    alone = ["aug=flips", "optimizer.lr=0.001", "trainer.gradient_clip_val=null", "name=alone"]
    assert segtrain(*SMALL, *alone) == 0, segtrain.err
    outputs = segtrain.folder / "outputs"
    assert scores(outputs / "there") == scores(outputs / "alone") != {}


@pytest.mark.slow
def test_a_job_that_submitit_warns_is_queued_again_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    longer = [o for o in SMALL if "steps_per_epoch" not in o and "max_epochs" not in o]
    longer += ["data.steps_per_epoch=20", "trainer.max_epochs=6", "aug=flips"]
    command = [sys.executable, "-m", "segtrain", *longer, "logger=csv"]
    sweep = subprocess.Popen([*command, "-m", "hydra/launcher=submitit_local", "name=there"], cwd=tmp_path)
    warned = False
    while sweep.poll() is None:
        tables = [path for path in tmp_path.glob("outputs/there/*/metrics.csv") if len(path.read_text().split()) > 2]
        if tables and not warned:
            os.kill(int((tables[0].parent / ".lock").read_text().partition('"pid": ')[2].split(",")[0]), signal.SIGUSR2)
            warned = True
        time.sleep(0.05)
    assert warned and sweep.returncode == 0
    log = next(tmp_path.glob("outputs/there/*/train.log")).read_text()
    assert "stopping" in log or "resumed" in log or "going on" in log, log
    subprocess.run([*command, "name=alone"], cwd=tmp_path, check=True)
    assert scores(tmp_path / "outputs" / "there") == scores(tmp_path / "outputs" / "alone") != {}


def test_a_dead_job_takes_none_of_those_that_finished_with_it(tmp_path: Path) -> None:
    class Engine:  # submitit's way: the others end, then it raises
        def launch(self, job_overrides: list[list[str]], initial_job_idx: int) -> None:
            for name in ("done", "dead"):
                run = RunFolder(tmp_path / name)
                run.create("{}", [])
                run.set_status("running")
            RunFolder(tmp_path / "done").write_json("results.json", SCORED)
            RunFolder(tmp_path / "done").set_status("finished")
            raise RuntimeError("one died")

    tasks = [job.Task(DictConfig({}), str(tmp_path / name), (), (f"aug={name}",)) for name in ("done", "dead")]
    outcomes = run_elsewhere(Engine(), tasks)
    assert [outcomes[task.folder].answer.state for task in tasks] == ["finished", "failed"]
    assert "one died" in outcomes[tasks[1].folder].answer.message


def test_what_ends_is_told_while_the_others_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "EVERY", 0.01)
    seen = ""

    class Engine:
        def launch(self, job_overrides: list[list[str]], initial_job_idx: int) -> list[JobReturn]:
            nonlocal seen
            for name, state in (("good", "finished"), ("bad", "failed"), ("slow", "running")):
                run = RunFolder(tmp_path / name)
                run.create("{}", [])
                run.set_status("running")
                run.write_json("results.json", SCORED)
                run.set_status(state, **({"error": "no such thing"} if state == "failed" else {}))
            end = time.monotonic() + 20
            while ("[2/3]" not in seen) and time.monotonic() < end:
                seen += capsys.readouterr().out
            RunFolder(tmp_path / "slow").set_status("finished")
            return [JobReturn(status=s) for s in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED)]

    names = ("good", "bad", "slow")
    run_elsewhere(Engine(), [job.Task(DictConfig({}), str(tmp_path / name), (), (f"aug={name}",)) for name in names])
    assert "aug=good: finished, test/dice 0.5000" in seen and "aug=bad: failed" in seen and "no such thing" in seen
    assert "slow" not in seen and "[3/3] aug=slow: finished" in capsys.readouterr().out


def test_a_job_that_an_earlier_version_pickled_finds_its_work() -> None:
    assert pickle.loads(b"csegtrain.app.elsewhere\nwork\n.") is clusters.work
    for name in (b"Loader", b"Repository", b"Shipped", b"Folder"):
        assert pickle.loads(b"csegtrain.config_files\n" + name + b"\n.").__module__ == "segtrain.config.files"
    for name in (b"_env", b"_amount", b"_span", b"_chance", b"_threads", b"_run_name"):
        assert callable(pickle.loads(b"csegtrain.config\n" + name + b"\n."))


def test_a_missing_plugin_is_named_with_its_extra() -> None:
    from hydra.errors import MissingConfigException

    missing = MissingConfigException("Could not find", "hydra/launcher/submitit_slurm", ["basic", "processes"])
    assert explain(missing) == 'hydra/launcher=submitit_slurm is not installed; pip install "segtrain[slurm]"'
