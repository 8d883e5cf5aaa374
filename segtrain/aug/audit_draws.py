"""Which op fires in which draw, whether ops that should be independent are, and whether draws come again."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from segtrain.aug.audit_lines import Line, percent
from segtrain.aug.audit_parts import Leaf
from segtrain.aug.draws import GeometryDraw

_AFFINE = ("rotate", "scale", "shear", "translate")
_FEATURES = 8  # numbers of one draw that are compared with another op's
_LEAST = 20  # draws in which both fired before their numbers are compared
Record = dict[str, tuple[float, ...]]  # op -> the numbers it drew, where it fired


class Watched:
    """While entered, the transforms note what they draw; call `next` before each draw. Not for several threads."""

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        """Watch these."""
        self.leaves, self.records = leaves, list[Record]()
        self.groups: dict[str, str] = {}  # op -> what it is tied to on purpose
        self.known = {leaf.name for leaf in leaves if hasattr(leaf.transform, "apply_with_params")}

    def __enter__(self) -> "Watched":
        for leaf in self.leaves:
            if hasattr(leaf.transform, "draw"):
                leaf.transform.draw = self._draws(leaf, leaf.transform.draw)
            elif leaf.name in self.known:
                leaf.transform.apply_with_params = self._applies(leaf, leaf.transform.apply_with_params)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for leaf in self.leaves:
            for name in ("draw", "apply_with_params"):
                vars(leaf.transform).pop(name, None)

    def next(self) -> None:
        """The next draw begins."""
        self.records.append({})

    @property
    def count(self) -> int:
        """How many draws were watched."""
        return len(self.records)

    def chance(self, label: str) -> float | None:
        """How often the op of that name (and magnitude) fired; None where it cannot be watched."""
        head, _, rest = label.partition(" ")
        leaf = rest.rpartition("(")[2].rstrip(")") if rest.endswith(")") else ""
        fired = [name for name in self.groups if head in (name, name.partition(" ")[0]) and (not leaf or leaf in name)]
        if not fired:
            return None if head.partition(".")[0] not in {name.partition(".")[0] for name in self._watchable()} else 0.0
        return sum(any(name in record for name in fired) for record in self.records) / max(1, self.count)

    def _watchable(self) -> set[str]:
        ops = {"hflip", "vflip", "turn", *_AFFINE, "elastic"}
        ours = any(type(leaf.transform).__name__ in ("Geometry", "Photometry") for leaf in self.leaves)
        photometric = {"brightness", "contrast", "gamma", "saturation", "hue", "noise", "blur", "lowres", "bias"}
        return self.known | (ops | photometric if ours else set())

    def _draws(self, leaf: Leaf, draw: Callable[..., Any]) -> Callable[..., Any]:
        twice = len({other.name for other in self.leaves if type(other.transform) is type(leaf.transform)}) > 1

        def noted(*args: Any, **kwargs: Any) -> Any:
            result = draw(*args, **kwargs)
            for op, numbers in _numbers(result, leaf).items():
                name = f"{op} ({leaf.name})" if twice and op != leaf.name else op
                self._note(name, _tied(leaf, op, result) or _group(leaf, name), numbers)
            return result

        return noted

    def _applies(self, leaf: Leaf, apply: Callable[..., Any]) -> Callable[..., Any]:
        def noted(params: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
            self._note(leaf.name, _group(leaf, leaf.name), tuple(_flat(params))[:_FEATURES])
            return apply(params, *args, **kwargs)

        return noted

    def _note(self, name: str, group: str, numbers: tuple[float, ...]) -> None:
        self.groups[name] = group
        if self.records:
            self.records[-1][name] = numbers


def _tied(leaf: Leaf, op: str, draw: Any) -> str:
    """What ties an op of ours to others on purpose: one draw of several ops, or the chance of all affine ones."""
    if hasattr(draw, "ops"):
        return leaf.name
    affine = isinstance(draw, GeometryDraw) and op in _AFFINE and leaf.transform.chances.get("affine", 1.0) < 1
    return f"{leaf.name}/affine" if affine else ""


def _group(leaf: Leaf, name: str) -> str:
    """Ops of one top-level composition are tied by it; others stand alone."""
    alone = leaf.group.partition(".")[0] == type(leaf.transform).__name__
    return name if alone else leaf.group


def _numbers(draw: Any, leaf: Leaf) -> Record:
    """The ops of a draw of ours that fired, with their numbers."""
    if hasattr(draw, "ops"):  # one magnitude for all, on purpose: no numbers to compare
        return {op: () for op in draw.ops}
    plain = draw._asdict()
    if isinstance(draw, GeometryDraw):
        plain = {"turn": plain["turns"], **{op: plain[op] for op in ("hflip", "vflip", *_AFFINE, "elastic")}}
    elif "noise_seed" in plain:
        del plain["noise_seed"]
    else:
        return {leaf.name: ()}
    return {op: tuple(_flat(value))[:_FEATURES] for op, value in plain.items() if value is not None and np.any(value)}


def _flat(value: Any) -> list[float]:
    """The numbers in a value of parameters."""
    if isinstance(value, Mapping):
        return [number for item in value.values() for number in _flat(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in _flat(item)]
    if isinstance(value, np.ndarray):
        return [float(number) for number in value.reshape(-1)] if value.size <= 16 else []
    return [float(value)] if isinstance(value, int | float | np.number) else []


def correlation_line(watched: Watched) -> Line:
    """The two ops that fire, or draw, most alike though nothing ties them."""
    names, pair, worst = list(watched.groups), ("", ""), 0.0
    if len(names) < 2:
        return Line.unmeasured("correlated ops", "fewer than two ops that can be watched fired")
    for a, b in itertools.combinations(names, 2):
        alike = _alike(watched, a, b)
        if alike > worst:
            pair, worst = (a, b), alike
    shown = f"r = {worst:.2f}" + (f", {pair[0]} and {pair[1]}" if worst > 0.5 else f" among {len(names)} ops")
    return Line.below(
        "correlated ops",
        worst,
        shown,
        fail=0.5,
        unit="",
        meaning="ops that fire, or draw, together though nothing ties them (albumentations' seed= hands all the same "
        "numbers): combinations that training never sees",
    )


def _alike(watched: Watched, a: str, b: str) -> float:
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


def repeats_line(streams: Mapping[tuple[int, int], Sequence[str]]) -> Line:
    """Whether one worker, or epoch, draws what another drew.

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
    return Line.below(
        "repeated draws",
        100 * worst,
        shown,
        fail=0,
        meaning="samples of one worker or epoch that get another's augmentations again: less variety than it seems",
    )
