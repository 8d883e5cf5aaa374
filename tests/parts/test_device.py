"""Which device computes: said once for the verbs, and for the trainer."""

from collections.abc import Callable

import pytest
import torch

from segtrain.errors import UserError
from segtrain.parts.device import accelerator, device_of, switched_on


@pytest.mark.parametrize(("has_gpu", "device", "trainer"), [(True, "cuda", "gpu"), (False, "cpu", "cpu")])
def test_auto_is_the_gpu_where_there_is_one(
    has_gpu: bool, device: str, trainer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert (device_of("auto"), accelerator("auto")) == (device, trainer)
    assert (device_of("cpu"), accelerator("cpu")) == ("cpu", "cpu")


@pytest.mark.parametrize("decide", [device_of, accelerator])
@pytest.mark.parametrize("wanted", ["gpu", "cuda"])
def test_a_gpu_that_is_not_there_is_refused(
    decide: Callable[[str], str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"={wanted}, but torch sees no GPU"):
        decide(wanted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (device_of(wanted), accelerator(wanted)) == ("cuda", wanted)


def test_another_word_is_no_device_but_may_be_an_accelerator_of_the_trainer() -> None:
    with pytest.raises(UserError, match="device is 'tpu'"):
        device_of("tpu")
    assert accelerator("mps") == "mps"


@pytest.mark.parametrize(
    ("kind", "fused", "compiled"), [("cpu", True, True), ("gpu", False, True), ("gpu", True, False)]
)
def test_what_is_used_is_told_and_nothing_else(kind: str, fused: bool, compiled: bool) -> None:
    words = "; ".join(switched_on(kind, fused=fused, compiled=compiled))
    assert "channels_last" in words
    assert ("fused" in words, "compiled" in words, "pinned" in words) == (fused, compiled, kind != "cpu")
