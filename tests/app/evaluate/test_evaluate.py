"""A run scored again from its folder: its results to the bit, on other data, by several runs, under shifts."""

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segtrain.__main__ import main
from segtrain.app.report.findings import compare_runs
from tests.conftest import SMALL, CommandLine
from tests.drawing import drawn_in_full

SIZES = [(40, 72), (64, 64), (33, 50)]  # pixels: some are multiples of the stride, most are not
SHORT = [option for option in SMALL if "max_epochs" not in option] + ["trainer.max_epochs=1"]
COMMON = [option for option in SHORT if not option.startswith("dataset")]
CLASSES = "dataset.classes={background:0,cell:1,other:2}"
FOLDER = ["dataset=folder", "dataset.root=data", CLASSES, "dataset.ignore_value=255", *COMMON]
FOLDS = [*SHORT, "trainer.precision=bf16-mixed", "split=folds", "dataset.split.k=3"]
RUNS = {
    "mixed": [*FOLDER, "loss=ce", "loss.class_weights=inverse"],
    "again": [*FOLDER, "seed=1"],
    "fold0": [*FOLDS, "dataset.split.fold=0"],
    "fold1": [*FOLDS, "dataset.split.fold=1"],
    "double": [*FOLDER, "trainer.precision=64-true"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data of several sizes, some pixels ignored, and a run of each name."""
    folder = tmp_path_factory.mktemp("evaluated")
    write_images(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        for name, arguments in RUNS.items():
            patch.setattr("sys.argv", ["segtrain", f"name={name}", *arguments])
            main()
    return folder


@pytest.fixture
def evaluate(segtrain: CommandLine, trained: Path) -> Iterator[Callable[..., Path]]:
    """evaluate("mixed", "views=flips") -> the folder of what came out of that run."""
    segtrain.folder = trained

    def call(name: str, *arguments: str, status: int = 0) -> Path:
        assert segtrain("evaluate", f"run={run_of(trained, name)}", *arguments) == status, segtrain.err
        written = (trained / "outputs/evaluate").glob("*/*/*/results.json")
        return max(written, key=lambda path: path.stat().st_mtime_ns).parent if status == 0 else trained

    yield call


def write_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(16):
        height, width = SIZES[i % len(SIZES)]
        mask = np.zeros((height, width), np.uint8)
        mask[5 + i : 25 + i // 2, 10:30] = 1
        mask[: 8 + i % 3, 30 : 36 + i] = 2 if i % 4 else 0
        image = np.clip(60 * mask + rng.normal(90, 20, mask.shape), 0, 255).astype(np.uint8)
        mask[-3:, :7] = 255
        Image.fromarray(image).save(folder / "images" / f"p{i // 2}_{i}.png")
        Image.fromarray(mask).save(folder / "masks" / f"p{i // 2}_{i}.png")


def run_of(folder: Path, name: str) -> Path:
    (path,) = (folder / "outputs" / name).glob("*/config.yaml")
    return path.parent.relative_to(folder)


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["mixed", "fold1", "double"])
def test_a_finished_run_comes_out_exactly_and_stays_as_it_is(name: str, evaluate: Any, trained: Path) -> None:
    run = trained / run_of(trained, name)
    before, theirs = content(run), read(run)
    out = evaluate(name, "surface=false")
    ours = read(out)
    assert {key: ours[key] for key in theirs} == theirs and list(ours)[: len(theirs)] == list(theirs)
    assert (out / "per_image.csv").read_bytes() == (run / "per_image.csv").read_bytes()
    assert content(run) == before


def test_all_that_comes_out(evaluate: Any, trained: Path) -> None:
    with drawn_in_full():
        out = evaluate("mixed")
    names = {path.name for path in out.iterdir()}
    files = {"results.json", "per_image.csv", "confusion.png", "reliability.png", "gallery.png", "evaluate.html"}
    assert names == files
    found, run = read(out), trained / run_of(trained, "mixed")
    lines, theirs = ((f / "per_image.csv").read_text().splitlines() for f in (out, run))
    assert all(line.startswith(f"{first},") for line, first in zip(lines, theirs, strict=True))
    table = rows(out / "per_image.csv")
    for key in ("hd95/cell", "asd", "surface_dice/other", "boundary_iou"):
        known = [float(row[key]) for row in table if row[key] != "nan"]
        assert found[f"test/{key}"] == pytest.approx(np.mean(known), abs=1e-12)
    assert {"test/dice", "test/iou/cell", "test/dice_micro", "test/hd95", "test/recall_image_mean"} <= {
        *found["intervals"]
    }
    assert all(pair == [None, None] for pair in found["intervals"].values()), "three images: too few for any"
    assert any("No score has an interval" in note for note in found["notes"])
    page = (out / "evaluate.html").read_text()
    assert "<script" not in page and "http" not in page and "worst: p" in page and page.count("<img") > 6


def test_empty_images_count_by_one_rule_in_table_results_page_and_under_shifts(
    evaluate: Any, segtrain: CommandLine, trained: Path
) -> None:
    """Data of which half is empty and one image all ignored: every number is that of the rows of per_image.csv."""
    folder = trained / "half"
    if not folder.exists():
        write_images(folder)
        for path in sorted((folder / "masks").iterdir())[::2]:
            Image.fromarray(np.zeros_like(np.array(Image.open(path)))).save(path)
        Image.fromarray(np.full((40, 72), 255, np.uint8)).save(folder / "masks/p0_0.png")
    out = evaluate("mixed", "dataset=folder", "dataset.root=half", CLASSES, "dataset.ignore_value=255", "split=all",
                   "shift=noise", "shift_strength=2")  # fmt: skip
    found, table = read(out), rows(out / "per_image.csv")
    scored = [row for row in table if row["pixels"] != "0"]
    empty = [row for row in scored if row["truth/cell"] == row["truth/other"] == "0"]
    wrong = [row for row in empty if row["dice"] != "nan"]
    assert len(table) == 16 and len(scored) == 15 == found["all/images_counted"] and found["all/unscored_images"] == 1
    assert (found["all/empty_images"], found["all/false_positive_images"]) == (len(empty), len(wrong))
    assert len(empty) == 7 and found["all/false_positive_rate"] == len(wrong) / 7
    for key in ("dice", "iou", "surface_dice"):
        values = [1.0 if row[key] == "nan" else float(row[key]) for row in scored]
        name = key if key == "surface_dice" else f"{key}_image_mean"
        assert found[f"all/{name}"] == pytest.approx(np.mean(values)), key
        low, high = found["intervals"][f"all/{name}"]
        assert low <= np.mean(values) <= high
    low, high = found["intervals"]["all/false_positive_rate"]
    assert 0 <= low <= len(wrong) / 7 <= high <= 1 and low < high
    distances = [float(row["hd95"]) for row in table if row["hd95"] != "nan"]
    assert found["all/hd95"] == pytest.approx(np.mean(distances)) and found["all/distance_images"] == len(distances)
    words = f"{len(wrong)} of 7 ({100 * len(wrong) / 7:.0f} %)"
    page = (out / "evaluate.html").read_text()
    assert words in segtrain.out and words in page
    assert all(note in " ".join(segtrain.out.split()) for note in found["notes"]) and "ignored: 1" in segtrain.out
    plain, shifted = rows(out / "shifts.csv")
    assert int(plain["empty_images"]) == int(shifted["empty_images"]) == 7
    assert float(plain["dice_image_mean"]) == found["all/dice_image_mean"]
    assert f"false positives on {shifted['false_positive_images']} of 7" in segtrain.out


def test_the_validation_images_give_the_score_that_training_chose_by(evaluate: Any, trained: Path) -> None:
    best = read(trained / run_of(trained, "mixed"))["val/dice"]
    assert read(evaluate("mixed", "split=val", "surface=false"))["val/dice"] == pytest.approx(
        best, abs=1e-7
    )  # kept as float32


@pytest.mark.slow
def test_windows_and_views(evaluate: Any) -> None:
    plain = read(evaluate("mixed", "surface=false"))
    large = read(evaluate("mixed", "surface=false", "window=128", "views=none"))
    assert {k: v for k, v in large.items() if k.startswith("test/dice/")} == {
        k: v for k, v in plain.items() if k.startswith("test/dice/")
    }
    flipped = read(evaluate("mixed", "surface=false", "window=[32,64]", "overlap=0.5", "views=flips,none"))
    assert flipped["test/dice"] != plain["test/dice"] and flipped["evaluated"]["views"] == ["flips", "none"]


@pytest.mark.slow
def test_distances_in_mm(evaluate: Any) -> None:
    pixels = read(evaluate("mixed", "tolerance=1"))
    mm = read(evaluate("mixed", "tolerance=2", "spacing=2,2"))
    assert mm["test/hd95"] == pytest.approx(2 * pixels["test/hd95"])
    assert mm["test/surface_dice"] == pytest.approx(pixels["test/surface_dice"])
    assert (pixels["evaluated"]["distances_in"], mm["evaluated"]["distances_in"]) == ("pixels", "mm")


@pytest.mark.slow
def test_several_runs_as_one_and_each_by_itself(evaluate: Any, segtrain: CommandLine, trained: Path) -> None:
    both = [run_of(trained, name) for name in ("mixed", "again")]
    assert segtrain("evaluate", f"run=[{both[0]},{both[1]}]", "surface=false") == 0, segtrain.err
    (out,) = (trained / "outputs/evaluate/mixed").glob("2-runs-*/*")
    found = read(out)
    assert len(found["evaluated"]["runs"]) == 2 and "best_epoch" not in found and "test/loss" not in found
    assert found["test/dice"] not in [read(trained / run)["test/dice"] for run in both]
    assert segtrain("evaluate", "run=outputs/fold?/*", "ensemble=false", "surface=false", "bootstrap=0") == 0
    for name in ("fold0", "fold1"):
        run = run_of(trained, name)
        (out,) = (trained / "outputs/evaluate" / name / run.name).glob("*bootstrap=0*")
        assert read(out)["test/dice"] == read(trained / run)["test/dice"] and read(out)["intervals"] == {}


def test_of_many_runs_by_themselves_one_that_cannot_be_scored_stops_no_other(
    segtrain: CommandLine, trained: Path, tmp_path: Path
) -> None:
    run = trained / run_of(trained, "fold0")
    for name in ("a", "b", "c"):
        shutil.copytree(run, tmp_path / "outputs" / "many" / name)
    shutil.rmtree(tmp_path / "outputs/many/b/checkpoints")
    assert segtrain("evaluate", "run=outputs/many/*", "ensemble=false", "surface=false", "bootstrap=0") == 2
    assert "1 of 3 runs could not be scored" in segtrain.err and "many/b: " in segtrain.err
    assert len([*(tmp_path / "outputs/evaluate/many").glob("[ac]/*/results.json")]) == 2


def test_folds_together_test_each_image_by_the_run_that_has_not_seen_it(segtrain: CommandLine, trained: Path) -> None:
    segtrain.folder = trained
    runs = [trained / run_of(trained, name) for name in ("fold0", "fold1")]
    assert segtrain("evaluate", "run=outputs/fold?/*", "ensemble=unseen", "surface=false") == 0, segtrain.err
    (out,) = (trained / "outputs/evaluate/fold0").glob("2-runs-*/*ensemble=unseen*")
    theirs = [row for run in runs for row in rows(run / "per_image.csv")]
    assert rows(out / "per_image.csv") == sorted(theirs, key=lambda row: row["id"])
    assert "test/loss" not in read(out) and "careful" not in segtrain.out
    assert segtrain("evaluate", "run=outputs/fold?/*", "ensemble=unseen", "split=val") == 2
    assert "each test image by the runs that have not seen it" in segtrain.err


def test_an_ensemble_is_not_tested_on_what_one_of_it_has_seen(segtrain: CommandLine, trained: Path) -> None:
    segtrain.folder = trained
    assert segtrain("evaluate", "run=outputs/fold?/*") == 2
    assert "was trained or chosen on" in segtrain.err and "ensemble=unseen" in segtrain.err


def test_data_that_moved_are_the_same_data(evaluate: Any, trained: Path) -> None:
    moved = trained / "moved"
    (trained / "data").rename(moved)
    try:
        found = read(evaluate("mixed", "dataset.root=moved", "surface=false"))
    finally:
        moved.rename(trained / "data")
    assert found["evaluated"]["own_data"] is True
    assert found["test/loss"] == read(trained / run_of(trained, "mixed"))["test/loss"]


def test_other_pixels_than_the_trainings_are_refused_unless_allowed(
    evaluate: Any, segtrain: CommandLine, trained: Path
) -> None:
    for path in sorted((trained / "data/images").iterdir()):
        deep = np.array(Image.open(path)).astype(np.uint16) * 257
        (trained / "deep/images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(deep).save(trained / "deep/images" / path.name)
    shutil.copytree(trained / "data/masks", trained / "deep/masks")
    command = ["mixed", "dataset.root=deep", "split=all", "surface=false", "bootstrap=0"]
    evaluate(*command, status=2)
    assert "uint16 pixels; expected uint8" in segtrain.err
    found = read(evaluate(*command, "allow_other_pixels=true"))
    assert found["all/images"] == 16 and found["evaluated"]["own_data"] is False


@pytest.mark.slow
def test_other_data(evaluate: Any, segtrain: CommandLine, trained: Path) -> None:
    found = read(evaluate("fold0", "dataset=shapes", "dataset.seed=5", "dataset.n=6", "split=all", "surface=false"))
    assert found["all/images"] == 6 and found["evaluated"]["own_data"] is False and "all/loss" not in found
    assert "careful: 6 of these images" not in segtrain.out
    conf = trained / "conf/dataset"
    conf.mkdir(parents=True)
    (conf / "theirs.yaml").write_text("defaults: [shapes]\nn: 10\nseed: 7\n")
    found = read(evaluate("fold0", "--config-dir", "conf", "dataset=theirs", "surface=false"))
    assert found["evaluated"]["dataset"] == "theirs" and 0 < found["test/images"] < 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dataset=shapes", "dataset.channels=3"], "expected channels 1, as it was trained with; got 3"),
        (["dataset=shapes", "dataset.seed=9", "dataset.n=2"], "leaves"),
        (["split=blocks"], "another split would test"),
        (["shift=cutmix"], "mixes training samples"),
        (["shift=nose"], "did you mean aug=noise"),
        (["shift=randaugment", "shift_strength=3"], "contrast=1.35 would make the factor"),
        (["split=tset"], "split"),
        (["bootstrap=-1"], "bootstrap is -1; expected a whole number from 0"),
        (["views=flip"], "views has 'flip'"),
        (["window=50"], "multiples of 32"),
        (["overlap=1"], "expected a share from 0 to 0.95"),
        (["spacing=2"], "expected null or mm a pixel"),
        (["device=tpu"], "expected auto, cpu or gpu"),
        (["windw=64"], "there is no key 'windw'"),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], words: str, evaluate: Any, segtrain: CommandLine) -> None:
    evaluate("fold0", *arguments, status=2)
    assert segtrain.err.startswith("error: ") and words in " ".join(segtrain.err.split()), segtrain.err


def test_which_run_is_asked(segtrain: CommandLine, trained: Path) -> None:
    segtrain.folder = trained
    assert segtrain("evaluate") == 2
    assert "run=outputs/NAME/RUN" in segtrain.err
    assert segtrain("evaluate", "run=outputs/nothing/*") == 2
    assert "no run fits" in segtrain.err


def test_changed_data_are_refused(evaluate: Any, segtrain: CommandLine, trained: Path) -> None:
    image = trained / "data/images/p0_0.png"
    before = image.read_bytes()
    Image.fromarray(np.zeros(SIZES[0], np.uint8)).save(image)
    try:
        evaluate("mixed", status=2)
    finally:
        image.write_bytes(before)
    assert "has changed since it was trained" in segtrain.err


def test_scores_under_shifts(evaluate: Any, trained: Path) -> None:
    run = trained / run_of(trained, "again")
    before = content(run)
    with drawn_in_full():
        out = evaluate("again", "shift=noise,flips", "shift_strength=0,2", "surface=false")
    table = rows(out / "shifts.csv")
    assert [(row["shift"], float(row["strength"])) for row in table] == [
        *(("noise", 0.0), ("noise", 2.0), ("flips", 0.0), ("flips", 2.0))
    ]
    plain = read(out)
    for row in table:
        assert (float(row["dice"]) == plain["test/dice"]) == (float(row["strength"]) == 0), row
        assert (float(row["dice_image_mean"]) == plain["test/dice_image_mean"]) == (float(row["strength"]) == 0)
    assert (out / "shifts.png").stat().st_size and "Under shifts" in (out / "evaluate.html").read_text()
    after = content(run)
    assert {path for path in after if after[path] != before.get(path)} == {str(run / "robustness.csv")}
    evaluate("again", "shift=blur", "shift_strength=1", "surface=false")
    evaluate("again", "shift=flips", "shift_strength=1", "surface=false", "views=flips")  # not as the test was
    kept = {(row["shift"], float(row["strength"])) for row in rows(run / "robustness.csv")}
    assert kept == {("none", 0), ("noise", 2), ("flips", 2), ("blur", 1)}
    unshifted = [row["dice/cell"] for row in rows(run / "robustness.csv") if row["shift"] == "none"]
    assert unshifted == [row["dice/cell"] for row in rows(run / "per_image.csv")]
    report = compare_runs([run.parent]).robustness
    assert report is not None and [*report.arms] == [("blur", 1), ("flips", 2), ("noise", 2)] and not report.left_out
    again = rows(evaluate("again", "shift=noise", "shift_strength=2", "surface=false") / "shifts.csv")
    assert again[1] == table[1]
    other = rows(evaluate("again", "shift=noise", "shift_strength=2", "surface=false", "seed=1") / "shifts.csv")
    assert other[1]["dice"] != table[1]["dice"]
    assert {row["seed"] for row in rows(run / "robustness.csv")} == {"1"}  # draws of another seed do not mix
