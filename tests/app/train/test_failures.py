"""Ends of a training that no line of ours is to blame for: each is a message with its way out."""

import multiprocessing
import os
import re
import signal
from types import SimpleNamespace

import pytest
import torch

from segtrain.app.train.failures import explain_failures
from segtrain.aug import Policy
from segtrain.config.composition import conf_dir
from segtrain.config.run_config import RunConfig
from segtrain.data.datamodule import DataModule
from segtrain.data.datasets.shapes import Sample, Shapes
from segtrain.data.split import Split
from segtrain.errors import UserError
from segtrain.interrupts import Stopped, Stops
from segtrain.model.ranks import ALONE
from segtrain.parts.network import build_network


class Deadly(Shapes):
    """Reading one sample kills the process that reads it, unless that is the training process."""

    def __init__(self) -> None:
        super().__init__(n=12, size=32)
        self.parent = os.getpid()

    def read(self, index: int) -> Sample:
        if index == 7 and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index)


@pytest.fixture
def parts(tmp_path):
    return made_parts(tmp_path)


def made_parts(tmp_path):
    dataset = Deadly()
    split = Split(tuple(range(8)), (8, 9), (10, 11), ())
    config = {
        "choices": {"model": "unet_resnet18"},
        "model": {"_target_": "segmentation_models_pytorch.Unet"},
        "data": {"batch_size": 2, "crop": 96, "num_workers": 1},
        "trainer": {"precision": "32-true"},
    }
    data = DataModule(dataset, split, Policy(), seed=0, batch_size=2, num_workers=1)
    logbook = SimpleNamespace(pause=lambda: None)
    run = SimpleNamespace(path=tmp_path, has_results=False)
    return SimpleNamespace(
        config=RunConfig(config),
        dataset=dataset,
        data=data,
        device="a GPU",
        logbook=logbook,
        run=run,
        module=SimpleNamespace(ranks=ALONE),
    )


def loads(folder, said):
    """In a process of its own: when a child of it ends torch raises, wherever it is, as long as it has the loader."""
    parts = made_parts(folder)
    try:
        with explain_failures(parts, Stops()):
            list(parts.data.train_dataloader())
    except UserError as error:
        said.send(str(error))


def test_a_loader_process_that_dies_names_its_sample(tmp_path):
    told, said = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=loads, args=(tmp_path, said))
    process.start()
    assert told.poll(120)
    assert re.search(r"'shape_07'.*data\.num_workers=0", told.recv())
    process.join(60)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            r"a GPU ran out of memory.*batches of 2 with crop 96.*Tried to allocate 2 GiB; lower data\.batch_size",
        ),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), r"lower data\.batch_size"),
        (
            RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"),
            r"--shm-size.*num_workers=0",
        ),
        (RuntimeError("DataLoader worker (pid 3) is killed by signal: Bus error. out of shared memory"), "--shm-size"),
    ],
)
def test_memory_that_is_too_small_says_what_to_lower(error, message, parts):
    with pytest.raises(UserError, match=message), explain_failures(parts, Stops()):
        raise error


def test_a_network_that_cannot_be_compiled_says_what_to_leave_out(parts):
    error = type("InductorError", (RuntimeError,), {"__module__": "torch._inductor.exc"})("no working C++ compiler")
    with (
        pytest.raises(UserError, match=r"compile=true.*no working.*leave compile out"),
        explain_failures(parts, Stops()),
    ):
        raise error


def test_other_errors_stay_what_they_are(parts):
    for error in (ValueError("x"), UserError("y")):
        with pytest.raises(type(error)) as raised, explain_failures(parts, Stops()):
            raise error
        assert raised.value is error


def test_what_breaks_after_a_signal_is_the_stop(parts):
    stops = Stops()
    stops.asked = signal.SIGTERM
    with pytest.raises(Stopped) as raised, explain_failures(parts, stops):
        raise RuntimeError("DataLoader worker (pid(s) 3) exited unexpectedly")
    assert raised.value.status == 143


def test_a_process_that_reads_nothing_is_not_blamed_on_a_sample(parts):
    assert parts.data.reading.of(os.getpid()) is None


# Their batch norms see one place an image, behind pooling.
POOLED = ("deeplabv3plus", "upernet")


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml")))
def test_a_batch_of_one_trains_or_is_told_by_its_key(name, parts, composed):
    parts.config = RunConfig(composed(f"model={name}", "data.batch_size=1", "data.crop=64"))
    network = build_network(parts.config.model, 1, 2).train()
    told = ""
    try:
        with explain_failures(parts, Stops()):
            network(torch.rand(1, 1, 64, 64)).mean().backward()
    except UserError as error:
        told = str(error)
    assert (told != "") == (name in POOLED)
    assert not told or ("data.batch_size=2" in told and name in told)
