"""segtrain's own side of `aug`: the real Policy call with its per-sample key; and the floor."""

import math
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # the checkout's segtrain, installed or not

import cv2
import numpy as np
import torch
from _augcases import MEAN, NOISE, RMS, ROTATE, SCALE, SIGMA, STD, TONE, Call, Case, Push, pair

from segtrain.aug import policy as policy_module
from segtrain.aug.geometry import Geometry
from segtrain.aug.photometry import Photometry
from segtrain.aug.policy import Policy


class Ours:
    """A key is (seed, epoch, sample index), as in training."""

    packages = ("numpy", "opencv-python-headless", "torch", "stringzilla")

    def push(self, side: int) -> Push:
        policy = elastic(Case("elastic", side))
        mask, count = np.zeros((side, side), np.uint8), iter(range(10**9))
        return lambda image: policy(image, mask, (1, 0, next(count)))[0]

    def build(self, case: Case) -> Call | None:
        image, mask = pair(case.side)
        if case.kind == "floor":
            return floor(image, mask)
        if case.kind == "keys":
            return keys(medical(case), image, mask, rekey=case.result == "tensor")
        policy = {"pipeline": medical, "pose": pose, "elastic": elastic, "flip": flip, "crop": crop}[case.kind](case)
        if case.result == "array":
            return lambda i: policy(image, mask, (0, 1, i))
        if case.result == "float":
            return lambda i: normalised(*policy.tensors(image, mask, (0, 1, i)))
        return lambda i: [torch.from_numpy(plane) for plane in policy.tensors(image, mask, (0, 1, i))]


def medical(case: Case) -> Policy:
    c = case.chance
    return Policy(
        [
            Geometry(
                hflip=0.5,
                rotate=ROTATE,
                scale=math.log2(SCALE[1]),
                elastic=100 * RMS,
                elastic_length=100 * SIGMA,
                chances={"affine": c("affine"), "elastic": c("elastic")},
            ),
            Photometry(
                brightness=TONE,
                contrast=TONE,
                gamma=math.log2(SCALE[1]),
                noise=NOISE,
                chances={"brightness": c("tone"), "contrast": c("tone"), "gamma": c("tone"), "noise": c("noise")},
            ),
        ],
        crop=case.crop,
    )


def pose(case: Case) -> Policy:
    """The pipeline without elastic and gamma, which a peer lacks."""
    return Policy(
        [
            Geometry(hflip=0.5, rotate=ROTATE, scale=math.log2(SCALE[1])),
            Photometry(brightness=TONE, contrast=TONE, noise=NOISE),
        ],
        crop=case.crop,
    )


def elastic(case: Case) -> Policy:
    return Policy([Geometry(elastic=100 * RMS, elastic_length=100 * SIGMA)])


def flip(case: Case) -> Policy:
    return Policy([Geometry(hflip=1.0)])


def crop(case: Case) -> Policy:
    return Policy(crop=case.crop)


def normalised(image: np.ndarray, mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """What the module does to a whole batch on its device, here a sample at a time on the CPU: float32."""
    out = np.empty(image.shape, np.float32)
    for plane, target, mean, std in zip(image, out, MEAN, STD, strict=True):
        np.multiply(plane, np.float32(1 / (255 * std)), target)
        target -= np.float32(mean / std)
    return torch.from_numpy(out), torch.from_numpy(mask)


def floor(image: np.ndarray, mask: np.ndarray) -> Call:
    """One cv2.remap of image and one of mask, through a ready map of the same roughness, into ready memory."""
    n = mask.shape[0]
    y, x = np.mgrid[:n, :n].astype(np.float32)
    mx, my = x + RMS * n * np.sin(y / n * 12), y + RMS * n * np.cos(x / n * 12)
    one, two = np.empty_like(image), np.empty_like(mask)
    border, outside = cv2.BORDER_REFLECT_101, cv2.BORDER_CONSTANT
    return lambda i: (
        cv2.remap(image, mx, my, cv2.INTER_LINEAR, one, border),
        cv2.remap(mask, mx, my, cv2.INTER_NEAREST, two, outside, 255),
    )


def keys(policy: Policy, image: np.ndarray, mask: np.ndarray, rekey: bool) -> Call:
    """CPU ns a sample spent on setting generators to keys, inside the pipeline where caches are cold.

    Without `rekey` the same place hands out a ready generator: what the clock itself costs.
    """
    real, spent = policy_module.restream, 0
    ready = real((0, 0, 0), [*policy.names, *policy.crop_streams])

    def timed(key: Any, names: Any) -> Any:
        nonlocal spent
        start = time.process_time_ns()
        found = real(key, names) if rekey else ready
        spent += time.process_time_ns() - start
        return found

    def call(i: int) -> int:
        nonlocal spent
        spent = 0
        policy_module.restream = timed
        try:
            policy.tensors(image, mask, (0, 1, i))
        finally:
            policy_module.restream = real
        return spent

    return call
