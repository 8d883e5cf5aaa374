"""The values of masks that were saved as JPEG, which blurs them, and how far off them pixels are."""

import itertools
from collections.abc import Mapping

BLUR = 8  # levels by which JPEG changes values inside areas
APART = 24  # levels between two values at the least
LEAST = 0.005  # share of the pixels that are about a value: edges blur to every value, and fewer to each


def nearest_values(pixels: Mapping[int, int]) -> tuple[dict[int, int], int]:
    """Returns the value that each stored one stands for, and how many levels the furthest stored one may be off.

    Args:
        pixels: stored value 0..255 -> number of pixels.
    """
    total, peaks = sum(pixels.values()), list[int]()
    for code in sorted(pixels, key=lambda code: -pixels[code]):
        about = sum(pixels.get(code + off, 0) for off in range(-BLUR, BLUR + 1))
        is_peak = about >= LEAST * total and pixels[code] >= about / BLUR
        if is_peak and all(abs(code - peak) > APART for peak in peaks):
            peaks.append(code)
    values = sorted({0 if code <= BLUR else 255 if code >= 255 - BLUR else code for code in peaks or [max(pixels)]})
    between = max((high - low for low, high in itertools.pairwise(values)), default=0)
    beyond = max(values[0] - min(pixels), max(pixels) - values[-1])
    nearest = {code: min(values, key=lambda value: (abs(value - code), value)) for code in pixels}
    return nearest, max(-(-between // 2), beyond)
