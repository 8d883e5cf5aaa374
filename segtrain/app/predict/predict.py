"""Runs `python -m segtrain predict run=RUN input=PATH`: label images of files, folders, stacks and scans."""

import errno
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from segtrain.app.predict.output_folder import WRITTEN, Band, DoneTable, Wanted, open_outputs, paths_of
from segtrain.config.composition import settings
from segtrain.config.run_config import Section
from segtrain.counted import counted
from segtrain.data.files.extras import need
from segtrain.data.files.input_files import Item, find_inputs
from segtrain.data.pixel_meaning import Span, require_fit
from segtrain.errors import UserError
from segtrain.files import BEYOND_UTF8, bytes_of, followed, make_own, require_regular
from segtrain.interrupts import Stops
from segtrain.model.ranks import ALONE, Ranks
from segtrain.model.windows import Windows
from segtrain.parts.company import sharing
from segtrain.parts.device import device_of
from segtrain.parts.input_images import Array, Images, InputFile
from segtrain.parts.predictor import Predictor, labels_of, predictor_of, probabilities_of, to_tensor
from segtrain.printable import print_text
from segtrain.runs.ensemble import ensemble_of, run_name
from segtrain.runs.find_run import runs_of
from segtrain.runs.folder import RunFolder
from segtrain.screen import Screen
from segtrain.spread import spread

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # what the next file would meet too
MOST_NPZ = 2**31  # bytes of probabilities that are held in memory
SHOWN = 20  # reasons of failures told on the terminal
NAMED = 3  # files named of each
TOGETHER = 8  # files, evenly spread, that are asked together whether their values are those of the training


@dataclass(frozen=True)
class PredictOptions:
    """Holds what is asked of a call, as conf/predict.yaml says it."""

    source: Sequence[RunFolder] | Path  # the runs, or the exported file
    input: str | list[str]
    folder: Path  # of the output
    overlay: bool
    probabilities: str | None  # tiff, npz
    views: tuple[str, ...]
    whole: int  # side in pixels
    windows: Windows | None
    max_pixels: int
    max_gb: float
    axis: int | None
    pages: str | None
    allow_other_pixels: bool
    device: str
    devices: int | str  # of this machine that share the files, or auto
    threads: int | None
    changing: str  # JSON of the values that change what is predicted or written


def predict(config: DictConfig) -> None:
    """Predicts every file that is not done yet; one that cannot be read does not stop the others.

    Raises:
        UserError: no such run or model, nothing to predict, a value that cannot be, a full disk.
        SystemExit: with status 1 when files failed.
    """
    options = _read_options(settings(config))
    if options.probabilities == "tiff":
        need("tifffile", "tiff", WRITTEN)  # told before the network is loaded
    folder, items = options.folder, find_inputs(options.input, options.folder)
    accelerator = "gpu" if device_of(options.device) == "cuda" else "cpu"
    with sharing(options.devices, accelerator, predict_beside, options, items) as ranks:
        job = Job(options, ranks)
        began = time.monotonic()
        failed = job.run(items)
    seconds = time.monotonic() - began
    made = len(items) - len(failed) - job.skipped
    print_text(
        f"{folder}/: {made} of {counted(len(items), 'file')} predicted, {counted(job.images, 'image')} in "
        f"{seconds:.1f} s ({job.images / max(seconds, 1e-9):.1f} images/s); {job.skipped} "
        f"{'was' if job.skipped == 1 else 'were'} done before, {len(failed)} failed"
    )
    if failed:
        print_text("\n".join(f"  {line}" for line in by_reason(failed)))
        print_text("the same command tries these again")
        raise SystemExit(1)


def predict_beside(ranks: Ranks, stops: Stops, options: PredictOptions, items: Sequence[Item]) -> None:
    """Predicts files as another rank than the first, which alone speaks."""
    Job(options, ranks).run(items)


def _read_options(values: Section) -> PredictOptions:
    """Returns the options that the values of the verb's config ask for.

    Raises:
        UserError: no such run, or the first value that is not what it may be; views, axis and pages are checked where
            they are used.
    """
    whole, threads, most, gigabytes = (values[key] for key in ("whole", "threads", "max_pixels", "max_gb"))
    rules = {
        "whole": (type(whole) is int and whole >= 0, "a side in pixels from 0"),
        "threads": (threads is None or (type(threads) is int and threads >= 1), "null, or from 1"),
        "max_pixels": (type(most) is int and most >= 1, "a whole number from 1"),
        "max_gb": (type(gigabytes) in (int, float) and 0 < gigabytes < float("inf"), "a number above 0"),
        "overlay": (type(values["overlay"]) is bool, "true or false"),
        "probabilities": (values["probabilities"] in (None, "tiff", "npz"), "tiff (16 bits), npz (float32) or null"),
    }
    for key, (holds, expected) in rules.items():
        if not holds:
            raise UserError(f"{key} is {values[key]!r}; expected {expected}; give {key}=…")
    source = _source(values["run"], values["model_file"], Path(values["outputs"]))
    output = values["output"]
    window, views = values["window"], values["views"]
    window = tuple(window) if isinstance(window, list) else window
    changing = ("window", "overlap", "views", "whole", "axis", "pages", "overlay", "probabilities")
    same = ("input", "overlay", "probabilities", "whole", "max_pixels", "max_gb", "axis", "pages", "threads")
    return PredictOptions(
        source=source,
        folder=followed(Path(output).expanduser()) if output else _default(source, Path(values["outputs"])),
        views=(views,) if isinstance(views, str) else tuple(views),
        windows=None if window is None else Windows(window, values["overlap"], values["window_batch"]),
        allow_other_pixels=values["allow_other_pixels"],
        changing=json.dumps({key: values[key] for key in changing}),
        **{key: values[key] for key in (*same, "device", "devices")},
    )


def _source(run: str | None, model_file: str | None, outputs: Path) -> Sequence[RunFolder] | Path:
    """Returns the runs, or the exported file.

    Raises:
        UserError: neither is given, or both.
    """
    if (run is None) == (model_file is None):
        got = "both" if run is not None else "neither"
        raise UserError(f"predict takes run=RUN or model=FILE.onnx; expected one of them; got {got}")
    return Path(str(model_file)).expanduser() if run is None else runs_of(str(run), outputs)


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


class Job:
    """Predicts files by one model, and writes what is wanted of each."""

    def __init__(self, options: PredictOptions, ranks: Ranks = ALONE) -> None:
        """Loads the model; `ranks` share the files."""
        self.ranks = ranks
        self.predictor = _predictor(options)
        reading, pixels = self.predictor.reading, self.predictor.pixels
        computable = self.predictor.computable(options.max_pixels, options.max_gb, is_in_one=False)
        self.reader = Images(reading, self.predictor.channels, options.axis, options.pages, pixels, computable)
        meaning = self.predictor.classes, self.predictor.palette, self.predictor.ignore_index
        self.wanted = Wanted(options.overlay, options.probabilities, *meaning)
        self.done = DoneTable(options.folder, _made_by(options))
        self.folder, self.images, self.skipped = options.folder, 0, 0

    def run(self, items: Sequence[Item]) -> dict[Path, str]:
        """Predicts; returns each file that failed, on any rank, with what is to be said of it.

        Raises:
            UserError: the disk is full, or the files together hold no such values as the training's images.
        """
        if self.ranks.is_first:
            self._require_values(items)
            if not self.ranks.is_alone:
                self.done.begin()
        self.ranks.wait()
        failed: dict[Path, str] = {}
        console = Screen(stderr=True)
        columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn()
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task, began = bar.add_task("", total=len(items), speed=""), time.monotonic()
            for number in self.ranks.deal(len(items)):
                item = items[number]
                try:
                    self._one(item, lambda share, n=number: bar.update(task, completed=n + share))  # type: ignore[misc]
                except UserError as error:
                    if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
                        raise
                    failed[item.path] = str(error)
                    if console.is_terminal and len(failed) <= NAMED:  # the others by their reasons, at the end
                        bar.console.print(f"failed: {item.path!s}", highlight=False)
                _told(bar, task, number + 1, self.images / max(time.monotonic() - began, 1e-9))
        found = self.ranks.gather((failed, self.images, self.skipped))
        self.images, self.skipped = (sum(one[place] for one in found) for place in (1, 2))
        every = {path: said for failed, *_ in found for path, said in failed.items()}
        return {item.path: every[item.path] for item in items if item.path in every}

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
        """Predicts one file, unless it is done."""
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
        self.done.require_free(item.name, outputs)
        for path in outputs:
            if (owner := self.ranks.claim(str(path), item.name)) != item.name:
                raise self.done.taken(path, owner)
        self._refuse_npz(opened, item.path)
        make_own(paths["labels"].parent, self.folder)
        with open_outputs(paths, opened, self.wanted) as put:
            for page in range(opened.pages):
                for band in self._bands(opened, page):
                    put(band)
                    progress((page + (band.top + len(band.labels)) / opened.height) / opened.pages)
        self.done.add(item.name, item.path, outputs)
        self.images += opened.pages

    def _bands(self, opened: InputFile, page: int) -> Iterator[Band]:
        def read(top: int, end: int) -> torch.Tensor:
            return to_tensor(opened.rows(page, top, end))

        for top, logits in self.predictor.logits(read, (opened.height, opened.width)):
            end = top + logits.shape[1]
            labels, missing = labels_of(logits), opened.missing(page, top, end)
            if missing is not None:
                labels = np.where(missing, np.uint8(self.predictor.ignore_index), labels)
            probabilities = partial(_probabilities, logits, missing)
            yield Band(page, top, labels, probabilities, partial(opened.rows, page, top, end))

    def _refuse_npz(self, opened: InputFile, path: Path) -> None:
        size = 4 * opened.pages * opened.height * opened.width * len(self.wanted.classes)
        if self.wanted.probabilities == "npz" and size > MOST_NPZ:
            raise UserError(
                f"'{path}' has {size / 1e9:.1f} GB of probabilities; expected up to {MOST_NPZ / 1e9:.1f} GB for npz, "
                "which is written from memory; give probabilities=tiff"
            )


def _probabilities(logits: torch.Tensor, missing: Array | None) -> Array:
    """Returns (K, rows, W) float32; 0 of every class where the image holds nothing."""
    found = probabilities_of(logits)
    return found if missing is None else np.where(missing, np.float32(0), found)


def _told(bar: Progress, task: TaskID, completed: int, speed: float) -> None:
    bar.update(task, completed=completed, speed=f"{speed:.1f} images/s")


def _predictor(options: PredictOptions) -> Predictor:
    """Returns the predictor, with the threads that are wanted: of a run its own, on which its bits depend."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    elif not isinstance(options.source, Path):
        torch.set_num_threads(options.source[0].config().threads)
    predictor = predictor_of(
        options.source,
        windows=options.windows,
        views=options.views,
        device=options.device,
        allow_other_pixels=options.allow_other_pixels,
    )
    predictor.whole = options.whole**2
    return predictor


def _made_by(options: PredictOptions) -> str:
    """Returns a digest of the weights and of every option that changes what is predicted or written."""
    digest, source = hashlib.blake2b(digest_size=8), options.source
    files = [source] if isinstance(source, Path) else [run.best_weights for run in source]
    for path in filter(None, files):
        digest.update(bytes_of(path))
    digest.update(options.changing.encode())
    return digest.hexdigest()


def _default(source: Sequence[RunFolder] | Path, outputs: Path) -> Path:
    """Returns outputs/predict/NAME/RUN, also of an ensemble (of a run in one NAME/ENSEMBLE/RUN).

    Of other runs it is ensemble-HASH there, of a file its stem.
    """
    if isinstance(source, Path):
        return outputs / "predict" / source.stem
    ensemble = ensemble_of(source)
    if ensemble is not None or len(source) == 1:
        return outputs / "predict" / run_name(ensemble or source[0].path)
    names = "\n".join(str(run.path.resolve()) for run in source)
    return outputs / "predict" / f"ensemble-{hashlib.sha256(names.encode(errors=BEYOND_UTF8)).hexdigest()[:8]}"
