"""Takes a transform apart for the audit: what moves pixels, what changes grey values, each op alone."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import albumentations as A
import numpy as np

from segtrain.aug import trace
from segtrain.aug.keys import Key
from segtrain.aug.policy import Pair, Policy
from segtrain.aug.random_policy import PHOTOMETRIC
from segtrain.aug.transforms import stream_names

Transform = Callable[[np.ndarray, np.ndarray, Key], Pair]


class Leaf(NamedTuple):
    """Holds a transform that holds no others."""

    path: str
    group: str  # of leaves in one OneOf, SomeOf or Sequential, whose firing is tied on purpose; else its path
    transform: Any


class Op(NamedTuple):
    """Holds one op by itself, its chance set to 1, and where it stands in the whole."""

    label: str
    path: str  # of its leaf
    op: str  # which of the leaf's ops; empty for the whole
    alone: Transform  # without the policy's crop
    timed: Transform  # with it


class TransformParts(NamedTuple):
    """Holds a transform and its parts, which may draw otherwise than the whole where it holds its own generator.

    A policy's crop is in the whole alone: where it lies is neither displacement nor a change of grey values.
    """

    whole: Transform
    moving: Transform  # what moves pixels within an image; the whole where it cannot be taken apart
    pairing: Transform  # the same, and what mixes samples
    colouring: Transform | None  # what changes grey values and leaves pixels in place
    crop: Transform  # the policy's crop alone
    ops: Sequence[Op]
    leaves: list[Leaf]  # whose draws can be watched


def take_apart(transform: Any) -> TransformParts:
    """Returns the parts of a Policy or an albumentations composition; of any other callable only itself."""
    if isinstance(transform, Policy):
        return _of_policy(transform)
    if isinstance(transform, A.BaseCompose):
        return _of_composition(transform)
    return TransformParts(transform, transform, transform, None, _untouched, [], [])


def _untouched(image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
    return image, mask


def _of_policy(policy: Policy) -> TransformParts:
    tops = list(zip(policy.names, policy.transforms, strict=True))
    whole = copy.copy(policy)
    whole.crop = None
    moving, colouring = (_policy_half(whole, moving, False) for moving in (True, False))
    found = trace.each_op(tops)
    ops = [Op(one.label, one.path, one.op, trace.keep_op(whole, one), trace.keep_op(policy, one)) for one in found]
    pairing, crop = _policy_half(whole, True, True), trace.keep_crop(policy) if policy.crop else _untouched
    return TransformParts(policy, moving, pairing, colouring, crop, ops, list(_leaves(tops)))


def _of_composition(composition: A.BaseCompose) -> TransformParts:
    tops = list(zip(stream_names(composition.transforms), composition.transforms, strict=True))
    places, greys = (KeylessTransform(_half(composition, moving)) for moving in (True, False))
    ops = [Op(one.label, one.path, one.op, *[KeylessTransform(one.transform)] * 2) for one in trace.each_op(tops)]
    return TransformParts(KeylessTransform(composition), places, places, greys, _untouched, ops, list(_leaves(tops)))


def with_painted_partners(transform: Transform, paint: Callable[[np.ndarray], np.ndarray]) -> Transform:
    """Returns the transform; a Policy that mixes samples then reads images painted from their masks."""
    if not (isinstance(transform, Policy) and transform.needs_partner and transform.partners):
        return transform
    partners, read = copy.copy(transform.partners), transform.partners.read

    def painted(index: int) -> Pair:
        mask = read(index)[1]
        return paint(mask), mask

    partners.read = painted
    one = copy.copy(transform)
    one.partners = partners
    return one


class KeylessTransform:
    """Calls an albumentations transform with (image, mask, key); it draws from its own generator, not from the key."""

    def __init__(self, transform: Any) -> None:
        """Takes what it calls."""
        self.transform = transform

    def __call__(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """Returns the pair as the transform makes it; the image with a channel axis."""
        out = self.transform(image=image, mask=mask)
        return out["image"] if out["image"].ndim == 3 else out["image"][..., None], out["mask"]


def cut_small(transform: Transform, image: np.ndarray, mask: np.ndarray, side: int, key: Key) -> Pair:
    """Returns the middle of the pair, `side` pixels a side; the whole pair where the transform needs it.

    A crop of fixed size does, and what else takes no small picture.
    """
    pair = _middle(image, side), _middle(mask, side)
    try:
        transform(*pair, key)
    except Exception:
        return image, mask
    return pair


def _middle(pixels: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - min(length, side)) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def may_move(op: Op) -> bool:
    """Says whether the op may move pixels: false for what declares to change images alone."""
    still = isinstance(op.alone, Policy) and op.alone.last < 0
    return not (still or op.op in PHOTOMETRIC or isinstance(getattr(op.alone, "transform", None), A.ImageOnlyTransform))


def _policy_half(policy: Policy, moving: bool, mixing: bool) -> Policy:
    half = copy.copy(policy)
    halves = [t if mixing and is_mixing(t) else _half(t, moving) for t in policy.transforms]
    named = [(name, t) for name, t in zip(policy.names, halves, strict=True) if not isinstance(t, A.NoOp)]
    half.names, half.transforms = [name for name, _ in named], [t for _, t in named]
    half.last = max((i for i, t in enumerate(half.transforms) if not isinstance(t, A.ImageOnlyTransform)), default=-1)
    return half


def is_mixing(transform: Any) -> bool:
    """Says whether a transform, or one of a Policy's, brings in other samples."""
    return bool(getattr(transform, "needs_partner", False))


def _half(transform: Any, moving: bool) -> Any:
    """Returns the transform without what does not move (or does); a NoOp of the same chance keeps its place."""
    if isinstance(transform, A.BaseCompose):
        half = copy.deepcopy(transform)
        half.transforms = type(half.transforms)(_half(inner, moving) for inner in half.transforms)
        return half
    if hasattr(transform, "geometry") and hasattr(transform, "photometry"):  # draws both: RandAugment and its kind
        half = copy.copy(transform)
        half.draw = _without(transform.draw, "photometry" if moving else "geometry")
        return half
    keeps = not is_mixing(transform) and isinstance(transform, A.ImageOnlyTransform) != moving
    return transform if keeps else A.NoOp(p=getattr(transform, "p", 1.0))


def _without(draw: Callable[..., Any], part: str) -> Callable[..., Any]:
    return lambda *args: draw(*args)._replace(**{part: None})


def _leaves(tops: Sequence[trace.Named]) -> Iterator[Leaf]:
    """Yields what can be watched: the innermost transforms, and those in a TorchVision."""
    for path, transform in trace.find_leaves(tops):
        for name, inner in trace.number_transforms(trace.held_transforms(transform)):
            yield Leaf(f"{path}/{name}", f"{path}/{name}", inner)
        if not trace.held_transforms(transform):
            yield Leaf(path, path.partition("/")[0], transform)


class AuditLine(NamedTuple):
    """Holds one measurement and its verdict."""

    check: str
    value: float | None  # None where it could not be measured
    shown: str
    threshold: str
    verdict: str  # unmeasured, ok, warn or fail
    meaning: str

    @classmethod
    def judged(
        cls,
        check: str,
        value: float,
        shown: str,
        *,
        warn: float | None = None,
        fail: float | None = None,
        least: bool = False,
        unit: str = " %",
        meaning: str,
    ) -> "AuditLine":
        """Returns a line that warns, or fails, above a threshold, or below it where the threshold is the least."""
        named = {"warn": warn, "fail": fail}
        limits = {verdict: limit for verdict, limit in named.items() if limit is not None}
        passed = [verdict for verdict, limit in limits.items() if (value < limit if least else value > limit)]
        threshold = ", ".join(f"{verdict} {'<' if least else '>'} {v:g}{unit}" for verdict, v in limits.items())
        return cls(check, value, shown, threshold or "none", passed[-1] if passed else "ok", meaning)

    @classmethod
    def unmeasured(cls, check: str, why: str) -> "AuditLine":
        """Returns a line without a value, where nothing of the kind is there to measure."""
        return cls(check, None, "–", "none", "unmeasured", why)

    def to_json(self) -> dict[str, Any]:
        """Returns the line as a JSON-ready dict."""
        return self._asdict()


def percent(share: float) -> str:
    """Returns a share in 0..1 as a reader wants it."""
    return f"{100 * share:.3g} %"
