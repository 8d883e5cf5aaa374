"""Averages what is said of an image: by several networks, and by one that sees it in several ways, turned back."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segtrain.errors import UserError
from segtrain.model.normalised_network import NormalisedNetwork
from segtrain.model.windows import Model
from segtrain.padding import NO_SIZE, STRIDE, Size, grown_size, reflected


def ensembled(models: Sequence[Model]) -> Callable[[Tensor], Tensor]:
    """Returns the models as one whose logits are the logarithm of their mean probabilities: (N, K, H, W) float32.

    Softmax gives the mean back, so what follows need not know. Models with one logit for two classes count as two
    logits, 0 and theirs, and so does the result. One model alone is returned as it is.
    """
    if len(models) == 1:
        return models[0]

    def mean(image: Tensor) -> Tensor:
        logs = torch.stack([log_probabilities(model(image)) for model in models])
        return torch.logsumexp(logs, 0) - math.log(len(models))

    return mean


class AveragedNetwork(NormalisedNetwork):
    """Averages the probabilities of networks, each behind its normalisation: its logits are those of `ensembled`.

    `mean` and `std` are the first one's.
    """

    def __init__(self, members: Sequence[NormalisedNetwork]) -> None:
        """Holds the networks, two or more."""
        nn.Module.__init__(self)
        self.network = nn.ModuleList(members)
        self.register_buffer("mean", members[0].mean)
        self.register_buffer("std", members[0].std)

    def forward(self, image: Tensor) -> Tensor:
        """Returns logarithms of the mean probabilities (N, K, H, W) float32 of images (N, C, H, W) as stored."""
        return ensembled(list(self.network))(image)


def log_probabilities(logits: Tensor) -> Tensor:
    """Returns logarithms (N, max(K, 2), H, W) float32 of the classes' probabilities; one logit is that of class 1."""
    logits = logits.float()
    if logits.shape[1] == 1:
        return torch.cat([F.logsigmoid(-logits), F.logsigmoid(logits)], 1)
    return F.log_softmax(logits, 1)


class View(NamedTuple):
    """Sees an image scaled, mirrored left to right, then turned counter-clockwise by so many quarters."""

    turns: int = 0
    mirrored: bool = False
    scale: float = 1.0

    def then(self, other: "View") -> "View":
        """Returns this view, seen in the other way."""
        turns = -self.turns if other.mirrored else self.turns  # a mirror changes the sense of a turn
        return View((turns + other.turns) % 4, self.mirrored != other.mirrored, self.scale * other.scale)


VIEWS: dict[str, tuple[View, ...]] = {
    "none": (View(),),
    "flips": (View(), View(mirrored=True), View(2, True), View(2)),  # as it is, left-right, top-bottom, both
    "turns": (View(), View(1), View(2), View(3)),
    "scales": (View(), View(scale=0.75), View(scale=1.25)),
}


def views_of(names: Sequence[str]) -> list[View]:
    """Returns every combination of the named ways once: flips and turns together are the 8 ways a square can lie.

    Raises:
        UserError: a name that is none of VIEWS.
    """
    found = [View()]
    for name in names:
        if name not in VIEWS:
            raise UserError(f"views has '{name}'; expected a list of {', '.join(VIEWS)}, such as views=[flips,scales]")
        found = list(dict.fromkeys(view.then(other) for view in found for other in VIEWS[name]))
    return found


def viewed(model: Model, names: Sequence[str], least: Size = NO_SIZE) -> Callable[[Tensor], Tensor]:
    """Returns the model as the mean of its logits over the views, turned back: (N, C, H, W) to (N, K, H, W) float32.

    With one view only it is the model itself. Sides stay multiples of the stride under scales: a scaled side is the
    nearest one, or, where that is the side itself (32 and 64 at both scales), has just the scale and is grown by
    reflection, which is cut off again; so is one below `least`, height and width in pixels.
    """
    views = views_of(names)
    if views == [View()]:
        return model

    def mean(image: Tensor) -> Tensor:
        total = _seen(model, image, views[0], least)
        for view in views[1:]:
            total = total + _seen(model, image, view, least)
        return total / len(views)

    return mean


def _seen(model: Model, image: Tensor, view: View, least: Size) -> Tensor:
    """Returns the logits of an image by way of a view, in the image's own place and size."""
    size = image.shape[-2:]
    seen, sides = image, list(size)
    if view.scale != 1:
        sides = [scaled(side, view.scale) for side in size]
        seen = F.interpolate(seen.float(), sides, mode="bilinear", align_corners=False, antialias=view.scale < 1)
        seen = _grown(seen, least)
    if view.mirrored:
        seen = seen.flip(-1)
    logits = model(torch.rot90(seen, view.turns, (-2, -1))).float()
    logits = torch.rot90(logits, -view.turns, (-2, -1))
    if view.mirrored:
        logits = logits.flip(-1)
    logits = logits[..., : sides[0], : sides[1]]
    if logits.shape[-2:] != size:
        logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
    return logits


def scaled(side: int, scale: float) -> int:
    """Returns the length of a side, a multiple of the stride, under a scale: the next multiple, or a length between."""
    nearest = max(1, round(side * scale / STRIDE)) * STRIDE
    return nearest if nearest != side else round(side * scale)


def _grown(image: Tensor, least: Size) -> Tensor:
    """Returns the image (N, C, H, W) grown at the bottom and right to multiples of the stride, as `reflected` does."""
    height, width = image.shape[-2:]
    for axis, size in zip((-2, -1), grown_size((height, width), least), strict=True):
        if size != image.shape[axis]:
            rows = torch.from_numpy(reflected(image.shape[axis], size)).to(image.device)
            image = image.index_select(axis, rows)
    return image
