"""A run by its folder, or by its name below outputs."""

import difflib
from pathlib import Path

from segtrain.errors import UserError
from segtrain.runs.folder import RunFolder


def find_run(name: str, outputs: Path) -> RunFolder:
    """The run folder of that path, or of that unique name below `outputs`.

    Raises:
        UserError: there is none, or more than one.
    """
    if (Path(name) / "config.yaml").is_file():
        return RunFolder(name)
    runs = [p.parent for p in outputs.glob("*/*/config.yaml")]
    matches = [p for p in runs if p.name == name or p.as_posix().endswith(f"/{name}")]
    if len(matches) == 1:
        return RunFolder(matches[0])
    if matches:
        raise UserError(f"'{name}' is {len(matches)} runs: {', '.join(map(str, matches))}; give the whole path")
    near = difflib.get_close_matches(name, [str(p) for p in runs], 1, 0.3)
    raise UserError(
        f"'{name}' is no run folder: expected a folder with a config.yaml in it, or the unique name of one below "
        f"{outputs}/{'; did you mean ' + near[0] + '?' if near else ''}"
    )
