"""A predictor: from arrays to labels and probabilities."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segtrain.data.pixel_meaning import PixelMeaning, span_of
from segtrain.errors import UserError
from segtrain.model.windows import Windows
from segtrain.parts.predictor import Predictor
from segtrain.runs.find_run import find_runs


def threshold(image: Tensor) -> Tensor:
    """Logits of two classes: is the mean over channels above 100."""
    above = image.float().mean(1, keepdim=True) - 100
    return torch.cat([-above, above], 1)


def predictor(channels: int = 1, **more: Any) -> Predictor:
    known: dict[str, Any] = {
        "classes": ("dark", "bright"),
        "palette": ((0, 0, 0), (255, 255, 255)),
        "ignore_index": 255,
    }
    return Predictor(more.pop("model", threshold), channels=channels, **known, **more)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 1), (1, 1)])
def test_an_image_gives_labels_and_probabilities(kind: Any, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 200, shape).astype(kind)
    found = predictor().predict(image)
    size = shape[:2]
    assert found.labels.shape == size and found.labels.dtype == np.uint8
    assert found.probabilities.shape == (2, *size) and found.probabilities.dtype == np.float32
    np.testing.assert_array_equal(found.labels, image.reshape(size) > 100)
    np.testing.assert_allclose(found.probabilities.sum(0), 1, atol=1e-6)


def test_images_of_another_depth_than_any_of_the_trainings_are_refused() -> None:
    shallow = np.random.default_rng(0).integers(0, 200, (40, 50, 1)).astype(np.uint8)
    trained = [PixelMeaning.of([span_of(shallow.astype(dtype))]) for dtype in ("uint8", "uint16")]
    assert predictor(pixels=trained[:1]).predict(shallow).labels.shape == (40, 50)
    for known in (trained, trained[1:]):
        with pytest.raises(UserError, match=r"uint8 pixels.* expected uint16"):
            predictor(pixels=known).predict(shallow)


def test_images_beyond_whole_go_by_windows_with_the_same_result() -> None:
    image, sizes = np.random.default_rng(0).integers(0, 200, (200, 300, 3), np.uint8), list[tuple[int, ...]]()

    def model(batch: Tensor) -> Tensor:
        sizes.append(tuple(batch.shape))
        return threshold(batch)

    whole = predictor(3).predict(image)
    found = predictor(3, model=model, windows=Windows(64, 0.25, 2), whole=200 * 300 - 1).predict(image)
    assert len(sizes) > 4 and all(size[2] * size[3] <= 2 * 64 * 64 for size in sizes)
    np.testing.assert_array_equal(found.labels, whole.labels)
    np.testing.assert_allclose(found.probabilities, whole.probabilities, atol=1e-5)


def test_one_logit_is_two_classes() -> None:
    image = np.random.default_rng(0).integers(0, 200, (32, 32), np.uint8)
    found = predictor(model=lambda batch: batch.float() - 100).predict(image)
    np.testing.assert_array_equal(found.labels, image > 100)
    assert found.probabilities.shape == (2, 32, 32)
    np.testing.assert_array_equal(found.probabilities[1] > 0.5, image > 100)


def test_small_images_are_grown_to_what_the_model_takes() -> None:
    def model(batch: Tensor) -> Tensor:
        assert batch.shape[2:] == (64, 96)
        return threshold(batch)

    assert predictor(model=model, least=(64, 64)).predict(np.zeros((3, 70), np.uint8)).labels.shape == (3, 70)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 5, 3), np.uint8), "the image has 3 channels; expected 1"),
        (np.zeros((4, 5), np.int64), "the image is int64 of shape"),
        (np.zeros((2, 2, 4, 5), np.uint8), "expected \\(H, W\\) or"),
        (np.zeros((0, 5), np.uint8), "shape \\(0, 5\\)"),
        (np.full((4, 5), np.nan, np.float32), "no finite number"),
    ],
)
def test_what_is_no_image_is_refused(image: np.ndarray[Any, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        predictor().predict(image)


def test_globs_that_fit_no_run_are_said(tmp_path: Any) -> None:
    (tmp_path / "folds/a").mkdir(parents=True)
    with pytest.raises(UserError, match=r"got 1 paths without a config\.yaml"):
        find_runs(["folds/*"], tmp_path)
    with pytest.raises(UserError, match="no run is given"):
        find_runs([], tmp_path)


def test_importing_segtrain_stays_light() -> None:
    code = "import sys, segtrain; assert callable(segtrain.load); print('torch' in sys.modules, 'hydra' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
