"""Turns masks into labels by how they write what a pixel is: values or colours, or what JPEG leaves near them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from segtrain.counted import some_of
from segtrain.data.files.samples import IGNORE_INDEX, RGB, Pixels, colours
from segtrain.data.files.tiff_tags import Where
from segtrain.errors import UserError, remark

Labels = np.ndarray[Any, np.dtype[np.uint8]]
Code = int | str  # a value 0..65535, or a colour "#rrggbb"
UNKNOWN = 254  # marks, in the look-up table, what is no class; so labels end at 253
VALUES = 1 << 16  # values that the table of values covers: all of 16 bits
COLOURS = 1 << 24  # colours that the table of colours covers: all of RGB
MOST_CODES = 300  # that the error carries: a JPEG mask has thousands, of which nobody wants a list
SAID = "pixels of a mask that hold its file's nodata value (tag GDAL_NODATA), which is no class, count nowhere"
COLOUR = re.compile("#[0-9a-fA-F]{6}")


class Coding:
    """Knows the classes of a dataset and how its masks write them."""

    def __init__(
        self,
        classes: Mapping[str, Code | Sequence[Code]],
        ignore_value: Code | Sequence[Code] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        tolerance: int | None = None,
    ) -> None:
        """Builds the table.

        Args:
            classes: name -> value 0..65535 in the mask, or colour "#rrggbb", or a list of either, in label order.
            ignore_value: what in the mask becomes `IGNORE_INDEX`; None: nothing does.
            palette: RGB 0..255 for each class; None takes the colours of the masks, or chooses some.
            tolerance: levels by which a value, or a colour in each channel, may be off the nearest that is given, as in
                JPEG; of two that are as near, the lower one. None: none.

        Raises:
            UserError: no or too many classes, a code twice, values and colours mixed, a palette that does not fit, a
                tolerance that is no number of levels.
        """
        if tolerance is not None and (type(tolerance) is not int or not 0 <= tolerance < VALUES):
            raise UserError(
                f"dataset.tolerance is {tolerance!r}; expected a whole number of levels from 0, by which a value in a "
                "mask may be off its class's, or null: none"
            )
        self._tolerance = tolerance or 0
        self.meaning = () if not tolerance else (f"tolerance {tolerance}",)  # beside the classes, for a fingerprint
        self._codes = {name: _listed(codes) for name, codes in _named(classes).items()}
        self._ignored = [] if ignore_value is None else _listed(ignore_value)
        every = [*self._entries()]
        for name, code in every:
            _check_code(name, code)
        _check_once(every)
        if len({type(code) for _, code in every}) > 1:
            raise UserError(
                "dataset.classes mixes values and colours; expected values (0..65535) or colours ('#rrggbb') for all, "
                "as the masks have them"
            )
        self.in_colour = isinstance(every[0][1], str)
        self.names = tuple(self._codes)
        self.palette = self._palette() if palette is None else _checked_palette(palette, self.names)
        self._table = self._filled()

    def labels(self, pixels: Pixels, name: object, missing: Where | None = None) -> Labels:
        """Returns labels (H, W) of a mask of values, or (H, W, 3) of colours, where (H, W) is taken for grey.

        Args:
            pixels: the mask.
            name: of it, for messages.
            missing: where (H, W) its file says that it holds nothing: what is no class there becomes `IGNORE_INDEX`.

        Raises:
            UserError: a value or colour is no class, or a colour mask stands where values are expected.
        """
        codes = _packed(pixels, name) if self.in_colour else _values(pixels, name, missing, self._tolerance)
        labels = self._found(codes)
        unknown = labels == UNKNOWN
        if missing is not None and (unknown & missing).any():
            labels[unknown & missing] = IGNORE_INDEX
            unknown &= ~missing
            remark("nodata of masks", SAID, [name], is_fine=True)
        if unknown.any():
            raise self._unknown(codes[unknown], name)
        return labels

    def _found(self, codes: Pixels) -> Labels:
        """Returns labels (H, W), `UNKNOWN` where a code is of no class."""
        if codes.dtype == np.uint8:
            return np.asarray(cv2.LUT(codes, self._table[:256]), np.uint8)
        inside = (codes >= 0) & (codes < len(self._table))
        if inside.all():
            return self._table.take(codes)
        return np.where(inside, self._table.take(np.where(inside, codes, 0)), np.uint8(UNKNOWN))

    def _entries(self) -> Iterable[tuple[str, Code]]:
        for name, codes in [*self._codes.items(), ("ignore_value", self._ignored)]:
            yield from ((name, code) for code in codes)

    def _palette(self) -> tuple[RGB, ...]:
        if not self.in_colour:
            return colours(self.names)
        firsts = [_number(codes[0]) for codes in self._codes.values()]
        return tuple((code >> 16, code >> 8 & 255, code & 255) for code in firsts)

    def _filled(self) -> Labels:
        """Returns the label of each code, `UNKNOWN` of most."""
        label_of = {_number(code): label for label, codes in enumerate(self._codes.values()) for code in codes}
        label_of |= {_number(code): IGNORE_INDEX for code in self._ignored}
        table = np.full(COLOURS if self.in_colour else VALUES, UNKNOWN, np.uint8)
        if self._tolerance:
            spread_codes(table.reshape((256,) * 3) if self.in_colour else table, label_of, self._tolerance)
        for code, label in label_of.items():
            table[code] = label
        return table

    def _unknown(self, codes: Pixels, name: object) -> UserError:
        known = [_number(code) for _, code in self._entries()]
        found, counts = np.unique(codes[~np.isin(codes, known)], return_counts=True)
        every = [f"#{value:06x}" if self.in_colour else str(value) for value in found[:MOST_CODES].tolist()]
        shown = every[:5]
        got = some_of([f"{code} ({count} pixels)" for code, count in zip(shown, counts, strict=False)])
        more = f" and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
        what = "colour" if self.in_colour else "value"
        ignored = f" and ignore_value={_shown(self._ignored)}" if self._ignored else ""
        jpeg = (
            way_out_of_jpeg(found.tolist(), known, self.in_colour)
            if str(name).lower().endswith((".jpg", ".jpeg"))
            else ""
        )
        return UserError(
            f"mask '{name}' has the {what} {got}{more}; dataset classes are "
            f"{', '.join(f'{key}={_shown(codes)}' for key, codes in self._codes.items())}{ignored}; fix the mask, or "
            f"add the class in dataset.classes, or name the {what} in dataset.ignore_value{jpeg}",
            dict(zip(every, counts.tolist(), strict=False)),
        )


def _named(classes: Mapping[str, Any]) -> Mapping[str, Any]:
    if not 1 <= len(classes) <= UNKNOWN:
        raise UserError(
            f"dataset.classes has {len(classes)} entries; expected 1 to {UNKNOWN}, "
            "such as {background: 0, cell: 255}, name: value in the mask"
        )
    for name in classes:
        if not isinstance(name, str):
            raise UserError(f"dataset.classes has the name {name!r}, which YAML takes for no text; put it in quotes")
    return classes


def _listed(codes: Any) -> list[Code]:
    return list(codes) if isinstance(codes, Sequence) and not isinstance(codes, str) else [codes]


def _check_code(name: str, code: Any) -> None:
    value = type(code) is int and 0 <= code < VALUES
    if not value and not (isinstance(code, str) and COLOUR.fullmatch(code)):
        raise UserError(
            f"dataset: {name} is {code!r}; expected a value in the mask, a whole number 0..{VALUES - 1}, or a colour "
            "such as '#ff0000' (in quotes: YAML takes # for a comment), or a list of either"
        )


def _check_once(entries: Sequence[tuple[str, Code]]) -> None:
    names: dict[int, str] = {}
    for name, code in entries:
        if _number(code) in names:
            first = names[_number(code)]
            raise UserError(
                f"dataset.classes and dataset.ignore_value give {code} to {first} and to {name}; expected one meaning "
                "a value; drop one"
            )
        names[_number(code)] = name


def _checked_palette(palette: Sequence[Sequence[int]], classes: tuple[str, ...]) -> tuple[RGB, ...]:
    fits = len(palette) == len(classes) and all(len(c) == 3 and all(0 <= v <= 255 for v in c) for c in palette)
    if not fits:
        raise UserError(
            f"dataset.palette does not fit the {len(classes)} classes {', '.join(classes)}; "
            f"expected [red, green, blue] in 0..255 for each; got {list(palette)}"
        )
    return tuple((int(red), int(green), int(blue)) for red, green, blue in palette)


def _number(code: Code) -> int:
    return int(code[1:], 16) if isinstance(code, str) else code


def _shown(codes: Sequence[Code]) -> str:
    return str(codes[0]) if len(codes) == 1 else f"[{','.join(map(str, codes))}]"


def _packed(pixels: Pixels, name: object) -> Pixels:
    """Returns colours as whole numbers 0xrrggbb."""
    if pixels.dtype != np.uint8:
        raise UserError(
            f"mask '{name}' has {pixels.dtype.name} pixels; dataset.classes are colours of 8 bits a channel; save it "
            "so, or give the values of its classes"
        )
    if pixels.ndim == 2:
        return pixels.astype(np.int32) * 0x010101
    return (pixels[..., 0].astype(np.int32) << 16) | (pixels[..., 1].astype(np.int32) << 8) | pixels[..., 2]


def _values(pixels: Pixels, name: object, missing: Where | None, tolerance: int) -> Pixels:
    """Returns whole numbers (H, W); -1 where a file says that it holds nothing and what it holds is none."""
    if pixels.ndim == 3:
        apart = int((pixels.max(2).astype(np.int64) - pixels.min(2)).max(initial=0))
        if apart > tolerance:
            raise UserError(
                f"mask '{name}' is a colour picture; expected one value a pixel: grey, palette or 1-bit; save it as a "
                "grey or palette PNG whose values are those of dataset.classes, or give colours there: '#ff0000'"
                + (f"; its channels differ by up to {apart}, dataset.tolerance is {tolerance}" if tolerance else "")
            )
        pixels = np.ascontiguousarray(np.sort(pixels, 2)[..., pixels.shape[2] // 2] if apart else pixels[..., 0])
    return _whole(pixels, name, missing) if pixels.dtype.kind == "f" else pixels


def _whole(values: Pixels, name: object, missing: Where | None) -> Pixels:
    fine = np.isfinite(values) & (np.abs(values) < VALUES) & (np.rint(values) == values)
    wrong = ~fine if missing is None else ~fine & ~missing
    if wrong.any():
        raise UserError(
            f"mask '{name}' holds {values[wrong][0]:g} ({values.dtype.name} pixels, {int(wrong.sum())} of them such); "
            f"expected whole numbers from 0 to {VALUES - 1}, those of dataset.classes; resample labels by nearest "
            "neighbour, undo what scaled them, or mark pixels without a label by GDAL's nodata tag"
        )
    return np.where(fine, values, -1).astype(np.int64)


def spread_codes(table: Labels, label_of: Mapping[int, int], tolerance: int) -> None:
    """Fills a table of labels with that of the nearest code, up to so many levels off it.

    Args:
        table: (65536,) of values, or (256, 256, 256) of colours, whose distance is that of the channel furthest off.
        label_of: code, of a colour 0xrrggbb, -> label.
        tolerance: levels.
    """
    best = np.full(table.shape, tolerance + 1, np.int32)
    for code, label in sorted(label_of.items()):
        centre = _channels(code, table.ndim == 3)
        lows = [max(0, at - tolerance) for at in centre]
        box = tuple(slice(low, at + tolerance + 1) for low, at in zip(lows, centre, strict=True))
        sides = [np.abs(np.arange(low, low + n) - at) for low, at, n in zip(lows, centre, best[box].shape, strict=True)]
        far = sides[0] if len(sides) == 1 else np.maximum.reduce(np.meshgrid(*sides, indexing="ij"))
        nearer = far < best[box]
        best[box][nearer], table[box][nearer] = far[nearer], label


def way_out_of_jpeg(found: Sequence[int], known: Sequence[int], in_colour: bool) -> str:
    """Returns the way out of a JPEG mask: how far the codes in it are off the nearest that are known."""
    of, those = (np.array([_channels(code, in_colour) for code in codes]) for codes in (found, known))
    off = np.abs(of[:, None] - those[None]).max(2).min(1).max()
    return (
        f"; JPEG changes values (here by up to {off}): save masks as PNG, or, to take each for the nearest class, give "
        f"dataset.tolerance={off} or more"
    )


def _channels(code: int, in_colour: bool) -> list[int]:
    """Returns red, green and blue of a colour 0xrrggbb, or the value."""
    return [code >> 16, code >> 8 & 255, code & 255] if in_colour else [code]
