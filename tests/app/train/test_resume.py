"""Going on: from anywhere, with the same bits, and with nothing mixed that does not belong together."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from segtrain.app.train.recorder import CheckpointTimer, Recorder
from segtrain.config.composition import conf_dir
from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.interrupts import Stopped
from segtrain.model.metrics import Evaluation
from segtrain.parts.feeding import Feeding
from segtrain.runs import checkpoint
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import reproducible_bytes
from tests.conftest import SMALL, CommandLine, train

FEW = [o for o in SMALL if not o.startswith(("trainer.max_epochs", "data.steps_per_epoch"))]
TRAINING = [*FEW, "trainer.max_epochs=2", "data.steps_per_epoch=5", "checkpoint.every=1"]
SAME = ("metrics.csv", "per_image.csv", "results.json", "split.json", "checkpoints/best.safetensors")


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours answers to it."""


def run_in(folder: Path, name: str) -> Path:
    (run,) = (folder / "outputs" / name).iterdir()
    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    return state


def killed_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next training dies when that many batches are done and, where due, in a checkpoint."""
    original, seen = Recorder.on_train_batch_end, [0]

    def dies(self, *args):
        original(self, *args)
        seen[0] += 1
        if seen[0] == batches:
            raise Killed

    monkeypatch.setattr(Recorder, "on_train_batch_end", dies)


OPTIONS = {
    "plain": [],
    "plateau, early stopping, scheduled strength": [
        *("scheduler=plateau", "scheduler.patience=0", "early_stopping=1"),
        *("aug=geometric", "aug.schedule=linear_up"),
    ],
    "accumulated, averaged, validated now and then": [
        *("trainer.accumulate_grad_batches=2", "ema=0.9"),
        *("+trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3"),
    ],
    "dropout": ["model=fpn", "model.encoder_name=tu-test_resnet"],  # its head drops feature maps: torch's own draws
}


@pytest.mark.parametrize(
    ("option", "batches"),
    [("plain", 5), *(pytest.param(option, 8, marks=pytest.mark.slow) for option in OPTIONS if option != "plain")],
)
def test_killed_anywhere_it_ends_with_the_same_bits(
    option: str, batches: int, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [o for o in TRAINING if not (option == "dropout" and "decoder" in o)]
    typed = ["aug=medical_elastic", *typed, *(o.replace("+trainer.check", "trainer.check") for o in OPTIONS[option])]
    keys = [o.partition("=")[0] for o in typed]
    typed = [o for i, o in enumerate(typed) if o.partition("=")[0] not in keys[i + 1 :]]
    assert segtrain(*typed, "name=whole") == 0, segtrain.err
    with monkeypatch.context() as patch:
        killed_after(batches, patch)
        with pytest.raises(Killed):
            segtrain(*typed, "name=cut")
    assert segtrain(*typed, "name=cut", "data.num_workers=1") == 0, segtrain.err
    whole, cut = run_in(segtrain.folder, "whole"), run_in(segtrain.folder, "cut")
    expected, found = weights(whole), weights(cut)
    assert all(torch.equal(value, found[key]) for key, value in expected.items())
    for name in SAME:
        assert reproducible_bytes(whole / name) == reproducible_bytes(cut / name), name
    assert not list(cut.rglob("*.part")) and not list(cut.rglob(".lock"))


@pytest.mark.parametrize("asked", [False, True])
def test_a_run_of_an_older_version_goes_on_with_its_own_split(
    asked: bool, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What that version drew, and wrote without groups; another is drawn only where one asks for it."""
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(Killed):
            segtrain(*TRAINING, "name=a")
    run = run_in(segtrain.folder, "a")
    drawn = json.loads((run / "split.json").read_text())
    older = {key: value for key, value in drawn.items() if key not in ("groups", "pixels")}
    one, other = older["train"][0], older["test"][0]
    older["train"] = sorted([*older["train"][1:], other])
    older["test"] = sorted([one, *older["test"][1:]])
    (run / "split.json").write_text(json.dumps(older))
    more = ["dataset.split.allow_leak=true", "resume_allow=[dataset.split]"] if asked else []
    assert segtrain(f"resume={run}", *more) == 0, segtrain.err
    split = json.loads((run / "split.json").read_text())
    expected = drawn if asked else older
    assert all(split[part] == expected[part] for part in ("train", "val", "test", "unused"))
    tested = [line.partition(",")[0] for line in (run / "per_image.csv").read_text().splitlines()[1:]]
    assert tested == expected["test"] and list(split["groups"]) == tested


def test_only_what_changes_no_result_may_change(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(Killed):
            segtrain(*TRAINING, "name=a")
    run = run_in(segtrain.folder, "a")
    before = (run / "config.yaml").read_bytes()
    for typed in (["optimizer.lr=0.5"], ["trainer.max_epochs=1"], ["dataset.noise=3.0"], ["aug=flips"]):
        assert segtrain(f"resume={run}", *typed) == 2, typed
        key = typed[0].partition("=")[0] + (".transforms" if typed == ["aug=flips"] else "")
        assert f"\n  {key}" in segtrain.err and "there," in segtrain.err and "resume_allow=[" in segtrain.err
    assert segtrain(f"resume={run}", "optimizer.no=1") == 2 and "no key 'optimizer.no'" in segtrain.err
    assert segtrain(f"resume={run}", "data.batch_size=0") == 2 and "expected a whole number" in segtrain.err
    assert (run / "config.yaml").read_bytes() == before and not (run / "changes.yaml").exists()

    typed = ["optimizer.lr=0.0005", "resume_allow=[optimizer.lr]", "trainer.max_epochs=3", "data.num_workers=1"]
    assert segtrain("resume=a/" + run.name, *typed) == 0, segtrain.err
    (entry,) = OmegaConf.load(run / "changes.yaml")
    assert dict(entry.changed)["optimizer.lr"] == [0.002, 0.0005]
    assert dict(entry.changed)["trainer.max_epochs"] == [2, 3]
    assert OmegaConf.load(run / "config.yaml").trainer.max_epochs == 3
    assert len((run / "metrics.csv").read_text().splitlines()) == 4


def test_a_run_that_goes_on_keeps_its_mean_and_std_whatever_the_rule_says_now(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Feeding, "statistics", lambda self, train: ([77.0], [13.0]))
        assert segtrain(*TRAINING, "trainer.max_epochs=1", "name=a") == 0, segtrain.err
    run = run_in(segtrain.folder, "a")
    assert segtrain(f"resume={run}", "trainer.max_epochs=2") == 0, segtrain.err
    assert json.loads((run / "results.json").read_text())["best_epoch_from_1"] in (1, 2)
    for held in (weights(run), load_file(run / "checkpoints/best.safetensors")):
        assert held["mean"].item() == 77 and held["std"].item() == 13


def test_a_run_that_keeps_its_best_weights_alone_says_so_when_it_is_to_go_on(segtrain: CommandLine) -> None:
    assert segtrain(*TRAINING, "name=all") == 0, segtrain.err
    assert segtrain(*TRAINING, "checkpoint.keep=best", "name=best") == 0, segtrain.err
    one, run = (run_in(segtrain.folder, name) for name in ("all", "best"))
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["best.safetensors"]
    assert all(reproducible_bytes(run / name) == reproducible_bytes(one / name) for name in SAME)
    assert segtrain(*TRAINING, "checkpoint.keep=best", "name=best") == 0 and "finished already" in segtrain.out
    assert segtrain(f"resume={run}", "trainer.max_epochs=4") == 2 and "checkpoint.keep=best" in segtrain.err
    assert json.loads((run / "status.json").read_text())["state"] == "finished"


def test_the_same_name_with_another_config_is_refused_with_the_difference(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = segtrain.folder / "my_conf" / "aug"
    own.mkdir(parents=True)
    policy = "defaults: [none, _self_]\ntransforms: [{_target_: segtrain.aug.Geometry, rotate: '${amount:%d}'}]\n"
    (own / "mine.yaml").write_text(policy % 10)
    command = ["--config-dir", "my_conf", "aug=mine", *TRAINING, "name=a"]
    killed_after(2, monkeypatch)
    with pytest.raises(Killed):
        segtrain(*command)
    (own / "mine.yaml").write_text(policy % 20)
    assert segtrain(*command) == 2
    assert "aug.transforms[0].rotate: '${amount:10}' there, '${amount:20}' now" in segtrain.err


def test_a_run_that_failed_before_it_began_is_tried_again_as_it_now_is(segtrain: CommandLine) -> None:
    command = [
        "dataset=folder",
        "dataset.root=data",
        "dataset.classes={background:0,cell:255}",
        *FEW[2:],
        *TRAINING[-3:],
        "name=a",
    ]
    from tests.test_main import folder_data

    folder_data(segtrain.folder / "data")
    whole = {path: path.read_bytes() for path in (segtrain.folder / "data" / "images").iterdir()}
    for path, content in whole.items():
        path.write_bytes(content[:60])  # the first is read for the mean, before the run begins
    assert segtrain(*command) == 2 and ".png" in segtrain.err
    assert not (segtrain.folder / "outputs" / "a").exists()
    for path, content in whole.items():
        path.write_bytes(content)
    assert segtrain(*command, "--config-dir", ".") == 0, segtrain.err


SCHEDULERS = sorted(path.stem for path in (conf_dir() / "scheduler").glob("*.yaml"))
SHORT = [*FEW, "data.steps_per_epoch=2", "trainer.max_epochs=2"]


def rates_of(run: Path) -> list[str]:
    """lr after each epoch, as metrics.csv says it."""
    with (run / "metrics.csv").open() as file:
        return [row["lr"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_goes_on_for_longer_as_that_length_has_it(
    name: str, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [*SHORT, f"scheduler={name}", "aug=flips", "aug.schedule=linear_up", "ema=0.9", "early_stopping=9"]
    assert segtrain(*typed, "name=a") == 0, segtrain.err
    run = run_in(segtrain.folder, "a")
    before = left(run)
    assert segtrain(f"resume={run}", "trainer.max_epochs=3") == 0, segtrain.err
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert (run / "results-before-1.json").read_bytes() == before["results.json"]
    assert rates_of(run)[2] == expected_rates(run, 3)[2] and rates_of(run)[:2] == expected_rates(run, 2)


def expected_rates(run: Path, epochs: int) -> list[str]:
    """lr after each epoch of a training that is so long from the start, by its schedule alone."""
    config = OmegaConf.load(run / "config.yaml")
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=config.optimizer.lr)
    scheduler = build(RunConfig(config).scheduler)(optimizer, steps=2 * epochs)
    found = []
    for _ in range(epochs):
        for _ in range(2 if config.choices.scheduler != "plateau" else 0):  # that one waits longer than this training
            optimizer.step()
            scheduler.step()
        found.append(str(optimizer.param_groups[0]["lr"]))
    return found


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "one_cycle" else pytest.mark.slow) for name in SCHEDULERS]
)
def test_a_run_that_was_cut_goes_on_for_longer_or_for_less(
    name: str, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_after(3, patch)
        with pytest.raises(Killed):
            segtrain(*SHORT, "checkpoint.every=1", f"scheduler={name}", "name=a")
    run = run_in(segtrain.folder, "a")
    before = left(run)
    fewer = ["trainer.max_epochs=1", "resume_allow=[trainer.max_epochs]"]
    assert segtrain(f"resume={run}", *fewer) == 2 and "in its epoch 2 already" in segtrain.err
    assert left(run) == before
    assert segtrain(f"resume={run}", "trainer.max_epochs=4") == 0, segtrain.err
    assert len(rates_of(run)) == 4 and rates_of(run)[1:] == expected_rates(run, 4)[1:]


def left(run: Path) -> dict[str, bytes]:
    """What lies in a run's folder, beside the log, where a try may leave a word."""
    files = [path for path in run.rglob("*") if path.is_file() and path.name != "train.log"]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


LONGER = "trainer.max_epochs=3"
CANNOT = {
    "no such key": ([LONGER, "optimizer.no=1"], "no key 'optimizer.no'"),
    "a key that nothing reads": ([LONGER, "+foo=1"], "nothing reads the key 'foo'"),
    "a key that its target lacks": ([LONGER, "+optimizer.foo=1", "resume_allow=[optimizer]"], "unknown key 'foo'"),
    "a value that cannot be": ([LONGER, "data.batch_size=0"], "expected a whole number"),
    "a value that its target refuses": ([LONGER, "+trainer.profiler=fast", "resume_allow=[trainer]"], "is refused"),
    "other data": ([LONGER, "dataset.noise=3.0", "resume_allow=[dataset]"], "data of"),
    "no such data": ([LONGER, "dataset=folder", "dataset.root=x", "resume_allow=[dataset,choices]"], "error: "),
    "another network": ([LONGER, "model.decoder_channels=[8,8,8,8,16]", "resume_allow=[model]"], "another network"),
    "another optimizer": ([LONGER, "optimizer=sgd", "resume_allow=[optimizer,choices]"], "optimizer._target_"),
    "another scheduler": ([LONGER, "scheduler=plateau", "resume_allow=[scheduler,choices]"], "scheduler._target_"),
    "weights that are no means": ([LONGER, "ema=0.9", "resume_allow=[ema]"], "another ema"),
    "no GPU": ([LONGER, "trainer.accelerator=gpu"], "no supported gpu"),
    "damaged checkpoints": ([LONGER], "damaged"),
    "a stop before it goes on": ([LONGER], "interrupted"),
    "a fault of ours": ([LONGER], "ZeroDivisionError"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("trained"), *SHORT, "name=a")


@pytest.mark.parametrize("case", CANNOT)
@pytest.mark.parametrize("state", ["finished", pytest.param("interrupted", marks=pytest.mark.slow)])
def test_a_resume_that_cannot_go_on_leaves_what_was_there(
    case: str, state: str, trained: Path, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "no GPU" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    run = shutil.copytree(trained, segtrain.folder / "run")
    if state == "interrupted":
        (run / "results.json").unlink()
        RunFolder(run).set_status("interrupted")
    if case == "damaged checkpoints":
        for path in (run / "checkpoints").glob("*.ckpt"):
            path.write_bytes(path.read_bytes()[:1000])
    before = left(run)
    typed, said = CANNOT[case]
    with monkeypatch.context() as patch:
        if case == "a stop before it goes on":
            patch.setattr("segtrain.app.train.assembly.build_trainer", raises(Stopped(signal.SIGTERM)))
        if case == "a fault of ours":
            patch.setattr("segtrain.app.train.assembly.build_trainer", raises(ZeroDivisionError()))
            with pytest.raises(ZeroDivisionError):
                segtrain(f"resume={run}", *typed)
        else:
            assert segtrain(f"resume={run}", *typed) == (143 if "stop" in case else 2)
            assert said.lower() in segtrain.err.lower(), segtrain.err
    assert left(run) == before
    if case == "a fault of ours":
        assert segtrain(f"resume={run}", LONGER) == 0, segtrain.err
        assert len(rates_of(run)) == 3


def raises(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    "typed", [[], ["trainer.max_epochs=2"], ["trainer.max_epochs=1", "resume_allow=[trainer.max_epochs]"]]
)
def test_a_finished_run_goes_on_for_more_epochs_alone(typed: list[str], trained: Path, segtrain: CommandLine) -> None:
    run = shutil.copytree(trained, segtrain.folder / "run")
    before = left(run)
    assert segtrain(f"resume={run}", *typed) == 2 and "already finished" in segtrain.err
    assert left(run) == before


def test_settings_that_are_allowed_to_change_do(trained: Path, segtrain: CommandLine) -> None:
    run = shutil.copytree(trained, segtrain.folder / "run")
    typed = ["optimizer.lr=0.0005", "optimizer.weight_decay=0.25", "resume_allow=[optimizer]"]
    assert segtrain(f"resume={run}", LONGER, *typed) == 0, segtrain.err
    (group,) = checkpoint.read_checkpoint(run / "checkpoints/last.ckpt")["optimizer_states"][0]["param_groups"]
    assert group["initial_lr"] == 0.0005 and group["weight_decay"] == 0.25
    assert rates_of(run)[2] == expected_rates(run, 3)[2]


def test_a_run_that_stopped_early_says_what_would_let_it_go_on(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = Evaluation.scores
    monkeypatch.setattr(Evaluation, "scores", lambda self: {**scores(self), "dice": 0.5})  # never a better one
    assert segtrain(*SHORT[:-1], "early_stopping=1", "trainer.max_epochs=4", "name=a") == 0, segtrain.err
    run = run_in(segtrain.folder, "a")
    before = left(run)
    assert len(rates_of(run)) == 2
    assert segtrain(f"resume={run}", "trainer.max_epochs=6") == 2
    assert "early_stopping=null resume_allow=[early_stopping]" in segtrain.err and left(run) == before
    assert segtrain(f"resume={run}", "early_stopping=3", "resume_allow=[early_stopping]") == 0, segtrain.err
    assert len(rates_of(run)) == 4  # that is how long it was to be, and how long it now waits
    assert segtrain(f"resume={run}", "early_stopping=null", "resume_allow=[early_stopping]") == 2
    assert "no more are asked for" in segtrain.err


def test_the_lr_of_a_plateau_is_in_its_checkpoint(segtrain: CommandLine) -> None:
    assert segtrain(*SHORT, "scheduler=plateau", "name=a") == 0, segtrain.err
    run = run_in(segtrain.folder, "a")
    before = left(run)
    assert segtrain(f"resume={run}", LONGER, "optimizer.lr=0.1", "resume_allow=[optimizer]") == 2
    assert "another optimizer.lr" in segtrain.err and left(run) == before


def test_a_replay_shows_each_epoch_by_the_length_that_the_training_had(segtrain: CommandLine) -> None:
    typed = ["aug=geometric", "aug.schedule=linear_up", "dataset.split.val=0.2"]
    assert segtrain(*SHORT, *typed, "data.crop=null", "name=a") == 0, segtrain.err
    run = run_in(segtrain.folder, "a")
    sample = json.loads((run / "split.json").read_text())["train"]

    def replayed(name: str) -> list[bytes]:
        if segtrain("preview", f"replay={run}", f"sample={name}", "epoch=1") != 0:
            return []
        return [path.read_bytes() for path in segtrain.folder.glob(f"outputs/preview/replay/*/*{name}*/*.npy")]

    seen, before = next((name, found) for name in sample if (found := replayed(name)))
    assert segtrain(f"resume={run}", "trainer.max_epochs=5") == 0, segtrain.err
    assert replayed(seen) == before


def process(folder: Path, *overrides: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "segtrain", *overrides]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True)


def training(folder: Path, name: str, *overrides: str) -> tuple[subprocess.Popen[str], Path]:
    """A long training in a process of its own, in its first epoch."""
    long = [*FEW, "trainer.max_epochs=50", "data.steps_per_epoch=100", "checkpoint.every=2", f"name={name}"]
    child = process(folder, *long, *overrides)
    end = time.monotonic() + 120
    while time.monotonic() < end and child.poll() is None:
        if found := list((folder / "outputs" / name).glob("*/checkpoints/previous.ckpt")):
            return child, found[0].parents[1]
        time.sleep(0.05)
    child.kill()
    raise AssertionError(f"it did not begin: {child.communicate()}")


@pytest.mark.parametrize(
    ("number", "status", "slurm"),
    [
        (signal.SIGINT, 130, ""),
        pytest.param(signal.SIGUSR1, 143, "1", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 143, "", marks=pytest.mark.slow),
    ],
)
def test_a_signal_leaves_a_checkpoint_and_a_run_that_goes_on(
    number: int, status: int, slurm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if slurm:
        monkeypatch.setenv("SLURM_JOB_ID", slurm)
    child, run = training(tmp_path, "a", "data.num_workers=1")
    os.kill(child.pid, number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == status, out + err
    assert "interrupted by SIG" in err and "Traceback" not in err
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    state = checkpoint.read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert state["DataModule"]["batches"] > 0 and len(state["losses"]) == state["DataModule"]["batches"]
    assert not (run / ".lock").exists()


@pytest.mark.slow
def test_a_second_process_is_kept_out_while_the_first_lives(tmp_path: Path) -> None:
    child, run = training(tmp_path, "a")
    try:
        second = process(tmp_path, f"resume={run}")
        err = second.communicate(timeout=120)[1]
        assert second.returncode == 2 and f"in use: process {child.pid} on" in err
    finally:
        child.kill()
        child.communicate()
    third = process(tmp_path, f"resume={run}", "trainer.max_epochs=51")  # the first is dead: it is let in at once
    end = time.monotonic() + 120
    while time.monotonic() < end and not (run / "changes.yaml").exists():
        time.sleep(0.05)
    third.kill()
    out = third.communicate()
    assert (run / "changes.yaml").exists(), out


def test_every_is_steps_or_minutes_or_never(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [step for step in range(1, 8) if CheckpointTimer(3).due(step)] == [3, 6]
    assert not CheckpointTimer(None).due(1)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    every = CheckpointTimer("0.5min")
    assert not every.due(1)
    now[0] = 30.0
    assert every.due(1)
    every.done()
    assert not every.due(2)


def test_a_loss_that_is_no_number_stops_with_the_batch(segtrain: CommandLine) -> None:
    broken = ["optimizer=sgd", "optimizer.lr=1e30", "optimizer.weight_decay=1e30", "trainer.gradient_clip_val=null"]
    assert segtrain("aug=medical_elastic", *TRAINING, *broken, "name=a") == 2
    run = run_in(segtrain.folder, "a")
    found = json.loads((run / "nonfinite.json").read_text())
    ids = [sample["id"] for sample in found["samples"]]
    assert len(ids) == 2 and f"samples {', '.join(ids)}" in segtrain.err and "nonfinite.json" in segtrain.err
    assert "Geometry.0" in found["samples"][0]["drawn"]
    command = next(line for line in segtrain.err.splitlines() if "preview replay=" in line).split("segtrain ")[1]
    assert segtrain(*(word.replace("'", "") for word in command.split(" "))) == 0, segtrain.err
    assert list(segtrain.folder.rglob("replay.png"))
    assert not any(torch.isnan(w.float()).any() for p in run.rglob("last.ckpt") for w in weights(run).values())
