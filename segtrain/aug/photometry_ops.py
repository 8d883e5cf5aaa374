"""Contrast, brightness and gamma as one function of the grey value, by table where values are few."""

import functools
import math

import cv2
import numpy as np
import stringzilla  # type: ignore[import-not-found]  # a compiled module without stubs

from segtrain.aug.warp import cubic, scratch

Tone = tuple[float, float, float]  # contrast (factor - 1), brightness (share of full range), gamma (octaves)
BIAS_CELLS = 4  # B-spline cells across each side: as smooth as a surface coil's profile
_BIAS_NODES = 64  # evaluated at this many nodes a side, linear in between: error below 0.1 % of the gain
_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601
_YIQ = np.array([_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_POOL = 1 << 22
_BLOCK = 1 << 18
_STEPS = 32  # codes per standard deviation; 8 bits then reach ±4
_MIDDLE = 128  # code of a deviate of 0
_DEPTHS = {np.dtype(np.uint16): cv2.CV_16U, np.dtype(np.float32): cv2.CV_32F}


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


def colour_matrix(saturation: float, hue: float) -> np.ndarray:
    """3 x 3 matrix for RGB: colours blended with their luma, then turned about the grey axis.

    Luma and greys stay as they are. Source: Haeberli 1993, Matrix Operations for Image Processing; NTSC YIQ.

    Args:
        saturation: factor - 1; -1 is grey.
        hue: degrees in the IQ plane.
    """
    angle = math.radians(hue)
    turn = np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])
    blend = (1 + saturation) * np.eye(3) - saturation * np.tile(_LUMA, (3, 1))
    return np.asarray(np.linalg.solve(_YIQ, turn @ _YIQ) @ blend)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, sigma in pixels, image reflected at its border."""
    return _shaped(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), image)


def low_resolution(image: np.ndarray, octaves: float) -> np.ndarray:
    """The image as if taken with 2^octaves times larger pixels, at its old size.

    Whole octaves are resampled, others blended from their neighbours (Williams 1983, Pyramidal Parametrics), so that
    the change grows with the octaves: resampling by 1.1 beats against the pixel grid and changes more than by 1.3.
    """
    below = int(octaves)
    low, share = _halved(image, below), octaves - below
    return (
        low
        if not share
        else np.asarray(cv2.addWeighted(low, 1 - share, _halved(image, below + 1), share, 0)).reshape(image.shape)
    )


def _halved(image: np.ndarray, times: int) -> np.ndarray:
    """Sides halved so many times and back.

    Averaged down (a sensor integrates; picking every n-th pixel as nnU-Net does would shift it against its mask),
    then up by cubic interpolation (nnU-Net, Isensee et al. 2021, supplement: simulation of low resolution).
    """
    if not times:
        return image
    height, width = image.shape[:2]
    small = max(1, round(width / 2**times)), max(1, round(height / 2**times))
    parts = [
        cv2.resize(
            cv2.resize(np.ascontiguousarray(part), small, interpolation=cv2.INTER_AREA),
            (width, height),
            interpolation=cv2.INTER_CUBIC,
        ).reshape(part.shape)
        for part in _fours(image)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, 2)


def bias_field(lattice: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Gain (h, w) float32: exp of a cubic B-spline, as multiplicative MRI bias is modelled (N4, Tustison et al. 2010).

    Args:
        lattice: (BIAS_CELLS + 3)² coefficients, natural log of the gain; the field stays within their range.
        shape: (height, width) in pixels.
    """
    at = np.clip((np.arange(_BIAS_NODES) + 0.5) / _BIAS_NODES, 0, 1) * BIAS_CELLS
    table = cubic(at, BIAS_CELLS + 3)
    gain = np.exp(table @ lattice.astype(np.float32) @ table.T)
    return np.asarray(cv2.resize(gain, shape[::-1], interpolation=cv2.INTER_LINEAR))


def multiply(image: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Every channel times gain (h, w), rounded and saturated as the dtype asks."""
    depth = {"uint8": cv2.CV_8U, "uint16": cv2.CV_16U, "float32": cv2.CV_32F}[image.dtype.name]
    wide = np.repeat(gain, image.shape[2], axis=1)  # beside (h, w·C): one call for any channel count
    flat = image.reshape(image.shape[0], -1)
    return np.asarray(cv2.multiply(flat, wide, dtype=depth)).reshape(image.shape)


def recolour(image: np.ndarray, saturation: float, hue: float) -> np.ndarray:
    """RGB image under `colour_matrix`."""
    return np.asarray(cv2.transform(image, colour_matrix(saturation, hue)))


def _fours(image: np.ndarray) -> list[np.ndarray]:
    return [image[..., c : c + 4] for c in range(0, image.shape[2], 4)]


def _shaped(result: np.ndarray, like: np.ndarray) -> np.ndarray:
    return result.reshape(like.shape)


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
