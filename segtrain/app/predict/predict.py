"""`python -m segtrain predict run=RUN input=PATH`: label images of files, folders, stacks and scans."""

import errno
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from segtrain.app.predict.output_files import Band, Wanted, paths_of, written
from segtrain.app.predict.progress import Done
from segtrain.config.composition import settings
from segtrain.config.run_config import RunConfig, Section
from segtrain.counted import counted
from segtrain.data.files.input_files import Item, find_inputs
from segtrain.data.pixel_meaning import Span, require_fit
from segtrain.errors import UserError
from segtrain.files import BEYOND_UTF8, bytes_of, followed, make_own, require_regular
from segtrain.model.windows import Windows
from segtrain.parts.input_images import Array, Images, Opened
from segtrain.parts.predictor import Predictor, labels_of, predictor_of, probabilities_of, to_tensor
from segtrain.printable import print_text
from segtrain.runs import checkpoint
from segtrain.runs.find_runs import runs_of
from segtrain.runs.folder import RunFolder
from segtrain.screen import Screen
from segtrain.spread import spread

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # what the next file would meet too
MOST_NPZ = 2**31  # bytes of probabilities that are held in memory
SHOWN = 20  # reasons of failures told on the terminal
NAMED = 3  # files named of each
TOGETHER = 8  # files, evenly spread, that are asked together whether their values are those of the training


def predict(config: DictConfig) -> None:
    """Predict every file that is not done yet; one that cannot be read does not stop the others.

    Raises:
        UserError: no such run or model, nothing to predict, a value that cannot be, a full disk.
        SystemExit: with status 1 when files failed.
    """
    wanted = settings(config)
    check_options(wanted)
    source = source_of(wanted)
    folder = followed(Path(wanted.output).expanduser()) if wanted.output else _default(source, Path(wanted.outputs))
    items = find_inputs(wanted.input if isinstance(wanted.input, str) else list(wanted.input), folder)
    job = Job(source, wanted, folder)
    began = time.monotonic()
    failed = job.run(items)
    seconds = time.monotonic() - began
    made = len(items) - len(failed) - job.skipped
    print_text(
        f"{folder}/: {made} of {counted(len(items), 'file')} predicted, {counted(job.images, 'image')} in "
        f"{seconds:.1f} s "
        f"({job.images / max(seconds, 1e-9):.1f} images/s); {job.skipped} "
        f"{'was' if job.skipped == 1 else 'were'} done before, {len(failed)} failed"
    )
    if failed:
        print_text("\n".join(f"  {line}" for line in by_reason(failed)))
        print_text("the same command tries these again")
        raise SystemExit(1)


def by_reason(failed: Mapping[Path, str]) -> list[str]:
    """Returns a line for each reason why files failed: the message of the first, and how many others it holds of.

    Args:
        failed: file to its message, which names it; messages that differ in the file's name alone are one reason.
    """
    alike: dict[str, list[Path]] = {}
    for path, message in failed.items():
        alike.setdefault(message.replace(str(path), ""), []).append(path)
    lines = []
    for paths in alike.values():
        others = paths[1:]
        more = f" and {len(others) - NAMED + 1} more" if len(others) >= NAMED else ""
        names = ", ".join(path.name for path in others[: NAMED - 1]) + more
        lines.append(failed[paths[0]] + (f" ({counted(len(paths), 'file')}; also {names})" if others else ""))
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"and {len(lines) - SHOWN} more reasons"]


def check_options(wanted: Section) -> None:
    """Nothing, when the values are what they may be.

    Raises:
        UserError: the first that is not; windows, views, axis and pages are checked where they are used.
    """
    rules = {
        "whole": (type(wanted.whole) is int and wanted.whole >= 0, "a side in pixels from 0"),
        "threads": (wanted.threads is None or (type(wanted.threads) is int and wanted.threads >= 1), "null, or from 1"),
        "max_pixels": (type(wanted.max_pixels) is int and wanted.max_pixels >= 1, "a whole number from 1"),
        "max_gb": (type(wanted.max_gb) in (int, float) and 0 < wanted.max_gb < float("inf"), "a number above 0"),
        "overlay": (type(wanted.overlay) is bool, "true or false"),
        "probabilities": (wanted.probabilities in (None, "tiff", "npz"), "tiff (16 bits), npz (float32) or null"),
    }
    for key, (holds, expected) in rules.items():
        if not holds:
            raise UserError(f"{key} is {wanted[key]!r}; expected {expected}; give {key}=…")


def source_of(wanted: Section) -> Sequence[RunFolder] | Path:
    """The runs, or the exported file.

    Raises:
        UserError: neither is given, or both.
    """
    if (wanted.run is None) == (wanted.model_file is None):
        got = "both" if wanted.run is not None else "neither"
        raise UserError(f"predict takes run=RUN or model=FILE.onnx; expected one of them; got {got}")
    return (
        Path(str(wanted.model_file)).expanduser() if wanted.run is None else runs_of(wanted.run, Path(wanted.outputs))
    )


class Job:
    """One call: a model, what is wanted of it, and where that goes."""

    def __init__(self, source: Sequence[RunFolder] | Path, wanted: Section, folder: Path) -> None:
        """Load the model."""
        self.predictor = _predictor(source, wanted)
        reading, pixels = self.predictor.reading, self.predictor.pixels
        computable = self.predictor.computable(wanted.max_pixels, wanted.max_gb, is_in_one=False)
        self.reader = Images(reading, self.predictor.channels, wanted.axis, wanted.pages, pixels, computable)
        meaning = self.predictor.classes, self.predictor.palette, self.predictor.ignore_index
        self.wanted = Wanted(wanted.overlay, wanted.probabilities, *meaning)
        self.done = Done(folder, _made_by(source, wanted))
        self.folder, self.images, self.skipped = folder, 0, 0

    def run(self, items: Sequence[Item]) -> dict[Path, str]:
        """Predict; returns each file that failed, with what is to be said of it.

        Raises:
            UserError: the disk is full, or the files together hold no such values as the training's images.
        """
        self._require_values(items)
        failed: dict[Path, str] = {}
        console = Screen(stderr=True)
        columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn()
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task, began = bar.add_task("", total=len(items), speed=""), time.monotonic()
            for number, item in enumerate(items):
                try:
                    self._one(item, lambda share, n=number: bar.update(task, completed=n + share))  # type: ignore[misc]
                except UserError as error:
                    if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
                        raise
                    failed[item.path] = str(error)
                    if console.is_terminal and len(failed) <= NAMED:  # the others by their reasons, at the end
                        bar.console.print(f"failed: {item.path!s}", highlight=False)
                _told(bar, task, number + 1, self.images / max(time.monotonic() - began, 1e-9))
        return failed

    def _require_values(self, items: Sequence[Item]) -> None:
        """Raises UserError when some files span far less all together than any image of training did."""
        spans: list[Span] = []
        of_bytes = all(one.dtypes == ("uint8",) for one in self.predictor.pixels)  # whose values are not compared
        of_scans = self.predictor.reading.get("kind") == "Volume"  # which are asked one by one, over their slices
        for item in () if of_bytes or of_scans else spread(items, TOGETHER):
            with suppress(UserError, OSError):  # said when it is its turn
                spans += [] if self.done.has(item.name, item.path) else self.reader.open(item.path).spans
        if spans:
            require_fit(self.predictor.pixels, spans, f"the input ({counted(len(items), 'file')})")

    def _one(self, item: Item, progress: Callable[[float], object]) -> None:
        """Predict one file, unless it is done."""
        try:
            require_regular(item.path)
        except FileNotFoundError as error:
            raise UserError(f"there is no file '{item.path}'; expected one, as the list names it") from error
        if self.done.has(item.name, item.path):
            self.skipped += 1
            return
        opened = self.reader.open(item.path)
        paths = paths_of(self.folder / item.name, opened, item.path, self.wanted)
        outputs = list(paths.values())
        self.done.refuse_others(item.name, outputs)
        self._refuse_npz(opened, item.path)
        make_own(paths["labels"].parent, self.folder)
        with written(paths, opened, self.wanted) as put:
            for page in range(opened.pages):
                for band in self._bands(opened, page):
                    put(band)
                    progress((page + (band.top + len(band.labels)) / opened.height) / opened.pages)
        self.done.add(item.name, item.path, outputs)
        self.images += opened.pages

    def _bands(self, opened: Opened, page: int) -> Iterator[Band]:
        def read(top: int, end: int) -> torch.Tensor:
            return to_tensor(opened.rows(page, top, end))

        for top, logits in self.predictor.logits(read, (opened.height, opened.width)):
            end = top + logits.shape[1]
            labels, missing = labels_of(logits), opened.missing(page, top, end)
            if missing is not None:
                labels = np.where(missing, np.uint8(self.predictor.ignore_index), labels)
            probabilities = partial(_probabilities, logits, missing)
            yield Band(page, top, labels, probabilities, partial(opened.rows, page, top, end))

    def _refuse_npz(self, opened: Opened, path: Path) -> None:
        size = 4 * opened.pages * opened.height * opened.width * len(self.wanted.classes)
        if self.wanted.probabilities == "npz" and size > MOST_NPZ:
            raise UserError(
                f"'{path}' has {size / 1e9:.1f} GB of probabilities; expected up to {MOST_NPZ / 1e9:.1f} GB for npz, "
                "which is written from memory; give probabilities=tiff"
            )


def _probabilities(logits: torch.Tensor, missing: Array | None) -> Array:
    """(K, rows, W) float32; 0 of every class where the image holds nothing."""
    found = probabilities_of(logits)
    return found if missing is None else np.where(missing, np.float32(0), found)


def _told(bar: Progress, task: TaskID, completed: int, speed: float) -> None:
    bar.update(task, completed=completed, speed=f"{speed:.1f} images/s")


def _predictor(source: Sequence[RunFolder] | Path, wanted: Section) -> Predictor:
    """The predictor, with the threads that are wanted: of a run its own, on which its bits depend."""
    if wanted.threads is not None:
        torch.set_num_threads(wanted.threads)
    elif not isinstance(source, Path):
        torch.set_num_threads(RunConfig(source[0].config()).threads)
    window = tuple(wanted.window) if isinstance(wanted.window, list) else wanted.window
    windows = None if window is None else Windows(window, wanted.overlap, wanted.window_batch)
    views = [wanted.views] if isinstance(wanted.views, str) else list(wanted.views)
    allow = wanted.allow_other_pixels
    predictor = predictor_of(source, windows=windows, views=views, device=wanted.device, allow_other_pixels=allow)
    predictor.whole = wanted.whole**2
    return predictor


def _made_by(source: Sequence[RunFolder] | Path, wanted: Section) -> str:
    """A digest of the weights and of every option that changes what is predicted or written."""
    digest = hashlib.blake2b(digest_size=8)
    for path in [source] if isinstance(source, Path) else [_weights(run) for run in source]:
        digest.update(bytes_of(path))
    keys = ("window", "overlap", "views", "whole", "axis", "pages", "overlay", "probabilities")
    digest.update(json.dumps({key: wanted[key] for key in keys}).encode())
    return digest.hexdigest()


def _weights(run: RunFolder) -> Path:
    """The file of a run's best weights, as `segtrain.parts.trained_run` takes them."""
    best = run.checkpoints / checkpoint.WEIGHTS
    return best if best.exists() else run.checkpoints / checkpoint.BEST


def _default(source: Sequence[RunFolder] | Path, outputs: Path) -> Path:
    """outputs/predict/NAME/RUN, of several runs outputs/predict/ensemble-HASH, of a file its name without ending."""
    if isinstance(source, Path):
        return outputs / "predict" / source.stem
    if len(source) == 1:
        path = source[0].path.resolve()
        return outputs / "predict" / path.parent.name / path.name
    names = "\n".join(str(run.path.resolve()) for run in source)
    return outputs / "predict" / f"ensemble-{hashlib.sha256(names.encode(errors=BEYOND_UTF8)).hexdigest()[:8]}"
