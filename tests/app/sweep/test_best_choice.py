"""A choice that is written from overrides composes to what they compose to."""

from pathlib import Path

from omegaconf import OmegaConf

from segtrain.app.sweep.best_choice import write_choice
from segtrain.config.composition import composed, conf_dir

OVERRIDES = ["experiment=brain_scanners", "aug=geometric", "aug.strength=0.5", "trainer.max_epochs=3", "name=x"]


def test_an_experiment_stays_in_it(tmp_path: Path) -> None:
    groups = [path.name for path in conf_dir().iterdir() if path.is_dir()]
    write_choice(tmp_path, OVERRIDES, groups, ["the best"])
    found = composed("train", [f"hydra.searchpath=['file://{tmp_path}']", "experiment=best", "name=x"])
    expected = composed("train", OVERRIDES)
    trees = [OmegaConf.to_container(config, resolve=True) for config in (found, expected)]
    assert [tree["choices"].pop("experiment") for tree in trees] == ["best", "brain_scanners"]
    assert trees[0] == trees[1]
