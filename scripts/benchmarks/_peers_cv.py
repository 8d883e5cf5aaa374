"""albumentations 2.0.8, AlbumentationsX (same module name, an environment of its own) and the article's elastic."""

import math
import os
from statistics import NormalDist
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["NO_ALBUMENTATIONS_TELEMETRY"] = "1"

import albumentations as A
import cv2
import numpy as np
import torch
from _augcases import GAMMA, MEAN, NOISE, RMS, ROTATE, SCALE, SIGMA, STD, TONE, Call, Case, Push, blurred, pair
from albumentations.pytorch import ToTensorV2

BORDER = cv2.BORDER_REFLECT_101


class Albumentations:
    """Its elastic blurs one normal deviate a pixel, after dividing by the largest."""

    packages: tuple[str, ...] = ("albumentations", "albucore", "opencv-python-headless", "numpy", "stringzilla")

    def elastic(self, side: int, p: float = 1.0) -> Any:
        largest = NormalDist().inv_cdf(1 - math.log(2) / (4 * side**2))  # its median, of 2 side²
        alpha = blurred(side) / math.sqrt(3) * largest  # variance 1, not 1/3
        return A.ElasticTransform(alpha=alpha, sigma=SIGMA * side, border_mode=BORDER, p=p)

    def tone(self, case: Case) -> list[Any]:
        return [
            A.RandomBrightnessContrast(TONE, TONE, p=case.chance("tone")),
            A.RandomGamma((100 * GAMMA[0], 100 * GAMMA[1]), p=case.chance("tone")),
            A.GaussNoise(std_range=(0.0, NOISE), p=case.chance("noise")),
        ]

    def push(self, side: int) -> Push:
        transform = A.Compose([self.elastic(side)])
        return lambda image: transform(image=image)["image"]

    def build(self, case: Case) -> Call | None:
        steps = self.steps(case)
        if steps is None:
            return None
        if case.result == "tensor":
            steps.append(ToTensorV2())
        image, mask = pair(case.side)
        return finished(A.Compose(steps), image, mask)

    def steps(self, case: Case) -> list[Any] | None:
        cut = [A.RandomCrop(case.crop, case.crop)] if case.crop else []
        if case.kind in ("pipeline", "pose"):
            return [
                A.HorizontalFlip(p=0.5),
                A.Affine(rotate=(-ROTATE, ROTATE), scale=SCALE, border_mode=BORDER, p=case.chance("affine")),
                *([self.elastic(case.side, case.chance("elastic"))] if case.kind == "pipeline" else []),
                *cut,
                *(step for step in self.tone(case) if case.kind == "pipeline" or not isinstance(step, A.RandomGamma)),
                A.Normalize(MEAN, STD),
            ]
        alone = {"elastic": [self.elastic(case.side)], "flip": [A.HorizontalFlip(p=1.0)], "crop": cut}
        return alone.get(case.kind)


class AlbumentationsX(Albumentations):
    """Its elastic is a cubic B-spline on a coarse grid; a finer one it refuses at this displacement, as it may fold."""

    packages = ("albumentationsx", "albucore", "opencv-python-headless", "numpy", "stringzilla", "numkong")

    def elastic(self, side: int, p: float = 1.0) -> Any:
        radius = RMS * math.sqrt(2) * 315 / 151  # deviates in a disk: 1/2; their spline, each way: 151/315
        return A.ElasticTransform(
            displacement_range=(radius, radius), control_grid_shape=(7, 7), border_mode=BORDER, p=p
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

    def push(self, side: int) -> Push:
        def apply(image: np.ndarray) -> np.ndarray:
            return cv2.remap(image, *self.maps(side), cv2.INTER_LINEAR, borderMode=BORDER)

        return apply

    def maps(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[:side, :side]
        kernel, alpha = int(6 * SIGMA * side) | 1, blurred(side)
        shifts = [
            cv2.GaussianBlur(np.random.uniform(-1, 1, (side, side)), (kernel, kernel), SIGMA * side) * alpha
            for _ in range(2)
        ]
        return (x + shifts[0]).astype(np.float32), (y + shifts[1]).astype(np.float32)

    def build(self, case: Case) -> Call | None:
        image, mask = pair(case.side)

        def call(i: int) -> object:
            maps = self.maps(case.side)
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
