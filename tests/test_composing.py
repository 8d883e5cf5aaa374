"""Tests compose faster than users do, and the same."""

from pathlib import Path

import pytest
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra

from segtrain.config.composition import composed
from tests import composing
from tests.conftest import SMALL, CommandLine


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_the_same_config_is_composed_from_what_is_remembered(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = [*SMALL, "aug=medical_elastic", "split=folds"] if verb == "train" else ["run=a"]
    first, again = composed(verb, own), composed(verb, own)
    monkeypatch.setattr(ConfigRepository, "load_config", composing.READ)
    assert composed(verb, own) == first == again


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
