"""Refuses what a pasted pipeline ends with: the framework's own job, and what every use of the network would need.

Training images go through the policy; validation, test, evaluate, predict and exports do not. So a policy may make
other pictures of the kind that is stored, and no other kind of picture.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import albumentations as A
import numpy as np

from segtrain.errors import UserError

# Classes of albumentations and of torchvision.transforms.v2, by name, that segtrain's own tail does.
OWN_JOB = (
    *("Normalize", "ToFloat", "FromFloat", "ToTensorV2", "ToTensor3D"),
    *("ToTensor", "ToImage", "ToDtype", "ToPureTensor", "ConvertImageDtype", "PILToTensor", "ToPILImage"),
)
LIBRARIES = ("albumentations", "torchvision")
FLOATING = {"ToFloat", "FromFloat"}  # around ops that need floats: together they leave the type as it was
# Those that draw how much, and yet, where they always act, take every training image to where no other image is.
PREPARING = ("CLAHE",)
DRAWING = ("OneOf", "SomeOf", "OneOrOther", "RandomChoice")  # compositions that take some of their own
SIDE = 1024  # pixels of a sample that are tried on: of a whole slide each draw would take seconds
TRIES = 4  # draws in which a transform that changes an image in one way only does so each time


def refuse_own_job(transforms: Sequence[Any]) -> None:
    """Raises UserError where a listed transform, or one inside it, does what segtrain does to every image itself."""
    found = list(dict.fromkeys(name for one in transforms for name in _own_job(one)))
    if found:
        one, it = ("them", "these transforms") if len(found) > 1 else ("it", "this transform")
        raise UserError(
            f"the policy lists {_listed(found)}; expected transforms that give pixels of the type and range that are "
            f"stored: the normalisation, by the training images' own mean and spread, and the tensor are made by "
            f"segtrain, for validation, test and predict too, which {it} would not reach; delete {one} from the list "
            f"(the lines from `- _target_: …{found[0]}` to the next `-`)"
        )


def require_same_kind(name: str, before: np.ndarray, after: Any) -> None:
    """Raises UserError unless a transform left the image's type of pixels and its channels as they were.

    Args:
        name: of the transform.
        before, after: the image (H, W, C), and what became of it.
    """
    if not isinstance(after, np.ndarray):
        was, now = "an array", type(after).__name__
    elif after.dtype != before.dtype:
        was, now = before.dtype.name, after.dtype.name
    elif after.shape[2] != before.shape[2]:
        was, now = f"{before.shape[2]} channels", f"{after.shape[2]} channels"
    else:
        return
    raise UserError(
        f"transform {name} turned an image of {was} into {now}; expected the same kind: validation, test and predict "
        "see images as they are stored, and so would see others than the network was trained on; leave the transform "
        "out, or convert the files"
    )


def name_preparing(transforms: Sequence[Any], image: np.ndarray, mask: np.ndarray) -> list[str]:
    """Returns a sentence for each listed transform that changes every training image, and no other image, for good.

    It always acts, in a composition too, and changes this image in one way only, whatever it draws, or is one of
    `PREPARING`. A transform that does not take the image says nothing here; it does where it is used.

    Args:
        transforms: as a policy lists them.
        image, mask: a sample as stored, (H, W, C) and (H, W).
    """
    image, mask = image[:SIDE, :SIDE], mask[:SIDE, :SIDE]
    names = dict.fromkeys(name for one in transforms for name in _preparing(one, image, mask))
    return [
        f"{name} acts on every training image, and on no image of validation, test, evaluate or predict, which the "
        "network sees as they are stored; prepare the files so, or give the transform a chance (p) below 1"
        for name in names
    ]


def _preparing(transform: Any, image: np.ndarray, mask: np.ndarray, forced: bool = False) -> Iterator[str]:
    """Yields the names of what prepares each image, of a transform and all inside it; `forced` at any chance."""
    kind, inner = type(transform).__name__, _inner(transform)
    if (getattr(transform, "p", 1) < 1 and not forced) or kind == "RandomApply":
        return
    found = [list(_preparing(one, image, mask, forced=kind in DRAWING)) for one in inner]
    if not inner and _prepares(transform, image, mask):
        yield kind
    if kind not in DRAWING or all(found):
        yield from (name for names in found for name in names)


def _prepares(transform: Any, image: np.ndarray, mask: np.ndarray) -> bool:
    seen = {_told(found) for draw in range(TRIES) if (found := _drawn(transform, image, mask, draw)) is not None}
    changed = bool(seen - {_told(image)})
    return changed and (len(seen) == 1 or type(transform).__name__ in PREPARING)


def _drawn(transform: Any, image: np.ndarray, mask: np.ndarray, draw: int) -> np.ndarray | None:
    """Returns the image under one draw in which the transform acts; None where it does not take the image."""
    try:
        if isinstance(transform, A.BasicTransform):
            transform.set_random_state(np.random.default_rng(draw), random.Random(draw))
            return np.asarray(transform(force_apply=True, image=image.copy(), mask=mask.copy())["image"])
        if hasattr(transform, "act") and not hasattr(transform, "needs_partner"):
            drawn = transform.draw(np.random.default_rng(draw), image.shape)
            return np.asarray(transform.act(image.copy(), mask.copy(), drawn)[0])
    except Exception:  # a user's own, or a library's: whatever it is, the first sample of training tells it
        return None
    return None


def _told(image: np.ndarray) -> tuple[Any, ...]:
    """Returns what tells images apart; a last axis of length 1 does not."""
    return (*image.shape[:2], image.dtype.str, image.tobytes())


def _inner(transform: Any) -> list[Any]:
    inside = getattr(transform, "transforms", ())
    return list(inside) if hasattr(inside, "__iter__") else []


def _own_job(transform: Any) -> Iterator[str]:
    """Yields the names of what is segtrain's own job, of a transform and of all inside it."""
    name = type(transform).__name__
    if name in OWN_JOB and type(transform).__module__.partition(".")[0] in LIBRARIES:
        yield name
    inner = _inner(transform)
    paired = {type(one).__name__ for one in inner} >= FLOATING
    for one in inner:
        yield from (name for name in _own_job(one) if not (paired and name in FLOATING))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
