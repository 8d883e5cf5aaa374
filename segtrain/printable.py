"""Makes text for a terminal or a log, with nothing in it that one would obey: names may come from strangers."""

import re
import sys
from typing import TextIO

from segtrain.files import escaped

# Control characters but for tab and line feed, marks that turn the direction of writing, separators of lines, halves of
# characters (bytes of a file's name that are no UTF-8).
OBEYED = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"


def printable(text: str) -> str:
    """Returns the text with every character that a terminal would obey as its escape (ESC as x1b); lines stay."""
    return re.sub(OBEYED, lambda found: escaped(found[0]), text)


def one_line(text: str) -> str:
    """Returns the same as one line: line feeds and tabs are escapes too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def in_html(text: str) -> str:
    """Returns the text for a page, in an element or in a quoted attribute of one."""
    import html  # here: --help starts without its table of names

    return html.escape(printable(text))


def in_markdown(text: str) -> str:
    """Returns the text for a paragraph or cell of Markdown: one line, no HTML, no link and no end of a cell in it."""
    plain = re.sub(r"&(?=#?\w+;)", "&amp;", one_line(text)).replace("<", "&lt;")
    return plain.replace("](", "]\\(").replace("|", "\\|")


def in_code(text: str) -> str:
    """Returns the text as a span of code of Markdown, one line, whatever backticks it has itself."""
    plain, longest = one_line(text), max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " * bool(longest)
    return f"{fence}{space}{plain}{space}{fence}"


def print_text(text: str, file: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """Prints the text as `printable` gives it; to standard output where no file is given."""
    print(printable(text), file=file or sys.stdout, end=end, flush=flush)
