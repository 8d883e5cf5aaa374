"""One training in several processes is the training of one: losses, scores, resume; and none is left behind."""

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from segtrain.__main__ import main
from segtrain.runs import checkpoint
from tests.conftest import SMALL, CommandLine, train

# A batch of five does not divide; an epoch of one step has the step's own loss in metrics.csv. In 64 bits nothing but a
# mistake makes a difference that is seen; Adam, which divides gradients by their size, would make one of the last bits.
CONFIG = [a for a in SMALL if not a.startswith(("trainer", "data.batch_size", "data.steps_per_epoch"))]
CONFIG += ["aug=geometric", "trainer=ddp", "trainer.accelerator=cpu", "data.batch_size=5", "data.steps_per_epoch=1"]
CONFIG += ["trainer.precision=64-true", "scheduler=none", "dataset.n=24", "optimizer=sgd"]


def trained(folder: Path, name: str, *more: str) -> Path:
    (folder / name).mkdir()
    return train(folder / name, *CONFIG, *more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def one(folder: Path) -> Path:
    return trained(folder, "one", "trainer.devices=1", "trainer.max_epochs=4")


@pytest.fixture(scope="module")
def two(folder: Path) -> Path:
    return trained(folder, "two", "trainer.devices=2", "trainer.max_epochs=4")


def require_same(run: Path, other: Path) -> None:
    """Each step's loss, each epoch's and the test's scores, image by image."""
    for name in ("metrics.csv", "per_image.csv"):
        tables = []
        for path in (run, other):
            with (path / name).open() as file:
                tables.append(list(csv.DictReader(file)))
        assert len(tables[0]) == len(tables[1]) > 0
        for row, same in zip(*tables, strict=True):
            for key, value in row.items():
                if key == "id":
                    assert value == same[key]
                elif key not in ("seconds", "train/data_wait"):
                    assert float(value or "nan") == pytest.approx(float(same[key] or "nan"), abs=1e-5, nan_ok=True), key
    results = [json.loads((path / "results.json").read_text()) for path in (run, other)]
    assert results[0] == pytest.approx(results[1], abs=1e-5, nan_ok=True)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.read_training(run / "checkpoints" / "last.ckpt")["state_dict"]
    return state


def test_two_processes_train_as_one(one: Path, two: Path) -> None:
    require_same(one, two)
    assert "2 processes (ddp, batch norm over all)" in (two / "train.log").read_text()
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}


@pytest.mark.slow
def test_the_same_processes_give_the_same_bits_again(folder: Path, two: Path) -> None:
    again = trained(folder, "again", "trainer.devices=2", "trainer.max_epochs=4")
    assert all(torch.equal(tensor, weights(again)[name]) for name, tensor in weights(two).items())
    assert (again / "per_image.csv").read_bytes() == (two / "per_image.csv").read_bytes()


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(folder: Path, one: Path) -> None:
    run = trained(folder, "resumed", "trainer.devices=2", "trainer.max_epochs=1")
    for devices, epochs in ((1, 2), (3, 4)):
        train(folder / "resumed", f"resume={run}", f"trainer.devices={devices}", f"trainer.max_epochs={epochs}")
    require_same(one, run)


@pytest.mark.slow
def test_sharded_weights_train_as_whole_ones_and_go_on_in_one_process(folder: Path, one: Path) -> None:
    typed = "trainer=fsdp", "trainer.accelerator=cpu"
    run = trained(folder, "sharded", *typed, "trainer.devices=2", "trainer.max_epochs=2")
    saved = checkpoint.read_training(run / "checkpoints" / "last.ckpt")
    moments = saved["optimizer_states"][0]["state"]
    first = next(tensor for name, tensor in weights(one).items() if name.startswith("network."))
    assert moments[0]["momentum_buffer"].shape == first.shape  # whole, not a part
    train(folder / "sharded", f"resume={run}", "trainer.devices=1", "trainer.max_epochs=3")
    train(folder / "sharded", f"resume={run}", "trainer.devices=2", "trainer.max_epochs=4")
    require_same(one, run)


def test_a_killed_process_ends_all_with_one_message(segtrain: CommandLine) -> None:
    def kill() -> None:
        while not list(segtrain.folder.glob("outputs/*/*/checkpoints/best.ckpt")):
            time.sleep(0.02)
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    assert segtrain(*CONFIG, "trainer.devices=3", "trainer.max_epochs=100000") == 2
    thread.join()
    assert segtrain.err.count("error:") == 1 and "was killed by SIGKILL" in segtrain.err
    assert "Traceback" not in segtrain.err
    assert not multiprocessing.active_children()
    (status,) = segtrain.folder.glob("outputs/*/*/status.json")
    assert json.loads(status.read_text())["state"] == "failed"
    (last,) = segtrain.folder.glob("outputs/*/*/checkpoints/last.ckpt")
    assert checkpoint.read_training(last)["epoch"] >= 0  # whole: the same command goes on from it


@pytest.mark.slow
def test_a_mistake_that_another_process_finds_is_told_once(segtrain: CommandLine) -> None:
    """Its share of the first batch has a loss that is no number, and every rank knows it."""
    assert segtrain(*CONFIG, "trainer.devices=2", "optimizer.lr=1e300", "trainer.max_epochs=9") == 2
    assert segtrain.err.count("error:") == 1 and "the loss became" in segtrain.err
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("trainer.devices=2 data.batch_size=1", "data.batch_size is 1"),
        ("trainer.devices=1 trainer.num_nodes=2", "torchrun"),
        ("trainer.devices=[0,1]", "a list names GPUs"),
        ("trainer.devices=0", "trainer.devices is 0"),
        ("trainer=fsdp trainer.accelerator=cpu trainer.devices=2 ema=0.9", "ema=0.9"),
        ("trainer.strategy=deepspeed", "ddp or fsdp"),
    ],
)
def test_devices_that_cannot_be_are_refused(typed: str, told: str, segtrain: CommandLine) -> None:
    assert segtrain(*CONFIG, *typed.split()) == 2
    assert told in segtrain.err and segtrain.err.count("error:") == 1
    assert not list(segtrain.folder.glob("outputs/*/*/status.json"))


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_images_that_are_shared_come_out_as_from_one_process(verb: str, two: Path, tmp_path: Path) -> None:
    folders = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for index in range(5):
            (tmp_path / "in").mkdir(exist_ok=True)
            Image.effect_noise((40, 36 + index), 60).save(tmp_path / "in" / f"{index}.png")
        (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
        for devices in (1, 2):
            more = ["input=in", f"output=out{devices}"] if verb == "predict" else ["split=all", f"outputs=out{devices}"]
            patch.setattr("sys.argv", ["segtrain", verb, f"run={two}", *more, f"devices={devices}"])
            if verb == "predict":
                with pytest.raises(SystemExit) as ended:
                    main()
                assert ended.value.code == 1  # bad.png
            else:
                main()
            found = {p.name: p.read_bytes() for p in (tmp_path / f"out{devices}").rglob("*") if p.is_file()}
            folders.append({name: content for name, content in found.items() if name not in (".lock", "predicted.csv")})
    assert folders[0] == folders[1]
    assert len(folders[0]) > 4


@pytest.mark.slow
def test_a_sweep_runs_each_job_in_its_own_processes_and_once(segtrain: CommandLine, one: Path) -> None:
    typed = [a for a in CONFIG if not a.startswith("trainer.max_epochs")]
    assert segtrain("-m", *typed, "trainer.devices=2", "trainer.max_epochs=4", "seed=0,1", "name=s") == 0, segtrain.err
    runs = sorted(path.parent for path in segtrain.folder.glob("outputs/*/*/results.json"))
    assert len(runs) == 2
    assert {path.name for path in (segtrain.folder / "outputs").iterdir() if path.is_dir()} <= {"s", "cache"}
    require_same(one, next(run for run in runs if "seed=0" in (run / "overrides.yaml").read_text()))
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_torchrun_starts_the_processes_and_a_mistake_is_told_once(one: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "segtrain",
        *CONFIG,
    ]
    done = subprocess.run([*command, "trainer.max_epochs=4"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (run,) = (path.parent for path in tmp_path.glob("outputs/*/*/results.json"))
    require_same(one, run)
    assert done.stdout.count("took ") == 1
    wrong = subprocess.run([*command, "optimizer.lrr=1"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert wrong.returncode != 0 and wrong.stderr.count("there is no key") == 1
