"""Says which run is meant: by what was typed, by its folder, by its name below outputs, by a glob, or by a list."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.folders import find_paths, is_pattern
from segtrain.nearest_name import did_you_mean, nearest_name
from segtrain.runs.ensemble import ensemble_members, is_ensemble
from segtrain.runs.folder import RunFolder
from segtrain.runs.run_files import BEST, CHECKPOINTS, CONFIG, MEMBERS, STATUS, WEIGHTS, folder_name

SHOWN = 5  # runs of a folder that a message names


def meant_run(outputs: Path, name: str, typed: Sequence[str], resume: str | None) -> RunFolder:
    """Returns the run that a training means: the folder to go on with, or the one that its overrides name.

    Args:
        outputs: where runs are.
        name: of the experiment.
        typed: the overrides of the command.
        resume: a run folder, or its name, to go on with.

    Raises:
        UserError: there is no run to go on with.
    """
    if resume is not None:
        return find_run(resume, outputs)
    return RunFolder(outputs / name / folder_name(typed))


def find_run(name: str, outputs: Path) -> RunFolder:
    """Returns the run folder of that path, or of that unique name below `outputs`.

    Raises:
        UserError: there is none, or more than one.
    """
    if _is_run(Path(name)):
        return RunFolder(name)
    if (ensemble := find_ensemble(name, outputs)) is not None:
        members = ensemble_members(ensemble)
        raise UserError(
            f"'{name}' is an ensemble of {counted(len(members), 'run')}, and one run is asked for here; expected a run "
            f"folder; give one of its members: {', '.join(str(run.path) for run in members[:SHOWN])}"
        )
    runs, matches = _below(outputs), _named(name, outputs)
    if len(matches) == 1:
        return RunFolder(matches[0])
    if matches:
        raise UserError(f"'{name}' is {len(matches)} runs: {', '.join(map(str, matches))}; give the whole path")
    if held := [path for path in runs if path.parent in (Path(name), outputs / name)] or _held(Path(name)):
        shown = ", ".join(map(str, held[:SHOWN])) + f", and {len(held) - SHOWN} more" * (len(held) > SHOWN)
        raise UserError(
            f"'{name}' is no run folder, it holds {counted(len(held), 'run')}; expected one "
            f"run; give {'it' if len(held) == 1 else 'one of them'}: {shown}"
        )
    hint = did_you_mean(nearest_name(name, map(str, runs))).rstrip()
    raise UserError(
        f"'{name}' is no run folder: expected a folder with a {CONFIG} in it, or the unique name of one below "
        f"{outputs}/{hint and '; '}{hint}"
    )


def runs_of(named: str, outputs: Path) -> list[RunFolder]:
    """Returns the runs that `named` means, each once: RUN, 'outputs/NAME/*', or '[RUN,RUN]'.

    Names of run folders have commas in them: of a list, the longest stretch that is a run is taken as one.

    Raises:
        UserError: one that is no run, or a glob that fits none.
    """
    named = named.strip()
    if not (named.startswith("[") and named.endswith("]")) or is_named(named, outputs) or find_ensemble(named, outputs):
        return find_runs([named], outputs)
    pieces, found = named[1:-1].split(","), list[RunFolder]()
    known = {path.name for path in (*_below(outputs), *(path.parent for path in outputs.glob(f"*/*/{MEMBERS}")))}
    while pieces:
        runs, taken = _longest(pieces, outputs, known)
        found, pieces = [*found, *runs], pieces[taken:]
    return list({run.path.resolve(): run for run in found}.values())


def find_runs(names: Sequence[str], outputs: Path) -> list[RunFolder]:
    """Returns the run folders of paths, names below `outputs`, or globs of either, such as 'a/*'; each once.

    An ensemble is its members. A glob that fits runs means them alone, one that fits only ensembles their members.
    What is there by that very name is meant by it, whatever signs of a pattern it has in it.

    Raises:
        UserError: a name that is no run, a glob that fits none.
    """
    found: list[RunFolder] = []
    for name in names:
        if (folder := find_ensemble(name, outputs)) is not None:
            found += ensemble_members(folder)
            continue
        if is_named(name, outputs) or not (is_pattern(name) and is_pattern(f"{outputs}/{name}")):
            found.append(find_run(name, outputs))
            continue
        fits = sorted({path for text in (name, f"{outputs}/{name}") for path in find_paths(text)})
        runs = [RunFolder(path) for path in fits if _is_run(path)]
        # Of an ensemble beside its runs they are copies, and would count twice.
        runs = runs or [member for path in fits if is_ensemble(path) for member in ensemble_members(path)]
        if not runs:
            raise UserError(
                f"no run fits '{name}'; expected a pattern of run folders, from the current directory or below "
                f"{outputs}/, such as '{outputs}/folds/*'; got {len(fits)} paths without a {CONFIG}"
            )
        found += runs
    if not found:
        raise UserError("no run is given; expected run=RUN, a list of runs, or a glob")
    return list({run.path.resolve(): run for run in found}.values())


def find_runs_in(folders: Sequence[Path]) -> list[Path]:
    """Returns the run folders in or below the folders, each once, in their order.

    Raises:
        UserError: there is none.
    """
    found = sorted({path.parent.resolve() for folder in folders for path in _statuses(folder)})
    if not found:
        raise UserError(
            f"no run in {', '.join(map(str, folders))}; expected run folders (with a {STATUS}) in it or one level "
            "below; give outputs/NAME, the folder of a sweep"
        )
    return found


def find_ensemble(name: str, outputs: Path) -> Path | None:
    """Returns the folder of the ensemble that is meant, by its path or unique name below `outputs`; None for none."""
    named = next((folder for folder in (Path(name), outputs / name) if is_ensemble(folder)), None)
    if named is not None or _named(name, outputs):
        return named
    alike = [path.parent for path in outputs.glob(f"*/*/{MEMBERS}") if path.parent.name == name]
    return alike[0] if len(alike) == 1 and is_ensemble(alike[0]) else None


def weights_file(name: str, outputs: Path) -> Path:
    """Returns the file of weights that `init_from` means: itself, or the best of that run.

    Raises:
        UserError: neither a file nor a run with weights.
    """
    if Path(name).is_file():
        return Path(name)
    try:
        path = find_run(name, outputs).best_weights
    except UserError as error:
        raise UserError(f"init_from={name} is no file of weights, and: {error}") from error
    if path is None:
        raise UserError(
            f"init_from={name} has no weights yet; expected {CHECKPOINTS}/{WEIGHTS} or {BEST} in it; "
            "got neither; let that run finish an epoch first, or give another one"
        )
    return path


def is_named(name: str, outputs: Path) -> bool:
    """Returns whether a run folder has that path or that name, so that `find_run` takes it as it stands."""
    return _is_run(Path(name)) or bool(_named(name, outputs))


def _is_run(folder: Path) -> bool:
    return os.path.isfile(folder / CONFIG)  # unlike the path's own method it takes names that are too long for a disk


def _statuses(folder: Path) -> Iterable[Path]:
    return [folder / STATUS] if (folder / STATUS).exists() else folder.glob(f"*/{STATUS}")


def _named(name: str, outputs: Path) -> list[Path]:
    if _is_run(outputs / name) and is_ensemble((outputs / name).parent):  # lies deeper than other runs
        return [outputs / name]
    return [path for path in _below(outputs) if path.name == name or path.as_posix().endswith(f"/{name}")]


def _held(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/{CONFIG}")) if os.path.isdir(folder) else []


def _below(outputs: Path) -> list[Path]:
    return sorted(path.parent for path in outputs.glob(f"*/*/{CONFIG}"))


def _longest(pieces: list[str], outputs: Path, known: set[str]) -> tuple[list[RunFolder], int]:
    """Returns the runs of the longest beginning that names any, and of how many pieces it is made."""
    for length in range(len(pieces), 1, -1):
        name = _clean(pieces[:length])
        if not (
            os.path.basename(name) in known
            or is_pattern(name)
            or os.path.exists(name)
            or os.path.exists(outputs / name)
        ):
            continue
        try:
            return find_runs([name], outputs), length
        except UserError:
            continue
    return find_runs([_clean(pieces[:1])], outputs), 1


def _clean(pieces: list[str]) -> str:
    return ",".join(pieces).strip().strip("'\"").rstrip("/")
