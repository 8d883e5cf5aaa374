"""`python -m segtrain report FOLDER…`: what the runs in a sweep's folder say together; also while it runs."""

import re
from collections.abc import Sequence
from pathlib import Path

from segtrain.app.report import verdict
from segtrain.app.report.run_arguments import named, unread
from segtrain.app.report.write_report import write_report
from segtrain.errors import UserError
from segtrain.printable import print_text

USAGE = "python -m segtrain report outputs/NAME [outputs/OTHER …] [to=FOLDER] [times=false]"
KEY = re.compile(r"[A-Za-z_][\w.]*=.*")
SWITCH = {"true": True, "false": False}


def report(arguments: Sequence[str]) -> None:
    """Write report.html, report.md, runs.csv and figures/, and print the verdict.

    Raises:
        UserError: no folder is named, there is no run in it, or a key that is none of these.
    """
    names, options = named(arguments, USAGE, ("to", "times"))
    folders = [Path(name) for name in names]
    times = SWITCH.get(options.get("times", "true").lower())
    if not folders or times is None:
        got = " ".join(arguments) or "nothing"
        raise UserError(f"report reads the run folders of a sweep; expected: {USAGE}; got: {got}")
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        if KEY.fullmatch(missing[0]):
            raise unread(missing[0], USAGE)
        raise UserError(f"there is no folder {', '.join(missing)}; expected the folder of a sweep, outputs/NAME")
    to = Path(options["to"]) if "to" in options else folders[0] if len(folders) == 1 else Path("outputs/report")
    found = write_report(folders, to, times)
    for warning in found.warnings:
        print_text(f"careful: {warning}")
    for sentence in verdict.sentences(found.choice, found.contrasts, found.arms):
        print_text(sentence)
    for step in verdict.next_steps(found.choice, found.contrasts):
        print_text(f"next: {step}")
    print_text(f"the whole report: {to / 'report.html'} (also report.md, runs.csv, figures/)")
