"""Says what values a config may have, which is checked once, where it comes in and nothing is built yet.

Each has a kind and a range, whose upper end is where a larger value could only take all memory or never end.
"""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf

from segtrain.errors import UserError


class Rule(NamedTuple):
    """Says what a value must be, in words and as a test."""

    expected: str
    holds: Callable[[Any], bool]


LARGE = 2**31 - 1  # of a number that costs nothing
SEED = 2**32 - 1
MOST_SIDE, MOST_AREA = 1 << 16, 1 << 28  # pixels of a crop or window: 16384 x 16384 of float32 take a GB a channel
MOST_PROCESSES = 512  # loaders, readers
MOST_DEVICES, MOST_MACHINES = 64, 1024
MOST_STRENGTH = 100  # of an augmentation, in multiples of what its file says
PRECISIONS = ("auto", "32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16", "64-true", "64")  # that training takes
MOST_LIST = 100  # of a list that is gone through


def _is_whole(value: Any, least: int, most: int = LARGE) -> bool:
    return type(value) is int and least <= value <= most


def whole(least: int, most: int, *others: Any, reason: str = "") -> Rule:
    """Returns the rule of a whole number from `least` to `most`, or one of the other values; what a larger one does."""
    told = f"a whole number from {least} to {most}{reason}"
    return Rule(
        " or ".join([told, *map(_word, others)]),
        lambda value: _is_one_of(value, others) or _is_whole(value, least, most),
    )


def number(told: str, least: float, most: float, *others: Any, above: bool = False, below: bool = False) -> Rule:
    """Returns the rule of a number from `least` to `most`, or one of the other values.

    Args:
        told: what it is, in words.
        least: the smallest; with `above` none is that small.
        most: the largest; with `below` none is that large.
        others: further values, such as None.
        above: see `least`.
        below: see `most`.
    """

    def is_within(value: Any) -> bool:
        if not _is_number(value) or not least <= value <= most:
            return False
        return not (above and value == least) and not (below and value == most)

    return Rule(" or ".join([told, *map(_word, others)]), lambda v: _is_one_of(v, others) or is_within(v))


def one_of(*values: Any) -> Rule:
    """Returns the rule of one of some words."""
    *first, last = map(_word, values)
    return Rule(f"{', '.join(first)} or {last}", lambda value: _is_one_of(value, values))


def _word(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _is_one_of(value: Any, others: tuple[Any, ...]) -> bool:
    """Returns whether a value is one of them, kind and all: 1 is not true."""
    return any(value == other and type(value) is type(other) for other in others)


def is_size(value: Any, least: int) -> bool:
    """Returns whether it is a side in pixels from `least`, or [height, width], that memory can hold."""
    sides = list(value) if isinstance(value, list | ListConfig) else [value, value]
    fits = len(sides) == 2 and all(_is_whole(side, least, MOST_SIDE) for side in sides)
    return fits and sides[0] * sides[1] <= MOST_AREA


def _size(least: int) -> Rule:
    told = f"null, a side in pixels from {least} to {MOST_AREA**0.5:.0f}, or [height, width]"
    return Rule(told, lambda value: value is None or is_size(value, least))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")


def _are(value: Any, holds: Callable[[Any], bool], least: int = 1) -> bool:
    """Returns whether it is a list of such values."""
    return isinstance(value, list | ListConfig) and least <= len(value) <= MOST_LIST and all(map(holds, value))


def _is_strength(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= MOST_STRENGTH


def _is_interval(value: Any) -> bool:
    minutes = re.fullmatch(r"(\d{1,9}(\.\d{1,9})?)min", value) if isinstance(value, str) else None
    return value is None or _is_whole(value, 1) or (minutes is not None and float(minutes[1]) > 0)


def _are_devices(value: Any) -> bool:
    if isinstance(value, list | ListConfig):
        return _are(value, lambda one: _is_whole(one, 0, MOST_DEVICES)) and len(set(value)) == len(value)
    return value in ("auto", "1") or _is_whole(value, 1, MOST_DEVICES)


def _are_weights(value: Any) -> bool:
    if not isinstance(value, list | ListConfig):
        return isinstance(value, bool)
    return len(value) > 1 and _are(value, lambda n: _is_number(n) and 0 <= n <= LARGE) and value[0] > 0


def _is_text(value: Any) -> bool:
    """Returns whether it is text of a line, as long as a path can be."""
    return isinstance(value, str) and 0 < len(value) <= MOST_TEXT and value.isprintable()


def _are_names(value: Any) -> bool:
    return _are(value, _is_text, 0)


def _is_named(value: Any) -> bool:
    return _is_text(value) or _are_names(value)


def _are_typed(value: Any) -> bool:
    return isinstance(value, list | ListConfig) and all(isinstance(one, str) for one in value)


def _is_limit(value: Any) -> bool:
    return value is None or _is_whole(value, 1) or (type(value) is float and 0 < value <= 1)


def _is_path(value: Any) -> bool:
    """Returns whether it is a path or an id; one of digits alone comes as a number."""
    return _is_text(value) or (type(value) is int and 0 <= value <= MOST_ID)


def _are_paths(value: Any) -> bool:
    of_list = isinstance(value, list | ListConfig) and all(map(_is_path, value))
    return _is_path(value) or of_list


def _is_name(value: Any) -> bool:
    """Returns whether it is a folder below outputs, or some in each other, on every file system."""
    text = str(value)
    if not (isinstance(value, str) or (type(value) is int and abs(value) <= MOST_ID)) or not text.isprintable():
        return False
    parts = text.split("/")
    return (
        len(os.fsencode(text)) <= MOST_NAME
        and all(0 < len(os.fsencode(one)) <= MOST_PART for one in parts)
        and (not any(one.strip(". ") == "" for one in parts) and "\\" not in text)
    )


MOST_ID = 10**18  # a name of digits alone
MOST_SHOWN = 300  # characters of a value in a message
MOST_TEXT, MOST_NAME, MOST_PART = 4096, 1000, 255  # bytes that systems allow a path, and a folder's name
FLAG = one_of(True, False)
TEXT = Rule("text of one line", _is_text)
UNITS = {"d": 86400, "h": 3600, "min": 60, "s": 1}  # of a length of time, in seconds
_TIMED = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(d|h|min|s)")


def seconds_of(text: str) -> float:
    """Returns the seconds of a length of time such as 45min, 2h, 1h30min or 3d; NaN of another text."""
    found = _TIMED.findall(text)
    whole_text = "".join(amount + unit for amount, unit in found) == text
    return sum(float(amount) * UNITS[unit] for amount, unit in found) if found and whole_text else math.nan


def _is_time(value: Any) -> bool:
    return value is None or (isinstance(value, str) and seconds_of(value) > 0)


def _are_lengths(value: Any) -> bool:
    several = isinstance(value, list) and 0 < len(value) <= 8
    return value == "auto" or (several and all(_is_number(one) and 1 <= one <= 1000 for one in value))


TIME = Rule("a time such as 45min, 2h, 1h30min or 3d", _is_time)
LENGTHS = Rule("auto, or multiples of trainer.max_epochs from 1, such as [1,2,4]", _are_lengths)
ABLATED = ("without", "only")
LIMIT = Rule("null, a number of batches from 1, or a share above 0 up to 1.0", _is_limit)
STRENGTHS = Rule(
    f"a list of numbers ≥ 0, up to {MOST_STRENGTH} (0 none, 1 as published), such as [0,0.5,1,2]",
    lambda value: _are(value, _is_strength),
)
PROCESSES = f" (each is a process; more than {MOST_PROCESSES} only take memory)"
RULES = {
    "name": Rule("a folder's name below outputs, of one line, without . and ..", _is_name),
    "outputs": Rule("a folder, as text of one line", _is_text),
    "debug": FLAG,
    "seed": whole(0, SEED),
    "deterministic": one_of(True, False, "warn"),
    "compile": FLAG,
    "threads": whole(1, 1024),
    "early_stopping": whole(1, LARGE, None),
    "ema": number("a decay between 0 and 1, such as 0.99", 0, 1, None, above=True, below=True),
    "init_from": Rule("null, a run or a file of weights", lambda v: v is None or _is_text(v)),
    "freeze_encoder": whole(0, LARGE),
    "encoder_lr": number("a factor above 0 (freeze_encoder holds it still)", 0, LARGE, above=True),
    "deep_supervision": Rule(
        "true, false, or weights ≥ 0 of the network's own output and then of one stage or more, such as [1,0.5]",
        _are_weights,
    ),
    "checkpoint.every": Rule("null, a whole number of steps from 1, or minutes such as 15min", _is_interval),
    "data.sampling": one_of("uniform", "classes", "weights"),
    "data.on_bad": one_of("raise", "skip"),
    "data.cache": one_of(None, "ram", "disk"),
    "checkpoint.keep": one_of("all", "best"),
    "resume": Rule("null, a run folder, or its name", lambda v: v is None or _is_text(v)),
    "resume_allow": Rule("a list of keys, such as [optimizer.lr]", _are_names),
    "resume_with": Rule("a list of what was typed beside resume", _are_typed),
    "with": Rule("a list of what was typed of the data", _are_typed),
    "trainer.precision": Rule(
        "auto, 32-true, bf16-mixed, 16-mixed or 64-true: images are normalised in 32 bits at least",
        lambda value: str(value) in PRECISIONS,
    ),
    "trainer.devices": Rule(
        f"how many devices of a machine train, from 1 to {MOST_DEVICES}, auto for all GPUs, or a list of GPUs, [0,2]",
        _are_devices,
    ),
    "trainer.num_nodes": whole(1, MOST_MACHINES),
    "trainer.strategy": one_of("auto", "ddp", "fsdp"),
    "trainer.sync_batchnorm": FLAG,
    "data.batch_size": whole(1, 1 << 16, "auto", reason=" (more than memory holds)"),
    "data.crop": _size(1),
    "data.padding": one_of("crop", "stride"),
    "data.crop_class": number("a chance in 0..1", 0, 1),
    "data.steps_per_epoch": whole(1, 10**7, None),
    "data.num_workers": whole(0, MOST_PROCESSES, "auto", reason=PROCESSES),
    "trainer.max_epochs": whole(1, 10**7),
    "trainer.accumulate_grad_batches": whole(1, LARGE),
    "trainer.check_val_every_n_epoch": whole(1, LARGE, None),
    "trainer.gradient_clip_val": number("a norm from 0", 0, float("inf"), None),
    "optimizer.lr": number("a step size from 0", 0, float("inf")),
    "aug.strength": number(f"one number ≥ 0, up to {MOST_STRENGTH} (0 none, 1 as published)", 0, MOST_STRENGTH),
    "aug.schedule": Rule("constant, linear_up, linear_down or off_last_N_epochs", _is_text),
    **{f"aug.{key}": Rule("an op's name or a list of them, such as [rotate,noise]", _is_named) for key in ABLATED},
    "dataset.split.allow_leak": FLAG,
    "trust": Rule("a list of packages, such as [mypackage]", _are_names),
    **{f"trainer.limit_{part}_batches": LIMIT for part in ("train", "val", "test")},
    "trainer.val_check_interval": LIMIT,
    "trainer.gradient_clip_algorithm": one_of("norm", "value", None),
    **{f"trainer.{key}": whole(0, LARGE, None) for key in ("min_epochs", "min_steps")},
    "trainer.reload_dataloaders_every_n_epochs": whole(0, LARGE),
    "parts": Rule(
        "[data, augmentation] or one of them, such as [data]",
        lambda value: _are(value, lambda one: one in ("data", "augmentation")),
    ),
    "samples": whole(1, LARGE),
    "sample": Rule("null or the id of a sample", lambda v: v is None or _is_path(v)),
    "replay": Rule("null, a run folder, or its name", lambda v: v is None or _is_text(v)),
    "run": Rule("null, a run folder, its name, or a list of them", lambda v: v is None or _are_paths(v)),
    "input": Rule("a file, a folder, or a list of them", _are_paths),
    "seconds": number("a number above 0, up to 1000000", 0, 1e6, above=True),
    "draws": whole(1, 10**5),
    "workers": whole(1, MOST_PROCESSES, reason=PROCESSES),
    "epoch": whole(1, 10**7),
    "view": whole(0, LARGE),
    "to": Rule("a folder to write, as text of one line", _is_text),
    "compress": FLAG,
    "part": one_of("train", "val", "test", "all"),
    "ensemble": one_of(True, False, "unseen"),
    "window": _size(1),
    "overlap": number("a share from 0 to 0.95 (more takes the same pixels over and over)", 0, 0.95),
    "views": Rule("a list of names, such as [flips,scales]", _are_names),
    "allow_other_pixels": FLAG,
    "surface": FLAG,
    "tolerance": number("a distance from 0", 0, LARGE),
    "spacing": Rule(
        "null or mm a pixel, [vertical, horizontal]",
        lambda value: value is None or (_are(value, lambda n: _is_number(n) and 0 < n <= LARGE, 2) and len(value) == 2),
    ),
    "bootstrap": whole(0, 10**6, reason=" (more take memory, and change no digit that is shown)"),
    "bins": whole(2, 10**4),
    "shift": Rule("a list of policies, such as [photometric,noise]", _are_names),
    "shift_strength": STRENGTHS,
    "strengths": STRENGTHS,
    "device": one_of("auto", "cpu", "gpu"),
    "devices": whole(1, MOST_DEVICES, "auto"),
    "format": one_of("onnx", "torch_export", "safetensors"),
    "output": Rule("null, or a path as text of one line", lambda v: v is None or _is_text(v)),
    "card": FLAG,
    "model_file": Rule("null, or an exported file", lambda v: v is None or _is_text(v)),
    "overlay": FLAG,
    "probabilities": one_of(None, "tiff", "npz"),
    "whole": whole(1, MOST_SIDE),
    "window_batch": whole(1, 4096),
    "axis": whole(0, 2, None),
    "pages": one_of(None, "samples", "channels"),
    "host": TEXT,
    "port": Rule("a whole number from 0, any free one, to 65535", lambda value: _is_whole(value, 0, 65535)),
    "shifts": Rule("a list of policies, such as [photometric,noise]", _are_names),
    "max_mb": number("a number above 0, up to 1000000 MB", 0, 10**6, above=True),
    "max_uploads_mb": number("a number above 0, up to 1000000 MB", 0, 10**6, above=True),
    "max_pixels": whole(1, 10**12),
    "max_gb": number("a number above 0, up to 1000000 GB", 0, 10**6, above=True),
    "max_seconds": number("a number above 0, up to 1000000 seconds", 0, 10**6, above=True),
    "password": Rule("null or text of one line", lambda v: v is None or _is_path(v)),
}


# Keys that mean something else in a verb.
OF_VERB = {
    "serve": {"views": one_of("none", "flips", "turns", "scales"), "shift": TEXT},
    "predict": {"threads": whole(1, 1024, None), "window": _size(32)},
}


def wrong_values(config: Mapping[str, Any], verb: str = "") -> Iterator[tuple[str, str]]:
    """Yields each key whose value is not what its rule asks for, with the message; a value that is missing is none.

    Args:
        config: of a verb, or of a run.
        verb: whose config it is.
    """
    tree = config if isinstance(config, DictConfig) else DictConfig(config)
    for key, rule in {**RULES, **OF_VERB.get(verb, {})}.items():
        value = OmegaConf.select(tree, key, default=rule, throw_on_missing=False)
        parent, _, name = key.rpartition(".")
        is_missing = value is None and OmegaConf.is_missing(OmegaConf.select(tree, parent) if parent else tree, name)
        if value is not rule and not rule.holds(value) and not is_missing:
            yield key, f"{key} is {shown(value)}; expected {rule.expected}; give {key}=…"


def require_none(mistakes: Sequence[str]) -> None:
    """Raises UserError that tells all the mistakes, where there are any."""
    if len(mistakes) > 1:
        raise UserError("".join([f"the config has {len(mistakes)} mistakes:", *(f"\n  {one}" for one in mistakes)]))
    if mistakes:
        raise UserError(mistakes[0])


def require_value(key: str, value: Any) -> None:
    """Raises UserError unless a value of a key that has a rule is what it may be."""
    if not RULES[key].holds(value):
        raise UserError(f"{key} is {shown(value)}; expected {RULES[key].expected}; give {key}=…")


def shown(value: Any) -> str:
    """Returns a value for a message, in one line, of which very long ones are cut."""
    plain = OmegaConf.to_container(value, resolve=False) if isinstance(value, DictConfig | ListConfig) else value
    text = repr(plain)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text):,} characters)"


def is_like(key: str, value: Any, default: Any) -> bool:
    """Returns whether a value is of the kind of the default of its key, or what a rule of that key asks for.

    A default of null says no more than that it is no mapping, and a number that it is one.
    """
    if key in RULES and RULES[key].holds(value):
        return True
    if default is None:
        return not isinstance(value, DictConfig)
    if isinstance(default, bool):
        return type(value) is bool
    if isinstance(default, int | float):
        return _is_number(value)
    return isinstance(value, ListConfig) if isinstance(default, list) else isinstance(value, str)


def expected_of(default: Any) -> str:
    """Returns in words what `is_like` asks for."""
    if default is None:
        return "null, text or a number"
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int | float):
        return "a number"
    return "a list, [a,b]" if isinstance(default, list) else "text (a number as text in quotes)"
