"""Strength over the epochs: one policy for each, chosen by the epoch of a sample's key and by nothing else."""

import re
from collections.abc import Sequence

import numpy as np

from segtrain.aug.policy import Key, Pair, Policy
from segtrain.errors import UserError

_OFF_LAST = re.compile(r"off_last_(\d+)_epochs")


def factor(schedule: str, epoch: int, epochs: int) -> float:
    """What `aug.strength` is multiplied by in an epoch, 0..1.

    Args:
        schedule: constant: 1. linear_up: from 0 in the first epoch to 1 in the last. linear_down: the other way.
            off_last_N_epochs, N a number: 1, then 0 in the last N epochs.
        epoch: 0..epochs-1.
        epochs: of the whole training.

    Raises:
        UserError: no such schedule.
    """
    passed = epoch / (epochs - 1) if epochs > 1 else 1.0
    if schedule == "constant":
        return 1.0
    if schedule == "linear_up":
        return passed
    if schedule == "linear_down":
        return 1.0 - passed if epochs > 1 else 1.0
    if match := _OFF_LAST.fullmatch(str(schedule)):
        return float(epoch < epochs - int(match[1]))
    raise UserError(
        "aug.schedule is how strength goes over the epochs; expected constant, linear_up, linear_down or "
        f"off_last_N_epochs with a number for N, such as off_last_5_epochs; got {schedule!r}"
    )


class ScheduledPolicy:
    """One policy an epoch, chosen by the key; after the last epoch the last one stays."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        """Hold the policy of each epoch, from epoch 0."""
        self.policies = tuple(policies)

    def at(self, epoch: int) -> Policy:
        """The policy of an epoch."""
        return self.policies[min(epoch, len(self.policies) - 1)]

    def __call__(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """As `Policy.__call__`, by the policy of the key's epoch, its second part."""
        return self.at(key[1])(image, mask, key)

    def tensors(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """As `Policy.tensors`, by the policy of the key's epoch."""
        return self.at(key[1]).tensors(image, mask, key)
