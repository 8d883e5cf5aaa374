from pathlib import Path

import pytest
from omegaconf import DictConfig

from segtrain.app import assembly
from segtrain.app.assembly import open_dataset
from segtrain.app.terminal import Terminal
from segtrain.errors import remark


def test_a_training_says_once_what_the_reader_of_its_data_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(_: DictConfig) -> str:
        for name in ("p1", "p2"):
            remark("spacing", "two headers [disagree]", [name])
        remark("cut polygons", "3 are cut", ["a.png"], is_fine=True)
        return "the data"

    monkeypatch.setattr(assembly, "build_dataset", build)
    with Terminal(tmp_path / "log") as terminal:
        assert str(open_dataset(DictConfig({}), terminal)) == "the data"
    said = ["warning: two headers [disagree]; 2: p1, p2", "note: 3 are cut; 1: a.png"]
    assert capsys.readouterr().out.splitlines() == said == (tmp_path / "log").read_text().splitlines()
