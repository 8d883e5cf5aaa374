"""What the README shows runs as it stands."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, open_dict

from segtrain.config.known_keys import require_known
from segtrain.help import KEYS
from tests.conftest import SMALL, CommandLine
from tests.test_main import folder_data

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for line in re.findall(r"^    python -m segtrain (.*)$", README, re.MULTILINE)]


def written(folder: Path) -> list[str]:
    """The README's three files in place; the overrides of a small training with them."""
    sweep, dataset, policy = BLOCKS
    folder_data(folder / "data" / "cells", values=(128, 255))
    for group, name, text in (("sweep", "dose", sweep), ("dataset", "cells", dataset), ("aug", "mine", policy)):
        path = folder / "my_conf" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    small = [o for o in SMALL if not o.startswith("dataset")]
    return ["--config-dir", "my_conf", "dataset=cells", *small, r"dataset.split.group='^p(\d+)'"]


def test_the_files_of_the_readme_train(segtrain: CommandLine) -> None:
    assert segtrain(*written(segtrain.folder), "aug=mine") == 0, segtrain.err
    assert "cells: 3 classes" in segtrain.out and "mine, strength 1" in segtrain.out


@pytest.mark.slow
def test_the_sweep_of_the_readme_runs(segtrain: CommandLine) -> None:
    command = [*written(segtrain.folder), "sweep=dose", "aug=none,mine", "aug.strength=1", "seed=0"]
    assert segtrain(*command) == 0, segtrain.err
    assert "2 jobs" in segtrain.out and "2 finished" in segtrain.out
    assert (segtrain.folder / "outputs/cells-dose/report.html").exists()


WITHOUT_HYDRA = ("report ", "compare ", "diff ", "new ")


@pytest.mark.parametrize(
    "command",
    [c for c in COMMANDS if "--config-dir" not in c and "resume" not in c and not c.startswith(WITHOUT_HYDRA)],
)
def test_the_commands_of_the_readme_compose(command: str, segtrain: CommandLine) -> None:
    arguments = [a for a in shlex.split(command) if a != "-m"]
    arguments = [re.sub(r"=(?:[a-z]+\()?([^=,]+),.*", r"=\1", a) for a in arguments]  # the first value of a sweep
    if arguments == ["--help"]:
        assert segtrain("--help") == 0
        return
    assert segtrain(*arguments, "--cfg", "job") == 0, segtrain.err


ASKED = re.findall(
    r"^\| [a-z][^|]* \| `([^`|]+)` \|", README.partition("## How do I")[2].partition("## Which")[0], re.MULTILINE
)


@pytest.mark.parametrize("typed", [*ASKED, *KEYS])
def test_the_keys_of_readme_and_help_are_read(typed: str, composed: Callable[..., DictConfig]) -> None:
    overrides = [one for one in shlex.split(typed) if one not in ("--cfg", "job")]
    data = [] if any(one.startswith("split=") for one in overrides) else ["dataset=shapes"]
    config = composed(*data, *overrides)
    choices = dict(config.choices)
    with open_dict(config):
        config.pop("choices")
    require_known(config, "train", choices)


def test_the_table_is_not_empty() -> None:
    assert len(ASKED) >= 10
