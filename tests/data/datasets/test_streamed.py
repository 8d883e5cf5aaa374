import json
import os
import pickle
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from segtrain.data.datasets import Sample, Shapes, Streamed
from segtrain.data.datasets import streamed as module
from segtrain.data.datasets.streamed import write_stream
from segtrain.errors import UserError
from tests.data.datasets.mistakes.litdata import written

pytest.importorskip("litdata")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


EVIL_TREE = [1, {"type": "builtins.list", "context": "null", "children_spec": [{"__enum__": 1, "fqn": "evil:X"}] * 2}]
OTHER_TREE = [1, {"type": "collections.defaultdict", "context": '{"default_factory_module": "evil"}'}]
STRANGE = {
    "an enum of a module": ("config", "data_spec", json.dumps(EVIL_TREE)),
    "another type of a module": ("config", "data_spec", json.dumps(OTHER_TREE)),
    "no tree": ("config", "data_spec", None),
    "compression": ("config", "compression", "zstd"),
    "encryption": ("config", "encryption", {"algorithm": "fernet", "level": "chunk"}),
    "a version above": ("", "updated_at", ".."),
    "a version elsewhere": ("", "updated_at", "../../../../elsewhere"),
    "a version at the root": ("", "updated_at", "/tmp/elsewhere"),
    "a version that is none": ("", "updated_at", {"a": 1}),
    "a chunk above": ("chunk", "filename", "../chunk.bin"),
    "a chunk elsewhere": ("chunk", "filename", "/tmp/chunk.bin"),
    "a chunk of another kind": ("chunk", "filename", ".bashrc"),
}


@pytest.mark.parametrize("case", STRANGE)
@pytest.mark.parametrize("root", ["stream", "local:{here}/stream"])
def test_an_index_that_convert_would_not_write_is_refused(case, root, tmp_path):
    """Of a folder and of an address, before litdata sees it, which would import and write what the index names."""
    place, key, value = STRANGE[case]
    file = written() / "index.json"
    index = json.loads(file.read_text())
    {"": index, "config": index["config"], "chunk": index["chunks"][0]}[place][key] = value
    file.write_text(json.dumps(index))
    there = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="convert the data again"):
        Streamed(root.format(here=tmp_path), cache="cache").read(0)
    assert sorted(tmp_path.rglob("*")) == there and "evil" not in sys.modules


def test_nothing_is_unpickled_of_an_index_that_changes_behind_the_look(monkeypatch):
    """As an object store may: every item is bytes, whatever it is called."""
    from litdata.streaming import serializers

    file = written() / "index.json"
    dataset = Streamed("stream")
    index = json.loads(file.read_text())
    index["config"]["data_format"] = ["bytes", "pickle"]
    file.write_text(json.dumps(index))
    monkeypatch.setattr(serializers.pickle, "loads", lambda *_: pytest.fail("unpickled"))
    image, mask = dataset.read(3)
    assert (image == Shapes(12, size=16).read(3).image).all() and (mask == Shapes(12, size=16).read(3).mask).all()


class Odd:
    """Five channels, every dtype, sizes that differ from sample to sample, groups and weights."""

    classes = ("background", "cell", "rim")
    palette = ((0, 0, 0), (1, 2, 3), (4, 5, 6))
    ignore_index = 255
    channels = 5
    ids = tuple(f"part/{i:02d} é" for i in range(9))
    splits = ("train",) * 4 + ("val",) * 2 + (None,) * 3
    groups = ("p1", None) * 4 + ("p2",)
    weights = np.arange(9) / 7

    def read(self, index):
        rng = np.random.default_rng(index)
        size = (3 + index, 7)
        image = rng.integers(0, 256, (*size, self.channels))
        dtype = (np.uint8, np.uint16, np.float32)[index % 3]
        image = (image.astype(np.float64) * (257 if dtype == np.uint16 else 1)).astype(dtype)
        if dtype == np.float32:
            image[0, 0] = [np.nan, np.inf, -0.0, 1e-40, -np.inf]
        return Sample(image, rng.choice(np.array([0, 1, 2, 255], np.uint8), size))

    def fingerprint(self):
        return "ab"


@pytest.mark.parametrize("compress", [False, True])
def test_everything_comes_back_bit_for_bit(compress, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1000)  # bytes: several chunks
    folder = written(dataset=Odd(), compress=compress)
    assert len(list(folder.glob("chunk-*"))) > 3
    dataset, original = Streamed(folder), Odd()
    for name in ("classes", "palette", "channels", "ignore_index", "ids", "splits"):
        assert getattr(dataset, name) == getattr(original, name), name
    assert tuple(dataset.groups) == original.groups
    assert dataset.weights.dtype == np.float64 and (dataset.weights == original.weights).all()
    for index in [5, 0, 8, 3, 1, 7, 2, 6, 4]:
        for stored, made in zip(dataset.read(index), original.read(index), strict=True):
            assert stored.dtype == made.dtype and stored.shape == made.shape
            assert stored.tobytes() == made.tobytes() and stored.flags.writeable
    assert dataset.read(-1).mask.shape == (11, 7)
    with pytest.raises(IndexError):
        dataset.read(9)


def test_a_compressed_folder_is_smaller_and_both_are_one_dataset_in_content():
    sizes = [(written(name, Shapes(8), c) / "chunk-0-0.bin").stat().st_size for name, c in (("a", False), ("b", True))]
    assert sizes[1] < 0.8 * sizes[0]
    assert Streamed("a").fingerprint() == Streamed("b").fingerprint()
    assert Streamed(written("c", Shapes(8, seed=1))).fingerprint() != Streamed("a").fingerprint()


class Samples(Dataset):
    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset.ids)

    def __getitem__(self, index):
        return self.dataset.read(index).image.astype(np.int64).sum()


@pytest.mark.parametrize("root", ["{}", "local:{}"])
def test_loader_processes_read_the_same(root, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 3000)
    dataset = Streamed(root.format(written(dataset=Shapes(40, size=16)).resolve()), cache=tmp_path / "cache")
    sums = [int(Shapes(40, size=16).read(i).image.sum()) for i in range(40)]
    order = np.random.default_rng(0).permutation(40).tolist()
    assert dataset.read(7).image.sum() == sums[7]  # opened before the fork
    loader = DataLoader(Samples(dataset), batch_size=None, sampler=order, num_workers=2, persistent_workers=True)
    for _ in range(2):
        assert [int(total) for total in loader] == [sums[i] for i in order]
    again = pickle.loads(pickle.dumps(dataset))
    assert again.read(3).image.sum() == sums[3] and again.fingerprint() == dataset.fingerprint()


def test_an_object_store_is_read_into_the_cache_chunk_by_chunk(tmp_path, monkeypatch):
    """By litdata's own stand-in for one: addresses of the form local:/folder are fetched like s3://bucket/folder."""
    monkeypatch.setattr(module, "CHUNK", 3000)
    folder = written(dataset=Shapes(40, size=16)).resolve()
    dataset = Streamed(f"local:{folder}", cache=tmp_path / "cache")
    assert not list(tmp_path.glob("cache/**/*.bin"))
    dataset.read(0)
    assert 1 <= len(list(tmp_path.glob("cache/**/*.bin"))) < len(list(folder.glob("*.bin")))


def test_an_object_store_that_cannot_be_reached_is_told(monkeypatch):
    with pytest.raises(UserError, match=r"'local:/nowhere/segtrain.json'.*s3://bucket/folder"):
        Streamed("local:/nowhere")


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written("here")
    assert len(Streamed("~/here").ids) == 12


@pytest.mark.slow
def test_reading_asks_nothing_of_the_network_and_prints_nothing():
    written()
    code = (
        "import socket\n"
        "def refused(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refused\n"
        "from segtrain.data.datasets import Streamed\n"
        "Streamed('stream').read(3)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_litdata_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "litdata", None)
    for attempt in (lambda: Streamed("stream"), lambda: write_stream(Shapes(2), Path("."), False)):
        with pytest.raises(UserError, match=r'pip install "segtrain\[stream\]"'):
            attempt()


def test_a_deflated_array_swells_no_further_than_its_header_says():
    array = np.zeros((50, 40), np.float32)
    assert (module.unpacked(module.packed(array, True)) == array).all()
    head = module.npy(array)[: -array.nbytes]
    for body in (head + bytes(1 << 26), head, head.replace(b"(50, 40)", b"(10**9,)"[:8])):
        data = zlib.compress(body, 1)
        began = time.process_time()
        with pytest.raises(ValueError):
            module.unpacked(data + zlib.crc32(data).to_bytes(4))
        assert time.process_time() - began < 0.05  # 64 MB take longer
