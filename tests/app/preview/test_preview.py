"""Preview: sheets without training, and the replay of what a run saw."""

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from segtrain.config.run_config import RunConfig
from segtrain.data.datamodule import TrainSamples
from segtrain.parts.data import build_dataset
from segtrain.parts.feeding import Feeding, build_data
from tests.conftest import SMALL, CommandLine

pytestmark = pytest.mark.usefixtures("laid_out")

SHAPES = ["dataset=shapes", "dataset.n=16", "samples=3"]


def only(folder: Path, name: str) -> Path:
    (found,) = folder.rglob(name)
    return found


def test_two_sheets_a_page_and_the_draws(segtrain: CommandLine) -> None:
    assert segtrain("preview", "aug=medical_elastic", *SHAPES) == 0, segtrain.err
    folder = only(segtrain.folder, "preview.html").parent
    assert (
        folder == segtrain.folder / "outputs/preview/shapes/aug=medical_elastic,dataset=shapes,dataset.n=16,samples=3"
    )
    assert str(folder.relative_to(segtrain.folder) / "preview.html") in segtrain.out
    draws = json.loads((folder / "draws.json").read_text())
    assert len(draws["strengths"]) == len(draws["ops"]) == 3
    for columns in draws["strengths"].values():
        assert list(columns) == ["strength 0", "strength 0.5", "strength 1", "strength 2"]
        assert columns["strength 0"] == {} and set(columns["strength 1"]) == {"Geometry.0", "Photometry.0"}
        half, twice = (columns[f"strength {s}"]["Geometry.0"]["rotate"] for s in ("0.5", "2"))
        assert twice == pytest.approx(4 * half)
    for name in ("strengths", "ops"):
        with Image.open(folder / f"{name}.png") as picture:
            columns = next(iter(draws[name].values()))
            assert picture.width >= 64 * len(columns) and picture.height >= 3 * 2 * 64


def test_the_page_needs_no_network_and_shows_every_version(segtrain: CommandLine) -> None:
    assert segtrain("preview", "aug=medical_elastic", *SHAPES) == 0, segtrain.err
    page = only(segtrain.folder, "preview.html")
    text, draws = page.read_text(), json.loads((page.parent / "draws.json").read_text())
    sources = re.findall(r"(?:src|href)=['\"]?([^'\" >]{0,10})", text)
    versions = sum(len(columns) for sheet in ("strengths", "ops") for columns in draws[sheet].values())
    assert sources == ["data:,", *["data:image"] * 2 * versions] and "http" not in text
    assert re.search(r"Geometry\.0\.rotate</td>(<td>[^<]*</td>)*?<td>-?[0-9.]+°", text) and "<details>" in text
    assert not re.search(r"noise_seed|\.shape|\(0\.0, 0\.0\)|<td>-0\b(?!\.)", text)  # what says nothing to a reader


def test_large_pictures_are_shrunk_in_the_page(segtrain: CommandLine) -> None:
    assert segtrain("preview", "aug=flips", "dataset=shapes", "dataset.size=[400,700]", "samples=1") == 0, segtrain.err
    text = only(segtrain.folder, "preview.html").read_text()
    pictures = [base64.b64decode(data) for data in re.findall(r'data:image/jpeg;base64,([^"]+)', text)]
    assert len(pictures) == 2 * 8  # image and overlay of four strengths, the original and three ops
    assert {Image.open(io.BytesIO(picture)).size for picture in pictures} <= {(320, 183), (183, 320)}


def test_ops_of_other_libraries_and_of_randaugment_are_told_apart(segtrain: CommandLine) -> None:
    flips = "aug.transforms=[{_target_:albumentations.HorizontalFlip},{_target_:albumentations.HorizontalFlip}]"
    heads = {}
    for typed in (["aug=torchvision_flips"], ["aug=randaugment"], ["aug=none", flips]):
        assert segtrain("preview", *typed, *SHAPES, f"name={typed[0][4:]}") == 0, segtrain.err
        draws = json.loads(only(segtrain.folder / "outputs/preview" / typed[0][4:], "draws.json").read_text())
        heads[typed[0]] = set(next(iter(draws["ops"].values())))
    assert {"RandomHorizontalFlip", "RandomVerticalFlip"} < heads["aug=torchvision_flips"]
    assert {"rotate ±15°", "translate_x ±22.5 %", "noise 0.05", "blur 1 px"} < heads["aug=randaugment"]
    assert {"HorizontalFlip (HorizontalFlip.0)", "HorizontalFlip (HorizontalFlip.1)"} < heads["aug=none"]


def test_an_op_alone_fires_always_and_changes_what_it_is_for(segtrain: CommandLine) -> None:
    assert segtrain("preview", "aug=medical_elastic", "aug.strength=0.5", *SHAPES) == 0, segtrain.err
    draws = json.loads(only(segtrain.folder, "draws.json").read_text())
    for columns in draws["ops"].values():
        assert columns.pop("original") == {}
        assert {head.split()[0] for head in columns} == {
            *("hflip", "rotate", "scale", "elastic", "brightness", "contrast", "gamma", "noise", "bias")
        }
        assert columns["rotate ±7.5°"]["Geometry.0"]["rotate"] != 0  # its chance in the policy is 0.2
        for head, drawn in columns.items():
            ((_, values),) = drawn.items()
            amounts = {k: v for k, v in values.items() if k in OPS_DRAWN and np.any(v not in (None, False))}
            fired = {k for k, v in amounts.items() if np.any(v)}
            assert fired == {head.split()[0]}


OPS_DRAWN = (
    *("hflip", "vflip", "turns", "rotate", "scale", "shear", "translate", "elastic"),
    *("brightness", "contrast", "gamma", "saturation", "hue", "noise", "blur", "lowres", "bias"),
)


def test_plain_albumentations_transforms_are_shown_too(segtrain: CommandLine) -> None:
    transforms = "aug.transforms=[{_target_:albumentations.Rotate,limit:[20,20],p:0.0},{_target_:albumentations.Blur}]"
    assert segtrain("preview", "aug=none", transforms, *SHAPES) == 0, segtrain.err
    draws = json.loads(only(segtrain.folder, "draws.json").read_text())
    for strengths, ops in zip(draws["strengths"].values(), draws["ops"].values(), strict=True):
        assert strengths["strength 1"]["Rotate.0"] is None  # p is 0
        assert list(ops) == ["original", "Rotate", "Blur"]
        assert ops["Rotate"]["Rotate.0"]["shape"] and ops["Blur"]["Blur.0"]["kernel"]


def test_a_strength_that_the_policy_refuses_is_left_out_and_said(segtrain: CommandLine) -> None:
    assert segtrain("preview", "aug=medical_elastic", "strengths=[0,1,5]", *SHAPES) == 0, segtrain.err
    columns = next(iter(json.loads(only(segtrain.folder, "draws.json").read_text())["strengths"].values()))
    assert list(columns) == ["strength 0", "strength 1"]
    assert "Strength 5 is left out" in segtrain.out and "elastic" in segtrain.out
    assert "Strength 5 is left out" in only(segtrain.folder, "preview.html").read_text()


def test_no_augmentation_has_one_sheet(segtrain: CommandLine) -> None:
    assert segtrain("preview", "aug=none", *SHAPES) == 0, segtrain.err
    assert not list(segtrain.folder.rglob("ops.png")) and only(segtrain.folder, "strengths.png")


MISTAKES = {
    "negative strength": (["strengths=[0,-1]"], ["strengths is [0, -1]", "numbers ≥ 0"]),
    "no strengths": (["strengths=[]"], ["strengths is []", "numbers ≥ 0"]),
    "one strength": (["strengths=1"], ["strengths is 1", "a list of numbers"]),
    "no samples": (["samples=0"], ["samples is 0", "a whole number from 1"]),
    "no side": (["data.crop=0"], ["data.crop is 0", "a side in pixels from 1"]),
    "grey images, colour policy": (["aug=natural"], ["images of 3 channels (RGB); got 1"]),
    "a crop that does not fit": (
        ["aug=none", "aug.transforms=[{_target_:albumentations.RandomCrop,height:90,width:90}]"],
        ["RandomCrop.0 failed on an image of shape (64, 64, 1)"],
    ),
    "no such sample": (["sample=shape_0003"], ["there is no sample 'shape_0003'", "did you mean sample="]),
    "no such run": (["replay=outputs/nothing"], ["'outputs/nothing' is no run folder"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str, segtrain: CommandLine) -> None:
    typed, expected = MISTAKES[case]
    others = [] if case == "no such run" else SHAPES
    assert segtrain("preview", *typed, *(o for o in others if o.split("=")[0] != typed[0].split("=")[0])) == 2
    assert all(text in segtrain.err for text in expected), segtrain.err


def test_preview_imports_no_lightning(tmp_path: Path) -> None:
    code = (
        "import sys; from segtrain.__main__ import main\n"
        "sys.argv = ['segtrain', 'preview', 'dataset=shapes', 'samples=1']\nmain()\n"
        "assert 'lightning' not in sys.modules"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def run(segtrain: CommandLine) -> Path:
    """The folder of a run of one epoch with crops and every op."""
    small = [o for o in SMALL if not o.startswith("trainer.max_epochs")]
    typed = ["aug=medical_elastic", "aug.strength=1.5", "seed=3", "trainer.max_epochs=2", *small]
    assert segtrain(*typed) == 0, segtrain.err
    return only(segtrain.folder / "outputs", "config.yaml").parent


def test_replay_shows_what_the_network_saw_to_the_bit(segtrain: CommandLine, run: Path) -> None:
    config = OmegaConf.create((run / "config.yaml").read_text())
    dataset = build_dataset(RunConfig(config))
    loader = build_data(RunConfig(config), Feeding(RunConfig(config), dataset)).train_dataloader()
    loader.tasks.set_epoch(1)
    keys, batches = [key for batch in loader.tasks.batches for key in batch], list(loader)
    for position in (0, 3):
        epoch, index, view = keys[position]
        name = dataset.ids[index]
        assert segtrain("preview", f"replay={run}", f"sample={name}", f"epoch={epoch + 1}", f"view={view}") == 0, (
            segtrain.err
        )
        folder = only(segtrain.folder / "outputs/preview/replay" / run.name, f"{name},epoch={epoch + 1},view={view}")
        image, mask = np.load(folder / "image.npy"), np.load(folder / "mask.npy")
        batch = batches[position // 2]
        np.testing.assert_array_equal(image, batch["image"][position % 2].numpy())
        np.testing.assert_array_equal(mask, batch["mask"][position % 2].numpy())
        assert image.dtype == np.uint8 and mask.dtype == np.uint8
        sample = TrainSamples(dataset, loader.assembly.samples.policy, 3)[epoch, index, view]
        np.testing.assert_array_equal(image, sample["image"].numpy())
        drawn = json.loads((folder / "draws.json").read_text())["replay"][name][f"epoch {epoch + 1}, view {view}"]
        assert (
            set(drawn) == {"Geometry.0", "Photometry.0"} and only(folder, "replay.png") and only(folder, "preview.html")
        )


def test_replay_refuses_what_the_run_did_not_see(segtrain: CommandLine, run: Path) -> None:
    split = json.loads((run / "split.json").read_text())
    train = split["train"]
    cases = {
        "was not trained on, its side is val": [f"sample={split['val'][0]}"],
        "there is no sample": ["sample=nothing"],
        "did not see sample": [f"sample={train[0]}", "epoch=7"],
        "give sample=ID": [],
        "leave them out": [f"sample={train[0]}", "seed=1"],
    }
    for message, typed in cases.items():
        assert segtrain("preview", f"replay={run}", *typed) == 2
        assert message in segtrain.err

    path = run / "split.json"
    path.write_text(path.read_text().replace(split["fingerprint"], "0" * len(split["fingerprint"])))
    assert segtrain("preview", f"replay={run}", f"sample={train[0]}") == 2
    assert "has changed since the run" in segtrain.err
