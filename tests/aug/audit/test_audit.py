"""The audit finds what plain albumentations and the article's examples get wrong, and lets sound policies pass."""

import re
from collections.abc import Callable

import albumentations as A
import cv2
import numpy as np
import pytest
from omegaconf import DictConfig
from torch.utils.data import Dataset
from torchvision.transforms import v2

from segtrain.aug import Geometry, Policy
from segtrain.aug.audit.audit import AuditLine, audit
from segtrain.aug.audit.draws import repeats_line
from segtrain.aug.audit.field import measure_field
from segtrain.aug.audit.parts import KeylessTransform
from segtrain.aug.torchvision import TorchVision
from segtrain.config.composition import conf_dir
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import Shapes
from segtrain.parts.policy import build_policy

AS_STATED = {"opencv_elastic"}  # presets that show a published mistake as it was published
PRESETS = sorted(path.stem for path in (conf_dir() / "aug").glob("*.yaml"))
SHAPES = Shapes(n=8, size=128, channels=3)
KEY = (0, 0, 0, 0)
Image = np.ndarray


def audited(transform: object, draws: int = 4, shapes: Shapes = SHAPES) -> dict[str, AuditLine]:
    samples = ((i, *shapes.read(i)) for i in range(len(shapes.ids)))
    lines, _ = audit(transform, samples, shapes.classes, shapes.ignore_index, draws=draws, seconds=60)
    return {line.check: line for line in lines}


def failed(lines: dict[str, AuditLine]) -> set[str]:
    return {name for name, line in lines.items() if line.verdict == "fail"}


def article_example_2(image: Image, mask: Image, key: tuple[int, ...]) -> tuple[Image, Image]:
    """Elastic as the article states it."""
    rng, (h, w) = np.random.default_rng(key), mask.shape
    dx, dy = (cv2.GaussianBlur(rng.uniform(-1, 1, (h, w)), (5, 5), 50) * 2000 for _ in range(2))
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    maps = (x + dx).astype(np.float32), (y + dy).astype(np.float32)
    return cv2.remap(image, *maps, cv2.INTER_LINEAR), cv2.remap(mask, *maps, cv2.INTER_NEAREST)


def article_example_3(image: Image, mask: Image, key: tuple[int, ...]) -> tuple[Image, Image]:
    """Image and mask flipped by draws of their own."""
    rng = np.random.default_rng(key)
    flip = [slice(None, None, -1 if rng.random() < 0.5 else 1) for _ in range(4)]
    return np.ascontiguousarray(image[flip[0], flip[1]]), np.ascontiguousarray(mask[flip[2], flip[3]])


COLOUR = [(preset, (256, 256), 3) for preset in PRESETS]
GREY = [(preset, (158, 151), 1) for preset in PRESETS if preset != "natural"]  # which changes colours


@pytest.mark.parametrize(("preset", "size", "channels"), COLOUR + GREY)
def test_every_preset_passes(
    preset: str, size: tuple[int, int], channels: int, composed: Callable[..., DictConfig]
) -> None:
    shapes = Shapes(n=4, size=size, channels=channels)
    typed = [f"dataset.size=[{size[0]},{size[1]}]", f"dataset.channels={channels}", "dataset.n=20"]
    policy = build_policy(RunConfig(composed("dataset=shapes", *typed, f"aug={preset}", "data.crop=null")), shapes)
    found = failed(audited(policy, draws=2, shapes=shapes))
    assert ({"elastic", "ignored"} <= found) if preset in AS_STATED else not found


def test_strength_0_changes_nothing_and_is_ok(composed: Callable[..., DictConfig]) -> None:
    policy = build_policy(RunConfig(composed("aug=medical_elastic", "aug.strength=0", "data.crop=null")), SHAPES)
    lines = audited(policy)
    assert {name for name, line in lines.items() if line.verdict != "ok"} == {"correlated ops"}  # there are no ops
    assert lines["correlated ops"].verdict == "unmeasured"
    assert lines["displacement"].value == 0 and lines["intensity"].value == 0


def test_where_a_crop_lies_is_neither_displacement_nor_change(composed: Callable[..., DictConfig]) -> None:
    typed = ["aug=medical_elastic", "dataset=shapes"]
    whole, cropped = (
        audited(build_policy(RunConfig(composed(*typed, f"data.crop={n}")), SHAPES)) for n in ("null", 48)
    )
    for name in ("displacement", "elastic", "intensity", "op rotate ±15°", "op contrast ±0.25"):
        assert whole[name].value == pytest.approx(cropped[name].value)
    alone = audited(Policy(crop=48))
    assert not failed(alone) and re.fullmatch(
        r"100 % kept, gone in 0 %, \d.* % by the crop", alone["class square"].shown
    )
    assert "by the crop" in cropped["class square"].shown and "by the crop" not in whole["class square"].shown


def test_image_and_mask_flipped_apart_fail() -> None:
    assert "pairing" in failed(audited(article_example_3))


def test_pairing_sees_through_noise_of_a_transform_that_cannot_be_taken_apart() -> None:
    def noisy(image: Image, mask: Image, key: tuple[int, ...]) -> tuple[Image, Image]:
        noise = np.random.default_rng(key).normal(20, 25, image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8), mask

    lines = audited(noisy)
    assert lines["pairing"].verdict == "ok" and lines["displacement"].value is None


def test_elastic_as_the_article_states_it_fails() -> None:
    found = audited(article_example_2, shapes=Shapes(n=3, size=512, channels=3))
    assert {"scrambling", "folding"} <= failed(found)


def test_the_displacement_is_the_one_that_was_asked_for() -> None:
    lines = audited(Policy([Geometry(elastic=2, elastic_length=8)]))
    assert lines["elastic"].value == pytest.approx(2, rel=0.25)  # the affine part of a field is no part of it
    assert lines["folding"].value == 0 and 0 < lines["scrambling"].value < 50  # type: ignore[operator]


def test_a_flip_moves_but_does_not_fold() -> None:
    field = measure_field(Policy([Geometry(hflip=1, turn=1)]), (40, 60), KEY, 255)
    assert field is not None and field.total > 10 and field.elastic < 0.01 and field.folded == 0


def test_a_mirrored_border_is_no_fold() -> None:
    rotate = KeylessTransform(A.Affine(rotate=(30, 30), border_mode=cv2.BORDER_REFLECT_101, p=1))
    padded = KeylessTransform(
        A.Compose([A.PadIfNeeded(200, 200, border_mode=cv2.BORDER_REFLECT_101), A.Rotate(30, p=1)])
    )
    for transform, mirrored in ((rotate, 0.1), (padded, 0.6)):
        field = measure_field(transform, (80, 80), KEY, 255)
        assert field is not None and field.folded == 0 and field.elastic < 0.5 and field.mirrored > mirrored


def test_folding_is_measured() -> None:
    def folded(image: Image, mask: Image, key: tuple[int, ...]) -> tuple[Image, Image]:
        height, width = mask.shape
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        x += 8 * np.sin(x / 5)  # dx/du = 1 + 1.6 cos: negative on 28.5 % of each period of 31 px
        return cv2.remap(image, x, y, cv2.INTER_LINEAR), cv2.remap(mask, x, y, cv2.INTER_NEAREST)

    field = measure_field(folded, (60, 1000), KEY, 255)  # 32 periods: where the window cuts them counts little
    assert field is not None and field.folded == pytest.approx(np.arccos(1 / 1.6) / np.pi, abs=0.01)


def test_labels_between_labels_are_invented() -> None:
    compose = A.Compose([A.Affine(rotate=(5, 30), mask_interpolation=cv2.INTER_LINEAR, p=1)])
    assert "labels invented" in failed(
        audited(lambda i, m, k: KeylessTransform(compose)(i, np.where(m == 2, 200, m), k))
    )


def test_outside_painted_as_a_class_warns() -> None:
    assert audited(A.Compose([A.Affine(translate_percent=0.3, p=1)]))["label outside"].verdict == "warn"


def test_a_vanished_class_and_an_empty_mask_fail() -> None:
    def away(image: Image, mask: Image, key: tuple[int, ...]) -> tuple[Image, Image]:
        return image, np.full_like(mask, 255)

    lines = audited(away)
    assert {"class disc", "class square", "ignored"} <= failed(lines)
    assert lines["class disc"].shown == "0 % kept, gone in 100 %"


def test_an_op_that_does_nothing_is_named() -> None:
    lines = audited(Policy([A.ElasticTransform(p=1.0), A.HorizontalFlip(p=0.5), A.RandomGamma((100, 100), p=1)]))
    assert lines["op ElasticTransform"].verdict == "warn" and lines["op RandomGamma"].verdict == "warn"
    assert lines["op HorizontalFlip"].verdict == "ok"


def test_an_op_that_never_fires_is_named() -> None:
    flips = [A.HorizontalFlip(p=0), A.VerticalFlip(p=0.5), A.HorizontalFlip(p=1)]
    v2_flips = [v2.RandomHorizontalFlip(0), v2.RandomVerticalFlip(0.5), v2.RandomHorizontalFlip(1)]
    ours = [Geometry(hflip=0.5, chances={"rotate": 0}, rotate=9), Geometry(rotate=9)]
    for transform in (A.Compose(flips), Policy(flips), Policy([TorchVision(v2_flips)]), Policy(ours)):
        lines = [line for name, line in audited(transform).items() if name.startswith("op ")]
        assert ["never fired" in line.meaning for line in lines] in ([True, False, False], [False, True, False])
        assert [line.verdict for line in lines].count("warn") == 1


def test_ops_inside_compositions_are_watched() -> None:
    one_of = A.OneOf([A.HorizontalFlip(p=1), A.Blur(p=1)], p=0.5)
    for transform in (A.Compose([one_of, Geometry(hflip=0.5)]), Policy([one_of, Geometry(hflip=0.5)])):
        lines = audited(transform)
        shown = [lines[f"op {name}"].shown for name in ("HorizontalFlip", "Blur", "hflip always")]
        shares = [int(text.split()[1]) for text in shown]
        assert all(text.startswith("fires") for text in shown) and shares == pytest.approx([25, 25, 50], abs=9)


def test_a_slow_op_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segtrain.aug.audit.audit.SLOW", 1e9)
    line = audited(Policy([Geometry(rotate=9)]), draws=1)["op rotate ±9°"]
    assert line.verdict == "warn" and "slow" in line.meaning and "pairs/s" in line.threshold


class Cells(Dataset[tuple[np.ndarray, np.ndarray]]):
    """A user's plain Dataset around albumentations' own Compose."""

    def __init__(self, compose: A.Compose) -> None:
        self.compose = compose
        self.image, self.mask = Shapes(n=1, channels=3).read(0)

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        out = self.compose(image=self.image, mask=self.mask)
        return out["image"], out["mask"]


def seeded(seed: int | None) -> A.Compose:
    return A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5), A.Rotate(p=0.5), A.GaussNoise(p=0.5)], seed=seed)


def test_plain_albumentations_with_seed_flips_both_ways_or_none() -> None:
    lines = audited(seeded(0))
    assert lines["correlated ops"].verdict == "fail"
    assert {"pairing", "folding"}.isdisjoint(failed(lines))


def test_independent_ops_are_not_correlated(composed: Callable[..., DictConfig]) -> None:
    assert audited(seeded(None))["correlated ops"].verdict == "ok"
    assert audited(A.Compose([A.OneOf([A.HorizontalFlip(), A.VerticalFlip()])]))["correlated ops"].verdict == "ok"


def test_few_outcomes_are_not_taken_for_repetition() -> None:
    rng = np.random.default_rng(0)
    marks = {(epoch, worker): list(rng.choice(list("ab"), 64)) for epoch in (0, 1) for worker in (0, 1)}
    assert repeats_line(marks).verdict == "ok"
    assert repeats_line({**marks, (1, 1): marks[0, 0]}).verdict == "fail"
