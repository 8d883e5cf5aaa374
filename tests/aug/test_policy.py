"""Pairing, labels, strength 0, independence of draws, which plain albumentations gets wrong; strength over epochs."""

import multiprocessing
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import BatchSampler

from segtrain.aug import CopyPaste, Geometry, Partners, Photometry, Policy, RandAugment, ScheduledPolicy
from segtrain.aug.policy import schedule_factor, stream
from segtrain.aug.random_policy import GEOMETRIC
from segtrain.config.composition import conf_dir, plain
from segtrain.config.run_config import RunConfig
from segtrain.data.batch import stack
from segtrain.data.datamodule import EpochSampler, TrainSamples
from segtrain.data.datasets.shapes import Shapes
from segtrain.data.feed import Feed
from segtrain.errors import UserError
from segtrain.padding import pad_to
from segtrain.parts.policy import build_policy, build_schedule

PRESETS = sorted(path.stem for path in (conf_dir() / "aug").glob("*.yaml"))
IGNORE = 255


def pair(seed: int = 0, size: tuple[int, int] = (60, 76), channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A smooth image with texture, and a mask of four labels in blobs."""
    rng = np.random.default_rng(seed)
    field = cv2.resize(rng.random((6, 7), dtype=np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    mask = np.clip(field * 4, 0, 3).astype(np.uint8)
    image = (40 * mask[..., None] + rng.integers(0, 60, (*size, channels))).astype(np.uint8)
    return image, mask


def policy_of(composed: Callable[..., DictConfig], *overrides: str) -> Policy:
    policy = build_policy(RunConfig(composed("dataset=shapes", "data.crop=null", *overrides)), Shapes())
    if policy.needs_partner:
        policy.partners = Partners(pair, range(10))
    return policy


def samples(preset_policy: Policy, count: int = 30) -> list[tuple[np.ndarray, np.ndarray]]:
    return [preset_policy(*pair(i), (0, 0, i)) for i in range(count)]


@pytest.mark.parametrize("preset", PRESETS)
def test_labels_out_are_labels_in_or_ignored(preset: str, composed: Callable[..., DictConfig]) -> None:
    policy = policy_of(composed, f"aug={preset}", "aug.strength=2")
    for i in range(30):
        image, mask = pair(i)
        _, out = policy(image, mask, (0, 0, i))
        assert set(np.unique(out)) <= set(np.unique(mask)) | {IGNORE}
        assert out.dtype == np.uint8


def geometric(transform: object) -> object:
    """What of a transform keeps a painted image painted: no photometry, no edge interpolated into its own label."""
    if isinstance(transform, RandAugment):
        transform.ops = {name: size for name, size in transform.ops.items() if name in GEOMETRIC}
    if isinstance(transform, CopyPaste):
        transform.scale = transform.translate = 0
    return transform


def painted(index: int) -> tuple[np.ndarray, np.ndarray]:
    mask = pair(index, (120, 150))[1]
    return (mask[..., None] * 60).astype(np.uint8), mask


# opencv_elastic as stated scrambles the picture: no two neighbours stay neighbours. tests/aug/test_elastic.py has it.
@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "opencv_elastic"])
def test_image_follows_the_mask_through_every_geometric_op(preset: str, composed: Callable[..., DictConfig]) -> None:
    """An image painted from its mask still is, away from label borders, where interpolation mixes two labels."""
    policy = policy_of(composed, f"aug={preset}", "aug.strength=1")
    policy.transforms = [geometric(t) for t in policy.transforms if not isinstance(t, A.ImageOnlyTransform)]
    policy.partners = Partners(painted, range(40, 50))
    policy.names = [f"{type(t).__name__}.{i}" for i, t in enumerate(policy.transforms)]
    changed = 0
    for i in range(40):
        image, mask = painted(i)
        image, out = policy(image, mask, (0, 0, i))
        around = np.pad(out, 2, constant_values=IGNORE)  # beyond the frame lies the fill of the image too
        highest, lowest = (f(around, np.ones((5, 5)))[2:-2, 2:-2] for f in (cv2.dilate, cv2.erode))
        inside = (highest == lowest) & (out != IGNORE)
        assert inside.mean() > 0.05
        assert np.abs(image[..., 0][inside].astype(int) - out[inside].astype(int) * 60).max() <= 1
        changed += out.shape != mask.shape or bool((out != mask).any())
    assert changed > 0 or not policy.transforms


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("crop", ["null", "32", "[70,50]"])
def test_strength_0_is_bit_identical_to_none(preset: str, crop: str, composed: Callable[..., DictConfig]) -> None:
    at_zero = policy_of(composed, f"aug={preset}", "aug.strength=0", f"data.crop={crop}")
    none = policy_of(composed, "aug=none", f"data.crop={crop}")
    for i in range(9):
        image, mask = pair(i, channels=(1, 3, 6)[i // 3])
        image = (image, image.astype(np.uint16) * 200, image / np.float32(255))[i % 3]
        for got, expected in zip(at_zero(image, mask, (0, 3, i)), none(image, mask, (0, 3, i)), strict=True):
            assert np.array_equal(got, expected) and got.dtype == expected.dtype
        assert crop != "null" or np.array_equal(at_zero(image, mask, (0, 3, i))[0], image)


@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "none"])
def test_every_preset_changes_something_and_differs_by_epoch(preset: str, composed: Callable[..., DictConfig]) -> None:
    policy = policy_of(composed, f"aug={preset}")
    image, mask = pair()
    views = {policy(image, mask, (0, epoch, 0))[0].tobytes() for epoch in range(12)}
    assert len(views) > 3


def test_draws_depend_on_the_key_alone() -> None:
    policy = Policy([A.Affine(rotate=(-30, 30), p=0.7), A.GaussNoise(p=0.5)], crop=32)
    keys = [(1, e, i) for e in range(3) for i in range(4)]
    forward = {key: policy(*pair(key[2]), key)[0].tobytes() for key in keys}
    backward = {key: policy(*pair(key[2]), key)[0].tobytes() for key in reversed(keys)}
    assert forward == backward
    assert len(set(forward.values())) == len(keys)


def test_two_flips_of_one_half_are_independent() -> None:
    """albumentations' Compose(seed=) gives 205 both, 195 none, 0 single in 400."""
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    policy = Policy([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)])
    corners = [int(policy(image, image[..., 0], (0, 0, i))[0][0, 0, 0]) for i in range(400)]
    counts = np.array([corners.count(c) for c in (0, 3, 12, 15)])
    assert counts.sum() == 400
    assert ((counts - 100) ** 2 / 100).sum() < 16.3  # chi-square, 3 degrees of freedom, p = .001


def test_adding_an_op_leaves_the_draws_of_the_others() -> None:
    flips = Policy([A.HorizontalFlip(p=0.5)], crop=32)
    more = Policy([A.GaussNoise(p=1), A.HorizontalFlip(p=0.5)], crop=32)
    for i in range(20):
        image, mask = pair(i)
        assert np.array_equal(flips(image, mask, (0, 0, i))[1], more(image, mask, (0, 0, i))[1])


def batches(workers: int, context: str | None) -> list[bytes]:
    dataset = Shapes(n=10, size=40)
    transforms = [A.HorizontalFlip(p=0.5), A.Affine(rotate=(-20, 20), p=1), A.GaussNoise(p=0.5)]
    sampler = EpochSampler(range(10), seed=3, length=12)
    samples, collate = TrainSamples(dataset, Policy(transforms, crop=32), 3), partial(stack, ignore_index=255)
    feed = Feed(samples, BatchSampler(sampler, 3, drop_last=False), collate, workers=workers, context=context)  # type: ignore[arg-type]
    out = []
    for epoch in range(2):
        feed.sampler.set_epoch(epoch)  # type: ignore[attr-defined]  # as Lightning does
        out += [b["image"].numpy().tobytes() + b["mask"].numpy().tobytes() for b in feed]
    return out


# More workers than cores is what is tested: https://docs.pytorch.org/docs/stable/data.html
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_batches_are_the_same_for_any_number_of_forked_workers(workers: int) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this platform")
    expected = batches(0, None)
    assert batches(workers, "fork") == expected
    assert len(set(expected)) == len(expected)  # neither worker nor epoch repeats another


@pytest.mark.slow
def test_batches_are_the_same_for_spawned_workers() -> None:
    assert batches(2, "spawn") == batches(0, None)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**40))
@settings(deadline=None, max_examples=50)
def test_crops_have_their_size_and_pad_with_ignore(height: int, width: int, side: int, index: int) -> None:
    mask = np.ones((height, width), np.uint8)
    image = np.full((height, width, 2), 7, np.uint8)
    out_image, out = Policy(crop=side)(image, mask, (0, 0, index))
    assert out_image.shape == (side, side, 2) and out.shape == (side, side)
    assert (out == 1).sum() == min(side, height) * min(side, width)
    assert (out_image == 7).all()
    assert set(np.unique(out)) <= {1, IGNORE}


def test_crop_positions_cover_the_image() -> None:
    image = np.arange(100, dtype=np.uint8).reshape(10, 10, 1)
    corners = {int(Policy(crop=8)(image, image[..., 0], (0, 0, i))[0][0, 0, 0]) for i in range(200)}
    assert corners == {10 * y + x for y in range(3) for x in range(3)}


def test_pad_reflects_the_image_and_ignores_the_mask() -> None:
    image, mask = pad_to(np.arange(3, dtype=np.uint8).reshape(1, 3, 1), np.zeros((1, 3), np.uint8), (1, 5), IGNORE)
    assert image[0, :, 0].tolist() == [0, 1, 2, 1, 0]
    assert mask[0].tolist() == [0, 0, 0, IGNORE, IGNORE]


def test_streams_of_two_names_are_independent_and_of_one_name_equal() -> None:
    a, b, c = stream((0, 1, 2), "a").random(4), stream((0, 1, 2), "b").random(4), stream((0, 1, 2), "a").random(4)
    assert np.array_equal(a, c) and not np.array_equal(a, b)


def test_a_mask_that_would_be_interpolated_is_refused() -> None:
    with pytest.raises(UserError, match="mask_interpolation must be 0"):
        Policy([A.Affine(rotate=10, mask_interpolation=cv2.INTER_LINEAR)])


def test_a_mask_filled_with_a_label_is_refused() -> None:
    with pytest.raises(UserError, match="fill_mask=3"):
        Policy([A.OneOf([A.Rotate(fill_mask=3)])])


def test_a_failing_transform_is_named() -> None:
    image, mask = pair(channels=5)
    with pytest.raises(UserError, match=r"ToSepia.0 .*\(60, 76, 5\)"):
        Policy([A.HorizontalFlip(p=1), A.ToSepia(p=1)])(image, mask, (0, 0, 0))


def test_a_misspelt_argument_names_file_key_and_the_nearest(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(UserError, match=r"aug/flips.yaml.*'transforms\[0\].prob'"):
        policy_of(composed, "aug=flips", "+aug.transforms=[{_target_: albumentations.HorizontalFlip, prob: 1}]")


def test_presets_are_files_in_conf(tmp_path: Path) -> None:
    assert {"none", "flips", "geometric", "photometric", "medical_elastic", "natural"} <= set(PRESETS)


def noise(channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (70, 90, channels), dtype=np.uint8)
    return image, (image[..., 0] // 64).astype(np.uint8)


def medical(**more: object) -> Policy:
    return Policy([Geometry(hflip=0.5, turn=0.5, rotate=20, elastic=2), Photometry(contrast=0.3, noise=0.1)], **more)


@pytest.mark.parametrize("crop", [None, 32, (100, 40), 200])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_tensors_are_the_call_with_channels_first(crop: int | tuple[int, int] | None, channels: int) -> None:
    image, mask = noise(channels=channels)
    before = image.copy(), mask.copy()
    for i in range(6):
        policy = medical(crop=crop)
        a, b = policy(image, mask, (0, 1, i))
        c, d = policy.tensors(image, mask, (0, 1, i))
        assert (a.transpose(2, 0, 1) == c).all() and (b == d).all()
        assert c.flags.c_contiguous and a.flags.c_contiguous and d.flags.c_contiguous
        assert crop is None or b.shape == (crop if isinstance(crop, tuple) else (crop, crop))
        assert not any(np.shares_memory(x, y) for x in (a, b, c, d) for y in (image, mask))
    assert (image == before[0]).all() and (mask == before[1]).all()


def test_strength_zero_is_the_crop_alone_and_crops_are_paired() -> None:
    image, mask = noise()
    plain = Policy(crop=32)(image, mask, (0, 0, 7))
    assert all((x == y).all() for x, y in zip(plain, medical(strength=0, crop=32)(image, mask, (0, 0, 7)), strict=True))
    flips = Policy([Geometry(hflip=0.0)], crop=32)(image, mask, (0, 0, 7))
    assert all((x == y).all() for x, y in zip(plain, flips, strict=True))
    whole = Policy([])(image, mask, (0, 0, 7))
    assert (whole[0] == image).all() and not np.shares_memory(whole[0], image)


def test_shared_ops_share_draws_and_pickling_changes_nothing() -> None:
    image, mask = noise()
    both = medical(crop=48)
    alone = Policy(both.transforms[:1], crop=48)
    again = pickle.loads(pickle.dumps(both))
    for i in range(5):
        assert (both(image, mask, (0, 0, i))[1] == alone(image, mask, (0, 0, i))[1]).all()
        assert (both(image, mask, (0, 0, i))[0] == again(image, mask, (0, 0, i))[0]).all()


def test_plain_albumentations_transforms_are_keyed_and_filled() -> None:
    image, mask = noise()
    policy = Policy(
        [
            A.Affine(rotate=(-45, 45), p=1),
            Photometry(brightness=0.1),
            A.OneOf([A.Blur(), A.MedianBlur()], p=1),
            A.GaussNoise(p=1),
            A.ElasticTransform(p=0.5),
        ],
        crop=40,
    )
    outs = [policy(image, mask, (0, 0, i)) for i in (1, 2, 1)]
    assert (outs[0][0] == outs[2][0]).all() and (outs[0][1] == outs[2][1]).all() and (outs[0][0] != outs[1][0]).any()
    seen = set(np.unique(np.concatenate([policy(image, mask, (0, 0, i))[1] for i in range(20)])))
    assert seen <= {0, 1, 2, 3, 255} and 255 in seen


def test_the_four_schedules() -> None:
    def over(schedule: str) -> list[float]:
        return [schedule_factor(schedule, epoch, 5) for epoch in range(5)]

    assert over("constant") == [1, 1, 1, 1, 1]
    assert over("linear_up") == [0, 0.25, 0.5, 0.75, 1]
    assert over("linear_down") == [1, 0.75, 0.5, 0.25, 0]
    assert over("off_last_2_epochs") == [1, 1, 1, 0, 0]
    assert over("off_last_0_epochs") == [1] * 5 and over("off_last_9_epochs") == [0] * 5
    assert schedule_factor("linear_up", 0, 1) == schedule_factor("linear_down", 0, 1) == 1


@pytest.mark.parametrize("wrong", ["linear", "off_last_n_epochs", "off_last_5_epochs_", None, 3])
def test_another_schedule_is_refused_with_the_choices(wrong: object) -> None:
    with pytest.raises(UserError, match="linear_up, linear_down or off_last_N_epochs"):
        schedule_factor(wrong, 0, 5)  # type: ignore[arg-type]


def built(composed: Callable[..., DictConfig], *overrides: str) -> Policy | ScheduledPolicy:
    return build_schedule(RunConfig(composed("dataset=shapes", "trainer.max_epochs=5", *overrides)), Shapes())


def test_each_epoch_is_the_policy_of_its_strength(composed: Callable[..., DictConfig]) -> None:
    policy = built(composed, "aug=medical_elastic", "aug.strength=2", "aug.schedule=linear_up")
    sample = Shapes().read(0)
    for epoch, strength in enumerate([0, 0.5, 1, 1.5, 2]):
        config = RunConfig(composed("dataset=shapes", "aug=medical_elastic", f"aug.strength={strength}"))
        alone = build_policy(config, Shapes())
        for index in range(4):
            key = (0, epoch, index)
            assert all(np.array_equal(a, b) for a, b in zip(policy(*sample, key), alone(*sample, key), strict=True))
            assert np.array_equal(policy.tensors(*sample, key)[0], alone.tensors(*sample, key)[0])
    assert policy.at(99) is policy.at(4) and policy.at(4) is not policy.at(3)


def test_strength_0_phases_are_bit_identical_to_none(composed: Callable[..., DictConfig]) -> None:
    policy = built(composed, "aug=geometric", "aug.schedule=off_last_2_epochs")
    none = built(composed, "aug=none", "aug.schedule=linear_down")
    image, mask = Shapes().read(0)
    same = [
        all(np.array_equal(policy(image, mask, (0, e, i))[0], none(image, mask, (0, e, i))[0]) for i in range(8))
        for e in range(5)
    ]
    assert same == [False, False, False, True, True]
    assert len({id(policy.at(epoch)) for epoch in range(5)}) == 2  # one object a distinct strength


def test_the_schedule_is_rebuilt_from_a_saved_config(composed: Callable[..., DictConfig]) -> None:
    config = composed("dataset=shapes", "trainer.max_epochs=3", "aug=geometric", "aug.schedule=linear_down")
    saved = DictConfig(OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(plain(config, {})))))
    image, mask = Shapes().read(0)
    first, again = (build_schedule(RunConfig(one), Shapes()) for one in (config, saved))
    for epoch in range(3):
        assert np.array_equal(first(image, mask, (0, epoch, 1))[0], again(image, mask, (0, epoch, 1))[0])
    assert config.aug.strength == saved.aug.strength == 1


def test_epochs_of_a_mixing_policy_share_their_partners(composed: Callable[..., DictConfig]) -> None:
    policy = built(composed, "aug=copy_paste", "aug.schedule=linear_up")
    assert policy.at(0).partners is None and policy.at(1).partners is policy.at(4).partners is not None
    assert set(policy.at(4).partners.indices) < set(range(64))


def test_a_training_without_end_has_no_schedule(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(UserError, match=r"trainer\.max_epochs ≥ 1"):
        built(composed, "aug=flips", "trainer.max_epochs=-1", "aug.schedule=linear_up")
