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
from torch import Tensor


def as_counted(scores: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Returns scores as they count in a mean over images: 1 for NaN where the image has a counted pixel.

    Args:
        scores: (images, ...) in [0, 1], NaN where neither truth nor prediction has what is scored.
        pixels: (images,) how many pixels of each image count.
    """
    scored = pixels.reshape(-1, *(1,) * (scores.ndim - 1)) > 0
    return np.where(np.isnan(scores) & scored, 1.0, scores)


def seen_on_empty(matrices: Tensor, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns for each image (n,): 1 where it is empty and something is predicted, 0 where rightly empty, NaN else.

    Of all classes not named background together under the key "", of each class under "/<class>".

    Args:
        matrices: (n, C, C) confusion matrices, one an image, rows truth.
        names: of the C classes.
    """
    counts = matrices.cpu().numpy()
    truth, pred = counts.sum(2), counts.sum(1)  # (n, C)
    wanted = {"": np.array([name != "background" for name in names])}
    wanted |= {f"/{name}": np.arange(len(names)) == c for c, name in enumerate(names)}
    found = {}
    for end, columns in wanted.items():
        empty = (truth[:, columns].sum(1) == 0) & (truth.sum(1) > 0)
        found[end] = np.where(empty, pred[:, columns].sum(1) > 0, np.nan)
    return found


def false_positives(matrices: Tensor, names: Sequence[str]) -> dict[str, float]:
    """Returns how many images are empty, and on how many of those something is predicted.

    `empty_images`, `false_positive_images` and their ratio `false_positive_rate`, NaN where no image is empty: of the
    classes not named background together, and of each class, as `empty_images/<class>`. `unscored_images` have no
    counted pixel, and are none of these. The arguments are those of `seen_on_empty`.
    """
    found: dict[str, float] = {}
    for end, seen in seen_on_empty(matrices, names).items():
        empty, wrong = int((~np.isnan(seen)).sum()), int(np.nansum(seen))
        found |= {f"empty_images{end}": empty, f"false_positive_images{end}": wrong}
        found[f"false_positive_rate{end}"] = wrong / empty if empty else float("nan")
    return found | {"unscored_images": int((matrices.sum((1, 2)) == 0).sum())}
