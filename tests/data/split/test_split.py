"""Every splitter of segtrain.data.split: parts without overlap, whole groups, shares as near as groups permit."""

import hashlib
import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from segtrain.data.files.columns import Codes, NameColumn, as_codes
from segtrain.data.split import Blocks, Folds, Given, Ratios, Split, Stratified
from segtrain.errors import UserError

shares = st.floats(0.01, 0.45)
EIGHT = [[0, 2, 4, 5], [3, 6], [1, 7], []]  # seed 0, 8 samples
group_sizes = st.lists(st.integers(1, 12), min_size=3, max_size=25)


def open_ids(n):
    return [f"s_{i}" for i in range(n)], [None] * n


def grouped_ids(sizes):
    ids = [f"p{group}_{i}" for group, size in enumerate(sizes) for i in range(size)]
    return ids, [None] * len(ids)


def lists(split: Split):
    return [list(part) for part in split]


def is_partition(split: Split, n):
    return sorted(i for part in split for i in part) == list(range(n))


@given(st.integers(3, 300), shares, shares, st.integers(0, 99))
def test_ratios_partition_in_the_shares_asked_for(n, val, test, seed):
    split = Ratios(val, test, seed).assign(*open_ids(n))
    assert is_partition(split, n) and not split.unused
    assert split.train and split.val and split.test
    for part, share in ((split.val, val), (split.test, test)):
        assert abs(len(part) - n * share) <= 1
    assert all(list(part) == sorted(part) for part in split)


@given(group_sizes, shares, shares, st.integers(0, 99))
def test_groups_stay_whole_and_every_part_gets_one(sizes, val, test, seed):
    ids, given_splits = grouped_ids(sizes)
    split = Ratios(val, test, seed, group=r"^(p\d+)_").assign(ids, given_splits)
    assert is_partition(split, len(ids)) and split.train and split.val and split.test
    parts = [{ids[i].split("_")[0] for i in part} for part in split]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(sizes)


@given(group_sizes, st.floats(0.05, 0.9))
def test_a_part_is_as_near_to_its_share_as_groups_permit(sizes, share):
    ids, _ = grouped_ids(sizes)
    fixed = ["q_0"]  # the data gives test, so val alone is drawn
    split = Ratios(share, 0.0, group="^([pq][0-9]*)_").assign([*ids, *fixed], [*[None] * len(ids), "test"])
    sums = {0}  # every total that leaves a group to train on, by brute force
    for size in sizes:
        sums |= {size + s for s in sums}
    target = max(1, int(share * len(ids) + 0.5))
    best = min(abs(s - target) for s in sums - {0, len(ids)})
    assert abs(len(split.val) - target) == best


@given(group_sizes, st.integers(0, 9), st.randoms())
def test_ratios_do_not_hang_on_the_order_of_samples(sizes, seed, rng: random.Random):
    ids, given_splits = grouped_ids(sizes)
    mixed = rng.sample(ids, len(ids))
    ratios = Ratios(0.2, 0.2, seed, group=r"^p\d+")
    one, other = ratios.assign(ids, given_splits), ratios.assign(mixed, given_splits)
    assert [{ids[i] for i in part} for part in one] == [{mixed[i] for i in part} for part in other]


def test_seeds_draw_differently_and_evenly():
    ids, given_splits = open_ids(20)
    draws = [Ratios(0.2, 0.2, seed).assign(ids, given_splits) for seed in range(200)]
    assert len({tuple(draw.val) for draw in draws}) > 190
    counts = [sum(i in draw.val for draw in draws) for i in range(20)]
    assert min(counts) > 15 and max(counts) < 65  # 40 expected, standard deviation 5.7


def test_one_draw_stays_the_same_over_versions():
    assert lists(Ratios(0.25, 0.25, seed=0).assign(*open_ids(8))) == EIGHT
    ids, _ = open_ids(20)
    drawn = Ratios(0.2, 0.15, 3).assign(ids, [None] * 20)
    assert [*drawn.val, *drawn.test] == [0, 1, 8, 18, 11, 15, 17]
    drawn = Ratios(0.2, 0.15, 7).assign(ids, ["test"] * 4 + ["train"] * 8 + [None] * 8)
    assert [*drawn.val, *drawn.test] == [4, 9, 15, 0, 1, 2, 3]
    drawn = Ratios(0.2, 0.2, 1, group=r"^(p\d+)_").assign(*grouped_ids([1, 2, 5, 10, 4, 2]))
    assert [*drawn.val, *drawn.test] == [3, 4, 5, 6, 7, 0, 18, 19, 20, 21]


def digest(split: Split):
    return hashlib.sha256(repr(lists(split)).encode()).hexdigest()[:16]


def test_large_draws_stay_the_same_over_versions():
    sizes = [1 + i * i % 13 for i in range(400)]
    assert digest(Ratios(0.1, 0.2, 5).assign(*open_ids(3000))) == "fa7ffbe5ba3ecbad"
    assert digest(Ratios(0.1, 0.2, 5, group=r"^(p\d+)_").assign(*grouped_ids(sizes))) == "35a37241313a980e"
    assert digest(Blocks(0.1, 0.2, 7).assign(*open_ids(3000))) == "fdb3e3c83eabcf0c"
    assert digest(Blocks(0.1, 0.2, 7, inside=True).assign(*open_ids(500))) == "42f0a26ba6bae1e9"


def test_the_first_group_or_the_whole_match_names_the_group():
    ids, given_splits = ["a1x", "a2x", "b1x", "b2x", "c1x", "c2x"], [None] * 6
    whole, first = (Ratios(0.3, 0.3, group=g).assign(ids, given_splits) for g in ("^[abc]", "^([abc])[0-9]"))
    assert whole == first and {len(part) for part in whole} == {2, 0}


@given(st.integers(1, 9), st.integers(1, 9), st.integers(3, 30))
def test_what_the_data_says_stays(val, test, rest):
    ids, _ = open_ids(val + test + rest)
    said = ["val"] * val + ["test"] * test + ["train"] * (rest - 1) + [None]
    for splitter in (Ratios(0.2, 0.2), Blocks(0.2, 0.2, gap=1)):
        split = splitter.assign(ids, said)
        assert [*split.val, *split.test] == list(range(val + test))
        assert len(split.val) == val
        assert list(split.train) == list(range(val + test, len(ids))) and not split.unused


def test_missing_val_is_drawn_from_train_and_open_samples():
    ids, _ = open_ids(30)
    split = Ratios(0.2, 0.2).assign(ids, ["test"] * 10 + ["train"] * 10 + [None] * 10)
    assert list(split.test) == list(range(10)) and len(split.val) == 4 and is_partition(split, 30)


def test_an_id_without_group_is_refused():
    for group in (r"^(p\d+)_", "^(p)?x"):
        with pytest.raises(UserError, match="finds no group in sample 'x_1'"):
            Ratios(0.2, 0.2, group=group).assign(["px_1", "p2_1", "x_1"][2:], [None])


@given(st.integers(3, 300), shares, shares, st.integers(0, 12), st.randoms())
def test_blocks_are_contiguous_with_their_gap(n, val, test, gap, rng: random.Random):
    assume(n - 2 * gap - max(1, int(val * n + 0.5)) - max(1, int(test * n + 0.5)) >= 1)
    ids, given_splits = open_ids(n)
    order = rng.sample(range(n), n)  # position in the list -> number in the id
    split = Blocks(val, test, gap).assign([ids[i] for i in order], given_splits)
    assert is_partition(split, n) and len(split.unused) == 2 * gap
    train, middle, end = (sorted(order[i] for i in part) for part in split[:3])
    assert train[-1] + gap + 1 == middle[0] and middle[-1] + gap + 1 == end[0]
    assert train[0] == 0 and end[-1] == n - 1
    for part in (train, middle, end):
        assert part == list(range(part[0], part[-1] + 1))
    assert abs(len(middle) - n * val) <= 1 and abs(len(end) - n * test) <= 1


def test_blocks_count_numbers_in_ids_as_numbers():
    ids = [str(i) for i in range(30)]
    split = Blocks(0.2, 0.2, gap=2).assign(sorted(ids), [None] * 30)
    numbers = [sorted(int(sorted(ids)[i]) for i in part) for part in split]
    assert numbers == [[*range(14)], [*range(16, 22)], [*range(24, 30)], [14, 15, 22, 23]]


@given(st.integers(30, 300), st.floats(0.05, 0.3), st.floats(0.05, 0.3), st.integers(0, 3))
def test_blocks_inside_leave_a_gap_on_both_sides_and_train_at_both_ends(n, val, test, gap):
    # 4 gaps, and a slab of train at each end and between
    assume(n - 4 * gap - max(1, int(val * n + 0.5)) - max(1, int(test * n + 0.5)) >= 3)
    split = Blocks(val, test, gap, inside=True).assign(*open_ids(n))
    assert is_partition(split, n) and len(split.unused) == 4 * gap
    assert split.train[0] == 0 and split.train[-1] == n - 1
    for part in (split.val, split.test):
        assert list(part) == list(range(part[0], part[-1] + 1))
        assert min(abs(i - j) for i in part for j in split.train) == gap + 1
    assert split.val[-1] < split.test[0]


@pytest.mark.parametrize("splitter", [Ratios(0.2, 0.2), Blocks(0.2, 0.2, gap=5), Ratios(0.2, 0, group="s")])
def test_an_empty_part_is_refused(splitter):
    for n in (0, 1, 2):
        with pytest.raises(UserError, match=r"(train|val|test) empty"):
            splitter.assign(*open_ids(n))


def test_what_a_dataset_may_not_say_is_refused():
    with pytest.raises(UserError, match="split 'dev' of sample 's_1'"):
        Ratios(0.2, 0.2).assign(["s_0", "s_1"], [None, "dev"])


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.2, -0.1), (float("nan"), 0.1)])
def test_impossible_shares_are_refused(val, test):
    for make in (Ratios, Blocks):
        with pytest.raises(UserError, match=r"split\.val"):
            make(val, test)


def test_other_impossible_arguments_are_refused():
    with pytest.raises(UserError, match=r"split\.gap is -1"):
        Blocks(0.1, 0.1, gap=-1)
    with pytest.raises(UserError, match="no regular expression"):
        Ratios(0.1, 0.1, group="(")


def test_the_groups_of_the_data_stay_whole_and_draw_as_their_names_do():
    ids, given_splits = grouped_ids([1, 2, 5, 10, 4, 2])
    groups = [name.split("_")[0] for name in ids]
    by_name = Ratios(0.2, 0.2, 1, group=r"^(p\d+)_").assign(ids, given_splits)
    for said in (groups, as_codes(groups)):
        assert Ratios(0.2, 0.2, 1).assign(ids, given_splits, said) == by_name


@given(group_sizes, st.integers(3, 7), st.integers(0, 9), st.randoms())
def test_folds_test_each_sample_once_in_whole_groups_of_even_size(sizes, k, seed, rng: random.Random):
    assume(len(sizes) >= k)
    ids, given_splits = grouped_ids(sizes)
    splits = [Folds(k, fold, seed=seed, group=r"^p\d+").assign(ids, given_splits) for fold in range(k)]
    assert sorted(i for split in splits for i in split.test) == list(range(len(ids)))
    assert all(split.val == after.test for split, after in zip(splits, splits[1:] + splits[:1], strict=True))
    tests = [len(split.test) for split in splits]
    assert max(tests) - min(tests) <= max(sizes)
    for split in splits:
        assert is_partition(split, len(ids)) and split.train
        parts = [{ids[i].split("_")[0] for i in part} for part in split]
        assert sum(map(len, parts)) == len(sizes)
    mixed = rng.sample(ids, len(ids))
    again = Folds(k, 0, seed=seed, group=r"^p\d+").assign(mixed, given_splits)
    assert [{ids[i] for i in part} for part in splits[0]] == [{mixed[i] for i in part} for part in again]


def test_folds_without_groups_differ_by_one_sample_and_hang_on_the_seed():
    one, other = (Folds(4, 1, seed=seed).assign(*open_ids(23)) for seed in (0, 1))
    assert len(one.test) in (5, 6) and one != other


def test_folds_may_draw_their_validation_from_all_other_folds():
    splits = [Folds(2, fold, val=0.1).assign(*open_ids(40)) for fold in range(2)]
    assert [len(part) for part in splits[0]] == [16, 4, 20, 0]
    assert sorted([*splits[0].test, *splits[1].test]) == list(range(40)) and splits[0].val != splits[1].val


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 2}, "split.k is 2"),
        ({"k": 5, "fold": 5}, "split.fold is 5"),
        ({"k": 5, "val": 0.8}, "split.val is 0.8"),
        ({"k": 5, "group": "("}, "no regular expression"),
    ],
)
def test_impossible_folds_are_refused(arguments, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        Folds(**arguments)


def test_folds_refuse_what_they_would_deal_anew_and_too_few_groups():
    with pytest.raises(UserError, match="1 of 9 samples"):
        Folds(3).assign(open_ids(9)[0], [None] * 8 + ["test"])
    with pytest.raises(UserError, match="2 groups of 9 samples for 3 folds"):
        Folds(3, group="^p[0-9]").assign(*grouped_ids([4, 5]))


class Masks:
    """Masks (1, classes) that hold the classes of each sample; ignored pixels too."""

    def __init__(self, present):
        self.masks = [np.array([[*labels, 255]], np.uint8) for labels in present]
        self.read_so_far = []

    def read(self, index):
        self.read_so_far.append(index)
        return None, self.masks[index]


def stratified(present, seed=0, **more):
    masks = Masks(present)
    ids, given_splits = open_ids(len(present))
    arguments = {"ids": ids, "given": given_splits} | more
    return Stratified(0.2, 0.2, seed).assign(**arguments, read=masks.read, ignore_index=255), masks


@given(st.integers(0, 99), st.lists(st.sets(st.integers(0, 4)), min_size=40, max_size=120))
def test_every_class_lies_in_each_part_by_its_share(seed, present):
    split, _ = stratified(present, seed)
    assert is_partition(split, len(present))
    for part, share in ((split.train, 0.6), (split.val, 0.2), (split.test, 0.2)):
        assert abs(len(part) - share * len(present)) <= 5
        for label in range(5):
            holders = sum(label in labels for labels in present)
            assert abs(sum(label in present[i] for i in part) - share * holders) <= 4


def test_a_class_of_a_few_samples_reaches_every_part_whatever_the_seed():
    present = [{0}] * 95 + [{0, 1}] * 5
    draws = [stratified(present, seed)[0] for seed in range(20)]
    assert all(any(1 in present[i] for i in part) for split in draws for part in split[:3])
    assert len({tuple(split.test) for split in draws}) > 15


def test_stratified_reads_each_mask_once_but_not_what_is_given_and_keeps_groups_whole():
    groups = [f"g{i // 3}" for i in range(60)]
    said = [None] * 54 + ["test"] * 6
    split, masks = stratified([{0, i % 2} for i in range(60)], groups=groups, given=said)
    assert sorted(masks.read_so_far) == list(range(54)) and list(split.test) == list(range(54, 60))
    parts = [{groups[i] for i in part} for part in split]
    assert sum(map(len, parts)) == 20 and abs(len(split.val) - 0.2 * 54) <= 3


def test_given_takes_what_the_data_says_and_nothing_less():
    said = ["train", "val", "test", "train"]
    assert lists(Given().assign(["a", "b", "c", "d"], said)) == [[0, 3], [1], [2], []]
    with pytest.raises(UserError, match=r"1 of 4 samples; .* got none for 'd'"):
        Given().assign(["a", "b", "c", "d"], [*said[:3], None])
    with pytest.raises(UserError, match="leaves test empty"):
        Given().assign(["a", "b"], ["train", "val"])
    with pytest.raises(UserError, match="finds no group in sample 'a'"):
        Given(group="x").assign(["a", "b", "c", "d"], said)


@given(st.lists(st.integers(24, 40), min_size=1, max_size=6), st.integers(0, 2), st.booleans(), st.randoms())
def test_blocks_cut_each_stack_by_itself(sizes, gap, inside, rng: random.Random):
    """As if it were alone, whichever way the stacks are known, in whatever order the samples come."""
    ids, given_splits = grouped_ids(sizes)
    mixed = rng.sample(ids, len(ids))
    stacks = [name.split("_")[0] for name in mixed]
    options = {"val": 0.15, "test": 0.2, "gap": gap, "inside": inside}
    by_name = Blocks(**options, group=r"^(p\d+)_").assign(mixed, given_splits)
    assert by_name == Blocks(**options).assign(mixed, given_splits, stacks)
    assert is_partition(by_name, len(ids))
    for stack, size in enumerate(sizes):
        own = [f"p{stack}_{i}" for i in range(size)]
        alone = Blocks(**options).assign(own, [None] * size)
        for part, lonely in zip(by_name, alone, strict=True):
            assert {mixed[i] for i in part if stacks[i] == f"p{stack}"} == {own[i] for i in lonely}


def test_groups_of_one_sample_each_are_no_stacks():
    ids, given_splits = open_ids(20)
    assert Blocks(0.2, 0.2, gap=1).assign(ids, given_splits, ids) == Blocks(0.2, 0.2, gap=1).assign(ids, given_splits)


def test_stacks_of_a_patient_are_cut_one_by_one():
    ids = [f"p{p}_s{s}/{i:02d}" for p in range(2) for s in range(2) for i in range(10)]
    scans = [name.partition("/")[0] for name in ids]
    split = Blocks(0.2, 0.2, gap=1, group=r"^(p\d)").assign(ids, [None] * 40, scans)
    assert [[i % 10 for i in part] for part in split] == [[0, 1, 2, 3] * 4, [5, 6] * 4, [8, 9] * 4, [4, 7] * 4]


def test_a_stack_too_short_for_its_slabs_is_refused():
    ids, given_splits = grouped_ids([30, 8])
    with pytest.raises(UserError, match=r"'p1' has 8 samples.* at least 13"):
        Blocks(0.15, 0.15, gap=5, group=r"^(p\d+)_").assign(ids, given_splits)
    assert Blocks(0.15, 0.15, gap=2, group=r"^(p\d+)_").assign(ids, given_splits).test


def test_a_large_set_is_split_without_an_object_a_sample():
    n = 200_000
    ids, said = NameColumn([f"s_{i}" for i in range(n)]), Codes(np.full(n, -1, np.int32), ())
    split = Ratios(0.1, 0.1).assign(ids, said)
    assert [len(part) for part in split] == [160_000, 20_000, 20_000, 0]
    assert all(memoryview(part).itemsize == 8 for part in split[:3])
    folds = Folds(5).assign(ids, said, Codes(np.arange(n) // 7, NameColumn([f"g{i}" for i in range(n // 7 + 1)])))
    assert abs(len(folds.test) - n / 5) <= 7
