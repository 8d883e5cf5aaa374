"""The run folder's files, its status, and its name."""

import json
import math
import os
import socket
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segtrain.errors import UserError
from segtrain.runs.config_yaml import PARTS
from segtrain.runs.folder import RunFolder
from segtrain.runs.run_files import folder_name

WHOLE = {part: {} for part in PARTS}
CONFIG = f"{json.dumps({**WHOLE, 'aug': {'strength': 0.5}})}  # kept as given\n"
OTHER = json.dumps({**WHOLE, "other": 1})
SCORED = {"test/dice": 0.5, "val/dice": 0.4, "test/images": 2, "best_epoch_from_1": 1}


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "outputs" / "aug=none")
    folder.create(CONFIG, ["aug=none", "+x='${y}'"])
    return folder


def test_created_run_holds_what_it_was_given(run):
    assert run.exists and run.checkpoints.is_dir()
    assert run.config() == {**WHOLE, "aug": {"strength": 0.5}}
    assert run.overrides() == ["aug=none", "+x='${y}'"]
    assert run.status["state"] == "queued"
    assert not list(run.path.rglob("*.part"))


def test_status_through_a_run_that_fails_and_is_tried_again(run):
    run.set_status("running")
    running = run.status
    assert (running["pid"], running["host"]) == (os.getpid(), socket.gethostname())
    run.set_status("failed", error="out of memory")
    failed = run.status
    assert (failed["state"], failed["error"]) == ("failed", "out of memory")
    times = [datetime.fromisoformat(failed[key]) for key in ("queued_at", "started_at", "ended_at")]
    assert times == sorted(times) and all(time.tzinfo for time in times)
    run.set_status("running")
    assert run.status["error"] is None and run.status["ended_at"] is None
    assert run.status["queued_at"] == failed["queued_at"]


def test_running_clears_what_a_killed_process_left(run):
    left = [run.path / ".status.json.1.part", run.checkpoints / ".last.ckpt.1.part"]
    for path in left:
        path.write_text("half")
    run.set_status("running")
    assert not any(path.exists() for path in left)


def test_json_keeps_order_and_writes_no_nan(run):
    run.write_json("drawn.json", {"dice": 0.5, "a": math.nan, "b": [math.inf, {"c": -math.inf}], "é": 1})
    text = (run.path / "drawn.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=pytest.fail)
    assert run.read_json("drawn.json") == {"dice": 0.5, "a": None, "b": [None, {"c": None}], "é": 1}
    assert list(run.read_json("drawn.json")) == ["dice", "a", "b", "é"]


@pytest.mark.parametrize("content", ["{", "[1]", "\x00"])
def test_damaged_json_is_named(run, content):
    (run.path / "status.json").write_text(content)
    with pytest.raises(UserError, match=r"status\.json' is damaged"):
        _ = run.status


def test_folder_of_something_else_is_named(tmp_path):
    with pytest.raises(UserError, match=r"expected config\.yaml"):
        RunFolder(tmp_path).config()
    assert not RunFolder(tmp_path).exists


def test_finished_run_is_not_replaced(run):
    run.set_status("finished")
    with pytest.raises(UserError, match=r"one finished.*another name="):
        run.create(OTHER, [])
    assert run.config() == {**WHOLE, "aug": {"strength": 0.5}}


def test_run_with_a_checkpoint_is_not_thrown_away(run):
    run.set_status("interrupted")
    (run.checkpoints / "last.ckpt").write_text("x")
    with pytest.raises(UserError, match=r"resume='.*aug=none'"):
        run.create(OTHER, [])


@pytest.mark.parametrize("state", ["failed", "running", "interrupted"])  # running: its process was killed
def test_run_without_a_checkpoint_starts_over(run, state):
    run.metrics.append({"epoch": 0, "step": 1})
    run.set_status(state, error="x")
    run.create(OTHER, [])
    assert run.config() == {**WHOLE, "other": 1} and run.overrides() == [] and run.metrics.rows() == []
    assert run.status["error"] is None


def test_a_run_without_changes_has_none(run):
    assert run.changes() == []


def test_a_change_is_recorded_and_keeps_old_results(run):
    run.write_json("results.json", SCORED)
    run.change(json.dumps({**WHOLE, "a": 2}), {"a": [1, 2]}, 3, 0)
    run.change(json.dumps({**WHOLE, "a": 3}), {"a": [2, 3], "b": ["${x}", None]}, 5, 7)
    entries = run.changes()
    assert [(entry["epoch"], entry["batch"]) for entry in entries] == [(3, 0), (5, 7)]
    assert [entry["changed"] for entry in entries] == [{"a": [1, 2]}, {"a": [2, 3], "b": ["${x}", None]}]
    assert run.config() == {**WHOLE, "a": 3} and run.read_json("results-before-1.json") == SCORED
    assert not (run.path / "results.json").exists()


def test_config_is_data(run):
    (run.path / "config.yaml").write_text("a: !!python/object/apply:os.mkdir [made]\n")
    with pytest.raises(UserError, match=r"config\.yaml' is damaged; expected plain YAML"):
        run.config()


def test_place_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="could not write"):
        RunFolder(tmp_path / "file" / "run").create(CONFIG, [])


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "default"),
        (["name=x", "hydra.job.chdir=true", "hydra/launcher=basic", "data.num_workers=2"], "default"),
        (["logger=csv", "logger@second=mlflow", "++debug=true", "resume=a/b", "outputs=/x"], "default"),
        (["model=unet", "aug=none", "+x=1", "++y=2"], "model=unet,aug=none,x=1,y=2"),
        (
            ["aug=medical_elastic", "aug.strength=0.5", "seed=1"],
            "aug=medical_elastic,aug.strength=0.5,seed=1",
        ),
        (["a = 'b c'", 'd="e"'], "a=bc,d=e"),
        (["dataset.root=/data/a:b*?", "c=[1,2]"], "dataset.root=-data-a-b--,c=-1,2-"),
        (["name_of=1", "model.name=x", "~loss"], "name_of=1,model.name=x,-loss"),
        (["..", "a=1."], ",a=1"),
    ],
)
def test_names(overrides, name):
    assert folder_name(overrides) == name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["a=1", ".", "'", "+"])))
def test_name_is_always_one_safe_path_component(overrides):
    name = folder_name(overrides)
    assert name and not name.startswith(".") and not name.endswith(".")
    assert len(name) <= 120 and len(name.encode()) <= 200
    assert not set(name) & set('/\\:*?"<>|\0 \n\t') and name.isprintable()


values = st.integers(-9999, 9999).map(str) | st.sampled_from(["none", "flips", "0.5", "1e-3"])
pairs = st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,30}\.[a-z_]{1,9}", fullmatch=True), values, max_size=9)
typed = pairs.map(lambda chosen: [f"{key}={value}" for key, value in chosen.items() if key[:5] != "hydra"])


@given(typed, typed)
def test_different_choices_get_different_names(one, other):
    shown = [[text for text in choice if not text.startswith("logger")] for choice in (one, other)]
    assert (folder_name(one) == folder_name(other)) == (shown[0] == shown[1])


def test_long_names_differ_by_their_hash():
    long = [f"group.key_{index}=value" for index in range(20)]
    names = {folder_name([*long, f"seed={seed}"]) for seed in range(5)}
    assert len(names) == 5 and all(len(name) == 120 for name in names)
