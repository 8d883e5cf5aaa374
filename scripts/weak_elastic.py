"""python scripts/weak_elastic.py        10 s: how often an elastic draw stays below the RMS that is asked for

Prints for some shapes, at the default elastic_length of 8 % of the short side, the share of draws that stay below, and
the least that one of them has of it. docs/augmentation.md and segtrain/aug/warp.py state what it prints.
"""

import math

import numpy as np

from segtrain.aug.warp import CELL, displacement, gram

DRAWS = 5000
LENGTH = 0.08  # of the short side
SHAPES = ((96, 96), (128, 128), (256, 256), (128, 256), (128, 512))


def reached(shape, draws, seed=0):
    """The RMS displacement of so many draws, as a share of what is asked for."""
    rng, cell = np.random.default_rng(seed), CELL * LENGTH * min(shape)
    found = []
    for _ in range(draws):
        field = displacement(rng, shape, cell, 1.0)
        found.append(math.sqrt(float(np.vdot(field, gram(shape[0], cell) @ field @ gram(shape[1], cell)))))
    return np.array(found)


if __name__ == "__main__":
    for shape in SHAPES:
        share = reached(shape, DRAWS)
        weak = (share < 1 - 1e-4).mean()
        print(f"{shape[0]} x {shape[1]}: 1 draw in {1 / weak:.0f} stays below, the weakest at {share.min():.2f} of it")
