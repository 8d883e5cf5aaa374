"""What docs/augmentation.md and docs/own_loop.md show of augmentation runs as it stands, and names what there is."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from segtrain.config.composition import conf_dir
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets.shapes import Shapes
from segtrain.parts.policy import build_policy

PAGE = (Path(__file__).parent.parent / "docs" / "augmentation.md").read_text(encoding="utf-8")
LOOP = (Path(__file__).parent.parent / "docs" / "own_loop.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", LOOP, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_dataset_of_the_page_gives_batches() -> None:
    names: dict[str, object] = {}
    exec(PYTHON[0], names)
    image, mask = names["image"], names["mask"]
    assert tuple(image.shape) == (4, 1, 64, 64) and tuple(mask.shape) == (4, 64, 64)  # type: ignore[attr-defined]
    slices = names["Slices"]()  # type: ignore[operator]
    assert (slices[3][0] == image[3]).all()  # type: ignore[index]


def test_the_compose_of_the_page_follows_its_generator() -> None:
    outs = []
    for _ in range(2):
        names: dict[str, object] = {}
        exec(
            PYTHON[1].replace(
                "np.zeros((64, 64, 3), np.uint8)", "np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)"
            ),
            names,
        )
        outs.append(names["out"])
    assert np.array_equal(outs[0]["image"], outs[1]["image"])  # type: ignore[index]
    assert 255 in outs[0]["mask"]  # type: ignore[index]


def test_the_policy_of_the_page_is_built(composed: Callable[..., DictConfig]) -> None:
    config = composed("dataset=shapes", "aug=none", "aug.strength=0.5")
    own = OmegaConf.create(YAML[0])
    config.aug.transforms = own.transforms
    policy = build_policy(RunConfig(config), Shapes())
    turned, brightened, dropped = policy.transforms
    assert turned.rotate == 7.5 and brightened.brightness_limit == pytest.approx((-0.1, 0.1))
    assert brightened.p == 0.3 and dropped.p == pytest.approx(0.15)


def test_the_page_has_every_preset_and_no_other() -> None:
    table = PAGE.split("## Policies")[1].split("By name")[0]
    named = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert named == {path.stem for path in (conf_dir() / "aug").glob("*.yaml")}
