import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from segtrain.data.split import Blocks, Ratios, Split
from segtrain.errors import UserError

shares = st.floats(0.01, 0.45)
EIGHT = Split(train=(0, 2, 4, 5), val=(3, 6), test=(1, 7), unused=())  # seed 0, 8 samples
group_sizes = st.lists(st.integers(1, 12), min_size=3, max_size=25)


def open_ids(n):
    return [f"s_{i}" for i in range(n)], [None] * n


def grouped_ids(sizes):
    ids = [f"p{group}_{i}" for group, size in enumerate(sizes) for i in range(size)]
    return ids, [None] * len(ids)


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
    assert len({draw.val for draw in draws}) > 190
    counts = [sum(i in draw.val for draw in draws) for i in range(20)]
    assert min(counts) > 15 and max(counts) < 65  # 40 expected, standard deviation 5.7


def test_one_draw_stays_the_same_over_versions():
    assert Ratios(0.25, 0.25, seed=0).assign(*open_ids(8)) == EIGHT


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
        assert split.val == tuple(range(val)) and split.test == tuple(range(val, val + test))
        assert split.train == tuple(range(val + test, len(ids))) and not split.unused


def test_missing_val_is_drawn_from_train_and_open_samples():
    ids, _ = open_ids(30)
    split = Ratios(0.2, 0.2).assign(ids, ["test"] * 10 + ["train"] * 10 + [None] * 10)
    assert split.test == tuple(range(10)) and len(split.val) == 4 and is_partition(split, 30)


def test_a_group_on_two_sides_of_the_data_is_refused():
    with pytest.raises(UserError, match="group 'p1' lies in train and in test"):
        Ratios(0.2, 0.2, group=r"p\d").assign(["p1_a", "p2_a", "p3_a", "p1_b"], [None, None, None, "test"])


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
        with pytest.raises(UserError, match=r"the split leaves (train|val|test) empty; expected"):
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
