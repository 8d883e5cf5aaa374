"""Runs commands over damaged and hostile inputs and counts those that do not end in a right answer or one message.

    python scripts/fuzz.py                       40 cases, about a minute on 2 cores
    python scripts/fuzz.py --cases 1000          the long one, about a quarter of an hour
    python scripts/fuzz.py --only 17 --keep DIR  one of them again, its folder kept

A case is a function of --seed and its number: a run folder, a config folder, a list of samples or an image, with one
thing wrong (scripts/fuzzing/cases.py), and a command that reads it. Wrong is a traceback, more than one message, a
status other than 0, 1 and 2, more than 3 GB, more than --limit seconds, an escape sequence on the terminal, a file in
the folder where hostile inputs would leave one, and silence: another answer than that of the undamaged input, or an
answer to what must be refused, without the damaged file being named. Exit status 1 when one of them happened.
"""

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing import bases
from fuzzing.cases import KINDS, Case
from fuzzing.damages import MINE
from fuzzing.forked import MOST_MEMORY, OUT, Ended, begin, finish, run, warm_up

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
VOLATILE = re.compile(r"\d+(\.\d+)? (s|min|ms)\b|20\d\d-\d\d-\d\d[T ][\d:.+]+|\"(seconds|took)[^,\n]*")


@dataclass
class Running:
    """A case under way."""

    number: int
    case: Case
    folder: Path
    process: int
    began: float


def main() -> int:
    arguments = parse()
    warm_up()
    with tempfile.TemporaryDirectory(prefix="segtrain-fuzz-") as temporary:
        root = Path(temporary)
        (root / "base").mkdir()
        bases.make(root / "base")
        numbers = [arguments.only] if arguments.only is not None else range(arguments.cases)
        found = Counter[str]()
        answers: dict[tuple[str, ...], tuple[str, str]] = {}
        ahead, running = list(numbers)[::-1], list[Running]()
        while ahead or running:
            if ahead and len(running) < arguments.jobs:
                running.append(started(ahead.pop(), root, arguments))
                continue
            one = running.pop(0)
            ended = finish(one.process, one.folder, one.began, arguments.limit)
            wrong = judged(one, ended, root, answers, arguments.limit)
            found[wrong or "right"] += 1
            if wrong or arguments.only is not None:
                show(one, ended, wrong, root, arguments.keep)
            shutil.rmtree(one.folder, ignore_errors=True)
    wrong = sum(found.values()) - found["right"]
    print(
        f"{sum(found.values())} cases, seed {arguments.seed}: " + ", ".join(f"{n} {k}" for k, n in found.most_common())
    )
    return 1 if wrong else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of one case")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--jobs", type=int, default=2, help="commands at once")
    parser.add_argument("--limit", type=float, default=20, help="seconds after which a command counts as hung")
    parser.add_argument("--keep", type=Path, help="folder to which those of wrong cases are copied")
    return parser.parse_args()


def started(number: int, root: Path, arguments: argparse.Namespace) -> Running:
    """Begins a case in a copy of the base."""
    dice = random.Random(f"{arguments.seed}-{number}")
    folder, canary = root / f"case{number}" / "base", root / f"case{number}" / "canary"
    shutil.copytree(root / "base", folder, symlinks=True)
    (folder / OUT).unlink(missing_ok=True)
    canary.mkdir()
    (canary / MINE).write_text(MINE)
    case = KINDS[dice.choice(arguments.kinds)](folder, dice, canary)
    return Running(number, case, folder, begin(case.arguments, folder), time.monotonic())


def judged(
    one: Running, ended: Ended, root: Path, answers: dict[tuple[str, ...], tuple[str, str]], limit: float
) -> str:
    """Returns what is wrong with how a case ended, in a word; nothing where all is right."""
    case = one.case
    if ended.hung:
        return "hang"
    if "Traceback (most recent call last)" in ended.text or ended.status not in (0, 1, 2):
        return "traceback"
    if ended.memory > MOST_MEMORY:
        return "memory"
    if [(path.name, path.read_text()) for path in (one.folder.parent / "canary").iterdir()] != [(MINE, MINE)]:
        return "canary"
    if CONTROLS.search(ended.text):
        return "escape"
    if ended.status == 2:
        return "" if len(re.findall(r"^error: ", ended.text, re.MULTILINE)) == 1 else "messages"
    if case.refused:
        return "silence"
    if case.answer and ended.status == 0 and case.damaged not in ended.text:
        key = tuple(case.arguments)
        if key not in answers:
            answers[key] = undamaged(case, root, limit)
        told = cautions(ended.text) - cautions(answers[key][1])
        return "" if told or answer(one.folder, case.answer) == answers[key][0] else "silence"
    return ""


def cautions(text: str) -> set[str]:
    """Returns the lines that warn: of the damaged file, where the undamaged one has them not."""
    return {line for line in text.splitlines() if line.lower().startswith(("careful:", "warning:"))}


def undamaged(case: Case, root: Path, limit: float) -> tuple[str, str]:
    """Returns the answer of the same command over the undamaged base, and what it printed."""
    folder = root / "plain" / "base"
    shutil.copytree(root / "base", folder, symlinks=True)
    (folder / OUT).unlink(missing_ok=True)
    ended = run(case.arguments, folder, limit)
    found = answer(folder, case.answer)
    shutil.rmtree(root / "plain")
    if ended.status not in (0, 1):
        raise SystemExit(f"segtrain {' '.join(case.arguments)} over sound inputs: {ended.status}\n{ended.text[-2000:]}")
    return found, ended.text


def answer(folder: Path, pattern: str) -> str:
    """Returns the content of the files of an answer, without what differs from run to run."""
    found = [path.read_bytes() for path in sorted(folder.glob(pattern)) if path.is_file()]
    text = "\n".join(one.decode("utf-8", errors="replace") for one in found)
    return VOLATILE.sub("", text)


def show(one: Running, ended: Ended, wrong: str, root: Path, keep: Path | None) -> None:
    """Prints a case, and keeps its folder where that is wanted."""
    print(f"\n--- {one.number}: {wrong or 'right'} ({ended.status}, {ended.seconds:.0f} s): {one.case.what}")
    print(f"    segtrain {' '.join(one.case.arguments)!r}")
    print(ascii(ended.text[-700:]).replace("\\n", "\n    "), flush=True)
    if keep is not None:
        shutil.copytree(one.folder, keep / str(one.number), symlinks=True, dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
