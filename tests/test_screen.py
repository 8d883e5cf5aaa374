"""Text and tables on a screen hold the names as they are."""

import io

import pytest
from rich.table import Table

from segtrain.screen import Screen, styled

NAMES = ["[/b]", "[red]tumour[/red]", "[link=https://x.y]a", ":cat:", "\x1b[2Ja", "a\\", "[", "$x$", "\u202eb"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_and_obeyed_by_nobody(name):
    stream = io.StringIO()
    screen = Screen(file=stream, width=120, force_terminal=True, color_system=None)
    table = Table(title=f"title {name}")
    table.add_column(f"head {name}")
    table.add_row(name)
    screen.print(table)
    screen.print(name, style="red")
    screen.print(styled((name, "bold"), name))
    shown = name.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert stream.getvalue().count(shown) == 6
    assert "\x1b" not in stream.getvalue()
