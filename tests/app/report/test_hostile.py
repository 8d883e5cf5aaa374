"""A report over runs of strangers: what is damaged is named and gives no number, and names are only names."""

import csv
import html.parser
import io
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from segtrain.app.report import page
from segtrain.app.report.figures import file_name
from segtrain.app.report.findings import compare_runs, featured
from segtrain.app.report.report import write_report
from segtrain.draw.sheet import letters_of
from segtrain.errors import UserError
from segtrain.runs.metrics_csv import read_csv, write_csv
from tests.app.report import made

NAMES = [
    "<script>alert(1)</script>", "a](javascript:x)", "x|y", "$x$ _y", "_y", "[/b]", "\x1b[2J\x07", "../../../up",
    "=cmd|' /C x'!A0",
    "\u202egnp", "'\"&amp;", "`c`", "a\nb", "a\rb", "x" * 300,
]  # fmt: skip
DAMAGE: dict[str, Any] = {
    "status.json": ["", "{}", '{"state": 5}', '{"state": "finished", "started_at": {}}'],
    "results.json": ["{", "{}", "[]", '{"test/dice": "x", "test/images": 18, "best_epoch": 1}'],
    "per_image.csv": ["", "id,dice\n", "id,dice\np00_0,7\n", "id,dice\np00_0,0.5\n", "\udc80"],
    "config.yaml": ["", "a: &a [*a]", "seed: x", "${x}", "choices: {aug: none}\naug: {strength: .nan}"],
    "overrides.yaml": ["{}", "- 5"],
    "split.json": ["{}", '{"test": 5}'],
    "metrics.csv": ["{}\n", "epoch,val/dice\n0,x\n"],
    "env.json": ["[]", '{"packages": []}'],
}


class Tags(html.parser.HTMLParser):
    """Counts the elements of a page, and collects what in them could act."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.acting: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.acting += [a for a in attrs if a[0].startswith("on") or (a[1] or "").startswith("javascript")]


def renamed(folder: Path, names: list[str]) -> Path:
    """Gives images, classes, a policy, and what the runs say of their machine, other names."""
    for run in folder.glob("*/"):
        rows = read_csv(run / "per_image.csv")
        for row, name in zip(rows, names * len(rows), strict=False):
            row["id"] += name
            row |= {f"dice/{one}": row["dice/cell"] for one in names}  # whose mean is the same
        write_csv(run / "per_image.csv", rows)
        split = json.loads((run / "split.json").read_text())
        (run / "split.json").write_text(json.dumps({**split, "test": [row["id"] for row in rows]}))
        config = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(config.replace("aug: flips", f"aug: {json.dumps(''.join(names))}"))
        told = json.loads((run / "env.json").read_text())
        (run / "env.json").write_text(json.dumps({**told, "device": names[0], "packages": {"torch": names[-1]}}))
    return folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep, to be copied."""
    folder = tmp_path_factory.mktemp("swept")
    for policy in ("none", "flips"):
        made.run(folder, policy, 1.0, 0)
    return folder


def copied(swept: Path, to: Path) -> Path:
    return Path(shutil.copytree(swept, to / "sweep"))


@pytest.mark.parametrize(("name", "content"), [(name, content) for name in DAMAGE for content in DAMAGE[name]])
def test_a_damaged_run_is_named_and_left_out(swept: Path, tmp_path: Path, name: str, content: str) -> None:
    folder = copied(swept, tmp_path)
    run = folder / "aug=flips,aug.strength=1,seed=0"
    (run / name).write_bytes(content.encode(errors="surrogateescape"))
    found = compare_runs([folder])
    assert len(found.runs) == 1 and run.resolve() not in {one.path for one in found.runs}
    assert [warning for warning in found.warnings if run.name in warning and name in warning and "left out" in warning]
    with pytest.raises(UserError, match=re.escape(name)):
        compare_runs([run])


@pytest.mark.parametrize("name", ["split.json", "env.json", "metrics.csv", "results.json", "per_image.csv"])
@pytest.mark.parametrize("link", [False, True])
def test_a_finished_run_without_a_file_is_named_and_left_out(
    swept: Path, tmp_path: Path, name: str, link: bool
) -> None:
    folder = copied(swept, tmp_path)
    run = folder / "aug=flips,aug.strength=1,seed=0"
    (run / name).unlink()
    if link:
        (run / name).symlink_to(run / "nowhere")
    found = compare_runs([folder])
    assert [warning for warning in found.warnings if run.name in warning and name in warning and "left out" in warning]


@pytest.mark.parametrize("ended", ["9999-12-31T00:00:00+00:00", "1970-01-01T00:00:00+00:00"])
def test_times_that_are_none_of_a_run_are_no_duration(swept: Path, tmp_path: Path, ended: str) -> None:
    run = copied(swept, tmp_path) / "aug=flips,aug.strength=1,seed=0"
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, "ended_at": ended}))
    assert math.isnan(compare_runs([run]).runs[0].minutes)


@pytest.mark.parametrize("name", ["augmented.png", "thumbnails.jpg"])
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"x" * 100])
def test_a_damaged_picture_ends_no_report(swept: Path, tmp_path: Path, name: str, content: bytes) -> None:
    folder = copied(swept, tmp_path)
    for run in folder.glob("*/"):
        (run / name).write_bytes(content)
    found = compare_runs([folder])
    assert not page.sheets(found.arms) and "<img" not in page.images_section(featured(found), "", 1)[200:]


def test_names_are_only_names(swept: Path, tmp_path: Path) -> None:
    plain = renamed(copied(swept, tmp_path / "plain"), [f"class{i}" for i in range(len(NAMES))])
    hostile = renamed(copied(swept, tmp_path / "hostile"), NAMES)
    pages = []
    for folder in (plain, hostile):
        write_report([folder], folder)
        pages.append(Tags())
        pages[-1].feed((folder / "report.html").read_text())
    assert pages[0].counts == pages[1].counts and not pages[1].acting
    text = (hostile / "report.md").read_text()
    assert "<" not in text and "\x1b" not in text and "](javascript" not in text and "\u202e" not in text
    assert text.count("\n") == (plain / "report.md").read_text().count("\n")
    for row in csv.reader(io.StringIO((hostile / "runs.csv").read_text(), newline="")):
        assert not [cell for cell in row if cell[:1] in ("=", "@", "\t", "\r")]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_no_folder_in_its_name_and_keeps_its_label(name: str) -> None:
    assert re.fullmatch(r"[\w =.,+%@()-]{1,120}", file_name(name)) and file_name("cell wall") == "cell wall"
    figure = Figure()
    figure.subplots().plot([0, 1], label=letters_of(name))
    assert len(figure.legend().texts) == 1
    figure.savefig(io.BytesIO(), format="svg")
