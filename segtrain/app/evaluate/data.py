"""Finds the data that a run is evaluated on: its own, where they lie now, or others of its classes and channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from segtrain.config.composition import composed, plain, searched
from segtrain.config.known_keys import require_known
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.pixel_meaning import require_data_fit
from segtrain.errors import UserError
from segtrain.parts.config_changes import is_same, with_typed
from segtrain.parts.data import build_dataset, build_split
from segtrain.parts.feeding import Feeding
from segtrain.parts.network import Loaded
from segtrain.runs import run_files
from segtrain.runs.folder import RunFolder

PARTS = ("train", "val", "test", "all")


@dataclass(frozen=True)
class Data:
    """Holds samples to evaluate."""

    config: RunConfig  # the run's own, with what was typed of its data
    dataset: SegmentationDataset
    feeding: Feeding
    part: str
    indices: tuple[int, ...]
    own: bool  # whether these are the data of the run, so that its split holds and its loss can be weighed
    train: tuple[int, ...]  # the run's training samples among them; empty for other data


def data_of(loaded: Loaded, typed: Sequence[str], part: str, outputs: Path) -> Data:
    """Returns the part of the run's data, or of those typed in their place.

    Raises:
        UserError: data that changed since, that have other classes or channels, or an empty part.
    """
    config = laid_over(loaded.config, typed).changed({"outputs": str(outputs), "data.cache": None})
    dataset = build_dataset(config)
    _require_fit(loaded, dataset)
    feeding = Feeding(config, dataset)
    known = loaded.run.split
    own = is_same(loaded.run, config, dataset, feeding.fingerprint)
    if own:
        _require_own_split(loaded.run, typed)
        sides = {side: _indices(dataset, known[side]) for side in PARTS[:3]}
    elif not any(override.lstrip("+").startswith(("dataset", "split=")) for override in typed):
        raise UserError(
            f"the data of {loaded.run.path} has changed since it was trained: another fingerprint than in its "
            f"{run_files.SPLIT}, or this version of segtrain reads them in another way; its scores on them would mean "
            "something else; restore the data, say where they are now (dataset.root=FOLDER), or give other data "
            "(dataset=NAME)"
        )
    elif part == "all":
        sides = {}
    else:
        split = build_split(config, dataset)
        sides = {side: tuple(getattr(split, side)) for side in PARTS[:3]}
    bad = getattr(dataset, "bad", {})
    everything = tuple(i for i, name in enumerate(dataset.ids) if name not in bad)
    indices = everything if part == "all" else sides[part]
    if not indices:
        raise UserError(f"the part {part} is empty; expected at least one sample; give another split=…")
    return Data(config, dataset, feeding, part, indices, own, sides["train"] if own else ())


def laid_over(saved: RunConfig, typed: Sequence[str]) -> RunConfig:
    """Returns the run's config with overrides of `dataset`, `split` and `data`; a dataset= replaces all of its data.

    Raises:
        UserError: an override that is none, or a value that cannot be.
    """
    if not any(override.startswith("dataset=") for override in typed):
        return with_typed(saved, typed)
    ours = [override for override in typed if override.startswith(("dataset", "split="))]
    config = with_typed(saved, [override for override in typed if override not in ours])
    fresh = composed("train", [*searched(), *ours])
    require_known(fresh, "train", fresh.choices, ("dataset",))
    choices = {group: fresh.choices[group] for group in ("dataset", "split")}
    only = OmegaConf.create({"dataset": fresh.dataset})
    chosen = {f"choices.{group}": choice for group, choice in choices.items()}
    return config.changed({"dataset": plain(only, choices)["dataset"], **chosen})


def unseen(loaded: Sequence[Loaded], data: Data) -> dict[tuple[int, ...], list[int]]:
    """Returns, of every run's test images, which runs, by their places, have not seen an image, and those images.

    Raises:
        UserError: the data are not those that every run was trained on, or part is not test.
    """
    known = [one.run.split for one in loaded]
    fingerprint = data.feeding.fingerprint
    if data.part != "test" or not all(is_same(one.run, data.config, data.dataset, fingerprint) for one in loaded):
        raise UserError(
            "ensemble=unseen scores each test image by the runs that have not seen it; expected runs on the same data, "
            f"such as the folds of split=folds, and split=test; got part {data.part}, data "
            f"{', '.join(sorted({split['fingerprint'] for split in known}))}; leave dataset and split out, or give "
            "ensemble=true"
        )
    seen = [{*split["train"], *split["val"]} for split in known]
    tested = {name for split in known for name in split["test"]}
    found: dict[tuple[int, ...], list[int]] = {}
    for index, name in enumerate(data.dataset.ids):
        if name in tested:
            blind = tuple(place for place, names in enumerate(seen) if name not in names)
            found.setdefault(blind, []).append(index)
    return found


def require_unseen(run: RunFolder, data: Data) -> None:
    """Raises UserError if a further run of an ensemble was trained or chosen on the test images: too good scores."""
    known = run.split
    seen = {*known["train"], *known["val"]} & {data.dataset.ids[index] for index in data.indices}
    if data.own and data.part == "test" and seen:
        raise UserError(
            f"{run.path} was trained or chosen on {len(seen)} of these test images, such as '{min(seen)}'; expected an "
            "ensemble of runs that share their test images; give ensemble=unseen (each image by the runs that have not "
            "seen it), ensemble=false (each run by itself), or data that none has seen: dataset=NAME"
        )


def require_pixels(loaded: Sequence[Loaded], data: Data) -> None:
    """Raises UserError unless other data than the run's own are such images as every one of the networks has seen."""
    known = [one.pixels for one in loaded if one.pixels is not None]
    if known and not data.own:
        require_data_fit(known, data.dataset, data.indices)


def require_alike(first: Loaded, other: Loaded) -> None:
    """Raises UserError unless two runs mean the same by an image and its labels: the same channels and classes."""
    if (other.classes, other.channels) != (first.classes, first.channels):
        raise UserError(
            f"{first.run.path} and {other.run.path} cannot be averaged; expected the same classes and channels; got "
            f"{first.classes}, {first.channels} and {other.classes}, {other.channels}; give runs of one data set, or "
            "ensemble=false"
        )


def _require_fit(loaded: Loaded, dataset: SegmentationDataset) -> None:
    there: dict[str, Any] = {"classes": tuple(dataset.classes), "channels": dataset.channels}
    wanted: dict[str, Any] = {"classes": loaded.classes, "channels": loaded.channels}
    for what, value in wanted.items():
        if there[what] != value:
            raise UserError(
                f"the network of {loaded.run.path} and these data do not fit; expected {what} {value}, as it was "
                f"trained with; got {there[what]}; give data of the same {what} in the same order (dataset.classes "
                "says which values of a mask they are)"
            )


def _require_own_split(run: RunFolder, typed: Sequence[str]) -> None:
    again = [override for override in typed if override.startswith(("split=", "dataset.split"))]
    if again:
        raise UserError(
            f"these are the data of {run.path}, whose {run_files.SPLIT} says what it was trained on; another split "
            f"would test it on images that it has seen; got {', '.join(again)}; leave it out, or give "
            "split=train, val, test, all"
        )


def _indices(dataset: SegmentationDataset, names: Sequence[str]) -> tuple[int, ...]:
    place = {name: index for index, name in enumerate(dataset.ids)}
    return tuple(place[name] for name in names)
