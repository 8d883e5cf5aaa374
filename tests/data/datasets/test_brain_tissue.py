import importlib.util
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest

from segtrain.config.composition import composed
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import BrainTissue
from segtrain.data.duplicates import ALIKE, mark
from segtrain.errors import UserError
from segtrain.parts.data import build_split

needs_nilearn = pytest.mark.skipif(
    importlib.util.find_spec("nilearn") is None, reason='needs the extra "demo" (nilearn)'
)


# Of the whole plane (189 rows, superior first, 197 columns), what is kept.
BOX = (31, 189), (23, 174)


@pytest.fixture(scope="module")
def brain():
    return BrainTissue()


@needs_nilearn
def test_slices_are_those_with_brain_in_order(brain):
    assert brain.ids == tuple(f"coronal_{y:03d}" for y in range(29, 206))
    assert brain.splits == (None,) * 177
    for index in (0, 88, 176):
        image, mask = brain.read(index)
        assert image.shape == (158, 151, 1) and image.dtype == np.uint8
        assert mask.shape == (158, 151) and mask.dtype == np.uint8
        assert ((image[..., 0] > 0) == (mask > 0)).all()
    assert set(np.unique(brain.read(88).mask)) == {0, 1, 2, 3}


@needs_nilearn
@pytest.mark.filterwarnings("default")  # nilearn's own at import
def test_pixels_and_labels_are_those_of_the_public_interface_of_nilearn(brain):
    datasets = pytest.importorskip("nilearn.datasets")
    t1, gm, wm = (
        np.asarray(load(resolution=1).dataobj)
        for load in (
            datasets.load_mni152_template,
            datasets.load_mni152_gm_template,
            datasets.load_mni152_wm_template,
        )
    )
    for index in (0, 60, 120, 176):
        y = int(brain.ids[index].removeprefix("coronal_"))
        image, mask = brain.read(index)
        t, g, w = (np.rot90(volume[:, y]) for volume in (t1, gm, wm))
        rows, columns = (slice(*edges) for edges in BOX)
        assert not t[: BOX[0][0]].any() and not t[BOX[0][1] :].any(), "brain is cut off"
        t, g, w = (plane[rows, columns] for plane in (t, g, w))
        np.testing.assert_array_equal(image[..., 0], np.rint(t / t1.max() * 255))
        np.testing.assert_array_equal(mask == 2, (g >= 0.5) & (g > w))
        np.testing.assert_array_equal(mask == 3, w >= 0.5)
        np.testing.assert_array_equal(mask == 0, t == 0)


@needs_nilearn
def test_superior_is_up(brain):
    rows = np.flatnonzero((brain.read(88).mask == 2).any(axis=1))
    # the volume reaches 72 mm below the origin and 116 above; cortex ends near z = -52 and +82
    assert 157 - rows[0] > 140 and 157 - rows[-1] < 40


@needs_nilearn
def test_the_volume_is_mirrored_so_that_a_random_split_would_leak(brain):
    mask = brain.read(88).mask
    assert (mask == mask[:, ::-1]).all()
    assert (mask == brain.read(89).mask).mean() > 0.9


@needs_nilearn
def test_the_shipped_split_has_no_near_copies_across_its_parts(brain):
    split = build_split(RunConfig(composed("train", ["dataset=brain_tissue"])), brain)
    grey = [np.frombuffer(mark(brain.read(i).image).sketch, np.uint8) for i in range(len(brain.ids))]
    alike = np.corrcoef(np.array(grey, float))
    for one, other in itertools.combinations((split.train, split.val, split.test), 2):
        assert alike[np.ix_(one, other)].max() < ALIKE - 0.01


@needs_nilearn
def test_step_takes_every_so_many_slices(brain):
    coarse = BrainTissue(step=3)
    assert coarse.ids == brain.ids[::3]
    assert (coarse.read(10).mask == brain.read(30).mask).all()
    assert coarse.fingerprint() != brain.fingerprint() == BrainTissue().fingerprint()


@needs_nilearn
def test_a_sample_may_be_changed_and_the_dataset_sent_to_a_worker(brain):
    brain.read(5).mask[:] = 9
    copy = pickle.loads(pickle.dumps(brain))
    assert (copy.read(5).mask == brain.read(5).mask).all() and brain.read(5).mask.max() < 4


@needs_nilearn
def test_construction_is_cheap():
    code = (
        "import sys; from segtrain.data.datasets import BrainTissue; BrainTissue();"
        "print([m for m in ('torch', 'nilearn', 'nibabel', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_missing_nilearn_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "segtrain\[demo\]"'):
        BrainTissue()


def test_nilearn_without_the_volumes_is_named(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_loader("nilearn", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(UserError, match="the installed nilearn has no"):
        BrainTissue()


@pytest.mark.parametrize("step", [0, -1, 1.5])
def test_step_must_be_a_count(step):
    with pytest.raises(UserError, match=r"dataset\.step"):
        BrainTissue(step=step)
