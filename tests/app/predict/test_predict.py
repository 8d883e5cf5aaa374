"""predict on the command line, with a real run and an exported file."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import segtrain as package
from segtrain.app.predict import output_folder
from segtrain.app.predict.predict import by_reason
from segtrain.app.serve.queue import TimeLimit
from segtrain.app.serve.serve import ServeOptions, open_view
from segtrain.data.datasets import Shapes
from segtrain.data.pixel_meaning import PixelMeaning, span_of
from segtrain.errors import UserError
from segtrain.model.metrics import prediction
from segtrain.parts import input_images as images
from segtrain.parts.network import load_run
from segtrain.parts.predictor import load_predictor
from segtrain.runs.ensemble import write_ensemble
from segtrain.runs.folder import RunFolder
from tests.conftest import SMALL, CommandLine, train
from tests.parts.test_input_images import GEOREFERENCE

BORDER = 48  # pixels of images: no multiple of the stride


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("predicted"), *SMALL, "trainer.max_epochs=1")


@pytest.fixture
def data(segtrain: CommandLine) -> list[np.ndarray[Any, Any]]:
    """Images (H, W) as data/a.png, data/sub/b.png; returned in this order."""
    drawn = [Shapes(n=2, size=BORDER).read(index).image[..., 0] for index in (0, 1)]
    for name, image in zip(("a", "sub/b"), drawn, strict=True):
        path = segtrain.folder / f"data/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return drawn


def labels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.array(image)


def expected(run: Path, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As training's test says it: the network over the image grown by reflection, in the precision of the run."""
    grown = np.pad(image, (0, -BORDER % 32), mode="reflect")
    loaded = load_run(RunFolder(run))
    with torch.autocast("cpu", torch.bfloat16, enabled=loaded.config.trainer.precision == "bf16-mixed"):
        logits = loaded.model(torch.from_numpy(grown)[None, None])
    return prediction(logits)[0, :BORDER, :BORDER].numpy()


def test_a_folder_gives_labels_beside_its_folders_and_a_second_call_does_the_rest(
    segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]]
) -> None:
    command = ["predict", f"run={run}", "input=data", "output=out", "overlay=true"]
    assert segtrain(*command) == 0, segtrain.err
    assert "2 of 2 files predicted, 2 images" in segtrain.out
    for name, image in zip(("a", "sub/b"), data, strict=True):
        np.testing.assert_array_equal(labels(segtrain.folder / f"out/{name}.png"), expected(run, image))
        assert (segtrain.folder / f"out/{name}_overlay.png").is_file()
    before = (segtrain.folder / "out/a.png").stat().st_mtime_ns
    Image.fromarray(data[0]).save(segtrain.folder / "data/c.png")
    assert segtrain(*command) == 0
    assert "1 of 3 files predicted" in segtrain.out and "2 were done before" in segtrain.out
    assert (segtrain.folder / "out/a.png").stat().st_mtime_ns == before
    assert segtrain(*command, "views=flips,scales") == 0
    assert "3 of 3 files predicted" in segtrain.out  # another way of predicting is not taken for done


def test_the_default_folder_is_named_after_the_run(
    segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]]
) -> None:
    assert segtrain("predict", f"run={run}", "input=data/a.png") == 0, segtrain.err
    assert (segtrain.folder / f"outputs/predict/{run.parent.name}/{run.name}/a.png").is_file()


def test_files_that_fail_alike_are_one_line() -> None:
    folder = Path("many")
    failed = {folder / f"{i}.png": f"'{folder / f'{i}.png'}' has 3 channels; expected 1" for i in range(40)}
    (line,) = by_reason(failed)
    assert "'many/0.png' has 3 channels" in line and "40 files; also 1.png, 2.png and 37 more" in line
    failed[folder / "b.png"] = f"'{folder / 'b.png'}' cannot be read"
    assert by_reason(failed) == [line, failed[folder / "b.png"]]
    reasons = {folder / f"{i}.png": f"reason {i}" for i in range(40)}
    assert len(by_reason(reasons)) < 40 and all(one in by_reason(reasons) for one in list(reasons.values())[:9])


def test_bad_files_do_not_stop_the_rest_and_are_named(
    segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]]
) -> None:
    (segtrain.folder / "data/broken.png").write_bytes(b"nothing")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(segtrain.folder / "data/colour.png")
    assert segtrain("predict", f"run={run}", "input=data", "output=out") == 1
    assert "2 of 4 files predicted" in segtrain.out and "2 failed" in segtrain.out
    assert "broken.png' cannot be read" in segtrain.out and "colour.png' has 3 channels; expected 1" in segtrain.out
    assert not list(segtrain.folder.glob("out/broken*"))
    with (segtrain.folder / "out/predicted.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["a", "sub/b"]


def test_another_depth_than_the_trainings_is_refused_unless_allowed(
    segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]]
) -> None:
    Image.fromarray(data[0].astype(np.uint16) * 257).save(segtrain.folder / "data/deep.png")
    command = ["predict", f"run={run}", "input=data", "output=out"]
    assert segtrain(*command) == 1
    assert "2 of 3 files predicted" in segtrain.out and "deep.png' has uint16 pixels" in segtrain.out
    assert segtrain(*command, "allow_other_pixels=1") == 2 and "expected true or false" in segtrain.err
    assert segtrain(*command, "allow_other_pixels=true") == 0 and "1 of 3 files predicted" in segtrain.out


def test_files_that_are_all_far_darker_than_the_trainings_are_refused_together(
    segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    """As if the run had been trained on 16 bits that are filled, and were given 8 of them; black is a part of both."""
    cut = [np.where(image < np.percentile(image, 5), 0, image)[..., None] for image in data]
    trained = PixelMeaning.of([span_of(image.astype(np.uint16) * 257) for image in cut])
    other = Path(shutil.copytree(run, tmp_path / "deep"))
    weights = other / "checkpoints/best.safetensors"
    with safe_open(weights, "pt") as file:
        known = json.loads(file.metadata()["segtrain"]) | {"pixels": trained.to_json()}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    save_file(state, weights, {"segtrain": json.dumps(known)})
    for number in range(5):
        Image.fromarray(np.roll(cut[0][..., 0], number).astype(np.uint16)).save(
            segtrain.folder / f"data/deep{number}.png"
        )
    for name in ("a", "sub/b"):
        (segtrain.folder / f"data/{name}.png").unlink()
    command = ["predict", f"run={other}", "output=out"]
    assert segtrain(*command, "input=data") == 2 and "the input (5 files) holds values from" in segtrain.err
    assert segtrain(*command, "input=data/deep0.png") == 0, segtrain.err  # one may be of nothing
    assert segtrain(*command, "input=data", "allow_other_pixels=true") == 0, segtrain.err


def test_the_input_is_not_replaced_by_its_labels(
    segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]]
) -> None:
    assert segtrain("predict", f"run={run}", "input=data/a.png", "output=data") == 2  # all of it lies in output
    assert segtrain("predict", f"run={run}", "input=data/sub/b.png", "output=data/sub/..") in (1, 2)
    for name, image in zip(("a", "sub/b"), data, strict=True):
        np.testing.assert_array_equal(labels(segtrain.folder / f"data/{name}.png"), image)


def test_a_full_disk_ends_it(
    segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise UserError(f"could not write '{path}': No space left on device") from error

    monkeypatch.setattr(output_folder, "write_whole", full)
    assert segtrain("predict", f"run={run}", "input=data", "output=out") == 2
    assert "No space left" in segtrain.err and segtrain.err.count("could not write") == 1


def test_a_large_tiff_by_windows_is_what_it_is_in_memory(
    segtrain: CommandLine, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Shapes(n=1, size=256).read(0).image[:200, :, 0]
    tifffile.imwrite(segtrain.folder / "a.tif", image, tile=(64, 64), compression="zlib")
    common = ["predict", f"run={run}", "input=a.tif", "window=64", "whole=32", "probabilities=tiff", "overlay=true"]
    assert segtrain(*common, "output=memory") == 0, segtrain.err
    monkeypatch.setattr(images, "LARGE", 1000)
    assert segtrain(*common, "output=rows") == 0, segtrain.err
    in_memory, by_rows = segtrain.folder / "memory", segtrain.folder / "rows"
    np.testing.assert_array_equal(tifffile.imread(by_rows / "a.tif"), labels(in_memory / "a.png"))
    for name in ("a_probabilities.tif", "a_overlay.png"):
        assert (by_rows / name).read_bytes() == (in_memory / name).read_bytes()
    assert tifffile.imread(by_rows / "a_probabilities.tif").shape == (3, 200, 256)


def test_several_runs_are_one(segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]]) -> None:
    alone = package.load(str(run)).predict(data[0])
    twice = package.load([str(run), f"{run.parent}/*"]).predict(data[0])  # the same run: once
    np.testing.assert_array_equal(alone.probabilities, twice.probabilities)
    np.testing.assert_array_equal(alone.labels, expected(run, data[0]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["input=data"], "takes run=RUN or model=FILE.onnx; expected one of them; got neither"),
        (["run=RUN", "model=a.onnx", "input=data"], "got both"),
        (["run=RUN", "input=nowhere"], "there is no input 'nowhere'"),
        (["run=RUN"], "predict wants what is predicted"),
        (["run=RUN", "input=data", "window=100"], "window is 100; expected a side"),
        (["run=RUN", "input=data", "views=mirror"], "views has 'mirror'"),
        (["run=RUN", "input=data", "probabilities=png"], "probabilities is 'png'"),
        (["run=RUN", "input=data", "whole=big"], "whole is 'big'"),
        (["run=RUN", "input=data", "threads=0"], "threads is 0"),
    ],
)
def test_mistakes_are_one_message(
    segtrain: CommandLine, run: Path, data: list[np.ndarray[Any, Any]], arguments: list[str], message: str
) -> None:
    given = [f"run={run}" if argument == "run=RUN" else argument for argument in arguments]
    assert segtrain("predict", *given) == 2
    assert message in segtrain.err and segtrain.err.count("\n") == 1
    assert not (segtrain.folder / "outputs").exists()


def onnx_file(path: Path) -> None:
    """Two classes by a threshold at 100, as `export` would write them."""
    import onnx
    from onnx import TensorProto, helper

    weight = helper.make_tensor("weight", TensorProto.FLOAT, [2, 1, 1, 1], [-1.0, 1.0])
    bias = helper.make_tensor("bias", TensorProto.FLOAT, [2], [100.0, -100.0])
    node = helper.make_node("Conv", ["image", "weight", "bias"], ["logits"])
    shape = ["n", None, "h", "w"]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], channels, *shape[2:]])
        for name, channels in (("image", 1), ("logits", 2))
    ]
    graph = helper.make_graph([node], "threshold", ends[:1], ends[1:], [weight, bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    about = {"classes": ["dark", "bright"], "palette": [[0, 0, 0], [255, 255, 0]], "channels": 1, "ignore_index": 255}
    helper.set_model_props(model, {"segtrain": json.dumps({**about, "stride": 32, "reading": {"kind": "Folder"}})})
    onnx.save(model, path)


WITHOUT_TRAINING = """
import sys
from segtrain.__main__ import main
main()
import resource
heavy = ("lightning", "segmentation_models_pytorch", "albumentations", "timm", "torchvision", "monai")
print("IMPORTED", sorted(name for name in heavy if name in sys.modules))
print("MIB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def apart(folder: Path, *arguments: str) -> str:
    """The command in a process of its own; what it printed."""
    command = [sys.executable, "-c", WITHOUT_TRAINING, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_exported_file_predicts_without_what_trains(segtrain: CommandLine, data: list[np.ndarray[Any, Any]]) -> None:
    onnx_file(segtrain.folder / "a=b.onnx")
    assert "IMPORTED []" in apart(segtrain.folder, "predict", "model=a=b.onnx", "input=data")
    found = labels(segtrain.folder / "outputs/predict/a=b/sub/b.png")
    np.testing.assert_array_equal(found, data[1] > 100)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_height_of_a_large_tiff(segtrain: CommandLine) -> None:
    onnx_file(segtrain.folder / "a.onnx")
    peaks = []
    for height in (6000, 24000):
        rows = (np.arange(height) // 50 % 2 * 200).astype(np.uint8)
        tiles = (
            np.broadcast_to(rows[top : top + 512, None], (min(512, height - top), 512))
            for top in range(0, height, 512)
            for _ in range(6)
        )
        path = segtrain.folder / f"{height}.tif"
        tifffile.imwrite(path, tiles, shape=(height, 3072), dtype=np.uint8, tile=(512, 512), compression="zlib")
        said = apart(segtrain.folder, "predict", "model=a.onnx", f"input={height}.tif", "probabilities=tiff")
        peaks.append(int(said.rpartition("MIB")[2]))
        found = tifffile.memmap(segtrain.folder / f"outputs/predict/a/{height}.tif", mode="r")
        np.testing.assert_array_equal(found[:, ::1000], np.repeat(rows[:, None] > 100, 4, 1))
    assert peaks[1] < peaks[0] + 30, peaks  # MiB; the pixels alone are 53 more, the probabilities 211


def test_a_geotiff_gives_one_and_nothing_where_it_holds_nothing(segtrain: CommandLine, run: Path) -> None:
    image = Shapes(n=1, size=BORDER).read(0).image[..., 0]
    image[:9, :7] = 250
    image[20, 20] = 249
    (segtrain.folder / "data").mkdir()
    tags = [*GEOREFERENCE, (42113, 2, 0, "250", False)]
    tifffile.imwrite(segtrain.folder / "data/a.tif", image, extratags=tags)
    assert segtrain("predict", f"run={run}", "input=data", "output=out", "probabilities=tiff") == 0, segtrain.err
    found = {name: segtrain.folder / f"out/{name}.tif" for name in ("a", "a_probabilities")}
    for path in found.values():
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            assert page.tags.valueof(33922) == GEOREFERENCE[1][3] and page.tags.valueof(34735) == GEOREFERENCE[2][3]
    made, probabilities = tifffile.imread(found["a"]), tifffile.imread(found["a_probabilities"])
    missing = image == 250
    assert (made[missing] == 255).all() and (probabilities[:, missing] == 0).all()
    filled = np.where(missing, np.rint(image[~missing].mean()), image).astype(np.uint8)
    np.testing.assert_array_equal(made[~missing], expected(run, filled)[~missing])


@pytest.mark.slow
def test_an_ensemble_of_networks_with_one_logit_is_used_by_every_verb(segtrain: CommandLine) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        for folder, values in (("images", rng.integers(0, 255, (64, 64))), ("masks", rng.integers(0, 2, (64, 64)))):
            (segtrain.folder / "cells" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(segtrain.folder / f"cells/{folder}/{i:02d}.png")
    data = ["dataset=folder", "dataset.root=cells", "dataset.classes={background:0,cell:1}", "+model.classes=1"]
    small = [override for override in SMALL if not override.startswith("dataset")]
    for seed in (0, 1):
        assert segtrain(*data, *small, "aug=flips", f"seed={seed}", "name=cells-find") == 0, segtrain.err
    runs = sorted((segtrain.folder / "outputs/cells-find").iterdir())
    write_ensemble(segtrain.folder / "outputs/cells-find/best", runs)
    typed = ["run=cells-find/best", "input=cells/images/00.png"]
    assert segtrain("predict", *typed, "probabilities=npz") == 0, segtrain.err
    assert segtrain("evaluate", typed[0], "surface=false", "bootstrap=0") == 0, segtrain.err
    assert "best (2 runs of aug=flips averaged)" in segtrain.out
    (scores,) = segtrain.folder.glob("outputs/evaluate/cells-find/best/*/results.json")
    assert len(json.loads(scores.read_text())["evaluated"]["runs"]) == 2
    assert segtrain("export", typed[0]) == 0, segtrain.err
    exported = segtrain.folder / "outputs/cells-find/best/exported/model.onnx"
    assert "best (2 runs of aug=flips averaged)" in exported.with_name("model.onnx.card.md").read_text()
    assert segtrain("predict", f"model={exported}", typed[1], "output=again", "probabilities=npz") == 0, segtrain.err
    image = np.asarray(Image.open(segtrain.folder / "cells/images/00.png"))
    several = load_predictor("cells-find/best").predict(image)
    # The file computes in 32 bits, the networks as they were trained.
    for folder, apart in (("outputs/predict/cells-find/best", 0), ("again", 1e-2)):
        with np.load(segtrain.folder / folder / "00_probabilities.npz") as found:
            (held,) = [found[key] for key in found if found[key].ndim > 2]
        np.testing.assert_allclose(held.reshape(2, 64, 64), several.probabilities, rtol=0, atol=apart)
    singles = [load_predictor(str(run)).predict(image) for run in runs]
    mean = np.mean([one.probabilities for one in singles], 0)
    np.testing.assert_allclose(several.probabilities, mean, atol=1e-6)
    assert np.array_equal(several.labels, mean.argmax(0))
    values = {field.name: None for field in fields(ServeOptions)}
    asked = {"run": "cells-find/best", "outputs": Path("outputs"), "shifts": (), "views": "none", "shift": "none"}
    most = {"max_pixels": 10**6, "max_gb": 4, "max_seconds": 60, "allow_other_pixels": False, "device": "cpu"}
    view, title = open_view(ServeOptions(**{**values, **asked, **most}), TimeLimit(60))  # type: ignore[arg-type]
    assert title == "cells-find/best (2 runs of aug=flips averaged)"
    np.testing.assert_allclose(view.predict["none"](image[..., None]).probabilities, mean, atol=1e-6)
