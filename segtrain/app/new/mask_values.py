"""What the values or colours of the masks may mean."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from segtrain.app.new.class_names import COLOUR, NONE, Names
from segtrain.app.new.config_lines import Line, entry, scalar
from segtrain.app.new.file_samples import MANY, Pixels, Reader, codes_of
from segtrain.counted import counted
from segtrain.data.files.tiff_tags import read_nodata
from segtrain.errors import UserError
from segtrain.spread import spread

FILES = 1000  # masks read at most
PIXELS = 100_000_000  # of all masks read; about 2 s
EDGE = 250  # values from here on may mean "ignore" beside small labels
THIN = 0.05  # share of all pixels below which such a value may be a border
CORE = 0.3  # share of a border's pixels that are left when it is made thinner by 2 pixels on each side
TAGS = 20  # masks whose tags are read
COUNTED = 4  # labels 0, 1, 2, 3 … beside which 255 is no label of its own
BORDERS = ("#e0e0c0",)  # Source: PASCAL VOC 2012 development kit: void, around objects
Code = int | str
Read = Callable[[Path], Pixels]
NAME_THEM = "name the classes {}; one named background is left out of means"
WRAPPED = 16  # numbers a line
BLUR = 8  # levels by which JPEG changes values inside areas
APART = 24  # levels between two values at the least
LEAST = 0.005  # share of the pixels that are about a value: edges blur to every value, and fewer to each


class Meaning(NamedTuple):
    """Classes as a config has them, each with its comment."""

    classes: dict[str, Code | list[Code]]
    comments: dict[str, str]
    ignored: list[Code]
    ignored_comment: str
    unnamed: tuple[str, ...]  # classes whose name the user should give
    masks: int  # read
    source: str = ""  # where the names stand; empty where they are guesses
    tolerance: int | None = None  # levels by which JPEG's values are off the classes'
    rarest: float = 1.0  # share of the masks that hold the class that fewest hold


class _Seen(NamedTuple):
    """Pixels by code, masks that have it, and the pixels left of it when thinned."""

    pixels: Counter[int]
    masks: Counter[int]
    core: Counter[int]
    read: int
    example: Path | None


def find_meaning(
    root: Path,
    paths: Sequence[str],
    reader: Reader,
    numbered: bool = False,
    smeared: bool = False,
    names: Names = NONE,
) -> Meaning:
    """The classes of those masks, from as many of them as are read in about 2 s.

    Raises:
        UserError: no mask can be read, or they hold too many values to be classes.
    """
    few = [root / path for path in _affordable(root, spread(paths, FILES), reader)]
    return meaning_of(few, reader.codes, numbered, smeared, names, _nodata(spread(few, TAGS)))


def meaning_of(
    paths: Iterable[Path],
    read: Read,
    numbered: bool = False,
    smeared: bool = False,
    names: Names = NONE,
    nodata: Collection[int] = (),
) -> Meaning:
    """The classes of all of those masks, read by `read`; see `find_meaning`. `nodata` are no labels, as files say."""
    seen = _count(paths, read)
    tolerance = None
    if smeared and not any(code >= COLOUR for code in seen.pixels):
        seen, tolerance = _unsmeared(seen)
    for code in [code for code in nodata if not 0 <= code < 1 << 16]:  # the readers know it, and no config can say it
        seen.pixels.pop(code, None)
    codes = sorted(seen.pixels)
    if numbered and len(codes) > MANY:
        return _instances(seen)
    if (smeared and tolerance is None) or len(codes) > MANY:
        top = ", ".join(_text(code) for code, _ in seen.pixels.most_common(6))
        expected = "one value for each class" if smeared else f"at most {MANY}, one a class"
        cause = "they are JPEG, which changes values" if smeared else "is this the folder of the masks?"
        raise UserError(
            f"the masks, such as '{seen.example}', hold {len(codes)} values (the commonest are {top}); expected "
            f"{expected}; {cause}; save them as PNG with one value or colour for each class"
        )
    seen = _of_one_kind(seen)
    names = names.fitting(seen.pixels)
    every = sorted({*seen.pixels, *names.ignored})  # what is named void may lie in masks that were not read
    empty = {code: "nodata, as the files' tags say" for code in nodata if code in seen.pixels and code != 0}
    ignored = empty | {code: why for code in every if (why := _why_ignored(code, seen, names))}
    if len(seen.pixels.keys() - ignored.keys()) < 2:
        ignored = empty if seen.pixels.keys() - empty.keys() else {}
    found = _classes([code for code in sorted(seen.pixels) if code not in ignored], ignored, seen, names)
    fewest = min(seen.masks[code] for code in seen.pixels if code not in ignored)
    return found._replace(tolerance=tolerance, rarest=fewest / seen.read)


def _nodata(paths: Iterable[Path]) -> set[int]:
    """The whole numbers that the tags of the masks give as nodata."""
    values = (read_nodata(path) for path in paths)
    return {int(value) for value in values if value is not None and float(value).is_integer()}


def _unsmeared(seen: _Seen) -> tuple[_Seen, int]:
    """With each value at the one that it stands for in JPEG, and how far off values may be."""
    nearest, tolerance = nearest_values(seen.pixels)
    pixels, masks = Counter[int](), Counter[int]()
    for code, value in nearest.items():
        pixels[value] += seen.pixels[code]
        masks[value] = max(masks[value], seen.masks[code])
    return seen._replace(pixels=pixels, masks=masks, core=Counter()), tolerance


def _of_one_kind(seen: _Seen) -> _Seen:
    """Grey among colours is a colour too."""
    if not any(code >= COLOUR for code in seen.pixels):
        return seen

    def coloured(counts: Counter[int]) -> Counter[int]:
        found = Counter[int]()
        for code, count in counts.items():
            found[code if code >= COLOUR else code * 0x010101 + COLOUR] += count
        return found

    return seen._replace(pixels=coloured(seen.pixels), masks=coloured(seen.masks), core=coloured(seen.core))


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
            height, width, *_ = reader.header(root / path)
        except UserError:
            continue
        return spread(paths, max(2, PIXELS // (height * width)))
    return list(paths)


def _core(here: Pixels) -> int:
    return int(cv2.erode(here.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1).sum())


def _may_be_ignored(code: int) -> bool:
    return EDGE <= code < 256 or _code(code) in BORDERS


def _why_ignored(code: int, seen: _Seen, names: Names) -> str:
    """Why a code counts nowhere: its name, or far above all others and thin or no label; empty where it counts."""
    if code in names.ignored:
        return f"'{names.names[code]}'" if code in names.names else "no class"
    others = sorted(other for other in seen.pixels if other != code and not EDGE <= other < 256)
    if not _may_be_ignored(code) or len(others) < 2 or code in names.names:
        return ""
    if code == 255 and len(others) >= COUNTED and others == list(range(len(others))):
        return f"beside the labels 0 to {others[-1]}"
    small = all(other < EDGE - 50 or other >= COLOUR for other in others) and len(others) > max(others) // 4
    share = seen.pixels[code] / seen.pixels.total()
    thin = share < THIN and seen.core[code] < CORE * seen.pixels[code]
    return "thin lines" if (small or code >= COLOUR) and thin else ""


def _classes(codes: Sequence[int], ignored: Mapping[int, str], seen: _Seen, names: Names) -> Meaning:
    commonest = max(codes, key=lambda code: seen.pixels[code])
    first = codes[0]  # 0 or black, where there is one
    guessed = {first: "background"} if first in (0, COLOUR) and (first == commonest or len(codes) > 2) else {}
    if guessed and len(codes) == 2:
        guessed[codes[1]] = "foreground"
    named = {code: names.names.get(code) or guessed.get(code, f"class_{_text(code).lstrip('#')}") for code in codes}
    asked = tuple(name for code, name in named.items() if name.startswith("class_") and code not in names.names)
    comments = {
        name: f"{_share(code, seen)}{'' if code in names.names else _asked(name)}" for code, name in named.items()
    }
    return Meaning(
        {name: _code(code) for code, name in named.items()},
        comments,
        [_code(code) for code in ignored],
        _ignored_words(ignored, seen),
        asked,
        seen.read,
        names.source if any(code in names.names for code in codes) else "",
    )


def _ignored_words(ignored: Mapping[int, str], seen: _Seen) -> str:
    share = sum(seen.pixels[code] for code in ignored) / seen.pixels.total()
    return f"{share:.2%} of the pixels: {', '.join(dict.fromkeys(ignored.values()))}"


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


def class_words(meaning: Meaning) -> str:
    """What was found, on a line."""
    codes = [
        f"{n}={code[0]}..{code[-1]}" if isinstance(code, list) else f"{n}={code}" for n, code in meaning.classes.items()
    ]
    ignored = f"; ignored: {', '.join(map(str, meaning.ignored))}" if meaning.ignored else ""
    return f"{counted(len(codes), 'class', 'classes')}: {', '.join(codes)}{ignored}"


def class_lines(meaning: Meaning) -> Iterator[Line]:
    """`classes` and `ignore_value`, with their comments."""
    colours = any(isinstance(code, str) for code in meaning.classes.values())
    what = "colour" if colours else "value"
    names = f"; names from {meaning.source}" if meaning.source else ""
    yield Line(
        "classes:", f"name: {what} in the mask, from {counted(meaning.masks, 'mask')}; the check reads all{names}"
    )
    for name, code in meaning.classes.items():
        if isinstance(code, list):
            yield Line(f"  {scalar(name)}: [", meaning.comments[name])
            rows = [code[i : i + WRAPPED] for i in range(0, len(code), WRAPPED)]
            yield from (Line(f"    {', '.join(map(scalar, row))},") for row in rows)
            yield Line("  ]")
        else:
            yield entry(name, code, meaning.comments[name], indent=2)
    if meaning.ignored:
        value = meaning.ignored if len(meaning.ignored) > 1 else meaning.ignored[0]
        yield entry("ignore_value", value, f"{meaning.ignored_comment}: counts nowhere; if it should, make it a class")
    if meaning.tolerance is not None:
        yield entry(
            "tolerance", meaning.tolerance, "the masks are JPEG, which changes values: each is of the nearest class"
        )


def class_questions(meaning: Meaning) -> Iterator[str]:
    """Yields what the values of the masks leave open, a sentence each."""
    if meaning.unnamed:
        yield NAME_THEM.format(", ".join(meaning.unnamed))
    if meaning.tolerance is not None:
        yield (
            f"the masks are JPEG, so that values stray about those of {', '.join(meaning.classes)} "
            f"({', '.join(map(str, meaning.classes.values()))}); is there no other class? Save masks as PNG, if you can"
        )


def nearest_values(pixels: Mapping[int, int]) -> tuple[dict[int, int], int]:
    """Returns the value that each stored one stands for, and how many levels the furthest stored one may be off.

    Args:
        pixels: stored value 0..255 -> number of pixels.
    """
    total, peaks = sum(pixels.values()), list[int]()
    for code in sorted(pixels, key=lambda code: -pixels[code]):
        about = sum(pixels.get(code + off, 0) for off in range(-BLUR, BLUR + 1))
        is_peak = about >= LEAST * total and pixels[code] >= about / BLUR
        if is_peak and all(abs(code - peak) > APART for peak in peaks):
            peaks.append(code)
    values = sorted({0 if code <= BLUR else 255 if code >= 255 - BLUR else code for code in peaks or [max(pixels)]})
    between = max((high - low for low, high in itertools.pairwise(values)), default=0)
    beyond = max(values[0] - min(pixels), max(pixels) - values[-1])
    nearest = {code: min(values, key=lambda value: (abs(value - code), value)) for code in pixels}
    return nearest, max(-(-between // 2), beyond)
