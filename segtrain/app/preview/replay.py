"""`preview replay=RUN sample=ID epoch=3`: one training sample as the network of that run got it, bit for bit."""

import itertools
from pathlib import Path

import numpy as np

from segtrain.app.preview.sheets import Cell, Sheet, Strip, write_json, write_page, write_sheets
from segtrain.aug.policy import planes
from segtrain.aug.trace import traced
from segtrain.config.run_config import RunConfig, Section
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.datasets.streamed import npy
from segtrain.data.split import Split
from segtrain.errors import UserError
from segtrain.files import make_own, write_whole
from segtrain.parts.config_changes import as_of
from segtrain.parts.data import build_dataset, build_schedule, find_sample, recorded_split
from segtrain.parts.feeding import Feeding, build_data
from segtrain.parts.limits import trained_batches
from segtrain.parts.same_data import is_same
from segtrain.printable import print_text
from segtrain.runs.epochs import index_of, number_of
from segtrain.runs.find_run import find_run
from segtrain.runs.folder import RunFolder, folder_name

OWN = ("replay", "sample", "epoch", "view", "outputs", "debug", "trust")  # what may be typed beside replay


def replay(wanted: Section, typed: list[str]) -> Path:
    """Rebuild dataset and policy from the run's config.yaml, draw the sample again, write what came out.

    Returns:
        The folder of image.npy (C, H, W) and mask.npy (H, W), the arrays before batching, and of the pictures.

    Raises:
        UserError: changed data, a sample that does not exist, or one that the run did not see in that epoch.
    """
    others = [o for o in typed if o.split("=")[0] not in OWN]
    run = find_run(wanted.replay, Path(wanted.outputs))
    if others:
        raise UserError(
            f"replay takes everything from {run.path}/config.yaml; got also {', '.join(others)}; leave them out"
        )
    epoch = index_of(wanted.epoch)
    config = as_of(RunConfig(run.config()), run.changes(), epoch)
    dataset = build_dataset(config)
    _require_same_data(run, config, dataset)
    if wanted.sample is None:
        raise UserError(f"replay shows one sample; give sample=ID, such as sample={dataset.ids[0]}")
    index = find_sample(dataset, str(wanted.sample))
    key = (config.seed, epoch, index, wanted.view)
    split = recorded_split(run, dataset)
    _require_seen(config, dataset, split, key)

    image, mask = dataset.read(index)
    policy = build_schedule(config, dataset, split).at(epoch)
    seen, drawn = traced(policy, image, mask, key)
    cells = [
        Cell("as stored", (image, mask), {}),
        Cell(f"epoch {wanted.epoch}, view {wanted.view}", seen, drawn),
    ]
    folder = Path(wanted.outputs) / "preview" / "replay" / run.path.name
    folder /= folder_name([dataset.ids[index], f"epoch={wanted.epoch}", f"view={wanted.view}"])
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
    """(H, W, C) as training batches hold it: (C, H, W), uint8 or float32."""
    return planes(image if image.dtype == np.uint8 else image.astype(np.float32))


def _require_same_data(run: RunFolder, config: RunConfig, dataset: SegmentationDataset) -> None:
    if not is_same(run, config, dataset, dataset.fingerprint()):
        raise UserError(
            f"the data of {run.path} has changed since the run (another fingerprint than in its split.json), or this "
            "version of segtrain reads them in another way, so what its network saw cannot be shown; restore the data, "
            "or look at the new data without replay"
        )


def _require_seen(
    config: RunConfig, dataset: SegmentationDataset, split: Split, key: tuple[int, int, int, int]
) -> None:
    """Raise UserError unless the sampler of that run yields the key."""
    _, epoch, index, view = key
    name = dataset.ids[index]
    if index not in split.train:
        side = next(side for side in ("val", "test", "unused") if index in getattr(split, side))
        raise UserError(f"sample '{name}' was not trained on, its side is {side}; take one of train in split.json")
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
