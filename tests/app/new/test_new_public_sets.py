"""`python -m segtrain new` on public data sets: right, or a question on it; and what it writes passes the check."""

import numpy as np
import pytest
import tifffile

from segtrain.config.run_config import RunConfig
from segtrain.parts.data import build_dataset, build_groups, build_split
from tests.app.new.layouts import SIZE, labels, opened, unchecked
from tests.app.new.public_sets import EVERY, GRID, UNREAD, label, scan
from tests.conftest import CommandLine
from tests.data.datasets.mistakes.volume import body, nifti

__all__ = ["unchecked"]  # the fixture


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", EVERY)
def test_a_public_set_is_read_right_and_passes_the_check(name: str, segtrain: CommandLine) -> None:
    case = EVERY[name]
    case.make(segtrain.folder / "data")
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    asked = [line for line in segtrain.out.splitlines() if line.startswith("yours to tell")]
    assert all(any(words in line for line in asked) for words in case.asked), segtrain.out
    written = opened(segtrain)
    for key, value in case.expected.items():
        *above, last = key.split(".")
        node = written.dataset[above[0]] if above else written.dataset
        assert (node.get(last) is not None) if value is True else node.get(last) == value, written.dataset
    dataset = build_dataset(RunConfig(written))
    assert len(dataset.ids) == case.samples and dataset.channels == case.channels
    assert {*dataset.splits} - {None} == {*case.splits}
    assert build_split(RunConfig(written), dataset).train
    assert segtrain("--config-dir", "my_conf", "check", "dataset=mine", "parts=[data]", "workers=1") == 0, segtrain.out


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", UNREAD)
def test_labels_that_are_not_read_are_named_with_a_way_out(name: str, segtrain: CommandLine) -> None:
    make, words = UNREAD[name]
    make(segtrain.folder / "data")
    assert segtrain("new", "mine", "data") == 2 and not (segtrain.folder / "my_conf").exists()
    assert all(word in segtrain.err for word in words) and segtrain.err.count("\n") == 1, segtrain.err


@pytest.mark.usefixtures("unchecked")
def test_frames_of_a_patient_stay_together(segtrain: CommandLine) -> None:
    EVERY["ACDC"].make(segtrain.folder / "data")
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain)
    dataset = build_dataset(RunConfig(written))
    names = np.array([name.split("/")[1].split("_")[0] for name in dataset.ids])
    codes = build_groups(RunConfig(written), dataset).codes
    assert len({*zip(names.tolist(), codes.tolist(), strict=True)}) == len({*codes.tolist()}) == 8


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("named", ["seg2", "gt", "label_old", "brainmask", "prior"])
def test_what_looks_like_labels_is_no_input(named: str, segtrain: CommandLine) -> None:
    """By its name, though its values are many; or by few values, whatever its name."""
    root = segtrain.folder / "data"
    for i in range(4):
        scan(root / f"p{i}/p{i}_t1.nii.gz", i)
        label(root / f"p{i}/p{i}_seg.nii.gz", 1)
        if named in ("prior", "brainmask"):
            nifti(str(root / f"p{i}/p{i}_{named}.nii.gz"), body(GRID, 3))
        else:
            scan(root / f"p{i}/p{i}_{named}.nii.gz", 50 + i)
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    written = opened(segtrain).dataset
    assert written.images == "{id}/{id}_t1.nii*" and named not in written.labels
    assert any(named in line and "labels" in line for line in segtrain.out.splitlines() if "yours to tell" in line)


def test_labels_that_were_scaled_are_told_by_their_values(segtrain: CommandLine) -> None:
    for i in range(4):
        scan(segtrain.folder / f"data/images/p{i}.nii.gz", i)
        nifti(str(segtrain.folder / f"data/labels/p{i}.nii.gz"), (body(GRID, 2) * 1.0118).astype("float32"))
    assert segtrain("new", "mine", "data") == 2
    assert "2.0236" in segtrain.err


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("gone", ["p0_t1", "p3_t1", "p0_seg"])
@pytest.mark.parametrize("patients", [4, 30])
def test_one_file_without_a_partner_is_named_and_left_out(gone: str, patients: int, segtrain: CommandLine) -> None:
    root = segtrain.folder / "data"
    for i in range(patients):
        scan(root / f"p{i}_t1.nii.gz", i)
        label(root / f"p{i}_seg.nii.gz", 1)
        if i % 3:
            scan(root / f"p{i}_t2.nii.gz", 100 + i)
    (root / f"{gone}.nii.gz").unlink()
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    dataset = build_dataset(RunConfig(opened(segtrain)))
    assert len({*dataset.groups}) == patients - 1 and dataset.channels == 1
    left = [line for line in segtrain.out.splitlines() if "yours to tell" in line and "left out" in line]
    assert len(left) == 1 and gone.split("_")[0] in left[0]
    assert "{id}_t2" in segtrain.out


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["train_{}", "BraTS20_Training_{:03d}", "test-{}", "val_patient{}"])
def test_patients_named_like_a_split_are_no_split(name: str, segtrain: CommandLine) -> None:
    root = segtrain.folder / "data"
    for i in range(5):
        scan(root / name.format(i) / "scan.nii.gz", i)
        label(root / name.format(i) / "seg.nii.gz", 1)
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    dataset = build_dataset(RunConfig(opened(segtrain)))
    assert len(dataset.ids) == 25 and {*dataset.splits} == {None}
    assert {one.split("/")[0] for one in dataset.ids} == {name.format(i) for i in range(5)}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("fifth", ["labels", "dim light", "no light"])
def test_a_channel_that_looks_like_labels_is_no_input(fifth: str, segtrain: CommandLine) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        pixels = rng.integers(0, 4000, (*SIZE, 5)).astype(np.uint16)
        pixels[..., 4] = {"labels": labels(i, 3), "dim light": rng.poisson(3, SIZE), "no light": np.zeros(SIZE)}[fifth]
        for folder, values in (("images", pixels), ("masks", labels(i, 3))):
            path = segtrain.folder / "data" / folder / f"f{i}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            how = {"planarconfig": "contig"} if values.ndim == 3 else {}
            tifffile.imwrite(path, values, photometric="minisblack", **how)
    assert segtrain("new", "mine", "data") == 0, segtrain.err
    assert build_dataset(RunConfig(opened(segtrain))).channels == (4 if fifth == "labels" else 5)
    assert ("channels 4 of the images" in segtrain.out) == (fifth == "labels")
