"""What training goes on from is a checkpoint of training: a foreign one, its sum right, is one message."""

import pytest
import torch

from segtrain.errors import UserError
from segtrain.runs import checkpoint

WHOLE = {
    "epoch": 2,
    "state_dict": {"w": torch.zeros(2)},
    "DataModule": {"epoch": 3, "batches": 0},
    "callbacks": {"Recorder": {"best": 0.5}},
    "loops": {"fit_loop": {}},
    "optimizer_states": [{}],
    "lr_schedulers": [{}],
    "losses": torch.zeros(0),
}
WRONG = [None, 5, "x", [], {}, [5], {"a": 5}, {"epoch": -1, "batches": 0}, {"epoch": True, "batches": "x"}, 0.5]
# Values of WRONG that are of the right kind all the same: what is deeper in them Lightning asks.
FITTING = {
    "epoch": [5],
    "optimizer_states": [[5]],
    "lr_schedulers": [[5]],
    "loops": [one for one in WRONG if isinstance(one, dict)],
}


def test_what_training_writes_is_read(tmp_path):
    checkpoint.write_checkpoint(WHOLE, tmp_path / "last.ckpt")
    assert checkpoint.read_training(tmp_path / "last.ckpt")["epoch"] == 2


@pytest.mark.parametrize("key", WHOLE)
def test_another_value_is_one_message(tmp_path, key):
    path = tmp_path / "last.ckpt"
    cases = [{name: value for name, value in WHOLE.items() if name != key}]
    cases += [{**WHOLE, key: value} for value in WRONG if value not in FITTING.get(key, ())]
    for case in cases:
        checkpoint.write_checkpoint(case, path)
        with pytest.raises(UserError, match=r"last\.ckpt' is damaged"):
            checkpoint.read_training(path)


@pytest.mark.parametrize("content", [5, [1], torch.zeros(2), {}, "x"])
def test_another_content_is_one_message(tmp_path, content):
    path = tmp_path / "last.ckpt"
    checkpoint.write_checkpoint(content, path)
    with pytest.raises(UserError, match=r"last\.ckpt' is damaged"):
        checkpoint.read_training(path)
