"""How far labels lie beside their image, measured, and pictures whose labels lie where the image has them."""

from typing import Any, NamedTuple

import cv2
import numpy as np

Array = np.ndarray[Any, Any]

FINE = 8  # subpixels a side
SMOOTH = 1.0  # px, standard deviation over which edges are compared


class Ellipse(NamedTuple):
    """In pixels from the image's corner: the first pixel's middle is at .5."""

    y: float
    x: float
    down: float  # half axes
    across: float

    def polygon(self, corners: int = 64) -> list[float]:
        """x, y of corners in turn."""
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        at = np.stack([self.x + self.across * np.cos(angle), self.y + self.down * np.sin(angle)], 1)
        return [float(value) for value in at.ravel()]


class Scene(NamedTuple):
    """`share` (H, W) float 0..1 of each pixel that objects cover, `labels` 1 where it is half or more."""

    share: Array
    labels: Array
    objects: list[Ellipse]

    @property
    def grey(self) -> Array:
        """The image (H, W) uint8: objects bright on dark ground."""
        return np.rint(40 + 160 * self.share).astype(np.uint8)

    @property
    def rgb(self) -> Array:
        """The same (H, W, 3)."""
        return np.repeat(self.grey[..., None], 3, 2)


def scene(seed: int, height: int = 79, width: int = 90, large: float = 1.0) -> Scene:
    """Ellipses that touch neither each other's place by design nor the border; another seed, other ones."""
    rng = np.random.default_rng([seed, 7])
    fine = np.zeros((height * FINE, width * FINE), np.float32)
    y, x = ((np.arange(side * FINE) + 0.5) / FINE for side in (height, width))
    objects = []
    for _ in range(round(height * width / 420 / large**2)):
        down, across = rng.uniform(3, 7, 2) * large
        one = Ellipse(rng.uniform(down, height - down), rng.uniform(across, width - across), down, across)
        fine[((y[:, None] - one.y) / down) ** 2 + ((x - one.x) / across) ** 2 < 1] = 1
        objects.append(one)
    share = fine.reshape(height, FINE, width, FINE).mean((1, 3))
    return Scene(share, (share >= 0.5).astype(np.uint8), objects)


def offset(image: Array, labels: Array, outside: tuple[int, ...] = (255,)) -> Array:
    """Pixels (down, right) by which labels lie beside their image; NaN where too little is left to tell.

    The labels' own picture, each in its mean grey value, is fitted to the image with its derivatives: an image that
    is its labels moved by s is picture - s · gradient. Labels that are `outside`, and what is near them, do not count.
    """
    grey = image.astype(np.float64).reshape(*labels.shape, -1).mean(2)
    away = np.isin(labels, outside)
    near = cv2.dilate(away.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    picture = np.full(grey.shape, grey[~away].mean() if (~away).any() else 0.0)
    for label in np.setdiff1d(labels, outside):
        picture[labels == label] = grey[labels == label].mean()
    seen, told = (cv2.GaussianBlur(one, (0, 0), SMOOTH) for one in (grey, picture))
    down, right = np.gradient(told)
    counted = ~near
    if counted.sum() < 400 or np.ptp(told[counted]) < 1e-9:
        return np.array([np.nan, np.nan])
    fitted = np.stack([np.ones(counted.sum()), told[counted], down[counted], right[counted]], 1)
    _, scale, *away_by = np.linalg.lstsq(fitted, seen[counted], rcond=None)[0]
    return np.array(away_by) / scale if scale > 0.2 else np.array([np.nan, np.nan])


def large_pair(seed: int, height: int, width: int) -> tuple[Array, Array]:
    """Image (H, W, 3) uint8, hard at its edges, and labels, of a size that is shown smaller."""
    share = cv2.resize(scene(seed).share.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    labels = (share >= 0.5).astype(np.uint8)
    return np.repeat((40 + 160 * labels)[..., None], 3, 2).astype(np.uint8), labels


def reddish(picture: Array) -> Array:
    """Where a picture (H, W, 3) of grey and red is drawn over in red, 1."""
    return (picture[..., 0].astype(int) - picture[..., 1] > 20).astype(np.uint8)
