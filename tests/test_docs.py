"""What the README and the pages of docs show runs as it stands, and what they name is there."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig, open_dict

from segtrain.__main__ import WITHOUT_HYDRA
from segtrain.command_line import split_verb
from segtrain.config.known_keys import require_known
from segtrain.help import KEYS, VERBS
from tests.conftest import SMALL, CommandLine
from tests.test_main import folder_data

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
}
RUN = "outputs/brain_tissue/aug=medical_elastic"

# Files of users that the pages show, as they stand there: where they lie, page, and which block of YAML it is.
SHOWN = {
    "sweep/dose": ("docs/sweeps.md", 0),
    "dataset/cells": ("docs/data.md", 0),
    "aug/mine": ("docs/augmentation.md", 0),
    "dataset/isbi_em": ("docs/isbi_em.md", 0),
    "experiment/isbi_em": ("docs/isbi_em.md", 1),
}


def own_folder(folder: Path) -> None:
    """Writes my_conf as the pages have it, and a network of one's own, which they name alone."""
    for name, (page, which) in SHOWN.items():
        path = folder / "my_conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.findall(r"```yaml\n(.*?)```", PAGES[page], re.DOTALL)[which])
    (folder / "my_conf" / "model").mkdir()
    (folder / "my_conf" / "model" / "mine.yaml").write_text("_target_: mypackage.Network\n")


def written(folder: Path) -> list[str]:
    """Returns the overrides of a small training with the files of the pages, which are in place then."""
    own_folder(folder)
    folder_data(folder / "data" / "cells", values=(128, 255))
    small = [o for o in SMALL if not o.startswith("dataset")]
    return ["--config-dir", "my_conf", "dataset=cells", *small, r"dataset.split.group='^p(\d+)'"]


def test_the_files_of_the_pages_train(segtrain: CommandLine) -> None:
    assert segtrain(*written(segtrain.folder), "aug=mine") == 0, segtrain.err
    assert "cells: 3 classes" in segtrain.out and "mine, strength 1" in segtrain.out


@pytest.mark.slow
def test_the_sweep_of_the_pages_runs(segtrain: CommandLine) -> None:
    command = [*written(segtrain.folder), "sweep=dose", "aug=none,mine", "aug.strength=1", "seed=0"]
    assert segtrain(*command) == 0, segtrain.err
    assert "2 jobs" in segtrain.out and "2 finished" in segtrain.out
    assert (segtrain.folder / "outputs/cells-dose/report.html").exists()


def commands() -> Iterator[str]:
    """Yields what follows `python -m segtrain` in each line of code of the pages, once."""
    found: dict[str, None] = {}
    for text in PAGES.values():
        for line in re.findall(r"^(?:    .*&& |    )?python -m segtrain (.*)$", text, re.MULTILINE):
            found[line.split("  #")[0].strip().replace("$RUN", RUN)] = None
    yield from found


COMMANDS = [*commands()]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_pages_compose(command: str, segtrain: CommandLine) -> None:
    verb, arguments = split_verb([a for a in shlex.split(command) if a != "-m"])
    assert verb in VERBS
    if arguments == ["--help"]:
        assert segtrain("--help") == 0
        return
    if verb in WITHOUT_HYDRA:  # they take names alone
        assert len([a for a in arguments if a != "--json"]) == (1 if verb == "report" else 2)
        return
    if "submitit" in command:
        pytest.importorskip("submitit")
    own_folder(segtrain.folder)
    lists = ("run", "views", "shift", "shift_strength", "spacing") if verb in ("evaluate", "predict") else ()
    firsts = [a if a.partition("=")[0] in lists else first_of_sweep(a) for a in arguments]
    wanted = [] if "--cfg" in firsts else ["--cfg", "job"]
    said = segtrain(*(verb for verb in [verb] if verb != "train"), *firsts, *wanted)
    assert said == 0, segtrain.err


def first_of_sweep(override: str) -> str:
    """Returns the override with the first value of a sweep, or as it is."""
    return re.sub(r"=(?:(?:range|interval)\(([^,()]+).*|([^=,()\[\]{}]+),.*)", r"=\1\2", override)


ASKED = re.findall(r"^\| [a-z][^|]* \| `([^`|]+)` \|", PAGES["docs/how_do_i.md"], re.MULTILINE)


@pytest.mark.parametrize("typed", [*ASKED, *KEYS])
def test_the_keys_of_the_table_and_of_help_are_read(typed: str, composed: Callable[..., DictConfig]) -> None:
    overrides = [one for one in shlex.split(typed) if one not in ("--cfg", "job")]
    data = [] if any(one.startswith("split=") for one in overrides) else ["dataset=shapes"]
    config = composed(*data, *overrides)
    choices = dict(config.choices)
    with open_dict(config):
        config.pop("choices")
    require_known(config, "train", choices)


def test_there_are_commands_and_keys() -> None:
    assert len(ASKED) >= 10 and len(COMMANDS) >= 30


def prose(text: str) -> str:
    """Returns the page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Returns the names under which the headings of a page can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = [
    (page, target)
    for page, text in PAGES.items()
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text))
    if not target.startswith("http")
]


def test_every_link_leads_to_a_page_and_a_heading() -> None:
    broken = []
    for page, target in LINKS:
        path, _, anchor = target.partition("#")
        to = (ROOT / page).parent / path if path else ROOT / page
        if not to.exists() or (anchor and anchor not in anchors(to.read_text(encoding="utf-8"))):
            broken.append(f"{page}: {target}")
    assert not broken and len(LINKS) > 50


def test_the_index_lists_every_page() -> None:
    listed = {target for page, target in LINKS if page == "docs/index.md"}
    pages = {path.removeprefix("docs/") for path in PAGES if path.startswith("docs/")} - {"index.md"}
    assert not pages - listed


TOP = ("segtrain", "hydra_plugins", "conf", "scripts", "tests", "docs", r"\.ci")
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(TOP)})/[\w./-]*[\w/]")
NO_PATH = ("tests/data/datasets/mistakes/x.py", "segtrain/data/datasets/x.py", "conf/dataset/x.yaml")  # yours to write


def test_every_path_that_the_pages_name_is_there() -> None:
    named = {(page, path) for page, text in PAGES.items() for path in PATH.findall(text)}
    assert not {(page, path) for page, path in named if not (ROOT / path).exists() and path not in NO_PATH}
    assert len(named) > 40


def test_every_page_that_the_code_names_is_there() -> None:
    named = set()
    for folder in ("segtrain", "hydra_plugins", "conf", "scripts", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml"):
                named |= set(re.findall(r"(?<![\w/])docs/[\w/]+\.md", path.read_text(encoding="utf-8")))
    assert not {page for page in named if not (ROOT / page).is_file()}
    assert named


def test_the_walks_are_counted() -> None:
    walks = PAGES["docs/how_it_works.md"].split("## The walks, counted")[1].split("\n### ")[1:]
    assert len(walks) == 3
    for walk in walks:
        files = re.findall(r"^- `([^`]+)`$", walk, re.MULTILINE)
        assert f"These are {len(files)} files." in walk and len({*files}) == len(files) > 1


def test_the_readme_has_every_folder() -> None:
    table = set(re.findall(r"^\| `([\w/]+)/` \|", PAGES["README.md"], re.MULTILINE))
    packages = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "segtrain").glob("*/__init__.py")}
    assert table == {*packages, "segtrain", "hydra_plugins", "conf", "scripts", "tests", "docs"}


def test_one_line_of_the_readme_is_what_ci_runs() -> None:
    assert len(re.findall(r"^\s*.*&& pytest\s*$", PAGES["README.md"], re.MULTILINE)) == 1
