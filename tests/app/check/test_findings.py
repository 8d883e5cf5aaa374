"""What a survey finds, in lines: each fault in the line of its name, and no line where there is none."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segtrain.app.check import data_audit, findings
from segtrain.app.check.findings import Facts, Finding, copies
from segtrain.data.duplicates import group_near, mark
from segtrain.data.survey import Seen, survey
from segtrain.errors import Remark, UserError, remark
from tests.data.made import InMemory, picture

MASK = np.zeros((48, 48), np.uint8)
MASK[4:20, 4:20] = 1


def facts(samples: Sequence[Any], parts: Mapping[str, str] | None = None) -> Facts:
    data = InMemory(samples)
    found = survey(data, range(len(samples)), workers=1)
    return Facts.of(found, data.ids, parts or {}, data.classes, data.ignore_index)


def named(lines: Sequence[Finding]) -> dict[str, Finding]:
    return {line.check: line for line in lines}


def good(count: int = 6) -> list[Any]:
    return [(picture(seed), MASK) for seed in range(count)]


def every(found: Facts) -> list[Finding]:
    lines = [*findings.reading(found), *findings.pictures(found), *findings.labels(found)]
    return [*lines, *copies(found, allow_leak=False)]


def test_sound_data_is_ok_throughout() -> None:
    parts = {"s0": "train", "s1": "train", "s2": "train", "s3": "val", "s4": "test", "s5": "test"}
    lines = every(facts(good(), parts))
    assert {line.verdict for line in lines} == {"ok"} and not any(line.samples for line in lines)
    assert named(lines)["samples"].shown == "6: train 3, val 1, test 2"
    assert named(lines)["sizes"].shown == "48 x 48 in all"


def test_reasons_of_one_kind_share_a_line() -> None:
    broken = [UserError(f"'{name}.png' cannot be read; {number} bytes") for name, number in (("a", 5), ("b", 17))]
    lines = findings.reading(facts([*good(2), *broken, UserError("'c.png' is 3 x 4")]))
    told = [(line.shown, line.verdict) for line in lines if line.check == "unreadable"]
    assert told == [("2 of 5: s2, s3", "fail"), ("1 of 5: s4", "fail")]


def test_values_outside_the_classes_are_summed_over_all_masks() -> None:
    bad = [UserError("mask 'a'", {"9": 5, "128": 2}), UserError("mask 'b'", {"128": 10})]
    found = facts([*good(1), *bad])
    line = named(findings.reading(found))[findings.OUTSIDE]
    assert line.shown == "9 (1 mask, 5 px), 128 (2 masks, 12 px) in 2 of 3: s1, s2" and line.verdict == "fail"
    assert findings.codes(found) == ["9", "128"]


def test_strange_images_are_named() -> None:
    large, constant, dark = picture(9, 480), picture(0) * 0 + 9, (picture(8) // 20).astype(np.uint8)
    deep = picture(7).astype(np.float32)
    deep[0, 0] = np.nan
    masks = [np.ones(image.shape[:2], np.uint8) for image in (large, constant, dark, deep)]
    lines = named(findings.pictures(facts([*good(9), *zip((large, constant, dark, deep), masks, strict=True)])))
    for check, sample in (("odd sizes", "s9"), ("constant images", "s10"), ("dark images", "s11")):
        assert lines[check].samples == (sample,) and lines[check].verdict == "warn", check
    for check in ("not finite", "depth"):
        assert lines[check].samples == ("s12",) and lines[check].verdict == "fail", check


def test_an_image_far_brighter_than_the_others_is_odd() -> None:
    usual = [(np.roll(picture(0), number, 0) + np.uint8(number % 4), MASK) for number in range(9)]
    found = facts([*usual, (picture(1) // 4 + np.uint8(190), MASK)])
    line = named(findings.pictures(found))["odd intensities"]
    assert line.samples == ("s9",) and line.verdict == "warn"


def test_a_class_that_a_part_lacks() -> None:
    empty, ignored = (picture(7), MASK * 0), (picture(8), MASK * 0 + 255)
    samples = [empty, (picture(1), MASK), (picture(2), MASK), ignored]
    line = named(findings.labels(facts(samples, {"s0": "train", "s1": "val", "s2": "test"})))["pixels of cell"]
    assert line.verdict == "fail" and "val 11.1 % in 1" in line.shown
    lines = named(findings.labels(facts(samples, {"s1": "train", "s0": "val", "s2": "test"})))
    assert lines["pixels of cell"].verdict == "warn" and "val" in lines["pixels of cell"].meaning
    assert lines["empty masks"].samples == ("s0",) and lines["empty masks"].verdict == "ok"
    assert lines["wholly ignored masks"].samples == ("s3",) and lines["ignored pixels"].shown == "25 %"
    assert named(findings.labels(facts([empty] * 3)))["empty masks"].verdict == "warn"


def test_copies_across_parts_leak_and_within_one_are_duplicates() -> None:
    near = (picture(5).astype(int) + 1).astype(np.uint8)
    samples = [
        *good(),
        (picture(0), MASK),
        (picture(1), MASK * 0),
        (near, MASK),
        (MASK[..., None], MASK),
        (MASK[..., None], MASK),
    ]
    samples[-2:] = [(picture(0) * 0, MASK)] * 2  # blank images are no copies of each other
    parts = {f"s{i}": "val" if i in (7, 8, 10) else "train" for i in range(11)}
    lines = named(copies(facts(samples, parts), allow_leak=False))
    assert lines["duplicates"].groups == (("s0", "s6"),) and lines["duplicates"].verdict == "warn"
    assert lines["leaks"].groups == (("s1", "s7"),) and lines["leaks"].verdict == "fail"
    assert lines["contradicting masks"].groups == (("s1", "s7"),)
    assert lines["near-identical across parts"].groups == (("s5", "s8"),)
    assert lines["leaks"].shown == "1 group: 's1' (train) = 's7' (val)"
    again = named(copies(facts(samples, parts), allow_leak=True))
    assert again["leaks"].verdict == "warn" and again["leaks"].groups == lines["leaks"].groups


def test_a_chain_over_samples_that_no_part_holds_is_no_leak() -> None:
    one, other = picture(2).astype(int), picture(3).astype(int)
    film = [((one * (9 - k) + other * k) // 9).astype(np.uint8) for k in range(10)]  # each like the next
    alike = [group for group in group_near([mark(image) for image in film]) if len(group) == 10]
    assert alike and not group_near([mark(film[0]), mark(film[9])]), "the test's own film"
    parts = {"s0": "train", "s9": "val"}
    lines = named(copies(facts([(image, MASK) for image in film], parts), allow_leak=False))
    assert lines["near-identical across parts"].verdict == "ok"
    parts["s1"] = "val"
    lines = named(copies(facts([(image, MASK) for image in film], parts), allow_leak=False))
    assert lines["near-identical across parts"].groups == (("s0", "s1"),)


def test_suggestions_are_those_of_the_formulas() -> None:
    samples = [(picture(0), MASK), (picture(1), MASK * 0)]
    seen = [one for one in facts(samples).seen.values() if isinstance(one, Seen)]
    cell = 256
    assert data_audit.counts(seen, 3) == ([2 * 48**2 - cell, cell, 0], [2 * 48**2, 48**2, 0], [2, 1, 0], 2)
    assert data_audit.crop(seen, [1]) == (32, "twice the 16 px that 9 of 10 images' largest objects keep below")
    side, reason = data_audit.crop(seen, [0])
    assert side == 32 and "more than the median short side of 48 px" in reason
    assert data_audit.crop(seen, []) == (32, "no object to size it by: the median short side of 48 px, at most 512")


class Remarking(InMemory):
    """Says of two of its samples what it does with them."""

    def read(self, index: int) -> Any:
        if index in (1, 4):
            remark("nodata", "is filled", is_fine=True)
            remark("transparent pixels", "are seen", ["a.png"])
        return super().read(index)


def test_what_readers_do_is_a_line_a_kind() -> None:
    data = Remarking(good())
    found = Facts.of(survey(data, range(6), workers=1), data.ids, {}, data.classes, data.ignore_index)
    opening = [Remark("spacing", "the first disagrees", ("p1",), False), Remark("spacing", "another", ("p2",), False)]
    lines = findings.remarked(found, opening)
    assert [(line.check, line.shown, line.verdict, line.meaning) for line in lines] == [
        ("spacing", "2: p1, p2", "warn", "the first disagrees"),
        ("nodata", "2 of 6: s1, s4", "ok", "is filled"),
        ("transparent pixels", "2 of 6: s1, s4", "warn", "are seen"),
    ]
    assert not findings.remarked(facts(good()), [])
