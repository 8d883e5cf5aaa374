"""albumentations 2.0.8, AlbumentationsX (same module name, an environment of its own) and the article's elastic."""

import os
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["NO_ALBUMENTATIONS_TELEMETRY"] = "1"

import albumentations as A
import cv2
import numpy as np
import torch
from _augcases import GAMMA, MEAN, NOISE, ROTATE, SCALE, SIGMA, STD, TONE, Call, Case, Push, pair
from albumentations.pytorch import ToTensorV2

BORDER = cv2.BORDER_REFLECT_101


class Albumentations:
    """Its elastic blurs one normal deviate a pixel."""

    packages: tuple[str, ...] = ("albumentations", "albucore", "opencv-python-headless", "numpy", "stringzilla")

    def unit(self, side: int) -> float:
        return 2.0 * side

    def elastic(self, side: int, magnitude: float, p: float = 1.0) -> Any:
        return A.ElasticTransform(alpha=magnitude, sigma=SIGMA * side, border_mode=BORDER, p=p)

    def tone(self, case: Case) -> list[Any]:
        return [
            A.RandomBrightnessContrast(TONE, TONE, p=case.chance("tone")),
            A.RandomGamma((100 * GAMMA[0], 100 * GAMMA[1]), p=case.chance("tone")),
            A.GaussNoise(std_range=(0.0, NOISE), p=case.chance("noise")),
        ]

    def push(self, side: int, magnitude: float) -> Push:
        transform = A.Compose([self.elastic(side, magnitude)])
        return lambda image: transform(image=image)["image"]

    def build(self, case: Case, magnitude: float) -> Call | None:
        steps = self.steps(case, magnitude)
        if steps is None:
            return None
        if case.result == "tensor":
            steps.append(ToTensorV2())
        image, mask = pair(case.side)
        return finished(A.Compose(steps), image, mask)

    def steps(self, case: Case, magnitude: float) -> list[Any] | None:
        cut = [A.RandomCrop(case.crop, case.crop)] if case.crop else []
        if case.kind == "pipeline":
            return [
                A.HorizontalFlip(p=0.5),
                A.Affine(rotate=(-ROTATE, ROTATE), scale=SCALE, border_mode=BORDER, p=case.chance("affine")),
                self.elastic(case.side, magnitude, case.chance("elastic")),
                *cut,
                *self.tone(case),
                A.Normalize(MEAN, STD),
            ]
        alone = {"elastic": [self.elastic(case.side, magnitude)], "flip": [A.HorizontalFlip(p=1.0)], "crop": cut}
        return alone.get(case.kind)


class AlbumentationsX(Albumentations):
    """Its elastic interpolates a coarse grid of displacements."""

    packages = ("albumentationsx", "albucore", "opencv-python-headless", "numpy", "stringzilla", "numkong")

    def unit(self, side: int) -> float:
        return 0.02

    def elastic(self, side: int, magnitude: float, p: float = 1.0) -> Any:
        return A.ElasticTransform(
            displacement_range=(magnitude, magnitude), control_grid_shape=(7, 7), border_mode=BORDER, p=p
        )

    def tone(self, case: Case) -> list[Any]:
        around = (-TONE, TONE)
        return [
            A.RandomBrightnessContrast(brightness_range=around, contrast_range=around, p=case.chance("tone")),
            A.RandomGamma(gamma_range=(100 * GAMMA[0], 100 * GAMMA[1]), p=case.chance("tone")),
            A.GaussNoise(std_range=(0.0, NOISE), per_channel=True, p=case.chance("noise")),
        ]


class OpenCV:
    """The article's formula, with a kernel that fits its sigma: with its own 5 x 5 it scrambles the picture."""

    packages = ("opencv-python-headless", "numpy")

    def unit(self, side: int) -> float:
        return 2.0 * side

    def push(self, side: int, magnitude: float) -> Push:
        def apply(image: np.ndarray) -> np.ndarray:
            return cv2.remap(image, *self.maps(side, magnitude), cv2.INTER_LINEAR, borderMode=BORDER)

        return apply

    def maps(self, side: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[:side, :side]
        kernel = int(6 * SIGMA * side) | 1
        shifts = [
            cv2.GaussianBlur(np.random.uniform(-1, 1, (side, side)), (kernel, kernel), SIGMA * side) * alpha
            for _ in range(2)
        ]
        return (x + shifts[0]).astype(np.float32), (y + shifts[1]).astype(np.float32)

    def build(self, case: Case, magnitude: float) -> Call | None:
        image, mask = pair(case.side)

        def call(i: int) -> object:
            maps = self.maps(case.side, magnitude)
            return (
                cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=BORDER),
                cv2.remap(mask, *maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=255),
            )

        return call if case.kind == "elastic" and case.result == "array" else None


def finished(transform: Any, image: np.ndarray, mask: np.ndarray) -> Call:
    """Contiguous results, as a batch needs them: some ops hand out views of the input, some with negative strides."""

    def call(i: int) -> object:
        out = transform(image=image, mask=mask)
        return [
            a.contiguous() if isinstance(a, torch.Tensor) else np.ascontiguousarray(a)
            for a in (out["image"], out["mask"])
        ]

    return call
