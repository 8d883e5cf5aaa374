import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from segtrain.data.datasets import Folder, HuggingFace
from segtrain.errors import UserError
from tests.data.datasets.mistakes.huggingface import CLASSES, opened, save, splits, table

library = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_a_saved_dataset_is_read_row_by_row():
    save(table())
    dataset = opened()
    assert dataset.ids == ("000000", "000001", "000002", "000003") and dataset.splits == (None,) * 4
    assert dataset.classes == ("background", "cell") and dataset.channels == 3 and dataset.groups is None
    for i in range(4):
        image, mask = dataset.read(i)
        assert image.shape == (8, 9, 3) and image.dtype == np.uint8 and (image == 10 * i).all()
        assert mask.dtype == np.uint8 and (mask == i % 2).all()


def test_splits_keep_their_place_and_their_usual_names():
    save(splits(train=table(3), validation=table(1), test=table(2)))
    dataset = opened()
    assert dataset.ids == ("test/000000", "test/000001", *(f"train/00000{i}" for i in range(3)), "val/000000")
    assert dataset.splits == ("test", "test", "train", "train", "train", "val")
    assert (dataset.read(1).image == 10).all()


def test_splits_are_chosen_by_name():
    save(splits(part_a=table(3), part_b=table(2), rest=table(1)))
    dataset = opened(splits={"train": "part_a", "test": "part_b"})
    assert dataset.splits == ("test",) * 2 + ("train",) * 3


def test_ids_and_groups_come_from_columns():
    save(table(name=["d", "a", "c", "b"], patient=["p1", "p2", None, "p1"]))
    dataset = opened(id="name", group="patient")
    assert dataset.ids == ("a", "b", "c", "d") and dataset.groups == ("p2", "p1", None, "p1")
    assert [int(dataset.read(i).image[0, 0, 0]) for i in range(4)] == [10, 30, 20, 0]


@pytest.mark.parametrize(
    "inside", [library.ClassLabel, lambda names: library.Sequence(library.ClassLabel(names=names))]
)
def test_class_names_come_from_a_column_of_class_labels(inside):
    plain = table(mask=[Image.fromarray(np.full((8, 9), i, np.uint8)) for i in (0, 1, 2, 1)])
    kind = inside(names=["air", "bone", "fat"])
    labels = [0] * 4 if hasattr(kind, "names") else [[0, 1]] * 4
    save(plain.add_column("kinds", labels).cast_column("kinds", kind))
    dataset = opened(classes="kinds")
    assert dataset.classes == ("air", "bone", "fat") and dataset.read(2).mask.max() == 2


@pytest.mark.parametrize("is_deep", [True, False])
def test_cells_are_decoded_as_files_are(write, is_deep):
    """The same bytes as files: 16 bits, a palette, EXIF orientation, grey."""
    turned, palette = Image.Exif(), Image.fromarray(np.array([[0, 1, 1]] * 2, np.uint8), "P")
    turned[0x0112] = 6
    palette.putpalette([0, 0, 0, 200, 30, 30])
    deep = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000
    shallow = np.arange(6, dtype=np.uint8)
    images = [write("images/a.png", deep)] if is_deep else []
    if not is_deep:
        images.append(write("images/b.jpg", shallow.reshape(3, 2) * 40, exif=turned))
        images.append(write("images/c.png", shallow.reshape(2, 3)))
    masks = [write(f"masks/{path.stem}.png", palette) for path in images]
    cells = {name: [str(path) for path in paths] for name, paths in (("image", images), ("mask", masks))}
    types = library.Features({name: library.Image() for name in cells})
    save(library.Dataset.from_dict(cells, features=types))
    files, rows = Folder(".", {"background": 0, "cell": 1}), opened(classes={"background": 0, "cell": 1})
    for i in range(len(images)):
        for file, cell in zip(files.read(i), rows.read(i), strict=True):
            assert file.dtype == cell.dtype
            np.testing.assert_array_equal(file, cell)
    coloured = opened(classes={"background": "#000000", "cell": "#c81e1e"})
    np.testing.assert_array_equal(coloured.read(0).mask, rows.read(0).mask)


def test_parquet_files_are_read_too():
    Path("data").mkdir()
    table(3).to_parquet("data/train.parquet")
    table(2).to_parquet("data/test.parquet")
    dataset = opened()
    assert dataset.splits == ("test",) * 2 + ("train",) * 3 and (dataset.read(1).mask == 1).all()


def test_the_fingerprint_tells_other_data_and_other_meaning():
    save(table())
    first = opened().fingerprint()
    assert opened().fingerprint() == first
    assert opened(classes={"cell": 255, "background": 0}).fingerprint() != first
    save(table(3))
    assert opened().fingerprint() != first


def test_without_a_network_a_name_on_the_hub_says_what_to_do(monkeypatch):
    def offline(*args, **options):
        raise ConnectionError("Couldn't reach 'owner/cells' on the Hub\nmore")

    monkeypatch.setattr(library, "load_dataset", offline)
    with pytest.raises(UserError, match=r"save_to_disk.*got ConnectionError: "):
        HuggingFace("owner/cells", CLASSES)


def test_what_was_asked_of_the_hub_and_never_code(monkeypatch):
    asked = {}
    monkeypatch.setattr(library, "load_dataset", lambda *args, **options: asked.update(options, args=args) or table())
    assert len(HuggingFace("owner/cells", CLASSES, config="small", revision="v2").ids) == 4
    assert asked == {"args": ("owner/cells", "small"), "revision": "v2"}


def test_a_table_without_rows_is_refused(monkeypatch):
    monkeypatch.setattr(library, "load_dataset", lambda *args, **options: table(0))
    with pytest.raises(UserError, match="no rows"):
        HuggingFace("owner/cells", CLASSES)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r'pip install "segtrain\[huggingface\]"'):
        opened()


class Samples(Dataset):
    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset.ids)

    def __getitem__(self, index):
        return int(self.dataset.read(index).image[0, 0, 0])


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_processes_read_the_same(workers):
    save(table(8))
    dataset = opened()
    again = pickle.loads(pickle.dumps(dataset))
    assert again.fingerprint() == dataset.fingerprint() and (again.read(3).image == 30).all()
    dataset.read(0)  # opened before the fork
    assert [int(v) for v in DataLoader(Samples(dataset), batch_size=None, num_workers=workers)] == [
        10 * i for i in range(8)
    ]
