"""Several networks as one: the mean of their probabilities."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from segtrain.model.ensemble import ensembled, log_probabilities
from segtrain.model.metrics import prediction


def drawn(seed: int, classes: int, spread: float = 3.0) -> Tensor:
    return torch.randn(2, classes, 4, 5, generator=torch.Generator().manual_seed(seed)) * spread


@given(st.integers(0, 1000), st.integers(2, 4), st.integers(2, 5), st.sampled_from([1.0, 300.0]))
def test_softmax_of_the_logits_is_the_mean_of_the_probabilities(
    seed: int, models: int, classes: int, spread: float
) -> None:
    each = [drawn(seed + i, classes, spread) for i in range(models)]
    found = ensembled([lambda _, logits=logits: logits for logits in each])(torch.zeros(1))
    mean = torch.stack([logits.softmax(1) for logits in each]).mean(0)
    torch.testing.assert_close(found.softmax(1), mean, atol=1e-5, rtol=1e-4)
    assert found.isfinite().all()


def test_a_model_of_one_logit_counts_as_two_classes() -> None:
    one, two = drawn(0, 1), drawn(1, 2)
    found = ensembled([lambda _: one, lambda _: two])(torch.zeros(1))
    expected = (torch.sigmoid(one[:, 0]) + two.softmax(1)[:, 1]) / 2
    torch.testing.assert_close(found.exp()[:, 1], expected)
    assert torch.equal(prediction(log_probabilities(one)), prediction(one))


def test_one_model_alone_is_itself() -> None:
    assert ensembled([drawn_model]) is drawn_model  # not even its bits change


def drawn_model(image: Tensor) -> Tensor:
    return image
