"""Holds how large numbers of a config's objects may be: beyond that they only take all memory, or never end."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from segtrain.config.values import SEED, Rule, is_size, number, one_of, shown, whole

# Of a number that nothing below says more of; classes of the user's own say themselves what they take.
MOST = 2**31 - 1
OURS = ("segtrain.", "segmentation_models_pytorch.", "albumentations.", "torchvision.", "torch.", "timm.", "lightning.")
SIDE = number("pixels up to 65536, or null", -(1 << 16), 1 << 16, None)
# Of arguments by the node that they are in: each feature map, pixel and op is computed.
OF_ROLE: Mapping[str, float] = {"model": 1 << 16, "aug": 1e7, "loss": 1e7, "scheduler": 1e7}
SHARE = number("a share from 0 to 1", 0, 1)
OF_NAME: Mapping[tuple[str, str], Rule] = {
    **{("aug", name): SIDE for name in ("height", "width", "kernel", "min_height", "min_width", "max_size")},
    ("aug", "n"): whole(0, 100),
    ("model", "decoder_interpolation"): one_of("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
}
OF_CLASS: Mapping[str, Mapping[str, Rule]] = {
    "Shapes": {
        "n": whole(1, 10**6),
        "size": Rule("pixels from 16 to 16384, or [height, width]", lambda value: is_size(value, 16)),
        "channels": whole(1, 1024),
        "seed": whole(0, SEED),
        "noise": number("grey levels from 0 to 1000", 0, 1000),
    },
    "BrainScanners": {**dict.fromkeys(("train", "val", "test"), whole(1, 10**5)), "seed": whole(0, SEED)},
    "Folds": {
        **{"k": whole(2, 10**6), "fold": whole(0, 10**6), "seed": whole(0, SEED)},
        "val": number("a share from 0 to 1", 0, 1, None),
    },
    "Ratios": {"val": SHARE, "test": SHARE, "seed": whole(0, SEED)},
    "Stratified": {"val": SHARE, "test": SHARE, "seed": whole(0, SEED)},
    "Blocks": {"val": SHARE, "test": SHARE},
    "Instances": {"border": whole(0, 1 << 16)},
}


def out_of_range(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yields each number of a node that is out of its range, with a message that says so.

    Args:
        node: plain and resolved.
        path: its key.
    """
    role = path.partition(".")[0]
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    target = str(node.get("_target_", "")) if isinstance(node, dict) else ""
    if target and not target.startswith(OURS):
        return
    rules = OF_CLASS.get(target.rpartition(".")[2], {}) if target.startswith("segtrain.") else {}
    for name, value in items:
        rule = rules.get(name) or OF_NAME.get((role, str(name)))
        key = f"{path}.{name}"
        if rule is not None and not rule.holds(value) and _is_judged(value, role):
            yield key, f"{key} is {shown(value)}; expected {rule.expected}; give {key}=…"
        elif type(value) in (int, float) and not abs(value) <= OF_ROLE.get(role, math.inf):
            most = f"{OF_ROLE.get(role, MOST):,.0f}"
            yield key, f"{key} is {shown(value)}; expected a finite number up to {most}; give {key}=…"
        elif (type(value) is int and abs(value) > MOST) or (type(value) is float and not math.isfinite(value)):
            yield key, f"{key} is {shown(value)}; expected a finite number up to {MOST:,}; give {key}=…"
        yield from out_of_range(value, key)


def _is_judged(value: Any, role: str) -> bool:
    """Returns whether a rule is asked of such a value; of others the kind is."""
    return isinstance(value, int | float | list) or (role == "model" and isinstance(value, str) and "${" not in value)
