"""Runs `python -m segtrain evaluate run=RUN`: scores a run again from its folder, on its test images or other data."""

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.markup import escape
from rich.progress import Progress
from torch import Tensor

from segtrain.app.evaluate.data import Data, data_of, require_alike, require_pixels, require_unseen, unseen
from segtrain.app.evaluate.findings import Evaluated
from segtrain.app.evaluate.measures import Details
from segtrain.app.evaluate.output import say_evaluation, write_evaluation
from segtrain.app.evaluate.shifts import score_shifts, shifts_of
from segtrain.config.composition import settings
from segtrain.config.run_config import RunConfig, Section
from segtrain.data.batch import Batch
from segtrain.data.share import Share
from segtrain.errors import UserError
from segtrain.files import BEYOND_UTF8
from segtrain.interrupts import Stops
from segtrain.model.ensemble import ensembled, viewed
from segtrain.model.metrics import Evaluation
from segtrain.model.ranks import ALONE, Ranks
from segtrain.model.windows import Windows, windowed
from segtrain.padding import largest
from segtrain.parts.company import sharing
from segtrain.parts.device import device_of
from segtrain.parts.evaluation import Machine, Predict, batches, score, set_up_machine
from segtrain.parts.feeding import build_loss
from segtrain.parts.limits import least_size, samples_of
from segtrain.parts.network import Loaded, load_run
from segtrain.printable import printable
from segtrain.runs.ensemble import ensemble_of, run_name
from segtrain.runs.find_run import runs_of
from segtrain.runs.folder import RunFolder
from segtrain.runs.run_files import folder_name
from segtrain.screen import Screen

UNNAMED = ("run=", "trust=", "outputs=", "debug=", "devices=")  # overrides that the path says, or that change no score


def evaluate(config: DictConfig) -> None:
    """Scores the run, several as one, or each by itself; what comes out lies below outputs/evaluate.

    Raises:
        UserError: no such run, data that it cannot be scored on, a value that cannot be.
    """
    wanted = settings(config)
    typed = naming_overrides(HydraConfig.get().overrides.task)
    runs = runs_of(str(wanted.run), Path(wanted.outputs))
    accelerator = accelerator_of(wanted.device, RunConfig(runs[0].config()))
    with sharing(wanted.devices, accelerator, score_beside, wanted, runs) as ranks:
        failed = score_runs(ranks, wanted, runs, typed)
    if failed:
        raise UserError(f"{len(failed)} of {len(runs)} runs could not be scored, the others are:{''.join(failed)}")


def score_runs(ranks: Ranks, wanted: Section, runs: Sequence[RunFolder], typed: Sequence[str]) -> list[str]:
    """Returns what kept which of the runs from being scored; of the others the first of the ranks writes the scores."""
    failed: list[str] = []
    for members in [runs] if wanted.ensemble else [[run] for run in runs]:  # true or unseen: together
        began = time.monotonic()
        try:
            found = evaluated([load_run(run) for run in members], wanted, ranks)
        except UserError as error:
            if wanted.ensemble or len(runs) == 1:
                raise
            failed.append(f"\n  {members[0].path}: {error}")  # of many by themselves the others are still scored
            continue
        if ranks.is_first:
            folder = folder_of(members, typed, Path(wanted.outputs))
            write_evaluation(found, folder)
            say_evaluation(found, folder, time.monotonic() - began)
    return failed


def score_beside(ranks: Ranks, stops: Stops, wanted: Section, runs: Sequence[RunFolder]) -> None:
    """Scores its share of the images as another rank than the first, which writes."""
    score_runs(ranks, wanted, runs, [])


def evaluated(loaded: Sequence[Loaded], wanted: Section, ranks: Ranks = ALONE) -> Evaluated:
    """Returns the scores of one run, or of several as one, on every rank of those that share the images."""
    first = loaded[0]
    data = data_of(first, list(wanted["with"]), wanted.part, Path(wanted.outputs))
    for other in loaded[1:]:
        require_alike(first, other)
        if wanted.ensemble != "unseen":
            require_unseen(other.run, data)
    if not wanted.allow_other_pixels:
        require_pixels(loaded, data)
    shifts = shifts_of(list(wanted.shift), list(wanted.shift_strength), data)
    on = set_up_machine(data.config, accelerator_of(wanted.device, data.config))
    asked = {
        members: (prediction_of([loaded[k] for k in members], wanted, on), indices)
        for members, indices in members_of(loaded, data, wanted).items()
    }
    details = Details(first, wanted, getattr(data.dataset, "spacing", None))
    order, share = [index for _, indices in asked.values() for index in indices], Share(ranks.rank, ranks.count)
    # Weights of the loss are those of the run's own training data; of an ensemble it is nobody's.
    loss = build_loss(data.config, data.feeding, data.train).to(on.device) if data.own and len(loaded) == 1 else None

    def counted(source: Any, words: str, **more: Any) -> Evaluation:
        found = Evaluation(first.classes, first.ignore_index)
        for members, (predict, indices) in asked.items():
            least = largest([least_size(loaded[k].config) for k in members])
            given = watched(batches(source, indices, data.config, least, share), len(indices) // ranks.count, words)
            found.add(score(given, predict, first.classes, first.ignore_index, on, **more))
        return found

    def scored(source: Any, words: str, **more: Any) -> Evaluation:
        if ranks.is_alone:
            return counted(source, words, **more)
        found, mistake = Evaluation(first.classes, first.ignore_index), None
        try:
            found = counted(source, words, **more)
        except UserError as error:  # which every rank is to meet, so that none waits for it
            mistake = str(error)
        ranks.require_well(mistake)
        found.gather(ranks, order)
        return found

    plain_scores = scored(data.dataset, "predicting", loss=loss, each=details.add)
    details.gather(ranks, order)
    under = score_shifts(shifts, plain_scores, data, scored, wanted)
    return Evaluated(list(loaded), data, wanted, plain_scores, details, under, str(on.device))


def members_of(loaded: Sequence[Loaded], data: Data, wanted: Section) -> dict[tuple[int, ...], list[int]]:
    """Returns which of the runs, by their places, predict which samples."""
    if wanted.ensemble == "unseen":
        return unseen(loaded, data)
    taken = samples_of(data.config, data.indices) if data.own and data.part == "test" else data.indices
    return {tuple(range(len(loaded))): list(taken)}


def prediction_of(loaded: Sequence[Loaded], wanted: Section, on: Machine) -> Predict:
    """Returns what predicts images as stored: networks averaged, in several views, by windows, as far as is wanted."""
    model = ensembled([one.model.to(on.device) for one in loaded])
    least = largest([least_size(one.config) for one in loaded])
    predict = viewed(model, list(wanted.views), least)
    if wanted.window is None:
        return predict
    side = wanted.window if isinstance(wanted.window, int) else tuple(wanted.window)
    windows = Windows(side, wanted.overlap).of_at_least(least)

    def by_windows(images: Tensor) -> Tensor:
        return torch.stack([windowed(predict, image, windows) for image in images])

    return by_windows


def accelerator_of(asked: str, config: RunConfig) -> str:
    """Returns cpu or gpu; auto is what the run was trained on, and the CPU where that is not here."""
    on = device_of(asked)
    return "gpu" if on == "cuda" and not (asked == "auto" and config.trainer.accelerator == "cpu") else "cpu"


def naming_overrides(overrides: Sequence[str]) -> list[str]:
    """Returns what of the command line names the folder: values that change scores, lists without their brackets."""
    typed = [re.sub(r"[][]", "", override) for override in overrides if not override.startswith(UNNAMED)]
    return [override.removeprefix("with=") for override in typed]


def folder_of(members: Sequence[RunFolder], typed: Sequence[str], outputs: Path) -> Path:
    """Returns outputs/evaluate/NAME/RUN/<what was typed>, also of an ensemble (of a run in one NAME/ENSEMBLE/RUN).

    Of other runs as one, RUN is their number and a mark of which.
    """
    run = members[0].path.resolve()
    ensemble = ensemble_of(members) if len(members) > 1 else None
    name = run_name(ensemble or run)
    if len(members) > 1 and ensemble is None:
        mark = hashlib.sha256(
            "\n".join(str(one.path.resolve()) for one in members).encode(errors=BEYOND_UTF8)
        ).hexdigest()[:8]
        name = f"{run.parent.name}/{len(members)}-runs-{mark}"
    return outputs / "evaluate" / name / folder_name(typed)


def watched(given: Iterable[Batch], images: int, words: str) -> Iterator[Batch]:
    """Yields the batches, with a bar of images on a terminal."""
    console = Screen()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(printable(words)), total=images)
        for batch in given:
            yield batch
            bar.advance(task, len(batch["index"]))
