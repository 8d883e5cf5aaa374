"""What a run keeps of its references."""

from pathlib import Path

import pytest

from segtrain.config.composition import composed, plain
from segtrain.runs.config_yaml import require_self_contained

MINE = """
defaults: [flips]
transforms:
  - _target_: albumentations.Rotate
    limit: ${amount:${oc.decode:${oc.env:MY_LIMIT}}}
    p: ${oc.decode:${oc.env:MY_P}}
  - _target_: albumentations.Blur
    p: ${chance:0.5}
"""


def test_what_the_shell_said_is_kept_and_amounts_go_on_to_scale(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my_conf" / "aug").mkdir(parents=True)
    (tmp_path / "my_conf" / "aug" / "mine.yaml").write_text(MINE)
    monkeypatch.setenv("MY_P", "0.25")
    monkeypatch.setenv("MY_LIMIT", "30")
    config = composed(
        "train", ["dataset=shapes", "aug=mine", "aug.strength=0.5", f"hydra.searchpath=[{tmp_path}/my_conf]"]
    )
    kept = plain(config, {})
    assert kept["aug"]["transforms"][0] == {"_target_": "albumentations.Rotate", "limit": 15.0, "p": 0.25}
    assert kept["aug"]["transforms"][1]["p"] == "${chance:0.5}"
    require_self_contained(kept, "config.yaml")
