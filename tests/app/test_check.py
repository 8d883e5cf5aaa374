"""`python -m segtrain check` as a user types it."""

import json
from typing import Any

import numpy as np
import pytest

from tests.conftest import CommandLine

QUICK = ("dataset=shapes", "dataset.n=6", "dataset.channels=3", "seconds=3")


class FlippedApart:
    """The article's example 3 as a user's own transform: image and mask flipped by draws of their own."""

    p = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        return rng.random(2) < 0.5

    def act(self, image: np.ndarray, mask: np.ndarray, draw: Any) -> tuple[np.ndarray, np.ndarray]:
        return image[:, :: -1 if draw[0] else 1], mask[:, :: -1 if draw[1] else 1]


def test_a_sound_policy_passes_with_a_table_and_a_report(segtrain: CommandLine) -> None:
    assert segtrain("check", "aug=medical_elastic", *QUICK) == 0, segtrain.err
    (file,) = (segtrain.folder / "outputs" / "check" / "shapes").glob("*/check.json")
    report = json.loads(file.read_text())
    assert report["verdict"] != "fail" and 1 <= report["samples"] <= 6
    checks = {line["check"]: line for line in report["lines"]}
    for name in ("pairing", "labels invented", "class disc", "folding", "repeated draws", "speed, all ops"):
        assert checks[name]["verdict"] == "ok", checks[name]
        assert checks[name]["threshold"] and checks[name]["meaning"]
        assert name in segtrain.out
    assert str(file.relative_to(segtrain.folder)) in segtrain.out


def test_a_failing_policy_ends_with_status_1(segtrain: CommandLine) -> None:
    ends = "aug.transforms=[{_target_: albumentations.Erasing, scale: [0.9, 0.95], ratio: [1, 1], p: 1}]"
    assert segtrain("check", "aug=none", ends, *QUICK) == 1, segtrain.out + segtrain.err
    (file,) = (segtrain.folder / "outputs" / "check" / "shapes").glob("*/check.json")
    assert json.loads(file.read_text())["verdict"] == "fail"
    assert "fail" in segtrain.out and not segtrain.err


MADE_UP = "aug.transforms=[{_target_: tests.app.test_check.FlippedApart}]"


@pytest.mark.parametrize(
    ("typed", "line"),
    [(["aug=opencv_elastic"], "elastic"), (["aug=none", MADE_UP, "trust=[tests]"], "pairing")],
    ids=["elastic of the article", "flips of the article"],
)
def test_the_article_s_examples_fail(typed: list[str], line: str, segtrain: CommandLine) -> None:
    assert segtrain("check", *typed, *QUICK) == 1, segtrain.out + segtrain.err
    (file,) = (segtrain.folder / "outputs" / "check" / "shapes").glob("*/check.json")
    assert line in [found["check"] for found in json.loads(file.read_text())["lines"] if found["verdict"] == "fail"]


MISTAKES = {
    "no samples": (["samples=0"], "samples is 0; expected a whole number from 1"),
    "no time": (["seconds=0"], "seconds is 0; expected a number above 0"),
    "no number": (["seconds=soon"], "seconds is 'soon'"),
    "no side": (["data.crop=-5"], "data.crop is -5"),
    "no transform": (
        ["aug.transforms=[3]"],
        "expected albumentations transforms, or objects with p, draw and act; got 3",
    ),
    "nowhere to write": (["outputs=/proc/nowhere"], "could not write '/proc/nowhere/"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_message(case: str, segtrain: CommandLine) -> None:
    typed, message = MISTAKES[case]
    quick = [given for given in QUICK if given.split("=")[0] != typed[0].split("=")[0]]
    assert segtrain("check", *quick, *typed) == 2
    assert message in segtrain.err and segtrain.err.count("\n") == 1
