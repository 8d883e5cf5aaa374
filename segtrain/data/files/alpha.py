"""What the transparency of a picture says: of a mask nothing that its colours do not say, or it is refused."""

from typing import Any

import numpy as np
from PIL import Image

from segtrain.errors import UserError

Pixels = np.ndarray[Any, Any]

SEEN_THROUGH = ("RGBA", "RGBa", "LA", "La", "PA", "P", "RGB", "L")  # PIL modes that can say so


def alpha_of(image: Image.Image) -> Pixels | None:
    """Returns how opaque each pixel (H, W) of an opened picture is, 0..255; None where it does not say."""
    if image.mode not in SEEN_THROUGH or not image.has_transparency_data:
        return None
    return np.array(image.convert("LA" if image.mode == "La" else "RGBA").getchannel("A"))


def is_seen_through(alpha: Pixels | None) -> bool:
    """Returns whether pixels differ in how opaque they are; where they do not, alpha says nothing."""
    return alpha is not None and bool((alpha != alpha.flat[0]).any())


def refuse_lost(colours: Pixels, alpha: Pixels | None, path: object) -> None:
    """Raises UserError where a mask says by its alpha what its colours do not say, as alpha is dropped.

    Args:
        colours: of the mask, (H, W) or (H, W, C).
        alpha: (H, W), of any type; None: there is none.
        path: of the mask, for the message.
    """
    if alpha is None or not is_seen_through(alpha):
        return
    hidden, shown = (_distinct(colours[where]) for where in (alpha == 0, alpha != 0))
    if len(hidden | shown) == 1:
        got = "one colour throughout, so that only the alpha tells a label"
    elif len(hidden) > 1:
        got = f"{len(hidden)} colours under transparent pixels, which nobody sees and which would be labels"
    elif hidden & shown:
        got = "a colour that is transparent in one place and drawn in another"
    else:
        return
    raise UserError(
        f"mask '{path}' has pixels that differ in alpha (transparency), which is dropped; expected labels that the "
        f"colours alone tell; got {got}; save the values of the labels as a grey or palette PNG without alpha"
    )


def _distinct(colours: Pixels) -> set[Any]:
    """The different colours (n,) or (n, C)."""
    if not len(colours):
        return set()
    found = np.unique(colours.reshape(len(colours), -1), axis=0)
    return set(map(tuple, found.tolist()))
