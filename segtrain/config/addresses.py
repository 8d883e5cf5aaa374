"""Refuses arguments of classes that may be built which would reach outside: to a file, a folder, a hub, a server.

A config may come from a stranger. What it says of data is read where it says; a network, a trainer and a logger are
told what they are, and nothing of where. That of mlflow's database is asked where its run is known
(`segtrain.app.train.logbook`).
"""

import re
from collections.abc import Iterator
from typing import Any

from segtrain.errors import UserError

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
    "num_nodes": (1, "1: a run trains on one device, and waits for no other machine"),
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


def require_inside(node: Any, role: str, where: str) -> None:
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
