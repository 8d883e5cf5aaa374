"""Fingerprints: hex digits that change when what a dataset reads changes."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


def digest(root: Path, paths: Iterable[Path], *options: object) -> str:
    """BLAKE2b over the options' `repr`, and the names from root and the contents of the files."""
    total = hashlib.blake2b(repr(options).encode(), digest_size=16)
    for path in paths:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, hashlib.blake2b).hexdigest()
        total.update(f"{Path(os.path.relpath(path, root)).as_posix()}\0{content}\0".encode())
    return total.hexdigest()
