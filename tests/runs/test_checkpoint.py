"""At every moment at least one whole checkpoint exists, and a damaged one is never used."""

import errno
import hashlib
import json
import os
import random
import resource
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segtrain.errors import UserError
from segtrain.runs.checkpoint import (
    CheckpointWriter,
    newest,
    read_checkpoint,
    save_best,
    save_last,
    save_weights,
    write_checkpoint,
)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """No real syncing, milliseconds a call: only a power cut would show its effect."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


BEST_OF = ({"w": torch.arange(12.0).view(3, 4).t()}, {"epoch": 3, "val/dice": 0.5})


def made(step):
    return {"step": step, "weights": OrderedDict(w=torch.full((300,), float(step))), "best": None}


TENSORS = st.builds(
    lambda shape, value, swap: torch.full(shape, value).transpose(0, 1) if swap else torch.full(shape, value),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([0, 1, 0.5, -1.5, True]),
    st.booleans(),
)
TREES = st.recursive(
    TENSORS
    | st.builds(Counter, st.dictionaries(st.integers(0, 9), st.integers(1, 3)))
    | st.sets(st.integers(0, 3))
    | st.integers(),
    lambda trees: (
        st.lists(trees, max_size=3)
        | st.builds(lambda items: tuple(items), st.lists(trees, max_size=3))
        | st.dictionaries(st.sampled_from("abc"), trees, max_size=3)
        | st.builds(OrderedDict, st.dictionaries(st.sampled_from("abc"), trees, max_size=3))
    ),
    max_leaves=8,
)


def step_of(path):
    checkpoint = read_checkpoint(path)
    assert torch.equal(checkpoint["weights"]["w"], torch.full((300,), float(checkpoint["step"])))
    return checkpoint["step"]


class Killed(BaseException):
    """The process dies here."""


class Death:
    """Kills the process at the k-th change it makes on the disk; afterwards nothing changes any more."""

    def __init__(self, monkeypatch, at, *, done_first):
        self.left = at
        for name in ("replace", "fsync", "link", "unlink"):
            monkeypatch.setattr(os, name, self.wrapped(getattr(os, name), done_first))

    def wrapped(self, call, done_first):
        def dying(*arguments, **options):
            self.left -= 1
            if self.left == 0 and done_first:
                call(*arguments, **options)
            if self.left <= 0:
                raise Killed
            return call(*arguments, **options)

        return dying


def killed_at(monkeypatch, at, done_first, action):
    """Whether the action died at its k-th change; False when it has fewer."""
    with monkeypatch.context() as patched:
        Death(patched, at, done_first=done_first)
        try:
            action()
        except Killed:
            return True
    return False


def test_reads_back_what_was_written_and_sha256sum_agrees(tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(made(3), path)
    assert step_of(path) == 3
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (tmp_path / "a.ckpt.sha256").read_text() == f"{digest}  a.ckpt\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_plain_states_of_training_survive(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.zeros(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    bits = np.random.default_rng(0).bit_generator.state
    states = {"torch": torch.get_rng_state(), "python": random.Random(0).getstate(), "numpy": bits}
    whole = {"net": network.state_dict(), "optimizer": optimizer.state_dict(), "random": states}
    write_checkpoint(whole, tmp_path / "a.ckpt")
    back = read_checkpoint(tmp_path / "a.ckpt")
    assert back["random"]["python"] == states["python"] and back["random"]["numpy"] == bits
    optimizer.load_state_dict(back["optimizer"])
    network.load_state_dict(back["net"])


@pytest.mark.parametrize("value", [np.float64(1), np.zeros(2), defaultdict(int), torch.__version__, object()])
def test_what_could_not_be_read_back_is_refused_at_writing(tmp_path, value):
    with pytest.raises(TypeError, match=r"checkpoint\['a'\]\[0\] is a "):
        write_checkpoint({"a": [value]}, tmp_path / "a.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("done_first", [False, True])
def test_write_killed_anywhere_leaves_the_old_or_the_new(tmp_path, monkeypatch, done_first):
    seen = set()
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        write_checkpoint(made(1), folder / "a.ckpt")
        died = killed_at(monkeypatch, at, done_first, lambda: write_checkpoint(made(2), folder / "a.ckpt"))  # noqa: B023
        seen.add(step_of(folder / "a.ckpt"))
        if not died:
            break
    assert at > 6 and not died and seen == {1, 2}


@pytest.mark.parametrize("done_first", [False, True])
@pytest.mark.parametrize("before", [1, 2, 3])
def test_save_last_killed_anywhere_leaves_a_whole_one(tmp_path, monkeypatch, before, done_first):
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        for step in range(before):
            save_last(made(step), folder)
        died = killed_at(monkeypatch, at, done_first, lambda: save_last(made(before), folder))  # noqa: B023
        path, warning = newest(folder)
        assert warning is None and step_of(path) in (before - 1, before)
        save_last(made(before + 1), folder)
        assert step_of(folder / "last.ckpt") == before + 1
        assert step_of(folder / "previous.ckpt") in (before - 1, before)
        if not died:
            break
    assert at > 10 and not died


@pytest.mark.parametrize("done_first", [False, True])
def test_save_best_killed_anywhere_leaves_a_whole_one(tmp_path, monkeypatch, done_first):
    seen = set()
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        save_last(made(1), folder)
        save_best(folder)
        save_last(made(2), folder)
        died = killed_at(monkeypatch, at, done_first, lambda: save_best(folder))  # noqa: B023
        seen.add(step_of(folder / "best.ckpt"))
        if not died:
            break
    assert not died and seen == {1, 2}


def test_last_becomes_previous_and_best_stays(tmp_path):
    for step in range(4):
        save_last(made(step), tmp_path)
        if step == 1:
            save_best(tmp_path)
    steps = [step_of(tmp_path / f"{name}.ckpt") for name in ("best", "previous", "last")]
    assert steps == [1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 6
    assert newest(tmp_path) == (tmp_path / "last.ckpt", None)


def test_best_weights_are_safetensors_with_what_they_are_the_best_of(tmp_path):
    written = []
    for _ in range(2):
        save_weights(tmp_path, *BEST_OF)
        written.append((tmp_path / "best.safetensors").read_bytes())
    assert written[0] == written[1]
    with safetensors.safe_open(tmp_path / "best.safetensors", "pt") as file:
        assert torch.equal(file.get_tensor("w"), BEST_OF[0]["w"])
        assert json.loads(file.metadata()["segtrain"]) == BEST_OF[1]


def test_writer_keeps_the_order_and_what_a_tensor_was_when_it_was_handed_over(tmp_path):
    writer, weights = CheckpointWriter(tmp_path), torch.zeros(300)
    for step in range(4):
        weights.fill_(step)
        writer.last({"step": step, "weights": OrderedDict(w=weights), "best": None})
        if step == 2:
            writer.best()
    weights.fill_(9)
    writer.wait()
    assert [step_of(tmp_path / name) for name in ("last.ckpt", "previous.ckpt", "best.ckpt")] == [3, 2, 2]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=st.lists(TREES, min_size=2, max_size=4))
def test_writer_writes_each_tree_as_it_was_whatever_came_before(tmp_path, trees):
    writer = CheckpointWriter(tmp_path)
    for number, tree in enumerate(trees):
        writer.last({"number": number, "tree": tree})
        writer.wait()
        loaded = read_checkpoint(tmp_path / "last.ckpt")
        assert loaded["number"] == number
        assert alike(loaded["tree"], tree)


def alike(one, other):
    """Same types, values and, of tensors, layout."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.stride() == other.stride() and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def test_writer_tells_of_a_full_disk_once_asked(tmp_path):
    writer = CheckpointWriter(tmp_path / "missing")
    writer.last(made(0))
    with pytest.raises(UserError, match="could not write"):
        writer.wait()
    writer.wait()


def test_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    test_last_becomes_previous_and_best_stays(tmp_path)


def cut_in_half(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove_its_sum(path):
    path.with_name(path.name + ".sha256").unlink()


damages = pytest.mark.parametrize("damage", [cut_in_half, flip_a_bit, remove_its_sum, os.unlink])


@damages
def test_damaged_last_is_named_and_previous_used(tmp_path, damage):
    for step in (1, 2):
        save_last(made(step), tmp_path)
    (tmp_path / "last.ckpt").write_bytes((tmp_path / "last.ckpt").read_bytes())
    damage(tmp_path / "last.ckpt")
    path, warning = newest(tmp_path)
    assert step_of(path) == 1
    assert "last.ckpt" in warning and "previous.ckpt" in warning
    with pytest.raises(UserError, match=r"last\.ckpt"):
        read_checkpoint(tmp_path / "last.ckpt")


@damages
@pytest.mark.parametrize("done_first", [False, True])
def test_going_on_from_previous_never_loses_the_only_whole_one(tmp_path, monkeypatch, damage, done_first):
    for at in range(1, 100):
        folder = tmp_path / str(at)
        folder.mkdir()
        for step in (1, 2):
            save_last(made(step), folder)
        damage(folder / "last.ckpt")
        died = killed_at(monkeypatch, at, done_first, lambda: save_last(made(3), folder))  # noqa: B023
        assert step_of(newest(folder)[0]) in (1, 3)
        if not died:
            break
    assert not died and step_of(folder / "last.ckpt") == 3


def test_cut_off_last_does_not_replace_previous(tmp_path):
    for step in (1, 2):
        save_last(made(step), tmp_path)
    cut_in_half(tmp_path / "last.ckpt")
    save_last(made(3), tmp_path)
    assert step_of(tmp_path / "previous.ckpt") == 1


def test_nothing_to_go_on_from(tmp_path):
    with pytest.raises(UserError, match=r"last\.ckpt.*previous\.ckpt.*run again"):
        newest(tmp_path)


@pytest.mark.parametrize("left", ["best.ckpt", "best.safetensors"])
def test_with_nothing_to_go_on_from_the_weights_that_are_left_are_named(left: str, tmp_path) -> None:
    save_last(made(1), tmp_path)
    save_best(tmp_path)
    save_weights(tmp_path, {"a": torch.zeros(1)}, {})
    cut_in_half(tmp_path / "last.ckpt")
    for name in {"best.ckpt", "best.safetensors"} - {left}:
        (tmp_path / name).unlink()
    if left == "best.ckpt":  # best is a link to last, so that it is damaged too
        with pytest.raises(UserError) as caught:
            newest(tmp_path)
        assert "init_from" not in str(caught.value)
        (tmp_path / left).unlink()
        write_checkpoint(made(1), tmp_path / left)
    with pytest.raises(UserError, match=f"init_from='.*{left}'"):
        newest(tmp_path)


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    path = tmp_path / "a.ckpt"
    torch.save({"a": Evil()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name("a.ckpt.sha256").write_text(f"{digest}  a.ckpt\n")
    with pytest.raises(UserError, match=r"a\.ckpt' was not loaded"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_full_disk_is_one_error_and_keeps_both(tmp_path):
    """The kernel itself refuses the bytes: a file size limit below the checkpoint's size."""
    for step in (1, 2):
        save_last(made(step), tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"could not write '.*last\.ckpt': File too large; "):
            save_last({"weights": torch.zeros(1_000_000)}, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [step_of(tmp_path / f"{name}.ckpt") for name in ("previous", "last")] == [1, 2]
    assert len(list(tmp_path.iterdir())) == 4
