"""evaluate.html in a browser: no error, no request to any network, nothing wider than a phone, pictures that load."""

import json
import shutil
from typing import Any

import pytest

from tests.app.check.test_page import browser  # noqa: F401  # a fixture
from tests.app.train.test_train import only_run
from tests.conftest import SMALL, CommandLine

pytest.importorskip("selenium.webdriver")
pytestmark = [
    pytest.mark.skipif(not shutil.which("chromedriver"), reason="needs Debian's chromium and chromium-driver"),
    pytest.mark.slow,
]


def test_it_opens_without_error_network_or_overflow(segtrain: CommandLine, browser: Any) -> None:  # noqa: F811
    assert segtrain(*SMALL, "trainer.max_epochs=1") == 0, segtrain.err
    run = only_run(segtrain.folder)
    assert segtrain("evaluate", f"run={run}", "shift=noise", "shift_strength=1,2") == 0, segtrain.err
    (page,) = (segtrain.folder / "outputs/evaluate").glob("*/*/*/evaluate.html")
    for width in (390, 1400):  # pixels: a phone, a desk
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.as_uri())
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        sizes = browser.execute_script("return [...document.images].map(i => i.complete && i.naturalWidth)")
        assert len(sizes) > 10 and all(sizes)
        narrow = browser.execute_script(
            "return [...document.querySelectorAll('td:first-child')].map(c => c.clientWidth)"
        )
        assert min(narrow) > 80  # a name is not set letter below letter
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in asked and all(url.startswith(("file:", "data:")) for url in asked)
