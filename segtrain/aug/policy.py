"""Applies a policy, which is transforms as data, to image and mask through one keyed draw."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import albumentations as A
import cv2
import numpy as np

from segtrain.aug import exact
from segtrain.aug.exact import Window, move_pixels
from segtrain.aug.geometry import Geometry, GeometryDraw
from segtrain.aug.keys import Key, Stream, restream, stream
from segtrain.aug.mix import Pair, Partners
from segtrain.aug.photometry import Photometry
from segtrain.aug.tail import refuse_own_job, require_same_kind
from segtrain.aug.transforms import require_chances, require_transform, stream_names, tie_mask
from segtrain.errors import UserError

__all__ = ["Key", "Pair", "Partners", "Policy", "channels_first", "stream"]
Streams = Mapping[str, Stream]
_OFF_LAST = re.compile(r"off_last_(\d+)_epochs")


class Policy:
    """Applies random transforms and a random crop to one training sample; strength 0 leaves only the crop.

    Each transform draws from a stream of its own, named by its class and how often the class occurred before.
    So adding a transform changes no other draw, and policies that share ops share their draws.
    Crop positions are drawn apart, alike for every policy. The crop is taken with, or right after, the last transform
    that moves pixels: what follows works on the crop alone, and a Geometry interpolates only what the crop keeps.
    An object may serve several threads, unless it lists plain albumentations transforms, which hold their generator.
    """

    def __init__(
        self,
        transforms: Sequence[Any] = (),
        strength: float = 1.0,
        crop: int | Sequence[int] | None = None,
        ignore_index: int = 255,
        partners: Partners | None = None,
        crop_class: float = 0.0,
        drawn_margin: bool = True,
    ) -> None:
        """Checks the transforms and ties mask filling to ignore_index.

        Args:
            transforms: albumentations transforms or compositions, ours included, or any object with
                `draw(rng, shape)` and `act(image, mask, draw)`, in order of application.
            strength: ≥ 0; 0 switches every transform off. Magnitudes come scaled already (config resolvers).
            crop: side, or (height, width), in pixels of the training crop; None keeps whole images.
                Smaller images are grown to it: image reflected, mask ignore_index.
            ignore_index: label of pixels that come from outside the image.
            partners: other training samples, for transforms that mix.
            crop_class: chance that the crop is placed about a pixel of a class drawn among those of the mask but its
                commonest; alike for every policy, as the other crops are. 0 leaves crops uniform.
            drawn_margin: whether an image smaller than the crop lies in it at a place drawn uniformly, so that the
                network does not learn a place; false: at its top left, as in runs of earlier versions.

        Raises:
            UserError: a mask that is not resampled by nearest neighbour, or filled with a label; no size of a crop; a
                transform that is the framework's own job, such as normalisation.
        """
        refuse_own_job(transforms)
        require_chances("Policy", {}, (), crop_class=crop_class)
        self.transforms = list(transforms) if strength > 0 else []
        if crop_class and crop is None:
            raise UserError("crop_class says where the crop lies; expected a crop beside it; got none; give data.crop")
        self.crop, self.crop_class, self.drawn_margin = _sides(crop), crop_class, drawn_margin
        self.ignore_index, self.partners = ignore_index, partners
        self.names = stream_names(self.transforms)
        self.crop_streams = [*(["crop"] if crop else []), *(["crop_class"] if crop_class else [])]
        moving = [i for i, t in enumerate(self.transforms) if not isinstance(t, A.ImageOnlyTransform)]
        self.last = moving[-1] if moving else -1
        for transform in self.transforms:
            require_transform(transform)
            tie_mask(transform, ignore_index)

    @property
    def needs_partner(self) -> bool:
        """Says whether a transform mixes samples, and so the policy must be given `partners`."""
        return any(hasattr(t, "needs_partner") for t in self.transforms)

    def at(self, epoch: int) -> "Policy":
        """Returns the policy of an epoch: itself, as it has no schedule."""
        return self

    def __call__(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """Returns the augmented pair, contiguous and in memory of its own.

        Args:
            image: (H, W, C) uint8, uint16 or float32.
            mask: (H, W) uint8 labels and ignore_index.
            key: see `stream`.

        Returns:
            image (h, w, C) of the same dtype, mask (h, w) uint8, labels those of the input and ignore_index.
        """
        new_image, new_mask = self._augmented(image, mask, key)
        return _own(new_image, image), _own(new_mask, mask)

    def tensors(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """Returns the same pair with the image's channels first, (C, h, w), ready for torch.from_numpy."""
        new_image, new_mask = self._augmented(image, mask, key)
        return channels_first(new_image), _own(new_mask, mask)

    def _augmented(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        source, streams = image, restream(key, [*self.names, *self.crop_streams])
        if self.last < 0:
            image, mask = self._cropped(image, mask, streams)
        for i, (name, transform) in enumerate(zip(self.names, self.transforms, strict=True)):
            if isinstance(transform, Geometry):
                image, mask = self._geometry(transform, name, image, mask, streams, i == self.last)
                continue
            if isinstance(transform, Photometry):
                image = _photometry(transform, streams[name], image, not np.may_share_memory(image, source))
            elif hasattr(transform, "act"):
                image, mask = self._member(transform, name, image, mask, streams, key)
            else:
                image, mask = _apply(transform, name, image, mask, streams[name])
            if i == self.last:
                image, mask = self._cropped(image, mask, streams)
        return image, mask

    def _geometry(
        self, transform: Geometry, name: str, image: np.ndarray, mask: np.ndarray, streams: Streams, last: bool
    ) -> Pair:
        rng = streams[name].generator
        if rng.random() >= transform.p:
            return self._cropped(image, mask, streams) if last else (image, mask)
        draw = transform.draw(rng, mask.shape)
        window = self._window(mask, streams, draw) if last else None
        return transform.act(image, mask, draw, window, self.ignore_index)

    def _member(
        self, transform: Any, name: str, image: np.ndarray, mask: np.ndarray, streams: Streams, key: Key
    ) -> Pair:
        """Applies a transform that has draw and act, with partners if it mixes; the key's third part is the index."""
        mixes = hasattr(transform, "needs_partner")
        if mixes and self.partners is None:
            raise UserError(
                f"transform {name} mixes samples; expected a policy with partners to draw from; got none; "
                "give Policy(…, partners=Partners(dataset.read, indices_of_the_training_samples))"
            )
        rng = streams[name].generator
        if rng.random() >= transform.p:
            return image, mask
        shared = (self.partners,) if mixes else ()
        sample = (key[2] if len(key) > 2 else None,) if mixes else ()
        draw = transform.draw(rng, image.shape, *shared, *sample)
        pair: Pair = transform.act(image, mask, draw, *shared)
        require_same_kind(name, image, pair[0])
        return pair

    def _window(self, mask: np.ndarray, streams: Streams, draw: GeometryDraw | None = None) -> Window | None:
        """Returns where the crop lies in what `draw` makes of the mask, beyond it where it is larger."""
        if self.crop is None:
            return None
        size = draw.size if draw else (mask.shape[0], mask.shape[1])
        y, x = (self._aimed(mask, size, streams, draw) if self.crop_class else None) or (None, None)
        u, v = streams["crop"].generator.random(2).tolist()
        h, w = self.crop
        drawn = self.drawn_margin
        return exact.window_start(u, size[0], h, y, drawn), exact.window_start(v, size[1], w, x, drawn), h, w

    def _aimed(
        self, mask: np.ndarray, size: tuple[int, int], streams: Streams, draw: GeometryDraw | None
    ) -> tuple[int, int] | None:
        rng = streams["crop_class"].generator
        if rng.random() >= self.crop_class:
            return None
        return exact.crop_target(mask, size, self.ignore_index, rng, draw and draw.lands)

    def _cropped(self, image: np.ndarray, mask: np.ndarray, streams: Streams) -> Pair:
        window = self._window(mask, streams)
        if window is None:
            return image, mask
        image = move_pixels(image, 0, False, False, window, cv2.BORDER_REFLECT_101, 0)
        return image, move_pixels(mask, 0, False, False, window, cv2.BORDER_CONSTANT, self.ignore_index)


def channels_first(image: np.ndarray) -> np.ndarray:
    """Returns (H, W, C) as a new contiguous (C, H, W)."""
    height, width, channels = image.shape
    if channels > 4:
        return np.array(image.transpose(2, 0, 1), order="C")
    result = np.empty((channels, height, width), image.dtype)
    cv2.split(np.ascontiguousarray(image), list(result))  # of a view, row by row, it takes twice the time of a copy
    return result


def _sides(crop: Any) -> tuple[int, int] | None:
    """Returns (height, width) of a crop.

    Raises:
        UserError: it is no side, and no two.
    """
    if crop is None:
        return None
    sides = tuple(crop) if isinstance(crop, list | tuple) else (crop, crop)
    if len(sides) != 2 or any(type(side) is not int or side < 1 for side in sides):
        raise UserError(
            f"the crop is its side, or [height, width], in whole pixels from 1, or null for whole images; got {crop!r}"
        )
    return sides


def _own(pixels: np.ndarray, source: np.ndarray) -> np.ndarray:
    flags = pixels.flags
    if flags.owndata and flags.c_contiguous and pixels is not source:
        return pixels
    return np.array(pixels, order="C") if np.may_share_memory(pixels, source) else np.ascontiguousarray(pixels)


def _photometry(transform: Photometry, numbers: Stream, image: np.ndarray, in_place: bool) -> np.ndarray:
    rng = numbers.generator
    if rng.random() >= transform.p:
        return image
    return transform.act(image, transform.draw(rng, image.shape), in_place)


def _apply(transform: Any, name: str, image: np.ndarray, mask: np.ndarray, numbers: Stream) -> Pair:
    transform.set_random_state(numbers.generator, numbers.python)
    image, mask = (array if array.flags.writeable else array.copy() for array in (image, mask))  # some write in place
    try:
        out = transform(image=image, mask=mask)
    except Exception as error:
        raise UserError(
            f"transform {name} failed on an image of shape {image.shape}, dtype {image.dtype}: {error}; "
            "see its documentation for the channels and dtypes that it takes"
        ) from error
    new_image, new_mask = out["image"], out["mask"]
    new_image = new_image if new_image.ndim == 3 else new_image[..., None]
    require_same_kind(name, image, new_image)
    return new_image, new_mask


def schedule_factor(schedule: str, epoch: int, epochs: int) -> float:
    """Returns what `aug.strength` is multiplied by in an epoch, 0..1.

    Args:
        schedule: constant: 1. linear_up: from 0 in the first epoch to 1 in the last. linear_down: the other way.
            off_last_N_epochs, N a number: 1, then 0 in the last N epochs.
        epoch: 0..epochs-1.
        epochs: of the whole training.

    Raises:
        UserError: no such schedule.
    """
    passed = epoch / (epochs - 1) if epochs > 1 else 1.0
    if schedule == "constant":
        return 1.0
    if schedule == "linear_up":
        return passed
    if schedule == "linear_down":
        return 1.0 - passed if epochs > 1 else 1.0
    if match := _OFF_LAST.fullmatch(str(schedule)):
        return float(epoch < epochs - int(match[1]))
    raise UserError(
        "aug.schedule is how strength goes over the epochs; expected constant, linear_up, linear_down or "
        f"off_last_N_epochs with a number for N, such as off_last_5_epochs; got {schedule!r}"
    )


class ScheduledPolicy:
    """Holds one policy an epoch, chosen by the key; after the last epoch the last one stays."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        """Holds the policy of each epoch, from epoch 0."""
        self.policies = tuple(policies)

    def at(self, epoch: int) -> Policy:
        """Returns the policy of an epoch."""
        return self.policies[min(epoch, len(self.policies) - 1)]

    def __call__(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """Returns the pair as `Policy.__call__` does, by the policy of the key's epoch, its second part."""
        return self.at(key[1])(image, mask, key)

    def tensors(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Pair:
        """Returns the pair as `Policy.tensors` does, by the policy of the key's epoch."""
        return self.at(key[1]).tensors(image, mask, key)
