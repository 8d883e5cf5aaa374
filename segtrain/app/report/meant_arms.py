"""Says which arm is meant by what was typed: by one of its runs, by its name in a folder, by a folder or a glob."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segtrain.app.report.arms import Arm, arms_of
from segtrain.app.report.read_runs import Run, read_whole_runs
from segtrain.command_line import in_shell
from segtrain.counted import counted
from segtrain.errors import UserError
from segtrain.folders import is_pattern
from segtrain.runs.ensemble import is_ensemble
from segtrain.runs.find_run import find_run, find_runs, is_named
from segtrain.runs.run_files import STATUS

Reading = Callable[[tuple[Path, ...]], tuple[list[Run], dict[Path, str]]]


class MeantArm(NamedTuple):
    """Holds one of two arms that are compared."""

    typed: str
    arm: Arm
    beside: list[Run]  # the runs among which it was told apart, its own with them
    unread: Mapping[Path, str]  # runs there that cannot be read, with what is wrong

    @property
    def runs(self) -> list[Run]:
        """Returns all runs of the arm."""
        return [*self.arm.runs.values(), *self.arm.repeated]


def find_meant_arms(typed: Sequence[str], outputs: Path) -> list[MeantArm]:
    """Returns the two arms that were typed, each named as among the runs of both.

    Arms of one config in two folders are two arms (code, data or packages may differ), and named with what was typed.

    Raises:
        UserError: what was typed is no arm, or more than one; or the two share a run.
    """
    read = functools.cache(read_whole_runs)  # both may lie in one folder
    one, other = (find_meant_arm(name, outputs, read) for name in typed)
    if {run.path for run in one.runs} & {run.path for run in other.runs}:
        raise UserError(
            f"both runs are of the arm {one.arm.name}, which is all of its seeds; expected runs of two arms; got "
            f"{one.typed} and {other.typed}; name a run that differs in more than the seed"
        )
    among = arms_of(list({run.path: run for side in (one, other) for run in side.beside}.values()))
    names = [next(arm.name for arm in among if arm.holds(side.runs[0].path)) for side in (one, other)]
    if names[0] == names[1]:
        names = [f"{name} ({side.typed})" for name, side in zip(names, (one, other), strict=True)]
    return [side._replace(arm=side.arm._replace(name=name)) for side, name in zip((one, other), names, strict=True)]


def find_meant_arm(typed: str, outputs: Path, read: Reading = read_whole_runs) -> MeantArm:
    """Returns the arm that was typed: RUN (all seeds beside it), FOLDER:ARM, or a FOLDER or glob of one arm's runs.

    What is there by that very name is meant by it: a run, then a folder, then an arm's name behind a colon.

    Raises:
        UserError: there is no such run, or none of them can be read; or the runs are of several arms.
    """
    name = typed.rstrip("/") or typed
    if is_named(name, outputs):
        return _of_run(typed, find_run(name, outputs).path, read)
    folder = _folder(name, outputs)
    if folder is None and (found := _named_arm(name, outputs)):
        return _of_name(typed, *found, read)
    if folder is None and not is_pattern(name):
        find_run(name, outputs)  # says why it is none
    runs, unread = read((folder,) if folder else tuple(run.path for run in find_runs([name], outputs)))
    arms = arms_of(runs)
    if len(arms) > 1:
        raise _several(typed, arms)
    return MeantArm(typed, arms[0], runs, unread)


def _of_run(typed: str, path: Path, read: Reading) -> MeantArm:
    runs, unread = read((path.parent, path))
    if (wrong := unread.get(path.resolve())) is not None:
        raise UserError(wrong)
    return MeantArm(typed, next(arm for arm in arms_of(runs) if arm.holds(path)), runs, unread)


def _of_name(typed: str, folder: Path, name: str, read: Reading) -> MeantArm:
    runs, unread = read((folder,))
    arms = arms_of(runs)
    meant = [arm for arm in arms if _as_typed(arm.name) == _as_typed(name)]
    meant = meant or [arm for arm in arms if _as_typed(arm.kind) == _as_typed(name)]  # the one strength of a policy
    if len(meant) != 1:
        raise UserError(
            f"'{name}' is {counted(len(meant), 'arm') if meant else 'no arm'} of {folder}; expected one there; "
            f"got '{typed}'; {_ways(arms)}"
        )
    return MeantArm(typed, meant[0], runs, unread)


def _as_typed(name: str) -> str:
    """Returns an arm's name without what is hard to type: "flips × 0.5" is flipsx0.5."""
    return re.sub(r"\s", "", name).replace("×", "x").replace("*", "x")


def _named_arm(name: str, outputs: Path) -> tuple[Path, str] | None:
    """Returns the folder and the name of FOLDER:ARM; None where that is no folder of runs."""
    for colon in re.finditer(":", name):
        folder = _folder(name[: colon.start()], outputs)
        if folder is not None:
            return folder, name[colon.end() :].strip()
    return None


def _folder(name: str, outputs: Path) -> Path | None:
    """Returns the folder of runs of that path, or of that name below `outputs`; None without any, and of an ensemble.

    An ensemble answers by the mean of its runs, and they would be compared one by one.
    """
    tried = [Path(name), outputs / name] if name else []
    return next(
        (path for path in tried if path.is_dir() and not is_ensemble(path) and any(path.glob(f"*/{STATUS}"))), None
    )


def _several(typed: str, arms: Sequence[Arm]) -> UserError:
    return UserError(
        f"'{typed}' holds the runs of {counted(len(arms), 'arm')}; expected those of one, which differ in the seed "
        f"and the split alone; {_ways(arms)}"
    )


def _ways(arms: Sequence[Arm]) -> str:
    """Returns what can be typed for each of the arms: its name among all arms of its folder."""
    ways, among = list[str](), dict[Path, list[Arm]]()
    for path in (next(iter(arm.runs.values())).path for arm in arms):
        if path.parent not in among:
            among[path.parent] = arms_of(read_whole_runs([path.parent, path])[0])
        name = next(arm.name for arm in among[path.parent] if arm.holds(path))
        ways.append(in_shell(f"{shown_path(path.parent)}:{name}"))
    return f"give one of: {', '.join(ways)}"


def shown_path(path: Path) -> str:
    """Returns a path as one types it: relative where it is below the current directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
