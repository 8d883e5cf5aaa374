"""Writes and reads a folder that is an ensemble: runs in sub-folders of its own, used as one wherever run= is."""

import itertools
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from segtrain import plain_files
from segtrain.counted import counted
from segtrain.errors import UserError, damaged
from segtrain.files import explained, require_own, text_of, write_whole
from segtrain.runs.contents import are_texts
from segtrain.runs.folder import RunFolder
from segtrain.runs.run_files import CHECKPOINTS, CONFIG, MEMBERS, USED_WITH

MOST = 1000  # members


def write_ensemble(folder: Path, members: Sequence[Path]) -> Path | None:
    """Writes copies of finished runs, with what using them takes, and the list of them last.

    The folder stands alone: it can be moved, and outlives the runs. One of the same runs is left as it is; another one
    is replaced when the new one is whole. One in which lies what nobody wrote with it, such as what was exported from
    it, is kept beside the new one, as NAME-1, NAME-2, ….

    Args:
        folder: of the ensemble.
        members: run folders, whose names differ.

    Returns:
        Where the one that was replaced is kept; None where it held nothing more, or there was none.

    Raises:
        UserError: the disk does not take it, a link or what is no ensemble stands in its place, or a member lacks a
            file; what was there stays.
    """
    names = [member.name for member in members]
    assert len(set(names)) == len(names)
    fresh, old = (folder.with_name(f".{folder.name}.{word}") for word in ("new", "old"))
    for place in (folder, old):
        require_own(place)
    with explained(folder):
        if is_ensemble(old) and not folder.exists():  # a process was killed between the two renames below
            old.rename(folder)
    _require_replaceable(folder)
    if is_ensemble(folder) and _holds(folder, members):
        return None
    _clear(fresh)
    try:
        for member in members:
            RunFolder(member).copy_for_use(fresh / member.name)
        write_whole(fresh / MEMBERS, json.dumps({"members": names}, indent=1, ensure_ascii=False) + "\n")
    except UserError:
        _clear(fresh)  # on a full disk it would keep the space
        raise
    _put_away(old, folder)
    with explained(folder):
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    return _put_away(old, folder)


def _require_replaceable(folder: Path) -> None:
    if folder.exists() and not is_ensemble(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"'{folder}' is there already, and no ensemble; expected none, or a folder with {MEMBERS} in it, which is "
            "replaced; move it, or delete it"
        )


def _holds(folder: Path, members: Sequence[Path]) -> bool:
    """Returns whether an ensemble is of these runs as they are now: by their names, and the bytes of their weights."""
    try:
        held = [run.path.name for run in ensemble_members(folder)]
    except UserError:  # damaged, so that it is written anew
        return False
    if held != [member.name for member in members]:
        return False
    return all(RunFolder(member).has_same_weights(folder / member.name) for member in members)


def _put_away(old: Path, folder: Path) -> Path | None:
    """Takes away what was replaced; where more lies in it than was written, it stays, and its place is returned."""
    if not old.is_dir() or not any(_added(old)):
        _clear(old)
        return None
    names = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(1))
    with explained(old):
        return old.rename(next(name for name in names if not os.path.lexists(name)))


def _added(folder: Path) -> Iterator[Path]:
    """Yields what lies in an ensemble, or in a run of it, and was not written with it."""
    for path in folder.iterdir():
        if (path / CONFIG).is_file():
            yield from (inner for inner in path.iterdir() if inner.name not in (*USED_WITH, CHECKPOINTS))
        elif path.name != MEMBERS:
            yield path


def _clear(folder: Path) -> None:
    """Takes away what a process that was killed has left."""
    require_own(folder)
    if folder.exists():
        with explained(folder):
            shutil.rmtree(folder)


def is_ensemble(folder: Path) -> bool:
    """Returns whether a folder holds a list of members, and is no run itself."""
    # Unlike the path's own methods these take names that are too long for a disk.
    return os.path.isfile(folder / MEMBERS) and not os.path.isfile(folder / CONFIG)


def ensemble_members(folder: Path) -> list[RunFolder]:
    """Returns the runs of an ensemble, in their order.

    Raises:
        UserError: the list is damaged, names what is no folder in this one, or a run that is not there.
    """
    path = folder / MEMBERS
    content = plain_files.read_json(text_of(path), path)
    names: Any = content.get("members") if isinstance(content, dict) else None
    if not are_texts(names) or not 0 < len(names) <= MOST or len(set(names)) != len(names):
        raise damaged(path, "something else", "a list of the runs below it under 'members'")
    for name in names:
        if Path(name).name != name or name in (".", "..") or (folder / name).is_symlink():
            raise damaged(path, f"the member '{name[:60]}'", "names of folders in this one, no links")
        if not (folder / name / CONFIG).is_file():
            raise UserError(
                f"'{folder}' is an ensemble that lacks its run '{name}'; expected every run that its {MEMBERS} names; "
                "got no such run folder; restore it, or name runs that are there: run='[RUN,RUN]'"
            )
    return [RunFolder(folder / name) for name in names]


def ensemble_of(runs: Sequence[RunFolder]) -> Path | None:
    """Returns the ensemble whose members these are, all of them and in its order; None for none, or a damaged one."""
    folder = runs[0].path.parent
    if not is_ensemble(folder):
        return None
    try:
        members = ensemble_members(folder)
    except UserError:  # what is left of it can be used by the runs' own paths
        return None
    return folder if [run.path for run in members] == [run.path for run in runs] else None


def run_name(path: Path) -> str:
    """Returns NAME/RUN, without the folders above; of a run in an ensemble NAME/ENSEMBLE/RUN."""
    place = path.resolve()
    return "/".join(place.parts[-3 if is_ensemble(place.parent) else -2 :])


def average_words(runs: Sequence[RunFolder]) -> str:
    """Returns what several runs are called that are used as one: the ensemble that they are, or the first and how many.

    An ensemble says of which arm its runs are, such as "cells-find/best (5 runs of aug=flips averaged)".
    """
    ensemble = ensemble_of(runs)
    if ensemble is None:
        return f"{run_name(runs[0].path)} and {len(runs) - 1} more, averaged"
    typed = [[o for o in run.overrides() if o.startswith(("aug=", "aug."))] for run in runs]
    arm = ",".join(o for o in typed[0] if all(o in others for others in typed))
    return f"{run_name(ensemble)} ({counted(len(runs), 'run')}{f' of {arm}' if arm else ''} averaged)"
