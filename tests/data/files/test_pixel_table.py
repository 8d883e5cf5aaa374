"""The table in docs/pixels.md of what is said of other pixels than a run was trained on."""

from pathlib import Path

import pytest

from tests.data.datasets.layouts import DRAWN
from tests.data.datasets.test_promises import CONF
from tests.pixel_table import CHANGES, ROWS, STORED, head, line, written

NEVER_AS_STORED = ("another depth", "16 times the values", "other channels", "pixels of 3 mm for 1")


def test_the_table_has_every_format_and_no_other_pixels_are_taken_in_silence() -> None:
    lines = written()
    assert lines[:2] == head()
    cells = {row.split("`")[1]: [cell.strip() for cell in row.split("|")[2:-1]] for row in lines[2:]}
    assert [*cells] == [*ROWS] and {row.layout.split(",")[0] for row in ROWS.values()} | {*DRAWN} == {*CONF}
    for name, found in cells.items():
        said = dict(zip([change.words for change in CHANGES], found, strict=True))
        assert not [change for change in NEVER_AS_STORED if STORED in said[change]], name


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_the_table_is_what_comes_out(name: str, tmp_path: Path) -> None:
    assert line(name, tmp_path) in written(), "run python scripts/pixel_table.py"
