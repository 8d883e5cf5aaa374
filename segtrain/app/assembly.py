"""From config nodes to the parts of a run. The only place that knows both."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from segtrain.app import device
from segtrain.app.cautions import cautions
from segtrain.app.feeding import Feeding
from segtrain.app.known_arguments import shipped
from segtrain.app.limits import optimizer_steps, require_batches
from segtrain.app.logbook import Logbook
from segtrain.app.nonfinite import NonFinite
from segtrain.app.recorder import AtomicCheckpoints, Every, Recorder
from segtrain.app.sources import (
    OpenData,
    build_schedule,
    build_split,
    crop_size,
    least_size,
    open_data,
    recorded_split,
    said_of_groups,
    scales_itself,
    where,
)
from segtrain.app.starting import start, supervision_of
from segtrain.app.stops import Stops, leave_to_parent
from segtrain.app.terminal import Progress, Terminal
from segtrain.app.try_network import is_tried, try_network
from segtrain.aug.tail import training_alone
from segtrain.config import build
from segtrain.data.datamodule import DataModule
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.pixel_meaning import PixelMeaning
from segtrain.data.split import Split
from segtrain.errors import UserError
from segtrain.lightning import L
from segtrain.model.module import Segmentation
from segtrain.plots import thumbnailed
from segtrain.runs.folder import RunFolder
from segtrain.runs.writer import Writer


@dataclass(frozen=True)
class Parts:
    """What a run is made of."""

    config: DictConfig
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
    config: DictConfig,
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


def build_data(config: DictConfig, feeding: Feeding, split: Split | None = None) -> DataModule:
    """Returns the data module, its policy built; without a split that of the config is assigned."""
    dataset = feeding.dataset
    split = split or build_split(config, dataset)
    return DataModule(
        dataset,
        split,
        build_schedule(config, dataset, split),
        seed=config.seed,
        batch_size=config.data.batch_size,
        steps_per_epoch=config.data.steps_per_epoch,
        num_workers=config.data.num_workers,
        weights=feeding.sampling(config.data.sampling, split.train),
        in_worker=leave_to_parent,
        least=least_size(config),
    )


def build_network(config: DictConfig, channels: int, classes: int) -> nn.Module:
    """The network for so many channels of an image and so many classes.

    Raises:
        UserError: a single class; a config that says otherwise; pretrained weights that cannot be had, with what to do
            offline.
    """
    if classes < 2:
        raise UserError(
            f"the data have {classes} class, so that every pixel is of it and there is nothing to learn; expected two "
            "or more, such as background beside what is sought; name the other in dataset.classes"
        )
    shape: dict[str, Any] = {"in_channels": channels, "classes": classes}
    for key, value in shape.items():
        said = config.model.get(key, value)
        if said == 1 and shape["classes"] == 2 and key == "classes":
            shape[key] = 1  # one logit, of the second class against the first
        elif said != value:
            raise UserError(
                f"model.{key} is {said}, and the data have {value}; expected the data's own{_or_one(key, value)}; got "
                f"{said}: the network and the labels would not mean the same; leave model.{key} out; a run that was "
                f"trained with {said}, which earlier versions took and miscounted, is to be trained anew without it"
            )
    try:
        network: nn.Module = build(config.model, where(config, "model"), **shape)
    except UserError as error:
        weights = config.model.get("encoder_weights")
        if weights is None:
            raise
        raise UserError(
            f"the weights model.encoder_weights={weights} for {config.model.get('encoder_name')} cannot be had: "
            f"{error}; expected a download from the model hub or a copy in its cache; without a network, run once "
            "where there is one and carry the folder named by HF_HOME (or TORCH_HOME) over, or train from random "
            "weights with model.encoder_weights=null"
        ) from error
    return network


def _or_one(key: str, value: int) -> str:
    return ", or 1: one logit for two classes" if (key, value) == ("classes", 2) else ""


def build_module(config: DictConfig, feeding: Feeding, data: DataModule) -> Segmentation:
    """The module: network, loss, optimizer, scheduler, and normalisation from the training images."""
    dataset, train = feeding.dataset, data.split.train
    mean, std = feeding.statistics(train)
    optimizer, scheduler = build_descent(config)
    network = build_network(config, dataset.channels, len(dataset.classes))
    node: Any = OmegaConf.to_container(config.model, resolve=True)
    if is_tried(node, shipped("model", str(config.choices.model))):
        size = crop_size(config) or dataset.read(train[0])[0].shape[:2]
        try_network(network, dataset.channels, size, where(config, "model"))
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


def build_loss(config: DictConfig, feeding: Feeding, train: Sequence[int]) -> nn.Module:
    """The loss; class weights that are asked for by name are those of the samples `train`."""
    named = {key: config.loss[key] for key in ("class_weights", "alpha") if isinstance(config.loss.get(key), str)}
    weights: dict[str, Any] = {key: feeding.class_weights(kind, train) for key, kind in named.items()}
    ignore_index = feeding.dataset.ignore_index
    loss: nn.Module = build(config.loss, where(config, "loss"), ignore_index=ignore_index, **weights)
    return loss


def build_descent(config: DictConfig) -> tuple[Any, Any]:
    """Optimizer and scheduler, still without parameters and length.

    Raises:
        UserError: one of them refuses its values; found now, on one parameter, not after the data is loaded.
    """
    optimizer = build(config.optimizer, where(config, "optimizer"))
    scheduler = build(config.scheduler, where(config, "scheduler"))
    group = "optimizer"
    try:
        trial = optimizer([nn.Parameter(torch.zeros(1))])
        group = "scheduler"
        scheduler(trial, steps=10)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where(config, group)} is refused: {error}") from error
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
    config: DictConfig, run: RunFolder, callbacks: list[L.Callback], checkpoints: AtomicCheckpoints
) -> L.Trainer:
    """Lightning's Trainer with our callbacks in place of its own bar, logger and checkpoints."""
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs 10 % a step
    if config.early_stopping is not None:
        callbacks = [*callbacks, Patience("val/dice", patience=config.early_stopping, mode="max")]
    if config.ema is not None:
        callbacks = [*callbacks, L.pytorch.callbacks.EMAWeightAveraging(decay=config.ema)]
    trainer: L.Trainer = build(
        config.trainer,
        where(config, "trainer"),
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
