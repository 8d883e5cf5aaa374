"""Writes checkpoints whole, with their sha256 beside them, and says which one to go on from.

`last.ckpt.sha256` has the form of sha256sum. While a checkpoint is replaced it lists two sums, the old
content's and the new one's; a content is whole when its sum is listed. So a crash between any two
renames leaves a file that verifies:

    write .last.ckpt.part → list old and new sum → rename to last.ckpt → list the new sum only
"""

import hashlib
import itertools
import json
import os
import shutil
import sys
import threading
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, cast

import safetensors.torch
import torch

from segtrain.errors import UserError, damaged
from segtrain.files import created, opened, part, put, text_of, to_disk, write_whole
from segtrain.runs.contents import is_whole
from segtrain.runs.folder import best_weights_in
from segtrain.runs.run_files import BEST, LAST, PREVIOUS, WEIGHTS

RECORDER = "Recorder"  # the callback that keeps the best epoch and the random states
PLACE = ("epoch", "batches")  # of the data module: where training goes on
PLAIN = (
    *(bool, int, float, complex, str, bytes, type(None)),
    *(dict, OrderedDict, Counter, list, tuple, set),
    *(torch.Tensor, torch.nn.Parameter, torch.Size, torch.dtype, torch.device),
)


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Writes a checkpoint and its sum; at every moment `path` holds the old one or the new one, whole.

    Raises:
        UserError: full disk, read-only file system, missing folder or permission; `path` is unchanged.
        TypeError: it holds an object that reading with weights_only=True would refuse; names its key.
    """
    check_plain(checkpoint, "checkpoint")
    with part(path) as temporary:
        digest = _save(checkpoint, temporary)
        _replace(temporary, path, [digest])


def read_checkpoint(path: Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Returns the checkpoint, verified by its sum and loaded as data: no code in it can run.

    Raises:
        UserError: missing, damaged, or holding more than plain data.
    """
    if problem := _problem(path):
        raise UserError(f"{problem}; give a checkpoint that segtrain wrote, with its .sha256 file beside it")
    try:
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # whatever torch makes of bytes that it did not write
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"checkpoint '{path}' was not loaded; expected tensors and plain values; got: {reason}; "
            "give a checkpoint that segtrain wrote"
        ) from error
    return loaded


def read_training(path: Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Returns the checkpoint of a training, as `read_checkpoint`: weights, epoch, and where its training stands.

    Raises:
        UserError: as `read_checkpoint`; or it lacks one of these.
    """
    state: Any = read_checkpoint(path, map_location)
    problem = _missing(state)
    if problem:
        raise damaged(path, problem, "a checkpoint that training wrote")
    found: dict[str, Any] = state
    return found


def _missing(state: Any) -> str:
    """Returns what of a training's checkpoint is not as training writes it; "" for nothing."""
    if not isinstance(state, Mapping):
        return type(state).__name__
    kinds: dict[str, type] = dict.fromkeys(("state_dict", "DataModule", "callbacks", "loops"), dict)
    kinds |= {"optimizer_states": list, "lr_schedulers": list, "losses": torch.Tensor}
    wrong = [key for key, kind in kinds.items() if not isinstance(state.get(key), kind)]
    weights = {} if "state_dict" in wrong else state["state_dict"]
    if not weights or not all(isinstance(weight, torch.Tensor) for weight in weights.values()):
        wrong.append("state_dict")
    numbers = [state.get("epoch"), *([] if "DataModule" in wrong else map(state["DataModule"].get, PLACE))]
    if not all(is_whole(number) and number >= 0 for number in numbers):
        wrong.append("epoch")
    wrong += [key for key in ("optimizer_states", "lr_schedulers") if key not in wrong and len(state[key]) != 1]
    callbacks = {} if "callbacks" in wrong else state["callbacks"]
    if RECORDER not in callbacks or not all(isinstance(one, dict) for one in callbacks.values()):
        wrong.append("callbacks")
    return f"another '{wrong[0]}', or none" if wrong else ""


def save_last(checkpoint: Mapping[str, Any], folder: Path) -> None:
    """Writes last.ckpt; the last.ckpt there was becomes previous.ckpt.

    The new one is renamed into place first, so that a damaged old one never displaces the only whole one;
    an old one that is cut off does not replace previous.ckpt at all.

    Raises:
        UserError, TypeError: as `write_checkpoint`.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if not _is_whole(last):
        write_checkpoint(checkpoint, last)
        return
    with part(previous) as twin:
        sums = _sums(last)
        _link(last, twin)
        write_checkpoint(checkpoint, last)
        _replace(twin, previous, sums)


def _is_whole(path: Path) -> bool:
    """Returns whether a file is there that is not cut off, by its end alone: the sum would cost time every epoch."""
    try:
        with opened(path) as file:
            return zipfile.is_zipfile(file)
    except (FileNotFoundError, UserError):  # a pipe or a link that leads nowhere is replaced
        return False


def save_best(folder: Path) -> None:
    """Makes best.ckpt the same as last.ckpt; costs no space where the file system has hard links."""
    with part(folder / BEST) as twin:
        _link(folder / LAST, twin)
        _replace(twin, folder / BEST, _sums(folder / LAST))


def save_weights(folder: Path, weights: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Writes best.safetensors, with `about` as JSON in its metadata.

    Raises:
        UserError: the disk does not take it.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    metadata = {"segtrain": json.dumps(about)}  # one entry: the order of several is another in each process
    write_whole(folder / WEIGHTS, safetensors.torch.save(plain, metadata))


def keep_weights(folder: Path) -> None:
    """Leaves best.safetensors alone: the run cannot be trained longer."""
    for name in (LAST, PREVIOUS, BEST):
        for path in (folder / name, _beside(folder / name)):
            path.unlink(missing_ok=True)


def newest(folder: Path) -> tuple[Path, str | None]:
    """Returns the checkpoint to go on from, and a warning that names last.ckpt when it is previous.ckpt.

    Raises:
        UserError: neither is whole.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    problem = _problem(last)
    if problem is None:
        return last, None
    older = _problem(previous)
    if older is None:
        return previous, f"{problem}; going on from '{previous}'"
    whole = best_weights_in(folder)
    if whole == folder / BEST and _problem(whole):
        whole = None
    way = "delete the run folder and run again"
    if whole:
        way = f"begin a new run (name=…) with the weights that are left, init_from='{whole}', or {way}"
    raise UserError(f"no checkpoint to go on from: {problem}; {older}; {way}")


class CheckpointWriter:
    """Writes a folder's checkpoints one after the other in a thread of its own: training goes on meanwhile."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder; nothing is being written yet."""
        self.folder = folder
        self._copy: dict[str, Any] = {}  # the last one, whose memory the next one takes: fresh pages cost five times
        self._thread = ThreadPoolExecutor(1, initializer=_step_back)
        self._pending: list[Future[None]] = []

    def last(self, checkpoint: Mapping[str, Any]) -> None:
        """Begins to write last.ckpt from a copy, after what was begun before.

        Raises:
            UserError, TypeError: of what was begun before; or it holds more than plain values.
        """
        check_plain(checkpoint, "checkpoint")
        self.wait()
        self._copy = _copied(checkpoint, self._copy)
        self._pending.append(self._thread.submit(save_last, self._copy, self.folder))

    def best(self) -> None:
        """Begins to make best.ckpt the same as the last.ckpt begun before."""
        self._pending.append(self._thread.submit(save_best, self.folder))

    def wait(self) -> None:
        """Returns when all that was begun is on the disk.

        Raises:
            UserError: the disk did not take it.
        """
        pending, self._pending = self._pending, []
        for writing in pending:
            writing.result()


def _save(checkpoint: Mapping[str, Any], temporary: Path) -> str:
    """Writes to the disk and returns the sha256 of what was written."""
    with created(temporary) as file:
        summed, before = _Summed(file), torch.serialization.get_crc32_options()
        torch.serialization.set_crc32_options(False)  # the sha256 says more, and each costs a pass
        try:
            torch.save(checkpoint, cast(IO[bytes], summed))
        except RuntimeError as error:
            raise summed.failure or error from error  # torch buries the disk's error under its own
        finally:
            torch.serialization.set_crc32_options(before)
        to_disk(file)
    return summed.digest.hexdigest()


class _Summed:
    """Writes to a file and keeps the sum of its content and the error of a failed write."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, content: bytes) -> int:
        try:
            self.file.write(content)
        except OSError as error:
            self.failure = error
            raise
        self.digest.update(content)
        return len(content)

    def flush(self) -> None:
        self.file.flush()


def _replace(temporary: Path, path: Path, sums: list[str]) -> None:
    """Puts the temporary file, whose sum is listed in `sums`, in the place of `path`."""
    _list_sums(path, sums + (_sums(path) if path.exists() else []))
    put(temporary, path)
    _list_sums(path, sums)


def _link(source: Path, temporary: Path) -> None:
    """Makes a second name for the same content, or a copy where the file system has no hard links."""
    try:
        os.link(source, temporary)
    except OSError:
        with opened(source) as old, created(temporary) as new:
            shutil.copyfileobj(old, new)
            to_disk(new)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sums(path: Path) -> list[str]:
    beside = _beside(path)
    lines = text_of(beside, errors="replace").splitlines() if beside.exists() else []
    return [line.split()[0] for line in lines if line.strip()]


def _list_sums(path: Path, sums: Iterable[str]) -> None:
    write_whole(_beside(path), "".join(f"{digest}  {path.name}\n" for digest in dict.fromkeys(sums)))


def _problem(path: Path) -> str | None:
    """Returns what is wrong with the checkpoint, naming it; None when it is there and whole."""
    try:
        with opened(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except UserError as error:
        return f"checkpoint {error}"
    except OSError as error:
        return f"checkpoint '{path}' cannot be read: {error.strerror}"
    sums = _sums(path)
    if digest in sums:
        return None
    expected = sums[0][:12] if sums else f"a sum in '{_beside(path).name}'"
    return f"checkpoint '{path}' is damaged: expected sha256 {expected}; got {digest[:12]}"


def check_plain(value: object, where: str) -> None:
    """Raises at writing what would only be noticed at reading, after the run died."""
    if type(value) not in PLAIN:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(f"{where} is a {kind}; a checkpoint holds tensors and plain values only: convert it")
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_plain(key, f"a key of {where}")
            check_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple | set):
        for index, item in enumerate(value):
            check_plain(item, f"{where}[{index}]")


def _step_back() -> None:
    """Gives this thread the lowest priority, where the system knows one: a training's threads wait for the slowest."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def _copied(value: Any, old: Any) -> Any:
    """Returns the same tree with every tensor copied, on the CPU: training changes its own in place.

    A tensor of `old`, an earlier copy, is written over where it has the same place and layout.
    """
    if isinstance(value, torch.Tensor):
        if isinstance(old, torch.Tensor) and _layout(old) == _layout(value):
            return old.copy_(value.detach())
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        before = old if isinstance(old, Mapping) else {}
        return type(value)({key: _copied(item, before.get(key)) for key, item in value.items()})  # type: ignore[call-arg]
    if type(value) in (list, tuple):
        ones = old[: len(value)] if type(old) is type(value) else ()
        return type(value)(_copied(item, one) for item, one in itertools.zip_longest(value, ones))
    return {_copied(item, None) for item in value} if type(value) is set else value


def _layout(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape, tensor.stride()
