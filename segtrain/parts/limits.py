"""Counts what the limits of the trainer leave of an epoch, and says how large images must be for the network."""

import math
from collections.abc import Mapping, Sequence

from segtrain.config.run_config import RunConfig
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.padding import NO_SIZE, Size, grown_size, refusal_of_grown


def limited(wanted: int | float | None, batches: int) -> int:
    """Returns how many of so many batches a limit leaves: a number of them, a share in 0..1, or all with None."""
    return batches if wanted is None else min(batches, wanted) if isinstance(wanted, int) else int(batches * wanted)


def trained_batches(config: RunConfig, steps_per_epoch: int) -> int:
    """Returns how many of an epoch's batches are trained: all, unless trainer.limit_train_batches is set."""
    return limited(config.trainer.get("limit_train_batches"), steps_per_epoch)


def samples_of(config: RunConfig, samples: Sequence[int], part: str = "test") -> Sequence[int]:
    """Returns the samples of test (or val) that trainer.limit_test_batches leaves: all of them, unless it is set.

    The one place that decides it: training's loaders and `evaluate` both take these.
    """
    size: int = config.data.batch_size
    batches = limited(config.trainer.get(f"limit_{part}_batches"), math.ceil(len(samples) / size))
    return samples[: size * batches]


def optimizer_steps(config: RunConfig, steps_per_epoch: int) -> int:
    """Returns the length of the training that schedules follow, in steps of the optimizer."""
    batches = trained_batches(config, steps_per_epoch)
    return int(config.trainer.max_epochs * math.ceil(batches / config.trainer.accumulate_grad_batches))


def require_batches(config: RunConfig, batches: Mapping[str, int]) -> None:
    """Raises UserError unless something is trained, validated, so that val/dice can choose the best epoch, and tested.

    Args:
        config: the run's.
        batches: train, val and test to the batches that they have without a limit.
    """
    every, epochs = config.trainer.check_val_every_n_epoch, config.trainer.max_epochs
    if every is not None and every > epochs:
        raise UserError(
            f"no epoch would be validated, and nothing could choose the best: trainer.check_val_every_n_epoch is "
            f"{every} of trainer.max_epochs={epochs}; expected at most {epochs}; give fewer, or train longer"
        )
    interval, within = config.trainer.get("val_check_interval"), trained_batches(config, batches["train"])
    most = within if every is not None else within * epochs
    if isinstance(interval, int) and interval > most:
        raise UserError(
            "nothing would be validated, and nothing could choose the best epoch: trainer.val_check_interval is "
            f"{interval}, of {counted(most, 'batch', 'batches')}; expected a number of batches up to {most}, or a "
            "share of an epoch; give fewer, or leave it out"
        )
    for part, number in batches.items():
        key = f"limit_{part}_batches"
        wanted = config.trainer.get(key)
        is_sound = wanted is None or (wanted >= 1 if isinstance(wanted, int) else 0 <= wanted <= 1)
        if number and not (is_sound and limited(wanted, number)):
            raise UserError(
                f"trainer.{key} is {wanted}, of the {counted(number, 'batch', 'batches')} of {part}; expected a number "
                f"of batches from 1, or a share from {1 / number:.2g} to 1; give such a one, or leave it out"
            )


def crop_size(config: RunConfig) -> Size | None:
    """Returns height and width of the training crop in pixels; None where whole images are trained on."""
    crop = config.data.crop
    if crop is None:
        return None
    size = (crop, crop) if isinstance(crop, int) else (crop[0], crop[1])
    if refused := refusal_of_grown(size):
        raise UserError(f"data.crop {refused}; give a smaller data.crop")
    return size


def require_one_size(config: RunConfig) -> None:
    """Raises UserError where steps are to be compiled, and images that training sees may be of several sizes.

    Each size is compiled anew, for minutes, and after a few not at all: which of them would depend on where a training
    was interrupted, and so its bits.
    """
    if config.compile and (config.data.crop is None or not grows_to_crop(config)):
        got = "data.crop=null" if config.data.crop is None else f"data.padding={config.data.padding}"
        raise UserError(
            "compile=true compiles the network for one size of images; expected a training crop, and "
            f"data.padding=crop, which grows smaller images to it; got {got}; give data.crop a side, "
            "such as 256, or leave compile out"
        )


def grows_to_crop(config: RunConfig) -> bool:
    """Returns whether images smaller than the crop are grown to it in training and in every use alike.

    Runs of versions that did not know the key did it in training alone, with the image at the top left.
    """
    return config.data.padding == "crop"


def least_size(config: RunConfig) -> Size:
    """Returns height and width in pixels, multiples of the stride, to which a use of the run grows smaller images."""
    crop = crop_size(config) if grows_to_crop(config) else None
    return NO_SIZE if crop is None else grown_size(crop)
