"""What the values of the primary configs may be: checked once, where a config comes in and nothing is built yet."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf

from segtrain.errors import UserError


class Rule(NamedTuple):
    """What a value must be, in words and as a test."""

    expected: str
    holds: Callable[[Any], bool]


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _whole(least: int, *others: Any) -> Rule:
    """A whole number from `least`, or one of the other values."""
    words = [f"a whole number from {least}", *("null" if other is None else str(other).lower() for other in others)]
    return Rule(" or ".join(words), lambda value: value in others or _is_whole(value, least))


def _is_size(value: Any) -> bool:
    sides = list(value) if isinstance(value, list | ListConfig) else [value, value]
    return len(sides) == 2 and all(_is_whole(side, 1) for side in sides)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")


def _are_strengths(value: Any) -> bool:
    if not isinstance(value, list | ListConfig):
        return False
    return len(value) > 0 and all(_is_number(n) and n >= 0 for n in value)


def _is_interval(value: Any) -> bool:
    return value is None or _is_whole(value, 1) or bool(re.fullmatch(r"\d+(\.\d+)?min", str(value)))


def _is_one(value: Any) -> bool:
    return value in (1, "1") or (isinstance(value, list | ListConfig) and len(value) == 1)


def _are_weights(value: Any) -> bool:
    if not isinstance(value, list | ListConfig):
        return isinstance(value, bool)
    return len(value) > 1 and all(_is_number(n) and n >= 0 for n in value) and value[0] > 0


def _are_names(value: Any) -> bool:
    return isinstance(value, list | ListConfig) and all(isinstance(name, str) for name in value)


def _is_named(value: Any) -> bool:
    return isinstance(value, str) or _are_names(value)


def _is_spacing(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list | ListConfig) and len(value) == 2 and all(_is_number(n) and n > 0 for n in value)


def _are_parts(value: Any) -> bool:
    return isinstance(value, list | ListConfig) and bool(value) and set(value) <= {"data", "augmentation"}


def _is_limit(value: Any) -> bool:
    return value is None or _is_whole(value, 1) or (type(value) is float and 0 < value <= 1)


ABLATED = ("without", "only")
LIMIT = Rule("a number of batches from 1, or a share above 0 up to 1.0", _is_limit)
RULES = {
    "name": Rule("a folder's name", lambda value: isinstance(value, str | int) and not isinstance(value, bool)),
    "seed": Rule("a whole number from 0 to 4294967295", lambda value: _is_whole(value, 0) and value < 2**32),
    "deterministic": Rule("true, false or warn", lambda value: value in (True, False, "warn")),
    "threads": _whole(1),
    "early_stopping": _whole(1, None),
    "ema": Rule("null or a decay between 0 and 1, such as 0.99", lambda v: v is None or (_is_number(v) and 0 < v < 1)),
    "init_from": Rule("null, a run or a file of weights", lambda v: v is None or (isinstance(v, str) and v != "")),
    "freeze_encoder": _whole(0),
    "encoder_lr": Rule("a factor above 0 (freeze_encoder holds it still)", lambda v: _is_number(v) and v > 0),
    "deep_supervision": Rule(
        "true, false, or weights ≥ 0 of the network's own output and then of one stage or more, such as [1,0.5]",
        _are_weights,
    ),
    "checkpoint.every": Rule("null, a whole number of steps from 1, or minutes such as 15min", _is_interval),
    "data.sampling": Rule("uniform, classes or weights", lambda value: value in ("uniform", "classes", "weights")),
    "data.on_bad": Rule("raise or skip", lambda value: value in ("raise", "skip")),
    "data.cache": Rule("null, ram or disk", lambda value: value in (None, "ram", "disk")),
    "checkpoint.keep": Rule("all or best", lambda value: value in ("all", "best")),
    "resume_allow": Rule("a list of keys, such as [optimizer.lr]", lambda value: isinstance(value, list | ListConfig)),
    "trainer.devices": Rule("1: a run trains on one device; several runs share several", _is_one),
    "data.batch_size": _whole(1),
    "data.crop": Rule("null, a side in pixels from 1, or [height, width]", lambda v: v is None or _is_size(v)),
    "data.padding": Rule("crop or stride", lambda value: value in ("crop", "stride")),
    "data.crop_class": Rule("a chance in 0..1", lambda value: _is_number(value) and 0 <= value <= 1),
    "data.steps_per_epoch": _whole(1, None),
    "data.num_workers": _whole(0, "auto"),
    "trainer.max_epochs": _whole(1),
    "trainer.accumulate_grad_batches": _whole(1),
    "trainer.check_val_every_n_epoch": _whole(1, None),
    "trainer.gradient_clip_val": Rule("null or a norm from 0", lambda v: v is None or (_is_number(v) and v >= 0)),
    "optimizer.lr": Rule("a step size from 0", lambda v: _is_number(v) and v >= 0),
    "aug.strength": Rule("one number ≥ 0 (0 none, 1 as published)", lambda v: _is_number(v) and v >= 0),
    "aug.schedule": Rule("constant, linear_up, linear_down or off_last_N_epochs", lambda v: isinstance(v, str)),
    **{f"aug.{key}": Rule("an op's name or a list of them, such as [rotate,noise]", _is_named) for key in ABLATED},
    "dataset.split.allow_leak": Rule("true or false", lambda value: type(value) is bool),
    "trust": Rule("a list of packages, such as [mypackage]", _are_names),
    **{f"trainer.limit_{part}_batches": LIMIT for part in ("train", "val", "test")},
    "parts": Rule("[data, augmentation] or one of them, such as [data]", _are_parts),
    "samples": _whole(1),
    "seconds": Rule("a number above 0", lambda value: _is_number(value) and value > 0),
    "draws": _whole(1),
    "workers": _whole(1),
    "epoch": _whole(1),
    "view": _whole(0),
    "compress": Rule("true or false", lambda value: type(value) is bool),
    "part": Rule("train, val, test or all", lambda value: value in ("train", "val", "test", "all")),
    "ensemble": Rule("true, false or unseen", lambda value: type(value) is bool or value == "unseen"),
    "window": Rule("null, a side in pixels from 1, or [height, width]", lambda v: v is None or _is_size(v)),
    "overlap": Rule("a share from 0, below 1", lambda value: _is_number(value) and 0 <= value < 1),
    "views": Rule("a list of names, such as [flips,scales]", _are_names),
    "allow_other_pixels": Rule("true or false", lambda value: type(value) is bool),
    "surface": Rule("true or false", lambda value: type(value) is bool),
    "tolerance": Rule("a distance from 0", lambda value: _is_number(value) and value >= 0),
    "spacing": Rule("null or mm a pixel, [vertical, horizontal]", _is_spacing),
    "bootstrap": _whole(0),
    "bins": _whole(2),
    "shift": Rule("a list of policies, such as [photometric,noise]", _are_names),
    "shift_strength": Rule("a list of numbers ≥ 0, such as [0,0.5,1,2]", _are_strengths),
    "strengths": Rule("a list of numbers ≥ 0 (0 none, 1 as published), such as [0,0.5,1,2]", _are_strengths),
}


def check_values(config: DictConfig, defaults: Mapping[str, Any] | None = None) -> None:
    """Raises UserError unless every value that the config has and a rule knows is what it may be.

    Args:
        config: of a verb, or of a run.
        defaults: what the verb's own file says: a key whose default a rule refuses means something else there.
    """
    for key, rule in RULES.items():
        value = OmegaConf.select(config, key, default=rule, throw_on_missing=False)
        if value is rule or rule.holds(value) or (value is None and _is_missing(config, key)):
            continue
        if defaults is None or rule.holds(defaults.get(key, value)) or key not in defaults:
            plain = OmegaConf.to_container(value) if isinstance(value, DictConfig | ListConfig) else value
            raise UserError(f"{key} is {plain!r}; expected {rule.expected}; give {key}=…")


def _is_missing(config: DictConfig, key: str) -> bool:
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and OmegaConf.is_missing(node, name)


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
