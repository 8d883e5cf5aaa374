"""The sheets of `preview` and their page: samples at growing strength, and each op alone."""

from collections.abc import Sequence
from pathlib import Path

from segtrain.app.preview.sheets import Cell, Sheet, Strip, write_json, write_page, write_sheets
from segtrain.aug import Policy
from segtrain.aug.trace import alone, traced, untouched
from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.data.datasets import SegmentationDataset
from segtrain.errors import UserError
from segtrain.files import make_own
from segtrain.parts.data import build_policy, build_split, find_sample
from segtrain.printable import print_text
from segtrain.runs.epochs import index_of, written
from segtrain.runs.folder import folder_name
from segtrain.spread import spread


def write_preview(config: RunConfig, dataset: SegmentationDataset, typed: Sequence[str]) -> Path:
    """Writes strengths.png, ops.png, draws.json and preview.html, and says where; returns their folder.

    Args:
        config: of the verb, with its choices, every value there.
        dataset: of the config.
        typed: overrides, which name the folder.
    """
    choices = config.choices
    policies, refused = _policies(config, dataset)
    single = alone(policies[config.aug.strength])
    indices = _shown(config, dataset)
    at_strengths = Sheet(
        "strengths",
        "Growing strength",
        "The same draws at every strength: what turns a little at 0.5 turns twice as far at 1. Strength 0 is the "
        "original. An op with a chance below 1 leaves many samples alone, as in training." + refused,
        _strips(config, dataset, indices, {f"strength {s:g}": policy for s, policy in policies.items()}),
    )
    ops = Sheet(
        "ops",
        "Each op alone",
        f"At strength {config.aug.strength:g}, its chance set to 1, every other op off; the draws are those of above.",
        _strips(config, dataset, indices, {"original": untouched(policies[config.aug.strength]), **single}),
    )
    folder = Path(config.outputs, "preview", str(config.name), folder_name(typed))
    make_own(folder)
    sheets = [at_strengths, ops] if single else [at_strengths]
    facts = f"seed {config.seed}, epoch {config.epoch}, crop {config.data.crop or 'none: whole images'}"
    title = f"aug={choices['aug']} on dataset={choices['dataset']}"
    write_sheets(folder, sheets, dataset)
    write_json(
        folder,
        {"title": title, "seed": config.seed, **written("epoch", index_of(config.epoch)), "view": config.view},
        sheets,
    )
    page = write_page(folder, title, facts, sheets, dataset)
    print_text(f"{title}: {counted(len(indices), 'sample')}, {facts}{refused}")
    print_text(f"look at {page}: rows are samples, columns strengths, then each op alone; class contours in colour")
    print_text(
        f"also in {folder}/: {', '.join(f'{sheet.name}.png' for sheet in sheets)}, draws.json (all drawn parameters)"
    )
    return folder


def _policies(config: RunConfig, dataset: SegmentationDataset) -> tuple[dict[float, Policy], str]:
    """Strength -> policy, ascending; and a sentence on the strengths that the policy refuses, if any."""
    built, refused = {}, ""
    for strength in sorted({*config.strengths, config.aug.strength}):
        try:
            built[strength] = build_policy(config.changed({"aug.strength": strength}), dataset)
        except UserError as error:
            if strength == config.aug.strength:
                raise
            refused += f" Strength {strength:g} is left out, the policy refuses it: {error}."
    return built, refused


def _shown(config: RunConfig, dataset: SegmentationDataset) -> list[int]:
    if config.sample is not None:
        return [find_sample(dataset, str(config.sample))]
    return spread(build_split(config, dataset).train, config.samples)


def _strips(
    config: RunConfig, dataset: SegmentationDataset, indices: list[int], policies: dict[str, Policy]
) -> list[Strip]:
    """For each sample a cell a policy, all under the sample's key."""
    strips = []
    for index in indices:
        image, mask = dataset.read(index)
        key = (config.seed, index_of(config.epoch), index, config.view)
        cells = [Cell(head, *traced(policy, image, mask, key)) for head, policy in policies.items()]
        strips.append(Strip(dataset.ids[index], cells))
    return strips
