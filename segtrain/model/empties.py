"""What counts of an image that is empty: the rule of every mean over images, and how many there are.

An image, or a class in an image, is empty when its truth holds no counted pixel of it (of an image: none of a class not
named background). Where nothing is predicted there either it is rightly empty, and counts as 1 in every mean over
images; where something is, that is a false positive, and it scores 0. An image without any counted pixel, all of them
ignored, has no score and is left out. Leaving out what is rightly empty, as an undefined score invites to, would
compare a network that predicts too much on other images than one that does not.

Source: the evaluation of the BraTS challenges as Isensee et al. 2020 (arXiv 2011.00848) describe it: where the truth
has no pixel of a class, Dice is 1 for an empty prediction and 0 for any other. MONAI 1.6's DiceMetric does so with
`ignore_empty=False`. Maier-Hein et al. 2024 (Nature Methods 21:195) on metrics that are undefined for empty images.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def as_counted(scores: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Returns scores as they count in a mean over images: 1 for NaN where the image has a counted pixel.

    Args:
        scores: (images, ...) in [0, 1], NaN where neither truth nor prediction has what is scored.
        pixels: (images,) how many pixels of each image count.
    """
    scored = pixels.reshape(-1, *(1,) * (scores.ndim - 1)) > 0
    return np.where(np.isnan(scores) & scored, 1.0, scores)


def false_positives(matrices: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Returns how many images are empty, and on how many of those something is predicted.

    `empty_images`, `false_positive_images` and their ratio `false_positive_rate`, NaN where no image is empty: of the
    classes not named background together, and of each class, as `empty_images/<class>`. `unscored_images` have no
    counted pixel, and are none of these.

    Args:
        matrices: (n, C, C) confusion matrices, one an image, rows truth.
        names: of the C classes.
    """
    counts = matrices.to("cpu", torch.int64)
    truth, pred = counts.sum(2), counts.sum(1)  # (n, C)
    scored = truth.sum(1) > 0
    front = torch.tensor([name != "background" for name in names])
    wanted = {"": front} | {f"/{name}": torch.arange(len(names)) == c for c, name in enumerate(names)}
    found: dict[str, float] = {}
    for end, columns in wanted.items():
        empty = (truth[:, columns].sum(1) == 0) & scored
        wrong = empty & (pred[:, columns].sum(1) > 0)
        count, mistakes = int(empty.sum()), int(wrong.sum())
        found |= {f"empty_images{end}": count, f"false_positive_images{end}": mistakes}
        found[f"false_positive_rate{end}"] = mistakes / count if count else float("nan")
    return found | {"unscored_images": int((~scored).sum())}
