"""Figures of many arms: every line can be told from the others, and nothing covers it or falls off the edge."""

from pathlib import Path

import pytest

from segtrain.app.report import figures
from segtrain.app.report.findings import Findings, compare_runs
from segtrain.app.report.report import write_report
from tests.app.report import made

pytestmark = pytest.mark.usefixtures("laid_out")

POLICIES = ("flips", "geometric", "medical_elastic", "photometric", "randaugment")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    folder = tmp_path_factory.mktemp("many")
    for seed in range(2):
        made.run(folder, "none", 1.0, seed)
        for policy in POLICIES:
            for strength in (0.5, 1.0, 1.5, 2.0):
                made.run(folder, policy, strength, seed, gain=lambda policy, strength: 0.0)
    return compare_runs([folder])


def test_every_arm_has_a_line_of_its_own(found: Findings) -> None:
    looks = figures.styles(found.arms)
    assert len({tuple(sorted(look.items())) for look in looks.values()}) == len(looks) == 21
    assert {look["color"] for name, look in looks.items() if name.startswith("flips")} == {figures.COLOURS[0]}


def test_the_legend_lies_below_the_axes_and_inside_the_figure(found: Findings) -> None:
    drawn = [figures.draw_learning_curves(found.arms), figures.draw_dose_response(found.contrasts, "title", "name")]
    for one in drawn:
        assert one is not None
        one.figure.draw_without_rendering()
        (legend,) = one.figure.legends
        box, (axes,) = legend.get_window_extent(), one.figure.axes
        assert box.y1 <= axes.get_tightbbox().y0 and axes.get_window_extent().height > 100
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= one.figure.bbox.width


def test_images_that_all_gain_do_not_lose(tmp_path: Path) -> None:
    made.sweep(tmp_path, seeds=2, gain=lambda policy, strength: 0.2 * strength * (policy != "none"), pictures=True)
    write_report([tmp_path], tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Gain most" in page and "Lose most" not in page
