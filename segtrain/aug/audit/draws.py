"""Watches which op fires in which draw, whether ops are independent that should be, and whether draws come again."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from segtrain.aug.audit.parts import AuditLine, Leaf, percent
from segtrain.aug.geometry import GeometryDraw
from segtrain.aug.photometry import PhotometryDraw
from segtrain.aug.random_policy import RandomDraw

_AFFINE = ("rotate", "scale", "shear", "translate")
_FEATURES = 8  # numbers of one draw that are compared with another op's
_LEAST = 20  # draws in which both fired before their numbers are compared
Name = tuple[str, str]  # path of a leaf, and which of its ops; the op is empty for the whole
Record = dict[Name, tuple[float, ...]]  # the numbers that each drew, where it fired


class DrawWatch:
    """Lets the transforms note what they draw, while entered; call `next` before each draw. Not for several threads."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        """Watches these, once it is entered."""
        self.leaves, self.records = leaves, list[Record]()
        self.groups: dict[Name, str] = {}  # what an op that fired is tied to on purpose
        self.hooks = [(leaf, hook) for leaf in leaves if (hook := _hook(leaf.transform))]

    def __enter__(self) -> "DrawWatch":
        for leaf, hook in self.hooks:
            setattr(leaf.transform, hook, self._noting(leaf, hook, getattr(leaf.transform, hook)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for leaf, hook in self.hooks:
            vars(leaf.transform).pop(hook, None)

    def next(self) -> None:
        """Begins the next draw."""
        self.records.append({})

    @property
    def count(self) -> int:
        """The number of draws that were watched."""
        return len(self.records)

    def chance(self, path: str, op: str) -> float | None:
        """Returns how often an op of the leaf at `path` fired, any where it is empty; None if it cannot be watched."""
        if path not in {leaf.path for leaf, _ in self.hooks}:
            return None
        fired = [any(name[0] == path and op in ("", name[1]) for name in record) for record in self.records]
        return sum(fired) / max(1, self.count)

    def _noting(self, leaf: Leaf, hook: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            for op, numbers in _FIRED[hook](args, result).items():
                self.groups[leaf.path, op] = _tied(leaf, op, result)
                if self.records:
                    self.records[-1][leaf.path, op] = numbers[:_FEATURES]
            return result

        return noted


Ops = dict[str, tuple[float, ...]]  # op -> the numbers it drew


def _hook(transform: Any) -> str:
    """Returns the method that is called when the transform fires: ours, albumentations', torchvision's, or ""."""
    return next((name for name in _FIRED if hasattr(transform, name)), "")


def _drawn(args: tuple[Any, ...], draw: Any) -> Ops:
    """Returns the ops of a draw of ours that fired."""
    if isinstance(draw, RandomDraw):  # one magnitude for all, on purpose: no numbers to compare
        return {op: () for op in draw.ops}
    if isinstance(draw, GeometryDraw):
        plain = {"turn": draw.turns, **{op: getattr(draw, op) for op in ("hflip", "vflip", *_AFFINE, "elastic")}}
    elif isinstance(draw, PhotometryDraw):
        plain = {op: value for op, value in draw._asdict().items() if op != "noise_seed"}
    else:
        return {"": ()}
    return {op: tuple(_flat(value)) for op, value in plain.items() if value is not None and np.any(value)}


def _applied(args: tuple[Any, ...], result: Any) -> Ops:
    """Returns an albumentations transform that fired, with its parameters."""
    return {"": tuple(_flat(args[0]))}


def _forwarded(args: tuple[Any, ...], result: Any) -> Ops:
    """Returns a torchvision transform, where it did not hand on what it got."""
    handed_on = isinstance(result, tuple) and all(new is old for new, old in zip(result, args, strict=False))
    return {} if handed_on else {"": ()}


_FIRED = {"draw": _drawn, "apply_with_params": _applied, "forward": _forwarded}


def _tied(leaf: Leaf, op: str, result: Any) -> str:
    """Returns what ties an op to others on purpose: a draw of several, the chance of affine ones, a composition."""
    if isinstance(result, RandomDraw):
        return leaf.path
    if isinstance(result, GeometryDraw) and op in _AFFINE and leaf.transform.chances.get("affine", 1.0) < 1:
        return f"{leaf.path}/affine"
    return f"{leaf.path}/{op}" if leaf.group == leaf.path else leaf.group


def _flat(value: Any) -> list[float]:
    """Returns the numbers in a value of parameters."""
    if isinstance(value, Mapping):
        return [number for item in value.values() for number in _flat(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in _flat(item)]
    if isinstance(value, np.ndarray):
        return [float(number) for number in value.reshape(-1)] if value.size <= 16 else []
    return [float(value)] if isinstance(value, int | float | np.number) else []


def correlation_line(watched: DrawWatch) -> AuditLine:
    """Returns the line of the two ops that fire, or draw, most alike though nothing ties them."""
    names, pair, worst = list(watched.groups), "", 0.0
    if len(names) < 2:
        return AuditLine.unmeasured("correlated ops", "fewer than two ops that can be watched fired")
    for a, b in itertools.combinations(names, 2):
        alike = _alike(watched, a, b)
        if alike > worst:
            pair, worst = f"{_shown(a)} and {_shown(b)}", alike
    shown = f"r = {worst:.2f}" + (f", {pair}" if worst > 0.5 else f" among {len(names)} ops")
    return AuditLine.judged(
        "correlated ops",
        worst,
        shown,
        fail=0.5,
        unit="",
        meaning="ops that fire, or draw, together though nothing ties them (albumentations' seed= hands all the same "
        "numbers): combinations that training never sees",
    )


def _shown(name: Name) -> str:
    path, op = name
    return f"{op} ({path})" if op else path


def _alike(watched: DrawWatch, a: Name, b: Name) -> float:
    fired = np.array([[name in record for name in (a, b)] for record in watched.records], float)
    tied = watched.groups[a] == watched.groups[b]
    phi = 0.0 if tied else max(0.0, _correlation(fired[:, 0], fired[:, 1]))
    both = [record for record in watched.records if a in record and b in record]
    if len(both) < _LEAST:
        return phi
    rows = [[np.array(column) for column in zip(*(r[name] for r in both), strict=False)] for name in (a, b)]
    numbers = [abs(_correlation(x, y)) for x in rows[0] for y in rows[1]]
    same = max(numbers, default=0.0)
    return max(phi, same if same > 0.9 else 0.0)  # many pairs of numbers: below .9 the largest is chance


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if x.std() < 1e-12 or y.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def repeats_line(streams: Mapping[tuple[int, int], Sequence[str]]) -> AuditLine:
    """Returns the line on whether one worker, or epoch, draws what another drew.

    The k-th draw of each is compared with the k-th of the others, all on the same picture, against how often draws
    that are not aligned agree: two flips have four outcomes, which come again by themselves.

    Args:
        streams: (epoch, worker) -> a mark of each output in its order.
    """
    pool = Counter(mark for stream in streams.values() for mark in stream)
    total = sum(pool.values())
    chance = sum(n * (n - 1) for n in pool.values()) / max(1, total * (total - 1))
    worst, pair = 0.0, ""
    for a, b in itertools.combinations(sorted(streams), 2):
        n = min(len(streams[a]), len(streams[b]))
        agree = float(np.mean([x == y for x, y in zip(streams[a], streams[b], strict=False)])) if n else 0.0
        surprise = agree - chance > 5 * np.sqrt(chance * (1 - chance) / max(1, n)) and agree > (1 + chance) / 2
        if surprise and agree > worst:
            worst, pair = agree, f"epoch {a[0]} worker {a[1]} = epoch {b[0]} worker {b[1]}"
    shown = f"{percent(worst)}: {pair}" if pair else f"none in {total} draws, {len(pool)} different"
    return AuditLine.judged(
        "repeated draws",
        100 * worst,
        shown,
        fail=0,
        meaning="samples of one worker or epoch that get another's augmentations again: less variety than it seems",
    )
