"""Test-time augmentation: an image seen in several ways, and the mean of what is said of it, turned back."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from segtrain.errors import UserError
from segtrain.model.windows import STRIDE, Model


class View(NamedTuple):
    """An image scaled, mirrored left to right, then turned counter-clockwise by so many quarters."""

    turns: int = 0
    mirrored: bool = False
    scale: float = 1.0

    def then(self, other: "View") -> "View":
        """This view, seen in the other way."""
        turns = -self.turns if other.mirrored else self.turns  # a mirror changes the sense of a turn
        return View((turns + other.turns) % 4, self.mirrored != other.mirrored, self.scale * other.scale)


VIEWS: dict[str, tuple[View, ...]] = {
    "none": (View(),),
    "flips": (View(), View(mirrored=True), View(2, True), View(2)),  # as it is, left-right, top-bottom, both
    "turns": (View(), View(1), View(2), View(3)),
    "scales": (View(), View(scale=0.75), View(scale=1.25)),
}


def views_of(names: Sequence[str]) -> list[View]:
    """Every combination of the named ways, each once: flips and turns together are the 8 ways a square can lie.

    Raises:
        UserError: a name that is none of VIEWS.
    """
    found = [View()]
    for name in names:
        if name not in VIEWS:
            raise UserError(f"views has '{name}'; expected a list of {', '.join(VIEWS)}, such as views=[flips,scales]")
        found = list(dict.fromkeys(view.then(other) for view in found for other in VIEWS[name]))
    return found


def viewed(model: Model, names: Sequence[str]) -> Callable[[Tensor], Tensor]:
    """The model as the mean of its logits over the views, each turned back: (N, C, H, W) to (N, K, H, W) float32.

    With one view only it is the model itself. Sides stay multiples of the stride under scales.
    """
    views = views_of(names)
    if views == [View()]:
        return model

    def mean(image: Tensor) -> Tensor:
        total = _seen(model, image, views[0])
        for view in views[1:]:
            total = total + _seen(model, image, view)
        return total / len(views)

    return mean


def _seen(model: Model, image: Tensor, view: View) -> Tensor:
    """The logits of an image by way of a view, in the image's own place and size."""
    size = image.shape[-2:]
    seen = image
    if view.scale != 1:
        sides = [max(1, round(side * view.scale / STRIDE)) * STRIDE for side in size]
        seen = F.interpolate(seen.float(), sides, mode="bilinear", align_corners=False, antialias=view.scale < 1)
    if view.mirrored:
        seen = seen.flip(-1)
    logits = model(torch.rot90(seen, view.turns, (-2, -1))).float()
    logits = torch.rot90(logits, -view.turns, (-2, -1))
    if view.mirrored:
        logits = logits.flip(-1)
    if logits.shape[-2:] != size:
        logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
    return logits
