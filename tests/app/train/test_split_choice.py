"""split=NAME, where it is placed, and what a splitter is handed."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from segtrain.config import composition
from segtrain.config.run_config import RunConfig
from segtrain.errors import UserError
from segtrain.parts.config_changes import with_typed
from segtrain.parts.data import build_split
from tests.conftest import CommandLine

LEAK = {"allow_leak": False}
RATIOS = {"_target_": "segtrain.data.split.Ratios", "val": 0.15, "test": 0.15, "seed": 0, "group": None, **LEAK}


def test_a_dataset_has_its_own_split_and_another_takes_its_place_whole(composed: Callable[..., DictConfig]) -> None:
    own = composed("dataset=brain_tissue")
    assert own.dataset.split.gap == 6 and own.choices.split == "brain_tissue"
    assert composed("dataset=brain_tissue", "split=ratios").dataset.split == RATIOS
    assert composed("dataset=shapes", "dataset.split.seed=3").dataset.split == RATIOS | {"seed": 3}


@pytest.mark.parametrize(
    ("file", "typed", "expected"),
    [
        ("defaults: [shapes]\nsplit: {val: 0.3, group: p}", [], RATIOS | {"val": 0.3, "group": "p"}),
        (
            "defaults: [shapes, override /split@_global_.split: blocks]\nsplit: {gap: 9}",
            ["dataset.split.test=0.1"],
            {
                "_target_": "segtrain.data.split.Blocks",
                "val": 0.15,
                "test": 0.1,
                "gap": 9,
                "inside": False,
                "group": None,
                **LEAK,
            },
        ),
        ("defaults: [brain_tissue]", ["split=mine"], RATIOS | {"val": 0.25}),
    ],
)
def test_a_file_of_the_users_chooses_and_sets(
    file: str, typed: list[str], expected: dict[str, object], segtrain: CommandLine
) -> None:
    for folder, text in (
        ("dataset/cells", file),
        ("split/mine", "# @package dataset.split\ndefaults: [ratios]\nval: 0.25"),
    ):
        path = segtrain.folder / f"my_conf/{folder}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert segtrain("--config-dir", "my_conf", "dataset=cells", *typed, "--cfg", "job") == 0
    assert OmegaConf.create(segtrain.out).dataset.split == expected


def data(**more: object) -> SimpleNamespace:
    """Eight samples, of which every other one holds class 1."""
    masks = [np.array([[0, i % 2, 255]], np.uint8) for i in range(8)]
    read = [(None, mask) for mask in masks].__getitem__
    return SimpleNamespace(ids=[f"s{i}" for i in range(8)], splits=[None] * 8, read=read, ignore_index=255, **more)


def test_a_splitter_is_handed_the_groups_and_where_it_reads_masks_the_reader(
    composed: Callable[..., DictConfig],
) -> None:
    for choice in ("ratios", "stratified"):
        config = composed("dataset=shapes", f"split={choice}", "dataset.split={val:0.25,test:0.25}")
        split = build_split(RunConfig(config), data(groups=[f"p{i // 2}" for i in range(8)]))
        assert all(len(part) == 2 and part[0] % 2 == 0 and part[1] == part[0] + 1 for part in (split.val, split.test))
    split = build_split(RunConfig(config), data())
    assert all(sum(i % 2 for i in part) == 1 for part in (split.val, split.test))


@pytest.mark.parametrize("choice", ["given", "ratios", "stratified", "blocks"])
def test_no_split_leaves_a_group_on_two_sides_unless_that_is_allowed(
    choice: str, composed: Callable[..., DictConfig]
) -> None:
    config = composed("dataset=shapes", f"split={choice}", *(["dataset.split.gap=0"] if choice == "blocks" else []))
    torn = data(groups=["a", "b", "a", "b", "a", "b", "c", "c"])
    torn.splits = ["train", "test", "train", "train", "train", "val", "val", "val"]
    with pytest.raises(UserError, match=r"group 'b' .*train.*val"):
        build_split(RunConfig(config), torn)
    config.dataset.split.allow_leak = True
    assert build_split(RunConfig(config), torn).train


def test_what_does_not_come_to_dataset_split_or_does_not_fit_is_refused(composed: Callable[..., DictConfig]) -> None:
    config = composed("dataset=shapes", "split=blocks", "+dataset.split.seed=1")
    with pytest.raises(UserError, match=r"dataset/shapes\.yaml .*split=blocks.* 'seed'"):
        build_split(RunConfig(config), data())
    with pytest.raises(UserError, match=r"split=None .*dataset\.split; .*`# @package"):
        build_split(RunConfig(composed("dataset=shapes", "~split")), data())


@pytest.mark.parametrize("name", ["mine", "a=b,c d", "it's"])
def test_the_user_s_own_folder_is_found_whatever_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name / "split").mkdir(parents=True)
    (tmp_path / name / "split" / "ours.yaml").write_text("# @package dataset.split\ndefaults: [given]\n")
    monkeypatch.setattr(composition, "typed_folder", lambda: str(tmp_path / name))
    now = with_typed(RunConfig(composition.composed("train", ["dataset=shapes"])), ["split=ours"])
    assert now.dataset.split["_target_"] == "segtrain.data.split.Given" and now.choices.split == "ours"


def test_a_split_typed_beside_resume_replaces_that_of_the_run(composed: Callable[..., DictConfig]) -> None:
    now = with_typed(RunConfig(composed("dataset=shapes")), ["split=given"])
    assert (
        now.dataset.split == {"_target_": "segtrain.data.split.Given", "group": None, **LEAK}
        and now.choices.split == "given"
    )
    assert now.dataset.n == 64
