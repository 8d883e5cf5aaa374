"""Who may import whom (CONTRIBUTING.md), read from the syntax trees: imports inside functions count too."""

import ast
from functools import cache
from pathlib import Path

import pytest

import segtrain

ROOT = Path(segtrain.__file__).parent
MODULES = {
    ".".join(("segtrain", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): file
    for file in ROOT.rglob("*.py")
}

# What of ours a layer may import, beside itself, errors, files, plain_yaml, plain_json, printable, screen, counted,
# spread, area, padding and the version; layers not named, all.
ALLOWED = {
    "segtrain.errors": (),
    "segtrain.files": (),
    "segtrain.plain_yaml": (),
    "segtrain.plain_json": (),
    "segtrain.printable": (),
    "segtrain.screen": (),
    "segtrain.area": (),
    "segtrain.padding": (),
    "segtrain.counted": (),
    "segtrain.spread": (),
    "segtrain.compat": (),
    "segtrain.lightning": ("segtrain.compat",),
    "segtrain.config": ("segtrain.trust", "segtrain.kinds"),
    "segtrain.kinds": (),
    "segtrain.trust": (),
    "segtrain.values": (),
    "segtrain.openmp": (),
    "segtrain.data": ("segtrain.aug.policy", "segtrain.lightning"),
    "segtrain.data.datasets": (),
    "segtrain.model": ("segtrain.lightning",),
    "segtrain.aug": (),
    "segtrain.runs": (),
    "segtrain.sweeps": ("segtrain.runs", "segtrain.plots", "segtrain.sheet"),
    "segtrain.plots": ("segtrain.sheet", "segtrain.runs"),
    "segtrain.sheet": ("segtrain.runs",),
}
# Packages that only these layers may import.
ONLY_IN = {
    "hydra": ("segtrain.app", "segtrain.config", "segtrain.__main__", "segtrain.mistakes", "segtrain.sweeps"),
    "albumentations": ("segtrain.aug",),
    "lightning": ("segtrain.lightning",),  # which first makes the import possible beside a foreign torchvision
}
# Layers that must work, and start fast, without torch: not even through a module of ours that they import.
WITHOUT_TORCH = (
    *(
        "segtrain.__main__",
        "segtrain.area",
        "segtrain.config",
        "segtrain.errors",
        "segtrain.files",
        "segtrain.mistakes",
        "segtrain.plots",
    ),
    *("segtrain.openmp", "segtrain.app.several"),
    *("segtrain.app.diff", "segtrain.app.changes", "segtrain.app.finding", "segtrain.app.stops"),
    *("segtrain.app.new", "segtrain.data.guessing"),
    *("segtrain.data.datasets", "segtrain.runs", "segtrain.sheet", "segtrain.sweeps"),
    *(
        f"segtrain.data.{name}"
        for name in ("survey", "duplicates", "findings", "copies", "leaks", "suggest", "skipping")
    ),
)
TORCH = ("torch", "torchvision", "torchmetrics", "lightning", "segmentation_models_pytorch", "timm")
MAY_USE_TORCH = ("segtrain.runs.checkpoint", "segtrain.runs.writer")


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def imported(tree: ast.AST) -> set[str]:
    """Dotted names of all imports; `from a import b` counts as a.b."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def imports_of(module: str) -> frozenset[str]:
    return frozenset(imported(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def violations(module: str, imports: set[str] | frozenset[str]) -> list[str]:
    """The imports that the layer of the module, its longest prefix in ALLOWED, may not make."""
    layer = max((name for name in ALLOWED if within(module, (name,))), key=len, default="")
    free = ("segtrain", "segtrain.__version__")
    ours = (
        layer,
        "segtrain.errors",
        "segtrain.files",
        "segtrain.plain_yaml",
        "segtrain.plain_json",
        "segtrain.printable",
        "segtrain.screen",
        "segtrain.counted",
        "segtrain.spread",
        "segtrain.area",
        "segtrain.padding",
        *ALLOWED.get(layer, ()),
    )
    found = [n for n in imports if layer and within(n, ("segtrain",)) and n not in free and not within(n, ours)]
    for package, layers in ONLY_IN.items():
        found += [n for n in imports if within(n, (package,)) and not within(module, layers)]
    return found


def reaches(module: str) -> set[str]:
    """Everything outside that importing the module may bring in, by way of ours."""
    seen, outside, ahead = set(), set(), [module]
    while ahead:
        name = ahead.pop()
        while name not in MODULES and "." in name:
            name = name.rpartition(".")[0]  # the attribute of a module stands for the module
        if name in seen or name not in MODULES:
            continue
        seen.add(name)
        ahead += [*imports_of(name), name.rpartition(".")[0]]
        outside |= {n for n in imports_of(name) if not within(n, ("segtrain",))}
    return outside


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_in_the_allowed_direction(module: str) -> None:
    assert not violations(module, imports_of(module))


@pytest.mark.parametrize("module", sorted(m for m in MODULES if within(m, WITHOUT_TORCH) and m not in MAY_USE_TORCH))
def test_works_without_torch(module: str) -> None:
    assert not [name for name in reaches(module) if within(name, TORCH)]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("segtrain.data.datasets.folder", "from segtrain.aug import Policy"),
        ("segtrain.data.split", "from segtrain.aug import audit"),
        ("segtrain.model.losses", "import segtrain.data.split"),
        ("segtrain.aug.policy", "from segtrain.config import build"),
        ("segtrain.runs.folder", "from segtrain import plots"),
        ("segtrain.sweeps.report", "from segtrain.model import metrics"),
        ("segtrain.data.datamodule", "import albumentations as A"),
        ("segtrain.app.recorder", "import lightning as L"),
        ("segtrain.model.module", "def f():\n    from hydra.utils import instantiate"),
    ],
)
def test_a_wrong_import_is_found(module: str, line: str) -> None:
    assert violations(module, imported(ast.parse(line)))


def test_torch_is_found_behind_imports_of_ours() -> None:
    assert "torch" not in imports_of("segtrain.lightning")
    assert "torch" in reaches("segtrain.lightning")


def unshown(tree: ast.AST) -> list[int]:
    """Lines that print, or ask rich to, otherwise than by segtrain.printable and segtrain.screen."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if isinstance(call, ast.Name) and call.id in ("print", "Console")]


@pytest.mark.parametrize(
    "module",
    sorted(m for m in MODULES if within(m, ("segtrain.app", "segtrain.sweeps", "segtrain.data", "segtrain.runs"))),
)
def test_everything_is_printed_as_text(module: str) -> None:
    """What stands in a name is never obeyed: neither by the terminal nor by rich."""
    assert not unshown(ast.parse(MODULES[module].read_text(encoding="utf-8")))
