"""Answers what a browser may ask of serve's page; what is shown is `segtrain.app.serve.prediction_view`'s.

Five addresses, each of them read here; a path that a request names is never opened: a file is known by the random key
that its upload was answered with.
"""

import asyncio
import json
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import cv2
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from segtrain.app.serve.gate import Gate, refusal
from segtrain.app.serve.prediction_view import NONE, PredictionView, Question, Shown
from segtrain.app.serve.queue import Queue
from segtrain.app.serve.uploads import SUFFIXES, Dropped, Uploads
from segtrain.draw.html_page import document, inline, own_text
from segtrain.errors import UserError
from segtrain.files import created
from segtrain.printable import in_html

GRACE = 1  # seconds for answers under way when the server ends
OFTEN = 60  # seconds: how often files are looked at for their age
LONGEST = 300  # seconds that a file may take to come in
SOON = 20  # seconds that a question or a password may take to come in
MOST_ASKED = 10_000  # bytes of a question or a password
MOST_AT_ONCE = 256  # connections
STRONGEST = 3  # of the slider
MOST_NUMBER = 10**6  # of a page, or of a draw
NO_FILE = "Drop an image on the field, or click on it."
HERE = Path(__file__).parent
LINK = '<link rel="stylesheet" href="/page.css">'
STATIC = {"/page.css": "text/css", "/page.js": "text/javascript"}


class Page:
    """Fills in the page of one network, and answers what its controls ask."""

    def __init__(self, view: PredictionView, title: str, views: str, shift: str, most_mb: float) -> None:
        """Holds what is shown.

        Args:
            view: what answers it.
            title: what is served, as its heading.
            views: the test-time augmentation that is chosen at first.
            shift: the shift that is chosen at first.
            most_mb: size of a file, for the label.
        """
        self.view, self.title = view, title
        words = {
            "title": in_html(title),
            "most": f"{most_mb:g}",
            "accept": ",".join((*SUFFIXES, ".gz")),
            "views": "".join(_radio(name, name == views) for name in view.predict),
            "shifts": _options([NONE, *view.shifts.names], shift),
            "classes": _options(view.classes, view.classes[-1]),
            "strongest": str(STRONGEST),
            "most_number": str(MOST_NUMBER),
            "no_file": NO_FILE,
        }
        text = own_file("page.html")
        for name, word in words.items():
            text = text.replace(f"<!--{name}-->", word)
        script = '<script src="/page.js" defer></script>'
        self.text = document(f"segtrain: {title}", f"{LINK}\n{script}", text)

    def asked(self, content: Any, path: Path) -> tuple[Question, int]:
        """Returns what the page's controls say, of a request's JSON, and the label whose probability is shown.

        Raises:
            UserError: they cannot say so.
        """
        if not isinstance(content, dict):
            raise UserError("expected a mapping of the page's controls")
        number, views, shift = content.get("page", -1), content.get("views", NONE), content.get("shift", NONE)
        strength, draw = content.get("strength", 1), content.get("draw", 0)
        fires, name = content.get("fires", True), content.get("class", self.view.classes[-1])
        rules = {
            "page": type(number) is int and -1 <= number <= MOST_NUMBER,
            "views": views in tuple(self.view.predict),
            "shift": shift in (NONE, *self.view.shifts.names),
            "strength": type(strength) in (int, float) and math.isfinite(strength) and 0 <= strength <= STRONGEST,
            "draw": type(draw) is int and 0 <= draw <= MOST_NUMBER,
            "fires": type(fires) is bool,
            "class": name in self.view.classes,
        }
        for key, holds in rules.items():
            if not holds:
                raise UserError(f"{key} is {content.get(key)!r}; expected what the page's control offers")
        asked = Question(str(path), number if number >= 0 else None, views, shift, float(strength), draw, fires)
        return asked, self.view.classes.index(name)

    def answer(self, content: Any, file: Dropped) -> dict[str, Any]:
        """Returns what the page shows of a file.

        Raises:
            UserError: it is no image that the network takes, or cannot be predicted in time.
        """
        try:
            asked, label = self.asked(content, file.path)
            return _told(self.view.show(asked), label, Path(file.name).stem)
        except UserError as error:  # where an upload lies is not the user's concern
            raise UserError(str(error).replace(str(file.path), file.name)) from error
        except MemoryError as error:
            raise UserError(f"'{file.name}' takes more memory than there is; cut it into tiles") from error


def _radio(name: str, is_chosen: bool) -> str:
    checked = " checked" if is_chosen else ""
    return f'<label><input type="radio" name="views" value="{in_html(name)}"{checked}> {in_html(name)}</label>'


def _options(names: Any, chosen: str) -> str:
    return "".join(f"<option{' selected' if one == chosen else ''}>{in_html(one)}</option>" for one in names)


def _told(shown: Shown, label: int, stem: str) -> dict[str, Any]:
    """Returns it as JSON; pictures are addresses that hold them, so that nothing has to be kept."""
    pictures = {"image": shown.image, "mask": shown.mask, "overlay": shown.overlay}
    pictures["probability"] = shown.probabilities[label]
    sources = {name: _source(_png(pixels)) for name, pixels in pictures.items()}
    labels = {"labels": _source(shown.png), "name": f"{stem}.png"}
    return {**sources, **labels, "legend": shown.legend, "facts": shown.facts}


def _png(picture: np.ndarray[Any, Any]) -> bytes:
    return bytes(cv2.imencode(".png", picture[..., ::-1])[1])


def _source(png: bytes) -> str:
    return inline(png, "png")


class Server:
    """Answers at each address."""

    def __init__(self, page: Page, uploads: Uploads, queue: Queue, gate: Gate) -> None:
        """Puts the parts together."""
        self._page, self._uploads, self._queue, self._gate = page, uploads, queue, gate
        routes = [
            Route("/", self._first),
            *(Route(path, self._static) for path in STATIC),
            Route("/login", self._login, methods=["POST"]),
            Route("/upload", self._upload, methods=["POST"]),
            Route("/show", self._show, methods=["POST"]),
            Route("/forget", self._forget, methods=["POST"]),
        ]
        lost: Any = {404: _lost, 405: _lost, 500: _failed}
        self.app = gate.before(Starlette(routes=routes, exception_handlers=lost, lifespan=self._life))

    @asynccontextmanager
    async def _life(self, _: Starlette) -> AsyncIterator[None]:
        async def clear() -> None:
            while True:
                await asyncio.sleep(OFTEN)
                self._uploads.drop_old()

        clearing = asyncio.create_task(clear())
        yield
        clearing.cancel()
        self._queue.end()

    async def _first(self, request: Request) -> Response:
        """Answers with the page; where a password is asked for, first with the field for it.

        A token in the address becomes a cookie.
        """
        if self._gate.asks and "token" in request.query_params:
            return await self._admitted(request.query_params["token"])
        if self._gate.asks and request.scope["segtrain_session"] is None:
            return HTMLResponse(_login_page(""), 401)
        return HTMLResponse(self._page.text)

    async def _static(self, request: Request) -> Response:
        path = request.url.path
        return PlainTextResponse(own_file(path[1:]), media_type=STATIC[path])

    async def _login(self, request: Request) -> Response:
        given = parse_qs((await _content(request)).decode("utf-8", "replace")).get("password", [""])
        return await self._admitted(given[0])

    async def _admitted(self, given: str) -> Response:
        if not await self._gate.is_right(given):
            return HTMLResponse(_login_page("That is not the password of this page."), 403)
        response = RedirectResponse("/", 303)
        self._gate.bring(response, self._uploads.begin())
        return response

    async def _upload(self, request: Request) -> Response:
        """Takes a file, the body of the request; the answer is its key."""
        length = request.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 20):
            return refusal(411, "expected a request that says how long it is")
        name = Path(request.query_params.get("name", "")).name[:200] or "image"
        session = request.scope["segtrain_session"] or self._uploads.begin()
        try:
            key, path = self._uploads.take(session, name, int(length))
        except UserError as error:
            return refusal(413, str(error))
        try:
            async with asyncio.timeout(LONGEST):
                await _write(request, path, int(length))
        except BaseException as error:
            self._uploads.drop(session, key)
            if isinstance(error, TimeoutError | ClientDisconnect | OSError):
                return refusal(400, f"'{name}' did not come in whole; send it again")
            raise
        response = JSONResponse({"file": key})
        self._gate.bring(response, session)
        return response

    async def _show(self, request: Request) -> Response:
        """Answers with what the page shows of a file, by the JSON of its controls."""
        try:
            content = json.loads(await _content(request))
        except (ValueError, RecursionError):
            return refusal(400, "expected a question as JSON")
        session = request.scope["segtrain_session"]
        key = content.get("file") if isinstance(content, dict) else None
        file = self._uploads.find(session, key) if session and isinstance(key, str) else None
        if file is None:
            return refusal(404, "the file is not there any more; drop it again")
        try:
            return JSONResponse(await self._queue.ask(session, lambda: self._page.answer(content, file)))
        except UserError as error:
            return refusal(422, str(error))

    async def _forget(self, request: Request) -> Response:
        """Deletes a file of the session's."""
        if request.scope["segtrain_session"] is not None:
            self._uploads.drop(request.scope["segtrain_session"], request.query_params.get("file", ""))
        return JSONResponse({})


async def _write(request: Request, path: Path, length: int) -> None:
    """Writes the body of a request to a new file; OSError unless it is as long as it says."""
    written = 0
    with created(path) as file:
        async for chunk in request.stream():
            written += len(chunk)
            if written > length:
                break
            file.write(chunk)
    if written != length:
        raise OSError(f"{written} bytes of {length}")


async def _content(request: Request) -> bytes:
    """Returns the body of a request, if it is short; else nothing."""
    content = b""
    with suppress(ClientDisconnect, TimeoutError):
        async with asyncio.timeout(SOON):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MOST_ASKED:
                    return b""
            return content
    return b""


async def _lost(request: Request, _: Exception) -> Response:
    return refusal(404, f"there is nothing at {request.method} {request.url.path}")


async def _failed(request: Request, error: Exception) -> Response:
    return refusal(500, f"the server failed ({type(error).__name__}); this is a mistake of segtrain's")


def _login_page(message: str) -> str:
    return document("segtrain", LINK, own_file("login.html").replace("<!--message-->", in_html(message)))


def run_server(server: Server, listener: socket.socket) -> None:
    """Answers until a signal ends it; nothing is logged."""
    settings = uvicorn.Config(
        server.app, log_level="critical", access_log=False, ws="none", lifespan="on", server_header=False,
        proxy_headers=False, limit_concurrency=MOST_AT_ONCE, timeout_graceful_shutdown=GRACE,
    )  # fmt: skip
    uvicorn.Server(settings).run(sockets=[listener])


def own_file(name: str) -> str:
    """Returns the text of a file of the page's, beside this module."""
    return own_text(HERE / f"serve_{name}")
