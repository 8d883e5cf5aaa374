"""Says what an evaluation found: what was scored, how, and what results.json, per_image.csv and the gallery hold."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from segtrain.app.evaluate.data import Data
from segtrain.app.evaluate.measures import (
    Details,
    Intervals,
    Table,
    groups_of,
    missing_intervals,
    score_intervals,
    surface_table,
)
from segtrain.app.evaluate.shifts import Row, Under, curve_rows
from segtrain.config.run_config import Section
from segtrain.model import metrics
from segtrain.model.metrics import Evaluation, averages, image_rows
from segtrain.parts import evaluation
from segtrain.parts.network import Loaded
from segtrain.runs.ensemble import average_words, ensemble_of
from segtrain.runs.epochs import written

SHOWN = 3  # images of each kind in the gallery


@dataclass(frozen=True)
class Evaluated:
    """Holds a run, or several as one, scored on a part of some data."""

    loaded: list[Loaded]
    data: Data
    wanted: Section
    scored: Evaluation
    details: Details
    under: list[Under]  # shifts
    device: str

    @property
    def name(self) -> str:
        """Returns what was scored: a run's name, an ensemble's with what it is, or the names of several runs."""
        runs = [one.run for one in self.loaded]
        if len(runs) > 1 and ensemble_of(runs) is not None and self.wanted.ensemble is True:
            return average_words(runs)
        return " and ".join(run.path.name for run in runs)

    @property
    def classes(self) -> tuple[str, ...]:
        """Returns the classes' names in label order."""
        return self.loaded[0].classes

    @property
    def indices(self) -> list[int]:
        """Returns the samples that were scored, in order."""
        return sorted(self.scored.matrices)

    @property
    def plainly(self) -> bool:
        """Says whether it is what training's test does: one run, its own test images, whole and seen once."""
        views = set(self.wanted.views) <= {"none"}
        alone = len(self.loaded) == 1 and self.data.own and self.data.part == "test"
        return alone and views and self.wanted.window is None

    @property
    def warnings(self) -> list[str]:
        """Says what makes the scores mean something else than they seem to."""
        ids, part = self.data.dataset.ids, self.data.part
        known = self.loaded[0].run.split
        seen = {*known["train"], *known["val"]} & {ids[index] for index in self.indices}
        if not seen or (self.data.own and part == "val") or self.wanted.ensemble == "unseen":
            return []
        where = "these images" if self.data.own else "these images, by their names,"
        return [f"{len(seen)} of {where} were in training or validation: scores on them say nothing of new images."]

    @cached_property
    def curves(self) -> list[Row]:
        """Returns the rows of shifts.csv."""
        return curve_rows(self.under, self.classes)

    @property
    def matrices(self) -> list[Tensor]:
        """Returns the confusion matrix of each image, in order."""
        return [self.scored.matrices[index] for index in self.indices]

    @cached_property
    def surfaces(self) -> Table:
        """Returns the surface scores of each image, as they count in means; without keys where they were not wanted."""
        pixels = [int(matrix.sum()) for matrix in self.matrices]
        return surface_table([self.details.surfaces.get(index, {}) for index in self.indices], pixels)

    @cached_property
    def groups(self) -> list[str]:
        """Names for each image what it shares with those that are not independent of it: a patient."""
        return groups_of(self.data, self.indices)

    @cached_property
    def intervals(self) -> Intervals:
        """Returns the 95 % intervals over images, by key."""
        draws = {"draws": self.wanted.bootstrap, "seed": self.wanted.seed}
        return score_intervals(self.matrices, self.surfaces, self.details.farthest, self.classes, self.groups, **draws)

    @cached_property
    def notes(self) -> list[str]:
        """Says what there is to say of images that are empty or have no score, and of scores without an interval."""
        part = self.data.part
        scores = {key: self.scores[f"{part}/{key}"] for key in self.intervals}
        return [
            *evaluation.sentences(self.scores, part),
            *self._distances(),
            *missing_intervals(self.intervals, scores, len(set(self.groups))),
        ]

    def _distances(self) -> list[str]:
        """Returns a sentence on how many images the distances are means of, where some have none."""
        if not self.surfaces.keys or self.scores[f"{self.data.part}/distance_images"] == len(self.indices):
            return []
        counts = {name: self.scores[f"{self.data.part}/distance_images/{name}"] for name in self.classes}
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        return [
            f"Distances are means over the images in which truth or prediction has the class ({told}, of "
            f"{len(self.indices)}): where neither has it there is no outline."
        ]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Returns the rows of per_image.csv: training's columns, then the surfaces'."""
        rows = image_rows(self.scored.matrices, self.data.dataset.ids, self.classes)
        more = [self.details.surfaces.get(index, {}) for index in self.indices]
        return [{**row, **surfaces} for row, surfaces in zip(rows, more, strict=True)]

    @cached_property
    def scores(self) -> dict[str, Any]:
        """Returns the numbers of results.json: first what training wrote, under the same keys, then the rest."""
        part, first = self.data.part, self.loaded[0]
        found: dict[str, Any] = {f"{part}/{key}": value for key, value in self.scored.scores().items()}
        found[f"{part}/images"] = len(self.indices)
        if len(self.loaded) == 1:
            found |= written("best_epoch", first.epoch)
            if first.run.has_results:
                found.setdefault("val/dice", first.run.results.get("val/dice"))
        more = evaluation.counts(self.scored.matrices, self.classes)
        more |= averages(torch.stack(self.matrices), self.classes)
        more |= {"calibration_error": self.details.calibration.error(), **self.surfaces.means()}
        return found | {f"{part}/{key}": value for key, value in more.items()}

    @cached_property
    def results(self) -> dict[str, Any]:
        """Returns what results.json holds: numbers, their intervals, what there is to say, and how they came about."""
        pairs = {f"{self.data.part}/{key}": list(pair) for key, pair in self.intervals.items()}
        return {**self.scores, "intervals": pairs, "notes": self.notes, "evaluated": self.how()}

    def how(self) -> dict[str, Any]:
        """Returns what was evaluated, and how."""
        wanted = self.wanted
        keys = ("ensemble", "window", "overlap", "views", "tolerance", "bootstrap", "seed")
        said = {key: wanted[key] for key in keys}
        return {
            "runs": [str(one.run.path) for one in self.loaded],
            "dataset": self.data.config.choices.dataset,
            "own_data": self.data.own,
            "fingerprint": self.data.feeding.fingerprint,
            "part": self.data.part,
            **said,
            "independent": len(set(self.groups)),
            "distances_in": self.details.unit,
            "precision": self.data.config.trainer.precision,
            "threads": self.data.config.threads,
            "device": str(self.device),
        }

    def gallery(self) -> list[tuple[str, int]]:
        """Returns the worst, median and best images by their mean foreground Dice: what they are, and their index.

        Images that are rightly empty have nothing to look at and are left out.
        """
        ranked = [(row["dice"], index) for row, index in zip(self.rows, self.indices, strict=True)]
        order = [index for dice, index in sorted(ranked, key=lambda pair: pair[0]) if not math.isnan(dice)]
        count = min(SHOWN, -(-len(order) // 3))
        middle = (len(order) - count) // 2
        kinds = {"worst": order[:count], "median": order[middle : middle + count], "best": order[::-1][:count]}
        taken: set[int] = set()
        found = []
        for kind, indices in kinds.items():
            found += [(kind, index) for index in indices if index not in taken]
            taken |= {*indices}
        return found


def pictured(found: Evaluated, index: int) -> tuple[str, Any, Any, Any, dict[str, float]]:
    """Returns id, image, mask, pred and Dice by class of a sample, as `pictures.predictions_sheet` takes them."""
    image, mask = found.data.dataset.read(index)
    scores = metrics.scores(found.scored.matrices[index], found.classes)
    dice = {name: scores[f"dice/{name}"] for name in found.classes}
    return found.data.dataset.ids[index], image, mask, found.details.pred(index), dice
