"""A mask as torchvision.transforms.v2 sees it, that stays beside its image where both are resized.

torchvision's own masks take the nearest pixel, counted from the top left: up to half a pixel beside the image. Imported
where a policy is built, as torchvision is.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F


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
