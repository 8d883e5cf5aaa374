"""Says at what size a run's network sees images: the crop that it is trained on, and the least size in every use."""

from segtrain.config.run_config import RunConfig
from segtrain.errors import UserError
from segtrain.padding import NO_SIZE, Size, grown_size, refusal_of_grown


def crop_size(config: RunConfig) -> Size | None:
    """Returns height and width of the training crop in pixels; None where whole images are trained on."""
    crop = config.data.crop
    if crop is None:
        return None
    size = (crop, crop) if isinstance(crop, int) else (crop[0], crop[1])
    if refused := refusal_of_grown(size):
        raise UserError(f"data.crop {refused}; give a smaller data.crop")
    return size


def grows_to_crop(config: RunConfig) -> bool:
    """Returns whether images smaller than the crop are grown to it in training and in every use alike.

    Runs of versions that did not know the key did it in training alone, with the image at the top left.
    """
    return config.data.padding == "crop"


def least_size(config: RunConfig) -> Size:
    """Returns height and width in pixels, multiples of the stride, to which a use of the run grows smaller images."""
    crop = crop_size(config) if grows_to_crop(config) else None
    return NO_SIZE if crop is None else grown_size(crop)
