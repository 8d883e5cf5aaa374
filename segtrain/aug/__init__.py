"""Augmentation: policies are data (conf/aug), one keyed draw a sample, image and mask through the same draw."""

import os

# albumentations asks a server for its newest version at import unless this is set first.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from segtrain.aug.elastic import OpenCVElastic
from segtrain.aug.geometry import Geometry
from segtrain.aug.mix import CopyPaste, CutMix, Mosaic
from segtrain.aug.partners import Partners
from segtrain.aug.photometry import Photometry
from segtrain.aug.policy import Policy, ScheduledPolicy
from segtrain.aug.random_policy import RandAugment, TrivialAugment

__all__ = [
    "CopyPaste",
    "CutMix",
    "Geometry",
    "Mosaic",
    "OpenCVElastic",
    "Partners",
    "Photometry",
    "Policy",
    "RandAugment",
    "ScheduledPolicy",
    "TrivialAugment",
]
