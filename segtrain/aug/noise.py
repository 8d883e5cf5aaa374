"""Gaussian noise from a pool drawn once: a scaling and an addition per pixel instead of a draw.

Soundness. The pool holds 2^22 normal deviates from a fixed seed. Every block of 2^18 values (an image of 512 x 512 x 3
is three) takes a stretch of it at a position and with a sign drawn for that sample and block: pixels and channels of
a block are independent deviates; two blocks share values only at one relative shift, and at the same pixel with
chance 2^-22. For uint8 a deviate is kept in steps of 1/32 and within ±4 (6·10^-5 of them lie beyond).
"""

import functools

import cv2
import numpy as np

from segtrain.aug.buffers import scratch

_POOL = 1 << 22
_BLOCK = 1 << 18
_STEPS = 32  # codes per standard deviation; 8 bits then reach ±4
_MIDDLE = 128  # code of a deviate of 0
_DEPTHS = {np.dtype(np.uint16): cv2.CV_16U, np.dtype(np.float32): cv2.CV_32F}


@functools.cache
def _deviates() -> np.ndarray:
    return np.random.Generator(np.random.SFC64(12345)).standard_normal(_POOL, dtype=np.float32)


@functools.cache
def _codes() -> np.ndarray:
    return np.asarray(np.clip(np.rint(_deviates() * _STEPS + 128), 0, 255).astype(np.uint8))


def _stretch(seed: int, block: int) -> tuple[int, int]:
    """Start in the pool and sign (0 or 1) of a block: splitmix64 (Steele et al. 2014) of seed and block number."""
    z = (seed + (block + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    z ^= z >> 31
    return (z >> 1) % (_POOL - _BLOCK), z & 1


def add_noise(image: np.ndarray, sigma: float, seed: int) -> None:
    """Add Gaussian noise in place, rounded and saturated as the dtype asks.

    Args:
        image: contiguous uint8, uint16 or float32.
        sigma: standard deviation in grey values.
        seed: 0..2^63-1, which noise.
    """
    flat = image.reshape(1, -1)
    blocks = [(flat[:, i : i + _BLOCK], *_stretch(seed, i // _BLOCK)) for i in range(0, flat.shape[1], _BLOCK)]
    if image.dtype == np.uint8:
        _add_bytes(blocks, sigma)
    else:
        for pixels, offset, negative in blocks:
            _add_floats(pixels, -sigma if negative else sigma, offset)


def _add_bytes(blocks: list[tuple[np.ndarray, int, int]], sigma: float) -> None:
    codes = _codes().reshape(1, -1)
    for pixels, offset, negative in blocks:
        deviates = codes[:, offset : offset + pixels.shape[1]]
        step = (-sigma if negative else sigma) / _STEPS
        cv2.addWeighted(pixels, 1.0, deviates, step, -_MIDDLE * step, pixels)


def _add_floats(pixels: np.ndarray, sigma: float, offset: int) -> None:
    size = pixels.shape[1]
    change = scratch("noise", (1, size), np.float32)
    np.multiply(_deviates()[offset : offset + size], np.float32(sigma), change[0])
    cv2.add(pixels, change, pixels, dtype=_DEPTHS[pixels.dtype])
