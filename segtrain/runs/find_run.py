"""A run by what was typed, by its folder, or by its name below outputs; the weights that such a name means."""

from pathlib import Path

from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.nearest_name import did_you_mean, nearest_name
from segtrain.runs.folder import BEST, WEIGHTS, RunFolder

SHOWN = 5  # runs of a folder that a message names


def find_run(name: str, outputs: Path) -> RunFolder:
    """The run folder of that path, or of that unique name below `outputs`.

    Raises:
        UserError: there is none, or more than one.
    """
    if (Path(name) / "config.yaml").is_file():
        return RunFolder(name)
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
        f"'{name}' is no run folder: expected a folder with a config.yaml in it, or the unique name of one below "
        f"{outputs}/{hint and '; '}{hint}"
    )


def is_named(name: str, outputs: Path) -> bool:
    """Returns whether a run folder has that path or that name, so that `find_run` takes it as it stands."""
    return (Path(name) / "config.yaml").is_file() or bool(_named(name, outputs))


def _named(name: str, outputs: Path) -> list[Path]:
    return [path for path in _below(outputs) if path.name == name or path.as_posix().endswith(f"/{name}")]


def _held(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/config.yaml"))


def _below(outputs: Path) -> list[Path]:
    return sorted(path.parent for path in outputs.glob("*/*/config.yaml"))


def weights_file(name: str, outputs: Path) -> Path:
    """Returns the file of weights that `init_from` means: itself, or the best of that run.

    Raises:
        UserError: neither a file nor a run with weights.
    """
    if Path(name).is_file():
        return Path(name)
    try:
        folder = find_run(name, outputs).checkpoints
    except UserError as error:
        raise UserError(f"init_from={name} is no file of weights, and: {error}") from error
    for path in (folder / WEIGHTS, folder / BEST):
        if path.exists():
            return path
    raise UserError(
        f"init_from={name} has no weights yet; expected checkpoints/{WEIGHTS} or {BEST} in it; "
        "got neither; let that run finish an epoch first, or give another one"
    )
