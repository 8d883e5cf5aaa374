"""A policy taken apart for people to look at: what it drew for a sample, and each of its ops by itself."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import albumentations as A
import numpy as np

from segtrain.aug.geometry import Geometry
from segtrain.aug.keys import Key
from segtrain.aug.photometry import Photometry
from segtrain.aug.policy import Pair, Policy
from segtrain.aug.random_policy import RandAugment

# Every op of Geometry and Photometry in the order of their arguments, and how its magnitude reads.
OPS = {
    Geometry: {
        **{"hflip": "always", "vflip": "always", "turn": "always", "rotate": "±{:g}°", "scale": "±{:g} oct"},
        **{"shear": "±{:g}°", "translate": "±{:g} %", "elastic": "{:g} % RMS"},
    },
    Photometry: {
        **{"brightness": "±{:g}", "contrast": "±{:g}", "gamma": "±{:g} oct", "saturation": "±{:g}"},
        **{"hue": "±{:g}°", "noise": "0–{:g}", "blur": "0–{:g} px", "lowres": "0–{:g} oct"},
        **{"bias": "±{:g}"},
    },
}
_LARGEST = 512  # numbers of an array that are still worth writing out: a lattice is, a noise image is not

Drawn = dict[str, dict[str, Any] | None]


def traced(policy: Policy, image: np.ndarray, mask: np.ndarray, key: Key) -> tuple[Pair, Drawn]:
    """The pair that the policy makes of the sample, and what each transform drew for it.

    Not for several threads at once: the policy's transforms report while the call lasts.

    Returns:
        The pair as `Policy.__call__` gives it; transform name -> parameters as JSON-ready values, None where it did
        not fire. Of a plain albumentations transform the parameters that are numbers, words or short arrays.
    """
    drawn: Drawn = {}
    leaves = list(_leaves(policy))
    try:
        for name, transform in leaves:
            drawn[name] = None
            if hasattr(transform, "draw"):
                transform.draw = _noting(transform.draw, name, drawn)
            else:
                transform.params = {}
        pair = policy(image, mask, key)
    finally:
        for _, transform in leaves:
            vars(transform).pop("draw", None)
    for name, transform in leaves:
        if getattr(transform, "params", None) and not hasattr(transform, "draw"):
            drawn[name] = _plain(transform.params)
    return pair, drawn


def alone(policy: Policy) -> dict[str, Policy]:
    """Every op by itself, by name and magnitude, its chance set to 1; draws and crop are those of the policy.

    The ops of a Geometry, Photometry or RandAugment whose magnitude or chance is above 0; others as a whole.
    """
    found: dict[str, Policy] = {}
    for name, transform in _leaves(policy):
        for label, single in _singles(transform):
            head = label if label not in found else f"{label} ({name})"
            found[head] = _with(policy, name.rpartition("/")[2], single)
    return found


def _leaves(policy: Policy) -> Iterator[tuple[str, Any]]:
    for name, transform in zip(policy.names, policy.transforms, strict=True):
        yield from _inside(name, transform)


def _inside(name: str, transform: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(transform, A.BaseCompose):
        yield name, transform
        return
    for i, inner in enumerate(transform.transforms):
        yield from _inside(f"{name}/{type(inner).__name__}.{i}", inner)


def _noting(draw: Callable[..., Any], name: str, drawn: Drawn) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        result = draw(*args, **kwargs)
        drawn[name] = _plain(result)
        return result

    return noted


def _singles(transform: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(transform, RandAugment):
        for op, size in transform.ops.items():
            if size:
                single = copy.copy(transform)
                single.ops, single.n, single.p = {op: size}, 1, 1.0
                yield f"{op} {size:g}", single
        return
    ops = next((ops for kind, ops in OPS.items() if isinstance(transform, kind)), None)
    if ops is None:
        single = copy.copy(transform)
        single.p = 1.0
        yield type(transform).__name__, single
        return
    for op, reads in ops.items():
        size = getattr(transform, op)
        if not size:
            continue
        single = copy.copy(transform)
        vars(single).update(dict.fromkeys(ops, 0.0), chances={}, p=1.0)
        setattr(single, op, 1.0 if reads == "always" else size)
        yield f"{op} {reads.format(size)}", single


def _with(policy: Policy, name: str, transform: Any) -> Policy:
    one = copy.copy(policy)
    one.transforms, one.names = [transform], [name]
    one.last = -1 if isinstance(transform, A.ImageOnlyTransform) else 0
    return one


def _plain(value: Any) -> Any:
    """The value as JSON-ready; what is no number, word or short array is named by its type."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist() if value.size <= _LARGEST else f"array {value.shape} of {value.dtype}"
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else type(value).__name__
