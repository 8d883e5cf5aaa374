"""All images of a data set have one depth: the same over every format."""

from pathlib import Path

import numpy as np
import pytest

from segtrain.config.run_config import RunConfig
from segtrain.data.datasets import csv_manifest
from segtrain.errors import UserError, noting
from segtrain.parts.data import build_dataset
from segtrain.parts.feeding import Feeding
from tests.data.datasets.layouts import LAYOUTS, Made, stacks
from tests.data.datasets.test_promises import configured

OPENED = ("folder", "csv", "coco", "instances", "tiff", "tiff, pages=samples", "huggingface")


def mixed(deep: int = 4, dtype: str = "uint16") -> list[Made]:
    """Twelve images of 8 bits but for the last `deep`."""
    found = stacks(3, 4)
    return [*found[: 12 - deep], *(one._replace(image=one.image.astype(dtype) * 257) for one in found[12 - deep :])]


@pytest.mark.parametrize("name", OPENED)
def test_mixed_depths_are_refused_when_the_data_are_opened(name: str, tmp_path: Path) -> None:
    config = configured(name, LAYOUTS[name].write(tmp_path, mixed()))
    with pytest.raises(UserError, match=r"expected uint8 .*p02.*\(uint16\)"):
        build_dataset(RunConfig(config))


@pytest.mark.parametrize("name", [*OPENED, "litdata"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_one_depth_is_taken_whichever_it_is(name: str, dtype: str, tmp_path: Path) -> None:
    samples = [one._replace(image=one.image.astype(dtype)) for one in stacks(2, 3)]
    dataset = build_dataset(RunConfig(configured(name, LAYOUTS[name].write(tmp_path, samples))))
    assert {dataset.read(index).image.dtype.name for index in range(len(dataset.ids))} == {dtype}


@pytest.mark.parametrize("name", OPENED)
def test_where_samples_are_skipped_mixed_depths_are_not_trained_on(name: str, tmp_path: Path) -> None:
    config = configured(name, LAYOUTS[name].write(tmp_path, mixed()), "data.on_bad=skip")
    with pytest.raises(UserError, match="another depth than most"):
        build_dataset(RunConfig(config))


@pytest.mark.parametrize("name", OPENED)
def test_an_audit_names_those_that_differ_from_most_and_reads_all(name: str, tmp_path: Path) -> None:
    """Also where the first of all is the odd one."""
    samples = mixed(0)
    samples[0] = samples[0]._replace(image=samples[0].image.astype(np.uint16) * 257)
    if LAYOUTS[name].stacked:
        samples = [
            mixed(12)[0]._replace(stack=one.stack, number=one.number) if i < 4 else one for i, one in enumerate(samples)
        ]
    config = configured(name, LAYOUTS[name].write(tmp_path, samples))
    with noting() as noted:
        dataset = build_dataset(RunConfig(config))
    assert [len(one.names) for one in noted] == [1] and "p00" in noted[0].names[0] and "(uint16)" in noted[0].message
    assert [dataset.read(i).image.dtype.name for i in (0, 4, 11)] == ["uint16", "uint8", "uint8"]


def test_a_manifest_too_long_to_be_looked_at_is_refused_on_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_manifest, "MOST_FILES", 3)
    dataset = build_dataset(RunConfig(configured("csv", LAYOUTS["csv"].write(tmp_path, mixed()))))
    assert dataset.read(7).image.dtype == np.uint8
    with pytest.raises(UserError, match=r"uint16 pixels; expected uint8"):
        dataset.read(8)


def test_what_was_converted_from_mixed_depths_is_refused_before_training(tmp_path: Path) -> None:
    """Arrays, of which no header tells."""
    config = configured("litdata", LAYOUTS["litdata"].write(tmp_path / "data", mixed()))
    config.outputs = str(tmp_path)
    with pytest.raises(UserError, match=r"training images .* another depth than 'p00_00'.*'p02_00' \(uint16\)"):
        Feeding(RunConfig(config), build_dataset(RunConfig(config))).pixels(range(12))
