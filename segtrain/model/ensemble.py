"""Several networks as one."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from segtrain.model.windows import Model


def ensembled(models: Sequence[Model]) -> Callable[[Tensor], Tensor]:
    """The models as one whose logits are the logarithm of the mean of their probabilities: (N, K, H, W) float32.

    Softmax gives the mean back, so what follows need not know. Models with one logit for two classes count as two
    logits, 0 and theirs, and so does the result. One model alone is returned as it is.
    """
    if len(models) == 1:
        return models[0]

    def mean(image: Tensor) -> Tensor:
        logs = torch.stack([log_probabilities(model(image)) for model in models])
        return torch.logsumexp(logs, 0) - math.log(len(models))

    return mean


def log_probabilities(logits: Tensor) -> Tensor:
    """Logarithms (N, max(K, 2), H, W) float32 of the classes' probabilities; one logit is that of class 1."""
    logits = logits.float()
    if logits.shape[1] == 1:
        return torch.cat([F.logsigmoid(-logits), F.logsigmoid(logits)], 1)
    return F.log_softmax(logits, 1)
