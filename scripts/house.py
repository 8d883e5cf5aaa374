"""Prints the figures of the house: how many files, how long, who imports whom, what is said twice or in half sentences.

    python scripts/house.py                      of the tree that this script stands in, read by ast; 2 s
    python scripts/house.py --names              and the names behind each figure
    python scripts/house.py --tree FOLDER        of another tree, such as a worktree of an earlier commit
    python scripts/house.py --time               and how long the module behind `segtrain.load` takes to import; 1 min

Imports inside functions count as those at the top do, and those below `if TYPE_CHECKING` count apart. What a config
names by `_target_`, and what `importlib` is given as a string, is not followed. A module is a file that is no
`__init__.py`; of a package that one imports from, the `__init__.py` is followed too.
"""

import argparse
import ast
import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

DOORS = (
    "segtrain.data",
    "segtrain.aug",
    "segtrain.model",
    "segtrain.runs",
    "segtrain.draw",
)  # below them no DictConfig
HEAVY = ("torch", "lightning", "albumentations", "hydra")
LONG_FUNCTION, LONG_FILE, SHORT_FILE = 40, 350, 60

# A first line is a whole sentence: a verb in the third person ("Writes …"), or a subject with a verb behind it.
OPENERS = re.compile(
    r"(What|Which|Whether|Nothing|Of|Those|As|Without|With|By|The same|From|Either|None|How|Where|Whose|Who|Why|When|"
    r"If|Is|Are|Was|Does|Do|Has|Have|Can|May|Must|Not|No|Only|In|On|At|For|To|Into|Between|Beside|Behind|Above|Below|"
    r"Before|After|Else|Or|And|But|Such|So|Than|True|False|Up|Out|Per|Like|Likewise|Also|Yes)\b"
)
# What ends in -s and is no verb; the others are one, but before these words, as in "Names of the classes".
NOUNS = re.compile(
    r"(samples|images|labels|keys|pixels|rows|weights|files|lines|positions|logits|values|pictures|bytes|slices|remarks|"
    r"strings|windows|partners|groups|indices|sizes|pairs|scans|colours|arms|jobs|heads|batches|paths|shares|losses|"
    r"checkpoints|overrides|leaks|ids|options|formats|classes|patients|pages|arrays|correlations|degrees|minutes|"
    r"predictions|trials|tensors|crops|flips|sides|coefficients|commands|arguments|characters|imports|loaders|datasets|"
    r"polygons|channels|discs|segmentations|lengths|objects|columns|codes|libraries|errors|voxels|strips|folds|slabs|"
    r"intervals|logarithms|distances|places|zeros|probabilities|augmentations|policies|seconds|tables|fingerprints|"
    r"cores|[a-z]*ss|contiguous|as|this|its)\b"
)
NO_VERB_BEFORE = ("of", "that", "which", "whose", "and", "or", "in", "behind", "below")
# Where the main clause ends, as far as a first line is concerned, and the verbs that one is looked for in.
CLAUSE = re.compile(r"[;:(,]|\b(?:that|which|whose|what|where|who|when|while|until|unless|if|as|how|whether)\b")
VERBS = re.compile(
    r"\b(is|are|was|were|has|have|had|do|does|can|could|may|might|must|will|would|become|becomes|"
    r"accepts|adds|answers|applies|asks|begins|belongs|brings|builds|calls|changes|checks|comes|come|computes|copies|"
    r"counts|covers|decides|describes|draws|ends|fails|falls|finds|fits|follows|forbids|gets|gives|goes|grows|happens|"
    r"helps|holds|hold|keeps|keep|knows|leads|leaves|lets|lie|lies|listens|lists|loads|looks|maps|marks|means|measures|"
    r"moves|names|needs|opens|owns|passes|picks|prints|puts|raises|reach|reaches|reads|receives|refuses|remains|replaces|"
    r"returns|runs|say|says|sees|sends|serves|sets|shows|sits|speaks|stand|stands|starts|stays|stops|takes|tells|"
    r"touches|trains|tries|turns|uses|wait|waits|wants|works|writes|yields)\b"
)


@dataclass(frozen=True)
class Module:
    """One file: its name with dots, its syntax tree and its number of lines."""

    name: str
    tree: ast.Module
    lines: int
    is_package: bool

    @cached_property
    def nodes(self) -> list[Any]:
        """Returns the file's statements, those inside others too; walking past expressions takes ten times as long."""
        found: list[Any] = [self.tree]
        for node in found:
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                found += getattr(node, name, ())
        return found

    @cached_property
    def imports(self) -> dict[str, bool]:
        """Returns the dotted names of all imports, and for each whether only a type checker sees it."""
        checked = {id(below) for node in self.nodes if _is_type_checking(node) for below in ast.walk(node)}
        found: dict[str, bool] = {}
        for node in self.nodes:
            for name in _imported(node):
                found[name] = id(node) in checked and found.get(name, True)
        return found

    def top_imports(self) -> set[str]:
        """Returns the names of the packages that importing the module imports at once, by its own statements."""
        found: set[str] = set()
        ahead: list[ast.AST] = [self.tree]
        while ahead:
            node = ahead.pop()
            found |= {name.partition(".")[0] for name in _imported(node)}
            inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(node)
            ahead += [] if inner else ast.iter_child_nodes(node)
        return found

    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Returns all functions and methods, those inside others too."""
        return [node for node in self.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    def first_lines(self) -> list[tuple[int, str]]:
        """Returns line number and first paragraph's first line of each docstring."""
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = [node for node in self.nodes if isinstance(node, documented)]
        said = [(getattr(node, "lineno", 1), ast.get_docstring(node)) for node in nodes]
        return [(line, text.split("\n")[0]) for line, text in said if text]

    def fragments(self) -> list[str]:
        """Returns the first lines that are no whole sentence, with their places."""
        return [f"{self.name}:{line} {text[:90]}" for line, text in self.first_lines() if is_fragment(text)]


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def is_fragment(line: str) -> bool:
    """Returns whether a docstring's first line is no whole sentence; a rule of thumb, made for this project's words."""
    words = re.findall(r"[\w'`./]+", line)
    if not words or OPENERS.match(line.strip()):
        return True
    first, second = words[0].lower(), words[1] if len(words) > 1 else ""
    if re.fullmatch(r"[a-z]+s", first) and not NOUNS.fullmatch(first):
        return second in NO_VERB_BEFORE and first in (
            "names",
            "counts",
            "lists",
            "figures",
            "scores",
            "reports",
            "maps",
        )
    return not VERBS.search(CLAUSE.split(line.strip())[0])


@dataclass
class House:
    """All modules of a tree, and who imports whom among them."""

    tree: Path
    modules: dict[str, Module] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for package in ("segtrain", "hydra_plugins"):
            for file in sorted((self.tree / package).rglob("*.py")):
                parts = file.relative_to(self.tree).with_suffix("").parts
                name = ".".join(parts).removesuffix(".__init__")
                text = file.read_text(encoding="utf-8")
                self.modules[name] = Module(name, ast.parse(text), text.count("\n"), file.name == "__init__.py")

    @property
    def files(self) -> list[Module]:
        """Returns the modules of segtrain that are no `__init__.py`."""
        return [m for m in self.modules.values() if not m.is_package and m.name.startswith("segtrain.")]

    @property
    def ours(self) -> list[Module]:
        """Returns the modules of segtrain, `__init__.py` too."""
        return [m for m in self.modules.values() if m.name.partition(".")[0] == "segtrain"]

    def home(self, name: str) -> str | None:
        """Returns the module of ours that an imported name lies in; None of other people's."""
        while name not in self.modules and "." in name:
            name = name.rpartition(".")[0]
        return name if name in self.modules else None

    def arrows(self, type_checking: bool = False) -> dict[str, set[str]]:
        """Returns for each module the modules of ours that it imports."""
        found: dict[str, set[str]] = {}
        for name, module in self.modules.items():
            homes = {self.home(n) for n, checked in module.imports.items() if type_checking or not checked}
            found[name] = {one for one in homes if one and one != name}
        return found

    def reached(self, start: str) -> set[str]:
        """Returns the files that importing a module, and calling all that is in them, may import; itself too."""
        arrows, seen, ahead = self.arrows(), set[str](), [start]
        while ahead:
            name = ahead.pop()
            if name and name not in seen and name in self.modules:
                seen.add(name)
                ahead += [*arrows[name], name.rpartition(".")[0]]
        return {name for name in seen if not self.modules[name].is_package}

    def small_with_one_importer(self) -> list[str]:
        """Returns the short modules that only one other imports, with that one."""
        importers = defaultdict(list)
        for name, targets in self.arrows().items():
            for target in targets:
                importers[target].append(name)
        short = [m for m in self.files if m.lines <= SHORT_FILE and len(importers[m.name]) == 1]
        return [f"{m.name} ({m.lines} lines) <- {importers[m.name][0]}" for m in short]

    def config_parameters(self) -> list[str]:
        """Returns the parameters of type DictConfig."""
        return [
            f"{module.name}:{function.lineno} {function.name}({one.arg})"
            for module in self.ours
            for function in module.functions()
            for one in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            if one.annotation and "DictConfig" in ast.unparse(one.annotation)
        ]

    def names_with_two_homes(self) -> dict[str, list[str]]:
        """Returns the public functions and classes that stand at the top of more than one module, with those."""
        homes = defaultdict(list)
        for module in self.ours:
            for node in module.tree.body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    homes[node.name].append(module.name)
        return {name: where for name, where in sorted(homes.items()) if len(set(where)) > 1}

    def circles(self, type_checking: bool = False) -> list[list[str]]:
        """Returns the groups of modules each of which imports, over however many, each other one."""
        return components(self.arrows(type_checking))

    def folder_arrows(self) -> dict[str, set[str]]:
        """Returns who imports whom among folders; a file right below segtrain stands for itself."""

        def folder(name: str) -> str:
            above = name if self.modules[name].is_package else name.rpartition(".")[0]
            return name if above in ("segtrain", "hydra_plugins") else above

        found: dict[str, set[str]] = defaultdict(set)
        for name, targets in self.arrows().items():
            found[folder(name)] |= {folder(target) for target in targets} - {folder(name)}
        return found

    def verb_arrows(self) -> list[str] | None:
        """Returns who imports whom among the folders of segtrain/app; None where there are none."""

        def verb(name: str) -> str | None:
            parts = name.split(".")
            below = parts[2] if parts[:2] == ["segtrain", "app"] and len(parts) > 2 else ""
            return below if below and self.modules.get(f"segtrain.app.{below}", nobody).is_package else None

        nobody = Module("", ast.Module([], []), 0, False)
        if not any(verb(name) for name in self.modules):
            return None
        pairs = {(verb(name), verb(target)) for name, targets in self.arrows().items() for target in targets}
        return sorted(f"{a} -> {b}" for a, b in pairs if a and b and a != b)

    def loader(self) -> str:
        """Returns the module that `segtrain.load` imports, as `segtrain/__init__.py` names it."""
        calls = [node for node in ast.walk(self.modules["segtrain"].tree) if isinstance(node, ast.Call)]
        said = [a.value for call in calls for a in call.args if isinstance(a, ast.Constant)]
        return next(name for name in said if name in self.modules)

    def trainer(self) -> str:
        """Returns the module of the verb train."""
        return next(name for name in ("segtrain.app.train.train", "segtrain.app.train") if name in self.modules)


def components(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Returns the strongly connected components of more than one node, the largest first.

    Source: Tarjan, Depth-first search and linear graph algorithms, 1972.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(arrows.get(node, ())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            found.extend([sorted(group)] if len(group) > 1 else [])

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return sorted(found, key=lambda group: (-len(group), group))


def lengths(house: House) -> tuple[list[int], list[tuple[int, str]]]:
    """Returns the lengths of files, and of functions without their docstrings, with their places."""
    functions = []
    for module in house.ours:
        for node in module.functions():
            doc = node.body[0] if ast.get_docstring(node) else None
            said = (doc.end_lineno or 0) - doc.lineno + 1 if doc else 0
            functions.append(
                ((node.end_lineno or 0) - node.lineno + 1 - said, f"{module.name}:{node.lineno} {node.name}")
            )
    return sorted(m.lines for m in house.files), sorted(functions, reverse=True)


def spread(values: list[int]) -> str:
    ordered = sorted(values)
    p90 = ordered[int(0.9 * (len(ordered) - 1))]
    return f"median {statistics.median(ordered):.0f}, 90th percentile {p90}, longest {ordered[-1]} lines"


def figures(house: House, names: bool) -> None:
    """Prints a line a figure, and with `names` what is behind it."""

    def say(what: str, behind: Iterable[str] = ()) -> None:
        print(what)
        for line in behind if names else ():
            print(f"    {line}")

    files, functions = lengths(house)
    say(f"modules: {len(files)}; lines {sum(files)}, of a file {spread(files)}")
    say(
        f"files over {LONG_FILE} lines: {sum(n > LONG_FILE for n in files)}",
        [f"{m.lines} {m.name}" for m in house.files if m.lines > LONG_FILE],
    )
    say(f"functions: {len(functions)}; {spread([n for n, _ in functions])}, without docstrings")
    long = [f"{n} {where}" for n, where in functions if n > LONG_FUNCTION]
    say(f"functions over {LONG_FUNCTION} lines: {len(long)}", long)
    small = house.small_with_one_importer()
    say(f"modules of at most {SHORT_FILE} lines with one importer: {len(small)}", small)
    taken = house.config_parameters()
    below = [one for one in taken if one.startswith(tuple(f"{door}." for door in DOORS))]
    parts = [one for one in taken if one.startswith("segtrain.parts.")]
    say(
        f"parameters of type DictConfig: {len(taken)}; in parts {len(parts)}, "
        f"in {', '.join(door.rpartition('.')[2] for door in DOORS)} {len(below)}",
        taken,
    )
    double = house.names_with_two_homes()
    say(f"public names with more than one home: {len(double)}", [f"{n}: {', '.join(w)}" for n, w in double.items()])
    fragments = [line for module in house.ours for line in module.fragments()]
    said = sum(len(module.first_lines()) for module in house.ours)
    by_opener = sum(bool(OPENERS.match(line.partition(" ")[2])) for line in fragments)
    say(
        f"docstrings whose first line is a fragment: {len(fragments)} of {said}; {by_opener} by their first word "
        "(What, Of, Where, …), the others are without a verb, or none in the third person",
        fragments,
    )
    for what, start in (("segtrain.load", house.loader()), ("train", house.trainer())):
        reached = house.reached(start)
        heavy = {p: sorted(n for n in reached if p in house.modules[n].top_imports()) for p in HEAVY}
        say(
            f"files that {what} ({start}) reaches: {len(reached)}; of them import at the top "
            + ", ".join(f"{package} {len(which)}" for package, which in heavy.items()),
            [*sorted(reached), *(f"{package} at the top: {', '.join(which)}" for package, which in heavy.items())],
        )
    circles, checked = house.circles(), house.circles(type_checking=True)
    say(f"circles among modules: {len(circles)}", [" ".join(group) for group in circles])
    say(f"  with imports for type checkers: {len(checked)}", [" ".join(group) for group in checked])
    folders = components(house.folder_arrows())
    say(f"circles among folders: {len(folders)}", [" ".join(group) for group in folders])
    verbs = house.verb_arrows()
    say(
        "arrows between verbs: segtrain/app has no folders" if verbs is None else f"arrows between verbs: {len(verbs)}",
        verbs or (),
    )


def print_import_time(house: House) -> None:
    """Prints the median of five imports of what `segtrain.load` imports, each in a process of its own."""
    code = f"import sys, time; began = time.perf_counter(), time.process_time(); import {house.loader()}; "
    code += "print(time.perf_counter() - began[0], time.process_time() - began[1], *sys.modules)"
    seconds, computing, modules = [], [], list[str]()
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(house.tree)},
            cwd=house.tree,
            check=True,
            capture_output=True,
            text=True,
        )
        passed, worked, *modules = done.stdout.split()
        seconds.append(float(passed))
        computing.append(float(worked))
    ours = [m for m in modules if m.partition(".")[0] == "segtrain"]
    at_work = sorted(p for p in HEAVY if p in modules)
    print(
        f"import {house.loader()}: {statistics.median(seconds):.2f} s (median of 5), "
        f"{statistics.median(computing):.2f} s of a processor, which a busy machine changes less; "
        f"{len(ours)} modules of ours, {len(modules)} in all; {', '.join(at_work)} among them"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, default=Path(__file__).parents[1], help="folder with segtrain/ in it")
    parser.add_argument("--names", action="store_true", help="what is behind each figure")
    parser.add_argument("--time", action="store_true", help="measure the import of what segtrain.load imports too")
    arguments = parser.parse_args()
    house = House(arguments.tree.resolve())
    figures(house, arguments.names)
    if arguments.time:
        print_import_time(house)


if __name__ == "__main__":
    main()
