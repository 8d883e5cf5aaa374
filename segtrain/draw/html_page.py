"""Sets pages of HTML that need nothing beside their file, and values in Markdown: heads, tables, pictures, words.

Texts that are handed in are shown as they are, whatever stands in them; what is HTML already says so in its name.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segtrain.printable import in_html, in_markdown

STYLE = Path(__file__).with_name("page.css")  # what all pages have in common
ICON = '<link rel="icon" href="data:,">'  # else a browser asks a server for one
NARROW = 820  # pixels: the widest screen that a picture for narrow ones is shown on
Row = Sequence[object]


class Cell(NamedTuple):
    """Holds a cell of a table that is more than a text."""

    html: str
    kind: str = ""  # its class
    value: str = ""  # what it is sorted by, where that is not what it shows


def document(title: str, head: str, body: str) -> str:
    """Returns a page as every browser reads it, for any width of screen.

    Args:
        title: of the window, a text.
        head: HTML: its style and what it runs.
        body: HTML.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{in_html(title)}</title>\n{ICON}\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def html_page(title: str, parts: Iterable[str], style: Path, script: str = "") -> str:
    """Returns a page of HTML parts that has everything in it.

    Args:
        title: of the window, a text.
        parts: HTML, in their order.
        style: a file of the package with the page's own style, which comes behind the common one.
        script: what the page does.
    """
    styles = "".join(own_text(path) for path in (STYLE, style))
    acts = f"\n<script>\n{script}</script>" if script else ""
    return document(title, f"<style>\n{styles}</style>", "\n".join(parts) + acts)


def own_text(path: Path) -> str:
    """Returns a file of the package that stands beside the module that asks."""
    return path.read_text(encoding="utf-8")


def paragraph(text: str, kind: str = "") -> str:
    """Returns a text as a paragraph of a class, such as soft or warning."""
    return f'<p class="{kind}">{in_html(text)}</p>' if kind else f"<p>{in_html(text)}</p>"


def html_list(texts: Iterable[str]) -> str:
    """Returns texts as a list."""
    return f"<ul>{''.join(f'<li>{in_html(text)}</li>' for text in texts)}</ul>"


def html_table(
    heads: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, sorts: bool = False, last: str = ""
) -> str:
    """Returns a table that scrolls by itself where it is wider than the screen.

    Args:
        heads: texts.
        rows: texts, or cells that are HTML.
        sorts: whether a click on a head sorts by it; the page's script does it.
        last: class of the last row.
    """
    body = [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    if last and body:
        body[-1] = body[-1].replace("<tr>", f'<tr class="{last}">', 1)
    sort = ' data-sort="none"' if sorts else ""
    head = "".join(f"<th{sort}>{in_html(text)}</th>" for text in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        cell = Cell(in_html(cell))
    kind = f' class="{cell.kind}"' if cell.kind else ""
    value = f' data-value="{cell.value}"' if cell.value else ""
    return f"<td{kind}{value}>{cell.html}</td>"


def figure(source: str, words: str, narrow: str = "") -> str:
    """Returns a picture with words below it, which also stand for it where it is not seen.

    Args:
        source: address of the picture.
        words: a text.
        narrow: address of another for narrow screens; "": the same.
    """
    picture = html_image(source, words)
    if narrow:
        picture = f'<picture><source media="(max-width: {NARROW}px)" srcset="{narrow}">{picture}</picture>'
    return f"<figure>{picture}<figcaption>{in_html(words)}</figcaption></figure>"


def html_image(source: str, words: str) -> str:
    """Returns a picture by itself, with the words that stand for it."""
    return f'<img alt="{in_html(words)}" src="{source}">'


def inline(data: bytes, kind: str) -> str:
    """Returns the bytes of a picture, of a kind such as png or svg+xml, as the address of a figure."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def group(kind: str, html: Iterable[str]) -> str:
    """Returns HTML parts together, in a box of a class such as strip: side by side as far as there is room."""
    return f'<div class="{kind}">{"".join(html)}</div>'


def html_key(colours: Mapping[str, Sequence[int]], before: str = "", after: str = "") -> str:
    """Returns what each colour (R, G, B) means, by name, between two texts."""
    spans = "".join(
        f'<span class="colour" style="--c:rgb{tuple(colour)}">{in_html(name)}</span>'
        for name, colour in colours.items()
    )
    more = f"<span>{in_html(after)}</span>" if after else ""
    return f'<p class="key soft">{in_html(before)} {spans}{more}</p>'


def table(head: Row, rows: Iterable[Row]) -> str:
    """Returns a table; a bar in a cell stays a bar."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(in_markdown(str(cell)) for cell in line) + " |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """Returns a list."""
    return "\n".join(f"- {line}" for line in lines)


def block(language: str, text: str) -> str:
    """Returns code of a language."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def listed(arguments: Mapping[str, Any]) -> str:
    """Returns `key value` of each argument that says something."""
    said = {key: value for key, value in arguments.items() if value is not None}
    return in_markdown(", ".join(f"{key} {value}" for key, value in said.items()) or "without arguments")
