"""Takes a policy apart for people to look at: what it drew for a sample, and each of its ops by itself."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import albumentations as A
import numpy as np

from segtrain.aug.geometry import Geometry
from segtrain.aug.keys import Key
from segtrain.aug.photometry import Photometry
from segtrain.aug.policy import Pair, Policy
from segtrain.aug.random_policy import AXES, RandAugment

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
# RandAugment's ops have the units of ours, and exactly their magnitude or, in TrivialAugment, up to it.
_READS = {op: reads.removeprefix("0–") for ops in OPS.values() for op, reads in ops.items()}
_LARGEST = 512  # numbers of an array that are still worth writing out: a lattice is, a noise image is not

Drawn = dict[str, dict[str, Any] | None]
Named = tuple[str, Any]  # a transform and what it is called


class IsolatedOp(NamedTuple):
    """Holds one op by itself, its chance set to 1."""

    label: str  # name and magnitude
    path: str  # of the transform that holds it: "Geometry.0", "OneOf.0/Blur.1"
    op: str  # which of its ops; empty for the whole
    transform: Any


def trace_policy(policy: Policy, image: np.ndarray, mask: np.ndarray, key: Key) -> tuple[Pair, Drawn]:
    """Returns the pair that the policy makes of the sample, and what each transform drew for it.

    Not for several threads at once: the policy's transforms report while the call lasts.

    Returns:
        The pair as `Policy.__call__` gives it; transform name -> parameters as JSON-ready values, None where it did
        not fire. Of a plain albumentations transform the parameters that are numbers, words or short arrays.
    """
    drawn: Drawn = {}
    inner = list(find_leaves(zip(policy.names, policy.transforms, strict=True)))
    try:
        for name, transform in inner:
            drawn[name] = None
            if hasattr(transform, "draw"):
                transform.draw = _noting(transform.draw, name, drawn)
            else:
                transform.params = {}
        pair = policy(image, mask, key)
    finally:
        for _, transform in inner:
            transform.__dict__.pop("draw", None)
    for name, transform in inner:
        if getattr(transform, "params", None) and not hasattr(transform, "draw"):
            drawn[name] = _plain(transform.params)
    return pair, drawn


def isolate_ops(policy: Policy) -> dict[str, Policy]:
    """Returns every op by itself, by name and magnitude, its chance set to 1; draws and crop are the policy's."""
    tops = zip(policy.names, policy.transforms, strict=True)
    return {one.label: keep_op(policy, one) for one in each_op(tops)}


def each_op(tops: Iterable[Named]) -> list[IsolatedOp]:
    """Returns the ops in these transforms, each in a transform of its own.

    Those of a Geometry, Photometry or RandAugment whose magnitude or chance is above 0, each of torchvision's; others
    as a whole. Labels that would come twice name the transform, too.
    """
    found = [IsolatedOp(*single) for path, transform in find_leaves(tops) for single in _singles(path, transform)]
    count = Counter(one.label for one in found)
    return [one._replace(label=f"{one.label} ({one.path})") if count[one.label] > 1 else one for one in found]


def keep_crop(policy: Policy) -> Policy:
    """Returns the policy's crop alone."""
    return Policy([], 0, policy.crop, policy.ignore_index, crop_class=policy.crop_class)


def keep_op(policy: Policy, op: IsolatedOp) -> Policy:
    """Returns the policy with this op alone, which draws from the stream that it had."""
    one, inner = copy.copy(policy), isinstance(op.transform, A.BasicTransform)
    one.transforms, one.names = [op.transform], [op.path.rpartition("/")[2] if inner else op.path.partition("/")[0]]
    one.last = -1 if isinstance(op.transform, A.ImageOnlyTransform) else 0
    return one


def find_leaves(tops: Iterable[Named]) -> Iterator[Named]:
    """Yields the transforms that hold no others, by their path."""
    for name, transform in tops:
        if isinstance(transform, A.BaseCompose):
            yield from find_leaves((f"{name}/{kind}", inner) for kind, inner in number_transforms(transform.transforms))
        else:
            yield name, transform


def number_transforms(transforms: Iterable[Any]) -> Iterator[Named]:
    """Yields each transform with its class and place."""
    for i, transform in enumerate(transforms):
        yield f"{type(transform).__name__}.{i}", transform


def _noting(draw: Callable[..., Any], name: str, drawn: Drawn) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        result = draw(*args, **kwargs)
        drawn[name] = _plain(result)
        return result

    return noted


def held_transforms(transform: Any) -> list[Any]:
    """Returns the transforms in one of ours that lists some, as TorchVision does."""
    return list(getattr(transform, "transforms", ())) if hasattr(transform, "act") else []


def _singles(path: str, transform: Any) -> Iterator[tuple[str, str, str, Any]]:
    """Yields label, path, op and transform of each op."""
    ops = next((ops for kind, ops in OPS.items() if isinstance(transform, kind)), None)
    if ops is not None:
        yield from _ours(path, transform, ops)
    elif isinstance(transform, RandAugment):
        for op, size in transform.ops.items():
            if size:
                yield (
                    f"{op} {_READS[AXES.get(op, op)].format(size)}",
                    path,
                    op,
                    _changed(transform, ops={op: size}, n=1),
                )
    elif held_transforms(transform):
        for name, inner in number_transforms(held_transforms(transform)):
            yield type(inner).__name__, f"{path}/{name}", "", _changed(transform, transforms=[_changed(inner)])
    else:
        yield type(transform).__name__, path, "", _changed(transform)


def _changed(transform: Any, **changes: Any) -> Any:
    """Returns a copy that always fires, with these attributes."""
    one = copy.copy(transform)
    vars(one).update(changes)
    if hasattr(one, "p"):
        one.p = 1.0
    return one


def _ours(path: str, transform: Any, ops: Mapping[str, str]) -> Iterator[tuple[str, str, str, Any]]:
    for op, reads in ops.items():
        size = getattr(transform, op)
        if not size:
            continue
        alone = {**dict.fromkeys(ops, 0.0), op: 1.0 if reads == "always" else size}
        yield f"{op} {reads.format(size)}", path, op, _changed(transform, **alone, chances={})


def _plain(value: Any) -> Any:
    """Returns the value as JSON-ready; what is no number, word or short array is named by its type."""
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
