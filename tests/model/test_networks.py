"""Every network of conf/model takes the dataset's channels and classes, and trains."""

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from segtrain.config.composition import conf_dir
from segtrain.model.losses import DiceCE

FILES = sorted((conf_dir() / "model").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_network_takes_the_datasets_channels_and_classes_and_trains(file):
    torch.manual_seed(0)
    network = instantiate(OmegaConf.load(file), in_channels=1, classes=3, _convert_="all")
    logits = network(torch.randn(2, 1, 64, 64))
    assert logits.shape == (2, 3, 64, 64)
    DiceCE(255)(logits, torch.randint(0, 3, (2, 64, 64))).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
