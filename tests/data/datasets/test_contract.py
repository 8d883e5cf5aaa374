import contextlib
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from segtrain.config.objects import build
from segtrain.config.run_config import Node
from segtrain.data.datasets import SegmentationDataset, colours
from tests.data.datasets import mistakes

CONF = Path(__file__).parents[3] / "conf" / "dataset"

formats = {
    m.name: importlib.import_module(f"{mistakes.__name__}.{m.name}") for m in pkgutil.iter_modules(mistakes.__path__)
}


def given_values(name, tmp_path):
    """What a file leaves open (`???`) and the user gives: the format's own `good()`, which writes right data."""
    if hasattr(formats.get(name), "good"):
        with contextlib.chdir(tmp_path):
            good = formats[name].good()
        return good if "manifest" in good else good | {"root": str(tmp_path)}
    if name != "folder":
        return {}
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for i in range(10):
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / folder / f"{i}.png")
    return {"root": str(tmp_path), "classes": {"background": 0, "cell": 255}}


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_file_in_conf_gives_a_dataset_that_keeps_the_contract(name, tmp_path, composed):
    if name == "brain_tissue":
        pytest.importorskip("nibabel")
    config = composed(f"dataset={name}").dataset
    OmegaConf.set_struct(config, False)
    config = OmegaConf.merge(config, given_values(name, tmp_path))
    split = config.pop("split")
    dataset: SegmentationDataset = build(Node(OmegaConf.to_container(config, resolve=True), f"dataset/{name}.yaml"))
    assert len(dataset.ids) == len(dataset.splits) == len(set(dataset.ids))
    assert list(dataset.ids) == sorted(dataset.ids)
    assert len(dataset.palette) == len(dataset.classes) == len(set(dataset.palette))
    image, mask = dataset.read(0)
    assert image.shape == (*mask.shape, dataset.channels)
    assert set(np.unique(mask)) <= {*range(len(dataset.classes)), dataset.ignore_index}
    assert int(dataset.fingerprint(), 16)
    parts = build(
        Node(OmegaConf.to_container(split, resolve=True), f"dataset/{name}.yaml with split=its"),
        leave_out=["allow_leak"],
    ).assign(dataset.ids, dataset.splits)
    assert sorted(i for part in parts for i in part) == list(range(len(dataset.ids)))


def test_colours_differ_and_background_is_black():
    names = [*(f"class {i}" for i in range(40)), "background"]
    palette = colours(names)
    assert palette[-1] == (0, 0, 0)
    assert len(set(palette)) == 41
    assert np.array(palette).min() >= 0 and np.array(palette).max() <= 255


@pytest.mark.parametrize(
    "path",
    [
        *(f"datasets.contract.{name}" for name in ("RGB", "IGNORE_INDEX", "Sample", "SegmentationDataset", "colours")),
        *("datasets.folder.Folder", "datasets.csv_manifest.Csv", "datasets.streamed.Streamed", "split.given.Given"),
        *("split.blocks.Blocks", "split.folds.Folds", "split.ratios.Ratios", "split.stratified.Stratified"),
    ],
)
def test_what_users_import_and_pickle_stays_where_it_is(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert hasattr(importlib.import_module(f"segtrain.data.{module}"), name)
