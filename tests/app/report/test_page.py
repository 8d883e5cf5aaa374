"""The report's page in a browser: no error, no request to any network, tables that sort, pictures that load."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segtrain.app.report.findings import write_plan
from segtrain.app.report.report import write_report
from tests.app.report import made

webdriver = pytest.importorskip("selenium.webdriver")
pytestmark = pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs Debian's chromium and chromium-driver")
WIDTHS = (390, 1400)  # pixels: a phone, a desk


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, laid_out: None) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    made.sweep(folder, seeds=5, pictures=True)
    write_plan(folder, {f"aug=flips,{'a.key.without.a.space=1,' * 5}seed={seed}": [] for seed in range(9)})
    write_report([folder], folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_error_network_or_overflow(page: Path, browser: Any, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get_log("performance")
    browser.get(page.as_uri())
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in asked and all(url.startswith(("file:", "data:")) for url in asked)
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    sizes = browser.execute_script("return [...document.images].map(i => i.complete && i.naturalWidth)")
    assert len(sizes) > 8 and all(sizes)


def test_a_click_on_a_head_sorts(page: Path, browser: Any) -> None:
    browser.get(page.as_uri())
    script = "return [...document.querySelector('tbody').rows].map(r => r.children[3].textContent)"
    head = browser.find_elements("css selector", "thead th")[3]
    assert head.text.startswith("difference")
    for largest_first in (True, False):
        head.click()
        values = [float(text) for text in browser.execute_script(script) if text]
        assert values == sorted(values, reverse=largest_first) and len(values) == 4
