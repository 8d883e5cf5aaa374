"""What a run writes is read, of every version; what it does not write is one message that names the file."""

import contextlib
import copy
import json
import math
import random

import pytest

from segtrain.errors import UserError
from segtrain.runs.config_yaml import PARTS
from segtrain.runs.contents import FILES, about_problem
from segtrain.runs.folder import RunFolder

PIXELS = {"dtypes": ["uint8"], "images": 1, "spacing": None}
PIXELS |= {key: [1.5] for key in ("lowest", "highest", "low", "high")}
SPLIT = {"fingerprint": "f", "train": ["a"], "val": ["b"], "test": ["c"], "unused": []}
WHOLE = {
    "status.json": {"state": "finished", "started_at": "2026-11-30T17:00:00+00:00", "pid": 1, "host": "h"},
    "split.json": {**SPLIT, "skipped": {}, "groups": {"c": "c"}, "pixels": PIXELS},
    "results.json": {"test/dice": 0.5, "test/dice/a": None, "test/images": 2, "best_epoch_from_1": 1, "val/dice": 0.4},
    "env.json": {"packages": {"torch": "2"}, "device": "CPU", "precision": "32", "segtrain_commit": None, "seed": 0},
    "init.json": {"init_from": "x", "file": "/x", "sha256": "0"},
    "logger.json": {"logger": "x", "run_id": "y"},
}  # fmt: skip
ABOUT = {"epoch": 1, "classes": ["a", "b"], "palette": [[0, 0, 0], [1, 2, 3]], "channels": 1, "ignore_index": 255}
WRONG = [5, -1, "x", [], {}, [5], {"a": 1}, True, 0.5, 1e308, [[]], {"a": None}]


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def put(run, name, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (run.path / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", WHOLE)
def test_what_a_run_writes_is_read(run, name):
    put(run, name, WHOLE[name])
    assert run.read_json(name).items() >= WHOLE[name].items()


def test_what_older_versions_did_not_write_has_a_default(run):
    put(run, "split.json", SPLIT)
    assert run.read_json("split.json") == {**SPLIT, "skipped": {}, "groups": {}, "pixels": None}
    put(run, "results.json", {"test/dice": None, "val/dice": 0, "test/images": 1, "best_epoch": 0, "seconds": 3.5})
    put(run, "status.json", {"state": "queued"})
    assert run.read_json("results.json")["best_epoch"] == 0 and run.status["started_at"] is None


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("content", ["", "{}", "[]", "null", "5", "{", "[" * 100_000, '{"a": 1e999}'])
def test_another_content_is_one_message(run, name, content):
    put(run, name, content)
    with pytest.raises(UserError, match=rf"{name}' is damaged"):
        run.read_json(name)


@pytest.mark.parametrize("name", WHOLE)
def test_a_value_of_another_kind_is_one_message(run, name):
    for key, field in FILES[name].items():
        for value in WRONG:
            put(run, name, {**WHOLE[name], key: value})
            if field.fits(value):
                run.read_json(name)
            else:
                with pytest.raises(UserError, match=rf"{name}' is damaged.*{key}"):
                    run.read_json(name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("split.json", {"train": ["a", "c"]}),
        ("split.json", {"test": ["c", "c"]}),
        ("results.json", {"test/dice/a": 1.5}),
        ("results.json", {"test/loss": "low"}),
        ("results.json", {"test/empty_images": 1}),
        ("results.json", {"val/dice": math.inf}),
        ("status.json", {"state": "done"}),
        ("status.json", {"ended_at": "2026-11-30T17:00:00"}),
    ],
)
def test_what_does_not_fit_together_is_one_message(run, name, change):
    put(run, name, {**WHOLE[name], **change})
    with pytest.raises(UserError, match=rf"{name}' is damaged"):
        run.read_json(name)


def test_a_split_without_what_its_version_wrote_is_damaged(run):
    """What came later says that what came before was written."""
    for gone in ("fingerprint", "train", "unused", "skipped", "groups"):
        put(run, "split.json", {key: value for key, value in WHOLE["split.json"].items() if key != gone})
        with pytest.raises(UserError, match=r"split\.json' is damaged"):
            run.read_json("split.json")


def test_what_stands_beside_weights_is_asked():
    assert (
        not about_problem(ABOUT) and not about_problem({"epoch": 0}) and not about_problem({**ABOUT, "pixels": PIXELS})
    )
    for key in ABOUT:
        assert about_problem({name: value for name, value in ABOUT.items() if name != key})
        assert all(about_problem({**ABOUT, key: value}) for value in (None, "x", -1.5, {}, [5], True, [[]]))
    assert about_problem({**ABOUT, "classes": ["a", "a"]}) and about_problem(
        {**ABOUT, "palette": [[0, 0, 256], [0, 0, 0]]}
    )


@pytest.mark.parametrize("name", ["config.yaml", "overrides.yaml", "changes.yaml"])
@pytest.mark.parametrize(
    "content",
    [
        b"", b"5", b"x", b"[[]]", b"{1: 2}", b"a: [1", b"\xff\xfe", b"\x00", b"a: &a [*a]", b"[" * 100_000,
        b"- {at: 1}", b"- 5",
        b"a: !!python/object/apply:os.getcwd []", b"a: !!set {b}", b"a: 1\na: 2", b"aug: 5", b"a: 0x" + b"f" * 5000,
    ],
)  # fmt: skip
def test_yaml_of_another_content_is_one_message(run, name, content):
    (run.path / name).write_bytes(content)
    read = {"config.yaml": run.config, "overrides.yaml": run.overrides, "changes.yaml": run.changes}[name]
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        read()


def test_a_config_reads_nothing_but_itself(run, monkeypatch):
    monkeypatch.setenv("SECRET", "canary")
    config = {part: {} for part in PARTS}
    put(run, "config.yaml", {**config, "name": "${oc.env:SECRET}"})
    with pytest.raises(UserError, match=r"config\.yaml' is damaged") as caught:
        run.config()
    assert "canary" not in str(caught.value)
    put(run, "changes.yaml", json.dumps([{"at": "x", "changed": {"aug.p": ["${oc.env:SECRET}", 1]}}]))
    with pytest.raises(UserError, match=r"changes\.yaml' is damaged"):
        run.changes()


def test_bytes_that_went_astray_never_end_in_another_error(run):
    """Any single byte of any file, changed."""
    generator = random.Random(0)
    for name, content in WHOLE.items():
        whole = bytearray(json.dumps(content).encode())
        for _ in range(60):
            some = copy.copy(whole)
            some[generator.randrange(len(some))] = generator.randrange(256)
            (run.path / name).write_bytes(some)
            with contextlib.suppress(UserError):
                run.read_json(name)
