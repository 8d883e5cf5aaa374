"""Decides who may ask serve's page anything: by host, origin of the request, password, and the session's cookie."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Literal
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from segtrain.app.serve.uploads import Uploads

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

ASKING = ("GET", "HEAD")  # methods that change nothing
OPEN = ("/", "/login", "/page.css")  # paths that ask for no password: they show nothing but where to give it
SLOW = 1.0  # seconds that a wrong password costs
AT_ONCE = 4  # wrong passwords that are answered at a time; with SLOW, so many a second in all, from wherever they come
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no-referrer would make a form's Origin "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """Stands before every request.

    It lets through what names a host of ours, does not come from another site, and, where there is a password, holds
    the cookie of a session that gave it.
    """

    def __init__(self, uploads: Uploads, hosts: tuple[str, ...] | None, secret: str | None, port: int) -> None:
        """Keeps the rules.

        Args:
            uploads: knows the sessions.
            hosts: names that the page may be asked for as, so that no other site's name can be made to stand for this
                machine; None: any.
            secret: the password; None: there is none, and a session begins with the first upload.
            port: cookies are told apart by it, as browsers do not.
        """
        self._uploads, self._hosts, self._secret = uploads, hosts, secret
        self._cookie, self._trying = f"segtrain_{port}", 0

    def before(self, app: App) -> App:
        """Returns the app (ASGI) that asks this gate first; it finds the session in the request's scope."""

        async def guarded(scope: Message, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            elif scope["type"] == "http":
                await self._guarded(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return guarded

    async def _guarded(self, app: App, scope: Message, receive: Any, send: Any) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        request = Request(scope)
        scope["segtrain_session"] = self._session(request)
        await (self._refused(request) or app)(scope, receive, told)

    def _session(self, request: Request) -> str | None:
        """Returns the session whose cookie the request holds."""
        try:
            morsel = SimpleCookie(request.headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return None
        return morsel.value if morsel is not None and self._uploads.knows(morsel.value) else None

    def _refused(self, request: Request) -> Response | None:
        name = _host(f"//{request.headers.get('host', '')}", "hostname")
        if self._hosts is not None and name not in self._hosts:
            return refusal(400, f"this page is not known as '{name}'; expected {', '.join(self._hosts)}")
        if request.method not in ASKING and _is_foreign(request):
            return refusal(403, "this request comes from another site; expected one of this page, or of a program")
        if self._secret is not None and request.scope["segtrain_session"] is None and request.url.path not in OPEN:
            return refusal(401, "expected the password of this page; open it anew, and give it")
        return None

    @property
    def asks(self) -> bool:
        """Tells whether there is a password."""
        return self._secret is not None

    async def is_right(self, given: str) -> bool:
        """Returns whether this is the password; that it is not takes a while to tell."""
        if self._secret is None or self._trying >= AT_ONCE:
            return False
        if hmac.compare_digest(given.encode(errors="replace"), self._secret.encode()):
            return True
        self._trying += 1
        try:
            await asyncio.sleep(SLOW)
        finally:
            self._trying -= 1
        return False

    def bring(self, response: Response, session: str) -> None:
        """Lets the response bring the cookie of a session."""
        response.set_cookie(self._cookie, session, httponly=True, samesite="strict", path="/")


def _is_foreign(request: Request) -> bool:
    """Returns whether a browser says that another site than the one it asks sent it; programs say nothing."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None and _host(origin, "netloc") != request.headers.get("host", "").lower():
        return True
    return site not in (None, "same-origin", "none")


def _host(address: str, part: Literal["hostname", "netloc"]) -> str:
    """Returns the host of an address, without or with its port; empty where it has none."""
    try:
        return str(getattr(urlsplit(address), part) or "").lower()
    except ValueError:
        return ""


def refusal(status: int, message: str) -> Response:
    """Returns a message in place of an answer."""
    return JSONResponse({"error": message}, status)
