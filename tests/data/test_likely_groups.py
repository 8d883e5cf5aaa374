"""What belongs together by its name, and what is asked where names leave it open."""

import re

import pytest

from segtrain.data.likely_groups import find_groups, find_prefixes

NAMED = {
    "P{0:02d} cell #{1}": 10,
    "p{0:02d} ({1})": 10,
    "patient{0:03d}_slice{1}": 10,
    "pat{0}-{1:03d}": 10,
    "mouse {2} {1}": 10,
    "IMG_{0:04d}_jpg.rf.{1:08x}": 10,
    "{0}/{1}": 10,
}


@pytest.mark.parametrize("pattern", NAMED)
def test_patients_are_seen_in_names(pattern: str) -> None:
    ids = [pattern.format(i, k, chr(ord("A") + i)) for i in range(10) for k in range(6)]
    found = find_groups(ids, False)
    assert found is not None and (found.number, found.smallest, found.largest) == (10, 6, 6) and not found.doubtful
    groups = [re.search(found.expression, name) for name in ids]
    codes = [match[1] for match in groups if match]
    assert [codes[6 * i : 6 * i + 6] for i in range(10)] == [[codes[6 * i]] * 6 for i in range(10)]


def test_both_eyes_of_one_belong_together() -> None:
    found = find_groups([f"Image_{i:02d}{side}" for i in range(1, 15) for side in "LR"], False)
    assert found is not None and (found.number, found.largest) == (14, 2)


@pytest.mark.parametrize("pattern", ["{:03d}", "img_{}", "cell ({})", "scan{:02d}", "{:03d}L"])
def test_numbered_images_are_no_patients(pattern: str) -> None:
    ids = [pattern.format(i) for i in range(30)]
    assert find_groups(ids, False) is None and not find_prefixes(ids)


def test_few_prefixes_of_many_are_doubtful() -> None:
    sites = [f"{site}_{i:03d}" for site in "abc" for i in range(12)]
    found = find_groups(sites, False)
    assert found is not None and found.number == 3 and found.doubtful
    kinds = [f"{kind}_{i:03d}" for kind in ("ctrl", "drug") for i in range(12)]
    assert find_groups(kinds, False) is None and find_prefixes(kinds) == {"ctrl": 12, "drug": 12}
    assert not find_prefixes([*kinds, "one_1"]) and not find_prefixes([*kinds, "17"])
