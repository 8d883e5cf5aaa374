"""Every mistake ends in a message, and docs/messages.md has it word for word."""

from pathlib import Path

import pytest

from tests.data.datasets.mistakes import Make, every, message

DOC = Path(__file__).parents[3] / "docs" / "messages.md"


@pytest.mark.parametrize(
    "make", [pytest.param(m, id=f"{kind}: {what}") for kind, all in every().items() for what, m in all.items()]
)
def test_it_is_told_as_the_docs_say(make: Make, tmp_path: Path) -> None:
    said = message(make, tmp_path)
    assert said.replace("|", "\\|").replace("\n", " ") in DOC.read_text(encoding="utf-8"), said
