"""Finds keys that the objects of a config do not take: each takes its signature's, less what segtrain hands to it."""

import functools
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segtrain.config.composition import conf_dir
from segtrain.config.kinds import is_of, kinds_of, same_kind, words
from segtrain.config.known_ranges import out_of_range
from segtrain.config.objects import parameters_of, target_of, unknown_keys
from segtrain.config.trust import ROLES, require_allowed, role_of
from segtrain.config.values import shown
from segtrain.nearest_name import did_you_mean, nearest_key

# Nodes that describe an object: the group of their file, and the keys that segtrain reads beside the object's own.
NODES = {
    **{role: (role, ()) for role in ROLES},
    "dataset": ("dataset", ("split",)),
    "dataset.split": ("split", ("allow_leak",)),
    "aug": ("aug", ("schedule", "without", "only")),
}
OURS = (
    *("callbacks", "plugins", "logger", "default_root_dir", "use_distributed_sampler", "enable_progress_bar"),
    *("enable_model_summary", "num_sanity_val_steps"),
)
# Arguments that segtrain hands to those objects, and what says them: said again they would be overruled in silence.
# model.classes and model.in_channels are held against the data where the network is built.
GIVEN = {
    "aug": {
        **{"crop": "data.crop", "crop_class": "data.crop_class", "ignore_index": "the data set"},
        "partners": "the training samples",
    },
    "loss": {"ignore_index": "the data set"},
    "optimizer": {"params": "the network"},
    "scheduler": {"optimizer": "optimizer", "steps": "trainer.max_epochs and data.steps_per_epoch"},
    "trainer": {**dict.fromkeys(OURS, "segtrain itself"), "deterministic": "the key deterministic"},
}
# Arguments that would contradict what says how long is trained, on what, what chooses, and what loss and scores take;
# each with its neutral values. Those of model and loss are of segmentation_models_pytorch.
LENGTH = "trainer.max_epochs and data.steps_per_epoch say how long is trained, and the schedule follows them"
LOGITS = "loss and scores take logits, which another function of them is not"
CONTRARY: dict[str, dict[str, tuple[tuple[Any, ...], str]]] = {
    "trainer": {
        "max_steps": ((-1,), LENGTH),
        "max_time": ((None,), LENGTH),
        "fast_dev_run": ((False,), "trainer=smoke tries a run out"),
        "overfit_batches": ((0,), "the split says which images validate; a split of few trains on few"),
        "limit_predict_batches": (
            (None,),
            "a training predicts nothing beside its test; see trainer.limit_test_batches",
        ),
        "log_every_n_steps": ((None, 50), "what is logged is logged once an epoch, whatever stands there"),
        "barebones": ((False,), "without scores nothing could choose the best epoch"),
    },
    "model": {
        "activation": ((None, "identity"), LOGITS),
        "aux_params": (
            (None,),
            "a network has one output, the logits of each pixel, and no second one of whole images",
        ),
    },
    "loss": {"from_logits": ((True,), LOGITS)},
}
OF_LOGGER = {
    "TensorBoardLogger": ("save_dir", "purge_step"),
    "MLFlowLogger": ("run_name", "run_id"),
    "WandbLogger": ("save_dir", "name", "id", "resume"),
}
# Keys that segmentation_models_pytorch takes among those for a timm encoder, whatever the encoder is.
OF_SMP = ("decoder_use_batchnorm", "psp_use_batchnorm", "upscale_mode")
# Packages that import torchvision, which `segtrain.compat` must make possible first.
NEED_OPERATORS = ("torchvision", "segmentation_models_pytorch", "timm", "lightning")


def mistakes_of(
    node: DictConfig, path: str, group: str, ours: Sequence[str], choices: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yields each key of an object's node that is not read, or is overruled, with a message that says so.

    Args:
        node: that of the object.
        path: its key; `group` the group of its file, `ours` the keys that are not the object's.
        choices: group to the name of its file.

    Raises:
        UserError: a target that is not allowed in its role, or cannot be imported.
    """
    where = f"{path.partition('.')[0]}/{choices.get(path.partition('.')[0], '…')}.yaml"
    where += f" with split={choices.get(group)}" if group == "split" else ""
    container, is_resolved = _plain(node)
    if "_target_" not in container:
        name = min(str(name) for name in container)
        yield (
            f"{path}.{name}",
            f"nothing reads the key '{path}.{name}': {where} has no _target_, so it takes no keys; choose another "
            f"{group}=…, or leave the key out",
        )
        return
    plain = {name: value for name, value in container.items() if name not in ours}
    require_allowed(plain, where, is_resolved)
    given = _given(path, container)
    for key in paths(container):
        name = key.rpartition(".")[2]
        if who := given.get(key) or (given.get(name) if (path, name) == ("aug", "ignore_index") else None):
            told = f"give {who}" if who.startswith("data.") else "leave it out"
            yield f"{path}.{key}", f"{path}.{key} is said by {who}, which would overrule what stands there; {told}"
    of_theirs = path == "trainer" or str(container["_target_"]).startswith("segmentation_models_pytorch.")
    for name, (neutral, why) in CONTRARY.get(path, {}).items() if of_theirs else ():
        if container.get(name, neutral[0]) not in neutral:
            yield f"{path}.{name}", f"{path}.{name} is {container[name]!r}, but {why}; leave it out"
    if not _is_shipped(plain, group, choices.get(group, "")):
        _prepare(plain, path)
        yield from _of_call(plain, path, where)
    if path == "model" and of_theirs:
        yield from _of_weights(plain)
    yield from out_of_range(plain, path)
    raw: Any = OmegaConf.to_container(node, resolve=False)
    yield from _of_kinds(plain, raw, shipped(group, choices.get(group, "")), path, where)


def _given(path: str, node: Mapping[str, Any]) -> dict[str, str]:
    if path != "logger":
        return GIVEN.get(path, {})
    names = OF_LOGGER.get(str(node["_target_"]).rpartition(".")[2], ("save_dir",))
    return dict.fromkeys(names, "the run's folder")


def _plain(node: Any) -> tuple[dict[str, Any], bool]:
    """Returns the node resolved, where it can be, and whether it is: what cannot is told when it is used."""
    is_resolved = True
    try:
        found: Any = OmegaConf.to_container(node, resolve=True)
    except OmegaConfBaseException:
        found, is_resolved = OmegaConf.to_container(node, resolve=False), False
    return {str(key): value for key, value in found.items()}, is_resolved


def _of_call(node: dict[str, Any], path: str, where: str) -> Iterator[tuple[str, str]]:
    """Yields keys that the targets of a node do not take; they are imported."""
    for key, message in unknown_keys(node, where, {}):
        yield f"{path}.{key}", message
    if str(node["_target_"]).startswith("segmentation_models_pytorch.") and path == "model":
        yield from _of_encoder(node, where)


def _prepare(node: dict[str, Any], path: str) -> None:
    """Makes importable what the packages of a node's targets look for when they are imported."""
    if path == "aug":
        importlib.import_module("segtrain.aug")  # before albumentations
    if any(target.startswith(NEED_OPERATORS) for _, target in _targets(node)):
        importlib.import_module("segtrain.compat").register_torchvision_operators()


def _of_kinds(node: Any, raw: Any, known: Any, key: str, where: str) -> Iterator[tuple[str, str]]:
    """Yields the arguments that are of another kind than their target takes.

    Args:
        node: plain and resolved; `raw` the same, unresolved.
        known: what stands at its place in the file of the choice in conf/: a value of that kind needs no look at the
            target, which then is not imported.
        key: the node's own; `where` its file.
    """
    places: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    kinds: dict[str, Any] | None = None
    if isinstance(node, dict) and isinstance(known, dict) and node.get("_target_") != known.get("_target_"):
        known = {}
    for name, value in places:
        before, there = _item(raw, name), _item(known, name)
        if isinstance(node, dict) and "_target_" in node and not str(name).startswith("_"):
            is_shipped = before == there and type(before) is type(there)
            if not is_shipped and not same_kind(value, there):
                kinds = _kinds(node, key, where) if kinds is None else kinds
                more = _named_values(f"{key}.{name}")
                if name in kinds and not is_of(value, kinds[name]) and value not in more:
                    expected = ", or ".join(filter(None, [words(kinds[name]), ", ".join(more)]))
                    yield f"{key}.{name}", wrong_kind(f"{key}.{name}", value, expected, where)
                    continue
        yield from _of_kinds(value, before, there, f"{key}.{name}", where)


def _named_values(key: str) -> Sequence[str]:
    """Returns names that segtrain puts a value in the place of before it builds the object."""
    if key in ("loss.class_weights", "loss.alpha"):
        return tuple(importlib.import_module("segtrain.data.statistics").WEIGHTS)
    return ("auto",) if key == "trainer.precision" else ()


def wrong_kind(key: str, value: Any, expected: str, where: str) -> str:
    """Returns the message for a value of another kind; `where` is the file whose comment says more of the key."""
    comment = _comment(where, key.rpartition(".")[2])
    told = f"; {where} says: {comment}" if comment else ""
    return f"{key} is {shown(value)}; expected {expected}{told}; give {key}=…"


@functools.cache
def _comment(where: str, name: str) -> str:
    """Returns the comment beside a key in a file of conf/, where there is one."""
    path = conf_dir() / re.sub(r".* with split=(.*)", r"split/\1.yaml", where)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = [line for line in lines if re.match(rf"\s*(- )?{re.escape(name)}:", line)]
    return found[0].partition(" # ")[2].strip() if found else ""


def _kinds(node: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    """Returns the annotations of a node's target, which is imported."""
    _prepare(dict(node), key.partition(".")[0])
    path = "dataset.split" if role_of(where) == "split" else role_of(where)
    return kinds_of(target_of(node["_target_"], where, key.removeprefix(path).removeprefix(".")))


def _item(node: Any, name: Any) -> Any:
    """Returns what stands at a place of a mapping or list; the ellipsis where there is no such place."""
    if isinstance(node, dict):
        return node.get(name, ...)
    return node[name] if isinstance(node, list) and isinstance(name, int) and name < len(node) else ...


def _of_encoder(node: dict[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """Yields keys that segmentation_models_pytorch drops without a word: it hands them to timm's encoders alone."""
    parameters = parameters_of(node["_target_"], where)
    encoder = str(node.get("encoder_name", getattr(parameters.get("encoder_name"), "default", "")))
    encoders = importlib.import_module("segmentation_models_pytorch.encoders")
    of_timm = encoder.startswith("tu-") or encoders.is_equivalent_to_timm_universal(encoder)
    for name, value in node.items():
        read = name in (*parameters, *OF_SMP) or name.startswith("_") or (of_timm and value is not None)
        if not read:
            yield (
                f"model.{name}",
                f"{where}: nothing reads the key '{name}': {node['_target_']} hands it to encoders of timm alone "
                f"(tu-…), and never null; encoder_name is {encoder}, the value {value!r}; "
                f"{did_you_mean(nearest_key(name, list(parameters)))}its arguments are {', '.join(parameters)}",
            )


def _of_weights(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields weights that there are none of for an encoder, before a download is tried; imagenet is not looked up."""
    value, encoder = node.get("encoder_weights"), node.get("encoder_name")
    if value in (None, "imagenet") or not isinstance(encoder, str):
        return
    _prepare(dict(node), "model")
    encoders = importlib.import_module("segmentation_models_pytorch.encoders")
    known, way = ["imagenet"], "of a timm encoder its name says which, as encoder_name=tu-NAME.TAG; "
    if not encoder.startswith("tu-"):
        if encoder not in encoders.encoders:
            return  # which is told where it is built
        known, way = list(encoders.encoders[encoder]["pretrained_settings"]), ""
    if value not in known:
        key = "model.encoder_weights"
        yield (
            key,
            f"{key} is {shown(value)}; expected null, for random weights, or {' or '.join(known)} of {encoder}; {way}"
            f"give {key}=…",
        )


def _is_shipped(node: Mapping[str, Any], group: str, choice: str) -> bool:
    """Returns whether every key of a node stands in the file of its choice in conf/, and need not be looked up."""
    return _shape(node) <= _shape(shipped(group, choice))


@functools.cache
def shipped(group: str, choice: str) -> dict[str, Any]:
    """Returns what the file of a choice in conf/ and those that it begins with say, unresolved; {} without one."""
    path = conf_dir() / group / f"{choice}.yaml"
    if not path.is_file():
        return {}
    node: Any = OmegaConf.to_container(OmegaConf.load(path))
    bases = [entry for entry in node.pop("defaults", []) if isinstance(entry, str) and entry != "_self_"]
    found: Any = OmegaConf.to_container(OmegaConf.merge({}, *(shipped(group, base) for base in bases), node))
    return {str(key): value for key, value in found.items()}


def _shape(node: object) -> set[str]:
    """Returns the keys of a node, each target with its name."""
    return {*paths(node), *(f"{path}={target}" for path, target in _targets(node))}


def _targets(node: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, item in items:
        if name == "_target_":
            yield f"{prefix}{name}", str(item)
        yield from _targets(item, f"{prefix}{name}.")


def paths(node: object, prefix: str = "") -> list[str]:
    """Returns the keys of mappings, also in lists, dotted."""
    if isinstance(node, list):
        return [path for i, item in enumerate(node) for path in paths(item, f"{prefix}{i}.")]
    if not isinstance(node, dict):
        return []
    return [p for name, item in node.items() for p in (f"{prefix}{name}", *paths(item, f"{prefix}{name}."))]
