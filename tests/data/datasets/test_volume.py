import itertools
import pickle
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from segtrain.data.files import nifti as nifti_module
from segtrain.data.files.dicom import open_series
from segtrain.errors import UserError, hearing, summed
from tests.conftest import SMALL
from tests.data.datasets.mistakes.volume import AFFINE, RAMP, SHAPE, body, good, nifti, opened, pair, scanned, series


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def upright(canonical, axis, index):
    """The plane by the other way: the whole volume in RAS order, as nibabel turns it."""
    return np.take(canonical, index, axis).T[::-1]


def test_slices_are_named_by_patient_and_place():
    pair("p1-2")
    pair("p1")
    dataset = opened()
    assert list(dataset.ids) == sorted(dataset.ids) and dataset.groups[0] == "p1-2"
    nifti("images/p2.nii.gz", RAMP)
    nifti("labels/p2.nii.gz", body())
    for folder in ("images", "labels"):
        Path(folder, "p1-2.nii.gz").unlink()
    dataset = opened()
    assert [str(path) for path in dataset.files(0)] == ["images/p1.nii.gz", "labels/p1.nii.gz"]
    assert dataset.ids[:6] == (
        "p1/slice_0000",
        "p1/slice_0001",
        "p1/slice_0002",
        "p1/slice_0003",
        "p1/slice_0004",
        "p2/slice_0000",
    )
    assert dataset.groups == ("p1",) * 5 + ("p2",) * 5 and dataset.splits == (None,) * 10 and dataset.channels == 1
    image, mask = dataset.read(1)
    assert image.shape == (8, 6, 1) and image.dtype == np.float32
    np.testing.assert_array_equal(image[..., 0], upright(RAMP, 2, 1))
    np.testing.assert_array_equal(mask, upright(body(), 2, 1))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_orientation_is_turned_to_the_patients_axes(axis):
    rng = np.random.default_rng(axis)
    for number, (order, signs) in enumerate(
        itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
    ):
        affine = np.eye(4)
        affine[:3, :3] = (np.eye(3)[:, list(order)] * signs) @ np.diag([1, 2, 3]) + rng.normal(0, 0.1, (3, 3))
        nifti(f"images/{number:02d}.nii", RAMP, affine)
        nifti(f"labels/{number:02d}.nii", body(), affine)
    dataset = opened(axis=axis)
    for number in range(48):
        canonical = nibabel.as_closest_canonical(nibabel.load(f"images/{number:02d}.nii")).get_fdata()
        for index in (0, canonical.shape[axis] - 1):
            image, mask = dataset.read(dataset.ids.index(f"{number:02d}/slice_{index:04d}"))
            np.testing.assert_array_equal(image[..., 0], upright(canonical, axis, index))
            assert mask.shape == image.shape[:2]


@pytest.mark.parametrize(("axis", "expected"), [(0, (3, 2)), (1, (3, 1)), (2, (2, 1))])
def test_pixels_are_so_many_mm_high_and_wide_however_the_scan_lies(axis, expected):
    for number, order in enumerate(itertools.permutations(range(3))):
        affine = np.eye(4)
        affine[:3, :3] = (np.diag([1, -2, 3]))[:, list(order)]
        shape = tuple(np.array(SHAPE)[list(order)])
        for folder, values in (("images", np.ones(shape, np.float32)), ("labels", np.ones(shape, np.uint8))):
            nifti(f"{folder}/p{number}.nii.gz", values, affine)
    dataset = opened(axis=axis)
    assert {dataset.spacing(index) for index in range(len(dataset.ids))} == {expected}


def test_an_uncompressed_file_is_mapped_and_a_compressed_one_unpacked_once(monkeypatch):
    pair()
    nifti("images/p2.nii", RAMP)
    nifti("labels/p2.nii", body())
    loads = []
    whole = nifti_module._voxels
    monkeypatch.setattr(nifti_module, "_voxels", lambda path: loads.append(path.name) or whole(path))
    dataset = opened()
    for index in [0, 1, 5, 6, 0, 1]:
        dataset.read(index)
    assert sorted(loads) == ["p1.nii.gz", "p1.nii.gz", "p2.nii", "p2.nii"]  # image and label
    assert isinstance(whole(Path("images/p2.nii")), np.memmap)
    loads.clear()
    dataset = opened(keep=1)
    for index in [0, 5, 0]:
        dataset.read(index)
    assert len(loads) == 6


def test_slope_and_intercept_are_applied():
    pair(image=RAMP)
    image = nibabel.Nifti1Image(RAMP.astype(np.float64) / 10 - 3, AFFINE)
    image.header.set_data_dtype(np.int16)
    image.to_filename("images/p1.nii.gz")
    np.testing.assert_allclose(opened().read(2).image[..., 0], upright(RAMP / 10 - 3, 2, 2), atol=1e-3)


def test_a_window_becomes_0_to_1():
    pair()
    image = opened(window=[50, 150]).read(2).image[..., 0]
    np.testing.assert_allclose(image, np.clip((upright(RAMP, 2, 2) - 50) / 100, 0, 1), atol=1e-6)


def test_normalisation_is_over_the_voxels_of_a_volume_that_are_not_0():
    pair()
    rest = RAMP[RAMP != 0].astype(float)
    image = opened(normalise="zscore").read(2).image[..., 0]
    np.testing.assert_allclose(image, (upright(RAMP, 2, 2) - rest.mean()) / rest.std(), atol=1e-5)
    low, high = np.percentile(rest, [10, 90])
    image = opened(normalise="percentile", percentiles=[10, 90]).read(0).image[..., 0]
    np.testing.assert_allclose(image, np.clip((upright(RAMP, 2, 0) - low) / (high - low), 0, 1), atol=1e-5)


def test_modalities_and_a_fourth_axis_are_channels():
    for name, times in (("t1", 1), ("flair", 2)):
        nifti(f"p1/p1_{name}.nii.gz", RAMP * times)
    nifti("p1/p1_seg.nii.gz", body())
    nifti("p1/._p1_t1.nii.gz", RAMP)
    dataset = opened(images=["{id}/{id}_t1.nii.gz", "{id}/{id}_flair.nii.gz"], labels="{id}/{id}_seg.nii.gz")
    assert dataset.channels == 2
    np.testing.assert_array_equal(dataset.read(2).image, upright(RAMP, 2, 2)[..., None] * [1, 2])
    nifti("imagesTr/b.nii.gz", np.stack([RAMP, RAMP * 3], 3))
    nifti("labelsTr/b.nii.gz", body())
    dataset = opened(images="imagesTr/{id}.nii.gz", labels="labelsTr/{id}.nii.gz", normalise="zscore")
    assert dataset.channels == 2 and dataset.read(0).image.shape == (8, 6, 2)
    np.testing.assert_allclose(dataset.read(0).image[..., 0], dataset.read(0).image[..., 1], atol=1e-5)


def test_empty_slices_are_dropped_and_others_passed_over():
    pair()
    assert [name[-1] for name in opened(empty="drop").ids] == ["1", "2", "3"]
    assert [name[-1] for name in opened(every=2).ids] == ["0", "2", "4"]
    assert [name[-1] for name in opened(every=2, empty="drop").ids] == ["2"]
    assert len(opened(axis=0).ids) == SHAPE[0] and len(opened(axis=1).ids) == SHAPE[1]


def test_splits_come_from_the_pattern():
    for part, name in (("train", "a"), ("test", "b")):
        nifti(f"{part}/{name}/scan.nii", RAMP)
        nifti(f"{part}/{name}/label.nii", body())
    dataset = opened(images="{split}/{id}/scan.nii", labels="{split}/{id}/label.nii")
    assert dataset.splits == ("test",) * 5 + ("train",) * 5
    assert dataset.ids[5] == "train/a/slice_0000" and dataset.groups[5] == "a"


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_labels_of_any_type_are_whole_numbers(dtype):
    pair(label=body().astype(dtype))
    np.testing.assert_array_equal(opened().read(1).mask, upright(body(), 2, 1))


@pytest.mark.parametrize("tilted", [False, True])
def test_a_dicom_series_lies_where_its_nifti_lies(tilted):
    affine = AFFINE.copy()
    if tilted:
        turn = np.array([[np.cos(0.2), 0, np.sin(0.2)], [0, 1, 0], [-np.sin(0.2), 0, np.cos(0.2)]])
        affine[:3, :3] = turn @ np.diag([-1, 1, -1]) @ AFFINE[:3, :3]
    affine[:3, 3] = [-20, 7, 40]
    series("images/p1", affine=affine)
    nifti("labels/p1.nii.gz", body(), affine)
    nifti("again/p1.nii.gz", RAMP, affine)
    for axis in (0, 1, 2):
        dicom, plain = opened(images="images/{id}", axis=axis), opened(images="again/{id}.nii.gz", axis=axis)
        for index in range(len(plain.ids)):
            np.testing.assert_array_equal(dicom.read(index).image, plain.read(index).image)
            np.testing.assert_array_equal(dicom.read(index).mask, plain.read(index).mask)


def test_a_dicom_series_is_rescaled_to_hu_slice_by_slice():
    folder = scanned()
    header = pydicom.dcmread(folder / "00.dcm")  # the lowest slice
    header.RescaleSlope = 2
    header.save_as(folder / "00.dcm")
    values = open_series(folder).load()
    np.testing.assert_array_equal(values[..., 1:], RAMP[..., 1:])
    np.testing.assert_array_equal(values[..., 0], (RAMP[..., 0] + 1024) * 2 - 1024)


def test_a_series_of_several_is_refused():
    series("other", RAMP[..., :1])
    folder = scanned()
    Path("other/00.dcm").rename(folder / "x.dcm")
    with pytest.raises(UserError, match=r"x\.dcm' has another SeriesInstanceUID"):
        opened(images="images/{id}")


def test_fingerprint_follows_files_and_choices():
    pair()
    prints = [opened().fingerprint(), opened(axis=1).fingerprint(), opened(window=[0, 9]).fingerprint()]
    pair(image=RAMP + np.int16(1))
    prints.append(opened().fingerprint())
    assert len(set(prints)) == 4 and opened().fingerprint() == prints[-1]


def test_older_runs_are_known_by_the_fingerprint_that_did_not_follow_the_classes():
    """It was the same whatever the values meant, as it still is where they are the labels."""
    pair()
    plain = opened(classes={"background": 0, "liver": 1})
    other = opened(classes={"liver": 1, "background": 0})
    assert plain.older_fingerprints() == [] and other.older_fingerprints() == [plain.fingerprint()]
    assert other.fingerprint() != plain.fingerprint()


def test_a_dataset_can_be_sent_to_a_worker_without_its_volumes():
    pair(image=np.zeros((60, 60, 60), np.int16) + np.int16(1))
    dataset = opened()
    before = dataset.read(1).image
    sent = pickle.dumps(dataset)
    assert len(sent) < 60**3
    np.testing.assert_array_equal(pickle.loads(sent).read(1).image, before)


@pytest.mark.slow
def test_a_training_by_config_alone(segtrain):
    good()
    options = [o for o in SMALL if not o.startswith("dataset")]
    chosen = ["dataset=volume", "dataset.root=.", "dataset.classes={background:0,liver:1}", "dataset.window=[0,200]"]
    assert segtrain(*chosen, "name=ct", *options) == 0, segtrain.err
    parts = {name: {i.split("/")[0] for i in ids} for name, ids in _split().items()}
    assert all(not (parts[a] & parts[b]) for a, b in itertools.combinations(("train", "val", "test"), 2))


def _split():
    import json

    found = json.loads(next(Path("outputs/ct").rglob("split.json")).read_text())
    return {name: found[name] for name in ("train", "val", "test")}


def headed(sform, pixdim, qform=None):
    """A patient whose header says other sides of a voxel, or other axes, in two places."""
    for path in (nifti("images/p1.nii.gz", RAMP), nifti("labels/p1.nii.gz", body())):
        image = nibabel.Nifti1Image(np.asarray(nibabel.load(path).dataobj), None)
        image.header.set_zooms(pixdim)
        image.set_qform(qform, 0 if qform is None else 1, update_affine=False)
        image.set_sform(np.diag([*sform, 1]), 1)
        image.to_filename(path)


def test_a_header_that_says_two_spacings_is_remarked():
    headed((1, 1, 1), (1.3158, 1.3158, 10))
    with hearing() as heard:
        assert opened().spacing(0) == (1, 1)
    assert [one.kind for one in heard] == ["spacing"] * 2 and len(summed(heard)[0].names) == 2
    assert "1 x 1 x 1 mm" in heard[0].message and "1.316 x 1.316 x 10 mm" in heard[0].message


@pytest.mark.parametrize("sides", [(1, 1, 1), (0.7, 0.7, 2.5), (-0.7, 0.7, 2.5)])
def test_a_header_that_says_the_same_in_both_places_is_not(sides):
    with hearing() as heard:
        headed(sides, np.abs(sides) * 1.0001)
        opened()
        headed(sides, np.abs(sides), np.diag([*sides, 1]))
        opened()
        pair()
        opened()
    assert not heard


def test_a_header_that_says_two_orientations_is_remarked():
    headed((2, 2, 2), (2, 2, 2), np.diag([-2, 2, 2, 1]))
    with hearing() as heard:
        opened()
    assert {one.kind for one in heard} == {"orientation"} and "RAS" in heard[0].message and "LAS" in heard[0].message


@pytest.mark.parametrize("tag", ["RescaleSlope", "RescaleIntercept"])
def test_a_dicom_rescale_that_is_empty_is_refused_and_one_that_is_absent_leaves_the_values(tag):
    scanned(**{tag: None})
    with pytest.raises(UserError, match=tag):
        opened(images="images/{id}")
    folder = scanned()
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        del header.RescaleSlope, header.RescaleIntercept
        header.save_as(path)
    stored = open_series(folder)
    np.testing.assert_array_equal(stored.values(stored.load()), RAMP + 1024)
