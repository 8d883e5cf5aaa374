"""Audits the data: opens it leniently, reads it once, and says what is found as lines."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.progress import track

from segtrain.app.check import findings
from segtrain.app.check.findings import Facts, Finding, find_copies
from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.data.cautions import crop_caution
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.duplicates import find_torn
from segtrain.data.files.columns import Codes
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
class AuditedData:
    """Holds what the audit of the data has found."""

    lines: list[Finding]
    dataset: SegmentationDataset | None = None  # None: it cannot be opened
    facts: Facts | None = None
    numbers: dict[str, Any] = field(default_factory=dict)  # for check.json

    @property
    def readable(self) -> list[int]:
        """Returns the indices of the samples that can be read."""
        if self.dataset is None or self.facts is None:
            return []
        return [i for i, name in enumerate(self.dataset.ids) if name in self.facts.seen]


def audit_data(config: RunConfig, meanwhile: Callable[[], object]) -> AuditedData:
    """Returns the lines about the data; mistakes in it are lines too.

    Args:
        config: of the check.
        meanwhile: called while other processes read the data.
    """
    try:
        with noting() as noted, hearing() as heard:
            dataset = build_dataset(config)
    except UserError as error:
        return AuditedData([*_refusals(noted), Finding("opening", None, "fails", "fail", "fail", str(error))])
    split: Split | None = None
    of_split = list[Finding]()
    try:
        split = build_split(config, dataset)
    except UserError as error:
        of_split = [Finding("split", None, "fails", "fail", "fail", str(error))]
    parts = {} if split is None else {dataset.ids[i]: part for part in PARTS for i in getattr(split, part)}
    found = survey(dataset, range(len(dataset.ids)), config.workers, meanwhile, _bar(len(dataset.ids)))
    facts = Facts.of(found, dataset.ids, parts, dataset.classes, dataset.ignore_index)
    lines = [
        *_refusals(noted),
        *_mapped(findings.count_samples(facts), facts, config.dataset.get("classes")),
        *of_split,
        *findings.describe_images(facts),
        *([] if scales_itself(config) else findings.compare_scales(facts)),
    ]
    lines += findings.list_remarks(facts, heard)
    allow = allows_leak(config)
    lines += [*findings.describe_labels(facts), *find_copies(facts, allow_leak=allow)]
    caution = ""
    if split is not None:
        lines += _groups(dataset.ids, split, said_groups(config, dataset), build_groups(config, dataset))
        caution = said_of_groups(config, dataset, split)
    suggested, numbers = _suggestions(facts, split, dataset.ids)
    return AuditedData(
        [*lines, *_cautions(facts, config.data.crop, caution), *suggested],
        dataset,
        facts,
        {**numbers, "unread": _reasons(facts)},
    )


def _refusals(noted: Sequence[Refusal]) -> list[Finding]:
    """Returns lines on what the dataset noted as it opened, such as files without a partner."""
    lines = [findings.samples_line("opening", one.names, len(one.names), one.message) for one in noted]
    return [line._replace(shown=f"{len(line.samples)}: {findings.first_names(line.samples)}") for line in lines]


def _groups(ids: Sequence[str], split: Split, groups: Codes, built: Codes) -> list[Finding]:
    """Returns a line on what belongs together, or seems to by its names though nobody says so.

    Args:
        ids: of the samples.
        split: the parts.
        groups: what belongs together, as the user says.
        built: the same, and copies of an image.
    """
    sizes = Counter(groups.codes.tolist()).values()
    apart = len({*built.codes.tolist()})
    copied = "" if apart == len(sizes) else f"; those that share copies of an image count as one, which leaves {apart}"
    if len(sizes) < len(ids):
        over = len(find_torn(groups, split))
        meaning = f"{over} lie in several parts: new images of known ones are judged" if over else "each in one part"
        number, each = counted(len(sizes), "group"), _between(min(sizes), max(sizes))
        return [
            findings.info_line("groups", f"{number} of {each} samples", f"{meaning}; one counts as one{copied}", apart)
        ]
    found = find_groups(list(ids), all(name.partition("/")[0] in PARTS for name in ids))
    if found is None:
        alone = f"every image counts as independent of the others{copied}"
        return [findings.info_line("groups", "none", alone, apart)]
    shown = f"none said; {found.number} by name, of {_between(found.smallest, found.largest)} samples"
    meaning = (
        f"'{found.example}' and others: if each is one patient, stack or image, its samples belong into one part, and "
        f"count as one; dataset.split.group='{found.expression}' keeps them together"
    )
    return [Finding("groups", found.number, shown, "warn: names alike", "warn", meaning)]


def _cautions(facts: Facts, crop: Any, groups: str) -> list[Finding]:
    """Returns lines on what is most likely not meant: a crop beyond the images, a test part of one group.

    Args:
        facts: of the samples.
        crop: as in the config.
        groups: what is said of the test part's groups; empty for nothing.
    """
    sizes = [(one.height, one.width) for one in facts.of_part("train")]
    said, verdict = {"crop": "", "test groups": groups}, "warn"
    try:
        said["crop"] = crop_caution(crop, sizes)
    except UserError as error:
        said["crop"], verdict = str(error), "fail"
    shown = {"crop": f"{crop}", "test groups": "1 group"}
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


def _mapped(lines: list[Finding], facts: Facts, known: Any) -> list[Finding]:
    """Returns the lines, with the classes to paste where masks hold other values."""
    found = findings.unknown_codes(facts)
    if not found or not isinstance(known, Mapping):
        return lines
    said = (
        f"{len(found)} values, as of JPEG or interpolation: save the masks as PNG, by nearest neighbour, or, "
        "to take each for the nearest class, give dataset.tolerance"
        if len(found) > MOST_PASTED
        else f"to paste, with names of your own: {_classes_line(known, found)}"
    )
    at = next(i for i, line in enumerate(lines) if line.check == findings.OUTSIDE)
    lines[at] = lines[at]._replace(meaning=f"{said}; the first: {lines[at].meaning}")
    return lines


def _classes_line(known: Mapping[Any, Any], found: Sequence[str]) -> str:
    """Returns the line `classes: {…}` of a dataset's file with the values or colours found added to the known ones."""
    every = {str(name): code for name, code in known.items()}
    every |= {f"value_{code.removeprefix('#')}": code for code in found}
    return "classes: {" + ", ".join(f"{name}: {_yaml(code)}" for name, code in every.items()) + "}"


def _yaml(code: Any) -> str:
    if isinstance(code, str):
        return code if re.fullmatch(r"-?\d+", code) else f"'{code}'"
    return str(code) if isinstance(code, int) else "[" + ", ".join(_yaml(one) for one in code) + "]"


def _normalisation(facts: Facts, split: Split | None, ids: Sequence[str]) -> tuple[Finding, dict[str, Any]]:
    """Returns what training normalises by, of those images that it reads for it: not all where there are many."""
    names = list(facts.seen) if split is None else [ids[i] for i in split.train if ids[i] in facts.seen]
    chosen = images_looked_at(range(len(names)))
    mean, std = mean_and_std(facts.seen[names[i]].moments for i in chosen)
    shown = f"mean [{', '.join(f'{v:.4g}' for v in mean)}], std [{', '.join(f'{v:.4g}' for v in std)}]"
    of = "all images, as there is no split" if split is None else "the training images"
    if len(chosen) < len(names):
        of = f"{len(chosen)} of {len(names)} images, evenly spread over {of}"
    words = f"of {of}, each channel, as stored" + ("" if split is None else "; training does it")
    return findings.info_line("normalisation", shown, words), {"mean": mean, "std": std}


def _suggestions(facts: Facts, split: Split | None, ids: Sequence[str]) -> tuple[list[Finding], dict[str, Any]]:
    """Returns lines that suggest values for the config, from the training images alone, and their numbers."""
    train = facts.of_part("train")
    if not train or len({one.channels for one in train}) > 1:
        return [], {}
    normalised, mean_and_std = _normalisation(facts, split, ids)
    ground = facts.classes.index("background") if "background" in facts.classes else None
    side, reason = suggest_crop(train, [label for label in range(len(facts.classes)) if label != ground])
    lines = [normalised]
    counted = count_pixels(train, len(facts.classes))
    known = all(counted.images)  # a class that training lacks is a line of its own, and has no weight
    weights = {kind: class_weights(kind, counted, facts.classes) for kind in WEIGHTS if known}
    for kind, values in weights.items():
        shown = f"[{', '.join(f'{value:.4g}' for value in values)}]"
        lines.append(
            findings.info_line(f"weights {kind}", shown, f"loss.class_weights={kind}; loss=focal loss.alpha={kind}")
        )
    lines.append(findings.info_line("training crop", f"data.crop={side}", reason, side))
    numbers = {"normalisation": mean_and_std, "class_weights": weights, "crop": side}
    return lines, numbers


def count_pixels(seen: Sequence[Seen], classes: int) -> Counts:
    """Returns what class weights are made of, from masks that have been read."""
    holders = [[one.pixels for one in seen if label in one.pixels] for label in range(classes)]
    pixels = [sum(of[label] for of in some) for label, some in enumerate(holders)]
    where = [sum(number for of in some for label, number in of.items() if label < classes) for some in holders]
    return Counts(pixels, where, [len(some) for some in holders], len(seen))


def suggest_crop(seen: Sequence[Seen], foreground: Sequence[int]) -> tuple[int, str]:
    """Returns a side for the square training crop, a multiple of 32, and the reason.

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
