"""No module but those of segtrain/runs knows the name of a run's file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import segtrain
from segtrain.runs import run_files

PACKAGE = Path(segtrain.__file__).parent
OUTSIDE = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "runs")
NAMES = sorted(
    name.partition("{")[0]
    for key, value in vars(run_files).items()
    if key.isupper() and isinstance(value, str) and key not in ("CHECKPOINTS", "FINISHED")
    for name in [value]
)


def named_files(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields where a text of the code, no docstring, has the name of a run's file in it."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and _is_said(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from ((node.lineno, name) for name in NAMES if name in node.value)


def _is_said(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> bool:
    return bool(node.body) and isinstance(node.body[0], ast.Expr)


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_names_of_a_runs_files_stand_in_one_module(path: Path) -> None:
    assert not [*named_files(ast.parse(path.read_text(encoding="utf-8")))]


@pytest.mark.parametrize("line", ['run / "results.json"', 'f"{run}/env.json is there"', 'glob("*/status.json")'])
def test_a_name_is_found(line: str) -> None:
    assert len(NAMES) > 15
    assert len([*named_files(ast.parse(f'"""results.json"""\n{line}'))]) == 1
