"""Photometric ops that need more than one pixel or one channel: colour, blur, low resolution, bias field."""

import math

import cv2
import numpy as np

from segtrain.aug.spline import cubic

BIAS_CELLS = 4  # B-spline cells across each side: as smooth as a surface coil's profile
_BIAS_NODES = 64  # evaluated at this many nodes a side, linear in between: error below 0.1 % of the gain
_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601
_YIQ = np.array([_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


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
