import pytest
from omegaconf import DictConfig

from segtrain.config.run_config import RunConfig
from segtrain.errors import remark
from segtrain.parts import data as sources
from segtrain.parts.data import open_data


def test_what_the_reader_of_the_data_does_is_told_once_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: DictConfig) -> str:
        for name in ("p1", "p2"):
            remark("spacing", "two headers [disagree]", [name])
        remark("cut polygons", "3 are cut", ["a.png"], is_fine=True)
        return "the data"

    monkeypatch.setattr(sources, "build_dataset", build)
    opened = open_data(RunConfig(DictConfig({})))
    assert str(opened.dataset) == "the data"
    assert opened.lines() == ["warning: two headers [disagree]; 2: p1, p2", "note: 3 are cut; 1: a.png"]
