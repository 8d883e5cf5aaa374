"""Tests compose faster than users do, and the same."""

from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra

from segtrain.config.composition import composed
from tests import composing
from tests.conftest import SMALL, CommandLine


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_the_same_config_is_composed_from_what_is_remembered(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = [*SMALL, "aug=medical_elastic", "split=folds"] if verb == "train" else ["run=a"]
    other = [*own, "seed=7", "+debug_too=1"]  # other values, of the same files
    found = [composed(verb, own), composed(verb, other), composed(verb, own), composed(verb, other)]
    composing.compose_slowly(monkeypatch)
    assert found == [composed(verb, own), composed(verb, other)] * 2 and found[0] != found[1]


def test_other_files_are_other_configs(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = [*(["aug=" + name] for name in ("none", "flips")), ["~split"], ["scheduler=cosine", "model=fpn"]]
    found = [composed("train", typed) for typed in choices]
    composing.compose_slowly(monkeypatch)
    assert found == [composed("train", typed) for typed in choices]


def test_files_of_a_user_are_read_anew(segtrain: CommandLine) -> None:
    own = Path(segtrain.folder / "own/dataset/cells.yaml")
    own.parent.mkdir(parents=True)
    for size in (30, 40):
        own.write_text(f"defaults: [shapes, _self_]\nsize: {size}\n")
        assert (
            segtrain("--config-dir", "own", "--cfg", "job", "dataset=cells") == 0 and f"size: {size}\n" in segtrain.out
        )


def test_a_mode_that_someone_sets_is_read(segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    monkeypatch.setattr(composing, "MODE", lambda hydra, name, overrides: asked.extend(overrides))
    monkeypatch.setattr(Hydra, "run", lambda *_, **__: None)
    assert segtrain("seed=1") == 0 and asked == []
    assert segtrain("seed=1", "hydra.verbose=false") == 0 and "hydra.verbose=false" in asked
