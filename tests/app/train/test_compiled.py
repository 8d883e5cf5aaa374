"""compile=true: training steps alone are compiled, and whatever is kept of a run is as without it."""

import functools
from pathlib import Path

import pytest
import torch

from segtrain.runs import checkpoint
from tests.conftest import SMALL, CommandLine

FEW = [o for o in SMALL if not o.startswith("trainer.max_epochs")]


def states(folder: Path, name: str) -> list[dict[str, torch.Tensor]]:
    (run,) = (folder / "outputs" / name).iterdir()
    return [checkpoint.read_checkpoint(run / "checkpoints" / f"{kind}.ckpt")["state_dict"] for kind in ("last", "best")]


def test_names_and_bits_are_as_without_it_where_the_backend_s_are(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        compiled.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    for name, more in (("plain", []), ("fast", ["compile=true"])):
        typed = [*FEW, "trainer.max_epochs=1", "deep_supervision=true", "ema=0.9", f"name={name}", *more]
        assert segtrain(*typed) == 0, segtrain.err
        assert bool(compiled) is bool(more) is ("training steps compiled" in segtrain.out)
    for mine, other in zip(states(segtrain.folder, "fast"), states(segtrain.folder, "plain"), strict=True):
        assert list(mine) == list(other)
        assert all(torch.equal(mine[name], value) for name, value in other.items())


@pytest.mark.parametrize("typed", ["data.crop=null", "data.padding=stride"])
def test_images_of_several_sizes_are_refused(segtrain: CommandLine, typed: str) -> None:
    small = [o for o in FEW if not o.startswith(typed.partition("=")[0])]
    assert segtrain(*small, typed, "compile=true") == 2
    assert f"got {typed}" in segtrain.err
    assert list(segtrain.folder.iterdir()) == []
