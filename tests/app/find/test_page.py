"""find.html: it has everything in it, says what the answer says, and opens without overflow on a phone and a desk."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from segtrain.app.find import page
from segtrain.app.find.answer import FindAnswer
from segtrain.app.find.gain_words import confirmation_sentences
from segtrain.app.find.next_steps import Asked
from segtrain.app.find.race_words import answer_sentences
from segtrain.printable import in_html
from tests.app.find import answers

WIDTHS = (390, 1400)  # pixels: a phone, a desk
NASTY = "<script>alert(1)</script> × 1"


def written(answer: FindAnswer, folder: Path) -> str:
    page.write_find_page(answer, answers.costs(answer), Asked(folder, ("dataset=cells",), 12))
    return (folder / "find.html").read_text(encoding="utf-8")


def whole_answer() -> FindAnswer:
    gains = {"none": 0.8, "flips × 1": 0.849, "geometric × 1": 0.85, "cutmix × 1": 0.7, NASTY: 0.75}
    race = answers.race(gains, 6, failed={"cutmix × 1": 2})
    lengths = [
        *answers.points_at("flips × 1", {1: 0.04, 2: 0.03}),
        *answers.points_at("geometric × 1", {1: 0.02, 2: 0.03}),
    ]
    confirmed = answers.confirmation(race, 0.03, 0.01, 0.05, cautions=("Test images look alike.",))
    return answers.answer(race, confirmed, lengths)


def test_it_holds_the_answer_the_race_and_what_to_do_next(tmp_path: Path) -> None:
    answer = whole_answer()
    html = written(answer, tmp_path)
    for sentence in (*answer_sentences(answer), *confirmation_sentences(answer)):
        assert in_html(sentence) in html
    heads = re.findall(r"<h2>(.*?)</h2>", html)
    assert heads == [
        "The gain on the test images",
        "The race",
        "What to do next",
        "The arms",
        "Longer training",
        "What this means, and what not",
        "What it took",
    ]
    assert '<p class="warning">Test images look alike.</p>' in html
    assert html.count("data:image/svg+xml") == 6 and "<script>alert" not in html
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("race", "gain", "lengths") for kind in ("png", "svg")
    }


def rows_of(html: str) -> dict[str, list[str]]:
    table = html.split("<h2>The arms</h2>")[1].split("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", table)[1:]]
    return {row[0]: row[1:] for row in rows}


def test_the_table_says_what_became_of_every_arm(tmp_path: Path) -> None:
    answer = whole_answer()
    rows = rows_of(written(answer, tmp_path))
    assert [*rows][: len(answer.race.left)] == list(answer.race.left) and len(rows) == len(answer.race.arms)
    assert rows["cutmix × 1"][0] == "failed" and rows["cutmix × 1"][4] == "failed at seed 2: the loss is not finite"
    for arm in answer.race.arms:
        state, mean, behind, stake, happened, seeds, minutes = rows[in_html(arm.name)]
        known = [score for score in arm.scores if score is not None]
        assert (state, seeds) == (arm.state, str(len(known))) and float(mean) == pytest.approx(
            sum(known) / len(known), abs=6e-5
        )
        assert (behind == "leads") == (arm.name == answer.race.leader) and float(minutes) > 0
        assert bool(stake) == (arm.stake is not None) and (not stake or float(stake) >= 100 * (arm.stake or 0) - 1e-7)
        if arm.state == "dropped":
            assert arm.by is not None and arm.limit is not None
            said = f"out after {arm.seed} seeds, {100 * arm.by:.2f} behind {arm.behind}, limit {100 * arm.limit:.2f}"
            assert happened == in_html(said)


def test_an_arm_that_waits_is_left_in_the_table_with_its_stake(tmp_path: Path) -> None:
    race = answers.race({"none": 0.8} | {f"policy {i}": 0.8 for i in range(7)}, 9, tolerance=0.0)
    rows = rows_of(written(answers.answer(race), tmp_path))
    waiting = [row for row in rows.values() if "waits after 6 seeds" in row[4]]
    assert waiting and all(row[0] == "left" and float(row[3]) > 0 and row[5] == "6" for row in waiting)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers.all_answers())
def test_every_answer_makes_a_page(tmp_path: Path, answer: FindAnswer) -> None:
    html = written(answer, tmp_path)
    assert in_html(answer_sentences(answer)[0]) in html and "None" not in html.split("</style>")[1]
    assert rows_of(html).keys() == {arm.name for arm in answer.race.arms}
    body = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"\bnan\b|https?://", body)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    if not shutil.which("chromedriver"):
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    )
    yield driver
    driver.quit()


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_error_network_or_overflow(tmp_path: Path, browser: Any, width: int) -> None:
    written(whole_answer(), tmp_path)
    address = (tmp_path / "find.html").as_uri()
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get_log("performance")
    browser.get(address)
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert address in asked and all(url.startswith(("file:", "data:")) for url in asked)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    sizes = browser.execute_script("return [...document.images].map(i => i.complete && i.naturalWidth)")
    assert len(sizes) == 3 and all(sizes)
    scales = browser.execute_script("return [...document.images].map(i => i.width / i.naturalWidth)")
    assert all(scale >= 0.95 for scale in scales)  # letters are read as they were drawn
