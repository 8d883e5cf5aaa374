"""Decides what a `_target_` may name: a config may come from a stranger, or a run's folder, and is no program.

A name is decided on before anything is imported: its last part must be that of a class which `segtrain.config.allowed`
lists for its place, and its first part that class's package. Then the module of the list is imported, never another
one, and a name that differs from the list's must be, in a module that is loaded already, the very same object. Packages
of the user's own are added by trust=[mypackage], on the command line only; what is named so must lie in them.
"""

import functools
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from segtrain.config.allowed import ROLES, SPLIT, Role
from segtrain.errors import UserError
from segtrain.nearest_name import did_you_mean, nearest_name

__all__ = [
    "ROLES",
    "below",
    "find_allowed",
    "is_trusted",
    "require_allowed",
    "role_of",
    "targets",
    "trust",
    "trusted_packages",
    "typed_trust",
]
SHOWN = 12  # names that a message lists; of more it says from which packages they are
OWN = "segtrain"
PACKAGE = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_trusted: set[str] = set()
# timm's arguments that read a file or ask a hub, which smp hands on to it, and any that is called alike.
READING = r"(^|_)(cache|checkpoint|dir|file|hub|path|pretrained|ur[il]|weights)(_|$)"
WORD = r"[\w.+-]*"  # what a network is told in: tu-resnet18.a1_in1k, batchnorm, nearest; no path, no address
FOLDER = r"[\w.=,+@ -]+(/[\w.=,+@ -]+)*"  # below another one
# What each logger may be told; the rest would write elsewhere, send files, or be handed on to a service unread.
OF_LOGGERS = {
    "TensorBoardLogger": (
        *("name", "version", "sub_dir", "filename_suffix"),
        *("log_graph", "default_hp_metric", "prefix", "comment", "max_queue", "flush_secs"),
    ),
    "MLFlowLogger": (
        *("experiment_name", "tracking_uri", "artifact_location", "save_dir"),
        *("tags", "log_model", "prefix", "synchronous"),
    ),
    "WandbLogger": (
        *("project", "entity", "group", "job_type", "tags", "notes", "offline", "mode", "version"),
        *("anonymous", "log_model", "prefix", "checkpoint_name", "add_file_policy"),
    ),
}
OF_TRAINER: dict[str, tuple[Any, str]] = {
    "model_registry": ("", "null: nothing of a run is sent anywhere"),
}
FOLDERS = ("name", "version", "sub_dir", "filename_suffix")  # of TensorBoard's, below the run's own
HANDED = (
    "save_dir",
    "purge_step",
    "run_name",
    "run_id",
    "name",
    "id",
    "resume",
)  # segtrain's own word is taken instead


def trust(packages: Sequence[str]) -> None:
    """Counts these packages, of the user's own, as at home in every role from now on.

    Raises:
        UserError: one is not the name of a package, or is segtrain's, whose choices are all listed.
    """
    for package in packages:
        if package.partition(".")[0] == OWN:
            raise UserError(
                f"trust names {package!r}; expected a package of your own: segtrain's choices need no trust, and what "
                "else a config names of it is no choice, but would run; leave it out"
            )
        if not re.fullmatch(PACKAGE, package):
            raise UserError(
                f"trust names {package!r}; expected the dotted name of a package or module, such as trust=[mypackage]"
            )
    _trusted.clear()
    _trusted.update(packages)


def trusted_packages() -> tuple[str, ...]:
    """Returns the packages that count as at home in every role now."""
    return tuple(sorted(_trusted))


def typed_trust(packages: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Returns the packages of trust=[…], each of which was typed; from a file it would be the stranger's own word.

    Args:
        packages: of the composed config.
        arguments: the command line itself: what Hydra calls overrides, a file or a sweep of a file may add to.

    Raises:
        UserError: one stands in a config file.
    """
    typed = [text.lstrip("+").partition("=") for text in arguments]
    named = {one.strip(" \"'[]") for key, _, value in typed if key == "trust" for one in value.split(",")}
    if not named >= set(packages):
        raise UserError("trust stands in a config file; expected it on the command line only; leave it out there")
    return list(packages)


def is_trusted(target: object) -> bool:
    """Returns whether a name lies in a package that the user trusts."""
    return isinstance(target, str) and _within(target, _trusted)


def role_of(where: str) -> str:
    """Returns the role of a node by what it is called in messages: aug of "aug/flips.yaml"."""
    return "split" if " with split=" in where else where.partition("/")[0]


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each `_target_` of a node of plain containers, the outermost first, behind the key of what it stands in.

    Those in lists, in `_args_` and below any other key count too; the outermost node has the key "".
    """
    if isinstance(node, dict):
        if "_target_" in node:
            yield key, node["_target_"]
        for name, item in node.items():
            yield from targets(item, below(key, name))
    elif isinstance(node, list | tuple):
        for i, item in enumerate(node):
            yield from targets(item, f"{key}[{i}]")


def below(key: str, name: object) -> str:
    """Returns the key of what stands below another one, never "", which is the outermost's."""
    return f"{key}.{name}" if key else str(name) or "''"


def require_allowed(node: Any, where: str, is_resolved: bool = True) -> None:
    """Raises UserError unless every name in a node may stand where it does, and its arguments reach nothing outside.

    Nothing is imported.

    Args:
        node: plain containers.
        where: what it is called in messages, such as "aug/flips.yaml"; its beginning is its role.
        is_resolved: whether its values are what they will be; else the names alone are asked.
    """
    for key, target in targets(node):
        _listed(target, where, key)
    if is_resolved and not (isinstance(node, dict) and is_trusted(node.get("_target_"))):
        require_arguments_inside(node, role_of(where), where)


def find_allowed(target: str, where: str, key: str = "") -> Any:
    """Returns the class or function of a name, which is imported when it may be.

    Args:
        target: the name.
        where: what its node is called in messages, as in `require_allowed`.
        key: of what it stands in, below that node; "" for the node itself.

    Raises:
        UserError: it may not stand there, or is another object than the listed one of that name.
        ImportError, AttributeError: it is not installed, or not in the installed version.
    """
    name = _listed(target, where, key)
    if name is None:
        found = _trusted_object(target)
        home = str(getattr(found, "__module__", ""))
        if not _within(home, _trusted) and not _is_listed_object(found, where, key):
            raise _refusal(target, where, key, f", which is {home}.{getattr(found, '__qualname__', found)}")
        return found
    found = _imported(name)
    if target != name and _loaded(target) is not found:
        raise _refusal(target, where, key, f", which is not the class that is listed as {name}")
    return found


def _listed(target: Any, where: str, key: str) -> str | None:
    """Returns the name under which the list has what a name may be; None for one in a package that the user trusts."""
    names = _by_ends(*_role(where, key))
    known = names.get(_ends(target)) if isinstance(target, str) else None
    if known is None and not is_trusted(target):
        raise _refusal(target, where, key)
    return None if is_trusted(target) else known


def _role(where: str, key: str) -> tuple[str, bool]:
    """Returns the role of a node, and whether it stands below the one that the role is of."""
    return role_of(where), key != ""


@functools.cache
def _by_ends(role: str, is_below: bool) -> dict[tuple[str, str], str]:
    """Returns first and last part of each listed name to the name."""
    of: Role = SPLIT if role == "split" else ROLES[role]
    return {_ends(name): name for name in (of.below if is_below else of.itself)}


def _ends(name: str) -> tuple[str, str]:
    return name.partition(".")[0], name.rpartition(".")[2]


def _imported(name: str) -> Any:
    """Returns the object of a listed name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _loaded(name: str) -> Any:
    """Returns what a module that is loaded has under this name, or None; nothing is imported, also not by it."""
    module, _, attribute = name.rpartition(".")
    return getattr(sys.modules.get(module), "__dict__", {}).get(attribute)


def _is_listed_object(found: Any, where: str, key: str) -> bool:
    """Returns whether a trusted package hands on, under whatever name, a class that is listed for the place."""
    home = str(getattr(found, "__module__", "")).partition(".")[0]
    name = _by_ends(*_role(where, key)).get((home, str(getattr(found, "__name__", ""))))
    return name is not None and _imported(name) is found


def _trusted_object(target: str) -> Any:
    """Returns the object of a name in a trusted package; no module outside of it is imported, or asked."""
    parts = target.split(".")
    found: Any = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        if isinstance(found, ModuleType) and not _may_lead(found.__name__):
            raise ImportError(f"{found.__name__} lies in no package that is trusted")
        try:
            found = getattr(found, part)
        except AttributeError:
            if not isinstance(found, ModuleType):
                raise
            found = importlib.import_module(".".join(parts[:i]))
    return found


def _may_lead(module: str) -> bool:
    """Returns whether a module is trusted, or above one that is."""
    return _within(module, _trusted) or any(package.startswith(f"{module}.") for package in _trusted)


def _within(name: str, packages: Sequence[str] | set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _refusal(target: Any, where: str, key: str, which: str = "") -> UserError:
    names = list(_by_ends(*_role(where, key)).values())
    told = f"{key + '.' if key else ''}_target_ is {str(target)!r}{which}"
    package = str(target).partition(".")[0]
    may_be_theirs = package != OWN and re.fullmatch(PACKAGE, package)
    way = f"if it is yours, say so: trust=[{package}]" if may_be_theirs else "correct it, or leave it out"
    lasts = {name.rpartition(".")[2]: name for name in names}
    near = lasts.get(nearest_name(str(target).rpartition(".")[2], lasts, 0.8), "")
    return UserError(
        f"{where}: {told}; expected {_listing(names)}; {did_you_mean(near)}a config may come "
        f"from anyone, so nothing else is called, or even imported; {way}"
    )


def _listing(names: Sequence[str]) -> str:
    if not names:
        return "plain values alone: nothing is built there"
    packages = dict.fromkeys(name.rpartition(".")[0] for name in names)
    if len(names) <= SHOWN and len(packages) == 1:
        return f"of {next(iter(packages))} one of {', '.join(name.rpartition('.')[2] for name in names)}"
    return f"a class of {', '.join(packages)} that segtrain/config/allowed.py lists"


def require_arguments_inside(node: Any, role: str, where: str) -> None:
    """Raises UserError unless a node's arguments stay inside.

    Args:
        node: plain containers, of names that may stand there.
        role: dataset, aug, …
        where: what it is called in messages.
    """
    if not isinstance(node, dict):
        return
    if role == "model":
        _require_words(node, where)
    elif role == "trainer":
        for key, (value, why) in OF_TRAINER.items():
            if node.get(key) not in (None, value):
                raise _outside(where, key, node[key], why, node)
    elif role == "logger":
        _require_told(node, where)


def _require_words(node: dict[str, Any], where: str) -> None:
    for key, name, value in _values(node):
        reads = re.search(READING, name) is not None and name != "encoder_weights"
        if isinstance(value, str) and value != "???" and not re.fullmatch(WORD, value):
            expected = "a plain name, such as resnet18 or tu-resnet18, and no path, file or address of a hub"
            raise _outside(where, key, value, expected, node)
        if reads and (isinstance(value, str | dict | list) or name == "pretrained") and value:
            expected = "none: init_from=FILE begins with the weights of a file, which are read as data"
            raise _outside(where, key, value, expected, node)


def _values(node: Any, key: str = "", name: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yields every value below a node with its dotted key and the last name in it, but no names of classes."""
    places: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for place, value in places:
        below = f"{key}.{place}" if key else str(place)
        last = str(place) if isinstance(node, dict) else name
        if last != "_target_":
            yield below, last, value
            yield from _values(value, below, last)


def _require_told(node: dict[str, Any], where: str) -> None:
    kind = str(node.get("_target_")).rpartition(".")[2]
    known = OF_LOGGERS.get(kind, ())
    for key, value in node.items():
        name = str(key)
        if name.startswith("_") or (name in HANDED and name not in known):
            continue
        if name not in known and value is not None:
            raise _outside(where, name, value, f"some of {', '.join(known)}", node)
        is_name = isinstance(value, int) or value in (None, "") or (isinstance(value, str) and _is_folder(value))
        if kind == "TensorBoardLogger" and name in FOLDERS and not is_name:
            raise _outside(where, name, value, "the name of a folder below the run's", node)


def _is_folder(name: str) -> bool:
    return re.fullmatch(FOLDER, name) is not None and not {"..", "."} & {*name.split("/")}


def _outside(where: str, key: str, value: Any, expected: str, node: dict[str, Any]) -> UserError:
    package, role = str(node.get("_target_")).partition(".")[0], where.partition("/")[0]
    return UserError(
        f"{where}: {role}.{key} is {value!r}; expected {expected}; a config may come from anyone, so nothing that it "
        f"builds reaches outside; if you mean it, say so: trust=[{package}]"
    )
