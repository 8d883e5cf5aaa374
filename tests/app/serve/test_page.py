"""serve's server, asked by requests that no page of ours makes: paths, foreign sites, passwords, lengths."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from segtrain.app.serve import gate as serve_gate
from segtrain.app.serve.gate import Gate
from segtrain.app.serve.page import MOST_ASKED, Page, Server
from segtrain.app.serve.prediction_view import PredictionView
from segtrain.app.serve.queue import Queue, TimeLimit
from segtrain.app.serve.uploads import Uploads
from segtrain.data.files.pixels import read_image

HOST = "127.0.0.1:7860"
PASSWORD = "a long password"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return json.loads(self.body)

    @property
    def cookie(self) -> str:
        return self.headers["set-cookie"].partition(";")[0]


class Prediction(NamedTuple):
    labels: np.ndarray
    probabilities: np.ndarray


class Asking:
    """Requests to a server of its own, as they come from a socket."""

    def __init__(self, folder: Path, secret: str | None, hosts: tuple[str, ...] | None) -> None:
        self.opened: list[Path] = []  # paths that were read
        self.folder = folder

        def read(path: Path, page: int | None) -> tuple[np.ndarray, str]:
            self.opened.append(path)
            return read_image(path), ""

        def predict(image: np.ndarray) -> Prediction:
            share = image[..., 0] / np.float32(255)
            return Prediction((share > 0.5).astype(np.uint8), np.stack([1 - share, share]))

        class Shifts:
            names = ("photometric",)

        shifts: Any = Shifts()
        self.view = view = PredictionView({"none": predict}, read, shifts, ["a", "<b>"], [(0, 0, 0), (9, 9, 9)], 255)
        self.uploads = Uploads(folder, 100_000, 300_000, view.show.cache_clear)
        gate = Gate(self.uploads, hosts, secret, 7860)
        self.line = Queue(TimeLimit(60))
        self.app = Server(Page(view, "<title>", "none", "none", 0.1), self.uploads, self.line, gate).app

    def __call__(
        self, method: str, path: str, body: bytes = b"", *, length: str | None = None, **headers: str
    ) -> Answer:
        address, _, query = path.partition("?")
        sent = {"host": HOST, "content-length": str(len(body)) if length is None else length}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http", "method": method, "path": address, "raw_path": address.encode(), "root_path": "",
            "query_string": query.encode(), "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 7860),
            "client": ("127.0.0.1", 1), "headers": [(n.encode(), v.encode()) for n, v in sent.items() if v],
        }  # fmt: skip
        said: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        asyncio.run(self.app(scope, receive, send))
        headers = {name.decode().lower(): value.decode() for name, value in said[0]["headers"]}
        return Answer(said[0]["status"], headers, b"".join(part.get("body", b"") for part in said[1:]))

    def upload(self, name: str = "a.png", **headers: str) -> tuple[str, str]:
        """The key of a picture, and the session's cookie."""
        path = self.folder.parent / "picture.png"
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(path)
        answer = self("POST", f"/upload?name={quote(name)}", path.read_bytes(), **headers)
        assert answer.status == 200, answer.body
        return str(answer.told["file"]), answer.cookie

    def show(self, key: Any, **headers: str) -> Answer:
        return self("POST", "/show", json.dumps({"file": key}).encode(), **headers)


Start = Callable[..., Asking]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[Asking] = []

    def made(secret: str | None = None, hosts: tuple[str, ...] | None = ("127.0.0.1", "localhost")) -> Asking:
        folder = tmp_path / f"uploads{len(begun)}"
        folder.mkdir()
        begun.append(Asking(folder, secret, hosts))
        return begun[-1]

    yield made
    for one in begun:
        one.line.end()


def test_a_file_is_shown_to_the_session_that_brought_it_alone(start: Start) -> None:
    ask = start()
    key, cookie = ask.upload()
    shown = ask.show(key, cookie=cookie)
    assert shown.status == 200 and shown.told["image"].startswith("data:image/png;base64,")
    assert "&lt;b&gt;" in shown.told["legend"] and "8 × 8 pixels" in shown.told["facts"]
    _, other = ask.upload()
    assert other != cookie
    for stranger in (other, "", "segtrain_7860=", f"{cookie}x", "segtrain_7860=../x"):
        refused = ask.show(key, cookie=stranger)
        assert refused.status == 404 and "image" not in refused.told
    ask("POST", f"/forget?file={key}", cookie=other)
    assert ask.show(key, cookie=cookie).status == 200
    ask("POST", f"/forget?file={key}", cookie=cookie)
    assert ask.show(key, cookie=cookie).status == 404


def test_no_path_that_a_request_names_is_opened(start: Start, tmp_path: Path) -> None:
    ask = start()
    secret = tmp_path / "secret.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(secret)
    _, cookie = ask.upload()
    mine = next(ask.folder.iterdir())
    data = [{"path": str(secret), "meta": {"_type": "gradio.FileData"}}, -1, "none", "none", 1.0, 0, True, "a"]
    bodies: list[Any] = [str(secret), str(mine), mine.name, f"../{secret.name}", {"path": str(secret)}, [str(secret)]]
    for body in bodies:
        assert ask.show(body, cookie=cookie).status == 404
    addresses = ["/run/predict", "/gradio_api/run/predict", "/gradio_api/queue/join", "/api/predict", "/call/x"]
    for address in addresses:
        asked = json.dumps({"data": data, "fn_index": 0}).encode()
        assert ask("POST", address, asked, cookie=cookie).status == 404
    files = [f"/file={secret}", f"/gradio_api/file={mine}", f"/{secret}", "/../secret.png", f"/static/{secret}"]
    for address in [
        *files,
        "/page.css/../../x",
        "/proxy=http://127.0.0.1/",
        "/config",
        "/info",
        "/monitoring",
        "/docs",
    ]:
        assert ask("GET", address, cookie=cookie).status == 404
    assert ask.opened == []


@pytest.mark.parametrize("address", ["/upload?name=a.png", "/show", "/forget?file=x", "/login"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
        {"origin": f"http://{HOST}.elsewhere.example"},
        {"origin": "http://127.0.0.1:7861"},
        {"origin": "http://["},
        {"origin": ""} | {"sec_fetch_site": "cross-site"},
        {"origin": f"http://{HOST}", "sec_fetch_site": "same-site"},
        {"host": "elsewhere.example"},
        {"host": "["},
    ],
)
def test_what_another_site_sends_is_refused(start: Start, address: str, headers: dict[str, str]) -> None:
    ask = start()
    _, cookie = ask.upload()
    before = list(ask.folder.iterdir())
    assert ask("POST", address, b"{}", cookie=cookie, **headers).status in (400, 403)
    assert list(ask.folder.iterdir()) == before


@pytest.mark.parametrize("headers", [{"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"}, {}])
def test_the_page_and_programs_may_ask(start: Start, headers: dict[str, str]) -> None:
    ask = start()
    key, cookie = ask.upload(**headers)
    assert ask.show(key, cookie=cookie, **headers).status == 200


def test_without_the_password_nothing_is_answered(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_gate, "SLOW", 0.01)
    ask = start(PASSWORD, None)
    first = ask("GET", "/")
    assert first.status == 401 and b'type="password"' in first.body and b"controls" not in first.body
    for method, address in (("GET", "/page.js"), ("POST", "/upload?name=a.png"), ("POST", "/show"), ("GET", "/x")):
        assert ask(method, address, b"{}").status == 401
        assert ask(method, address, b"{}", cookie="segtrain_7860=x").status == 401
    for wrong in ("", "a", PASSWORD[:-1], PASSWORD + "x", "ü", "\ud800"):
        body = f"password={quote(wrong.encode(errors='surrogatepass'))}".encode()
        refused = ask("POST", "/login", body)
        assert refused.status == 403 and "set-cookie" not in refused.headers
    assert not list(ask.folder.iterdir())


def test_the_password_or_the_token_becomes_a_cookie(start: Start) -> None:
    ask = start(PASSWORD, None)
    for answer in (
        ask("POST", "/login", f"password={quote(PASSWORD)}".encode()),
        ask("GET", f"/?token={quote(PASSWORD)}"),
    ):
        assert answer.status == 303 and answer.headers["location"] == "/"
        assert {"HttpOnly", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))
        assert PASSWORD not in str(answer.headers)
        assert b"controls" in ask("GET", "/", cookie=answer.cookie).body
        key, _ = ask.upload(cookie=answer.cookie)
        assert ask.show(key, cookie=answer.cookie).status == 200


def test_wrong_passwords_are_slowed_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_gate, "SLOW", 0.2)
    gate = Gate(Uploads(tmp_path, 1, 1, lambda: None), None, PASSWORD, 7860)

    async def tries() -> tuple[list[bool], float, bool]:
        began = time.monotonic()
        at_once = await asyncio.gather(
            *(gate.is_right(guess) for guess in ["wrong"] * serve_gate.AT_ONCE), gate.is_right(PASSWORD)
        )
        return at_once, time.monotonic() - began, await gate.is_right(PASSWORD)

    found, took, later = asyncio.run(tries())
    assert not any(found) and took >= 0.2 and later  # while so many try, nobody's try is looked at


@pytest.mark.parametrize(
    ("length", "body", "status"),
    [("", b"0", 411), ("ten", b"0", 411), ("-1", b"0", 411), ("²", b"0", 411), ("9" * 30, b"0", 411),
     ("100001", b"0", 413), ("5", b"0" * 10, 400), ("10", b"0" * 5, 400)],
)  # fmt: skip
def test_a_file_is_as_long_as_its_request_says(start: Start, length: str, body: bytes, status: int) -> None:
    ask = start()
    assert ask("POST", "/upload?name=a.png", body, length=length).status == status
    assert list(ask.folder.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"no json", b"[" * 9000, b"0" * (MOST_ASKED + 1), b'{"file": 5}', b'{"file": null}', b"\xff",
    ],
)  # fmt: skip
def test_a_question_that_is_none_is_refused(start: Start, content: bytes) -> None:
    ask = start()
    _, cookie = ask.upload()
    assert ask("POST", "/show", content, cookie=cookie).status in (400, 404)


@pytest.mark.parametrize(
    "changed",
    [
        {"page": -2}, {"page": 1.5}, {"page": True}, {"page": 10**9}, {"views": "x"}, {"views": []},
        {"shift": "none/.."}, {"shift": {"a": 1}}, {"strength": -1}, {"strength": 1e9},
        {"strength": float("nan")}, {"draw": -1}, {"draw": "1"}, {"fires": 1}, {"class": "c"}, {"class": ["a"]},
    ],
)  # fmt: skip
def test_a_control_says_what_the_page_offers(start: Start, changed: dict[str, Any]) -> None:
    ask = start()
    key, cookie = ask.upload()
    answer = ask("POST", "/show", json.dumps({"file": key, **changed}).encode(), cookie=cookie)
    assert answer.status == 422 and next(iter(changed)) in answer.told["error"] and ask.opened == []


def test_a_file_that_is_no_picture_is_named_as_the_user_knows_it(start: Start) -> None:
    ask = start()
    answer = ask("POST", "/upload?name=..%2F%3Cb%3E.png", b"no picture")
    told = ask.show(answer.told["file"], cookie=answer.cookie)
    assert told.status == 422 and "'<b>.png' cannot be read" in told.told["error"]
    assert str(ask.folder) not in told.body.decode()


def test_every_answer_tells_the_browser_what_it_may_not(start: Start) -> None:
    ask = start()
    for method, address in (("GET", "/"), ("GET", "/page.js"), ("GET", "/x"), ("POST", "/show"), ("PUT", "/")):
        headers = ask(method, address).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        rules = dict(rule.strip().partition(" ")[::2] for rule in headers["content-security-policy"].split(";"))
        assert rules["default-src"] == rules["frame-ancestors"] == "'none'" and rules["script-src"] == "'self'"
        assert headers["referrer-policy"] == "same-origin"
    assert b"<title>segtrain: &lt;title&gt;</title>" in ask("GET", "/").body


def test_a_websocket_is_closed(start: Start) -> None:
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "headers": [(b"host", HOST.encode())]}
    asyncio.run(start().app(scope, receive, send))
    assert [message["type"] for message in said] == ["websocket.close"]


def test_what_is_deleted_is_not_kept_as_a_picture_either(start: Start) -> None:
    ask = start()
    key, cookie = ask.upload()
    ask.show(key, cookie=cookie)
    ask.show(key, cookie=cookie)
    assert len(ask.opened) == 1  # the answer was kept
    ask("POST", f"/forget?file={key}", cookie=cookie)
    assert not ask.opened[0].exists()
    assert ask.view.show.cache_info().currsize == 0
