"""Objects of COCO files that reach beyond their image or have no shape: cut or left out where asked, and counted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segtrain.data.files.coco_mask import LEAST, OUTSIDE, is_numbers, is_shapeless
from segtrain.errors import UserError, remark


class Mended(NamedTuple):
    """A segmentation, None where nothing is left of it, and how many of its polygons were cut or left out."""

    segmentation: Any
    cut: int
    left_out: int

    @property
    def is_gone(self) -> bool:
        """Whether nothing is drawn of the object, as was asked for."""
        return self.segmentation is None and bool(self.cut or self.left_out)


def mended(segmentation: Any, height: int, width: int, clip: bool, skip: bool) -> Mended:
    """Returns a segmentation of an image (height, width) as it is drawn; what is wrong in other ways stays as it is.

    Args:
        segmentation: as the file has it.
        height: of the image, pixels.
        width: of the image.
        clip: whether polygons of which a corner lies more than `OUTSIDE` beyond the image are cut at its edge.
        skip: whether polygons of fewer than three corners are left out, and objects without any segmentation.
    """
    if skip and not segmentation:
        return Mended(None, 0, 1)
    if not isinstance(segmentation, list) or is_numbers(segmentation):
        return Mended(segmentation, 0, 0)
    kept = [polygon for polygon in segmentation if not (skip and is_shapeless(polygon))]
    cut = [
        _clipped(polygon, height, width) if clip and _is_outside(polygon, height, width) else polygon
        for polygon in kept
    ]
    changed = sum(one is not other for one, other in zip(cut, kept, strict=True))
    drawn = [polygon for polygon in cut if polygon != []]  # what lies wholly outside leaves nothing
    return Mended(drawn or None, changed, len(segmentation) - len(kept))


def tell(objects: Sequence[tuple[Path, Mended]]) -> None:
    """Remarks how much is cut and left out.

    Args:
        objects: the image's file and what is drawn, of each.

    Raises:
        UserError: nothing is left of any object.
    """
    if objects and all(one.is_gone for _, one in objects):
        raise UserError(
            f"none of the {len(objects)} objects of the annotation files leaves anything to draw; expected polygons or "
            "run lengths inside the images; got boxes alone, or coordinates of other images; fetch annotations that "
            "have a segmentation"
        )
    for kind, what, count in (
        ("cut polygons", "polygons reach beyond their image, and are cut at its edge (dataset.outside=clip)", "cut"),
        (
            "polygons left out",
            "polygons of fewer than three corners, and objects without any, are left out (dataset.shapeless=skip)",
            "left_out",
        ),
    ):
        found = [(path, one) for path, one in objects if getattr(one, count)]
        if found:
            total, gone = sum(getattr(one, count) for _, one in found), sum(one.is_gone for _, one in found)
            left = f"; nothing is left of {gone} of {len(objects)} objects"
            remark(kind, f"{total} {what}{left}", list(dict.fromkeys(path for path, _ in found)), is_fine=True)


def _is_outside(polygon: Any, height: int, width: int) -> bool:
    if not is_numbers(polygon) or len(polygon) < LEAST or len(polygon) % 2 or not np.isfinite(polygon).all():
        return False
    across, down = polygon[::2], polygon[1::2]
    beyond = max(-min(across), max(across) - width, -min(down), max(down) - height)
    return bool(beyond > OUTSIDE)


def _clipped(polygon: list[float], height: int, width: int) -> list[float]:
    """The part of a polygon inside the image; none where that has no area.

    Source: Sutherland and Hodgman, "Reentrant polygon clipping", Communications of the ACM 17 (1974) 32.
    """
    corners = [(float(x), float(y)) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
    for axis, edge, sign in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        found: list[tuple[float, float]] = []
        for one, other in zip([corners[-1], *corners[:-1]], corners, strict=True) if corners else ():
            inside, before = sign * (other[axis] - edge) >= 0, sign * (one[axis] - edge) >= 0
            if inside != before:
                share = (edge - one[axis]) / (other[axis] - one[axis])
                crossing = [one[i] + share * (other[i] - one[i]) for i in (0, 1)]
                crossing[axis] = float(edge)  # exactly, whatever is rounded
                found.append((crossing[0], crossing[1]))
            if inside:
                found.append(other)
        corners = found
    return [value for corner in corners for value in corner] if len(corners) > 2 else []
