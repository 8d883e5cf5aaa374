"""Holds the losses on (logits, mask): right under ignore_index, in wholly ignored batches, for one class and for many.

Each takes logits (N, C, H, W) of any float dtype and a mask (N, H, W) of any integer dtype with labels 0..C-1
or ignore_index, and returns a scalar: float32, also under autocast, or float64 for float64 logits. C = 1 is
one sigmoid logit with labels 0 and 1. An ignored pixel changes nothing and has zero gradient, whatever its
logits hold, NaN included; a batch of nothing else has loss exactly 0 and zero gradient. Built from operations
that are deterministic on CUDA too: no nll_loss2d, no cumsum of floats, no scatter with duplicates.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segtrain.errors import UserError
from segtrain.model import pixels


class CrossEntropy(nn.Module):
    """Averages cross-entropy over the pixels that are not ignored: the value of torch's cross_entropy.

    Source: label smoothing, Szegedy et al. 2016 (arXiv 1512.00567), section 7.
    """

    class_weights: Tensor | None

    def __init__(
        self, ignore_index: int, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
    ) -> None:
        """Holds the parameters.

        Args:
            ignore_index: label of pixels that do not count.
            class_weights: a weight ≥ 0 a label, in label order (two for C = 1); the mean is weighted by them.
            label_smoothing: share of the target that is spread evenly over the classes, in [0, 1).

        Raises:
            UserError: a value out of its range.
        """
        super().__init__()
        _require("label_smoothing", label_smoothing, 0 <= label_smoothing < 1, "in [0, 1)")
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.register_buffer("class_weights", _weights("class_weights", class_weights), persistent=False)

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, ≥ 0.

        Raises:
            UserError: class_weights has not one number a label.
        """
        _match("class_weights", self.class_weights, logits)
        batch = pixels.read(logits, mask, self.ignore_index)
        return pixels.cross_entropy(batch, self.class_weights, self.label_smoothing)


class Dice(nn.Module):
    """Takes 1 - soft Dice, averaged over the classes, class 0 included; for C = 1 of the foreground.

    Dice_c = (2 Σ p t + smooth) / (Σ p + Σ t + smooth), the sums pooled over all pixels of the batch: the
    value depends on how images are batched. A class that the batch's truth lacks has Dice
    smooth / (Σ p + smooth), so that predicting it costs.

    Source: Milletari et al. 2016 (arXiv 1606.04797) with Σ p for Σ p²; pooled as in nnU-Net
    (arXiv 1809.10486).
    """

    def __init__(self, ignore_index: int, smooth: float = 1.0) -> None:
        """Holds the parameters.

        Args:
            ignore_index: label of pixels that do not count.
            smooth: added to numerator and denominator, in pixels, ≥ 0.

        Raises:
            UserError: a value out of its range.
        """
        super().__init__()
        _require_positive(smooth=smooth)
        self.ignore_index, self.smooth = ignore_index, smooth

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, in [0, 1]."""
        return pixels.tversky(pixels.read(logits, mask, self.ignore_index), 0.5, 0.5, self.smooth / 2)


class DiceCE(nn.Module):
    """Takes dice_weight x Dice + ce_weight x CrossEntropy, from one log-softmax.

    Source: Isensee et al. 2018 (arXiv 1809.10486), section 2.3.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        ignore_index: int,
        dice_weight: float = 1.0,
        ce_weight: float = 1.0,
        smooth: float = 1.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        """Holds the parameters.

        Args:
            ignore_index: label of pixels that do not count.
            dice_weight: factor of Dice, ≥ 0.
            ce_weight: factor of CrossEntropy, ≥ 0.
            smooth: of Dice, in pixels, ≥ 0.
            class_weights: of CrossEntropy; Dice weighs classes alike as it is.

        Raises:
            UserError: a value out of its range.
        """
        super().__init__()
        _require_positive(dice_weight=dice_weight, ce_weight=ce_weight, smooth=smooth)
        self.ignore_index, self.smooth = ignore_index, smooth
        self.dice_weight, self.ce_weight = dice_weight, ce_weight
        self.register_buffer("class_weights", _weights("class_weights", class_weights), persistent=False)

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, ≥ 0.

        Raises:
            UserError: class_weights has not one number a label.
        """
        _match("class_weights", self.class_weights, logits)
        batch = pixels.read(logits, mask, self.ignore_index)
        dice = pixels.tversky(batch, 0.5, 0.5, self.smooth / 2)
        return self.dice_weight * dice + self.ce_weight * pixels.cross_entropy(batch, self.class_weights)


class Focal(nn.Module):
    """Takes -(1 - p)^gamma log p of the label, averaged over the pixels that are not ignored.

    Source: Lin et al. 2017 (arXiv 1708.02002), equations 4 and 5, p from the softmax for C > 1.
    """

    alpha: Tensor | None

    def __init__(self, ignore_index: int, gamma: float = 2.0, alpha: Sequence[float] | None = None) -> None:
        """Holds the parameters.

        Args:
            ignore_index: label of pixels that do not count.
            gamma: how fast well-classified pixels fade, ≥ 0; 0 is cross-entropy.
            alpha: a weight ≥ 0 a label, in label order (two for C = 1; .25 in the paper is [0.75, 0.25]
                here). The mean stays one over pixels, not over weights.

        Raises:
            UserError: a value out of its range.
        """
        super().__init__()
        _require_positive(gamma=gamma)
        self.ignore_index, self.gamma = ignore_index, gamma
        self.register_buffer("alpha", _weights("alpha", alpha), persistent=False)

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, ≥ 0.

        Raises:
            UserError: alpha has not one number a label.
        """
        _match("alpha", self.alpha, logits)
        return pixels.focal(pixels.read(logits, mask, self.ignore_index), self.gamma, self.alpha)


class Tversky(nn.Module):
    """Takes 1 - Tversky index, averaged over the classes; batches, absent classes and C = 1 as in Dice.

    Index_c = (TP + smooth) / (TP + alpha FP + beta FN + smooth) with soft counts; alpha = beta = .5 is Dice
    with twice this smooth.

    Source: Salehi et al. 2017 (arXiv 1706.05721), equation 3; alpha .3 and beta .7 did best there.
    """

    def __init__(self, ignore_index: int, alpha: float = 0.3, beta: float = 0.7, smooth: float = 1.0) -> None:
        """Holds the parameters.

        Args:
            ignore_index: label of pixels that do not count.
            alpha: weight of false positives, ≥ 0.
            beta: weight of false negatives, ≥ 0; above alpha favours recall.
            smooth: in pixels, ≥ 0.

        Raises:
            UserError: a value out of its range.
        """
        super().__init__()
        _require_positive(alpha=alpha, beta=beta, smooth=smooth)
        self.ignore_index, self.alpha, self.beta, self.smooth = ignore_index, alpha, beta, smooth

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, in [0, 1]."""
        return pixels.tversky(pixels.read(logits, mask, self.ignore_index), self.alpha, self.beta, self.smooth)


class Lovasz(nn.Module):
    """Takes the Lovász extension of 1 - IoU, averaged over the classes that the batch's truth holds.

    Over all pixels of the batch at once; from the softmax, for C = 1 from the sigmoid, of the foreground.
    There an absent foreground counts too: its loss is the largest probability predicted. At hard predictions
    it is 1 - IoU.

    Source: Berman et al. 2018 (arXiv 1705.08790), equations 8 to 12.
    """

    def __init__(self, ignore_index: int) -> None:
        """Holds `ignore_index`, the label of pixels that do not count."""
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, in [0, 1]."""
        return pixels.lovasz(pixels.read(logits, mask, self.ignore_index))


def _weights(name: str, values: Sequence[float] | None) -> Tensor | None:
    if values is None:
        return None
    _require(name, list(values), all(value >= 0 for value in values), "numbers ≥ 0")
    return torch.tensor([float(value) for value in values])


def _match(name: str, weights: Tensor | None, logits: Tensor) -> None:
    labels = max(logits.shape[1], 2)
    if weights is not None and len(weights) != labels:
        raise UserError(
            f"loss.{name} holds a weight a label; expected {labels} numbers; got {len(weights)}; "
            "give it one for each of dataset.classes, in label order"
        )


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        _require(name, value, value >= 0, "a number ≥ 0")


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise UserError(f"loss.{name} is out of its range; expected {expected}; got {value}; change loss.{name}")
