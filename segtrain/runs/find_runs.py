"""Several runs by one word: a folder, a name, a glob, or a list of them in brackets."""

from collections.abc import Sequence
from pathlib import Path

from segtrain.errors import UserError
from segtrain.runs.find_run import find_run, is_named
from segtrain.runs.folder import RunFolder
from segtrain.wildcards import find_paths, is_pattern


def runs_of(named: str, outputs: Path) -> list[RunFolder]:
    """The runs that `named` means, each once: RUN, 'outputs/NAME/*', or '[RUN,RUN]'.

    Names of run folders have commas in them: of a list, the longest stretch that is a run is taken as one.

    Raises:
        UserError: one that is no run, or a glob that fits none.
    """
    named = named.strip()
    if not (named.startswith("[") and named.endswith("]")) or is_named(named, outputs):
        return find_runs([named], outputs)
    pieces, found = named[1:-1].split(","), list[RunFolder]()
    while pieces:
        runs, taken = _longest(pieces, outputs)
        found, pieces = [*found, *runs], pieces[taken:]
    return list({run.path.resolve(): run for run in found}.values())


def find_runs(names: Sequence[str], outputs: Path) -> list[RunFolder]:
    """Returns the run folders of paths, names below `outputs`, or globs of either, such as 'a/*'; each once.

    What is there by that very name is meant by it, whatever signs of a pattern it has in it.

    Raises:
        UserError: a name that is no run, a glob that fits none.
    """
    found: list[RunFolder] = []
    for name in names:
        if is_named(name, outputs) or not (is_pattern(name) and is_pattern(f"{outputs}/{name}")):
            found.append(find_run(name, outputs))
            continue
        fits = sorted({path for text in (name, f"{outputs}/{name}") for path in find_paths(text)})
        runs = [path for path in fits if (path / "config.yaml").is_file()]
        if not runs:
            raise UserError(
                f"no run fits '{name}'; expected a pattern of run folders, from the current directory or below "
                f"{outputs}/, such as '{outputs}/folds/*'; got {len(fits)} paths without a config.yaml"
            )
        found += [RunFolder(path) for path in runs]
    if not found:
        raise UserError("no run is given; expected run=RUN, a list of runs, or a glob")
    return list({run.path.resolve(): run for run in found}.values())


def _longest(pieces: list[str], outputs: Path) -> tuple[list[RunFolder], int]:
    """The runs of the longest beginning that names any, and of how many pieces it is made."""
    for length in range(len(pieces), 1, -1):
        try:
            return find_runs([_clean(pieces[:length])], outputs), length
        except UserError:
            continue
    return find_runs([_clean(pieces[:1])], outputs), 1


def _clean(pieces: list[str]) -> str:
    return ",".join(pieces).strip().strip("'\"").rstrip("/")
