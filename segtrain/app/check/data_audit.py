"""The audit of the data: opened leniently, read once, what is found as lines."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.progress import track

from segtrain.app.check import findings
from segtrain.app.check.findings import Facts, Finding, copies
from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.data.cautions import crop_caution
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.duplicates import find_torn
from segtrain.data.likely_groups import find_groups
from segtrain.data.split import PARTS, Split
from segtrain.data.statistics import WEIGHTS, Counts, class_weights, images_looked_at, mean_and_std
from segtrain.data.survey import Seen, survey
from segtrain.errors import Refusal, UserError, hearing, noting
from segtrain.padding import STRIDE
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
LARGEST = 512  # pixels: beyond, memory and time of a step grow and few objects need the context


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
        over = len(find_torn(groups, split))
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
    chosen = images_looked_at(range(len(names)))
    mean, std = mean_and_std(facts.seen[names[i]].moments for i in chosen)
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
    side, reason = crop(train, [label for label in range(len(facts.classes)) if label != ground])
    lines = [normalised]
    counted = counts(train, len(facts.classes))
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


def counts(seen: Sequence[Seen], classes: int) -> Counts:
    """What class weights are made of, from masks that have been read."""
    holders = [[one.pixels for one in seen if label in one.pixels] for label in range(classes)]
    pixels = [sum(of[label] for of in some) for label, some in enumerate(holders)]
    where = [sum(number for of in some for label, number in of.items() if label < classes) for some in holders]
    return Counts(pixels, where, [len(some) for some in holders], len(seen))


def crop(seen: Sequence[Seen], foreground: Sequence[int]) -> tuple[int, str]:
    """A side for the square training crop, a multiple of 32, and the reason.

    Twice the size that nine of ten of the images' largest objects keep below, so that they fit with what is about
    them; at most the median short side of the images, and 512.
    """
    short = float(np.median([min(one.height, one.width) for one in seen]))
    sides = [one.extent[label] for one in seen for label in foreground if label in one.extent]
    limit = min(LARGEST, max(STRIDE, int(short) // STRIDE * STRIDE))
    if not sides:
        return limit, f"no object to size it by: the median short side of {short:g} px, at most {LARGEST}"
    largest = float(np.percentile(sides, 90))
    wanted = math.ceil(2 * largest / STRIDE) * STRIDE
    reason = f"twice the {largest:.0f} px that 9 of 10 images' largest objects keep below"
    cap = f"the median short side of {short:g} px" if limit < LARGEST else f"{LARGEST} px, for memory"
    return min(wanted, limit), reason if wanted <= limit else f"{reason} is more than {cap}, which limits it"
