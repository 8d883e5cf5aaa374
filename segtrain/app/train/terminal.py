"""What a run says: to the terminal as fits it, and to train.log as plain text."""

import io
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from segtrain.command_line import command
from segtrain.config.composition import cores
from segtrain.counted import counted
from segtrain.files import BEYOND_UTF8, appended, explained
from segtrain.lightning import L
from segtrain.parts import empty_images
from segtrain.parts.data import named_model
from segtrain.parts.limits import images_tested, trained_batches
from segtrain.printable import one_line
from segtrain.runs.duration import by_one_run
from segtrain.runs.epochs import FROM_1, number_of
from segtrain.runs.folder import RunFolder
from segtrain.screen import Screen, styled

if TYPE_CHECKING:
    from segtrain.app.train.assembly import Parts

COMPARED = ("aug", "aug.strength", "seed", "name")  # keys that the next command sets itself
RUNS = 9  # of the next command: three arms, as none is the same at every strength, three seeds each
REFRESH = 0.25  # seconds between updates of the bar: fast enough for the eye, too rare to cost anything


class Terminal:
    """Standard output, doubled into a log file; colours and a bar only where standard output is a terminal."""

    def __init__(self, log: Path) -> None:
        """Append to `log`."""
        self.goes_on = False  # then the command saw a part of the run alone
        self.console = Screen(soft_wrap=True)
        with explained(log):
            self._file = io.TextIOWrapper(io.BufferedWriter(appended(log)), "utf-8", BEYOND_UTF8)
        self._log = Screen(file=self._file, soft_wrap=True, width=120)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._log.print(one_line(f"ended by {type(error).__name__}: {error}"))
        self._file.close()

    def say(self, what: RenderableType) -> None:
        """Print to both; a text is one line of the log, whatever names are in it."""
        what = one_line(what) if isinstance(what, str) else what
        self.console.print(what)
        self._log.print(what)
        self._file.flush()

    def note(self, what: str, *, on_screen: bool) -> None:
        """Print to the log, and to the screen on demand."""
        if on_screen:
            self.console.print(what)
        self._log.print(what)
        self._file.flush()

    def header(self, parts: "Parts", resumed_from: Path | None) -> None:
        """What will run: data with counts, augmentation with strength, model with parameters, device."""
        self.goes_on = resumed_from is not None
        config, data, dataset = parts.config, parts.data, parts.dataset
        sizes = {side: len(getattr(data.split, side)) for side in ("train", "val", "test")}
        seen = {side: images_tested(config, sizes[side], side) for side in ("val", "test")}
        few = {side: f"{seen[side]} of {sizes[side]}" for side in seen if seen[side] < sizes[side]}
        images = ", ".join(f"{side} {few.get(side, number)}" for side, number in sizes.items())
        epochs = counted(config.trainer.max_epochs, "epoch")
        parameters = sum(p.numel() for p in parts.module.network.parameters()) / 1e6
        rows = {
            "run": f"{parts.trainer.default_root_dir}" + (f"  (going on from {resumed_from})" if resumed_from else ""),
            "dataset": f"{config.choices.dataset}: {len(dataset.classes)} classes, channels {dataset.channels}; "
            f"images: {images}",
            "aug": f"{config.choices.aug}, strength {config.aug.strength:g}",
            "model": f"{named_model(config)}, {parameters:.1f} M parameters",
            "device": f"{parts.device}; {counted(config.threads, 'thread')}, "
            f"{counted(config.data.num_workers, 'loader worker')}, "
            f"{config.trainer.precision}, deterministic {str(config.deterministic).lower()}",
            "training": f"{epochs} of {counted(trained_batches(config, data.steps_per_epoch), 'step')}, "
            f"batch {data.batch_size}, crop {config.data.crop}, seed {config.seed}",
        }
        for name, value in rows.items():
            self.say(styled((f"{name:9s}", "bold"), one_line(value)))

    def summary(self, parts: "Parts", run: RunFolder, results: Mapping[str, float], seconds: float) -> None:
        """The scores a class, where everything is, what to try next."""
        epoch = results[f"best_epoch{FROM_1}"]
        table = Table(title=f"test, {counted(len(parts.module.image_matrices), 'image')}, checkpoint of epoch {epoch}")
        kinds = ("dice", "iou", "precision", "recall")
        classes = parts.dataset.classes
        told = empty_images.are_there(results, "test", classes)
        for heading in ("class", *kinds, *([empty_images.HEADING] if told else [])):
            table.add_column(heading, justify="left" if heading == "class" else "right")
        for name in (*classes, ""):
            end = f"/{name}" if name else ""
            shown = [f"{results[f'test/{kind}{end}']:.4f}" for kind in kinds]
            shown += [empty_images.cell(results, "test", name)] if told else []
            table.add_row(name or "mean of foreground", *shown, end_section=name == classes[-1])
        self.say(table)
        for sentence in empty_images.sentences(results, "test"):
            self.say(sentence)
        self.say(f"took {seconds:.0f} s; all of it is in {run.path}/")
        self.say("  augmented.png (what the network saw), predictions.png, curves.png,")
        self.say("  results.json, per_image.csv, metrics.csv, checkpoints/best.safetensors")
        arm = parts.config.choices.aug if parts.config.choices.aug != "none" else "medical_elastic"
        same = [o for o in run.overrides() if o.split("=")[0] not in COMPARED]
        arms = [f"aug=none,{arm}", "aug.strength=0.5,1", "seed=0,1,2", "name=compare"]
        config = parts.config
        each = config.threads if any(override.startswith("threads=") for override in same) else 1
        at_once = max(1, cores() // each) if config.trainer.accelerator == "cpu" else 1
        took = by_one_run(RUNS, seconds, config.threads, each, at_once)
        long = "" if self.goes_on else f" ({took} by what this one took)"
        self.say(f"next: is it better than no augmentation, or half of it? Compare over seeds{long}:")
        self.say(f"  {command('', '-m', *same, *arms)}")


class Progress(L.Callback):
    """A bar over all steps with loss, val/dice and time left; without a terminal one line an epoch."""

    def __init__(self, terminal: Terminal) -> None:
        """Report to `terminal`."""
        self.terminal, self._drawn = terminal, 0.0
        self._bar: Bar | None = None
        self._task: Any = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar."""
        if not self.terminal.console.is_terminal:
            return
        text = TextColumn("epoch {task.fields[epoch]}  loss {task.fields[loss]}  val/dice {task.fields[dice]}")
        self._bar = Bar(BarColumn(), MofNCompleteColumn(), text, TimeRemainingColumn(), console=self.terminal.console)
        total = int(trainer.max_epochs or 1) * int(trainer.num_training_batches)
        done = trainer.current_epoch * int(trainer.num_training_batches)
        epoch = number_of(trainer.current_epoch)
        self._task = self._bar.add_task("", total=total, completed=done, epoch=epoch, loss="-", dice="-")
        self._bar.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, at most four times a second."""
        if self._bar is None or time.monotonic() - self._drawn < REFRESH:
            return
        self._drawn = time.monotonic()
        done = trainer.current_epoch * int(trainer.num_training_batches) + batch_idx + 1
        loss = f"{pl_module.losses(50).mean():.3f}"  # type: ignore[operator]
        self._bar.update(self._task, completed=done, epoch=number_of(trainer.current_epoch), loss=loss)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show val/dice."""
        dice = float(trainer.callback_metrics["val/dice"])
        if self._bar is not None:
            self._bar.update(self._task, dice=f"{dice:.4f}")

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say how the last epoch went, in the log and where there is no bar."""
        self._line(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        self._line(trainer)
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the message stands below it."""
        self._close()

    def _line(self, trainer: L.Trainer) -> None:
        row = trainer.checkpoint_callback.row  # type: ignore[union-attr]  # the recorder's
        if row:
            scores = "  ".join(f"{key} {row[key]:.4f}" for key in ("train/loss", "val/loss", "val/dice") if key in row)
            epoch = f"epoch {number_of(row['epoch'])}/{trainer.max_epochs}"
            self.terminal.note(f"{epoch}  {scores}", on_screen=self._bar is None)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
