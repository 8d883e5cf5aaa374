"""What the README shows runs as it stands."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import SMALL, CommandLine
from tests.test_main import folder_data

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for line in re.findall(r"^    python -m segtrain (.*)$", README, re.MULTILINE)]


def test_the_two_files_of_the_readme_train(segtrain: CommandLine) -> None:
    dataset, policy = BLOCKS
    folder_data(segtrain.folder / "data" / "cells", values=(128, 255))
    for group, name, text in (("dataset", "cells", dataset), ("aug", "mine", policy)):
        path = segtrain.folder / "my_conf" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    small = [o for o in SMALL if not o.startswith("dataset")]
    command = ["--config-dir", "my_conf", "dataset=cells", "aug=mine", *small, r"dataset.split.group='^p(\d+)'"]
    assert segtrain(*command) == 0, segtrain.err
    assert "cells: 3 classes" in segtrain.out and "mine, strength 1" in segtrain.out


@pytest.mark.parametrize("command", [c for c in COMMANDS if "--config-dir" not in c and "resume" not in c])
def test_the_commands_of_the_readme_compose(command: str, segtrain: CommandLine) -> None:
    arguments = [a for a in shlex.split(command) if a != "-m"]
    arguments = [re.sub(r"=([^=,]+),.*", r"=\1", a) for a in arguments]  # the first of a sweep
    if arguments == ["--help"]:
        assert segtrain("--help") == 0
        return
    assert segtrain(*arguments, "--cfg", "job") == 0, segtrain.err
