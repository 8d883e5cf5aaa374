"""Leaves an op out of a policy's config, or keeps one op alone.

Switching an op off changes no other op's draw: each transform has a stream of its own and draws all its numbers always.
"""

from collections.abc import Sequence
from typing import Any

from segtrain.aug.geometry import OPS as GEOMETRY
from segtrain.aug.photometry import OPS as PHOTOMETRY
from segtrain.errors import UserError

Node = dict[str, Any]
FUSED = {"Geometry": GEOMETRY, "Photometry": PHOTOMETRY}  # classes that hold several ops, by argument


def name_ops(transforms: Sequence[Node]) -> list[str]:
    """Returns the ops of a policy's config: arguments of Geometry and Photometry, class names of other transforms."""
    found: list[str] = []
    for node in transforms:
        kind = _kind(node)
        if kind in FUSED:
            found += [key for key in node if key in FUSED[kind]]
        elif isinstance(node.get("transforms"), list):
            found += name_ops(node["transforms"])
        else:
            found.append(kind)
    return list(dict.fromkeys(found))


def ablate_ops(transforms: Sequence[Node], without: Sequence[str], only: Sequence[str]) -> list[Node]:
    """Returns the transforms with the ops of `without` off, or all but those of `only`.

    Raises:
        UserError: an op that the policy has not, or both lists given.
    """
    known = name_ops(transforms)
    if without and only:
        raise UserError("aug.without and aug.only are both given; expected one of them; leave one out")
    for name in (*without, *only):
        if name not in known:
            raise UserError(
                f"the policy has no op '{name}' to leave out or keep; its ops are {', '.join(known) or 'none'}"
            )
    off = {name for name in known if name in without or (only and name not in only)}
    return _less(transforms, off)


def _less(transforms: Sequence[Node], off: set[str]) -> list[Node]:
    kept = []
    for node in transforms:
        kind = _kind(node)
        if kind in FUSED:
            left = {key: value for key, value in node.items() if key not in off}
            if any(key in FUSED[kind] for key in left):
                chances = {k: v for k, v in (node.get("chances") or {}).items() if k not in off}
                kept.append({**left, "chances": chances} if "chances" in node else left)
        elif isinstance(node.get("transforms"), list):
            inner = _less(node["transforms"], off)
            kept += [{**node, "transforms": inner}] if inner else []
        elif kind not in off:
            kept.append(node)
    return kept


def _kind(node: Node) -> str:
    return str(node["_target_"]).rpartition(".")[2]
