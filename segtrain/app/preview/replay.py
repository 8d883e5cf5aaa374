"""Runs `preview replay=RUN sample=ID epoch=3`: one training sample as the network of that run got it, bit for bit."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segtrain.app.preview.sheets import Sheet, Strip, Version, write_json, write_page, write_sheets
from segtrain.aug.policy import channels_first
from segtrain.aug.trace import trace_policy
from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.datasets.streamed import npy
from segtrain.data.split import Split
from segtrain.errors import UserError
from segtrain.files import make_own, write_whole
from segtrain.parts.config_changes import as_of, is_same
from segtrain.parts.data import build_dataset, find_sample, recorded_split
from segtrain.parts.feeding import Feeding, build_data
from segtrain.parts.limits import trained_batches
from segtrain.parts.policy import build_schedule
from segtrain.printable import print_text
from segtrain.runs import run_files
from segtrain.runs.epochs import index_of, number_of
from segtrain.runs.find_run import find_run
from segtrain.runs.run_files import folder_name

OWN = ("replay", "sample", "epoch", "view", "outputs", "debug", "trust")  # what may be typed beside replay


def replay(name: str, outputs: Path, typed: Sequence[str], *, sample: object, epoch: int, view: int) -> Path:
    """Rebuilds dataset and policy from the run's config.yaml, draws the sample again, writes what came out.

    Args:
        name: of the run, or its folder.
        outputs: folder of all runs.
        typed: all overrides of the command.
        sample: its id; None is a mistake, told with an example.
        epoch: from 1.
        view: which visit of the sample within the epoch, from 0.

    Returns:
        The folder of image.npy (C, H, W) and mask.npy (H, W), the arrays before batching, and of the pictures.

    Raises:
        UserError: changed data, a sample that does not exist, or one that the run did not see in that epoch.
    """
    others = [o for o in typed if o.split("=")[0] not in OWN]
    run = find_run(name, outputs)
    if others:
        raise UserError(
            f"replay takes everything from {run.path}/{run_files.CONFIG}; got also {', '.join(others)}; leave them out"
        )
    config = as_of(RunConfig(run.config()), run.changes(), index_of(epoch))
    dataset = build_dataset(config)
    if not is_same(run, config, dataset, dataset.fingerprint()):
        raise UserError(
            f"the data of {run.path} has changed since the run (another fingerprint than in its {run_files.SPLIT}), or "
            "this version of segtrain reads them in another way, so what its network saw cannot be shown; restore the "
            "data, or look at the new data without replay"
        )
    if sample is None:
        raise UserError(f"replay shows one sample; give sample=ID, such as sample={dataset.ids[0]}")
    index = find_sample(dataset, str(sample))
    key = (config.seed, index_of(epoch), index, view)
    split = recorded_split(run, dataset)
    _require_seen(config, dataset, split, key)

    image, mask = dataset.read(index)
    policy = build_schedule(config, dataset, split).at(index_of(epoch))
    seen, drawn = trace_policy(policy, image, mask, key)
    cells = [
        Version("as stored", (image, mask), {}),
        Version(f"epoch {epoch}, view {view}", seen, drawn),
    ]
    folder = outputs / "preview" / "replay" / run.path.name
    folder /= folder_name([dataset.ids[index], f"epoch={epoch}", f"view={view}"])
    make_own(folder)
    write_whole(folder / "image.npy", npy(network_input(seen[0])))
    write_whole(folder / "mask.npy", npy(seen[1]))
    text = "Left as stored, right as the network of this run got it, before normalisation and padding to the batch."
    sheet = Sheet("replay", f"Sample {dataset.ids[index]}", text, [Strip(dataset.ids[index], cells)])
    facts = f"run {run.path.as_posix()}, seed {config.seed}, strength {config.aug.strength:g}, crop {config.data.crop}"
    title = f"aug={config.choices.aug} on dataset={config.choices.dataset}, replayed"
    write_sheets(folder, [sheet], dataset)
    write_json(folder, {"run": run.path.as_posix(), "key": list(key)}, [sheet])
    page = write_page(folder, title, facts, [sheet], dataset)
    print_text(
        f"look at {page}: the sample as stored, and as the network of {run.path} saw it; class contours in colour"
    )
    print_text(
        f"also in {folder}/: image.npy and mask.npy (its very arrays), replay.png, draws.json (drawn parameters)"
    )
    return folder


def network_input(image: np.ndarray) -> np.ndarray:
    """Returns (H, W, C) as training batches hold it: (C, H, W), uint8 or float32."""
    return channels_first(image if image.dtype == np.uint8 else image.astype(np.float32))


def _require_seen(
    config: RunConfig, dataset: SegmentationDataset, split: Split, key: tuple[int, int, int, int]
) -> None:
    """Raises UserError unless the sampler of that run yields the key."""
    _, epoch, index, view = key
    name = dataset.ids[index]
    if index not in split.train:
        side = next(side for side in ("val", "test", "unused") if index in getattr(split, side))
        raise UserError(
            f"sample '{name}' was not trained on, its side is {side}; take one of train in {run_files.SPLIT}"
        )
    data = build_data(config, Feeding(config, dataset), split)
    sampler, length = data.sampler(), trained_batches(config, data.steps_per_epoch) * data.batch_size
    visits = []
    for each in range(config.trainer.max_epochs):
        sampler.set_epoch(each)
        visits += [(each, number) for _, which, number in itertools.islice(sampler, length) if which == index]
    if (epoch, view) not in visits:
        near = sorted(visits, key=lambda visit: (abs(visit[0] - epoch), visit))[:3]
        told = ", ".join(f"epoch={number_of(e)} view={v}" for e, v in near) or "none of its epochs"
        raise UserError(
            f"the run did not see sample '{name}' in epoch={number_of(epoch)} view={view} (epochs count from "
            f"1; views, from 0, are the visits within one, {length} samples an epoch); it saw it in {told}"
        )
