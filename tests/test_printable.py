"""What a name may hold never reaches a terminal, a page or a table as more than text."""

import html.parser
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.printable import in_code, in_html, in_markdown, one_line, print_text, printable

HOSTILE = ["\x1b]0;owned\x07", "\x1b[2J", "a\rb", "\x08\x08", "\u202egnp.exe", "\x9b31m", " ", "\udcff"]
TEXTS = st.text() | st.lists(st.sampled_from([*HOSTILE, "x", "\n"]), max_size=4).map("".join)


@given(TEXTS)
def test_nothing_that_a_terminal_obeys_is_left(text):
    shown = printable(text)
    shown.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(one_line(text).splitlines()) <= 1 and printable(shown) == shown


@given(st.text(st.characters(blacklist_categories=["C", "Z"]) | st.sampled_from(" \n")))
def test_what_can_be_read_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_printed_is_what_is_seen(text):
    stream = io.StringIO()
    print_text(f"{text} is here", file=stream)
    assert stream.getvalue().isprintable() or stream.getvalue()[:-1].isprintable()
    assert stream.getvalue().endswith(" is here\n")


class Tags(html.parser.HTMLParser):
    """Collects what of a page is no text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[object] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs)))


@given(st.text("<>\"'&=/ abcsriptonexl\n\x1b"))
def test_a_name_adds_nothing_to_a_page(text):
    page = Tags()
    page.feed(f'<p title="{in_html(text)}">{in_html(text)}</p>')
    page.close()
    assert page.found == [("p", ("title",))]


@given(st.text("<>&;#|](`*![ax\n"))
def test_a_name_is_one_cell_of_markdown_without_html_or_links(text):
    cell = in_markdown(text)
    assert "<" not in cell and "](" not in cell and "\n" not in cell
    assert len(re.findall(r"(?<!\\)\|", cell)) == 0


@given(st.text("`a<|\n"))
def test_code_ends_where_it_ends(text):
    code = in_code(text)
    fence = re.match("`+", code)[0]
    assert code.endswith(fence) and fence not in re.findall("`+", code[len(fence) : -len(fence)]) and "\n" not in code
