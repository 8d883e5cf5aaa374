"""Several runs by one word: a folder, a name, a glob, or a list of them in brackets."""

from pathlib import Path

from segtrain.app.finding import is_named
from segtrain.app.predictor import find_runs
from segtrain.errors import UserError
from segtrain.runs.folder import RunFolder


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
