import sys

import pytest

from segtrain.data.datasets import Coco, Tiff, Volume
from segtrain.errors import UserError
from tests.data.datasets.mistakes import coco, tiff, volume


@pytest.mark.parametrize(
    ("package", "extra", "make"),
    [
        ("pycocotools.mask", "coco", lambda: Coco(**coco.good(), annotations=coco.ANNOTATIONS)),
        ("nibabel", "medical", lambda: Volume(**volume.good())),
        ("tifffile", "tiff", lambda: Tiff(**tiff.good())),
    ],
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(package, extra, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf'pip install "segtrain\[{extra}\]"'):
        make()
