"""The house stays as it is: no circles, no docstring that begins with half a sentence, a public name one meaning."""

import ast
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        import house

        yield house


@pytest.fixture(scope="module")
def ours(script: ModuleType) -> Any:
    return script.House(ROOT)


def test_no_module_imports_itself_by_way_of_others(ours: Any) -> None:
    assert not [" ".join(group) for group in ours.circles()], "these modules import each other"


def test_a_docstring_begins_with_a_whole_sentence(ours: Any) -> None:
    found = [line for module in ours.ours for line in module.fragments()]
    said = "these begin with no whole sentence in the third person ('Returns …', 'Holds …')"
    assert not found, f"{said}:\n" + "\n".join(found)


def test_a_public_name_has_one_home(ours: Any) -> None:
    double = ours.names_with_two_homes()
    assert not double, f"one public name has one meaning in the whole package; choose others: {double}"


@pytest.mark.parametrize(
    "line",
    [
        "Which run is meant.",
        "Whether it is open.",
        "Of some samples.",
        "The best weights of a run.",
        "Labels (H, W) of `ids[index]`.",
        "Names of the classes.",
        "The arms that have runs.",
        "Take the arguments.",
        "A draw as a JSON-ready dict.",
    ],
)
def test_a_fragment_is_found(script: ModuleType, line: str) -> None:
    assert script.is_fragment(line)


@pytest.mark.parametrize(
    "line",
    [
        "Returns which run is meant.",
        "Raises UserError unless it is open.",
        "Names `work` as older jobs do.",
        "The file is written whole.",
        "Everyone may import it.",
        "Counts runs and lists them.",
    ],
)
def test_a_whole_sentence_is_none(script: ModuleType, line: str) -> None:
    assert not script.is_fragment(line)


def test_circles_are_those_of_arrows(script: ModuleType) -> None:
    arrows = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert script.components(arrows) == [["a", "b", "c"], ["d", "e"]]


def house_of(script: ModuleType, folder: Path, files: dict[str, str]) -> Any:
    for name, text in files.items():
        file = folder / "segtrain" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return script.House(folder)


def test_imports_in_functions_count_and_those_of_type_checkers_apart(script: ModuleType, tmp_path: Path) -> None:
    made = house_of(
        script,
        tmp_path,
        {
            "__init__.py": "",
            "a.py": "def f():\n    from segtrain.b import g\n",
            "b.py": "import torch\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from segtrain.a import f\n",
        },
    )
    assert made.circles() == [] and made.circles(type_checking=True) == [["segtrain.a", "segtrain.b"]]
    assert made.reached("segtrain.a") == {"segtrain.a", "segtrain.b"} and made.reached("segtrain.b") == {"segtrain.b"}
    assert (
        made.modules["segtrain.b"].top_imports() >= {"torch"}
        and "segtrain" not in made.modules["segtrain.a"].top_imports()
    )
    assert made.small_with_one_importer() == ["segtrain.b (4 lines) <- segtrain.a"]


def test_names_configs_and_fragments_are_found(script: ModuleType, tmp_path: Path) -> None:
    made = house_of(
        script,
        tmp_path,
        {
            "a.py": '"""Holds a."""\ndef load(config: DictConfig, *, more: "DictConfig | None"):\n    """Of a."""\n',
            "b.py": "class load:\n    def read(self): ...\ndef _own(): ...\n",
            "c.py": "def read(): ...\ndef _own(): ...\n",
        },
    )
    assert made.names_with_two_homes() == {"load": ["segtrain.a", "segtrain.b"]}
    assert made.config_parameters() == ["segtrain.a:2 load(config)", "segtrain.a:2 load(more)"]
    assert made.modules["segtrain.a"].fragments() == ["segtrain.a:2 Of a."]


def test_arrows_between_verbs(script: ModuleType, tmp_path: Path) -> None:
    files = {
        **{f"{folder}__init__.py": "" for folder in ("", "app/", "app/train/", "app/sweep/")},
        "app/train/train.py": "",
        "app/sweep/jobs.py": "from segtrain.app.train.train import train\nfrom segtrain.app import alone\n",
        "app/alone.py": "",
    }
    assert house_of(script, tmp_path, files).verb_arrows() == ["sweep -> train"]


def test_the_doors_of_this_tree_are_found(ours: Any) -> None:
    assert ours.loader() in ours.modules and ours.trainer() in ours.modules
    tree = ours.modules[ours.trainer()].tree
    assert "train" in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
