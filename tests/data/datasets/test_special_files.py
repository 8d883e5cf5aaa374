"""In the place of any file of any format lies what is no file: it is named, and nothing waits for it."""

import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from segtrain.config.run_config import RunConfig
from segtrain.errors import UserError
from segtrain.parts.data import build_dataset
from tests.data.datasets.layouts import LAYOUTS, stacks
from tests.data.datasets.test_promises import configured
from tests.test_files import special

UNREAD = {("coco", "masks")}  # format and folder whose files it does not read
LONG = ("huggingface", "litdata")  # their libraries take seconds to import
KINDS = ("pipe", "device", "broken link", "circle")


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """A test that waits is ended, and fails."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in LAYOUTS])
def test_what_is_no_file_is_named_in_every_place(name: str, tmp_path: Path) -> None:
    values = LAYOUTS[name].write(tmp_path, stacks(2, 2))
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and (name, path.parent.name) not in UNREAD]
    places = {(path.suffix, path.parent.name if path.parent.parent == tmp_path else ""): path for path in files}
    for number, path in enumerate(places.values()):
        content = path.read_bytes()
        path.unlink()
        for kind in (KINDS[number % 2], KINDS[2 + number % 2]):
            special(path, kind)
            with pytest.raises(UserError, match=path.name), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of libraries
                read(configured(name, values))
            path.unlink()
        path.write_bytes(content)
    read(configured(name, values))


def read(config: object) -> None:
    """All that training reads."""
    dataset = build_dataset(RunConfig(config))  # type: ignore[arg-type]
    dataset.fingerprint()
    for index in range(len(dataset.ids)):
        dataset.read(index)


def test_a_name_that_is_no_utf8_is_an_id_as_text(tmp_path: Path) -> None:
    values = LAYOUTS["folder"].write(tmp_path, samples := stacks(2, 1))
    for side in ("images", "masks"):
        path = os.fsencode(tmp_path / side / f"{samples[0].name}.png")
        os.rename(path, path.replace(samples[0].name.encode(), b"x\xff"))
    dataset = build_dataset(RunConfig(configured("folder", values)))
    assert sorted(dataset.ids) == ["p01_00", "x\\xff"]
    image = dataset.read(list(dataset.ids).index("x\\xff")).image
    assert (image[..., 0] == samples[0].image).all()
