"""Nothing of a run's folder is written through a link, whose other end may be any file of the user's."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from segtrain.config.run_config import RunConfig
from segtrain.parts.data import build_dataset
from segtrain.runs.folder import RunFolder
from tests.conftest import SMALL, CommandLine


def linked(root: Path, away: Path) -> dict[Path, bytes]:
    """Moves every file below root away, leaves links in their places, and returns what they held."""
    held = {}
    for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())):
        aim = away / f"{number:03d}{path.suffix}"
        held[aim] = path.read_bytes()
        shutil.move(path, aim)
        path.symlink_to(aim)
    return held


def tries(segtrain: CommandLine, root: Path, *command: str) -> Iterator[str]:
    """Runs the command until it ends well, and yields the name of each link that it refused, which is then removed."""
    while status := segtrain(*command):
        assert status == 2 and "is a link" in segtrain.err, segtrain.err
        path = Path(segtrain.err.partition("'")[2].partition("'")[0])
        assert (root.parent / path).is_symlink()
        yield path.name
        aim = (root.parent / path).resolve()
        (root.parent / path).unlink()
        if aim.exists() and path.name != ".lock":
            shutil.copy(aim, root.parent / path)


@pytest.mark.slow
def test_no_verb_writes_through_a_link_of_a_file_that_a_verb_has_written(segtrain: CommandLine, tmp_path: Path) -> None:
    assert segtrain(*SMALL, "data.steps_per_epoch=8", "name=a") == 0  # all images in each epoch
    root = tmp_path / "outputs"
    (run,) = (root / "a").iterdir()
    trained = json.loads((run / "split.json").read_text())["train"][0]
    verbs = (
        ("evaluate", f"run={run}"),
        ("report", "outputs/a"),
        ("preview", f"replay={run}", f"sample={trained}"),
        ("predict", f"run={run}", "input=pictures"),
        (f"resume={run.relative_to(tmp_path)}", "trainer.max_epochs=3"),
    )
    (tmp_path / "pictures").mkdir()
    Image.fromarray(build_dataset(RunConfig(RunFolder(run).config())).read(0).image[..., 0]).save(
        tmp_path / "pictures/one.png"
    )
    for verb in verbs[:-1]:
        assert segtrain(*verb) == 0, segtrain.err
    (run / ".lock").touch()
    (away := tmp_path / "away").mkdir()
    held = linked(root, away)
    refused = [name for verb in verbs for name in tries(segtrain, root, *verb)]
    assert {".lock", "train.log"} <= {*refused}
    assert {path: path.read_bytes() for path in held} == held
    assert sorted(away.iterdir()) == sorted(held)
    assert (run / "results.json").is_file() and not (run / "results.json").is_symlink()


@pytest.mark.slow
def test_a_run_whose_folders_are_links_is_not_written_and_outputs_may_be_one(
    segtrain: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "outputs").symlink_to("disk", target_is_directory=True)
    assert segtrain(*SMALL, "name=a") == 0
    (run,) = (tmp_path / "disk/a").iterdir()
    (tmp_path / "link").symlink_to(run, target_is_directory=True)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert segtrain("resume=link", "trainer.max_epochs=3") == 2 and str(run) in segtrain.err
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    (run / "checkpoints").rename(tmp_path / "mine")
    (run / "checkpoints").symlink_to(tmp_path / "mine", target_is_directory=True)
    mine = {path: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    assert segtrain(f"resume={run}", "trainer.max_epochs=3") == 2 and str(tmp_path / "mine") in segtrain.err
    assert {path: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == mine
    assert segtrain("evaluate", "run=link") == 0  # reading through links works
