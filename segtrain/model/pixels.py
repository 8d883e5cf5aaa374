"""Reads a batch of logits and labels as the losses do, and holds the formulas over it."""

from typing import NamedTuple

import torch
from torch import Tensor

from segtrain.model.ranks import joined, total

# Keeps 0/0 at 0 where nothing is counted; far below the weight of a single pixel.
EPS = 1e-12
ALL = (0, 2, 3)  # a sum over these dims is pooled over the batch and leaves the classes


class Pixels(NamedTuple):
    """Holds log-probabilities and truth of a batch; K = max(C, 2): C = 1 is two classes with logits (0, logit)."""

    log_probs: Tensor  # (N, K, H, W); finite where ignored, with zero gradient to the logits
    truth: Tensor  # (N, K, H, W), 1 at the label, else 0; all 0 where ignored
    valid: Tensor  # (N, 1, H, W), 0 where ignored, else 1
    first: int  # first class that a region loss counts: 1 for C = 1, else 0


def read(logits: Tensor, mask: Tensor, ignore_index: int) -> Pixels:
    """Returns pixels of logits (N, C, H, W), any float, and mask (N, H, W), any integer.

    float32 inside and under autocast, float64 for float64 logits.

    Raises:
        ValueError: the mask is not of the size of the logits.
    """
    if mask.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            f"a mask has the logits' size without their classes; expected (N, H, W) for "
            f"{tuple(logits.shape)}; got {tuple(mask.shape)}"
        )
    mask = mask.unsqueeze(1)
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    logits = logits.to(dtype, memory_format=torch.contiguous_format)
    # Ignored logits go here, not later: 0 x NaN is NaN, in the backward pass too.
    logits = torch.where(mask != ignore_index, logits, logits.new_zeros(()))
    first = 0
    if logits.shape[1] == 1:
        logits, first = torch.cat((torch.zeros_like(logits), logits), 1), 1
    # Comparing straight into floats takes a fifth of the time of .float() after it, an eighth of F.one_hot.
    valid = torch.ne(mask, ignore_index, out=logits.new_empty(mask.shape))
    labels = torch.arange(logits.shape[1], dtype=mask.dtype, device=mask.device).view(1, -1, 1, 1)
    truth = torch.eq(mask, labels, out=logits.new_empty(logits.shape))
    if 0 <= ignore_index < logits.shape[1]:
        truth = truth * valid
    return Pixels(logits.log_softmax(1), truth, valid, first)


def cross_entropy(pixels: Pixels, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Returns cross-entropy, a mean over valid pixels, weighted by weights (K,) of their labels."""
    wanted, spread = pixels.truth, pixels.valid
    if weights is not None:
        weights = weights.to(wanted.dtype).view(1, -1, 1, 1)
        wanted, spread = wanted * weights, spread * weights
    count = pixels.valid.sum() if weights is None else wanted.sum()
    loss = -(pixels.log_probs * wanted).sum()
    if smoothing:
        even = -(pixels.log_probs * spread).sum() / pixels.truth.shape[1]
        loss = (1 - smoothing) * loss + smoothing * even
    loss, count = total(loss, count)
    return loss / count.clamp_min(EPS)


def focal(pixels: Pixels, gamma: float, weights: Tensor | None = None) -> Tensor:
    """Returns -(1 - p)^gamma log p of the label, times its weight (K,), a plain mean over valid pixels."""
    log_p = (pixels.log_probs * pixels.truth).sum(1)  # 0 where ignored, and so is the product below
    # 1 - p is kept off 0, where the gradient of a power below 1 is infinite.
    miss = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny)
    loss = -(miss**gamma) * log_p
    if weights is not None:
        loss = loss * (pixels.truth * weights.to(loss.dtype).view(1, -1, 1, 1)).sum(1)
    summed, count = total(loss.sum(), pixels.valid.sum())
    return summed / count.clamp_min(EPS)


def tversky(pixels: Pixels, alpha: float, beta: float, smooth: float) -> Tensor:
    """Returns mean over classes of 1 - index, as wrong / (right + wrong): exactly 0 where nothing is counted."""
    truth = pixels.truth[:, pixels.first :]
    probs = pixels.log_probs[:, pixels.first :].exp() * pixels.valid
    right = (probs * truth).sum(ALL)
    wrong = alpha * (probs.sum(ALL) - right) + beta * (truth.sum(ALL) - right)
    right, wrong = total(right, wrong)
    return (wrong / (right + wrong + smooth).clamp_min(EPS)).mean()


def lovasz(pixels: Pixels) -> Tensor:
    """Returns the Lovász extension of 1 - IoU: a mean over the present classes; for C = 1 the foreground's, always."""
    truth = _by_class(pixels.truth, pixels)
    # Ignored pixels have error 0: they sort behind all that count, and weigh nothing.
    errors = (truth - _by_class(pixels.log_probs, pixels).exp()).abs() * pixels.valid.flatten()
    errors, truth = joined(errors), joined(truth)
    losses = (errors * _growth(errors.detach(), truth)).sum(1)
    counted = truth.any(1).to(losses.dtype) if pixels.first == 0 else torch.ones_like(losses)
    return (losses * counted).sum() / counted.sum().clamp_min(1)


def _by_class(values: Tensor, pixels: Pixels) -> Tensor:
    """Returns (N, K, H, W) as (counted classes, pixels)."""
    return values[:, pixels.first :].transpose(0, 1).flatten(1)


def _growth(errors: Tensor, truth: Tensor) -> Tensor:
    """Returns by how much 1 - IoU grows as each pixel turns wrong, in order of falling error: (K, P) like the errors.

    Source: Berman et al. 2018 (arXiv 1705.08790), equation 9 and algorithm 1.
    """
    order = errors.argsort(dim=1, descending=True, stable=True)
    hit = truth.gather(1, order).bool()
    gone = hit.cumsum(1)  # of integers: exact, and deterministic on CUDA, where a cumsum of floats is not
    total = gone[:, -1:]
    place = torch.arange(1, hit.shape[1] + 1, device=hit.device)
    intersection, union = (total - gone).to(errors.dtype), (total + place - gone).to(errors.dtype)
    # The difference of neighbouring values of 1 - intersection / union, without its cancellation.
    growth = torch.where(hit, 1 / union, intersection / (union * (union - 1)).clamp_min(1))
    growth[:, :1] += total == 0  # class not in the truth: its first false positive takes IoU from 1 to 0
    return torch.zeros_like(errors).scatter(1, order, growth)
