"""Draws the sheets of `preview`, samples at growing strength and each op alone, as PNG, one HTML page and JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from segtrain.area import shrink_labels
from segtrain.aug import Policy
from segtrain.aug.keys import Key
from segtrain.aug.policy import Pair
from segtrain.aug.trace import OPS, Drawn, isolate_ops, keep_crop, trace_policy
from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.data.datasets import SegmentationDataset
from segtrain.draw import pictures
from segtrain.draw.html_page import group, html_image, html_key, html_page, html_table, inline, paragraph
from segtrain.errors import UserError
from segtrain.files import make_own, write_whole
from segtrain.parts.data import build_split, find_sample
from segtrain.parts.policy import build_policy
from segtrain.printable import in_html, print_text
from segtrain.runs.epochs import index_of, written
from segtrain.runs.run_files import folder_name
from segtrain.spread import spread

LARGEST = 320  # pixels, longest side of a picture in the page
SMALLEST = 160  # smaller ones are enlarged by whole pixels, so that no browser blurs them
UNSAID = ("shape", "elastic_length", "noise_seed")  # of draws.json, left out of the page's tables
UNITS = {op: reads.partition("{:g}")[2] for ops in OPS.values() for op, reads in ops.items()}
SHRUNK = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]

STYLE = Path(__file__).with_name("preview.css")


class Version(NamedTuple):
    """Holds one version of a sample: its head, image and mask, and what was drawn for it."""

    head: str
    pair: Pair
    drawn: Drawn


class Strip(NamedTuple):
    """Holds the versions of one sample, the untouched one first."""

    name: str
    cells: list[Version]


class Sheet(NamedTuple):
    """Holds a contact sheet: the name of its file, its title, what one sees in it, a strip a sample."""

    name: str
    title: str
    text: str
    strips: list[Strip]


def write_preview(config: RunConfig, dataset: SegmentationDataset, typed: Sequence[str]) -> Path:
    """Writes strengths.png, ops.png, draws.json and preview.html, and says where; returns their folder.

    Args:
        config: of the verb, with its choices, every value there.
        dataset: of the config.
        typed: overrides, which name the folder.
    """
    choices = config.choices
    policies, refused = _policies(config, dataset)
    single = isolate_ops(policies[config.aug.strength])
    indices = (
        spread(build_split(config, dataset).train, config.samples)
        if config.sample is None
        else [find_sample(dataset, str(config.sample))]
    )
    seed, epoch, view = config.seed, index_of(config.epoch), config.view
    keys = [(seed, epoch, index, view) for index in indices]
    at_strengths = Sheet(
        "strengths",
        "Growing strength",
        "The same draws at every strength: what turns a little at 0.5 turns twice as far at 1. Strength 0 is the "
        "original. An op with a chance below 1 leaves many samples alone, as in training." + refused,
        _strips(dataset, keys, {f"strength {s:g}": policy for s, policy in policies.items()}),
    )
    ops = Sheet(
        "ops",
        "Each op alone",
        f"At strength {config.aug.strength:g}, its chance set to 1, every other op off; the draws are those of above.",
        _strips(dataset, keys, {"original": keep_crop(policies[config.aug.strength]), **single}),
    )
    folder = Path(config.outputs, "preview", str(config.name), folder_name(typed))
    make_own(folder)
    sheets = [at_strengths, ops] if single else [at_strengths]
    facts = f"seed {config.seed}, epoch {config.epoch}, crop {config.data.crop or 'none: whole images'}"
    title = f"aug={choices['aug']} on dataset={choices['dataset']}"
    write_sheets(folder, sheets, dataset)
    write_json(folder, {"title": title, "seed": seed, **written("epoch", epoch), "view": view}, sheets)
    page = write_page(folder, title, facts, sheets, dataset)
    print_text(f"{title}: {counted(len(indices), 'sample')}, {facts}{refused}")
    print_text(f"look at {page}: rows are samples, columns strengths, then each op alone; class contours in colour")
    print_text(
        f"also in {folder}/: {', '.join(f'{sheet.name}.png' for sheet in sheets)}, draws.json (all drawn parameters)"
    )
    return folder


def _policies(config: RunConfig, dataset: SegmentationDataset) -> tuple[dict[float, Policy], str]:
    """Returns strength -> policy, ascending; and a sentence on the strengths that the policy refuses, if any."""
    built, refused = {}, ""
    for strength in sorted({*config.strengths, config.aug.strength}):
        try:
            built[strength] = build_policy(config, dataset, strength=strength)
        except UserError as error:
            if strength == config.aug.strength:
                raise
            refused += f" Strength {strength:g} is left out, the policy refuses it: {error}."
    return built, refused


def _strips(dataset: SegmentationDataset, keys: Sequence[Key], policies: dict[str, Policy]) -> list[Strip]:
    """Returns for each sample, by its key, a version a policy."""
    strips = []
    for key in keys:
        image, mask = dataset.read(key[2])
        cells = [Version(head, *trace_policy(policy, image, mask, key)) for head, policy in policies.items()]
        strips.append(Strip(dataset.ids[key[2]], cells))
    return strips


def write_sheets(folder: Path, sheets: Sequence[Sheet], dataset: SegmentationDataset) -> None:
    """Writes NAME.png of each sheet: a row of images and a row of overlays a sample."""
    for sheet in sheets:
        rows = [(strip.name, [cell.pair for cell in strip.cells]) for strip in sheet.strips]
        heads = [cell.head for cell in sheet.strips[0].cells]
        path = folder / f"{sheet.name}.png"
        pictures.augmented_sheet(path, rows, dataset.palette, dataset.classes, dataset.ignore_index, heads)


def write_json(folder: Path, about: Mapping[str, Any], sheets: Sequence[Sheet]) -> None:
    """Writes draws.json: sheet -> sample -> column -> transform -> drawn parameters, null where it did not fire."""
    drawn = {s.name: {strip.name: {c.head: c.drawn for c in strip.cells} for strip in s.strips} for s in sheets}
    write_whole(folder / "draws.json", json.dumps({**about, **drawn}, ensure_ascii=False) + "\n")


def write_page(folder: Path, title: str, facts: str, sheets: Sequence[Sheet], dataset: SegmentationDataset) -> Path:
    """Writes preview.html, pictures inside, for any width of screen; returns its path."""
    parts = [f"<h1>{in_html(title)}</h1>", paragraph(facts), _legend(dataset)]
    for sheet in sheets:
        parts += [f"<h2>{in_html(sheet.title)}</h2>", paragraph(sheet.text)]
        for strip in sheet.strips:
            parts += [f"<h3>{in_html(strip.name)}</h3>", group("grid", _figures(strip, dataset)), _table(strip)]
    path = folder / "preview.html"
    write_whole(path, html_page(title, parts, STYLE))
    return path


def _legend(dataset: SegmentationDataset) -> str:
    """Returns the colours of the classes that overlays draw; hatching is explained in words."""
    drawn = {
        name: colour
        for i, (name, colour) in enumerate(zip(dataset.classes, dataset.palette, strict=True))
        if i or tuple(colour) != pictures.BLACK
    }
    return html_key(drawn, after="grey stripes: ignored, from outside the image")


def _figures(strip: Strip, dataset: SegmentationDataset) -> Iterator[str]:
    """Yields each version: head, whether it differs from the first, image, overlay; all on the first's grey scale."""
    first, first_mask = strip.cells[0].pair
    limits = None if first.dtype == np.uint8 else pictures.shown_range([first])  # bytes are shown as they are
    for number, cell in enumerate(strip.cells):
        image, mask = cell.pair
        same = np.array_equal(mask, first_mask) and np.array_equal(image, first)
        note = "untouched" if number == 0 else "unchanged" if same else "changed"
        whole = max(mask.shape) <= LARGEST
        rgb, mask = _sized(pictures.to_rgb(image, limits), mask)
        drawn = pictures.overlay(rgb, mask, dataset.palette, dataset.ignore_index)
        drawings = _picture(rgb, cell.head, whole) + _picture(drawn, f"{cell.head}, mask drawn", whole)
        yield f"<figure><figcaption><b>{in_html(cell.head)}</b>{note}</figcaption>{drawings}</figure>"


def _sized(rgb: np.ndarray, mask: np.ndarray) -> Pair:
    """Returns both at the size at which the page shows them; labels stay labels."""
    longest = max(mask.shape)
    if longest > LARGEST:
        height, width = (max(1, round(side * LARGEST / longest)) for side in mask.shape)
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        return rgb, shrink_labels(mask, (width, height))
    times = -(-SMALLEST // longest)
    return rgb.repeat(times, 0).repeat(times, 1), mask.repeat(times, 0).repeat(times, 1)


def _picture(rgb: np.ndarray, words: str, whole: bool) -> str:
    """Returns PNG of whole pixels, JPEG of averaged ones: a page of large pictures is then a quarter as large."""
    kind, options = ("png", []) if whole else ("jpeg", SHRUNK)
    data = cv2.imencode(f".{kind}", np.ascontiguousarray(rgb[..., ::-1]), options)[1].tobytes()
    return html_image(inline(data, kind), words)


def _table(strip: Strip) -> str:
    """Returns the drawn parameters that are not zero, a row each, a column a version, folded; of arrays the shape."""
    columns = [dict(_flat(cell.drawn)) for cell in strip.cells]
    names = list(dict.fromkeys(name for column in columns for name in column))
    names = [n for n in names if any(column.get(n) not in (None, "0", "no", "none") for column in columns)]
    shown = [i for i, column in enumerate(columns) if column]
    if not names:
        return ""
    rows = [[name, *(columns[i].get(name, "") for i in shown)] for name in names]
    drawn = html_table(["", *(strip.cells[i].head for i in shown)], rows)
    return f"<details><summary>drawn parameters</summary>{drawn}</details>"


def _flat(drawn: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields names and values as a reader wants them; of RandAugment its ops, not what they amount to."""
    if isinstance(drawn, Mapping) and drawn:
        for key, value in {"ops": drawn["ops"]}.items() if "ops" in drawn else drawn.items():
            if key not in UNSAID:
                yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(drawn, list) and len(drawn) > 4:
        yield prefix, f"{' × '.join(map(str, np.shape(drawn)))} numbers"
    elif prefix:
        yield prefix, _words(drawn, UNITS.get(prefix.rpartition(".")[2].partition("_")[0], ""))


def _words(value: Any, unit: str = "") -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_words(item, unit) for item in value) if np.any(value) else "0"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if not isinstance(value, int | float):
        return str(value)
    return "0" if not value else f"{value}{unit}" if isinstance(value, int) else f"{value:.4g}{unit}"
