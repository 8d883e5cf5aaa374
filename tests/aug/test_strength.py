"""What strength promises of every preset, measured on what comes out: growth, stated sizes, no folds, any image."""

import functools
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from omegaconf import DictConfig

from segtrain.aug import Geometry, Partners, Photometry, Policy, RandAugment
from segtrain.aug.audit.field import measure_field
from segtrain.aug.audit.pairs import mean_change
from segtrain.aug.audit.parts import Op, may_move
from segtrain.aug.keys import stream
from segtrain.aug.photometry import PhotometryDraw
from segtrain.aug.trace import each_op, keep_op
from segtrain.config.composition import composed, conf_dir
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import Shapes
from segtrain.errors import UserError
from segtrain.parts.policy import build_policy
from tests.aug.test_geometry import full_map, least_jacobian

PRESETS = sorted(path.stem for path in (conf_dir() / "aug").glob("*.yaml"))
FULL = {np.uint8: 255, np.uint16: 65535, np.float32: 1.0}


def picture(size: tuple[int, int] = (96, 120), channels: int = 3, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    """Like a photograph: blobs of every size, edges, grain; between .2 and .8 of the full range."""
    rng = np.random.default_rng(seed)
    image = sum(cv2.resize(rng.random((n, n, channels)), size[::-1]).reshape(*size, channels) / 4 for n in (3, 8, 30))
    image = np.asarray(image) + 0.15 * (np.indices(size).sum(0) % 40 < 20)[..., None]
    image = 0.2 + 0.6 * (image - image.min()) / np.ptp(image)
    return (image * FULL[dtype]).astype(dtype)


def labels(size: tuple[int, int] = (96, 120), seed: int = 0) -> np.ndarray:
    return np.clip(picture(size, 1, np.float32, seed)[..., 0] * 6 - 1, 0, 3).astype(np.uint8)


@functools.cache
def config_of(preset: str) -> DictConfig:
    return composed("train", ["dataset=shapes", f"aug={preset}"])


def built(preset: str, strength: float = 1, crop: object = None) -> Policy:
    changed = config_of(preset).copy()
    changed.aug.strength, changed.data.crop = strength, crop
    policy = build_policy(RunConfig(changed), Shapes())
    if policy.needs_partner:
        policy.partners = Partners(lambda i: (picture(seed=i), labels(seed=i)), range(6))
    return policy


CONSTANT = ("hflip", "vflip", "turn", "CopyPaste", "CutMix", "Mosaic", "Flip", "RandomCrop")  # their chance grows


def effects(policy: Policy) -> dict[str, float]:
    """Of each op alone: RMS displacement in pixels of those that move, mean change of grey values of the others."""
    found, image, mask = {}, picture(), labels()
    for op in each_op(zip(policy.names, policy.transforms, strict=True)):
        if any(word in f"{op.path} {op.op}" for word in CONSTANT):
            continue
        sizes, alone = [], keep_op(policy, op)
        moving = may_move(Op(op.label, op.path, op.op, alone, alone))
        for i in range(6):
            field = measure_field(alone, mask.shape, (0, 0, i, 0), 255) if moving else None
            moved = field.total if field else 0.0
            sizes.append(moved or mean_change(image, alone(image, mask, (0, 0, i, 0))[0]))
        found[f"{op.path} {op.op}"] = float(np.mean(sizes))
    return found


@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "none"])
def test_every_magnitude_grows_with_strength(preset: str) -> None:
    at = [effects(built(preset, strength)) for strength in (0.25, 0.5, 1, 1.5, 2)]
    for op in at[0]:
        sizes = [effect[op] for effect in at]
        if preset != "opencv_elastic":  # it throws most pixels out of the picture whatever alpha is
            assert sizes == sorted(sizes) and sizes[2] > 0 and sizes[-1] > 1.3 * sizes[1], (op, sizes)
    assert at[0] or preset in ("flips", "cutmix", "mosaic", "copy_paste", "torchvision_flips")


@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "none"])
def test_every_chance_of_an_op_without_magnitude_grows_to_its_own(preset: str) -> None:
    """A sample that is flipped, or mixed, at a low strength is so at a higher one."""
    image, mask = picture(), labels()
    policies = [built(preset, strength) for strength in (0.25, 0.5, 1, 2)]
    names = {name for name in policies[0].names if any(word in name for word in CONSTANT)}
    for name in names:
        counts = []
        for policy in policies:
            one = Policy([policy.transforms[policy.names.index(name)]], partners=policy.partners)
            counts.append({i for i in range(80) if not np.array_equal(one(image, mask, (0, 0, i))[0], image)})
        assert counts[0] <= counts[1] <= counts[2] == counts[3]


@pytest.mark.parametrize("strength", [0.25, 0.5, 1, 2])
@pytest.mark.parametrize(("preset", "stated"), [("medical_elastic", 0.02 * 256), ("opencv_elastic_corrected", 3.4)])
def test_elastic_moves_as_far_as_the_preset_states(preset: str, stated: float, strength: float) -> None:
    """RMS displacement in pixels on 256 x 256, measured by sending coordinates through the op as an image."""
    policy = built(preset, strength)
    (op,) = (o for o in each_op(zip(policy.names, policy.transforms, strict=True)) if o.op in ("elastic", ""))
    fields = [measure_field(keep_op(policy, op), (256, 256), (0, 0, i, 0), 255) for i in range(12)]
    rms = np.sqrt(np.mean([field.total**2 for field in fields if field]))
    assert rms == pytest.approx(stated * strength, rel=0.1)


def test_pose_is_as_drawn_and_within_what_is_stated() -> None:
    """Angle, octaves, shear and shift, read off coordinates that were sent through the transform."""
    stated = dict(rotate=15.0, scale=0.33, shear=5.0, translate=10.0)
    y, x = np.mgrid[:80, :100].astype(np.float32)
    image, found = np.stack([x, y], 2), {name: list[float]() for name in stated}
    for name, size in stated.items():
        op = Geometry(**{name: size})
        for i in range(60):
            draw = op.draw(stream((i,), "g"), (80, 100))
            moved, mask = op.act(image, np.zeros((80, 100), np.uint8), draw)
            design = np.column_stack([x[mask == 0], y[mask == 0], np.ones((mask == 0).sum())])
            (a, d), (b, e), (c, _) = np.linalg.lstsq(design, moved[mask == 0].astype(float), rcond=None)[0]
            read = {
                "rotate": np.degrees(np.arctan2(d, a)),  # the map leads from result to source
                "scale": -np.log2(a * e - b * d) / 2,
                "shear": -np.degrees(np.arctan(b)) if name == "shear" else 0,
                "translate": -c if name == "translate" else 0,  # of 100 pixels: %
            }[name]
            drawn = getattr(draw, name)
            first = drawn[0] if isinstance(drawn, tuple) else drawn
            near = 0.03 * size if name != "translate" else 0.5 + 1e-6  # what is only shifted moves by whole pixels
            assert read == pytest.approx(first, abs=near), name
            found[name].append(abs(first))
        assert max(found[name]) <= size and np.mean(found[name]) == pytest.approx(size / 2, rel=0.2)


NOTHING = PhotometryDraw(0, 0, 0, 0, 0, 0, 7, 0, 0, None)


def measured(op: str, size: float) -> float:
    """The magnitude of an op, read off what it made of a picture."""
    image = picture((128, 128), dtype=np.float32)
    if op == "blur":
        image = np.zeros((65, 65, 3), np.float32)
        image[32, 32] = 1
    new = Photometry().act(image, NOTHING._replace(**{op: size}))
    luma, grey = np.array([0.299, 0.587, 0.114]), np.array([[0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    (i0, q0), (i1, q1) = ((pixels.reshape(-1, 3) @ grey.T).T for pixels in (image, new))
    read: dict[str, Callable[[], float]] = {
        "brightness": lambda: (new - image).mean(),
        "contrast": lambda: new.std() / image.std() - 1,
        "gamma": lambda: np.log2(np.log(new).mean() / np.log(image).mean()),
        "noise": lambda: (new - image).std(),
        "saturation": lambda: (
            np.linalg.norm(new - (new @ luma)[..., None]) / np.linalg.norm(image - (image @ luma)[..., None]) - 1
        ),
        "hue": lambda: np.degrees(np.angle(np.sum((i1 + 1j * q1) * np.conj(i0 + 1j * q0)))),
        "blur": lambda: np.sqrt((new[..., 0].sum(0) * (np.arange(65) - 32.0) ** 2).sum()),
    }
    return float(read[op]())


@pytest.mark.parametrize("strength", [0.25, 0.5, 1, 2])
@pytest.mark.parametrize(
    ("op", "unit"),
    [
        ("brightness", 0.1),
        ("contrast", 0.25),
        ("gamma", 0.4),
        ("noise", 0.05),
        ("saturation", 0.3),
        ("hue", 18),
        ("blur", 2.0),
    ],
)
def test_grey_values_change_by_what_was_drawn(op: str, unit: float, strength: float) -> None:
    assert measured(op, unit * strength) == pytest.approx(unit * strength, rel=0.1)


def test_bias_stays_within_its_log_gain_and_uses_it() -> None:
    image, op = np.full((64, 64, 1), 0.5, np.float32), Photometry(bias=0.2)
    gains = [np.log(op.act(image, op.draw(stream((i,), "p"), image.shape)) / image) for i in range(40)]
    assert max(np.abs(gain).max() for gain in gains) <= 0.2 and max(np.abs(gain).max() for gain in gains) > 0.1


def test_low_resolution_leaves_as_many_pixels_as_stated() -> None:
    """An octave halves each side: grain keeps a quarter of its variance, and what cubic interpolation adds."""
    grain = np.random.default_rng(0).standard_normal((256, 256, 1)).astype(np.float32)
    for octaves in (1, 2):
        small = cv2.resize(grain, (256 >> octaves,) * 2, interpolation=cv2.INTER_AREA)
        new = Photometry().act(grain, NOTHING._replace(lowres=float(octaves)))
        back = cv2.resize(new, (256 >> octaves,) * 2, interpolation=cv2.INTER_AREA)
        assert (
            small.std() == pytest.approx(2.0**-octaves, rel=0.05)
            and np.corrcoef(small.ravel(), back.ravel())[0, 1] > 0.95
        )


@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_of_the_engine_folds_up_to_strength_2(preset: str) -> None:
    for strength in (0.5, 1, 2):
        for transform in built(preset, strength).transforms:
            if not isinstance(transform, Geometry | RandAugment):
                continue
            geometry = transform if isinstance(transform, Geometry) else transform.geometry
            for i in range(24):
                shape = ((96, 96), (80, 150), (150, 64))[i % 3]
                draw = transform.draw(stream((i,), "g"), (*shape, 3) if geometry is not transform else shape)
                draw = draw if geometry is transform else draw.geometry
                if draw is None or draw.exact:
                    continue
                a, b, _, d, e, _ = draw.matrix()
                x, y = full_map(geometry, draw)
                assert least_jacobian(x, y * np.sign(a * e - b * d)) > 0  # a flip turns the sign of every pixel alike


@pytest.mark.parametrize("crop", [None, 48, (100, 150)])
@pytest.mark.parametrize("preset", PRESETS)
def test_any_type_any_channels_any_shape(preset: str, crop: int | tuple[int, int] | None) -> None:
    policy = built(preset, 1, crop)
    for dtype, full in FULL.items():
        if preset == "torchvision_flips" and dtype == np.uint16:
            continue  # torch flips no uint16, and the error says so: the test below
        for channels in (3,) if preset == "natural" else (1, 2, 3, 7):
            for i, size in enumerate([(96, 120), (70, 50)]):
                image, mask = picture(size, channels, dtype), labels(size)
                if policy.needs_partner:
                    policy.partners = Partners(lambda j, im=image, m=mask: (im, m), range(3))
                new, out = policy(image, mask, (0, 1, i))
                assert new.dtype == dtype and new.shape == (*out.shape, channels) and out.dtype == np.uint8
                assert crop is None or out.shape == ((48, 48) if crop == 48 else crop)
                assert set(np.unique(out)) <= {*np.unique(mask), 255} and new.max() <= 2 * full


def test_torchvision_refuses_uint16_with_a_message() -> None:
    with pytest.raises(UserError, match=r"RandomHorizontalFlip .*torch\.uint16"):
        for i in range(9):
            built("torchvision_flips")(picture(dtype=np.uint16), labels(), (0, 0, i))
