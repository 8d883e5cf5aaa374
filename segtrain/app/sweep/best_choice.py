"""Writes a choice of the group experiment from overrides: what a search or a find has found best, to train it again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from segtrain import plain_files
from segtrain.files import make_own, write_whole

GROUP = "experiment"
UNSAID = ("name", "outputs", "sweep")  # where the runs lay, and how they were chosen


def write_choice(to: Path, overrides: Sequence[str], groups: Sequence[str], said: Sequence[str]) -> Path:
    """Writes experiment/best.yaml into a folder for --config-dir, and returns the file.

    Args:
        to: the folder.
        overrides: `key=value` each; one that takes a key away has no place in such a file and is left out.
        groups: names of the config groups.
        said: lines of its comment.
    """
    pairs = [override.lstrip("+").partition("=") for override in overrides if "=" in override and override[0] != "~"]
    chosen = {key: value for key, _, value in pairs if key not in UNSAID}
    before = [chosen.pop(GROUP)] if chosen.get(GROUP, "null") != "null" else []  # a file of the same group
    defaults = [{f"override /{key}": value} for key, value in chosen.items() if key in groups]
    tree: dict[str, Any] = {"defaults": [*before, *defaults, "_self_"]}
    for key, value in chosen.items():
        if key not in groups:
            _put(tree, key.split("."), plain_files.read_yaml(str(value), key))
    head = "".join(f"# {line}\n" for line in said)
    path = to / "experiment" / "best.yaml"
    make_own(path.parent, to)
    write_whole(path, f"# @package _global_\n{head}{yaml.safe_dump(tree, sort_keys=False)}")
    return path


def _put(tree: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
    tree[parts[-1]] = value
