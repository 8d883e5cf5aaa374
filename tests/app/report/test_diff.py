"""`python -m segtrain diff RUN RUN` says in what two runs differ."""

import json
import math
import shutil
import subprocess
import sys

from segtrain.runs.metrics_csv import read_csv, write_csv
from tests.app.train.test_resume import FEW, run_in
from tests.conftest import CommandLine

TRAINING = [*FEW, "trainer.max_epochs=2", "data.steps_per_epoch=2"]


def test_what_differs_is_shown_and_what_does_not_is_said(segtrain: CommandLine) -> None:
    for name, typed in (("a", []), ("b", ["data.num_workers=1"]), ("c", ["seed=1", "dataset.noise=21.0"])):
        assert segtrain(*TRAINING, *typed, f"name={name}") == 0, segtrain.err
    a, b, c = (run_in(segtrain.folder, name) for name in "abc")
    assert segtrain("diff", str(a), str(b)) == 0, segtrain.err
    assert "data.num_workers" in segtrain.out and segtrain.out.count("no difference") == 3

    assert segtrain("diff", str(a), f"c/{c.name}") == 0, segtrain.err
    for shown in ("seed", "dataset.noise", "fingerprint", "test/dice", "first differs in epoch 1", "differs most of"):
        assert shown in segtrain.out, shown

    # An image that is rightly empty in one, and has a false positive in the other, differs most.
    for copy, score in (("d", math.nan), ("e", 0.0)):
        shutil.copytree(a, segtrain.folder / "outputs" / copy / "run")
        path = segtrain.folder / "outputs" / copy / "run/per_image.csv"
        first, *rest = read_csv(path)
        foreground = [key for key in first if key.startswith(("dice", "iou", "truth")) and "background" not in key]
        gone = sum(int(first[key]) for key in foreground if key.startswith("truth/"))
        first |= {key: 0 if key.startswith("truth/") else score for key in foreground}
        name, first["truth/background"] = first["id"], first["truth/background"] + gone
        write_csv(path, [first, *rest])
        results = json.loads((path.parent / "results.json").read_text())
        for key in [key for key in results if key.startswith("test/empty_images/") and "background" not in key]:
            results[key] += 1
        pooled = [key for key in results if key.startswith("test/dice/")]  # of the pixels before
        (path.parent / "results.json").write_text(json.dumps({k: v for k, v in results.items() if k not in pooled}))
    assert segtrain("diff", "d/run", "e/run") == 0, segtrain.err
    assert f"dice of {name} (differs most of 1)" in segtrain.out and "1.0000" in segtrain.out


def test_what_is_no_pair_of_runs_is_a_message(segtrain: CommandLine) -> None:
    for typed in ([], ["a"], ["a", "b", "c"]):
        assert segtrain("diff", *typed) == 2 and "diff compares two runs" in segtrain.err
    assert segtrain("diff", "a", "b") == 2 and "'a' is no run folder" in segtrain.err


def test_it_needs_no_torch() -> None:
    code = "import sys; import segtrain.app.report.diff, segtrain.parts.config_changes\n"
    code += "assert not {'torch', 'lightning', 'cv2', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
