"""Labels lie where their image has them, to well below a tenth of a pixel: every data set, policy and verb."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from segtrain.aug import Partners, Policy
from segtrain.aug.transforms import RESIZING
from segtrain.config.objects import build
from segtrain.config.run_config import Node, RunConfig
from segtrain.data.datasets import BrainScanners, Sample
from segtrain.parts.policy import build_policy
from tests.registered_data import WRITTEN, nilearn
from tests.registration import Array, offset, scene

CONF = Path(__file__).parents[1] / "conf"
CLOSE = (
    0.06  # px: what a mean over scenes of some ten objects may be off by, by chance alone; half a pixel is the fault
)

Composed = Callable[..., DictConfig]


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def mean_offset(found: list[Array]) -> Array:
    known = np.array([one for one in found if np.isfinite(one).all()])
    assert len(known) >= 0.5 * len(found), "too little is left of the scenes to tell"
    return np.abs(known.mean(0))


@pytest.mark.parametrize("step", [(0, 1), (1, 0), (-1, 0), (0, -1)])
def test_the_measure_sees_where_labels_are_moved(step: tuple[int, int]) -> None:
    down, right = step
    found = [offset(one.grey, np.roll(one.labels, step, (0, 1))) for one in map(scene, range(6))]
    np.testing.assert_allclose(np.mean(found, 0), (down, right), atol=0.1)


@pytest.mark.parametrize("name", names("dataset"))
def test_a_dataset_reads_labels_where_the_image_has_them(
    name: str, tmp_path: Path, composed: Composed, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.startswith("brain_"):
        nilearn(tmp_path / "nilearn", monkeypatch)
    for typed in WRITTEN[name](tmp_path):
        config = composed(f"dataset={name}").dataset
        OmegaConf.set_struct(config, False)
        config = OmegaConf.merge(config, typed)
        config.pop("split")
        dataset = build(Node(OmegaConf.to_container(config, resolve=True), f"dataset/{name}.yaml"))
        outside = (0, 255) if name.startswith("brain_") else (255,)  # there 0 is the air about the brain
        found = [offset(*dataset.read(index), outside=outside) for index in range(min(len(dataset.ids), 60))]
        assert (mean_offset(found) < CLOSE).all(), (typed, np.mean(found, 0))


def test_brain_scanners_of_a_mirrored_brain_have_the_mirrored_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = []
    for mirrored in (False, True):
        nilearn(tmp_path / str(mirrored), monkeypatch, mirrored)
        dataset = BrainScanners(train=6, val=2, test=2)
        masks.append([dataset.read(i).mask for i, part in enumerate(dataset.splits) if part == "train"])
    for one, other in zip(*masks, strict=True):
        assert (one == other[:, ::-1]).mean() > 0.999  # equal shares of a label but for rounding


class Scenes:
    """A data set of scenes in RGB, in memory."""

    classes, palette = ("background", "cell"), ((0, 0, 0), (230, 159, 0))
    ignore_index, channels = 255, 3

    def __init__(self, count: int, height: int, width: int) -> None:
        drawn = [scene(seed, height, width) for seed in range(count)]
        self.samples = [Sample(one.rgb, one.labels) for one in drawn]
        self.ids = tuple(f"s{number}" for number in range(count))
        self.splits = (None,) * count

    def read(self, index: int) -> Sample:
        return Sample(*(pixels.copy() for pixels in self.samples[index]))


SCENES = Scenes(6, 91, 88)
DRAWS = 18


def offsets(augment: Callable[..., Any], draws: int = DRAWS) -> list[Array]:
    return [offset(*augment(*SCENES.read(draw % 6), (0, draw, draw % 6, 0))) for draw in range(draws)]


def places(augment: Callable[..., Any]) -> None:
    """Image and labels are the coordinates of their pixels: what comes out tells where each was read, one by one."""
    height, width = 200, 240
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for along in (y, x):
        image = np.stack([along / 256, along / 256, np.full_like(along, 0.75)], 2)
        for draw in range(4):
            moved, labels = augment(image.copy(), along.astype(np.uint8), (0, draw, draw, 0))
            kept = (labels != 255) & (abs(moved[..., 2] - 0.75) < 1e-4)
            assert kept.sum() > 400
            beside = labels[kept] - 256 * moved[..., 0][kept].astype(np.float64)
            assert abs(beside.mean()) < CLOSE and abs(beside).max() < 0.6  # nearest: half a pixel, and cv2's 1/32


@pytest.mark.parametrize("name", names("aug"))
def test_a_policy_moves_labels_with_their_image(name: str, composed: Composed) -> None:
    for strength in (0, 1, 2):
        crop = "data.crop=null" if name != "albumentations_basic" else "data.crop=80"
        config = composed(f"aug={name}", f"aug.strength={strength}", crop)
        policy = build_policy(RunConfig(config), SCENES, Partners(SCENES.read, range(6), 255))
        found = offsets(policy, DRAWS if strength else 6)
        known = np.array([one for one in found if np.isfinite(one).all()])
        if len(known) < len(found) / 2:  # nothing is left in one piece: pixel by pixel, then
            places(policy)
            continue
        assert (np.abs(known.mean(0)) < CLOSE).all(), (strength, known.mean(0))
        assert (np.sqrt((known**2).mean(0)) < 0.1).all(), strength  # of single draws, mirrored ones among them


ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "Resize": [{"height": 64, "width": 60}, {"height": 45, "width": 44}, {"height": 120, "width": 101}],
    "RandomScale": [{"scale_limit": (-0.5, -0.5)}, {"scale_limit": (-0.4, 0.4)}],
    "LongestMaxSize": [{"max_size": 70}],
    "SmallestMaxSize": [{"max_size": 44}, {"max_size": 100}],
    "CropAndPad": [{"percent": (-0.2, 0.2)}, {"px": -9}],
    "RandomResizedCrop": [
        {"size": (70, 64), "scale": (0.3, 1), "area_for_downscale": each} for each in (None, "image")
    ],
    "RandomSizedCrop": [{"min_max_height": (50, 90), "size": (72, 64)}],
}


@pytest.mark.parametrize("kind", RESIZING, ids=lambda kind: kind.__name__)
def test_a_listed_transform_that_resizes_keeps_labels_beside_their_image(kind: type) -> None:
    for given in ARGUMENTS[kind.__name__]:
        policy = Policy([A.OneOf([kind(p=1, **given)], p=1)])
        assert (mean_offset(offsets(policy)) < CLOSE).all(), given
        image, mask = policy(*SCENES.read(0), (0, 0, 0, 0))
        assert image.shape[:2] == mask.shape and set(np.unique(mask)) <= {0, 1, 255}


@pytest.mark.parametrize("kind", ["RandomResizedCrop", "Resize", "ScaleJitter", "RandomAffine"])
def test_what_torchvision_resizes_keeps_labels_beside_its_image(kind: str) -> None:
    v2 = pytest.importorskip("torchvision.transforms.v2")
    given = {
        "RandomResizedCrop": {"size": 72, "scale": (0.3, 0.9)},
        "Resize": {"size": (45, 44)},
        "ScaleJitter": {"target_size": (88, 88), "scale_range": (0.5, 0.9)},
        "RandomAffine": {"degrees": 30, "scale": (0.7, 1.3), "interpolation": v2.InterpolationMode.BILINEAR},
    }[kind]
    from segtrain.aug.torchvision import TorchVision

    policy = Policy([TorchVision([getattr(v2, kind)(**given)])])
    assert (mean_offset(offsets(policy)) < CLOSE).all()
    assert set(np.unique(policy(*SCENES.read(0), (0, 0, 0, 0))[1])) <= {0, 1, 255}
