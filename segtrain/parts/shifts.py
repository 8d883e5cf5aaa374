"""Augmentations of conf/aug by name, at any strength, for an image that has no mask: the shifts of serve's page."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segtrain.aug import Policy
from segtrain.aug.trace import Drawn, traced
from segtrain.config.composition import composed
from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.errors import UserError

Pixels = np.ndarray[Any, Any]
UNSAID = ("shape", "noise_seed", "elastic_length", "lattice", "turns")  # of a draw, what changes no pixel by itself
DIGITS = 3  # of the numbers that are said


class Shifts:
    """Policies by the name of their file in conf/aug; a draw of a policy is fixed by its number alone."""

    def __init__(self, names: Sequence[str], ignore_index: int, searched: Sequence[str] = ()) -> None:
        """Build each once.

        Args:
            names: files of conf/aug.
            ignore_index: label of pixels from outside the image.
            searched: overrides that name folders of further configs.

        Raises:
            UserError: no such file, or a policy that mixes samples.
        """
        self.names = tuple(names)
        self._ignore_index = ignore_index
        fixed = [*searched, "dataset=shapes"]
        self._configs = {name: RunConfig(composed("preview", [*fixed, f"aug={name}"])) for name in names}
        for name in names:
            if self._policy(name, 1.0, False).needs_partner:
                raise UserError(
                    f"aug={name} mixes training samples; expected shifts that change one image by itself; got "
                    f"shifts=[{','.join(names)}]; leave {name} out"
                )

    def apply(self, image: Pixels, name: str, strength: float, draw: int, fires: bool) -> tuple[Pixels, str]:
        """The image (H, W, C) shifted, of the same dtype, and what was drawn, in words.

        Args:
            image: as stored.
            name: one of `names`.
            strength: ≥ 0, as aug.strength: 0 leaves the image as it is.
            draw: which draw; the same number at another strength is the same draw, larger.
            fires: whether ops with a chance always fire.

        Raises:
            UserError: the policy cannot take such an image, or be so strong.
        """
        policy = self._policy(name, strength, fires)
        nothing = np.zeros(image.shape[:2], np.uint8)
        (shifted, _), drawn = traced(policy, image, nothing, (0, 0, 0, draw))
        return shifted, said(drawn) or "no op fired: try another draw"

    def _policy(self, name: str, strength: float, fires: bool) -> Policy:
        return policy_at(strength, self._configs[name], self._ignore_index, fires=fires)


def policy_at(strength: float, config: RunConfig, ignore_index: int, *, fires: bool = False) -> Policy:
    """Returns the policy of a config at a strength, for whole images; see `Shifts.apply`."""
    aug = config.changed({"aug.strength": strength}).aug
    if fires:
        aug = aug.but(transforms=[{k: v for k, v in one.items() if k != "chances"} for one in aug.transforms])
    handed_in = {"crop": None, "crop_class": 0.0, "ignore_index": ignore_index}
    leave_out = ["schedule", "without", "only"]
    policy: Policy = build(aug, leave_out=leave_out, **handed_in)
    return policy


def said(drawn: Drawn) -> str:
    """What changed a pixel, such as "rotate -12.9, hflip"; empty where nothing did."""
    words = []
    for transform, parameters in drawn.items():
        for name, value in (parameters or {}).items():
            numbers = value if isinstance(value, list | tuple) else [value]
            if name in UNSAID and not (name == "turns" and value):
                continue
            if isinstance(value, bool) or not all(isinstance(number, int | float) for number in numbers):
                words += [name] if value and not isinstance(value, str) else []
            elif any(numbers):
                words.append(f"{name} {', '.join(f'{number:.{DIGITS}g}' for number in numbers)}")
        if parameters == {}:
            words.append(transform.partition(".")[0])
    return ", ".join(words)
