"""Writes the messages of every mistake in data into docs/messages.md.

    python scripts/mistakes.py

The mistakes are those of tests/data/datasets/mistakes; each is made in an empty folder.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOC = ROOT / "docs" / "messages.md"
BEGIN = "<!-- written by scripts/mistakes.py -->\n"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.data.datasets.mistakes import every, message

    lines = []
    for kind, mistakes in every().items():
        lines += [f"## {kind}", "", "| what is wrong | what is said |", "|---|---|"]
        for what, make in mistakes.items():
            with tempfile.TemporaryDirectory() as folder:
                said = message(make, Path(folder))
            lines.append(f"| {what} | {said.replace('|', chr(92) + '|').replace(chr(10), ' ')} |")
        lines.append("")
    head, _, _ = DOC.read_text(encoding="utf-8").partition(BEGIN)
    DOC.write_text(head + BEGIN + "\n" + "\n".join(lines), encoding="utf-8")
    print(f"{DOC.relative_to(ROOT)}: {sum(map(len, every().values()))} messages")


if __name__ == "__main__":
    main()
