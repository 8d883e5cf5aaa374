"""The tables of a Hugging Face `datasets` dataset, opened, by split."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from segtrain.data.files.extras import need
from segtrain.data.files.pairs import SPLITS, some
from segtrain.errors import UserError
from segtrain.files import require_regular
from segtrain.folders import files_below

Table = Any  # datasets.Dataset
STATES = ("state.json", "dataset_dict.json")  # what save_to_disk leaves in a folder
SPELLINGS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val", "test": "test"}


def loaded(root: str, config: str | None, revision: str | None) -> Any:
    """A `Dataset`, or a `DatasetDict` of splits, from a folder or from the hub.

    Raises:
        UserError: there is none, or it cannot be read or fetched.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    library = need("datasets", "huggingface")
    folder = Path(root).expanduser()
    there = folder.is_dir()
    if not there and (root.count("/") != 1 or root.startswith((".", "/", "~"))):
        raise UserError(
            f"there is no folder '{root}'; expected one that save_to_disk wrote, or OWNER/NAME on the hub; relative "
            "paths start from the current directory; give dataset.root as it is"
        )
    if there:
        _require_files(folder)
    shown = library.is_progress_bar_enabled()
    library.disable_progress_bars()
    try:
        if there and any((folder / state).is_file() for state in STATES):
            return library.load_from_disk(str(folder))
        return library.load_dataset(str(folder) if there else root, config, revision=revision)
    except Exception as error:  # the library and its readers raise nearly anything
        expected = (
            "a folder that save_to_disk wrote, or one of Parquet files"
            if there
            else "a folder, or a dataset of that name on the hub or in its cache; without a network, run load_dataset "
            "and save_to_disk once where there is one, and carry the folder over"
        )
        first = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"the dataset '{root}' cannot be had; expected {expected}; got {type(error).__name__}: {first}"
        ) from error
    finally:
        if shown:
            library.enable_progress_bars()


def parts(dataset: Any, splits: Mapping[str, str] | None) -> dict[str, Table]:
    """Split -> table; "" is the split of a dataset without any.

    Args:
        dataset: what was `loaded`.
        splits: train, val or test -> the dataset's own name; None: by their usual names.

    Raises:
        UserError: a name is none of the dataset's, or, without `splits`, none that is usual.
    """
    have = dict(dataset) if isinstance(dataset, Mapping) else {}
    if splits is not None:
        bad = [f"{part}={name}" for part, name in splits.items() if part not in SPLITS or name not in have]
        if bad or not splits:
            raise UserError(
                f"dataset.splits names {some(bad) or 'nothing'}; expected train, val or test, each with one of the "
                f"dataset's own splits ({some([*have]) or 'it has none'}); such as {{train: train, val: validation}}"
            )
        return {part: have[name] for part, name in splits.items()}
    if not have:
        return {"": dataset}
    named = [(SPELLINGS.get(name, ""), name) for name in have]
    if any(not part for part, _ in named) or len({part for part, _ in named}) < len(named):
        raise UserError(
            f"the dataset has the splits {some([*have])}; expected train, validation and test, or some of them, once "
            "each; say which is which by dataset.splits, such as {train: train, val: validation}"
        )
    return {part: have[name] for part, name in named}


def _require_files(folder: Path) -> None:
    """Raises UserError where a pipe, a device or a socket lies in the folder, or links without end: the library hangs.

    Its own readers walk the folder, and open by name.
    """
    for path in files_below(folder):
        with suppress(FileNotFoundError):  # a link that leads nowhere, which the library names where it is read
            require_regular(path)
