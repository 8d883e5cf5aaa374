"""Checks what each file of a run folder holds, once, where it is read, so that whoever reads it can rely on it.

A run folder may come from a stranger, or be what a crash or a hand has left of it. What versions before this one did
not write yet has a default here; what every version has written must be there.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from segtrain.runs import run_files

STATES = ("queued", "running", "finished", "failed", "interrupted")
SCORES = ("dice", "iou", "precision", "recall")  # whose values lie in 0 to 1
MOST_CHANNELS = 1 << 16
SIDES = ("train", "val", "test", "unused")
EMPTY = "test/empty_images"  # begins the keys that count images that are empty in truth; later than the other scores
MUST = object()  # the default of what every version has written
LEFT_OUT = object()  # the default of what may be missing, and stays so


class Field(NamedTuple):
    """Says what stands under a key."""

    words: str  # for a message: "a text"
    fits: Callable[[Any], bool]
    default: Any = MUST


def is_text(value: Any) -> bool:
    """Returns whether a value is a text."""
    return isinstance(value, str)


def is_whole(value: Any) -> bool:
    """Returns whether a value is a whole number, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Returns whether a value is a finite number, and no truth value."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def are_texts(value: Any) -> bool:
    """Returns whether a value is a list of texts."""
    return isinstance(value, list) and all(map(is_text, value))


def is_text_of_text(value: Any) -> bool:
    """Returns whether a value is a mapping from texts to texts."""
    return isinstance(value, dict) and all(map(is_text, value.values()))


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _or_null(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


TIME = Field("a time with its zone, or null", _or_null(_is_time), None)
NAMES = Field("a list of samples", are_texts)
ROW = Field("a list of numbers", _are_numbers)
LATER_ROW = ROW._replace(default=[])

PIXELS = {
    "dtypes": Field("a list of at least one text", lambda value: are_texts(value) and bool(value)),
    "images": Field("a whole number of 0 or more", lambda value: is_whole(value) and value >= 0),
    **dict.fromkeys(("lowest", "highest", "low", "high"), ROW),
    "spacing": Field("two numbers, or null", lambda value: value is None or (_are_numbers(value) and len(value) == 2)),
    **dict.fromkeys(("floor", "narrowest", "bottom", "top"), LATER_ROW),
}


def is_pixels(value: Any) -> bool:
    """Returns whether a value is what a run keeps of the pixels of its training, or null."""
    if value is None:
        return True
    if not isinstance(value, dict) or problem_of(value, PIXELS):
        return False
    lengths = {len(value.get(key, [])) for key, field in PIXELS.items() if field.words == ROW.words}
    return len(lengths - {0}) <= 1 and bool(value["lowest"]) == bool(value["images"])


def _is_palette(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(colour, list) and len(colour) == 3 and all(is_whole(one) and 0 <= one <= 255 for one in colour)
        for colour in value
    )


# What stands beside the weights of a run.
ABOUT = {
    "epoch": Field("a whole number of 0 or more", lambda value: is_whole(value) and value >= 0),
    "classes": Field("a list of different names", lambda value: are_texts(value) and 0 < len({*value}) == len(value)),
    "palette": Field("a colour a class", _is_palette),
    "channels": Field("a whole number of 1 or more", lambda value: is_whole(value) and 0 < value <= MOST_CHANNELS),
    "ignore_index": Field("a whole number", is_whole),
    "pixels": Field("what the pixels of the training are, or null", is_pixels, None),
}


def about_problem(about: Any) -> str:
    """Returns what is wrong with what stands beside weights; of versions before the classes it is the epoch alone."""
    if not isinstance(about, dict):
        return type(about).__name__
    is_old = not about.keys() & {"classes", "palette", "channels", "ignore_index", "pixels"}
    if problem := problem_of(about, {"epoch": ABOUT["epoch"]} if is_old else ABOUT):
        return problem
    return "" if is_old or len(about["palette"]) == len(about["classes"]) else "more classes than colours, or fewer"


FILES: dict[str, dict[str, Field]] = {
    run_files.STATUS: {
        "state": Field(f"one of {', '.join(STATES)}", lambda value: is_text(value) and value in STATES),
        **dict.fromkeys(("queued_at", "started_at", "ended_at"), TIME),
        "pid": Field("a whole number, or null", _or_null(is_whole), None),
        **dict.fromkeys(("host", "error"), Field("a text, or null", _or_null(is_text), None)),
    },
    run_files.SPLIT: {
        "fingerprint": Field("a text", lambda value: is_text(value) and bool(value)),
        **dict.fromkeys(SIDES, NAMES),
        "skipped": Field("a mapping from samples to reasons", is_text_of_text, {}),
        "groups": Field("a mapping from samples to groups", is_text_of_text, {}),
        "pixels": Field("what the pixels of the training are, or null", is_pixels, None),
    },
    run_files.RESULTS: {
        "test/dice": Field("a number from 0 to 1, or null", lambda value: _is_score(value)),
        "val/dice": Field("a number from 0 to 1, or null", lambda value: _is_score(value)),
        "test/images": Field("a whole number of 1 or more", lambda value: is_whole(value) and value > 0),
    },
    run_files.ENVIRONMENT: {
        "packages": Field("a mapping from packages to versions", is_text_of_text),
        "device": Field("a text", is_text),
        "precision": Field("a text", lambda value: is_text(value) or is_whole(value)),
        "segtrain_commit": Field("a text, or null", _or_null(is_text), None),
    },
    run_files.INITIAL_WEIGHTS: {"file": Field("a text", is_text), "sha256": Field("a text", is_text)},
    run_files.LOGGER: {
        "logger": Field("a text", is_text),
        **dict.fromkeys(("run_id", "id"), Field("a text", is_text, LEFT_OUT)),
    },
}


def _is_score(value: Any) -> bool:
    return value is None or (is_number(value) and 0 <= value <= 1)


def problem_of(mapping: Mapping[str, Any], fields: Mapping[str, Field]) -> str:
    """Returns what is wrong with a mapping, as "… under key 'state'; expected …"; "" for nothing."""
    for key, field in fields.items():
        if key not in mapping:
            if field.default is MUST:
                return f"no key '{key}'"
        elif not field.fits(mapping[key]):
            return f"{_shown(mapping[key])} under '{key}', which is {field.words}"
    return ""


def check_content(name: str, mapping: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Returns what a JSON file of a run says, with the defaults of what older versions did not write, and a problem.

    Args:
        name: of the file.
        mapping: its content.

    Returns:
        The content, and what is wrong with it; "" for nothing.
    """
    fields = FILES.get(name, {})
    problem = problem_of(mapping, fields)
    if not problem and name in OF_WHOLE:
        problem = OF_WHOLE[name](mapping)
    defaults = {key: field.default for key, field in fields.items() if field.default not in (MUST, LEFT_OUT)}
    return {**defaults, **mapping}, problem


def _split_problem(split: Mapping[str, Any]) -> str:
    """Returns what is wrong with a split: a sample stands once; a later key is there with those before it alone."""
    names = [name for side in SIDES for name in split[side]]
    if len({*names}) < len(names):
        return "a sample that stands twice"
    if "pixels" in split and not {"skipped", "groups"} <= split.keys():
        return "no key 'skipped' or 'groups'"
    return ""


def _results_problem(results: Mapping[str, Any]) -> str:
    if not {"best_epoch", "best_epoch_from_1"} & results.keys():
        return "no key 'best_epoch_from_1'"
    ends = {key.partition("/")[2].removeprefix("empty_images") for key in results if key.startswith(EMPTY)}
    for key in (f"test/{kind}{end}" for kind in ("empty_images", "false_positive_images") for end in ends):
        if key not in results:
            return f"no key '{key}'"
    if ends and "test/unscored_images" not in results:
        return "no key 'test/unscored_images'"
    for key, value in results.items():
        of, _, rest = key.partition("/")
        is_score = of in ("test", "val") and any(rest.startswith((f"{kind}/", f"{kind}_")) for kind in SCORES)
        if is_score or key == "val/dice":
            fits = _is_score(value)
        elif key.startswith("best_epoch") or rest.partition("/")[0].endswith("images"):
            fits = is_number(value) and value >= 0 and value == int(value)
        else:
            fits = value is None or is_number(value)
        if not fits:
            return f"{_shown(value)} under '{key}'"
    return ""


OF_WHOLE: dict[str, Callable[[Mapping[str, Any]], str]] = {
    run_files.SPLIT: _split_problem,
    run_files.RESULTS: _results_problem,
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
