"""MONAI and batchgeneratorsv2 (nnU-Net's): float32 planes in and out."""

import math
from typing import Any

import monai.data
import monai.transforms as M
import numpy as np
import torch
from _augcases import GAMMA, MEAN, NOISE, RMS, ROTATE, SCALE, SIGMA, STD, TONE, Call, Case, Push, pair
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform

KEYS = ("image", "mask")
MODES = ("bilinear", "nearest")
SPAN = (1 - TONE, 1 + TONE)


class Monai:
    """Rotation, scale and elastic in one resampling where all are on; metadata tracking off, which is its fastest."""

    packages = ("monai", "torch", "numpy")

    def __init__(self) -> None:
        monai.data.set_track_meta(False)

    def elastic(self, side: int, p: float = 1.0, **more: Any) -> Any:
        cell, deviation = math.sqrt(3) * SIGMA * side, 0.782 * RMS * side  # 0.782: measured
        return M.Rand2DElasticd(KEYS, (cell, cell), (deviation, deviation), prob=p, mode=MODES, **more)

    def push(self, side: int) -> Push:
        transform = self.elastic(side)

        def apply(image: np.ndarray) -> np.ndarray:
            planes = torch.from_numpy(image).permute(2, 0, 1)
            return np.asarray(transform({"image": planes, "mask": planes[:1]})["image"].permute(1, 2, 0))

        return apply

    def build(self, case: Case) -> Call | None:
        steps = self.steps(case)
        return steps and started(M.Compose(steps), case, "mask", lambda t, d: t(d))

    def steps(self, case: Case) -> list[Any] | None:
        cut = [M.RandSpatialCropd(KEYS, (case.crop, case.crop), random_size=False)] if case.crop else []
        if case.result == "array":
            return None
        if case.kind == "pipeline":
            tone, angle = case.chance("tone"), math.radians(ROTATE)
            both = {"rotate_range": angle, "scale_range": ((SCALE[0] - 1, SCALE[1] - 1),) * 2}
            apart = [
                M.RandAffined(KEYS, prob=case.chance("affine"), mode=MODES, padding_mode="reflection", **both),
                self.elastic(case.side, case.chance("elastic")),
            ]
            return [
                M.RandFlipd(KEYS, prob=0.5, spatial_axis=1),
                *(apart if case.usual else [self.elastic(case.side, **both)]),
                *cut,
                M.RandShiftIntensityd("image", TONE, prob=tone),  # brightness
                M.RandScaleIntensityd("image", TONE, prob=tone),  # contrast, about 0: it has none about the mean
                M.RandAdjustContrastd("image", prob=tone, gamma=GAMMA),
                M.RandGaussianNoised("image", prob=case.chance("noise"), std=NOISE),
                M.NormalizeIntensityd("image", MEAN, STD, channel_wise=True),
            ]
        alone = {
            "elastic": [self.elastic(case.side)],
            "flip": [M.RandFlipd(KEYS, prob=1.0, spatial_axis=1)],
            "crop": cut,
        }
        return alone.get(case.kind)


class BatchGenerators:
    """Crop, rotation, scale and elastic in one resampling. Its mirror is random, so there is no flip alone."""

    packages = ("batchgeneratorsv2", "torch", "numpy", "scipy")

    def spatial(self, case: Case, affine: float, elastic: float) -> Any:
        patch = case.crop or case.side
        return SpatialTransform(
            (patch, patch),
            patch_center_dist_from_border=patch // 2 if case.crop else 0,
            random_crop=bool(case.crop),
            p_elastic_deform=elastic,
            elastic_deform_scale=SIGMA * case.side / patch,
            elastic_deform_magnitude=2 * RMS * case.side,  # of the largest displacement; 2: measured
            p_rotation=affine,
            rotation=(-math.radians(ROTATE), math.radians(ROTATE)),
            p_scaling=affine,
            scaling=SCALE,
            p_synchronize_scaling_across_axes=1,
            mode_seg="nearest",
            border_mode_seg="constant",
            padding_value_seg=255,
            padding_mode_image="reflection",
        )

    def push(self, side: int) -> Push:
        transform = self.spatial(Case("elastic", side), 0, 1)
        return lambda image: transform(image=torch.from_numpy(image).permute(2, 0, 1))["image"].permute(1, 2, 0).numpy()

    def build(self, case: Case) -> Call | None:
        steps = self.steps(case)
        return steps and started(ComposeTransforms(steps), case, "segmentation", lambda t, d: t(**d))

    def steps(self, case: Case) -> list[Any] | None:
        if case.result == "array" or case.kind not in ("pipeline", "elastic", "crop"):
            return None
        if case.kind != "pipeline":
            return [self.spatial(case, 0, float(case.kind == "elastic"))]
        c, shared = case.chance, {"synchronize_channels": True}
        return [
            self.spatial(case, c("affine"), c("elastic")),
            MirrorTransform((1,)),
            RandomTransform(MultiplicativeBrightnessTransform(BGContrast(SPAN), True), c("tone")),
            RandomTransform(ContrastTransform(BGContrast(SPAN), True, True), c("tone")),
            RandomTransform(GammaTransform(BGContrast(GAMMA), 0, True, 1, 0), c("tone")),
            RandomTransform(GaussianNoiseTransform((0, NOISE**2), **shared), c("noise")),
            normalise,
        ]


def normalise(**sample: Any) -> dict[str, Any]:
    sample["image"] = (sample["image"] - _MEAN) / _STD
    return sample


_MEAN, _STD = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))


def started(transform: Any, case: Case, mask_name: str, apply: Any) -> Call:
    """From decoded uint8 pixels to float32 planes in 0..1, then the transform."""
    image, mask = pair(case.side)

    def call(i: int) -> object:
        planes = torch.from_numpy(image).permute(2, 0, 1).float().div_(255)
        if case.kind in ("flip", "crop"):
            planes = torch.from_numpy(image).permute(2, 0, 1)
        out = apply(transform, {"image": planes, mask_name: torch.from_numpy(mask)[None]})
        return out["image"].contiguous(), out[mask_name].contiguous()

    return call
