"""The audit of the data: opened leniently, read once, what is found as lines."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.progress import track

from segtrain.app.check import findings, suggest
from segtrain.app.check.copies import copies
from segtrain.app.check.findings import Facts, Finding
from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.data.balance import WEIGHTS, class_weights
from segtrain.data.cautions import crop_caution
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.leaks import torn
from segtrain.data.likely_groups import find_groups
from segtrain.data.normalisation import looked_at, normalisation
from segtrain.data.split import PARTS, Split
from segtrain.data.survey import survey
from segtrain.errors import Refusal, UserError, hearing, noting
from segtrain.parts.data import (
    allows_leak,
    build_dataset,
    build_groups,
    build_split,
    said_groups,
    said_of_groups,
    scales_itself,
)
from segtrain.screen import Screen

MOST_PASTED = 32  # values outside the classes that are worth pasting; more come of JPEG or of interpolation


@dataclass
class Data:
    """What the audit of the data has found."""

    lines: list[Finding]
    dataset: SegmentationDataset | None = None  # None: it cannot be opened
    facts: Facts | None = None
    numbers: dict[str, Any] = field(default_factory=dict)  # for check.json

    @property
    def readable(self) -> list[int]:
        """Indices of the samples that can be read."""
        if self.dataset is None or self.facts is None:
            return []
        return [i for i, name in enumerate(self.dataset.ids) if name in self.facts.seen]


def audit_data(config: RunConfig, meanwhile: Callable[[], object]) -> Data:
    """The lines about the data; mistakes in it are lines too.

    Args:
        config: of the check.
        meanwhile: called while other processes read the data.
    """
    try:
        with noting() as noted, hearing() as heard:
            dataset = build_dataset(config)
    except UserError as error:
        return Data([*_refusals(noted), Finding("opening", None, "fails", "fail", "fail", str(error))])
    split, of_split = _split(config, dataset)
    parts = {} if split is None else {dataset.ids[i]: part for part in PARTS for i in getattr(split, part)}
    found = survey(dataset, range(len(dataset.ids)), config.workers, meanwhile, _bar(len(dataset.ids)))
    facts = Facts.of(found, dataset.ids, parts, dataset.classes, dataset.ignore_index)
    lines = [
        *_refusals(noted),
        *_mapped(findings.reading(facts), facts, config),
        *of_split,
        *findings.pictures(facts),
        *([] if scales_itself(config) else findings.scales(facts)),
    ]
    lines += findings.remarked(facts, heard)
    allow = allows_leak(config)
    lines += [*findings.labels(facts), *copies(facts, allow_leak=allow), *_groups(config, dataset, split)]
    suggested, numbers = _suggestions(facts, split, dataset.ids)
    return Data(
        [*lines, *_cautions(config, facts, dataset, split), *suggested],
        dataset,
        facts,
        {**numbers, "unread": _reasons(facts)},
    )


def _refusals(noted: Sequence[Refusal]) -> list[Finding]:
    """What the dataset noted as it opened, such as files without a partner."""
    lines = [findings.bad("opening", one.names, len(one.names), one.message) for one in noted]
    return [line._replace(shown=f"{len(line.samples)}: {findings.some(line.samples)}") for line in lines]


def _split(config: RunConfig, dataset: SegmentationDataset) -> tuple[Split | None, list[Finding]]:
    try:
        return build_split(config, dataset), []
    except UserError as error:
        return None, [Finding("split", None, "fails", "fail", "fail", str(error))]


def _groups(config: RunConfig, dataset: SegmentationDataset, split: Split | None) -> list[Finding]:
    """What belongs together, or seems to by its names though nobody says so."""
    if split is None:
        return []
    groups = said_groups(config, dataset)
    sizes = Counter(groups.codes.tolist()).values()
    apart = len({*build_groups(config, dataset).codes.tolist()})
    copied = "" if apart == len(sizes) else f"; those that share copies of an image count as one, which leaves {apart}"
    if len(sizes) < len(dataset.ids):
        over = len(torn(groups, split))
        meaning = f"{over} lie in several parts: new images of known ones are judged" if over else "each in one part"
        number, each = counted(len(sizes), "group"), _between(min(sizes), max(sizes))
        return [findings.said("groups", f"{number} of {each} samples", f"{meaning}; one counts as one{copied}", apart)]
    found = find_groups(list(dataset.ids), all(name.partition("/")[0] in PARTS for name in dataset.ids))
    if found is None:
        alone = f"every image counts as independent of the others{copied}"
        return [findings.said("groups", "none", alone, apart)]
    shown = f"none said; {found.number} by name, of {_between(found.smallest, found.largest)} samples"
    meaning = (
        f"'{found.example}' and others: if each is one patient, stack or image, its samples belong into one part, and "
        f"count as one; dataset.split.group='{found.expression}' keeps them together"
    )
    return [Finding("groups", found.number, shown, "warn: names alike", "warn", meaning)]


def _cautions(config: RunConfig, facts: Facts, dataset: SegmentationDataset, split: Split | None) -> list[Finding]:
    """What is most likely not meant: a crop beyond the images, a test part of one group."""
    sizes = [(one.height, one.width) for one in facts.of_part("train")]
    said = {"crop": "", "test groups": ""}
    verdict = "warn"
    try:
        said["crop"] = crop_caution(config.data.crop, sizes)
    except UserError as error:
        said["crop"], verdict = str(error), "fail"
    if split is not None:
        said["test groups"] = said_of_groups(config, dataset, split)
    shown = {"crop": f"{config.data.crop}", "test groups": "1 group"}
    found = {"crop": verdict, "test groups": "warn"}
    return [
        Finding(what, None, shown[what], f"{found[what]}", found[what], text) for what, text in said.items() if text
    ]


def _between(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} to {most}"


def _bar(total: int) -> Callable[[Iterable[Any]], Iterable[Any]]:
    console = Screen(stderr=True)
    return lambda rows: track(
        rows, "reading the data", total, console=console, transient=True, disable=not console.is_terminal
    )


def _reasons(facts: Facts) -> dict[str, str]:
    return {name: one.reason for name, one in facts.unread.items()}


def _mapped(lines: list[Finding], facts: Facts, config: RunConfig) -> list[Finding]:
    """The lines, with the classes to paste where masks hold other values."""
    found, known = findings.codes(facts), config.dataset.get("classes")
    if not found or not isinstance(known, Mapping):
        return lines
    said = (
        f"{len(found)} values, as of JPEG or interpolation: save the masks as PNG, by nearest neighbour, or, "
        "to take each for the nearest class, give dataset.tolerance"
        if len(found) > MOST_PASTED
        else f"to paste, with names of your own: {pasted(known, found)}"
    )
    at = next(i for i, line in enumerate(lines) if line.check == findings.OUTSIDE)
    lines[at] = lines[at]._replace(meaning=f"{said}; the first: {lines[at].meaning}")
    return lines


def pasted(known: Mapping[Any, Any], found: Sequence[str]) -> str:
    """The line `classes: {…}` of a dataset's file with the values or colours found added to the known ones."""
    every = {str(name): code for name, code in known.items()}
    every |= {f"value_{code.removeprefix('#')}": code for code in found}
    return "classes: {" + ", ".join(f"{name}: {_yaml(code)}" for name, code in every.items()) + "}"


def _yaml(code: Any) -> str:
    if isinstance(code, str):
        return code if re.fullmatch(r"-?\d+", code) else f"'{code}'"
    return str(code) if isinstance(code, int) else "[" + ", ".join(_yaml(one) for one in code) + "]"


def _normalisation(facts: Facts, split: Split | None, ids: Sequence[str]) -> tuple[Finding, dict[str, Any]]:
    """What training normalises by: of those images that it reads for it, which are not all where there are many."""
    names = list(facts.seen) if split is None else [ids[i] for i in split.train if ids[i] in facts.seen]
    chosen = looked_at(range(len(names)))
    mean, std = normalisation(facts.seen[names[i]].moments for i in chosen)
    shown = f"mean [{', '.join(f'{v:.4g}' for v in mean)}], std [{', '.join(f'{v:.4g}' for v in std)}]"
    of = "all images, as there is no split" if split is None else "the training images"
    if len(chosen) < len(names):
        of = f"{len(chosen)} of {len(names)} images, evenly spread over {of}"
    words = f"of {of}, each channel, as stored" + ("" if split is None else "; training does it")
    return findings.said("normalisation", shown, words), {"mean": mean, "std": std}


def _suggestions(facts: Facts, split: Split | None, ids: Sequence[str]) -> tuple[list[Finding], dict[str, Any]]:
    """Lines that suggest values for the config, from the training images alone, and the numbers behind them."""
    train = facts.of_part("train")
    if not train or len({one.channels for one in train}) > 1:
        return [], {}
    normalised, mean_and_std = _normalisation(facts, split, ids)
    ground = facts.classes.index("background") if "background" in facts.classes else None
    side, reason = suggest.crop(train, [label for label in range(len(facts.classes)) if label != ground])
    lines = [normalised]
    counted = suggest.counts(train, len(facts.classes))
    known = all(counted.images)  # a class that training lacks is a line of its own, and has no weight
    weights = {kind: class_weights(kind, counted, facts.classes) for kind in WEIGHTS if known}
    for kind, values in weights.items():
        shown = f"[{', '.join(f'{value:.4g}' for value in values)}]"
        lines.append(
            findings.said(f"weights {kind}", shown, f"loss.class_weights={kind}; loss=focal loss.alpha={kind}")
        )
    lines.append(findings.said("training crop", f"data.crop={side}", reason, side))
    numbers = {"normalisation": mean_and_std, "class_weights": weights, "crop": side}
    return lines, numbers
