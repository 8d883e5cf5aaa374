"""Contrast, brightness and gamma as one function of the grey value, by table where values are few."""

import functools

import cv2
import numpy as np
import stringzilla  # type: ignore[import-not-found]  # a compiled module without stubs

Tone = tuple[float, float, float]  # contrast (factor - 1), brightness (share of full range), gamma (octaves)


def curve(v: np.ndarray, tone: Tone, mean: float, top: float | None) -> np.ndarray:
    """The changed value of v (full range = 1).

    ((v - mean)·(1 + contrast) + mean + brightness) ^ 2^gamma. Negative values keep their sign under the power where
    nothing is clipped.

    Args:
        v: values, 1 = full range.
        tone: see Tone.
        mean: about which contrast stretches.
        top: largest value of the type, 0 the smallest; None for floats, which are not clipped.
    """
    contrast, brightness, gamma = tone
    v = v * (1 + contrast) + (brightness - mean * contrast)
    if top is None:
        return np.sign(v) * np.abs(v) ** (2.0**gamma) if gamma else v
    v = np.minimum(np.maximum(v, 0), top)
    return v ** (2.0**gamma) if gamma else v


def mean_value(image: np.ndarray) -> float:
    """Mean over pixels and channels."""
    flat = image.reshape(image.shape[0], -1)
    if image.dtype == np.float32:
        return float(cv2.mean(flat)[0])
    return cv2.norm(flat, cv2.NORM_L1) / image.size  # values are ≥ 0: the same sum, four times as fast


def apply_tone(image: np.ndarray, tone: Tone, full: float) -> np.ndarray:
    """`image` under `curve`; uint8 in place and back, others in a new array.

    Args:
        image: contiguous (H, W, C) uint8, uint16 or float32.
        tone: see Tone.
        full: the grey value of full range.
    """
    mean = mean_value(image) / full if tone[0] else 0.0
    if image.dtype == np.float32:
        return curve(image / np.float32(full), tone, mean, None) * np.float32(full)
    top = 255 if image.dtype == np.uint8 else 65535
    if image.dtype == np.uint16 and image.size < top:
        return _whole(curve(image / full, tone, mean, top / full) * full, top, image.dtype)
    table = _whole(curve(_grey(top + 1, full), tone, mean, top / full) * full, top, image.dtype)
    if image.dtype == np.uint16:
        return np.asarray(table[image])
    stringzilla.translate(image.reshape(-1).data, table.data, inplace=True)
    return image


@functools.lru_cache(maxsize=8)
def _grey(count: int, full: float) -> np.ndarray:
    return np.arange(count) / full


def _whole(values: np.ndarray, top: float, dtype: np.dtype) -> np.ndarray:
    """Values ≥ 0, rounded."""
    return np.asarray((np.minimum(values, top) + 0.5).astype(dtype))
