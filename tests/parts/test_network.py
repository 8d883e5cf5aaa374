"""A run's network without its data."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from segtrain.errors import UserError
from segtrain.parts.network import load_run
from segtrain.parts.predictor import predictor_of
from segtrain.runs import checkpoint
from segtrain.runs.folder import RunFolder
from tests.conftest import SMALL, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("loaded"), *SMALL, "trainer.max_epochs=1")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run that a test may harm."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_the_best_weights_stand_in_the_network_with_what_labels_mean(run: Path) -> None:
    loaded = load_run(RunFolder(run))
    saved = checkpoint.read_checkpoint(run / "checkpoints/best.ckpt")["state_dict"]
    state = loaded.model.state_dict()
    assert state and all(torch.equal(state[key], saved[key]) for key in state)
    assert loaded.classes == ("background", "disc", "square") and loaded.palette[0] == (0, 0, 0)
    logits = loaded.model(torch.zeros(1, loaded.channels, 64, 32, dtype=torch.uint8))
    assert logits.shape == (1, 3, 64, 32) and not logits.requires_grad and not loaded.model.training


def test_the_data_need_not_be_there(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("segtrain.data.datasets.Shapes", "segtrain.data.datasets.Gone"))
    assert load_run(RunFolder(run)).channels == 1


def test_a_run_under_way_gives_its_best_so_far(run: Path) -> None:
    before = load_run(RunFolder(run)).pixels
    (run / "checkpoints/best.safetensors").unlink()
    under_way = load_run(RunFolder(run))
    assert under_way.classes == ("background", "disc", "square")
    assert before is not None and under_way.pixels == before and before.dtypes == ("uint8",)


def test_runs_of_versions_that_kept_nothing_of_the_pixels_say_nothing(run: Path) -> None:
    weights, split = run / "checkpoints/best.safetensors", RunFolder(run).read_json("split.json")
    with safe_open(weights, "pt") as file:
        known = json.loads(file.metadata()["segtrain"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    assert known.pop("pixels") == split.pop("pixels")
    save_file(state, weights, {"segtrain": json.dumps(known)})
    RunFolder(run).write_json("split.json", split)
    assert load_run(RunFolder(run)).pixels is None
    dark = np.zeros((32, 32), np.float32)
    assert predictor_of([RunFolder(run)]).predict(dark + np.eye(32, dtype=np.float32)).labels.shape == (32, 32)
    weights.unlink()
    assert load_run(RunFolder(run)).pixels is None


def test_what_is_missing_or_damaged_is_named(run: Path) -> None:
    weights = run / "checkpoints/best.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match=r"best\.safetensors' cannot be read"):
        load_run(RunFolder(run))
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="no weights yet"):
        load_run(RunFolder(run))
    with pytest.raises(UserError, match="cannot be read as a run folder"):
        load_run(RunFolder(run / "nowhere"))


def test_weights_of_another_network_are_refused(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("- 8\n", "- 4\n"))
    with pytest.raises(UserError, match="do not fit the network"):
        load_run(RunFolder(run))


MOST = 60  # modules of ours that a prediction may take
OF_TRAINING = ("lightning", "albumentations", "matplotlib", "rich", "segtrain.parts.feeding")
CODE = """
import sys, numpy, segtrain
run, *others = sys.argv[1:]
predictor = segtrain.load(run, device="cpu")
labels = predictor.predict(numpy.zeros((40, 50, predictor.channels), numpy.uint8)).labels
assert labels.shape == (40, 50)
print([name for name in others if name in sys.modules])
print(sum(name == "segtrain" or name.startswith("segtrain.") for name in sys.modules))
"""


def test_a_prediction_takes_none_of_the_training_s_parts(trained: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(trained), *OF_TRAINING], capture_output=True, text=True, check=True
    )
    others, number = done.stdout.splitlines()[-2:]
    assert others == "[]" and int(number) <= MOST, done.stdout
