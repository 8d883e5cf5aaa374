"""Supervises deeply: in training, coarser stages of a decoder answer too, each by a head of its own."""

from collections.abc import Callable, Sequence

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder  # type: ignore[import-untyped]
from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F

from segtrain.errors import UserError

Loss = Callable[[Tensor, Tensor], Tensor]


class Supervision(nn.Module):
    """Holds heads on stages of a network's decoder, and the weighted sum of their losses and the network's own.

    The network itself stays as it is: the heads lie beside it, listen while a loss is computed, and are not asked in
    evaluation. Each is a 1x1 convolution; its loss is taken against the mask at the stage's size: the label with the
    largest share of the area that a pixel of the stage stands for. For a U-Net the stages are its decoder's, fine to
    coarse; for a U-Net++ the nested nodes before the last decoder block, long to short paths.

    Source: Lee et al. 2015 (arXiv 1409.5185); weights and heads as nnU-Net (Isensee et al. 2021, arXiv 1904.08128);
    the nodes of U-Net++ as Zhou et al. 2018 (arXiv 1807.10165), section 3.2, which weighs all alike: [1, 1, 1, 1].
    """

    def __init__(self, network: nn.Module, weights: Sequence[float] | None = None) -> None:
        """Builds the heads, from random numbers of their own: the network's and those of training stay as they are.

        Args:
            network: images (N, C, H, W) to logits (N, K, H, W), of an architecture with such stages.
            weights: of the losses, the network's own first, then stage after stage; divided by their sum. None: each
                half of the one before, for all stages but the U-Net's coarsest.

        Raises:
            UserError: an architecture without such stages, or more weights than it has.
        """
        super().__init__()
        stages = _stages(network)
        usual = len(stages) - isinstance(network.decoder, UnetDecoder)
        given = [0.5**i for i in range(usual + 1)] if weights is None else list(weights)
        if not 2 <= len(given) <= len(stages) + 1:
            raise UserError(
                f"deep_supervision has {len(given)} weights; expected from 2 to {len(stages) + 1}: the network's own "
                f"output, then stages of its decoder ({', '.join(stages)}); give so many, or true"
            )
        self.names = list(stages)[: len(given) - 1]
        self.weights = [weight / sum(given) for weight in given]
        last = network.get_submodule("segmentation_head.0")
        assert isinstance(last, nn.Conv2d)
        with torch.random.fork_rng(devices=[]):
            self.heads = nn.ModuleList(nn.Conv2d(stages[name], last.out_channels, 1) for name in self.names)

    def forward(self, network: nn.Module, answer: Callable[[], Tensor], mask: Tensor, loss: Loss) -> Tensor:
        """Returns the weighted sum of the losses.

        Args:
            network: as at construction.
            answer: applies it to a batch; returns its logits (N, K, H, W).
            mask: labels (N, H, W).
            loss: (logits, mask) to a scalar.
        """
        heard: dict[str, Tensor] = {}
        listening = [network.get_submodule(name).register_forward_hook(_into(heard, name)) for name in self.names]
        try:
            logits = [answer()]
        finally:
            for each in listening:
                each.remove()
        logits += [head(heard[name]) for head, name in zip(self.heads, self.names, strict=True)]
        losses = [loss(each, shrunk(mask, each.shape[-2:], max(2, each.shape[1]))) for each in logits]
        return torch.stack([weight * each for weight, each in zip(self.weights, losses, strict=True)]).sum()


def shrunk(mask: Tensor, size: Sequence[int], classes: int) -> Tensor:
    """Returns the mask (N, H, W) at a smaller size, each pixel the label with the largest share of its area.

    Any one pixel of the area, the nearest to its middle too, lies half a pixel beside it where the factor is even. Of
    equal shares the lowest label wins, as in `segtrain.area.shrink_labels`.

    Args:
        mask: labels 0 to classes - 1, and at most one further, larger value, the ignore index.
        size: height and width.
        classes: how many labels there are.
    """
    if mask.shape[-2:] == tuple(size):
        return mask
    labels, most = mask.new_zeros(len(mask), *size), mask.new_zeros(len(mask), *size, dtype=torch.float32)
    for label in range(classes + 1):
        there, value = (mask == label, label) if label < classes else (mask >= classes, mask.amax())
        share = F.adaptive_avg_pool2d(there.float(), (size[0], size[1]))
        labels, most = torch.where(share > most, value, labels), torch.maximum(share, most)
    return labels


def _stages(network: nn.Module) -> dict[str, int]:
    """Returns names of the modules that heads can listen to, in the order of weights, each with its feature maps."""
    decoder = getattr(network, "decoder", None)
    if isinstance(decoder, UnetDecoder):
        names = [f"decoder.blocks.{i}" for i in reversed(range(len(decoder.blocks) - 1))]
    elif isinstance(decoder, UnetPlusPlusDecoder):
        names = [f"decoder.blocks.x_{i}_{decoder.depth - 1}" for i in range(1, decoder.depth)]
    else:
        raise UserError(
            "deep supervision needs a decoder whose stages can answer by themselves; expected a network of "
            "segmentation_models_pytorch.Unet or UnetPlusPlus (model=unet_resnet18, unet_shallow, unetplusplus); got "
            f"{type(network).__name__}; choose one of those, or give deep_supervision=false"
        )
    convolutions = {name: _last_convolution(network.get_submodule(name)) for name in names}
    return {name: each.out_channels for name, each in convolutions.items() if each is not None}


def _last_convolution(block: nn.Module) -> nn.Conv2d | None:
    """Returns that of a decoder's block; none in a U-Net++ whose encoder has no feature maps of that size."""
    last = block.conv2[0] if isinstance(block.conv2, nn.Sequential) else None
    return last if isinstance(last, nn.Conv2d) else None


def _into(heard: dict[str, Tensor], name: str) -> Callable[..., None]:
    def note(module: nn.Module, inputs: object, output: Tensor) -> None:
        heard[name] = output

    return note
