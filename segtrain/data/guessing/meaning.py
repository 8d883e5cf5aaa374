"""What the values or colours of the masks may mean."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from segtrain.data.guessing.looks import MANY, Pixels, codes_of
from segtrain.data.guessing.readers import Reader
from segtrain.errors import UserError
from segtrain.spread import spread

FILES = 1000  # masks read at most
PIXELS = 100_000_000  # of all masks read; about 2 s
COLOUR = 1 << 24  # from here on a code is a colour; below it is a value
EDGE = 250  # values from here on may mean "ignore" beside small labels
THIN = 0.05  # share of all pixels below which such a value may be a border
CORE = 0.3  # share of a border's pixels that are left when it is made thinner by 2 pixels on each side
BORDERS = ("#e0e0c0",)  # Source: PASCAL VOC 2012 development kit: void, around objects

Code = int | str
Read = Callable[[Path], Pixels]


class Meaning(NamedTuple):
    """Classes as a config has them, each with its comment."""

    classes: dict[str, Code | list[Code]]
    comments: dict[str, str]
    ignored: list[Code]
    ignored_comment: str
    unnamed: tuple[str, ...]  # classes whose name the user should give
    masks: int  # read


class _Seen(NamedTuple):
    """Pixels by code, masks that have it, and the pixels left of it when thinned."""

    pixels: Counter[int]
    masks: Counter[int]
    core: Counter[int]
    read: int
    example: Path | None


def find_meaning(
    root: Path, paths: Sequence[str], reader: Reader, numbered: bool = False, smeared: bool = False
) -> Meaning:
    """The classes of those masks, from as many of them as are read in about 2 s.

    Raises:
        UserError: no mask can be read, or they hold too many values to be classes.
    """
    few = _affordable(root, spread(paths, FILES), reader)
    return meaning_of((root / path for path in few), reader.codes, numbered, smeared)


def meaning_of(paths: Iterable[Path], read: Read, numbered: bool = False, smeared: bool = False) -> Meaning:
    """The classes of all of those masks, read by `read`; see `find_meaning`."""
    seen = _count(paths, read)
    codes = sorted(seen.pixels)
    if numbered and len(codes) > MANY:
        return _instances(seen)
    if smeared or len(codes) > MANY:
        top = ", ".join(_text(code) for code, _ in seen.pixels.most_common(6))
        cause = "they are JPEG, which changes values" if smeared else "is this the folder of the masks?"
        raise UserError(
            f"the masks, such as '{seen.example}', hold {len(codes)} values (the commonest are {top}); expected at "
            f"most {MANY}, one a class; {cause}; save them as PNG with one value or colour for each class"
        )
    ignored = [code for code in codes if _is_ignored(code, seen)]
    return _classes([code for code in codes if code not in ignored], ignored, seen)


def _count(paths: Iterable[Path], read: Read) -> _Seen:
    seen = _Seen(Counter(), Counter(), Counter(), 0, None)
    errors = []
    for path in paths:
        try:
            codes = codes_of(read(path))
        except UserError as error:
            errors.append(error)
            continue
        if codes.dtype.kind == "f":
            raise UserError(
                f"mask '{path}' has {codes.dtype.name} pixels, or colours of 16 bits; expected whole numbers or "
                "colours of 8 bits a channel; save it as PNG"
            )
        values, counts = np.unique(codes, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            seen.pixels[value] += count
            seen.masks[value] += 1
            if _may_be_ignored(value):
                seen.core[value] += _core(codes == value)
        seen = seen._replace(read=seen.read + 1, example=path)
    if not seen.read:
        raise errors[0]
    return seen


def _affordable(root: Path, paths: Sequence[str], reader: Reader) -> list[str]:
    """As many of the paths, evenly spread, as have PIXELS together, judged by the first that can be opened."""
    for path in paths:
        try:
            height, width, _ = reader.header(root / path)
        except UserError:
            continue
        return spread(paths, max(2, PIXELS // (height * width)))
    return list(paths)


def _core(here: Pixels) -> int:
    return int(cv2.erode(here.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1).sum())


def _may_be_ignored(code: int) -> bool:
    return EDGE <= code < 256 or _code(code) in BORDERS


def _is_ignored(code: int, seen: _Seen) -> bool:
    """Thin lines of a value far above all others, which are small labels."""
    others = [other for other in seen.pixels if other != code and not EDGE <= other < 256]
    if not _may_be_ignored(code) or len(others) < 2:
        return False
    small = all(other < EDGE - 50 or other >= COLOUR for other in others) and len(others) > max(others) // 4
    share = seen.pixels[code] / seen.pixels.total()
    return (small or code >= COLOUR) and share < THIN and seen.core[code] < CORE * seen.pixels[code]


def _classes(codes: Sequence[int], ignored: Sequence[int], seen: _Seen) -> Meaning:
    if any(code >= COLOUR for code in codes):  # grey among colours is a colour too
        codes = sorted({code if code >= COLOUR else code * 0x010101 + COLOUR for code in codes})
        for code in [code for code in seen.pixels if code < COLOUR]:
            seen.pixels[code * 0x010101 + COLOUR] += seen.pixels[code]
            seen.masks[code * 0x010101 + COLOUR] += seen.masks[code]
    commonest = max(codes, key=lambda code: seen.pixels[code])
    first = codes[0]  # 0 or black, where there is one
    named = {first: "background"} if first in (0, COLOUR) and (first == commonest or len(codes) > 2) else {}
    if named and len(codes) == 2:
        named[codes[1]] = "foreground"
    names = {code: named.get(code, f"class_{_text(code).lstrip('#')}") for code in codes}
    asked = tuple(name for name in names.values() if name.startswith("class_"))
    comments = {name: f"{_share(code, seen)}{_asked(name)}" for code, name in names.items()}
    return Meaning(
        {name: _code(code) for code, name in names.items()},
        comments,
        [_code(code) for code in ignored],
        "; ".join(f"{_share(code, seen)}, thin lines" for code in ignored),
        asked,
        seen.read,
    )


def _instances(seen: _Seen) -> Meaning:
    highest = max(seen.pixels)
    numbers: list[Code] = list(range(1, 2 * highest + 1))
    comments = {
        "background": _share(0, seen),
        "object": f"masks number their objects, up to {highest} in those looked at; all numbers are one class, with "
        "room for as many again",
    }
    return Meaning({"background": 0, "object": numbers}, comments, [], "", (), seen.read)


def _asked(name: str) -> str:
    if name.startswith("class_"):
        return "; name me"
    return '; a guess: rename it where it is none, "background" is left out of means' if name == "background" else ""


def _share(code: int, seen: _Seen) -> str:
    return f"{seen.pixels[code] / seen.pixels.total():.2%} of the pixels, in {seen.masks[code]} of {seen.read} masks"


def _code(code: int) -> Code:
    return f"#{code - COLOUR:06x}" if code >= COLOUR else code


def _text(code: int) -> str:
    return str(_code(code))
