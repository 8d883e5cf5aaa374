"""What differs between two configs, one of which may be older than some keys."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from segtrain.config.run_config import RunConfig
from segtrain.parts.config_changes import completed, differences, keeping_decided
from tests.app.train.test_train import only_run
from tests.conftest import SMALL, CommandLine

NEW = ("init_from", "freeze_encoder", "encoder_lr", "deep_supervision")  # since segtrain's first runs


@pytest.fixture
def old(composed: Callable[..., DictConfig]) -> DictConfig:
    """A config from before these keys."""
    config = composed("seed=3", "data.crop=[32,64]")
    OmegaConf.set_struct(config, False)
    for key in (*NEW, "data.on_bad"):
        parent, _, last = key.rpartition(".")
        del (config[parent] if parent else config)[last]
    return config


def test_a_key_that_came_later_is_at_its_default(old: DictConfig, composed: Callable[..., DictConfig]) -> None:
    whole = completed(RunConfig(old))
    assert {key: whole[key] for key in NEW} == dict(zip(NEW, (None, 0, 1.0, False), strict=True))
    assert whole.seed == 3 and whole.data.crop == [32, 64] and whole.data.on_bad == "raise"
    assert not differences(whole, RunConfig(composed("seed=3", "data.crop=[32,64]")))
    assert differences(whole, RunConfig(composed("seed=3", "data.crop=[32,64]", "freeze_encoder=2"))) == {
        "freeze_encoder": (0, 2)
    }


def test_what_a_run_has_is_left_as_it_is(composed: Callable[..., DictConfig]) -> None:
    config = composed("freeze_encoder=2", "ema=0.9", "aug=medical_elastic")
    assert not differences(completed(RunConfig(config)), RunConfig(config)) and "defaults" not in completed(
        RunConfig(config)
    )


@pytest.mark.slow
def test_a_run_older_than_the_keys_is_known_again_and_goes_on(segtrain: CommandLine) -> None:
    short = [*(o for o in SMALL if not o.startswith("trainer.max_epochs")), "trainer.max_epochs=1"]
    assert segtrain(*short) == 0, segtrain.err
    run = only_run(segtrain.folder)
    lines = (run / "config.yaml").read_text().splitlines(keepends=True)
    (run / "config.yaml").write_text("".join(line for line in lines if not line.startswith(NEW)))
    assert segtrain(*short) == 0 and "finished already" in segtrain.out, segtrain.err
    assert segtrain(f"resume={run}", "trainer.max_epochs=2", "freeze_encoder=1") == 2
    assert "freeze_encoder: 0 there, 1 now" in segtrain.err and "resume_allow=[freeze_encoder]" in segtrain.err
    assert segtrain(f"resume={run}", "encoder_lr=0.5", "deep_supervision=[1,0]", "resume_allow=[encoder_lr]") == 2
    for said in (
        "encoder_lr: 1.0 there, 0.5 now",
        "cannot go on with another",
        "deep_supervision[1]: None there, 0 now",
    ):
        assert said in segtrain.err, said
    assert segtrain(f"resume={run}", "trainer.max_epochs=2") == 0, segtrain.err
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert OmegaConf.load(run / "config.yaml").encoder_lr == 1.0


OPTIONS = [*(o for o in SMALL if not o.startswith(("dataset", "trainer.max"))), "trainer.max_epochs=1"]


SCANS = ["dataset=volume", "dataset.root=data", "dataset.classes={liver:1,background:0}", "dataset.window=[0,200]"]


IMAGES = ["dataset=folder", "dataset.root=data", "dataset.classes={a:0,b:1}"]


def trained(segtrain: CommandLine, *typed: str) -> Path:
    assert segtrain(*typed, *OPTIONS, "name=a", "checkpoint.keep=all") == 0, segtrain.err
    (run,) = (segtrain.folder / "outputs/a").iterdir()
    return run


def split_of(run: Path, **values: object) -> dict[str, Any]:
    """split.json, with values changed first."""
    path = run / "split.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def evaluated(segtrain: CommandLine, run: Path, *typed: str) -> dict[str, Any]:
    assert segtrain("evaluate", f"run={run}", "surface=false", *typed) == 0, segtrain.err
    paths = (segtrain.folder / "outputs/evaluate").glob("*/*/*/results.json")
    found: dict[str, Any] = json.loads(max(paths, key=lambda path: path.stat().st_mtime_ns).read_text())
    return found


def test_a_run_under_an_older_fingerprint_goes_on_and_is_evaluated(
    segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of scans, whose fingerprint did not follow what values of labels mean; beside other classes it proves nothing."""
    volume = pytest.importorskip("tests.data.datasets.mistakes.volume")
    monkeypatch.chdir(segtrain.folder)
    rng = np.random.default_rng(0)
    for number in range(8):
        for kind, values in {"images": rng.integers(0, 200, volume.SHAPE), "labels": volume.body()}.items():
            volume.nifti(f"data/{kind}/p{number}.nii.gz", values.astype(np.int16))
    run = trained(segtrain, *SCANS)
    (older,) = volume.opened(root="data", classes={"liver": 1, "background": 0}, window=[0, 200]).older_fingerprints()
    assert split_of(run)["fingerprint"] != older
    split = split_of(run, fingerprint=older)
    before = json.loads((run / "results.json").read_text())

    found = evaluated(segtrain, run)
    assert found["evaluated"]["own_data"] is True and found["test/dice"] == before["test/dice"]
    other = evaluated(segtrain, run, "dataset.classes={liver:1,background:[0,2]}")
    assert other["evaluated"]["own_data"] is False
    assert segtrain("preview", f"replay={run}", f"sample={split['train'][0]}", "epoch=9") == 2
    assert "has changed" not in segtrain.err and "did not see sample" in segtrain.err
    assert segtrain(f"resume={run}", "trainer.max_epochs=2") == 0, segtrain.err
    assert split_of(run)["fingerprint"] == older  # as the other runs of its sweep have it
    split_of(run, fingerprint="0" * 32)
    assert segtrain(f"resume={run}", "trainer.max_epochs=3") == 2 and "has changed" in segtrain.err


def test_a_run_without_unreadable_samples_goes_on_where_its_data_moved(segtrain: CommandLine) -> None:
    """Why a sample cannot be read names its path, which is another then; which samples these are is not."""
    rng = np.random.default_rng(0)
    for kind, values in {"images": 256, "masks": 2}.items():
        (segtrain.folder / "data" / kind).mkdir(parents=True)
        for name in "abcdefghijkl":
            pixels = rng.integers(0, values, (40, 40)).astype(np.uint8)
            Image.fromarray(pixels).save(segtrain.folder / f"data/{kind}/{name}.png")
    broken = segtrain.folder / "data/images/c.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-40])
    run = trained(segtrain, *IMAGES, "data.on_bad=skip")
    assert [*split_of(run)["skipped"]] == ["c"]
    (segtrain.folder / "data").rename(segtrain.folder / "moved")
    assert segtrain(f"resume={run}", "dataset.root=moved", "trainer.max_epochs=2") == 0, segtrain.err
    assert "moved" in split_of(run)["skipped"]["c"]
    split_of(run, skipped={})
    assert segtrain(f"resume={run}", "trainer.max_epochs=3") == 2 and "has changed" in segtrain.err


def test_what_a_run_was_begun_with_is_kept_though_the_same_command_says_another_now(
    composed: Callable[..., DictConfig],
) -> None:
    typed = ["optimizer=sgd", "data.batch_size=auto", "threads=1"]
    begun = RunConfig(composed("optimizer=sgd", "data.batch_size=16", "threads=1"))
    kept = keeping_decided(begun, RunConfig(composed(*typed)), typed)
    assert kept.data.batch_size == 16 and not differences(begun, kept)
