"""torchvision v2 on tv_tensors, and kornia."""

from typing import Any

import kornia.augmentation as K
import torch
from _augcases import GAMMA, MEAN, NOISE, ROTATE, SCALE, SIGMA, STD, TONE, Call, Case, Push, blurred, pair
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

SPAN = (1 - TONE, 1 + TONE)
FILL = {tv_tensors.Image: 0, tv_tensors.Mask: 255}  # it cannot reflect


class RandomGamma(v2.Transform):
    """torchvision has the function and no transform."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"gamma": float(torch.empty(1).uniform_(*GAMMA))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(F.adjust_gamma, inpt, **params)


class TorchVision:
    """Tone on uint8, as its manual advises for speed; noise after the conversion to float32, which it needs.

    Its elastic convolves with the whole square kernel, 329 x 329 px at 512²: half a minute a sample.
    """

    packages = ("torchvision", "torch", "numpy")

    def elastic(self, side: int) -> Any:
        return v2.ElasticTransform(alpha=2 * blurred(side), sigma=SIGMA * side, fill=FILL)  # in half px

    def push(self, side: int) -> Push:
        transform = self.elastic(side)
        return lambda image: transform(tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))).permute(1, 2, 0)

    def build(self, case: Case) -> Call | None:
        image, mask = pair(case.side)
        steps = self.steps(case)
        if steps is None:
            return None
        transform = v2.Compose(steps)

        def call(i: int) -> object:
            planes = tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))
            return [part.contiguous() for part in transform(planes, tv_tensors.Mask(torch.from_numpy(mask)))]

        return call

    def steps(self, case: Case) -> list[Any] | None:
        cut = [v2.RandomCrop(case.crop)] if case.crop else []
        if case.result == "array" or case.usual:  # chances of half a minute would take hours to average
            return None
        if case.kind == "pipeline":
            return [
                v2.RandomHorizontalFlip(0.5),
                v2.RandomAffine(ROTATE, scale=SCALE, interpolation=v2.InterpolationMode.BILINEAR, fill=FILL),
                self.elastic(case.side),
                *cut,
                v2.ColorJitter(brightness=TONE, contrast=TONE),
                RandomGamma(),
                v2.ToDtype(torch.float32, scale=True),
                v2.GaussianNoise(sigma=NOISE / 2),
                v2.Normalize(MEAN, STD),
            ]
        alone = {
            "elastic": [self.elastic(case.side)],
            "flip": [v2.RandomHorizontalFlip(1.0)],
            "crop": cut,
        }
        return alone.get(case.kind)


class Kornia:
    """Made for batches on a GPU; here one sample on one CPU thread like all others.

    It computes an op whatever its chance and picks afterwards: usual chances cost it what all on does.
    """

    packages = ("kornia", "kornia-rs", "torch", "numpy")

    def elastic(self, side: int) -> Any:
        kernel, sigma = int(6 * SIGMA * side) | 1, SIGMA * side
        alpha = 2 * blurred(side) / side  # in half sides
        return K.RandomElasticTransform(
            (kernel, kernel), (sigma, sigma), (alpha, alpha), padding_mode="reflection", p=1.0
        )

    def push(self, side: int) -> Push:
        transform = self.elastic(side)
        return lambda image: transform(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()

    def build(self, case: Case) -> Call | None:
        image, mask = pair(case.side)
        steps = self.steps(case)
        if steps is None:
            return None
        transform = K.AugmentationSequential(*steps, data_keys=["input", "mask"])

        def call(i: int) -> object:
            planes = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            new_image, new_mask = transform(planes, torch.from_numpy(mask)[None, None].float())
            return new_image[0].contiguous(), new_mask[0, 0].to(torch.uint8)

        return call

    def steps(self, case: Case) -> list[Any] | None:
        if case.result == "array" or case.usual or case.kind not in ("pipeline", "elastic"):
            return None
        if case.kind == "elastic":
            return [self.elastic(case.side)]
        cut = [K.RandomCrop((case.crop, case.crop))] if case.crop else []
        return [
            K.RandomHorizontalFlip(p=0.5),
            K.RandomAffine(ROTATE, scale=SCALE, padding_mode="reflection", p=1.0),
            self.elastic(case.side),
            *cut,
            K.RandomBrightness(SPAN, p=1.0),
            K.RandomContrast(SPAN, p=1.0),
            K.RandomGamma(GAMMA, p=1.0),
            K.RandomGaussianNoise(std=NOISE / 2, p=1.0),
            K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
        ]
