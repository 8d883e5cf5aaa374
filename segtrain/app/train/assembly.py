"""Makes the parts of a run out of its config, and is the only place that knows both."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from segtrain.app.train.data_wait import DataWait
from segtrain.app.train.initial_weights import give_initial_weights, supervision_of
from segtrain.app.train.logbook import Logbook
from segtrain.app.train.recorder import AtomicCheckpoints, CheckpointTimer, NonFinite, Recorder
from segtrain.app.train.terminal import ProgressBar, Terminal
from segtrain.aug.tail import name_preparing
from segtrain.config.known_arguments import shipped
from segtrain.config.objects import build
from segtrain.config.run_config import RunConfig
from segtrain.data.cautions import cautions
from segtrain.data.datamodule import DataModule
from segtrain.data.datasets import SegmentationDataset
from segtrain.data.pixel_meaning import PixelMeaning
from segtrain.data.share import Share
from segtrain.draw.pictures import thumbnailed
from segtrain.errors import UserError
from segtrain.interrupts import Stops
from segtrain.lightning import L
from segtrain.model.batch_norm import pool_batch_norm
from segtrain.model.module import Segmentation
from segtrain.model.ranks import ALONE, Ranks, reaches_all
from segtrain.padding import Size, grown_size
from segtrain.parts import device
from segtrain.parts.data import OpenData, open_data, recorded_split, said_of_groups, scales_itself
from segtrain.parts.feeding import Feeding, build_data, build_loss
from segtrain.parts.limits import crop_size, optimizer_steps, require_batches
from segtrain.parts.network import build_network
from segtrain.runs.checkpoint import CheckpointWriter
from segtrain.runs.folder import RunFolder

LARGEST = 1 << 20  # pixels of an image that is tried: a larger one takes as long as steps of the training
SILENT = ("encoder_weights", "in_channels", "classes")  # arguments that change nothing of how an image is taken


@dataclass(frozen=True)
class Parts:
    """Holds what a run is made of."""

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
    ranks: Ranks = ALONE,
) -> Parts:
    """Builds every part, in the order in which data flows, upon data that may be open already.

    A run that goes on may keep the split that it recorded. Of several `ranks` the first alone records anything.
    """
    opened = open_data(config) if source is None else source
    for line in opened.lines():
        terminal.say(line)
    feeding = Feeding(config, opened.dataset)
    dataset = feeding.dataset
    data = build_data(config, feeding, recorded_split(run, dataset) if keeps_split else None)
    listed = data.policy.at(config.trainer.max_epochs - 1).transforms
    for words in name_preparing(listed, *dataset.read(data.split.train[0])) if listed else ():
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
    give_initial_weights(config, run, module.network, dataset.channels, terminal, writes=ranks.is_first)
    module.ranks, data.share = ranks, Share(ranks.rank, ranks.count)
    if ranks_pool_batch_norm(config) and not ranks.is_alone:
        module.network = pool_batch_norm(module.network, on_gpu=config.trainer.accelerator != "cpu")
    logbook = Logbook(config, run)
    writer, every = CheckpointWriter(run.checkpoints), CheckpointTimer(config.checkpoint.every)
    wait = DataWait()
    recorder = Recorder(run, writer, every, logbook, stops, wait, ranks)
    callbacks = [NonFinite(run), wait, recorder, ProgressBar(terminal)]
    looks = not ranks.is_alone and (config.freeze_encoder > 0 or not reaches_all(module.network, dataset.channels))
    trainer = build_trainer(config, run, callbacks, AtomicCheckpoints(writer), ranks, looks=looks)
    module.keep = frozenset(thumbnailed(data.split.test))
    on = device.describe(config.trainer.accelerator)
    pixels = feeding.pixels(data.split.train)
    return Parts(config, run, dataset, feeding.fingerprint, data, module, trainer, logbook, on, pixels)


def build_module(config: RunConfig, feeding: Feeding, data: DataModule) -> Segmentation:
    """Returns the module: network, loss, optimizer, scheduler, and normalisation from the training images."""
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
        compiled=config.compile,
    )


def ranks_pool_batch_norm(config: RunConfig) -> bool:
    """Returns whether batch norm is to be over the shares of all ranks, as it is unless the config says otherwise."""
    return config.trainer.get("sync_batchnorm") is not False


def is_tried(node: Mapping[str, Any], shipped: Mapping[str, Any]) -> bool:
    """Returns whether a network is one of segmentation_models_pytorch with other arguments than a file of conf/ says.

    Args:
        node: what it is built of, plain.
        shipped: what the file of its choice says; empty without one.
    """
    if not str(node.get("_target_", "")).startswith("segmentation_models_pytorch."):
        return False
    return any(shipped.get(key, ...) != value for key, value in node.items() if key not in SILENT)


def try_network(network: nn.Module, channels: int, size: Size, where: str) -> None:
    """Raises UserError unless the network gives logits of the size of an image; its modes and chance stay as they are.

    Args:
        network: on the CPU.
        channels: of an image.
        size: height and width of the images that it is to be trained on, in pixels; larger ones are not tried.
        where: what says its arguments, for the message.
    """
    height, width = grown_size(size)
    if height * width > LARGEST:
        return
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            found = network.eval()(torch.zeros(1, channels, height, width))
        reason = "" if tuple(found.shape[-2:]) == (height, width) else f"logits of {tuple(found.shape[-2:])}"
    except UserError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__} {' '.join(str(error).split())[:300]}"
    finally:
        for module, mode in modes.items():
            module.training = mode
    if reason:
        raise UserError(
            f"{where} is refused: the network cannot label an image of {height} x {width} pixels; expected logits of "
            f"that size; got: {reason}; correct what was said below model, or leave it out"
        )


def build_descent(config: RunConfig) -> tuple[Any, Any]:
    """Returns optimizer and scheduler, still without parameters and length.

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
    """Stops early, and goes on with the patience of now; what it has seen is the checkpoint's."""

    @property
    def state_key(self) -> str:
        """Returns the name of its state in a checkpoint."""
        key: str = super().state_key
        return key.replace("Patience", "EarlyStopping", 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best score, and how long none was better."""
        super().load_state_dict({**state_dict, "patience": self.patience})


def build_trainer(
    config: RunConfig,
    run: RunFolder,
    callbacks: list[L.Callback],
    checkpoints: AtomicCheckpoints,
    ranks: Ranks = ALONE,
    looks: bool = False,
) -> L.Trainer:
    """Returns Lightning's Trainer with our callbacks in place of its own bar, logger and checkpoints.

    Args:
        config, run: the run's.
        callbacks, checkpoints: of ours.
        ranks: that train together.
        looks: whether the loss may leave some parameters out, so that ranks look which.
    """
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs 10 % a step
    if config.early_stopping is not None:
        callbacks = [*callbacks, Patience("val/dice", patience=config.early_stopping, mode="max")]
    if config.ema is not None:
        callbacks = [*callbacks, L.pytorch.callbacks.EMAWeightAveraging(decay=config.ema)]
    trainer: L.Trainer = build(
        config.trainer,
        callbacks=callbacks,
        **_strategy(config, checkpoints, ranks, looks),
        logger=False,  # the recorder feeds ours: Lightning's would lose or double what a crash falls into
        deterministic=config.deterministic,
        default_root_dir=str(run.path),
        use_distributed_sampler=False,
        limit_val_batches=None,  # the data module has the samples that the limits leave
        limit_test_batches=None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    return trainer


def _strategy(config: RunConfig, checkpoints: AtomicCheckpoints, ranks: Ranks, looks: bool) -> dict[str, Any]:
    """Returns the trainer's arguments about devices; one process alone needs no strategy, whichever is named."""
    own = {"plugins": [checkpoints]}
    if ranks.is_alone:
        named = {
            key: value for key, value in (("strategy", "auto"), ("sync_batchnorm", False)) if key in config.trainer
        }
        return own | named
    from segtrain.parts.members import Company
    from segtrain.parts.strategies import KnownRanks, Sharded, Together

    assert isinstance(ranks, Company)
    strategy = Sharded() if config.trainer.get("strategy") == "fsdp" else Together(looks)
    return {"plugins": [checkpoints, KnownRanks(ranks.place)], "strategy": strategy, "sync_batchnorm": False}
