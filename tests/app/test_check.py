"""`python -m segtrain check` as a user types it."""

import json

from tests.conftest import CommandLine

QUICK = ("dataset=shapes", "dataset.n=6", "dataset.channels=3", "seconds=3")


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


def test_a_wrong_number_is_a_message(segtrain: CommandLine) -> None:
    assert segtrain("check", "samples=0", *QUICK) == 2
    assert "samples is a whole number from 1; got 0" in segtrain.err
