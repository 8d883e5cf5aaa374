"""torchvision.transforms.v2 as a member of a policy: one draw for image and mask, from the sample's own generator.

Not imported by `segtrain.aug`: it needs torch. torchvision itself is imported when a policy is built, so that
`segtrain.compat` can come first.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from segtrain.aug.draws import as_json
from segtrain.aug.tail import refuse_own_job
from segtrain.errors import UserError

Pair = tuple[np.ndarray, np.ndarray]


class TorchVisionDraw(NamedTuple):
    """The seed of torch's generator for one sample: v2 transforms draw while they act."""

    seed: int

    def to_json(self) -> dict[str, Any]:
        """The draw as a JSON-ready dict."""
        return as_json(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "TorchVisionDraw":
        """The draw that `to_json` wrote."""
        return cls(**plain)


class TorchVision:
    """v2 transforms in order, on tv_tensors: flips and crops move image and mask together.

    Masks are warped by nearest neighbour; what resizes gives each pixel the label that has most of it.

    torch's CPU generator is seeded for the call and restored after it; so one thread of a process at a time.
    """

    def __init__(self, transforms: Sequence[Any], ignore_index: int = 255, p: float = 1.0) -> None:
        """Check the transforms.

        Args:
            transforms: torchvision.transforms.v2 transforms; any may be listed.
            ignore_index: label that every transform with a `fill` fills the mask with.
            p: chance of the whole.

        Raises:
            UserError: a transform that is none of v2, continues the mask's labels outside the image, or is the
                framework's own job, such as normalisation.
        """
        refuse_own_job(transforms)
        from torchvision.transforms import v2

        self.transforms, self.p = list(transforms), p
        for transform in walk(self.transforms):
            kind = type(transform).__name__
            if not isinstance(transform, v2.Transform):
                raise UserError(f"TorchVision lists torchvision.transforms.v2 transforms; got {kind}")
            if getattr(transform, "padding_mode", "constant") != "constant":
                raise UserError(
                    f"{kind}: padding_mode={transform.padding_mode!r} would continue labels outside the image, "
                    "which count as ignored; expected constant"
                )
        self.ignore_index = ignore_index

    @property
    def ignore_index(self) -> int:
        """The label outside the image; setting it reaches every transform."""
        return self._ignore_index

    @ignore_index.setter
    def ignore_index(self, label: int) -> None:
        from segtrain.aug.torchvision import Labels

        self._ignore_index = label
        for transform in walk(self.transforms):
            if hasattr(transform, "_fill"):  # where v2 keeps a fill for each type of input; {type: fill} in public
                transform._fill = {**transform._fill, Labels: label}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> TorchVisionDraw:
        """The seed for one image."""
        return TorchVisionDraw(int(rng.integers(2**63)))

    def act(self, image: np.ndarray, mask: np.ndarray, draw: TorchVisionDraw) -> Pair:
        """Image (H, W, C) and mask (H, W) uint8 under one draw.

        Raises:
            UserError: a transform refuses the image, or moves the image without the mask.
        """
        from torchvision import tv_tensors

        from segtrain.aug.torchvision import Labels

        out: Any = (
            tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))),
            Labels(torch.from_numpy(np.array(mask))),
        )
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(draw.seed)
            for transform in self.transforms:
                out = _applied(transform, out)
        moved, labels = (part.numpy() for part in out)
        if moved.shape[1:] != labels.shape:
            raise UserError(
                f"the transforms of TorchVision gave an image of {moved.shape[1:]} and a mask of {labels.shape} "
                "pixels; expected one size; list only transforms that take masks"
            )
        return np.ascontiguousarray(moved.transpose(1, 2, 0)), labels


def walk(transforms: Sequence[Any]) -> Iterator[Any]:
    """Every transform, those inside Compose, RandomApply, RandomChoice and RandomOrder included."""
    for transform in transforms:
        yield transform
        inner = getattr(transform, "transforms", ())
        yield from walk(list(inner) if isinstance(inner, Sequence | torch.nn.ModuleList) else [])


def _applied(transform: Any, pair: Any) -> Any:
    try:
        return transform(*pair)
    except Exception as error:
        raise UserError(
            f"transform {type(transform).__name__} of TorchVision failed on an image of shape (C, H, W) "
            f"{tuple(pair[0].shape)}, dtype {pair[0].dtype}: {error}; see its documentation for what it takes"
        ) from error


class Labels(tv_tensors.Mask):  # type: ignore[misc]
    """Labels (H, W) uint8: a mask, but that resizing gives each pixel the label that has most of it."""


@F.register_kernel(F.resize, Labels)  # type: ignore[untyped-decorator]
def resize(labels: Labels, size: Sequence[int] | None, **how: Any) -> Labels:
    """Returns the labels at another size, by way of each label's own picture, resized as the image is.

    Args:
        labels: (H, W).
        size: as torchvision's `resize` takes it.
        how: interpolation, max_size and antialias of the image.
    """
    plain = labels.as_subclass(Tensor)
    found = plain.unique()
    shares = torch.stack([plain == label for label in found]).float()
    most = F.resize_image(shares, size=size, **how).argmax(0)
    return Labels(found[most])


@F.register_kernel(F.resized_crop, Labels)  # type: ignore[untyped-decorator]
def resized_crop(labels: Labels, top: int, left: int, height: int, width: int, size: Sequence[int], **how: Any) -> Any:
    """Returns a box of the labels at another size, as `resize` does; arguments as torchvision's `resized_crop`."""
    return resize(Labels(F.crop_mask(labels.as_subclass(Tensor), top, left, height, width)), size, **how)
