"""A transform taken apart for the audit: what moves pixels, what changes grey values, each op alone."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import albumentations as A
import numpy as np

from segtrain.aug import trace
from segtrain.aug.keys import Key
from segtrain.aug.policy import Pair, Policy

Transform = Callable[[np.ndarray, np.ndarray, Key], Pair]


class Leaf(NamedTuple):
    """A transform that holds no others."""

    name: str
    group: str  # of leaves in one OneOf, SomeOf or Sequential, whose firing is tied on purpose; else its name
    transform: Any


class Parts(NamedTuple):
    """A transform and its parts; the parts may draw otherwise than the whole where it holds its own generator."""

    whole: Transform
    moving: Transform  # what moves pixels within an image; the whole where it cannot be taken apart
    pairing: Transform  # the same, and what mixes samples
    colouring: Transform | None  # what changes grey values and leaves pixels in place
    ops: Mapping[str, Transform]  # each at chance 1
    leaves: list[Leaf]  # whose draws can be watched


def take_apart(transform: Any) -> Parts:
    """The parts of a Policy or an albumentations composition; of any other callable only itself."""
    if isinstance(transform, Policy):
        tops = list(zip(transform.names, transform.transforms, strict=True))
        moving, colouring = (_policy_half(transform, moving, False) for moving in (True, False))
        pairing = _policy_half(transform, True, True)
        return Parts(transform, moving, pairing, colouring, trace.alone(transform), _leaves(tops))
    if isinstance(transform, A.BaseCompose):
        tops = [(f"{type(t).__name__}.{i}", t) for i, t in enumerate(transform.transforms)]
        leaves = _leaves(tops)
        ops = {leaf.name: Called(_certain(leaf.transform)) for leaf in leaves}
        moving, colouring = (Called(_half(transform, moving)) for moving in (True, False))
        return Parts(Called(transform), moving, moving, colouring, ops, leaves)
    return Parts(transform, transform, transform, None, {}, [])


def with_painted_partners(transform: Transform, paint: Callable[[np.ndarray], np.ndarray]) -> Transform:
    """The transform; a Policy that mixes samples then reads images painted from their masks."""
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


class Called:
    """An albumentations transform as (image, mask, key) -> pair; it draws from its own generator, not from the key."""

    def __init__(self, transform: Any) -> None:
        """Wrap it."""
        self.transform = transform

    def __call__(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """The pair as the transform makes it; the image with a channel axis."""
        out = self.transform(image=image, mask=mask)
        return out["image"] if out["image"].ndim == 3 else out["image"][..., None], out["mask"]


def moves(op: Transform) -> bool:
    """Whether the op may move pixels: false for what declares to change images alone."""
    if isinstance(op, Policy):
        return op.last >= 0 or op.crop is not None
    return not isinstance(getattr(op, "transform", None), A.ImageOnlyTransform)


def _policy_half(policy: Policy, moving: bool, mixing: bool) -> Policy:
    half = copy.copy(policy)
    halves = [t if mixing and mixes(t) else _half(t, moving) for t in policy.transforms]
    named = [(name, t) for name, t in zip(policy.names, halves, strict=True) if not isinstance(t, A.NoOp)]
    half.names, half.transforms = [name for name, _ in named], [t for _, t in named]
    half.last = max((i for i, t in enumerate(half.transforms) if not isinstance(t, A.ImageOnlyTransform)), default=-1)
    return half


def mixes(transform: Any) -> bool:
    """Whether a transform, or one of a Policy's, brings in other samples."""
    return bool(getattr(transform, "needs_partner", False))


def _half(transform: Any, moving: bool) -> Any:
    """The transform without what does not move (or does); its place is kept by a NoOp of the same chance."""
    if isinstance(transform, A.BaseCompose):
        half = copy.deepcopy(transform)
        half.transforms = type(half.transforms)(_half(inner, moving) for inner in half.transforms)
        return half
    if hasattr(transform, "geometry") and hasattr(transform, "photometry"):  # draws both: RandAugment and its kind
        half = copy.copy(transform)
        half.draw = _without(transform.draw, "photometry" if moving else "geometry")
        return half
    keeps = not mixes(transform) and isinstance(transform, A.ImageOnlyTransform) != moving
    return transform if keeps else A.NoOp(p=getattr(transform, "p", 1.0))


def _without(draw: Callable[..., Any], part: str) -> Callable[..., Any]:
    return lambda *args: draw(*args)._replace(**{part: None})


def _certain(transform: Any) -> Any:
    sure = copy.deepcopy(transform)
    sure.p = 1.0
    return sure


def _leaves(tops: list[tuple[str, Any]]) -> list[Leaf]:
    """The innermost transforms, named by class, and by number where a class comes twice."""
    found = [(name, inner) for name, top in tops for inner in _innermost(top)]
    kinds = [type(inner).__name__ for _, inner in found]
    leaves = []
    for i, (top, inner) in enumerate(found):
        kind = kinds[i]
        name = kind if kinds.count(kind) == 1 else f"{kind}.{kinds[:i].count(kind)}"
        leaves.append(Leaf(name, top, inner))
    return leaves


def _innermost(transform: Any) -> list[Any]:
    if not isinstance(transform, A.BaseCompose):
        return [transform]
    return [leaf for inner in transform.transforms for leaf in _innermost(inner)]
