"""Lets batch norm normalise over the batch of all ranks, where several processes train one network."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Summed(torch.autograd.Function):
    """Sums over ranks what each goes on with in another way: so its gradient is summed over ranks too."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        summed = values.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed


def _summed(values: Tensor) -> Tensor:
    found: Tensor = _Summed.apply(values)  # type: ignore[no-untyped-call]
    return found


class PooledBatchNorm(nn.BatchNorm2d):
    """Normalises by mean and variance over the shares of all ranks in training, on any device; else as its base.

    Source: Ioffe and Szegedy 2015 (arXiv 1502.03167), algorithm 1, the batch being that of all ranks; as torch's
    SyncBatchNorm, which takes a GPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Returns normalised (N, C, H, W), and moves the running statistics on."""
        if not self.training:
            return super().forward(input)
        values = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        channels, shape = values.shape[1], (1, -1, 1, 1)
        count = values.new_tensor(float(values.numel() // channels))
        sums = _summed(torch.cat((values.sum((0, 2, 3)), count[None])))
        number = sums[-1].detach()
        mean = sums[:-1] / number
        centred = values - mean.view(shape)
        variance = _summed(centred.square().sum((0, 2, 3))) / number
        self._move_on(mean.detach(), variance.detach() * number / (number - 1).clamp_min(1))
        found = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            found = found * self.weight.view(shape) + self.bias.view(shape)
        return found.to(input.dtype)

    def _move_on(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


def pool_batch_norm(network: nn.Module, *, on_gpu: bool) -> nn.Module:
    """Returns the network with every batch norm over the batches of all ranks; names of its state stay as they are."""
    if on_gpu:
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for layer in network.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = PooledBatchNorm  # which has the same state, and keeps what others hold of it
    return network


def has_batch_norm(network: nn.Module) -> bool:
    """Returns whether a layer of the network normalises over the batch."""
    return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())
