"""What a model card says of the augmentation: each op's range at the run's strength, and its chance."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from segtrain.aug.ablation import ablated
from segtrain.aug.trace import OPS
from segtrain.config.run_config import RunConfig
from segtrain.draw.markdown import table
from segtrain.printable import in_code, in_markdown

READS = {kind.__name__: ops for kind, ops in OPS.items()}
AFFINE = ("rotate", "scale", "shear", "translate")  # ops that the chance `affine` switches together
Node = dict[str, Any]


def augmentation(config: RunConfig) -> str:
    """The section, from the run's config: amounts are those of its strength."""
    aug = config.aug
    nodes = cast("list[Node]", aug.transforms)
    without, only = (_names(aug.get(key)) for key in ("without", "only"))
    if without or only:
        nodes = ablated(nodes, without, only)
    crop, schedule = config.data.crop, aug.get("schedule", "constant")
    head = (
        f"## Augmentation\n\n{in_code(f'aug={config.choices.aug}')} at strength {aug['strength']:g}, "
        f"schedule {in_markdown(str(schedule))}; "
        + (f"random crops of {crop} pixels" if crop else "whole images")
        + "."
    )
    rows = [row for node in nodes for row in _rows(node, "")] if aug["strength"] else []
    if not rows:
        return f"{head} Nothing else was changed in the training images."
    return (
        f"{head} Drawn anew for each training sample: uniformly from a range with ± or –; a single number is the "
        "amount itself. oct are octaves (1 doubles), % is of the side, of elastic of the short side.\n\n"
        + table(("op", "range", "chance"), rows)
    )


def _names(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _rows(node: Node, before: str) -> Iterator[tuple[str, str, str]]:
    """Op, range and chance of each op of a transform's config."""
    kind = str(node["_target_"]).rpartition(".")[2]
    p = float(node.get("p", 1.0))
    if kind in READS:
        yield from _ours(node, READS[kind], p, before)
    elif isinstance(node.get("transforms"), list):
        inside = f"{before}{kind}{f' (chance {p:g})' if 'p' in node else ''} / "
        for inner in node["transforms"]:
            yield from _rows(inner, inside)
    else:
        said = {key: value for key, value in node.items() if key not in ("_target_", "p")}
        told = ", ".join(f"{key} {value}" for key, value in said.items())
        yield f"{before}{kind}", told, f"{p:g}" if "p" in node else "its default"


def _ours(node: Node, reads: dict[str, str], p: float, before: str) -> Iterator[tuple[str, str, str]]:
    chances = node.get("chances") or {}
    for op, words in reads.items():
        size = node.get(op, 0)
        if not size:
            continue
        if words == "always":  # its amount is its chance
            yield f"{before}{op}", "yes or no", f"{p * size:g}"
            continue
        chance = p * chances.get(op, 1.0) * (chances.get("affine", 1.0) if op in AFFINE else 1.0)
        yield f"{before}{op}", words.format(size), f"{chance:g}"
