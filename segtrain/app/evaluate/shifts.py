"""Scores a run under shifts: the policies of training laid over the test images, with fixed draws.

For the sweep's report it keeps a row an image, policy and strength in the run's robustness.csv.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from segtrain.app.evaluate.data import Data
from segtrain.aug import Policy
from segtrain.config.composition import composed, searched
from segtrain.config.run_config import RunConfig, Section
from segtrain.data.datasets.contract import Sample
from segtrain.errors import UserError
from segtrain.model.metrics import Evaluation, averages, image_rows
from segtrain.parts import evaluation
from segtrain.parts.policy import policy_at
from segtrain.runs.image_table import UNSHIFTED, read_shifted_cells
from segtrain.runs.metrics_csv import write_csv

Row = dict[str, Any]


class Shift(NamedTuple):
    """Holds a policy at a strength."""

    name: str
    strength: float
    policy: Policy


class Shifted:
    """Reads samples of a dataset through a policy, image and mask together; seed and index fix the draw."""

    def __init__(self, dataset: Any, policy: Policy, seed: int) -> None:
        """Holds the dataset and the policy."""
        self.dataset, self.policy, self.seed = dataset, policy, seed
        self.ignore_index: int = dataset.ignore_index

    def read(self, index: int) -> Sample:
        """Returns the shifted sample of an index: the same at every call, for every run."""
        image, mask = self.dataset.read(index)
        return Sample(*self.policy(image, mask, (self.seed, 0, index, 0)))


def shifts_of(names: Sequence[str], strengths: Sequence[float], data: Data) -> list[Shift]:
    """Returns every policy at every strength above 0, in that order.

    Raises:
        UserError: no such policy, or one that mixes samples, takes other images, or refuses a strength.
    """
    above = [strength for strength in sorted(set(strengths)) if strength > 0]
    configs = {name: RunConfig(composed("train", [*searched(), f"aug={name}", "dataset=shapes"])) for name in names}
    return [_shift(name, strength, configs[name], data) for name in names for strength in above]


def _shift(name: str, strength: float, config: RunConfig, data: Data) -> Shift:
    policy = policy_at(strength, config, data.dataset.ignore_index)
    if policy.needs_partner:
        raise UserError(
            f"shift={name} mixes training samples; expected policies that change one image by itself, such as "
            f"photometric, geometric, noise, blur, lowres; leave {name} out"
        )
    return Shift(name, strength, policy)


class Under(NamedTuple):
    """Holds the scores under a policy at a strength."""

    shift: str
    strength: float
    scored: Evaluation


def score_shifts(
    shifts: Sequence[Shift], unshifted: Evaluation, data: Data, scored: Callable[..., Evaluation], wanted: Section
) -> list[Under]:
    """Returns the scores under every shift in turn; strength 0, the unshifted images, begins each policy's."""
    found: list[Under] = []
    for shift in shifts:
        if not found or found[-1].shift != shift.name:
            found.append(Under(shift.name, 0.0, unshifted))
        source = Shifted(data.dataset, shift.policy, wanted.seed)
        under = scored(source, f"{shift.name} {shift.strength:g}")
        found.append(Under(shift.name, float(shift.strength), under))
    return found


def curve_rows(found: Sequence[Under], classes: Sequence[str]) -> list[Row]:
    """Returns the rows of shifts.csv: Dice and IoU of all pixels, their means over images, images that are empty."""
    rows = []
    for under in found:
        matrices = list(under.scored.matrices.values())
        scores = {k: v for k, v in under.scored.scores().items() if k.partition("/")[0] in ("dice", "iou")}
        means = averages(torch.stack(matrices), classes)
        kept = {key: means[key] for key in ("dice_image_mean", "iou_image_mean")}
        row = {"shift": under.shift, "strength": under.strength, "images": len(matrices), **kept, **scores}
        rows.append(row | evaluation.counts(under.scored.matrices, classes))
    return rows


def keep_robustness(found: Sequence[Under], data: Data, path: Path, seed: int) -> None:
    """Writes the Dice of every image under every shift, and unshifted, to a run's robustness.csv.

    Rows of other policies and strengths that it holds stay, where they are of the same weights, images and draws; those
    of a file that did not yet say how many pixels of the truth each class has leave that blank.
    """
    clean = _of_images(Under(*UNSHIFTED, found[0].scored), data, seed)
    ours = [row for under in found if under.strength > 0 for row in _of_images(under, data, seed)]
    before = read_shifted_cells(path)
    known = before[0] if before else {}
    written = [{key: _text(value) for key, value in row.items() if key in known} for row in clean]
    same = [row for row in before if (row["shift"], float(row["strength"])) == UNSHIFTED] == written
    new = {(row["shift"], row["strength"]) for row in [*clean, *ours]}
    stay = [row for row in before if same and (row["shift"], float(row["strength"])) not in new]
    rest = sorted([*stay, *ours], key=lambda row: (row["shift"], float(row["strength"])))
    write_csv(path, [*clean, *rest])


def _of_images(under: Under, data: Data, seed: int) -> list[Row]:
    rows = image_rows(under.scored.matrices, data.dataset.ids, data.dataset.classes)
    kept = [{k: v for k, v in row.items() if k == "id" or k.partition("/")[0] in ("dice", "truth")} for row in rows]
    return [{"shift": under.shift, "strength": under.strength, "seed": seed, **row} for row in kept]


def _text(value: float | int | str) -> str:
    return repr(value) if isinstance(value, float) else str(value)
