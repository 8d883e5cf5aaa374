"""One arm against another: the word, the numbers behind it, and what a script reads of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from segtrain.app.report.arms import arms_of
from segtrain.app.report.compare import json_text
from segtrain.app.report.contrasts import contrast, judged
from segtrain.app.report.meant_arms import find_meant_arms
from segtrain.app.report.read_runs import read_runs
from tests.app.report import made
from tests.app.report.test_hostile import NAMES, renamed
from tests.conftest import CommandLine

KEYS = [
    *("verdict", "word", "reason", "first", "second", "score", "unit", "effect", "interval", "p", "wins", "seeds"),
    *("repetitions", "images", "groups", "over", "cautions", "needed", "next", "commands"),
]
SEEN = "\x00-\x09\x0b-\x1f\x7f-\U0010ffff"  # all but letters of ASCII and line feeds
STATUS = {"better": 0, "worse": 1, "undecided": 3}


def even(policy: str, strength: float) -> float:
    """No augmentation does anything."""
    return 0.0


def told(segtrain: CommandLine, *arguments: str) -> dict[str, Any]:
    """What --json prints: one object, of the same keys each time, whose verdict is the exit status."""
    status = segtrain("compare", *arguments, "--json")
    assert status in (0, 1, 3), segtrain.err
    found: dict[str, Any] = json.loads(segtrain.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(found) == KEYS and STATUS[found["verdict"]] == status and segtrain.err == ""
    assert list(found["first"]) == list(found["second"]) == ["arm", "runs", "finished"]
    assert list(found["needed"]) == ["seeds", "images", "groups"] and found["unit"] == "points"
    assert (found["verdict"] == "undecided") == bool(found["reason"])
    return found


@pytest.fixture
def sweep(segtrain: CommandLine) -> CommandLine:
    """A command line beside outputs/s, a sweep of eight seeds."""
    made.sweep(segtrain.folder / "outputs/s")
    return segtrain


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [("elastic × 1", "none", "better"), ("elastic × 2", "none", "worse"), ("none", "elastic × 2", "better")],
)
def test_a_settled_difference_is_said_and_is_the_exit_status(
    sweep: CommandLine, first: str, second: str, word: str
) -> None:
    found = told(sweep, f"outputs/s:{first}", f"outputs/s:{second}")
    assert (found["verdict"], found["word"], found["first"]["arm"], found["second"]["arm"]) == (
        word,
        word,
        first,
        second,
    )
    assert (found["next"], found["commands"], found["cautions"]) == ([], [], [])
    assert set(found["needed"].values()) == {None}
    low, high = found["interval"]
    assert low < found["effect"] < high and (low > 0 if word == "better" else high < 0) and found["p"] < 0.05


def test_the_numbers_are_those_of_the_report(sweep: CommandLine) -> None:
    found = told(sweep, "outputs/s:elastic × 1", "outputs/s:none", "score=iou")
    arms = {arm.name: arm for arm in arms_of(read_runs([sweep.folder / "outputs/s"]))}
    theirs = judged(contrast(arms["elastic × 1"], arms["none"], "iou"))
    assert theirs is not None
    e = theirs.estimate
    assert [found["effect"], *found["interval"]] == pytest.approx([100 * e.mean, 100 * e.low, 100 * e.high])
    assert (found["p"], found["word"], found["wins"]) == (e.p, theirs.verdict, theirs.superiority[0])
    assert (found["seeds"], found["repetitions"], found["images"], found["groups"]) == (8, 8, 18, None)
    assert found["over"] == "seeds and test images" and found["score"] == "iou"


def test_a_comparison_the_other_way_round_says_the_opposite(sweep: CommandLine) -> None:
    one = told(sweep, "outputs/s:flips", "outputs/s:elastic x 0.5")
    other = told(sweep, "outputs/s:elastic x 0.5", "outputs/s:flips")
    assert one["effect"] == pytest.approx(-other["effect"]) and one["p"] == pytest.approx(other["p"])
    assert one["interval"] == pytest.approx([-limit for limit in reversed(other["interval"])])
    assert {one["verdict"], other["verdict"]} in ({"better", "worse"}, {"undecided"})


def test_what_does_nothing_is_undecided(segtrain: CommandLine) -> None:
    made.sweep(segtrain.folder / "outputs/s", gain=even)
    found = told(segtrain, "outputs/s:flips", "outputs/s:none")
    assert (found["verdict"], found["word"]) == ("undecided", "not distinguishable")
    assert "cannot be told apart" in found["reason"] and found["interval"][0] < 0 < found["interval"][1]
    assert found["next"] and (found["needed"]["seeds"] is None or found["needed"]["seeds"] > 8)


def test_too_few_seeds_are_undecided_however_large_the_difference(segtrain: CommandLine) -> None:
    made.sweep(segtrain.folder / "outputs/s", seeds=4)
    found = told(segtrain, "outputs/s:elastic × 1", "outputs/s:none")
    assert (found["verdict"], found["word"]) == ("undecided", "looks better") and found["p"] < 0.05
    assert found["reason"] == "it looks better, which is not settled: it takes 5 seeds"
    assert found["needed"] == {"seeds": 5, "images": None, "groups": None}
    assert [re.search(r" (seed=\S+)", each)[1] for each in found["commands"]] == ["seed=4"] * 2  # type: ignore[index]


def test_one_run_each_has_no_interval(segtrain: CommandLine) -> None:
    made.sweep(segtrain.folder / "outputs/s", seeds=1)
    found = told(segtrain, "outputs/s:elastic × 1", "outputs/s:none")
    assert (found["verdict"], found["word"]) == ("undecided", "too few seeds")
    assert (found["interval"], found["p"], found["needed"]["seeds"]) == (None, None, 5)
    assert found["effect"] == pytest.approx(9, abs=3) and "1 seed" in found["reason"]
    assert all("'seed=range(1,5)'" in each for each in found["commands"]) and len(found["commands"]) == 2


def a_find(folder: Path, gain: made.Gain) -> None:
    """A find of three arms whose race was won by elastic, and flips dropped at the third seed."""
    for policy, seeds in (
        ("none", [*range(8), *range(10_000, 10_005)]),
        ("flips", range(6)),
        ("elastic", [*range(8), *range(10_000, 10_005)]),
    ):
        for seed in seeds:
            made.run(folder, policy, 1.0, seed, lambda p, s, seed=seed: gain(p, s) * (seed < 10_000))
    (folder / "find_record.json").write_text("{}")


def test_of_a_find_only_seeds_that_confirm_are_compared_where_there_are_some(segtrain: CommandLine) -> None:
    a_find(segtrain.folder / "outputs/cells-find", made.gain)
    found = told(segtrain, "cells-find:elastic", "cells-find:none")
    assert (found["seeds"], found["verdict"]) == (5, "undecided") and abs(found["effect"]) < 1  # they have no gain
    assert any("race" in caution for caution in found["cautions"])
    assert all("seed=range(1" in each for each in found["commands"])
    (segtrain.folder / "outputs/cells-find/find_record.json").unlink()  # of a sweep all seeds count
    sweep = told(segtrain, "cells-find:elastic", "cells-find:none")
    assert (sweep["seeds"], sweep["cautions"]) == (13, [])


def test_seeds_of_a_race_alone_settle_nothing(segtrain: CommandLine) -> None:
    a_find(segtrain.folder / "outputs/cells-find", made.gain)
    found = told(segtrain, "cells-find:elastic", "cells-find:flips")
    assert (found["seeds"], found["verdict"], found["word"]) == (6, "undecided", "looks better")
    assert "race" in found["reason"] and any("find.html" in step for step in found["next"])
    assert any("race" in caution for caution in found["cautions"])
    assert "seed=range(10000,1000" in found["commands"][-1]  # flips; the other has run some of them
    assert segtrain("compare", "cells-find:elastic", "cells-find:flips") == 0 and "careful" in segtrain.out


def test_patients_are_counted_as_patients(segtrain: CommandLine) -> None:
    made.sweep(segtrain.folder / "outputs/s", group=r"^(p\d+)_")
    found = told(segtrain, "outputs/s:elastic × 1", "outputs/s:none")
    assert (found["images"], found["groups"], found["verdict"]) == (18, 6, "undecided")
    assert "12 independent" in found["reason"] and found["needed"]["images"] is None
    assert found["needed"]["groups"] >= 12 and found["needed"]["seeds"] is None and found["commands"] == []


def test_runs_of_other_data_are_undecided(sweep: CommandLine) -> None:
    for file in (sweep.folder / "outputs/s").glob("aug=elastic,aug.strength=1,*/split.json"):
        file.write_text(file.read_text().replace('"f1"', '"f2"'))
    found = told(sweep, "outputs/s:elastic × 1", "outputs/s:none")
    assert found["word"] == "looks better" and "same data" in found["reason"]
    assert set(found["needed"].values()) == {None} and "several fingerprints" in found["cautions"][0]


def test_images_without_a_score_are_left_out_and_said(sweep: CommandLine) -> None:
    for file in (sweep.folder / "outputs/s").glob("*/per_image.csv"):
        head, first, *rest = file.read_text().splitlines()
        blank = [f"{first.partition(',')[0]},,,,,0", *(f"{row},50" for row in rest)]
        file.write_text("\n".join([f"{head},pixels", *blank, ""]))
    found = told(sweep, "outputs/s:elastic × 1", "outputs/s:none")
    assert (found["images"], found["verdict"]) == (17, "better")
    assert any("no pixel of their masks counts: 1 test image" in caution for caution in found["cautions"])


def test_no_image_with_a_score_is_a_mistake(segtrain: CommandLine) -> None:
    made.sweep(segtrain.folder / "outputs/s", seeds=2)
    for file in (segtrain.folder / "outputs/s").glob("*/per_image.csv"):
        head, *rows = file.read_text().splitlines()
        file.write_text("\n".join([f"{head},pixels", *(f"{row.partition(',')[0]},,,,,0" for row in rows), ""]))
    assert segtrain("compare", "outputs/s:flips", "outputs/s:none", "--json") == 2
    assert "no test image has a score in dice in both arms" in segtrain.err and segtrain.out == ""


def test_without_json_it_is_a_page_and_ends_with_0(sweep: CommandLine) -> None:
    assert sweep("compare", "outputs/s:elastic × 2", "outputs/s:none") == 0, sweep.err
    assert "dice, over 8 seeds and 18 test images: elastic × 2 is worse than none" in sweep.out
    assert "iou" in sweep.out and "next:" not in sweep.out
    assert sweep("compare", "outputs/s:elastic × 2", "outputs/s:none", "score=iou") == 0
    assert "\niou, over 8 seeds" in sweep.out


def test_without_json_it_says_what_to_run_next(segtrain: CommandLine) -> None:
    made.sweep(segtrain.folder / "outputs/s", seeds=3)
    assert segtrain("compare", "outputs/s:flips", "outputs/s:none") == 0, segtrain.err
    assert "undecided: " in segtrain.out and "next: Run at least 5 seeds" in segtrain.out
    assert "next: python -m segtrain --config-dir … -m aug=flips" in segtrain.out


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "compare takes two arms"),
        (["outputs/s:none"], "compare takes two arms"),
        (["outputs/s:none"] * 3, "compare takes two arms"),
        (["outputs/s:none", "outputs/s/aug=none,seed=0"], "both runs are of the arm none"),
        (["outputs/s:none", "outputs/s:flips", "score=dise"], "did you mean dice?"),
        (["outputs/s:none", "outputs/s:flips", "score=id"], "there is no score 'id'"),
        (["outputs/s:none", "outputs/s:flips", "--jsno"], "there is no option --jsno"),
        (["outputs/s:none", "outputs/s:flips", "--json=true"], "there is no option --json=true"),
        (["outputs/s:none", "outputs/s/*"], "holds the runs of 5 arms"),
        (["outputs/s:none", "outputs/t"], "'outputs/t' is no run folder"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_for_a_script_to_read(
    segtrain: CommandLine, typed: list[str], said: str
) -> None:
    made.sweep(segtrain.folder / "outputs/s", seeds=1)
    assert segtrain("compare", *typed, "--json") == 2
    assert segtrain.out == "" and segtrain.err.startswith("error: ") and said in segtrain.err


def test_arms_without_a_common_seed_are_told_what_to_run(segtrain: CommandLine) -> None:
    for seed in range(4):
        made.run(segtrain.folder / "outputs/s", "none" if seed < 2 else "flips", 1.0, seed)
    assert segtrain("compare", "outputs/s:flips", "outputs/s:none", "--json") == 2
    assert "got seed 2, seed 3 and seed 0, seed 1" in segtrain.err and segtrain.out == ""
    commands = [line for line in segtrain.err.splitlines() if line.startswith("  python")]
    assert ["seed=0,1" in commands[0], "seed=2,3" in commands[1], len(commands)] == [True, True, 2]


def test_a_run_that_cannot_be_read_is_left_out_and_said(sweep: CommandLine) -> None:
    damaged = "aug=flips,aug.strength=1,seed=7"
    (sweep.folder / "outputs/s" / damaged / "results.json").write_text("{")
    found = told(sweep, "outputs/s:flips", "outputs/s:none")
    assert found["first"]["runs"] == 7 and found["seeds"] == 7
    assert [c for c in found["cautions"] if damaged in c and "left out, as it cannot be read" in c]
    assert sweep("compare", f"outputs/s/{damaged}", "outputs/s:none", "--json") == 2 and sweep.out == ""


def test_one_config_made_twice_is_compared_and_no_command_is_told(segtrain: CommandLine) -> None:
    """As CI does it: the runs of two versions of the code, in two folders."""
    for name, more in (("new", 0.04), ("old", 0.0)):
        for seed in range(4):
            made.run(segtrain.folder / "outputs" / name, "none", 1.0, seed, gain=lambda *_, more=more: more)
    found = told(segtrain, "outputs/new/*", "outputs/old/*")
    assert (found["first"]["arm"], found["second"]["arm"]) == ("none (outputs/new/*)", "none (outputs/old/*)")
    assert found["word"] == "looks better" and found["needed"]["seeds"] == 5 and found["commands"] == []
    assert found["effect"] == pytest.approx(4)


def test_names_of_strangers_are_only_text(segtrain: CommandLine) -> None:
    folder = segtrain.folder / "outputs" / os.fsdecode(b"s\xff\x7f\x1b[2J")
    renamed(made.sweep(folder, seeds=2), [name for name in NAMES if "\n" not in name and "\r" not in name])
    os.chdir(segtrain.folder)
    sides = find_meant_arms([f"{folder}:none", str(next(folder.glob("aug=flips*")))], Path("outputs"))
    assert "\x1b" in sides[1].arm.name  # or the next lines would show nothing
    found = told(segtrain, f"{folder}:none", str(next(folder.glob("aug=flips*"))))
    assert "\x1b[2J" in found["second"]["arm"] and not re.search(f"[{SEEN}]", segtrain.out)
    assert segtrain("compare", f"{folder}:none", str(next(folder.glob("aug=flips*")))) == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\udc80-\udcff]", segtrain.out)


def test_json_has_nothing_that_a_parser_refuses_or_a_terminal_obeys() -> None:
    text = "a\x7f\x9f\udcff\x1b\u2028é"
    said = json_text({"a": [text, {"b": text}], "c": None})
    assert not re.search(f"[{SEEN}]", said) and json.loads(said)["a"][0] == "a\x7f\x9f\\xff\x1b\u2028é"
    with pytest.raises(ValueError, match="JSON"):
        json_text({"a": float("nan")})


def test_a_script_gets_the_status_without_torch_and_without_figures(tmp_path: Path) -> None:
    made.sweep(tmp_path / "outputs/s", seeds=5)
    for heavy in ("torch", "matplotlib", "albumentations"):
        (tmp_path / f"{heavy}.py").write_text(f"raise ImportError('{heavy} was imported')")
    for first, second, status in (("elastic×1", "none", 0), ("none", "elastic×1", 1), ("flips", "nothing", 2)):
        command = [sys.executable, "-m", "segtrain", "compare", f"outputs/s:{first}", f"s:{second}", "--json"]
        where = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=where)
        assert done.returncode == status, done.stderr
        assert bool(done.stdout) == (status != 2)
