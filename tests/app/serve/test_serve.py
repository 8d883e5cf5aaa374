"""serve: its values, and its page in a browser with a file that is really uploaded."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from segtrain.app.serve.queue import TimeLimit
from segtrain.app.serve.serve import SHORTEST, VARIABLE, is_local, open_socket, secret_of, with_views
from segtrain.errors import UserError
from segtrain.model.windows import Windows
from segtrain.parts.predictor import Predictor
from tests.conftest import SMALL, CommandLine, train
from tests.parts.test_computed_size import thin

# What the server itself asks the network for is written down by Python's own audit.
AUDITED = """
import sys

def note(event, values):
    if event == "socket.getaddrinfo" or event == "socket.connect":
        print("NETWORK", values[0 if event == "socket.getaddrinfo" else 1], file=sys.stderr, flush=True)

sys.addaudithook(note)
from segtrain.__main__ import main
main()
"""
PASSWORD = "a long password"
LONGEST = 120  # seconds for anything on a busy machine


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("served"), *SMALL)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ([], "serve shows one network; expected run=RUN, or model=FILE.onnx; got neither"),
        (["run=a", "model=b.onnx"], "expected run=RUN, or model=FILE.onnx; got both"),
        (["run=a", "port=70000"], "port is 70000; expected a whole number from 0, any free one, to 65535"),
        (["run=a", "host=nowhere"], "host is 'nowhere'; expected localhost or an address such as 127.0.0.1"),
        (["run=a", "max_mb=0"], "max_mb is 0; expected a number above 0"),
        (["run=a", "max_pixels=1.5"], "max_pixels is 1.5; expected a whole number from 1"),
        (["run=a", "max_uploads_mb=-1"], "max_uploads_mb is -1; expected a number above 0"),
        (["run=a", "max_seconds=0"], "max_seconds is 0; expected a number above 0"),
        (["run=a", "shifts=flips"], "shifts is 'flips'; expected a list"),
        (["run=a", "password=short"], "the password has 5 characters; expected 8 or more"),
        (["run=a", "password=12345678"], "the password is read as int; expected text"),
    ],
)
def test_a_wrong_value_is_told(segtrain: CommandLine, typed: list[str], told: str) -> None:
    assert segtrain("serve", *typed) == 2 and told in segtrain.err
    for word in typed:
        assert not word.startswith("password=") or word.partition("=")[2] not in segtrain.err + segtrain.out


def test_a_host_that_others_reach_asks_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert secret_of("127.0.0.1", None) is None
    made_up = {secret_of(host, None) for host in ("0.0.0.0", "192.168.0.3", "::")}
    assert len(made_up) == 3 and all(secret and len(secret) >= 32 for secret in made_up)
    assert secret_of("127.0.0.1", "p" * SHORTEST) == secret_of("0.0.0.0", "p" * SHORTEST) == "p" * SHORTEST
    monkeypatch.setenv(VARIABLE, "of the environment")
    assert secret_of("0.0.0.0", None) == secret_of("127.0.0.1", None) == "of the environment"


def test_model_is_a_file_for_this_verb(segtrain: CommandLine) -> None:
    assert segtrain("serve", "model=runs/a=1,b=2/model.onnx", "--cfg", "job") == 0, segtrain.err
    assert "model_file: runs/a=1,b=2/model.onnx" in segtrain.out


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_its_packages_the_extra_is_named(
    package: str, run: Path, segtrain: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "segtrain.app.serve.page", raising=False)
    assert segtrain("serve", f"run={run}") == 2 and 'pip install "segtrain[serve]"' in segtrain.err


def test_a_port_that_is_taken_is_told() -> None:
    with (
        open_socket("127.0.0.1", 0) as first,
        pytest.raises(UserError, match=r"could not listen at 127\.0\.0\.1, port \d+: .*port=0 for any"),
    ):
        open_socket("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "local"), [("localhost", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0", False)]
)
def test_only_loopback_is_this_machine(host: str, local: bool) -> None:
    assert is_local(host) == local


def test_a_prediction_gives_up_when_the_server_ends() -> None:
    limit, asked = TimeLimit(LONGEST), []

    def model(image: torch.Tensor) -> torch.Tensor:
        asked.append(len(image))
        if len(asked) == 2:
            limit.ended.set()
        return image.float().repeat(1, 3, 1, 1)

    meaning: dict[str, Any] = {"classes": "abc", "palette": [(0, 0, 0)] * 3, "channels": 1, "ignore_index": 255}
    predictor = Predictor(model, **meaning, windows=Windows(32, 0, 1), whole=0)
    with pytest.raises(UserError, match="the server was stopped"):
        with_views(predictor, "none", limit).predict(np.zeros((96, 96), np.uint8))
    assert asked == [1, 1]


class Server(NamedTuple):
    process: "subprocess.Popen[str]"
    url: str
    err: Path
    temporary: Path


@pytest.fixture
def serve(run: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """serve("port=0", …) in a process of its own, once it answers."""
    pytest.importorskip("uvicorn")
    begun = []

    def start(*typed: str) -> Server:
        command = [sys.executable, "-c", AUDITED, "serve", f"run={run}", "port=0", *typed]
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
        with (tmp_path / "err").open("w") as err:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=err, text=True, cwd=tmp_path, env=environment
            )
        begun.append(process)
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C ends it" in line and (found := re.search(r"http://\S+", said)):
                return Server(process, found[0], tmp_path / "err", temporary)
        raise AssertionError(said + (tmp_path / "err").read_text())

    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    if not shutil.which("chromedriver"):
        pytest.skip("needs Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    )
    yield driver
    driver.quit()


class Page:
    """The page in the browser, by what it shows."""

    def __init__(self, browser: Any, url: str, first: str = "#upload input[type=file]") -> None:
        self.browser = browser
        browser.get_log("performance")
        browser.get(url)
        self.wait(lambda: self.find(first))

    def find(self, selector: str) -> Any:
        return self.browser.find_element("css selector", selector)

    def wait(self, condition: Callable[[], Any]) -> Any:
        from selenium.common.exceptions import WebDriverException

        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            try:
                if found := condition():
                    return found
            except WebDriverException:  # not there yet, or just replaced
                pass
            time.sleep(0.1)
        raise AssertionError(f"the page says: {self.find('body').text}")

    def upload(self, path: Path) -> None:
        self.find("#upload input[type=file]").send_keys(str(path))

    def pixels(self, name: str) -> str:
        """The picture's address and size, once it is loaded."""
        script = "const i = document.querySelector(arguments[0]); return i && i.complete && i.naturalWidth ? i.src : ''"
        return str(self.wait(lambda: self.browser.execute_script(script, f"#{name} img")))

    def facts(self, *words: str) -> str:
        """What stands above the pictures, once all the words are in it."""
        self.wait(lambda: all(word in self.find("#facts").text for word in words))
        return str(self.find("#facts").text)

    def choose(self, name: str, option: str) -> None:
        from selenium.webdriver.support.select import Select

        Select(self.find(f"#{name} select")).select_by_visible_text(option)

    def asked(self) -> list[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def grey(folder: Path, name: str = "a.png") -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


CLEAR = "#upload button[aria-label='Clear']"


@pytest.mark.slow
def test_an_upload_is_predicted_and_every_control_answers(
    serve: Callable[..., Server], browser: Any, tmp_path: Path
) -> None:
    server = serve("shifts=[photometric,geometric]", "max_mb=0.1", "max_pixels=4096")
    page = Page(browser, server.url)
    page.upload(grey(tmp_path))
    page.facts("64 × 48 pixels; 1 channel; uint8; predicted in")
    first = {name: page.pixels(name) for name in ("image", "mask", "overlay", "probability")}
    legend = page.find("#legend").text
    assert all(name in legend for name in ("background", "disc", "square"))
    page.choose("class", "background")
    page.wait(lambda: page.pixels("probability") != first["probability"])
    next(o for o in browser.find_elements("css selector", "#views label") if o.text.strip() == "flips").click()
    page.facts("mean of flips")
    assert page.pixels("image") == first["image"]
    page.choose("shift", "photometric")
    page.facts("shift photometric at strength 1:", "brightness")
    page.wait(lambda: page.pixels("image") != first["image"])
    strength = page.find("#strength input[type=number]")
    strength.clear()
    strength.send_keys("2", "\t")
    page.facts("shift photometric at strength 2:")
    link = page.find("#labels a").get_attribute
    labels = np.asarray(Image.open(io.BytesIO(base64.b64decode(str(link("href")).partition(",")[2]))))
    assert link("download") == "a.png" and labels.shape == (48, 64) and labels.max() < 3

    (tmp_path / "large.png").write_bytes(b"0" * 200_000)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    tifffile.imwrite(tmp_path / "wide.tif", np.zeros((50, 100), np.uint8))
    for name, told in (("broken.png", "'broken.png' cannot be read"), ("wide.tif", "100 x 50 pixels")):
        page.find(CLEAR).click()
        page.facts("Drop an image")
        page.upload(tmp_path / name)
        page.facts(told)
        assert str(server.temporary) not in page.find("body").text
    page.find(CLEAR).click()
    page.facts("Drop an image")
    page.upload(tmp_path / "large.png")
    page.facts("'large.png' has 0.2 MB; expected 0.1 MB at most")
    page.find(CLEAR).click()
    page.facts("Drop an image")
    pages = np.random.default_rng(0).integers(0, 256, (5, 32, 32), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    page.upload(tmp_path / "stack.tif")
    page.facts("page 2 of 0 to 4", "predicted in")
    asked = page.asked()

    assert [file.suffix for file in server.temporary.rglob("*.*")] == [".tif"]  # what was shown before is deleted
    page = Page(browser, server.url)  # the server goes on
    page.upload(grey(tmp_path, "again.png"))
    page.facts("predicted in")
    asked += page.asked()
    assert f"{server.url}/" in asked
    assert all(url.startswith((f"{server.url}/", "data:", "blob:")) for url in asked)
    script = "return document.documentElement.scrollWidth <= window.innerWidth"
    for width in (390, 1400):
        sized = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sized)
        page.wait(lambda: browser.execute_script(script))
    ended(server, signal.SIGINT, 130)


@pytest.mark.slow
def test_another_browser_does_not_see_what_was_uploaded(
    serve: Callable[..., Server], browser: Any, tmp_path: Path
) -> None:
    server = serve(f"password={PASSWORD}")
    browser.delete_all_cookies()
    for given, comes in (("a wrong one", ".refusal:not(:empty)"), (PASSWORD, "#controls")):
        page = Page(browser, server.url, "input[type=password]")
        page.find("input[type=password]").send_keys(given, "\n")
        page.wait(lambda page=page, comes=comes: page.find(comes))
    page.upload(grey(tmp_path))
    page.facts("predicted in")
    (key,) = [file.name for file in server.temporary.rglob("*.png")]
    assert PASSWORD not in browser.current_url and PASSWORD not in server.err.read_text()
    cookies = browser.get_cookies()
    assert [(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies] == [(True, "Strict")]
    browser.delete_all_cookies()
    answer = browser.execute_async_script(
        "const done = arguments[1]; fetch('/show', {method: 'POST', body: JSON.stringify({file: arguments[0]})})"
        ".then((answer) => done(answer.status))",
        key,
    )
    assert answer == 401
    ended(server, signal.SIGTERM, 0)


@pytest.mark.slow
def test_thirty_at_once_and_a_thin_image_leave_it_answering(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("max_seconds=20")
    picture = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    for _ in range(6):  # warm: what is kept of the last answers, and of threads
        assert shown(server, content).startswith("{")
    before = resident(server)
    with ThreadPoolExecutor(30) as threads:
        told = list(threads.map(lambda _: shown(server, content), range(30)))
    assert all('"mask"' in one or "wait already" in one for one in told) and any('"mask"' in one for one in told)
    assert "16000000 x 1 pixels" in shown(server, thin(tmp_path / "thin.png", 16_000_000).read_bytes())
    began = time.monotonic()
    assert '"mask"' in shown(server, content) and time.monotonic() - began < 20
    assert resident(server) < 1.1 * before
    ended(server, signal.SIGTERM, 0)


def shown(server: Server, content: bytes) -> str:
    """What a new session is told of a file."""
    session = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    try:
        with session.open(f"{server.url}/upload?name=a.png", content, LONGEST) as answer:
            asked = json.dumps({"file": json.loads(answer.read())["file"]}).encode()
        with session.open(f"{server.url}/show", asked, LONGEST) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def resident(server: Server) -> int:
    """Kilobytes of memory that the server holds."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def test_it_answers_this_machine_alone_and_leaves_nothing(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("max_mb=0.1")
    assert server.url.startswith("http://127.0.0.1:")

    def status(path: str, body: bytes | None = None, **headers: str) -> int:
        return asked(f"{server.url}{path}", body, headers)

    assert status("/") == 200
    assert status("/", Host="elsewhere.example") == 400
    assert status("/upload?name=a.png", b"0" * 1000) == 200
    assert status("/upload?name=a.png", b"0" * 200_000) == 413
    assert status("/upload?name=a.png", b"0", Origin="http://elsewhere.example") == 403
    assert [file.stat().st_size for file in server.temporary.rglob("*.png")] == [1000]
    ended(server, signal.SIGTERM, 0)


def asked(url: str, body: bytes | None, headers: dict[str, str]) -> int:
    """The status of the answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=LONGEST) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def ended(server: Server, number: int, status: int) -> None:
    """The server ends by that signal with that status, leaves no file, and has asked the network for nothing."""
    server.process.send_signal(number)
    assert server.process.wait(LONGEST) == status
    assert list(server.temporary.iterdir()) == []
    err = server.err.read_text().splitlines()
    assert [line for line in err if line.startswith(("NETWORK", "Traceback"))] == []
