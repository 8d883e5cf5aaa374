"""Gives a run weights to begin with, of another run or of a file, read as data, and lists what became of them."""

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from segtrain.app.train.terminal import Terminal
from segtrain.config.run_config import RunConfig
from segtrain.errors import UserError
from segtrain.files import opened, require_regular
from segtrain.model.initial import Taken, begin_with
from segtrain.runs import checkpoint, run_files
from segtrain.runs.find_run import weights_file
from segtrain.runs.folder import RunFolder

if TYPE_CHECKING:
    from segtrain.model.supervision import Supervision

WRAPPED = ("state_dict", "model_state_dict", "model")  # keys under which others keep the weights in a checkpoint
SHOWN = 5  # names of a kind in the log; init.json has all


def supervision_of(config: RunConfig, network: nn.Module) -> "Supervision | None":
    """Returns the further outputs in training that `deep_supervision` asks for."""
    wanted = config.deep_supervision
    if wanted is False:
        return None
    from segtrain.model.supervision import Supervision  # here, because it takes up segmentation_models_pytorch

    return Supervision(network, None if wanted is True else list(wanted))


def give_initial_weights(
    config: RunConfig, run: RunFolder, network: nn.Module, channels: int, terminal: Terminal, writes: bool = True
) -> None:
    """Gives a network that is new the weights of `init_from`, and says what matched, here and in init.json.

    A run that goes on has its weights from its own checkpoint: the file need not be there any more, but if it is, it
    must be what it was. Of several processes one writes.

    Raises:
        UserError: no such weights, weights of another network or changed ones; an encoder frozen for too long.
    """
    _require_thawing(config, terminal)
    goes_on = run.has_checkpoint
    if not goes_on and writes:
        run.write_initial_weights(None)  # of a beginning that came to nothing
    if config.init_from is None:
        return
    if goes_on:
        _require_unchanged(run)
        return
    path = weights_file(config.init_from, Path(config.outputs))
    digest = sha256_of(path)
    try:
        taken = begin_with(network, read_weights(path), channels)
    except UserError as error:
        raise UserError(f"init_from={config.init_from}: {error}") from error
    known = {"init_from": config.init_from, "file": str(path.resolve()), "sha256": digest}
    lists = {"matched": taken.matched, "adapted": taken.adapted, "random": taken.random, "unused": taken.unused}
    if writes:
        run.write_initial_weights({**known, **lists})
    for line in _lines(path, network, taken):
        terminal.say(line)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Returns tensors by name, from a safetensors file, a checkpoint of ours, or what torch.save wrote of a state_dict.

    Raises:
        UserError: the file is damaged, holds more than data, no weights, or such as are no numbers.
    """
    try:
        require_regular(path)
        if path.suffix == ".safetensors":
            found: Any = safetensors.torch.load_file(path)
        elif path.with_name(f"{path.name}.sha256").exists():
            found = checkpoint.read_checkpoint(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"'{path}' was not loaded; expected a safetensors file, or tensors and plain values that torch.save wrote "
            f"(a state_dict): code in a file is never run; got: {reason}; save its state_dict() and give that file"
        ) from error
    for key in WRAPPED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, Mapping) else {}
    if not tensors:
        raise UserError(
            f"'{path}' holds no weights; expected tensors by name (a state_dict); got {type(found).__name__}; "
            "give a file of weights"
        )
    if bad := [name for name, each in tensors.items() if each.is_floating_point() and not each.isfinite().all()]:
        raise UserError(
            f"'{path}' has weights that are no finite numbers; expected none; got {len(bad)} such tensors, the first "
            f"{bad[0]}; give weights of a training that went well"
        )
    return tensors


def sha256_of(path: Path) -> str:
    """Returns the file's sha256."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_unchanged(run: RunFolder) -> None:
    before = run.initial_weights
    path = Path(before["file"])
    if path.is_file() and (now := sha256_of(path)) != before["sha256"]:
        raise UserError(
            f"the weights that {run.path} began with have changed since: '{path}'; expected sha256 "
            f"{before['sha256'][:12]}; got {now[:12]}; restore the file, or move it away (the run goes on from its own "
            "checkpoint), or start a new run with name=…"
        )


def _require_thawing(config: RunConfig, terminal: Terminal) -> None:
    frozen, epochs = config.freeze_encoder, config.trainer.max_epochs
    if frozen > epochs:
        raise UserError(
            f"freeze_encoder={frozen} is longer than the training; expected at most trainer.max_epochs={epochs} (with "
            "as many the encoder never moves); give fewer, or train longer"
        )
    if frozen and config.init_from is None and config.model.get("encoder_weights") is None:
        terminal.say("warning: freeze_encoder holds an encoder of random weights still; init_from=RUN gives it others")


def _lines(path: Path, network: nn.Module, taken: Taken) -> Iterable[str]:
    """Yields lines on what matched, what was adapted, left random and not used."""
    own = network.state_dict()
    share = sum(own[name].numel() for name in taken.taken) / sum(tensor.numel() for tensor in own.values())
    yield f"init_from '{path}': {len(taken.taken)} of {len(own)} tensors, {share:.1%} of the network's numbers"
    listed = {
        "adapted": [f"{name} ({how})" for name, how in taken.adapted.items()],
        "left random": [f"{name} ({why})" for name, why in taken.random.items()],
        "not used": taken.unused,
    }
    for kind, names in listed.items():
        more = f", and {len(names) - SHOWN} more (all in {run_files.INITIAL_WEIGHTS})" if len(names) > SHOWN else ""
        if names:
            yield f"  {kind}: {', '.join(names[:SHOWN])}{more}"
