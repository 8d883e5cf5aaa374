"""Takes an opened run to its results: assembles, says what will run, trains, tests, writes, and says what came out."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from segtrain.app.train.assembly import Parts, assemble, ranks_pool_batch_norm
from segtrain.app.train.data_wait import say_wait
from segtrain.app.train.failures import explain_failures, explain_lost
from segtrain.app.train.open_run import Opened
from segtrain.app.train.other_programs import CoreTimes, busy_words, cores_taken, read_core_times
from segtrain.app.train.terminal import Terminal
from segtrain.command_line import command
from segtrain.config.composition import cores
from segtrain.counted import counted
from segtrain.draw import pictures
from segtrain.errors import UserError
from segtrain.interrupts import Stops
from segtrain.lightning import L
from segtrain.model import metrics
from segtrain.model.batch_norm import has_batch_norm
from segtrain.model.metrics import image_rows
from segtrain.model.ranks import ALONE, Ranks
from segtrain.parts import device, evaluation
from segtrain.parts.data import OpenData, named_model
from segtrain.parts.limits import trained_batches
from segtrain.parts.network import about
from segtrain.printable import one_line
from segtrain.runs import checkpoint, run_files
from segtrain.runs.duration import by_one_run
from segtrain.runs.epochs import FROM_1, number_of, written
from segtrain.runs.folder import RunFolder
from segtrain.screen import styled
from segtrain.spread import spread

SHOWN = 4  # samples on a sheet: fits one screen
EPOCHS_SHOWN = 4
COMPARED = ("aug", "aug.strength", "seed", "name")  # keys that the next command sets itself
RUNS = 9  # of the next command: three arms, as none is the same at every strength, three seeds each


def fit(
    opened: Opened,
    data: OpenData | None,
    stops: Stops,
    began: float,
    before: CoreTimes | None,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Returns the flat results of the run, trained and tested, as in results.json.

    Args:
        opened: the run, which this process holds the lock of.
        data: of its config, where they are open already.
        stops: entered.
        began: when the command did, as time.monotonic.
        before: the machine's times when it did.
        ranks: that train it together, of which this is the first.
    """
    config, run = opened.config, opened.run
    with opened.status(), Terminal(run.log) as terminal:
        with explain_lost(ranks):
            parts = set_up(opened, terminal, stops, ranks, data)
        taken = cores_taken(before, read_core_times())
        say_header(terminal, parts, opened.checkpoint, busy_words(taken, cores(), config.threads * ranks.count))
        opened.require_same_data(parts)
        stops.check()  # one that came while an object was deleted was swallowed
        with explain_failures(parts, stops):
            if opened.changed is None:
                begin(opened, parts)
            taken_up = L.pytorch.callbacks.LambdaCallback(on_train_start=lambda *_: begin(opened, parts))
            parts.trainer.callbacks.insert(0, taken_up)  # type: ignore[attr-defined]
            train_parts(opened, parts, stops)
            begin(opened, parts)  # no step was left
            best = load_best(parts)
            known = about(parts.dataset, best["epoch"], parts.pixels)
            checkpoint.save_weights(run.checkpoints, best["state_dict"], known)
            test_parts(parts, stops)
        results = write_results(run, parts, best_epoch=best["epoch"])
        parts.logbook.close(results)
        say_summary(terminal, parts, results, time.monotonic() - began, goes_on=opened.checkpoint is not None)
    if config.checkpoint.keep == "best":
        checkpoint.keep_weights(run.checkpoints)
    return results


def fit_beside(ranks: Ranks, stops: Stops, opened: Opened) -> None:
    """Trains and tests as another rank than the first: writes and says nothing."""
    with Terminal(None) as terminal:
        parts = set_up(opened, terminal, stops, ranks, None)
        train_parts(opened, parts, stops)
        load_best(parts)
        test_parts(parts, stops)


def set_up(opened: Opened, terminal: Terminal, stops: Stops, ranks: Ranks, data: OpenData | None) -> Parts:
    """Returns what the run is made of, the same on every rank.

    Raises:
        UserError: a rank reads other data than the first.
    """
    torch.set_num_threads(opened.config.threads)
    L.seed_everything(opened.config.seed, verbose=False)
    parts = assemble(opened.config, opened.run, terminal, stops, opened.keeps_split, data, ranks)
    there = ranks.gather((parts.fingerprint, parts.data.split))
    if any(one != there[0] for one in there):
        raise UserError(
            "the processes of this training do not read the same data; expected one data set, split alike, for all; "
            "got several fingerprints or splits; let all machines see the same files"
        )
    return parts


def train_parts(opened: Opened, parts: Parts, stops: Stops) -> None:
    """Trains from where the run stands."""
    with stops.deferred():
        parts.trainer.fit(parts.module, parts.data, ckpt_path=opened.checkpoint, weights_only=True)


def load_best(parts: Parts) -> dict[str, Any]:
    """Returns the best checkpoint, whose weights the module has from now on."""
    parts.module.ranks.wait()  # until the first rank has written it by now
    best = checkpoint.read_training(parts.run.best_checkpoint)
    parts.trainer.strategy.load_model_state_dict(best)
    return best


def test_parts(parts: Parts, stops: Stops) -> None:
    """Tests the module."""
    with stops.deferred():
        parts.trainer.test(parts.module, parts.data, verbose=False, weights_only=True)


def begin(opened: Opened, parts: Parts) -> None:
    """Lets the folder be the run's that begins or goes on, once."""
    if not opened.begun:
        opened.begin(parts)
        write_augmented(opened.run, parts)


def say_header(terminal: Terminal, parts: Parts, resumed_from: Path | None, busy: str) -> None:
    """Says what will run: data with counts, augmentation with strength, model with parameters, device, what is busy."""
    config, data, dataset = parts.config, parts.data, parts.dataset
    sizes = {side: len(getattr(data.split, side)) for side in ("train", "val", "test")}
    seen = {"val": len(data.validated), "test": len(data.tested)}
    few = {side: f"{seen[side]} of {sizes[side]}" for side in seen if seen[side] < sizes[side]}
    images = ", ".join(f"{side} {few.get(side, number)}" for side, number in sizes.items())
    epochs = counted(config.trainer.max_epochs, "epoch")
    parameters = sum(p.numel() for p in parts.module.network.parameters()) / 1e6
    rows = {
        "run": f"{parts.run.path}" + (f"  (going on from {resumed_from})" if resumed_from else ""),
        "dataset": f"{config.choices.dataset}: {len(dataset.classes)} classes, channels {dataset.channels}; "
        f"images: {images}",
        "aug": f"{config.choices.aug}, strength {config.aug.strength:g}",
        "model": f"{named_model(config)}, {parameters:.1f} M parameters",
        "device": f"{named_devices(parts)}; {counted(config.threads, 'thread')}, "
        f"{counted(config.data.num_workers, 'loader worker')}, {config.trainer.precision}, deterministic "
        f"{str(config.deterministic).lower()}",
        "uses": ", ".join(
            device.switched_on(
                config.trainer.accelerator, fused=bool(config.optimizer.get("fused")), compiled=config.compile
            )
        ),
        "training": f"{epochs} of {counted(trained_batches(config, data.steps_per_epoch), 'step')}, "
        f"batch {data.batch_size}, crop {config.data.crop}, seed {config.seed}",
    }
    rows |= {"busy": busy} if busy else {}
    for name, value in rows.items():
        terminal.say(styled((f"{name:9s}", "bold"), one_line(value)))


def named_devices(parts: Parts) -> str:
    """Returns the device in words, and how many share the training."""
    ranks, trainer = parts.module.ranks, parts.config.trainer
    if ranks.is_alone:
        return parts.device
    pooled = ranks_pool_batch_norm(parts.config)
    each = f", batch norm over {'all' if pooled else 'each'}" if has_batch_norm(parts.module.network) else ""
    sharded = "fsdp" if trainer.get("strategy") == "fsdp" else "ddp"
    return f"{ranks.count} processes ({sharded}{each}) of {parts.device}"


def write_augmented(run: RunFolder, parts: Parts) -> None:
    """Writes augmented.png, before training: some training samples as the network sees them in the first epochs."""
    dataset, data = parts.dataset, parts.data
    rows = []
    for index in spread(data.split.train, SHOWN):
        image, mask = dataset.read(index)
        views = [data.policy(image, mask, (data.seed, epoch, index, 0)) for epoch in range(EPOCHS_SHOWN)]
        rows.append((dataset.ids[index], views))
    heads = [f"epoch {number_of(epoch)}" for epoch in range(EPOCHS_SHOWN)]
    pictures.augmented_sheet(run.augmented, rows, dataset.palette, dataset.classes, dataset.ignore_index, heads)


def write_results(run: RunFolder, parts: Parts, *, best_epoch: int) -> dict[str, Any]:
    """Writes results.json, per_image.csv, predictions.png and curves.png of a tested module.

    Returns:
        The content of results.json, which is written last: its presence means that the run is whole.
    """
    matrices = parts.module.evaluation.matrices
    results: dict[str, Any] = {f"test/{key}": value for key, value in parts.module.evaluation.scores().items()}
    results |= {"test/images": len(matrices), **written("best_epoch", best_epoch)}
    results["val/dice"] = parts.trainer.checkpoint_callback.best  # type: ignore[union-attr]
    empty = evaluation.counts(matrices, parts.dataset.classes)
    results |= {f"test/{key}": value for key, value in empty.items()}
    rows = image_rows(matrices, parts.dataset.ids, parts.dataset.classes)
    run.write_images(rows)
    _write_predictions(run, parts)
    pictures.curves(run.curves, run.metrics.rows())
    run.write_results(results)
    return results


def _write_predictions(run: RunFolder, parts: Parts) -> None:
    """Writes predictions.png of a few test images, and thumbnails.jpg of those that the report may show."""
    dataset, module = parts.dataset, parts.module
    items = []
    for index, pred in sorted(module.predictions.items()):
        image, mask = dataset.read(index)
        scores = metrics.scores(module.evaluation.matrices[index], dataset.classes)
        dice = {name: scores[f"dice/{name}"] for name in dataset.classes}
        guess = pred.numpy()[: mask.shape[0], : mask.shape[1]]
        items.append((dataset.ids[index], image, mask, guess, dice))
    path, classes, palette = run.predictions, dataset.classes, dataset.palette
    pictures.predictions_sheet(path, spread(items, SHOWN), palette, classes, dataset.ignore_index)
    thumbnails = run.thumbnails
    pictures.thumbnails(thumbnails, [item[:4] for item in items], palette, dataset.ignore_index)


def say_summary(
    terminal: Terminal, parts: Parts, results: Mapping[str, float], seconds: float, *, goes_on: bool
) -> None:
    """Says the scores a class, where everything is, and what to try next.

    Args:
        terminal, parts, results: of the run, which is tested.
        seconds: that the command took.
        goes_on: whether it saw a part of the run alone, so that its time says nothing of other runs.
    """
    config, run, classes = parts.config, parts.run, parts.dataset.classes
    terminal.say(_table_of_scores(results, classes))
    for sentence in evaluation.sentences(results, "test"):
        terminal.say(sentence)
    if wait := say_wait(run.metrics.rows(), config):
        terminal.say(wait)
    terminal.say(f"took {seconds:.0f} s; all of it is in {run.path}/")
    terminal.say(f"  {run_files.AUGMENTED} (what the network saw), {run_files.PREDICTIONS}, {run_files.CURVES},")
    tables = ", ".join((run_files.RESULTS, run_files.PER_IMAGE, run_files.METRICS))
    terminal.say(f"  {tables}, {run_files.CHECKPOINTS}/{run_files.WEIGHTS}")
    arm = config.choices.aug if config.choices.aug != "none" else "medical_elastic"
    same = [o for o in run.overrides() if o.split("=")[0] not in COMPARED]
    arms = [f"aug=none,{arm}", "aug.strength=0.5,1", "seed=0,1,2", "name=compare"]
    each = config.threads if any(override.startswith("threads=") for override in same) else 1
    at_once = max(1, cores() // each) if config.trainer.accelerator == "cpu" else 1
    took = by_one_run(RUNS, seconds, config.threads, each, at_once)
    long = "" if goes_on else f" ({took} by what this one took)"
    terminal.say(f"next: is it better than no augmentation, or half of it? Compare over seeds{long}:")
    terminal.say(f"  {command('', '-m', *same, *arms)}")


def _table_of_scores(results: Mapping[str, float], classes: tuple[str, ...]) -> Table:
    images = counted(int(results["test/images"]), "image")
    table = Table(title=f"test, {images}, checkpoint of epoch {results[f'best_epoch{FROM_1}']}")
    kinds = ("dice", "iou", "precision", "recall")
    told = evaluation.are_there(results, "test", classes)
    for heading in ("class", *kinds, *([evaluation.HEADING] if told else [])):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name in (*classes, ""):
        end = f"/{name}" if name else ""
        shown = [f"{results[f'test/{kind}{end}']:.4f}" for kind in kinds]
        shown += [evaluation.cell(results, "test", name)] if told else []
        table.add_row(name or "mean of foreground", *shown, end_section=name == classes[-1])
    return table
