"""Holds the one kind of console that we print on: it shows text as it is, and obeys nothing that is written in it."""

from typing import Any

from rich.console import Console
from rich.text import Text

from segtrain.printable import printable


class Screen(Console):
    """Prints as Rich does without its markup (`[red]`, `[/b]`), emoji (`:x:`) and highlights, in text and in tables.

    Control characters show as escapes. What is to be bold or coloured is a `Text`, or is printed with a style.
    """

    def __init__(self, **options: Any) -> None:
        """Takes the options of Rich's console."""
        super().__init__(**{"highlight": False, **options}, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Returns the text as it is shown."""
        return super().render_str(printable(text), **options)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Returns one text of several: each a text as it is, or a text with a style."""
    texts = [part if isinstance(part, tuple) else (part, "") for part in parts]
    return Text.assemble(*((printable(text), style) for text, style in texts))
