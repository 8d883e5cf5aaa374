"""Text files that say which sample belongs to train, val and test."""

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from segtrain.data.files.pairs import Pair, Sides
from segtrain.data.files.patterns import SPLITS
from segtrain.errors import UserError
from segtrain.files import text_of


class Listed:
    """Finds what the lines of split lists name among the files of a dataset.

    A line is an id, the path of an image from root, its name behind the folder that `{id}` begins in, or the paths of
    an image and a mask with white space between. Of paths, `prefix` is dropped first.
    """

    def __init__(self, root: Path, sides: Sequence[Sides], prefix: str = "") -> None:
        """Nothing is read yet; `sides` have ids that differ."""
        self._root, self._prefix = root, prefix
        self._images = {name: path for piece in sides for name, path in piece.images.files.items()}
        self._masks = {name: path for piece in sides for name, path in piece.masks.files.items()}
        regions = [piece.regions for piece in sides if piece.regions is not None]
        self._regions = {name: path for side in regions for name, path in side.files.items()} if regions else None
        self._ids = self._spellings(self._images)
        self._mask_paths = {self._from_root(path): path for path in self._masks.values()}

    def pairs(self, lists: Mapping[str, str]) -> list[Pair]:
        """The samples that the lists name, with the split of their list; what no list names is left out.

        Args:
            lists: train, val or test -> text file below root.

        Raises:
            UserError: a list is missing or empty, or a line names a sample that is not there, or one named before.
        """
        _check_splits(lists)
        found: dict[str, tuple[Pair, str]] = {}
        for split, name in lists.items():
            for where, line in _lines(self._root / name):
                pair = self._pair(line, split, where)
                if pair.id in found:
                    raise UserError(
                        f"{where} names '{pair.id}', as {found[pair.id][1]} does; expected each sample once, in one "
                        "split; remove one of the lines"
                    )
                found[pair.id] = (pair, where)
        return [pair for pair, _ in found.values()]

    def _pair(self, line: str, split: str, where: str) -> Pair:
        name, mask = self._ids.get(self._stripped(line)) or self._ids.get(f"{split}/{line}"), None
        for at in (
            i for i, letter in enumerate(line) if letter.isspace() and name is None
        ):  # names may hold blanks too
            image, partner = self._stripped(line[:at].strip()), self._stripped(line[at:].strip())
            if image in self._ids and partner in self._mask_paths:
                name, mask = self._ids[image], self._mask_paths[partner]
        if name is None:
            raise self._unknown(line, where)
        mask, region = mask or self._masks.get(name), (self._regions or {}).get(name)
        if mask is None or (region is None and self._regions is not None):
            raise UserError(
                f"{where} names '{name}', which has no {'region' if mask else 'mask'}; expected one for each listed "
                "sample; add it, or remove the line"
            )
        return Pair(name, self._images[name], mask, split, region)

    def _stripped(self, path: str) -> str:
        cut = path.removeprefix(self._prefix)
        return posixpath.normpath(cut.lstrip("/") if self._prefix and cut != path else cut)

    def _from_root(self, path: Path) -> str:
        return Path(os.path.relpath(path, self._root)).as_posix()

    def _spellings(self, images: Mapping[str, Path]) -> dict[str, str]:
        """What a line may say -> id; ids come before paths from root, these before names with their extension."""
        names = {f"{name}{path.suffix}": name for name, path in images.items()}
        return names | {self._from_root(path): name for name, path in images.items()} | {name: name for name in images}

    def _unknown(self, line: str, where: str) -> UserError:
        name, path = min(self._images.items())
        return UserError(
            f"{where} names '{line}', which is no image, or no image and mask, of the dataset; expected an id such as "
            f"'{name}', or a path from dataset.root such as '{self._from_root(path)}', or such a path and that of a "
            f"mask; mend the line, or dataset.images, or give in dataset.prefix what to drop from paths (now "
            f"'{self._prefix}')"
        )


def _check_splits(lists: Mapping[str, str]) -> None:
    if not lists or any(split not in SPLITS for split in lists):
        raise UserError(
            f"dataset.lists has {', '.join(map(str, lists)) or 'nothing'}; expected a text file below dataset.root for "
            "each of train, val and test, or some of them, such as {train: train.txt, test: test.txt}"
        )


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where each line that is not blank stands, and the line."""
    try:
        lines = text_of(path, encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(
            f"the list '{path}' cannot be read: {error.strerror}; expected a text file in UTF-8, a sample a line; mend "
            "dataset.lists, whose paths begin at dataset.root"
        ) from error
    if not any(line.strip() for line in lines):
        raise UserError(
            f"the list '{path}' names no sample; expected one a line; fill it, or drop it from dataset.lists"
        )
    yield from ((f"'{path}', line {n},", line.strip()) for n, line in enumerate(lines, 1) if line.strip())
