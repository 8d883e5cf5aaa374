"""Who may import whom (CONTRIBUTING.md), read from the syntax trees: imports inside functions count too."""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

import segtrain

ROOT = Path(segtrain.__file__).parent
MODULES = {
    ".".join(("segtrain", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): file
    for file in ROOT.rglob("*.py")
}

# What of ours any layer may import: text, files and numbers that know nothing of images, configs and runs.
FREE = (
    *("segtrain.__version__", "segtrain.errors", "segtrain.files", "segtrain.folders"),
    *("segtrain.plain_files", "segtrain.printable", "segtrain.screen"),
    *("segtrain.nearest_name", "segtrain.counted", "segtrain.spread", "segtrain.area", "segtrain.padding"),
)
# What of ours a layer may import beside that and itself. A layer is the longest prefix; what has none may all.
PARTS = ("segtrain.config", "segtrain.data", "segtrain.aug", "segtrain.model", "segtrain.runs", "segtrain.lightning")
VERB = (
    *("segtrain.parts", *PARTS, "segtrain.draw", "segtrain.interrupts", "segtrain.command_line", "segtrain.mistakes"),
    "segtrain.launchers",
)
ALLOWED = {
    **{name: () for name in FREE},
    "segtrain.compat": (),
    "segtrain.openmp": (),
    "segtrain.launchers": (),
    "segtrain.interrupts": (),
    "segtrain.command_line": ("segtrain.config.composition", "segtrain.help"),
    "segtrain.help": ("segtrain.config.composition",),
    "segtrain.mistakes": ("segtrain.config.composition",),
    "segtrain.lightning": ("segtrain.compat",),
    "segtrain.config": (),
    "segtrain.aug": (),
    "segtrain.model": ("segtrain.lightning",),
    "segtrain.data": ("segtrain.aug.policy", "segtrain.lightning"),
    "segtrain.data.datasets": ("segtrain.data.files",),
    "segtrain.data.files": (),
    "segtrain.data.split": ("segtrain.data.files",),
    "segtrain.runs": (),
    "segtrain.draw": ("segtrain.runs",),
    "segtrain.parts": (*PARTS, "segtrain.interrupts", "segtrain.compat", "segtrain.launchers"),
    **{
        f"segtrain.app.{verb}": VERB
        for verb in ["train", "evaluate", "predict", "export", "serve", "check", "preview", "report", "new", "convert"]
    },
    "segtrain.app.sweep": (*VERB, "segtrain.app.train", "segtrain.app.report", "segtrain.openmp"),
    "segtrain.app.find": (*VERB, "segtrain.app.sweep", "segtrain.app.train", "segtrain.app.report"),
    "segtrain.app.find_lr": (*VERB, "segtrain.app.train"),
    "segtrain.app.elsewhere": ("segtrain.app.sweep",),
}
# Packages that only these layers may import.
ONLY_IN = {
    "hydra": ("segtrain.app", "segtrain.config", "segtrain.__main__", "segtrain.mistakes", "segtrain.command_line"),
    "hydra_plugins": (),  # the plug-ins call app/sweep, which knows nothing of them
    "difflib": ("segtrain.nearest_name",),  # "did you mean …?" has one home
    "albumentations": ("segtrain.aug",),
    "lightning": ("segtrain.lightning",),  # which first makes the import possible beside a foreign torchvision
}
# Layers that must work, and start fast, without torch: not even through a module of ours that they import.
WITHOUT_TORCH = (
    *("segtrain.__main__", "segtrain.area", "segtrain.errors", "segtrain.files", "segtrain.folders", "segtrain.help"),
    *("segtrain.mistakes", "segtrain.openmp", "segtrain.interrupts", "segtrain.command_line", "segtrain.config"),
    *("segtrain.app.new", "segtrain.app.report", "segtrain.draw", "segtrain.runs"),
    *("segtrain.data.datasets", "segtrain.data.files", "segtrain.parts.config_changes", "segtrain.app.check.findings"),
    *(f"segtrain.data.{name}" for name in ("survey", "duplicates", "statistics", "cautions", "likely_groups", "split")),
    *(f"segtrain.app.sweep.{name}" for name in ("plan", "pool", "watch", "best_choice")),
    *(
        f"segtrain.app.find.{name}"
        for name in ("answer", "options", "allowance", "boundary", "elimination", "race", "page", "words", "next_steps")
    ),
)
TORCH = ("torch", "torchvision", "torchmetrics", "lightning", "segmentation_models_pytorch", "timm")
MAY_USE_TORCH = ("segtrain.runs.checkpoint",)

# What opens a file by its name, or writes one: only `segtrain.files` may. Methods of a path, and functions of libraries
# that take a name; of the latter a function may call one in which `require_regular` has been called first.
OPENS = ("open", "fdopen", "read_text", "read_bytes", "write_text", "write_bytes", "touch", "tofile", "FileHandler")
OPENS_BY_NAME = (
    *("fromfile", "memmap", "TiffFile", "load_file", "safe_open", "InferenceSession", "from_filename", "load_dataset"),
    *("load_from_disk", "nibabel.load", "torch.load", "np.load", "OmegaConf.load", "imread", "dcmread"),
)
WRITES = ("savefig", "imwrite", "imsave", "save", "save_file", "savez", "mkdir", "makedirs", "utime", "chmod", "rmtree")
WALKS = ("os.walk", "rglob", "glob.iglob")  # links in a circle, and those that branch, are for `segtrain.folders`
NAMES = {name.rpartition(".")[2] for name in (*OPENS, *OPENS_BY_NAME, *WRITES, *WALKS, "glob")}
NAMES |= {"require_regular", "_require_files"}
# Names of what is open already, or lies in memory.
HELD = ("file", "packed", "stream", "memory", "png", "svg", "buffer", "summed")
EXCEPTIONS = {  # module -> calls, as they stand there, and why
    "segtrain.draw.html_page": {"path.read_text": "ours, in the package"},
    "segtrain.config.known_arguments": {"path.read_text": "a file of conf/", "OmegaConf.load": "a file of conf/"},
    "segtrain.config.known_keys": {"OmegaConf.load": "a file of conf/"},
    "segtrain.parts.config_changes": {"OmegaConf.load": "a file of conf/"},
    "segtrain.parts.data": {"OmegaConf.load": "a file of conf/"},
    "segtrain.data.cache": {
        "file.read_bytes": "our own code",
        "here.rglob": "our own code",
        "Path(source).read_bytes": "the code of a class that was imported",
    },
    "segtrain.runs.environment": {"Path('/proc/cpuinfo').read_text": "of the system"},
    "segtrain.app.train.other_programs": {"Path('/proc/stat').read_text": "of the system"},
    "segtrain.interrupts": {"os.open": "of the system, /dev/null"},
    "segtrain.parts.members": {"os.open": "of the system, /dev/null"},
    "segtrain.app.export.export": {"form.open": "a method of ours, which asks"},
    "segtrain.app.train.open_run": {
        "parts.logbook.open": "a method of ours",
        "shutil.rmtree": "of what is no link; rmtree follows none below",
    },
    "segtrain.app.train.logbook": {
        "self.logger.save": "of Lightning's logger; its folder is looked at when it is opened"
    },
    "segtrain.app.predict.predict": {"self.reader.open": "a method of ours, which asks"},
    "segtrain.app.serve.prediction_view": {"self._images.open": "a method of ours, which asks"},
    "segtrain.data.files.large_tiff": {"np.fromfile": "of a file that the constructor asks for"},
    "segtrain.app.predict.output_folder": {"tifffile.imwrite": "of the name that `part` has cleared"},
    "segtrain.app.export.card": {"TEMPLATE.read_text": "ours, in the package"},
    "segtrain.app.export.formats": {
        "translated.save": "of the name that `part` has cleared",
        "torch.export.load": "of an open file",
        "torch.export.save": "into memory",
        "safetensors.torch.save": "into memory",
    },
    "segtrain.app.new.new": {"path.parent.mkdir": "of the user's own configs, in a place that the user names"},
    "segtrain.app.convert.convert": {
        "unfinished.mkdir": "refuses what is there, a link too",
        "shutil.rmtree": "of the folder that it made",
    },
    "segtrain.runs.ensemble": {"shutil.rmtree": "of what a killed process left, which is asked to be no link"},
    "segtrain.runs.lock": {"os.utime": "of a link itself, where one stands there now"},
    "segtrain.runs.checkpoint": {
        "torch.load": "of a file whose sum has just been taken",
        "safetensors.torch.save": "into memory",
        "torch.save": "into an open file",
    },
}


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
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports_of(module: str) -> frozenset[str]:
    return frozenset(imported(tree_of(module)))


def violations(module: str, imports: set[str] | frozenset[str]) -> list[str]:
    """The imports that the layer of the module, its longest prefix in ALLOWED, may not make."""
    layer = max((name for name in ALLOWED if within(module, (name,))), key=len, default="")
    ours = (layer, *FREE, *ALLOWED.get(layer, ()))
    found = [n for n in imports if layer and within(n, ("segtrain",)) and n != "segtrain" and not within(n, ours)]
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
        ("segtrain.aug.policy", "from segtrain.config.objects import build"),
        ("segtrain.runs.folder", "from segtrain.draw import pictures"),
        ("segtrain.app.report.report", "from segtrain.app.train import train"),
        ("segtrain.app.predict.predict", "from segtrain.app.evaluate.page import page"),
        ("segtrain.parts.network", "from segtrain.app.train.assembly import assemble"),
        ("segtrain.data.datamodule", "import albumentations as A"),
        ("segtrain.app.sweep.sweep", "def f():\n    from hydra_plugins.segtrain_plugins import GridSweeper"),
        ("segtrain.parts.predictor", "from hydra.core.hydra_config import HydraConfig"),
        ("segtrain.app.train.recorder", "import lightning as L"),
        ("segtrain.model.module", "def f():\n    from hydra.utils import instantiate"),
        ("segtrain.config.trust", "import difflib"),
    ],
)
def test_a_wrong_import_is_found(module: str, line: str) -> None:
    assert violations(module, imported(ast.parse(line)))


def test_torch_is_found_behind_imports_of_ours() -> None:
    assert "torch" not in imports_of("segtrain.lightning")
    assert "torch" in reaches("segtrain.lightning")


def opening(module: str, tree: ast.AST) -> list[str]:
    """The calls by which a module opens, writes or walks by itself."""
    found = []
    for scope in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Module)]:
        asked = False
        for call in sorted(calls_of(own(scope)), key=lambda call: call.lineno):
            said = ast.unparse(call.func)
            asked |= said in ("require_regular", "_require_files")
            first = call.args[0] if call.args else None
            held = isinstance(first, ast.Name) and first.id in HELD and "." in said
            if held or said in EXCEPTIONS.get(module, {}):
                continue
            name = said.rpartition(".")[2]
            by_name = any(said == one or name == one or said.endswith(f".{one}") for one in OPENS_BY_NAME)
            walks = said in WALKS or name in WALKS or any(word.arg == "recursive" for word in call.keywords)
            if name in OPENS or name in WRITES or walks or (by_name and not asked):
                found.append(f"line {call.lineno}: {said}")
    return found


def calls_of(nodes: Iterable[ast.AST]) -> list[ast.Call]:
    """Those of functions whose last name may open, write or walk."""
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return [c for c in calls if getattr(c.func, "attr", getattr(c.func, "id", "")) in NAMES]


def own(scope: ast.AST) -> list[ast.AST]:
    """The nodes of a function or module that are of no function inside it."""
    nodes, ahead = [], list(ast.iter_child_nodes(scope))
    while ahead:
        node = ahead.pop()
        nodes.append(node)
        ahead += [] if isinstance(node, ast.FunctionDef) else ast.iter_child_nodes(node)
    return nodes


def test_files_are_opened_written_and_walked_in_one_place() -> None:
    found = {module: calls for module in MODULES if (calls := opening(module, tree_of(module)))}
    assert {*found} == {"segtrain.files", "segtrain.folders"}, found
    used = {m: {ast.unparse(call.func) for call in calls_of(ast.walk(tree_of(m)))} for m in EXCEPTIONS}
    assert not [(module, call) for module, calls in EXCEPTIONS.items() for call in calls if call not in used[module]]


@pytest.mark.parametrize(
    "line",
    [
        "open(path)",
        "with path.open('rb') as file: file.read()",
        "os.open(path, 0)",
        "path.read_text()",
        "Image.open(path)",
        "torch.load(path)",
        "tifffile.TiffFile(path)",
        "need('nibabel', 'medical').Nifti1Image.from_filename(path)",
        "def f(path):\n    nibabel.load(path)\n    require_regular(path)",
        "figure.savefig(path)",
        "np.save(path, array)",
        "path.mkdir()",
        "os.walk(path, followlinks=True)",
        "glob.glob(path, recursive=True)",
    ],
)
def test_an_opening_is_found(line: str) -> None:
    assert opening("segtrain.app.any", ast.parse(line))


@pytest.mark.parametrize("line", ["opened(path)", "Image.open(file)", "require_regular(path)\ntorch.load(path)"])
def test_an_opening_that_asks_is_let_be(line: str) -> None:
    assert not opening("segtrain.app.any", ast.parse(line))


def unshown(tree: ast.AST) -> list[int]:
    """Lines that print, or ask rich to, otherwise than by segtrain.printable and segtrain.screen."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if isinstance(call, ast.Name) and call.id in ("print", "Console")]


@pytest.mark.parametrize(
    "module",
    sorted(m for m in MODULES if within(m, ("segtrain.app", "segtrain.parts", "segtrain.data", "segtrain.runs"))),
)
def test_everything_is_printed_as_text(module: str) -> None:
    """What stands in a name is never obeyed: neither by the terminal nor by rich."""
    assert not unshown(tree_of(module))
