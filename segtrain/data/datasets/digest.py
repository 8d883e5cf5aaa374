"""Fingerprints: hex digits that change when what a dataset reads changes."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def digest(root: Path, paths: Iterable[Path], *options: object, keep: dict[Path, bytes] | None = None) -> str:
    """BLAKE2b over the options' `repr`, and the names from root and the contents of the files.

    `keep` is filled with 16 bytes of each file's own hash.
    """
    total = hashlib.blake2b(repr(options).encode(), digest_size=16)
    for path in paths:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, hashlib.blake2b)
        if keep is not None:
            keep[path] = content.digest()[:16]
        total.update(f"{Path(os.path.relpath(path, root)).as_posix()}\0{content.hexdigest()}\0".encode())
    return total.hexdigest()
