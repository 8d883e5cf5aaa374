"""Three ranks with unequal shares and ignored pixels have the loss and the gradients of one process."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segtrain.model import losses
from segtrain.model.batch_norm import PooledBatchNorm, pool_batch_norm
from segtrain.model.metrics import Evaluation
from segtrain.model.ranks import ALONE, Ranks
from tests.model.together import on_ranks

RANKS, SAMPLES, CLASSES = 3, 7, 3
LOSSES: dict[str, nn.Module] = {
    "ce": losses.CrossEntropy(255, class_weights=[0.2, 1, 3], label_smoothing=0.1),
    "dice": losses.Dice(255),
    "dice_ce": losses.DiceCE(255),
    "focal": losses.Focal(255, alpha=[1.0, 2.0, 0.5]),
    "tversky": losses.Tversky(255),
    "lovasz": losses.Lovasz(255),
    "of others": nn.CrossEntropyLoss(),  # a mean over samples, which no sums of ours are pooled in
}


def network() -> nn.Module:
    torch.manual_seed(0)
    parts = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, CLASSES, 1)
    return nn.Sequential(*parts).double()


def batch(with_ignored: bool) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    image = torch.randn(SAMPLES, 2, 6, 5, generator=rng, dtype=torch.float64)
    mask = torch.randint(0, CLASSES, (SAMPLES, 6, 5), generator=rng)
    if with_ignored:
        mask[0, :4] = mask[5:, :, 2:] = 255  # far more in some shares than in others
        mask[3] = 255
    return image, mask


def trained(name: str, ranks: Ranks, share: slice) -> tuple[float, dict[str, Tensor], dict[str, Tensor]]:
    """Loss, gradients averaged over the ranks as torch's DistributedDataParallel does, and the buffers."""
    net = network()
    if not ranks.is_alone:
        pool_batch_norm(net, on_gpu=False)
    image, mask = batch(with_ignored=name != "of others")
    taken = mask[share]
    loss = ranks.pool_loss(lambda: LOSSES[name](net(image[share]), taken), len(taken))
    loss.backward()
    mine = {key: weight.grad for key, weight in net.named_parameters() if weight.grad is not None}
    all_ = ranks.gather(mine)
    gradients = {key: torch.stack([one[key] for one in all_]).mean(0) for key in mine}
    return float(loss.detach()), gradients, dict(net.named_buffers())


def of_rank(name: str, ranks: Ranks) -> Any:
    bounds = [0, 1, 3, SAMPLES]  # of 7 samples 1, 2 and 4
    return trained(name, ranks, slice(bounds[ranks.rank], bounds[ranks.rank + 1]))


@torch.no_grad()
def evaluated(ranks: Ranks) -> dict[str, float]:
    found, mine = Evaluation(["background", "a", "b"], 255), range(ranks.rank, SAMPLES, ranks.count)
    image, mask = batch(with_ignored=True)
    net = network().eval()
    for index in mine:
        given = {"image": image[index : index + 1], "mask": mask[index : index + 1], "index": torch.tensor([index])}
        found.predict(net, given, LOSSES["dice_ce"])
    if not ranks.is_alone:
        found.gather(ranks, range(SAMPLES))
    return found.scores()


def agreed(ranks: Ranks) -> list[int]:
    ranks.wait()
    return ranks.agree(ranks.rank, -ranks.rank)


CHECKS: dict[str, Callable[[Ranks], Any]] = {name: functools.partial(of_rank, name) for name in LOSSES}
CHECKS |= {"scores": evaluated, "agreed": agreed}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return on_ranks(CHECKS, tmp_path_factory.mktemp("ranks"), RANKS)


@pytest.mark.parametrize("name", LOSSES)
def test_ranks_have_the_loss_and_the_gradient_of_one_process(name: str, found: list[dict[str, Any]]) -> None:
    loss, gradients, buffers = trained(name, ALONE, slice(None))
    for one in found:
        assert one[name][0] == pytest.approx(loss, abs=1e-12)
        for key, gradient in gradients.items():
            assert torch.allclose(one[name][1][key], gradient, rtol=1e-9, atol=1e-12), key
        for key, buffer in buffers.items():
            assert torch.allclose(one[name][2][key], buffer, rtol=1e-12, atol=1e-12), key


def test_an_evaluation_that_is_gathered_is_to_the_bit_that_of_one_process(found: list[dict[str, Any]]) -> None:
    assert all(one["scores"] == evaluated(ALONE) for one in found)


def test_ranks_agree_on_the_largest_number(found: list[dict[str, Any]]) -> None:
    assert all(one["agreed"] == [RANKS - 1, 0] for one in found)
    assert ALONE.agree(3, 1) == [3, 1]


def test_a_pooled_batch_norm_has_the_state_of_a_plain_one() -> None:
    plain, pooled = network(), pool_batch_norm(network(), on_gpu=False)
    assert isinstance(pooled[1], PooledBatchNorm)  # type: ignore[index]
    assert [*plain.state_dict()] == [*pooled.state_dict()]
    image, _ = batch(with_ignored=False)
    assert torch.equal(plain.eval()(image), pooled.eval()(image))
