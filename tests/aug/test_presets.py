"""Each preset that came from elsewhere trains: one job, two steps."""

import json

import pytest

from tests.conftest import SMALL, CommandLine

ARTICLE = ["albumentations_basic", "opencv_elastic", "opencv_elastic_corrected", "torchvision_flips"]
SMOKE = [o for o in SMALL if o not in ("trainer=cpu", "trainer.max_epochs=2")] + ["trainer=smoke"]


@pytest.mark.parametrize("preset", [*ARTICLE, "randaugment", "trivialaugment", "copy_paste", "cutmix", "mosaic"])
def test_the_preset_trains(preset: str, segtrain: CommandLine) -> None:
    assert segtrain(f"aug={preset}", *SMOKE, "name=a") == 0, segtrain.err
    (run,) = (segtrain.folder / "outputs" / "a").iterdir()
    assert json.loads((run / "results.json").read_text())["test/images"] > 0


def test_a_schedule_trains_and_its_first_and_last_epoch_differ(segtrain: CommandLine) -> None:
    small = [o for o in SMALL if not o.startswith("trainer.max_epochs")]
    assert segtrain("aug=cutmix", "aug.schedule=off_last_1_epochs", "trainer.max_epochs=2", *small) == 0, segtrain.err
    assert segtrain("aug=cutmix", "aug.schedule=off_last_n_epochs", *SMOKE, "name=wrong") == 2
    assert "off_last_5_epochs" in segtrain.err
