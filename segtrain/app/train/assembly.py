"""From config nodes to the parts of a run. The only place that knows both."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from segtrain.app.train.initial_weights import start, supervision_of
from segtrain.app.train.logbook import Logbook
from segtrain.app.train.nonfinite_loss import NonFinite
from segtrain.app.train.recorder import AtomicCheckpoints, Every, Recorder
from segtrain.app.train.terminal import Progress, Terminal
from segtrain.app.train.try_network import is_tried, try_network
from segtrain.aug.tail import training_alone
from segtrain.config.known_arguments import shipped
from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.data.cautions import cautions
from segtrain.data.datamodule import DataModule
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.pixel_meaning import PixelMeaning
from segtrain.draw.pictures import thumbnailed
from segtrain.errors import UserError
from segtrain.interrupts import Stops
from segtrain.lightning import L
from segtrain.model.module import Segmentation
from segtrain.parts import device
from segtrain.parts.cached import Feeding
from segtrain.parts.data import (
    OpenData,
    crop_size,
    open_data,
    recorded_split,
    said_of_groups,
    scales_itself,
)
from segtrain.parts.data_module import build_data
from segtrain.parts.limits import optimizer_steps, require_batches
from segtrain.parts.network import build_loss, build_network
from segtrain.runs.folder import RunFolder
from segtrain.runs.writer import Writer


@dataclass(frozen=True)
class Parts:
    """What a run is made of."""

    config: RunConfig
    run: RunFolder
    dataset: SegmentationDataset
    fingerprint: str  # the dataset's
    data: DataModule
    module: Segmentation
    trainer: L.Trainer
    logbook: Logbook
    device: str
    pixels: PixelMeaning  # of the training images


def assemble(
    config: RunConfig,
    run: RunFolder,
    terminal: Terminal,
    stops: Stops,
    keeps_split: bool = False,
    source: OpenData | None = None,
) -> Parts:
    """Builds every part, in the order in which data flows, upon data that may be open already.

    A run that goes on may keep the split that it recorded.
    """
    opened = open_data(config) if source is None else source
    for line in opened.lines():
        terminal.say(line)
    feeding = Feeding(config, opened.dataset)
    dataset = feeding.dataset
    data = build_data(config, feeding, recorded_split(run, dataset) if keeps_split else None)
    listed = data.policy.at(config.trainer.max_epochs - 1).transforms
    for words in training_alone(listed, *dataset.read(data.split.train[0])) if listed else ():
        terminal.say(f"warning: {words}")
    rows = {"val": data.split.val, "test": data.split.test}
    batches = {part: math.ceil(len(of) / data.batch_size) for part, of in rows.items()}
    require_batches(config, {"train": data.steps_per_epoch, **batches})
    groups = said_of_groups(config, dataset, data.split)
    is_typed = any(override.startswith("data.crop=") for override in run.overrides())
    crop, size = config.data.crop, data.batch_size
    for sentence in cautions(dataset, data.split, groups, crop=crop, is_typed=is_typed, batch_size=size):
        terminal.say(f"careful: {sentence}")
    if not scales_itself(config) and (scales := feeding.scales(data.split.train)):
        terminal.say(f"careful: {scales}")
    module = build_module(config, feeding, data)
    start(config, run, module.network, dataset.channels, terminal)
    logbook = Logbook(config, run)
    writer, every = Writer(run.checkpoints), Every(config.checkpoint.every)
    callbacks = [NonFinite(run), Recorder(run, writer, every, logbook, stops), Progress(terminal)]
    trainer = build_trainer(config, run, callbacks, AtomicCheckpoints(writer))
    module.keep = frozenset(thumbnailed(data.split.test))
    on = device.describe(config.trainer.accelerator)
    pixels = feeding.pixels(data.split.train)
    return Parts(config, run, dataset, feeding.fingerprint, data, module, trainer, logbook, on, pixels)


def build_module(config: RunConfig, feeding: Feeding, data: DataModule) -> Segmentation:
    """The module: network, loss, optimizer, scheduler, and normalisation from the training images."""
    dataset, train = feeding.dataset, data.split.train
    mean, std = feeding.statistics(train)
    optimizer, scheduler = build_descent(config)
    network = build_network(config.model, dataset.channels, len(dataset.classes))
    if is_tried(config.model, shipped("model", str(config.choices.model))):
        size = crop_size(config) or dataset.read(train[0])[0].shape[:2]
        try_network(network, dataset.channels, size, config.model.where)
    return Segmentation(
        network,
        build_loss(config, feeding, train),
        optimizer=optimizer,
        scheduler=scheduler,
        steps=optimizer_steps(config, data.steps_per_epoch),
        classes=dataset.classes,
        ignore_index=dataset.ignore_index,
        mean=mean,
        std=std,
        supervision=supervision_of(config, network),
        freeze_encoder=config.freeze_encoder,
        encoder_lr=config.encoder_lr,
    )


def build_descent(config: RunConfig) -> tuple[Any, Any]:
    """Optimizer and scheduler, still without parameters and length.

    Raises:
        UserError: one of them refuses its values; found now, on one parameter, not after the data is loaded.
    """
    optimizer = build(config.optimizer)
    scheduler = build(config.scheduler)
    tried = config.optimizer
    try:
        trial = optimizer([nn.Parameter(torch.zeros(1))])
        tried = config.scheduler
        scheduler(trial, steps=10)
    except (TypeError, ValueError) as error:
        raise UserError(f"{tried.where} is refused: {error}") from error
    return optimizer, scheduler


class Patience(L.pytorch.callbacks.EarlyStopping):
    """Early stopping that goes on with the patience of now; what it has seen is the checkpoint's."""

    @property
    def state_key(self) -> str:
        """The name of its state in a checkpoint."""
        key: str = super().state_key
        return key.replace("Patience", "EarlyStopping", 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best score, and how long none was better."""
        super().load_state_dict({**state_dict, "patience": self.patience})


def build_trainer(
    config: RunConfig, run: RunFolder, callbacks: list[L.Callback], checkpoints: AtomicCheckpoints
) -> L.Trainer:
    """Lightning's Trainer with our callbacks in place of its own bar, logger and checkpoints."""
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs 10 % a step
    if config.early_stopping is not None:
        callbacks = [*callbacks, Patience("val/dice", patience=config.early_stopping, mode="max")]
    if config.ema is not None:
        callbacks = [*callbacks, L.pytorch.callbacks.EMAWeightAveraging(decay=config.ema)]
    trainer: L.Trainer = build(
        config.trainer,
        callbacks=callbacks,
        plugins=[checkpoints],
        logger=False,  # the recorder feeds ours: Lightning's would lose or double what a crash falls into
        deterministic=config.deterministic,
        default_root_dir=str(run.path),
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    return trainer
