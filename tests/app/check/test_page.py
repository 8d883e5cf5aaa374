"""check.html in a browser: no error, no request to any network, nothing wider than a phone, pictures that load."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import CommandLine
from tests.data.made import faulty

webdriver = pytest.importorskip("selenium.webdriver")
pytestmark = [
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs Debian's chromium and chromium-driver"),
    pytest.mark.slow,
]


@pytest.fixture
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(executable_path=shutil.which("chromedriver")))
    yield driver
    driver.quit()


def test_it_opens_without_error_network_or_overflow(segtrain: CommandLine, browser: Any) -> None:
    faulty(segtrain.folder / "data")
    classes = "dataset.classes={background: 0, cytoplasm: 128, nucleus: 255}"
    assert segtrain("check", "dataset=folder", "dataset.root=data", classes, "parts=[data]") == 1
    (page,) = (segtrain.folder / "outputs" / "check").glob("*/*/check.html")
    for width in (390, 1400):  # pixels: a phone, a desk
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.as_uri())
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        sizes = browser.execute_script("return [...document.images].map(i => i.complete && i.naturalWidth)")
        assert len(sizes) > 8 and all(sizes)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in asked and all(url.startswith(("file:", "data:")) for url in asked)
