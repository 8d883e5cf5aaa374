"""torchtransform (one fused map), augrs-py and variopinta (both Rust); each is imported only where it is the peer."""

import math
from typing import Any

import numpy as np
import torch
from _augcases import GAMMA, MEAN, NOISE, RMS, ROTATE, SCALE, SIGMA, STD, TONE, Call, Case, Push, blurred, pair

SPAN = (1 - TONE, 1 + TONE)
REFLECT_101 = 4  # OpenCV's number


class TorchTransform:
    """Flip, affine, elastic and crop in one resampling, tones in one pass; here a batch of one, as all others."""

    packages = ("torchtransform", "torch", "numpy")

    def __init__(self) -> None:
        import torchtransform

        self.library: Any = torchtransform

    def elastic(self, side: int, p: float = 1.0) -> Any:
        deviation = RMS * side / math.sqrt(2) * 315 / 151  # of a spline's controls, each way: 151/315
        return self.library.ElasticWarp(magnitude=deviation, spacing=math.sqrt(3) * SIGMA * side, p=p)

    def push(self, side: int) -> Push:
        transform = self.library.Compose(self.elastic(side))

        def apply(image: np.ndarray) -> np.ndarray:
            planes = torch.from_numpy(image).permute(2, 0, 1)[None]
            moved = transform(self.library.Image(planes, padding="reflection"))
            return np.asarray(getattr(moved, "data", moved)[0].permute(1, 2, 0))

        return apply

    def build(self, case: Case) -> Call | None:
        steps = self.steps(case)
        if steps is None:
            return None
        tt, (image, mask) = self.library, pair(case.side)
        transform = tt.Compose(*steps)

        def call(i: int) -> object:
            planes = torch.from_numpy(image).permute(2, 0, 1)[None]
            if case.kind in ("pipeline", "pose"):
                planes = planes.float() / 255
            labels = torch.from_numpy(mask)[None, None]
            out = transform(image=tt.Image(planes, padding="reflection"), mask=tt.Mask(labels, padding=255), seed=i)
            return [getattr(part, "data", part)[0].contiguous() for part in (out["image"], out["mask"])]

        return call

    def steps(self, case: Case) -> list[Any] | None:
        tt, c = self.library, case.chance
        cut = [tt.RandomCrop(case.crop)] if case.crop else []
        if case.result == "array":
            return None
        if case.kind in ("pipeline", "pose"):
            is_whole = case.kind == "pipeline"
            return [
                tt.HorizontalFlip(p=0.5),
                tt.Affine(rotation=ROTATE, scale=SCALE, p=c("affine")),
                *([self.elastic(case.side, c("elastic"))] if is_whole else []),
                *cut,
                tt.Brightness(SPAN, p=c("tone")),
                tt.Contrast(SPAN, p=c("tone")),
                *([tt.Gamma(GAMMA, p=c("tone"))] if is_whole else []),
                tt.GaussianNoise((0.0, NOISE), p=c("noise")),
                tt.Normalize(MEAN, STD),
            ]
        alone = {"elastic": [self.elastic(case.side)], "flip": [tt.HorizontalFlip(p=1.0)], "crop": cut}
        return alone.get(case.kind)


class Augrs:
    """albumentations' names over Rust; its elastic blurs noise on a coarse grid, as ours does."""

    packages = ("augrs-py", "torch", "numpy")

    def __init__(self) -> None:
        import augrs

        self.library: Any = augrs

    def elastic(self, side: int, p: float = 1.0) -> Any:
        return self.library.ElasticTransform(
            alpha=blurred(side), sigma=SIGMA * side, noise_distribution="uniform", border_mode=REFLECT_101, p=p
        )

    def push(self, side: int) -> Push:
        transform = self.library.Compose([self.elastic(side)])
        return lambda image: transform(image=np.ascontiguousarray(image))["image"]

    def build(self, case: Case) -> Call | None:
        steps = self.steps(case)
        if steps is None:
            return None
        transform, (image, mask) = self.library.Compose(steps), pair(case.side)
        if case.result == "tensor":
            return lambda i: as_planes(**transform(image=image, mask=mask))
        return lambda i: [np.ascontiguousarray(part) for part in transform(image=image, mask=mask).values()]

    def steps(self, case: Case) -> list[Any] | None:
        A, c = self.library, case.chance
        cut = [A.RandomCrop(case.crop, case.crop)] if case.crop else []
        if case.kind in ("pipeline", "pose"):
            is_whole = case.kind == "pipeline"
            gammas = (100 * GAMMA[0], 100 * GAMMA[1])
            return [
                A.HorizontalFlip(p=0.5),
                A.Affine(rotate=(-ROTATE, ROTATE), scale=SCALE, border_mode=REFLECT_101, fill_mask=255, p=c("affine")),
                *([self.elastic(case.side, c("elastic"))] if is_whole else []),
                *cut,
                A.RandomBrightnessContrast(TONE, TONE, p=c("tone")),
                *([A.RandomGamma(gammas, p=c("tone"))] if is_whole else []),
                A.GaussNoise(std_range=(0.0, NOISE), p=c("noise")),
                A.Normalize(MEAN, STD),
            ]
        alone = {"elastic": [self.elastic(case.side)], "flip": [A.HorizontalFlip(p=1.0)], "crop": cut}
        return alone.get(case.kind)


class Variopinta:
    """Compiled, keyed; it has no elastic and no gamma, and so no row in the medical pipeline."""

    packages = ("variopinta", "torch", "numpy")

    def __init__(self) -> None:
        import variopinta

        self.library: Any = variopinta

    def push(self, side: int) -> Push | None:
        return None

    def build(self, case: Case) -> Call | None:
        steps = self.steps(case)
        if steps is None:
            return None
        vp, (image, mask) = self.library, pair(case.side)
        form = vp.ReturnTensor if case.result == "tensor" else vp.ReturnArray
        targets = [
            vp.Image(name="image", output_specs=form(name="out")),
            vp.Mask(name="mask", output_specs=form(name="out")),
        ]
        transform = vp.Pipeline(steps, seed=0, targets=targets).compile()

        def call(i: int) -> object:
            found = transform(key=i, image=targets[0].bind(image), mask=targets[1].bind(mask))
            return [found.image.out, found.mask.out]

        return call

    def steps(self, case: Case) -> list[Any] | None:
        vp, c = self.library, case.chance
        cut = [vp.RandomCrop(case.crop, case.crop)] if case.crop else []
        if case.kind == "pose":
            border = vp.BorderMode.REFLECT101
            return [
                vp.HorizontalFlip(p=0.5),
                vp.Affine(degrees_range=(-ROTATE, ROTATE), scale_range=SCALE, border_mode=border, p=c("affine")),
                *cut,
                vp.ColorJitter(brightness_range=SPAN, contrast_range=SPAN, saturation_range=(1.0, 1.0), p=c("tone")),
                vp.GaussianNoise(std_range=(0.0, 255 * NOISE), p=c("noise")),
                vp.Normalize(mean=MEAN, std=STD),
            ]
        return {"flip": [vp.HorizontalFlip(p=1.0)], "crop": cut}.get(case.kind)


def as_planes(image: np.ndarray, mask: np.ndarray) -> list[torch.Tensor]:
    """Channels first and contiguous, as a batch needs them."""
    return [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous(), torch.from_numpy(mask)]
