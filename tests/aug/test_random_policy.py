"""RandAugment and TrivialAugment: what is drawn, how large, and that masks follow."""

import json
from typing import Any

import albumentations as A
import numpy as np
import pytest

from segtrain.aug import Geometry, Policy, RandAugment, TrivialAugment
from segtrain.aug.draws import GeometryDraw
from segtrain.aug.photometry import bias_lattice
from segtrain.aug.photometry_ops import bias_field
from segtrain.aug.random_policy import AXES, GEOMETRIC, PHOTOMETRIC, RandomDraw
from segtrain.errors import UserError

OPS = {"rotate": 15, "shear_x": 8, "translate_y": 20, "elastic": 2, "contrast": 0.4, "noise": 0.05, "bias": 0.2}


def pair() -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((60, 76), np.uint8)
    mask[10:40, 20:60], mask[20:30, 30:40] = 1, 2
    return (mask[..., None] * 60 + 30).repeat(3, 2), mask


def draws(policy: RandAugment, count: int = 400) -> list[RandomDraw]:
    rng = np.random.default_rng(0)
    return [policy.draw(rng, (60, 76, 3)) for _ in range(count)]


@pytest.mark.parametrize("n", [1, 2, 4])
def test_randaugment_draws_n_ops_each_as_likely_at_full_magnitude_with_both_signs(n: int) -> None:
    drawn = draws(RandAugment(OPS, n=n))
    assert all(len(draw.ops) == n for draw in drawn)
    counts = {name: sum(name in draw.ops for draw in drawn) for name in OPS}
    assert all(abs(count - 400 * n / 7) < 5 * (400 * n / 7) ** 0.5 for count in counts.values())
    assert all(abs(size) == OPS[name] for draw in drawn for name, size in draw.ops.items())
    assert {draw.ops["rotate"] for draw in drawn if "rotate" in draw.ops} == {15, -15}
    assert {draw.ops["noise"] for draw in drawn if "noise" in draw.ops} == {0.05}


def test_trivialaugment_draws_one_op_uniform_up_to_its_magnitude() -> None:
    drawn = draws(TrivialAugment(OPS), 2000)
    assert all(len(draw.ops) == 1 for draw in drawn)
    levels = [abs(size) / OPS[name] for draw in drawn for name, size in draw.ops.items()]
    assert 0 <= min(levels) < 0.01 and 0.99 < max(levels) <= 1
    assert np.mean(levels) == pytest.approx(0.5, abs=0.03)


def test_magnitudes_are_linear_under_the_same_draw() -> None:
    one, two = (
        TrivialAugment({name: size * strength for name, size in OPS.items()}).draw(
            np.random.default_rng(seed), (60, 76, 3)
        )
        for seed in [3]
        for strength in (1, 2)
    )
    assert one.ops.keys() == two.ops.keys()
    assert all(two.ops[name] == pytest.approx(2 * size) for name, size in one.ops.items())


def test_the_field_of_a_drawn_elastic_has_the_drawn_rms() -> None:
    op = TrivialAugment({"elastic": 4.0})
    draw = op.draw(np.random.default_rng(0), (200, 200, 1))
    full = Geometry(elastic=draw.ops["elastic"])
    assert isinstance(draw.geometry, GeometryDraw) and draw.geometry.lattice is not None
    lattice = full.draw(np.random.default_rng(5), (200, 200)).lattice
    assert np.square(draw.geometry.lattice).sum() == pytest.approx(np.square(lattice).sum(), rel=0.4)


@pytest.mark.parametrize("name", [*GEOMETRIC, *PHOTOMETRIC])
def test_what_is_applied_is_the_magnitude_that_is_said_whatever_the_parts_draw_themselves(name: str) -> None:
    """Not a second number drawn within it: of each op, by what is handed to Geometry and Photometry."""
    size = 0.3 if name in PHOTOMETRIC else 3.0
    for op, levels in ((RandAugment({name: size}, n=1), {1.0}), (TrivialAugment({name: size}), None)):
        rng = np.random.default_rng(1)
        for _ in range(60):
            draw = op.draw(rng, (60, 76, 3))
            said = draw.ops[name]
            assert levels is None or abs(said) / size in levels
            part: Any = draw.geometry if name in GEOMETRIC else draw.photometry
            if name == "bias":
                assert part.bias.shape == (7, 7)
                # 49 numbers uniform in ± the magnitude: the largest is near it, their mean size near half of it
                assert 0.8 < np.abs(part.bias).max() / said <= 1 and 0.3 < np.abs(part.bias).mean() / said < 0.7
            elif name in AXES:
                assert getattr(part, AXES[name])[name.endswith("_y")] == said
            else:
                assert getattr(part, name) == said


def test_a_bias_field_at_full_magnitude_is_that_of_photometry_at_the_end_of_its_range() -> None:
    rng = np.random.default_rng(0)
    op = RandAugment({"bias": 0.3}, n=1)
    drawn: list[Any] = [op.draw(rng, (64, 64, 1)).photometry for _ in range(200)]
    ours, theirs = (
        np.mean([np.abs(np.log(bias_field(lattice, (64, 64)))).max() for lattice in lattices])
        for lattices in ([one.bias for one in drawn], [bias_lattice(rng, 0.3) for _ in range(200)])
    )
    assert ours == pytest.approx(theirs, rel=0.05)


def test_geometric_ops_move_image_and_mask_together() -> None:
    """The image is painted from its mask; away from label borders it stays so."""
    image, mask = pair()
    policy = Policy([RandAugment({k: OPS[k] for k in ("rotate", "shear_x", "translate_y", "elastic")}, n=2)])
    moved = 0
    for i in range(20):
        out, labels = policy(image, mask, (0, 0, i))
        assert set(np.unique(labels)) <= {0, 1, 2, 255}
        painted = np.abs(out[..., 0].astype(int) - (labels.astype(int) * 60 + 30)) <= 1
        assert painted[labels != 255].mean() > 0.9  # the rest are the borders, where two labels mix
        moved += not np.array_equal(labels, mask)
    assert moved == 20


def test_photometric_ops_leave_the_mask_alone() -> None:
    image, mask = pair()
    for i in range(10):
        out, labels = Policy([RandAugment({"contrast": 0.4, "noise": 0.05}, n=1)])(image, mask, (0, 0, i))
        assert np.array_equal(labels, mask) and not np.array_equal(out, image)


def test_outside_is_ignored_and_draws_depend_on_the_key() -> None:
    image, mask = pair()
    policy = Policy([RandAugment({"translate_x": 30}, n=1)], ignore_index=7)
    outs = [policy(image, mask, (0, 0, i)) for i in (0, 0)]
    assert np.array_equal(outs[0][1], outs[1][1])
    assert (outs[0][1] == 7).mean() == pytest.approx(0.3, abs=0.02)


def test_identity_alone_changes_nothing() -> None:
    image, mask = pair()
    out = Policy([RandAugment({"identity": 0}, n=1)])(image, mask, (0, 0, 0))
    assert np.array_equal(out[0], image) and np.array_equal(out[1], mask)


def test_runs_in_a_plain_compose() -> None:
    image, mask = pair()
    out = A.Compose([RandAugment({"rotate": 30}, n=1)])(image=image, mask=mask)
    assert out["image"].shape == image.shape and (out["mask"] != mask).any()


def test_a_draw_is_json_and_back() -> None:
    op = RandAugment(OPS, n=7)
    image, mask = pair()
    draw = op.draw(np.random.default_rng(0), image.shape)
    again = RandomDraw.from_json(json.loads(json.dumps(draw.to_json())))
    assert all(np.array_equal(a, b) for a, b in zip(op.act(image, mask, draw), op.act(image, mask, again), strict=True))


@pytest.mark.parametrize(
    ("ops", "n", "message"),
    [
        ({"spin": 1}, 1, "spin"),
        ({"rotate": 1}, 2, r"1\.\.1"),
        ({"contrast": 1.5}, 1, "contrast"),
        ({"rotate": -1}, 1, "≥ 0"),
    ],
)
def test_mistakes_are_named(ops: dict[str, float], n: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        RandAugment(ops, n=n)


def test_saturation_of_a_grey_image_is_refused_whatever_is_drawn() -> None:
    with pytest.raises(UserError, match="3 channels"):
        RandAugment({"saturation": 0.3, "identity": 0}, n=1).draw(np.random.default_rng(0), (9, 9, 1))
