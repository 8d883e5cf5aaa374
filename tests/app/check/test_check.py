"""`python -m segtrain check` as a user types it."""

import json
import re
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tifffile
from safetensors.torch import load_file

from tests.conftest import SMALL, CommandLine
from tests.data.made import codes, faulty, pair, picture

QUICK = ("dataset=shapes", "dataset.n=6", "dataset.channels=3", "seconds=3")


FOLDER = ("dataset=folder", "dataset.root=data", "dataset.classes={background: 0, cytoplasm: 128, nucleus: 255}")


class FlippedApart:
    """The article's example 3 as a user's own transform: image and mask flipped by draws of their own."""

    p = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        return rng.random(2) < 0.5

    def act(self, image: np.ndarray, mask: np.ndarray, draw: Any) -> tuple[np.ndarray, np.ndarray]:
        return image[:, :: -1 if draw[0] else 1], mask[:, :: -1 if draw[1] else 1]


def test_a_sound_policy_passes_with_a_report(segtrain: CommandLine) -> None:
    assert segtrain("check", "aug=medical_elastic", *QUICK) == 0, segtrain.err
    (file,) = (segtrain.folder / "outputs" / "check" / "shapes").glob("*/check.json")
    report = json.loads(file.read_text())
    assert report["verdict"] != "fail" and 1 <= report["samples"] <= 6
    checks = {line["check"]: line for line in report["lines"]}
    for name in ("pairing", "labels invented", "class disc", "folding", "repeated draws", "speed, all ops"):
        assert checks[name]["verdict"] == "ok", checks[name]
        assert checks[name]["threshold"] and checks[name]["meaning"]
    assert str(file.parent.relative_to(segtrain.folder)) in segtrain.out


def test_torch_and_albumentations_are_left_until_the_data_are_being_read() -> None:
    code = "import sys, segtrain.app.check.check\nprint(sorted({'torch', 'albumentations'} & {*sys.modules}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_failing_policy_ends_with_status_1(segtrain: CommandLine) -> None:
    ends = "aug.transforms=[{_target_: albumentations.Erasing, scale: [0.9, 0.95], ratio: [1, 1], p: 1}]"
    assert segtrain("check", "aug=none", ends, *QUICK) == 1, segtrain.out + segtrain.err
    (file,) = (segtrain.folder / "outputs" / "check" / "shapes").glob("*/check.json")
    assert json.loads(file.read_text())["verdict"] == "fail"
    assert "fail" in segtrain.out and not segtrain.err


MADE_UP = "aug.transforms=[{_target_: tests.app.check.test_check.FlippedApart}]"


@pytest.mark.parametrize(
    ("typed", "line"),
    [(["aug=opencv_elastic"], "elastic"), (["aug=none", MADE_UP, "trust=[tests]"], "pairing")],
    ids=["elastic of the article", "flips of the article"],
)
def test_the_article_s_examples_fail(typed: list[str], line: str, segtrain: CommandLine) -> None:
    assert segtrain("check", *typed, *QUICK) == 1, segtrain.out + segtrain.err
    (file,) = (segtrain.folder / "outputs" / "check" / "shapes").glob("*/check.json")
    assert line in [found["check"] for found in json.loads(file.read_text())["lines"] if found["verdict"] == "fail"]


def lines_of(segtrain: CommandLine) -> dict[str, list[Any]]:
    """The lines of the one check.json, by their check."""
    (file,) = (segtrain.folder / "outputs" / "check").glob("*/*/check.json")
    found: dict[str, list[Any]] = {}
    for line in json.loads(file.read_text())["lines"]:
        found.setdefault(line["check"], []).append(line)
    return found


def test_every_fault_of_the_data_is_told(segtrain: CommandLine) -> None:
    faulty(segtrain.folder / "data")
    assert segtrain("check", *FOLDER, "parts=[data]", "seed=0") == 1, segtrain.out + segtrain.err
    lines = lines_of(segtrain)
    assert [line["samples"] for line in lines["opening"]] == [["data/images/orphan.png"], ["data/masks/alone.png"]]
    assert sorted(line["samples"] for line in lines["unreadable"]) == [["no_image"], ["other_size"], ["truncated"]]
    (outside,) = lines["values outside the classes"]
    assert "classes: {background: 0, cytoplasm: 128, nucleus: 255, value_7: 7, value_9: 9}" in outside["meaning"]
    copies = [line for check in ("leaks", "duplicates") for line in lines[check] if line["value"]]
    assert [line["groups"] for line in copies] == [[["copy", "good_0"]]]
    for check, sample in {"empty masks": "empty", "constant images": "constant", "odd sizes": "large"}.items():
        assert lines[check][0]["samples"] == [sample]
    assert "pairing" not in lines and "training crop" in lines
    (page,) = (segtrain.folder / "outputs" / "check").glob("*/*/check.html")
    assert page.read_text().count("data:image/webp;base64,") >= 8
    assert "truncated" in segtrain.out and "check.html" in segtrain.out


def test_the_terminal_shows_what_is_not_ok_and_names_it_last(segtrain: CommandLine) -> None:
    faulty(segtrain.folder / "data")
    assert segtrain("check", *FOLDER, "parts=[data]", "seed=0") == 1, segtrain.out + segtrain.err
    lines, last = lines_of(segtrain), segtrain.out.splitlines()[-1]
    wrong = {check for check, some in lines.items() if any(line["verdict"] in ("fail", "warn") for line in some)}
    number = sum(line["verdict"] in ("fail", "warn") for some in lines.values() for line in some)
    assert len(wrong) > 5 and all(check in last for check in wrong), last
    assert set(re.findall(r"^(?:fail|warn|ok)  ([^:]+):", segtrain.out, re.MULTILINE)) == wrong
    assert len(segtrain.out.splitlines()) <= 2 * number + 5


def test_files_without_a_partner_are_left_out_and_named(segtrain: CommandLine) -> None:
    for number in range(12):
        pair(segtrain.folder / "data", f"p{number}", picture(number), codes(top=4 + number))
    (segtrain.folder / "data/masks/p5.png").unlink()
    assert segtrain("check", *FOLDER, "parts=[data]") == 1
    shutil.rmtree(segtrain.folder / "outputs")
    assert segtrain("check", *FOLDER, "parts=[data]", "dataset.orphans=leave_out") == 0, segtrain.out + segtrain.err
    lines = lines_of(segtrain)
    assert [line["samples"] for line in lines["left out"]] == [["data/images/p5.png"]] and "opening" not in lines
    assert lines["samples"][0]["value"] == 11 and "left out" in segtrain.out.splitlines()[-1]


@pytest.mark.parametrize("number", [5, 30])
def test_the_page_shows_a_group_of_copies_whole_or_says_what_it_leaves_out(number: int, segtrain: CommandLine) -> None:
    for one in range(number + 6):
        pair(segtrain.folder / "data", f"p{one:02d}", picture(0 if one < number else one), codes(top=4))
    segtrain("check", *FOLDER, "parts=[data]", "dataset.split.allow_leak=true")
    (page,) = (segtrain.folder / "outputs" / "check").glob("*/*/check.html")
    (group,) = re.findall(r"<h2>(?:leaks|duplicates) .*?(?=<h2>)", page.read_text(), re.DOTALL)
    shown = {f"p{one:02d}" for one in range(number) if f"<figcaption>p{one:02d} " in group}
    left = re.search(r"and (\d+) more of this group", group)
    assert len(shown) + (int(left[1]) if left else 0) == number and len(shown) >= min(number, 10)
    assert all(f"p{one:02d}" in group for one in range(number))


def test_sound_data_passes_and_unreadable_samples_do_not_stop_the_augmentation(segtrain: CommandLine) -> None:
    for number in range(12):
        pair(segtrain.folder / "data", f"p{number}", picture(number), codes(top=4 + number))
    assert segtrain("check", *FOLDER, "parts=[data]", "name=sound") == 0, segtrain.out + segtrain.err
    (segtrain.folder / "data/images/p3.png").write_text("not an image")
    assert segtrain("check", *FOLDER, "aug=copy_paste", "seconds=1", "name=broken", "workers=1") == 1, segtrain.err
    (file,) = (segtrain.folder / "outputs" / "check" / "broken").glob("*/check.json")
    report = json.loads(file.read_text())
    assert [line["check"] for line in report["lines"] if line["verdict"] == "fail"] == ["unreadable"]
    assert report["samples"] >= 1 and list(report["data"]["unread"]) == ["p3"]


def test_mean_and_std_as_printed_are_those_that_the_weights_hold(segtrain: CommandLine) -> None:
    """340 images, the first half dark, so that a sample of the front of the list would say something else."""
    for number in range(340):
        grey = np.full((32, 32), 60 if number < 170 else 180, np.uint8)
        grey[number // 32, number % 32] = 0  # no two are copies
        pair(segtrain.folder / "data", f"i{number:03d}", grey, (np.indices((32, 32))[0] % 2).astype(np.uint8))
    data = ["dataset=folder", "dataset.root=data", "dataset.classes={a: 0, b: 1}"]
    data += ["dataset.split.val=0.1", "dataset.split.test=0.1"]
    assert segtrain("check", *data, "parts=[data]") in (0, 1), segtrain.err
    (file,) = (segtrain.folder / "outputs/check").glob("*/*/check.json")
    said = json.loads(file.read_text())["data"]["normalisation"]
    assert segtrain(*data, *SMALL[2:], "trainer.max_epochs=1", "data.steps_per_epoch=1") == 0, segtrain.err
    (best,) = (segtrain.folder / "outputs").glob("*/*/checkpoints/best.safetensors")
    held = load_file(best)
    for name in ("mean", "std"):
        assert held[name].flatten().tolist() == np.float32(said[name]).tolist(), name
    assert said["mean"][0] == pytest.approx(120, abs=6) and said["std"][0] == pytest.approx(60, abs=2)


@pytest.mark.parametrize(
    ("typed", "verdict", "shown", "meaning"),
    [
        ([], "warn", "4 by name, of 6 samples", r"dataset\.split\.group='.*' keeps them together"),
        ([r"dataset.split.group='^(t\d)_'"], "ok", "4 groups of 6 samples", "each in one part"),
        (["split=blocks", r"dataset.split.group='^(t\d)_'"], "ok", "4 groups of 6 samples", "4 lie in several parts"),
        (["split=blocks"], "ok", "1 group of 24 samples", "1 lie in several parts"),
    ],
)
def test_tiles_whose_names_are_alike_are_asked_about(
    typed: list[str], verdict: str, shown: str, meaning: str, segtrain: CommandLine
) -> None:
    for number in range(24):
        pair(segtrain.folder / "data", f"t{number // 6}_{number % 6}", picture(number), codes())
    gap = ["dataset.split.gap=1"] if "split=blocks" in typed else []
    assert segtrain("check", *FOLDER, "parts=[data]", *typed, *gap) == 0, segtrain.out + segtrain.err
    (line,) = lines_of(segtrain)["groups"]
    assert line["verdict"] == verdict and shown in line["shown"] and re.search(meaning, line["meaning"])


def test_data_that_cannot_be_opened_is_a_failing_line(segtrain: CommandLine) -> None:
    assert segtrain("check", *FOLDER) == 1
    (line,) = lines_of(segtrain)["opening"]
    assert line["verdict"] == "fail" and "there is no folder 'data'" in line["meaning"]


def test_a_mistake_in_the_policy_leaves_what_was_found_about_the_data(segtrain: CommandLine) -> None:
    assert segtrain("check", *QUICK, "aug.transforms=[3]") == 2
    assert "samples" in lines_of(segtrain) and "verdict" in segtrain.out


def test_a_split_that_fails_is_a_line(segtrain: CommandLine) -> None:
    assert segtrain("check", *QUICK, "parts=[data]", "dataset.split.val=0.9", "dataset.split.test=0.9") == 1
    assert "leave nothing to train on" in lines_of(segtrain)["split"][0]["meaning"]


MISTAKES = {
    "no part": (["parts=[]"], "parts is []; expected [data, augmentation] or one of them"),
    "no such part": (["parts=[date]"], "parts is ['date']; expected [data, augmentation] or one of them"),
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


def test_copies_of_an_image_count_as_one(segtrain: CommandLine) -> None:
    for number in range(16):
        pair(segtrain.folder / "data", f"{'ab'[number // 8]}{number % 8:02d}", picture(number % 8), codes())
    assert segtrain("check", *FOLDER, "parts=[data]") == 0, segtrain.out + segtrain.err
    (line,) = lines_of(segtrain)["groups"]
    assert line["value"] == 8 and "leaves 8" in line["meaning"]


def test_what_the_files_say_of_their_pixels_is_told(segtrain: CommandLine) -> None:
    """Read in this process and in others."""
    tags = {"photometric": "minisblack", "extratags": [(42113, 2, 0, "0", False)]}
    for number in range(40):
        image, mask = picture(number)[..., 0], np.zeros((48, 48), np.uint8)
        image[:9], mask[20:30] = 0, 128
        for folder, pixels in (("images", image), ("masks", mask)):
            path = segtrain.folder / f"data/{folder}/p{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, pixels, **tags)
    for workers in (1, 2):
        segtrain("check", *FOLDER, "parts=[data]", f"workers={workers}")
        (file,) = (segtrain.folder / "outputs" / "check" / "folder").glob("*/check.json")
        lines = {line["check"]: line for line in json.loads(file.read_text())["lines"]}
        assert lines["nodata"]["value"] == 40 and lines["nodata"]["verdict"] == "ok"
        assert lines["ignored pixels"]["value"] == pytest.approx(9 / 48, abs=0.01)
        file.unlink()


def test_images_of_another_scale_are_told_by_the_check_and_when_a_training_starts(segtrain: CommandLine) -> None:
    for number in range(12):
        image, mask = picture(number)[..., 0].astype(np.uint16) * (16 if number % 2 else 256), codes()
        for folder, pixels in (("images", image), ("masks", mask)):
            path = segtrain.folder / f"data/{folder}/p{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, pixels, photometric="minisblack")
    segtrain("check", *FOLDER, "parts=[data]")
    (line,) = lines_of(segtrain)["value scales"]
    assert line["verdict"] == "warn" and {*line["samples"]} == {f"p{number}" for number in range(1, 12, 2)}
    assert segtrain(*FOLDER, *SMALL[2:], "name=scales") == 0, segtrain.err
    assert "careful: " in segtrain.out and "training images that were looked at span" in segtrain.out
