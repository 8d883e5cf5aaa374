"""Writes into docs/pixels.md what predict and evaluate say of other pixels than a run was trained on.

    python scripts/pixel_table.py              about 4 min on 2 CPU cores
    python scripts/pixel_table.py folder csv   prints these rows alone

The rows are made by tests/pixel_table.py: a small training a format, then both verbs on changed copies of its data.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.pixel_table import BEGIN, DOC, END, ROWS, head, line

    asked, lines = sys.argv[1:], head()
    for name in asked or ROWS:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(line(name, Path(folder)))
        print(lines[-1], flush=True)
    if asked:
        return
    text = DOC.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    DOC.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + after, encoding="utf-8")
    print(f"{DOC.relative_to(ROOT)}: {len(lines) - 2} rows")


if __name__ == "__main__":
    main()
