"""Runs `python -m segtrain convert`: any dataset as chunks that stream from a folder or an object store."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.progress import track

from segtrain.command_line import command
from segtrain.config.composition import run_config
from segtrain.counted import counted
from segtrain.data.datasets.streamed import write_stream
from segtrain.errors import UserError
from segtrain.files import opened
from segtrain.parts.data import build_dataset
from segtrain.printable import print_text
from segtrain.screen import Screen


def convert(config: DictConfig) -> None:
    """Writes the dataset to the folder `to`, and says how to train from it.

    Raises:
        UserError: the folder is there, or cannot be written.
    """
    typed, decided = list(HydraConfig.get().overrides.task), run_config(config)
    folder = Path(str(decided.to)).expanduser()
    with _whole(folder) as unfinished:
        dataset = build_dataset(decided)
        write_stream(dataset, unfinished, decided.compress, _watched)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print_text(
        f"wrote {folder}: {counted(len(dataset.ids), 'sample')} in {len(dataset.classes)} classes, {size / 1e6:.1f} MB"
    )
    print_text(f"train from it:  {_command(folder, typed, decided.choices)}")


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Yields a folder to fill, renamed to `folder` when it is full and on the disk, and removed when that fails."""
    if os.path.lexists(folder):
        raise UserError(f"to={folder} is there already; expected a folder that is not; remove it, or give another name")
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        for file in unfinished.iterdir():
            with opened(file) as content:
                os.fsync(content.fileno())
        unfinished.rename(folder)
    except OSError as error:
        raise UserError(
            f"could not write '{folder}': {error.strerror or error}; free some space there, or give another to=FOLDER"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _watched(indices: range) -> Iterable[int]:
    """Returns the indices, with a bar on a terminal."""
    console = Screen()
    return track(indices, "writing", console=console, disable=not console.is_terminal)


def _command(folder: Path, typed: Sequence[str], choices: Mapping[str, str]) -> str:
    """Returns what trains from the folder with the same split."""
    splits = [argument for argument in typed if argument.startswith(("split=", "dataset.split."))]
    if choices["split"] != "ratios" and not any(argument.startswith("split=") for argument in splits):
        splits.insert(0, f"split={choices['split']}")
    return command("", "dataset=litdata", f"dataset.root={folder}", *splits)
