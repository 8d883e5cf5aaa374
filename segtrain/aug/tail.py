"""What a pasted pipeline ends with: the framework's own job, and what every use of the network would need too.

Training images go through the policy; validation, test, evaluate, predict and exports do not. So a policy may make
other pictures of the kind that is stored, and no other kind of picture.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from segtrain.aug.audit_lines import Line
from segtrain.errors import UserError

# Classes of albumentations and of torchvision.transforms.v2, by name, that segtrain's own tail does.
OWN_JOB = (
    *("Normalize", "ToFloat", "FromFloat", "ToTensorV2", "ToTensor3D"),
    *("ToTensor", "ToImage", "ToDtype", "ToPureTensor", "ConvertImageDtype", "PILToTensor", "ToPILImage"),
)
# Those that, where they always act, take every training image to where no other image is taken: a size or a tone.
PREPARING = (
    *("Resize", "LongestMaxSize", "SmallestMaxSize", "CenterCrop", "Crop", "Pad", "PadIfNeeded"),
    *("CLAHE", "Equalize", "AutoContrast", "InvertImg", "ToGray", "ToRGB", "ToSepia", "Grayscale"),
)


def refuse_own_job(transforms: Sequence[Any]) -> None:
    """Raises UserError where a listed transform, or one inside it, does what segtrain does to every image itself."""
    found = list(dict.fromkeys(name for one in transforms for name in _names(one) if name in OWN_JOB))
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


def training_alone(transforms: Sequence[Any]) -> list[str]:
    """Returns a sentence for each listed transform that changes every training image, and no other image, for good.

    Those in a composition that always runs count; those in one that draws among its own do not.
    """
    names = dict.fromkeys(name for one in transforms for name in _always(one) if name in PREPARING)
    return [
        f"{name} acts on every training image, and on no image of validation, test, evaluate or predict, which the "
        "network sees as they are stored; prepare the files so, or give the transform a chance (p) below 1"
        for name in names
    ]


def line(transforms: Sequence[Any]) -> Line:
    """Returns the audit's line of what training alone would see; it warns."""
    found = training_alone(transforms)
    meaning = "ops on every training image that no other image goes through: the network would meet other images in use"
    return Line.below("training and use", len(found), "; ".join(found) or "none", warn=0, unit="", meaning=meaning)


def _inner(transform: Any) -> list[Any]:
    inside = getattr(transform, "transforms", ())
    return list(inside) if hasattr(inside, "__iter__") else []


def _names(transform: Any) -> Iterator[str]:
    """The class of a transform and of all inside it."""
    yield type(transform).__name__
    for one in _inner(transform):
        yield from _names(one)


def _always(transform: Any) -> Iterator[str]:
    """The classes of what acts on every image."""
    kind = type(transform).__name__
    if getattr(transform, "p", 1) < 1 or kind in ("OneOf", "SomeOf", "OneOrOther", "RandomChoice", "RandomApply"):
        return
    yield kind
    for one in _inner(transform):
        yield from _always(one)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
