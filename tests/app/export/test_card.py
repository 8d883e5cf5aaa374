"""What a model card says of a run, read from its folder alone."""

import csv
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from segtrain.app.export.card import fill_card
from segtrain.errors import UserError
from segtrain.parts.network import load_run
from segtrain.runs.folder import RunFolder
from segtrain.runs.metrics_csv import write_csv
from tests.conftest import SMALL, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("carded"), "aug=medical_elastic", "aug.strength=2", "ema=0.9", *SMALL)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "shapes" / "copy"))


def card_of(run: Path, file: str = "model.onnx") -> str:
    return fill_card(load_run(RunFolder(run)), file)


def change(run: Path, *changes: str) -> None:
    """The run's config.yaml with these values."""
    config = OmegaConf.merge(OmegaConf.load(run / "config.yaml"), OmegaConf.from_dotlist(list(changes)))
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))


def rows(text: str, section: str) -> dict[str, list[str]]:
    """First cell -> the others, of the table of a section."""
    part = text.split(f"## {section}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in part.splitlines() if "|" in line]
    return {first: others for first, *others in cells[2:]}


def test_it_tells_data_training_and_classes(run: Path) -> None:
    text, split = card_of(run), json.loads((run / "split.json").read_text())
    assert text.startswith("# Model card: shapes/copy\n") and split["fingerprint"] in text
    assert rows(text, "Data") == {side: [str(len(split[side]))] for side in ("train", "val", "test", "unused")}
    training = rows(text, "Training")
    assert training["length"] == ["2 epochs of 2 batches of 2"] and training["ema"] == ["0.9"]
    assert "AdamW" in training["optimizer"][0] and "lr 0.002" in training["optimizer"][0]
    packages = json.loads((run / "env.json").read_text())["packages"]
    assert f"torch {packages['torch']}" in training["packages"][0]
    change(run, "init_from=/somewhere/outputs/shapes/seed=1")
    later = card_of(run)
    assert rows(later, "Training")["init_from"] == ["shapes/seed=1"] and "/somewhere" not in later
    assert "| 1 | disc | #" in text and "Unet with the encoder tu-test_resnet" in text


def test_it_tells_the_amounts_of_the_run_s_strength(run: Path) -> None:
    text = card_of(run)
    assert "`aug=medical_elastic` at strength 2" in text
    found = rows(text, "Augmentation")
    assert found["hflip"] == ["yes or no", "0.5"]
    assert found["rotate"] == ["±30°", "0.2"]
    assert found["noise"] == ["0–0.1", "0.1"]
    change(run, "aug.strength=0.5", "aug.without=[rotate]")
    weaker = rows(card_of(run), "Augmentation")
    assert "rotate" not in weaker and weaker["hflip"] == ["yes or no", "0.25"] and weaker["noise"] == ["0–0.025", "0.1"]
    change(run, "aug.strength=0")
    assert "Nothing else was changed" in card_of(run)


def test_it_tells_transforms_of_other_kinds(run: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    config.aug.transforms = [
        {"_target_": "albumentations.OneOf", "p": 0.5, "transforms": [{"_target_": "albumentations.Blur", "p": 1}]},
        {"_target_": "segtrain.aug.Geometry", "scale": 0.5, "chances": {"affine": 0.5, "scale": 0.5}, "p": 0.5},
        {"_target_": "segtrain.aug.CutMix", "p": "${chance:0.5}"},
        {"_target_": "albumentations.GaussNoise", "std_range": [0.1, 0.2]},
    ]
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))
    found = rows(card_of(run), "Augmentation")
    assert found["OneOf (chance 0.5) / Blur"] == ["", "1"]
    assert found["scale"] == ["±0.5 oct", "0.125"]
    assert found["CutMix"] == ["", "0.5"]
    assert found["GaussNoise"] == ["std_range [0.1, 0.2]", "its default"]


def test_its_scores_are_those_of_the_run_with_intervals(run: Path) -> None:
    text, results = card_of(run), json.loads((run / "results.json").read_text())
    found = rows(text, "Scores")
    assert list(found) == ["mean", "background", "disc", "square"]
    with (run / "per_image.csv").open() as file:
        images = list(csv.DictReader(file))
    assert len(images) < 5
    for name, key in (("mean", "dice"), ("disc", "dice/disc"), ("square", "dice/square")):
        pooled, (mean, *interval) = found[name][0], re.findall(r"[\d.]+", found[name][4])
        assert float(pooled) == pytest.approx(results[f"test/{key}"], abs=6e-4)
        values = np.array([float(row[key]) for row in images])
        assert float(mean) == pytest.approx(np.where(np.isnan(values), 1, values).mean(), abs=6e-4)
        assert interval == [], "of so few images there is none"
    limits = text.split("## Limits")[1]
    assert f"rest on {results['test/images']} test images" in limits and "Label 255" in limits


def test_a_narrow_basis_is_told(run: Path) -> None:
    results: dict[str, Any] = json.loads((run / "results.json").read_text())
    results |= {"test/dice/disc": None, "test/dice/square": 0.25, "test/images": 3}
    (run / "results.json").write_text(json.dumps(results))
    change(run, "trainer.precision=bf16-mixed")
    limits = card_of(run).split("## Limits")[1]
    assert "No test image shows disc" in limits and "square, with a Dice of 0.250" in limits
    assert "Images count as independent" in limits
    assert "bf16-mixed" in limits and "float32" in limits


def write_scores(run: Path, dice: list[float], groups: int) -> None:
    """The run as if it had been tested on images with these Dice scores, of so many patients."""
    names = [f"i{i}" for i in range(len(dice))]
    ends = ("", "/background", "/disc", "/square")
    columns = [(f"dice{end}", f"iou{end}") for end in ends]
    write_csv(
        run / "per_image.csv",
        [
            {
                "id": name,
                **{key: of for pair in columns for key, of in zip(pair, (d, d / (2 - d)), strict=True)},
                "pixels": 9,
            }
            for name, d in zip(names, dice, strict=True)
        ],
    )
    split = json.loads((run / "split.json").read_text())
    split |= {"test": names, "groups": {name: f"patient {i % groups}" for i, name in enumerate(names)}}
    (run / "split.json").write_text(json.dumps(split))


def test_groups_are_drawn_together(run: Path) -> None:
    dice = np.random.default_rng(0).uniform(0.6, 1, 24).tolist()
    found = []
    for groups in (24, 6, 4):
        write_scores(run, dice, groups)
        text = card_of(run)
        found.append(re.findall(r"[\d.]+", rows(text, "Scores")["mean"][4]))
        alone = groups == len(dice)  # each image its own group: nothing is known to belong together
        assert ("Images count as independent" in text) == alone == (f"come from {groups} groups" not in text)
    assert all(float(mean) == pytest.approx(np.mean(dice), abs=6e-4) for mean, *_ in found)
    apart, together = ([float(end) for end in interval] for _, *interval in found[:2])
    assert apart[0] < np.mean(dice) < apart[1] and together != apart and len(found[2]) == 1


def test_rightly_empty_images_count_as_1_and_what_is_said_of_them_is_training_s_count(run: Path) -> None:
    """Twenty of forty are empty; a network that sees something on each of them scores half as much."""
    means = []
    for nothing in (math.nan, 0.0):
        write_scores(run, [0.8] * 20 + [nothing] * 20, 40)
        mean, low, high = (float(end) for end in re.findall(r"[\d.]+", rows(card_of(run), "Scores")["mean"][4]))
        assert low < mean < high
        means.append(mean)
    assert means == [0.9, 0.4]
    results = json.loads((run / "results.json").read_text())
    results |= {"test/empty_images": 20, "test/false_positive_images": 20, "test/unscored_images": 0}
    (run / "results.json").write_text(json.dumps(results))
    assert "Empty images, without any of the foreground: 20. Something is predicted on 20" in card_of(run)
    older = {key: value for key, value in results.items() if "empty" not in key and "positive" not in key}
    (run / "results.json").write_text(json.dumps(older))
    assert "Empty images" not in card_of(run).split("## Limits")[1]


def test_a_run_under_way_has_no_scores(run: Path) -> None:
    (run / "results.json").unlink()
    text = card_of(run)
    assert "was not tested" in text and "rest on" not in text and "Dice, mean" not in text


@pytest.mark.parametrize("content", [None, "", "id,dice\n", "id,dice\na,high\n", "id,dice,iou\na,0.5\n"])
def test_damaged_scores_are_told(run: Path, content: str | None) -> None:
    path = run / "per_image.csv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"per_image\.csv' .*card=false"):
        card_of(run)


def test_names_with_bars_keep_the_tables_whole(run: Path) -> None:
    loaded = load_run(RunFolder(run))
    renamed = loaded.__class__(**{**vars(loaded), "classes": ("background", "disc", "a|b")})
    (run / "results.json").unlink()
    assert "| 2 | a\\|b | #" in fill_card(renamed, "model.onnx")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("model.onnx", ["predict model=model.onnx", "onnxruntime.InferenceSession", 'segtrain.load("model.onnx")']),
        ("model.pt2", ["predict run=outputs/shapes/copy", "torch.export.load", "Without segtrain"]),
        ("model.safetensors", ["init_from=model.safetensors", 'segtrain.load("outputs/shapes/copy")']),
    ],
)
def test_it_tells_how_to_use_each_format(run: Path, file: str, told: list[str]) -> None:
    text = card_of(run, file).split("## How to use it")[1]
    for words in told:
        assert words in text
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(code, file, "exec")
