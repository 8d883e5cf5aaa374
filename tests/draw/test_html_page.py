"""The kit of the HTML pages: whatever stands in a text is shown, and a page asks for nothing beside its file."""

import re
from html.parser import HTMLParser
from pathlib import Path

from segtrain.draw import html_page as kit

HOSTILE = "<script>alert('1')</script> & \"x\" onerror=y"


class Shown(HTMLParser):
    """Collects what a page shows, its tags, and the attributes that lead elsewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.leads: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.leads += [value or "" for name, value in attrs if name in ("src", "href")]
        self.words += "".join(value or "" for name, value in attrs if name == "alt")

    def handle_data(self, data: str) -> None:
        self.words += data


def page(tmp_path: Path) -> str:
    style = tmp_path / "own.css"
    style.write_text("p { color: red; }\n")
    source = kit.inline(b"a picture", "png")
    parts = [
        kit.paragraph(HOSTILE, "soft"),
        kit.html_list([HOSTILE]),
        kit.html_table([HOSTILE], [[HOSTILE], [kit.Cell("<b>own</b>", "better", "1.5")]], sorts=True, last="all"),
        kit.figure(source, HOSTILE),
        kit.html_key({HOSTILE: (1, 2, 3)}, HOSTILE, HOSTILE),
        kit.group("strip", [kit.html_image(source, HOSTILE)]),
    ]
    return kit.html_page(HOSTILE, parts, style, "sort();\n")


def test_texts_are_shown_and_do_nothing(tmp_path: Path) -> None:
    shown = Shown(page(tmp_path))
    assert shown.words.count(HOSTILE) == 11  # a figure says it twice, the key three times
    assert shown.tags.count("script") == 1 and "b" in shown.tags


def test_a_page_needs_nothing_beside_its_file(tmp_path: Path) -> None:
    shown = Shown(page(tmp_path))
    assert len(shown.leads) == 3 and all(lead.startswith("data:") for lead in shown.leads)
    assert not re.search(r"https?:|@import|url\(", page(tmp_path))


def test_a_pages_own_style_comes_behind_the_common_one(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.index("--ink") < text.index("p { color: red; }") < text.index("</style>") < text.index("<body>")


def test_cells_say_what_they_are_sorted_by_and_the_last_row_its_kind(tmp_path: Path) -> None:
    assert '<tr class="all"><td class="better" data-value="1.5"><b>own</b></td></tr>' in page(tmp_path)
