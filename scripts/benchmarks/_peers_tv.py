"""torchvision v2 on tv_tensors, and kornia."""

from typing import Any

import kornia.augmentation as K
import torch
from _augcases import GAMMA, MEAN, NOISE, ROTATE, SCALE, SIGMA, STD, TONE, Call, Case, Push, pair
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

SPAN = (1 - TONE, 1 + TONE)


class RandomGamma(v2.Transform):
    """torchvision has the function and no transform."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"gamma": float(torch.empty(1).uniform_(*GAMMA))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.adjust_gamma, inpt, **params)


class TorchVision:
    """Tone on uint8, as its manual advises for speed; noise after the conversion to float32, which it needs."""

    packages = ("torchvision", "torch", "numpy")

    def unit(self, side: int) -> float:
        return float(side)

    def elastic(self, side: int, magnitude: float) -> Any:
        return v2.ElasticTransform(alpha=magnitude, sigma=SIGMA * side)

    def push(self, side: int, magnitude: float) -> Push:
        transform = self.elastic(side, magnitude)
        return lambda image: transform(tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))).permute(1, 2, 0)

    def build(self, case: Case, magnitude: float) -> Call | None:
        image, mask = pair(case.side)
        steps = self.steps(case, magnitude)
        if steps is None:
            return None
        transform = v2.Compose(steps)

        def call(i: int) -> object:
            planes = tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))
            return [part.contiguous() for part in transform(planes, tv_tensors.Mask(torch.from_numpy(mask)))]

        return call

    def steps(self, case: Case, magnitude: float) -> list[Any] | None:
        cut = [v2.RandomCrop(case.crop)] if case.crop else []
        if case.result == "array":
            return None
        if case.kind == "pipeline":
            c, some = case.chance, v2.RandomApply
            affine = v2.RandomAffine(ROTATE, scale=SCALE, interpolation=v2.InterpolationMode.BILINEAR)
            return [
                v2.RandomHorizontalFlip(0.5),
                some([affine], c("affine")),
                some([self.elastic(case.side, magnitude)], c("elastic")),
                *cut,
                some([v2.ColorJitter(brightness=TONE, contrast=TONE)], c("tone")),
                some([RandomGamma()], c("tone")),
                v2.ToDtype(torch.float32, scale=True),
                some([v2.GaussianNoise(sigma=NOISE / 2)], c("noise")),
                v2.Normalize(MEAN, STD),
            ]
        alone = {
            "elastic": [self.elastic(case.side, magnitude)],
            "flip": [v2.RandomHorizontalFlip(1.0)],
            "crop": cut,
        }
        return alone.get(case.kind)


class Kornia:
    """Made for batches on a GPU; here one sample on one CPU thread like all others."""

    packages = ("kornia", "kornia-rs", "torch", "numpy")

    def unit(self, side: int) -> float:
        return 1.0

    def elastic(self, side: int, magnitude: float, p: float = 1.0) -> Any:
        kernel, sigma = int(6 * SIGMA * side) | 1, SIGMA * side
        return K.RandomElasticTransform((kernel, kernel), (sigma, sigma), (magnitude, magnitude), p=p)

    def push(self, side: int, magnitude: float) -> Push:
        transform = self.elastic(side, magnitude)
        return lambda image: transform(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()

    def build(self, case: Case, magnitude: float) -> Call | None:
        image, mask = pair(case.side)
        steps = self.steps(case, magnitude)
        if steps is None:
            return None
        transform = K.AugmentationSequential(*steps, data_keys=["input", "mask"])

        def call(i: int) -> object:
            planes = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            new_image, new_mask = transform(planes, torch.from_numpy(mask)[None, None].float())
            return new_image[0].contiguous(), new_mask[0, 0].to(torch.uint8)

        return call

    def steps(self, case: Case, magnitude: float) -> list[Any] | None:
        if case.result == "array" or case.kind not in ("pipeline", "elastic"):
            return None
        if case.kind == "elastic":
            return [self.elastic(case.side, magnitude)]
        c, cut = case.chance, [K.RandomCrop((case.crop, case.crop))] if case.crop else []
        return [
            K.RandomHorizontalFlip(p=0.5),
            K.RandomAffine(ROTATE, scale=SCALE, padding_mode="reflection", p=c("affine")),
            self.elastic(case.side, magnitude, c("elastic")),
            *cut,
            K.RandomBrightness(SPAN, p=c("tone")),
            K.RandomContrast(SPAN, p=c("tone")),
            K.RandomGamma(GAMMA, p=c("tone")),
            K.RandomGaussianNoise(std=NOISE / 2, p=c("noise")),
            K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
        ]


