"""The door of the server: what every request passes before it reaches a route, and every reply after it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trifold.errors import NotReady
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.hosts import Hosts
from trifold.interfaces.http.keys import Keys
from trifold.interfaces.http.logs import log_request
from trifold.interfaces.http.replies import CLIENT_LEFT, Refusal, refused
from trifold.interfaces.http.trace import Trace, trace_of

__all__ = ["HEALTH", "REFUSAL", "Door", "Guard"]

_OPEN = ("/v2/health/live", "/v2/health/ready", "/openapi.json", "/docs", "/")
_OPEN_FILES = ("/docs/", "/page/")
HEALTH = ("/v2/health/live", "/v2/health/ready")
REFUSAL = "trifold.refusal"
"""Where a connection leaves, in the scope of a request, the Refusal that it has against it."""


class Guard:
    """The outermost layer: names the request, checks where it comes from, counts it, and turns every exception into a
    reply.
    """

    def __init__(self, app: ASGIApp, desk: Desk, hosts: Hosts) -> None:
        self._app, self._desk, self._hosts = app, desk, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        name = headers.get(b"x-request-id")
        key = _key(headers).encode("latin-1")
        trace = Trace.begin(scope, None if name is not None and key and key in name else name)  # else the log shows it
        status = CLIENT_LEFT

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = MutableHeaders(scope=message)
                own["X-Request-ID"] = trace.id
                own["Server-Timing"] = trace.server_timing()
                own["X-Content-Type-Options"] = "nosniff"
                if self._desk.draining:
                    own["Connection"] = "close"
            await send(message)

        async def hear() -> Message:
            message = await receive()
            self._check_form(scope)  # a body can turn out to be none in the middle
            return message

        # uvicorn, whose scope says HEAD still, sends no body.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        counted = scope["path"] not in HEALTH
        self._desk.in_flight += counted
        self._desk.metrics.in_flight.inc()
        try:
            self._check_form(scope)
            self._check(scope, headers)
            await self._app(asked, hear, reply)
        except (Refusal, NotReady) as error:
            await refused(error, scope)(scope, receive, reply)
        finally:
            self._desk.in_flight -= counted
            self._desk.metrics.in_flight.dec()
            self._count(asked, scope["method"], trace, status)

    def _check_form(self, scope: Scope) -> None:
        if (refusal := scope.get(REFUSAL)) is not None:
            raise refusal

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        nameless = scope["http_version"] == "1.0" and b"host" not in headers and scope["path"] in HEALTH
        if not nameless and not self._hosts.knows(host):  # probes of balancers may be older than the name of a host
            raise Refusal(
                "forbidden",
                f"this server is not called {host[:80]!r}. Use its address, or start it with --allowed-host.",
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._hosts.welcomes(origin.decode("latin-1"), host, scope["scheme"]):
            raise Refusal("forbidden", "pages of other sites may not ask here. Start the server with --cors-origin.")
        if self._desk.draining and scope["path"] not in HEALTH:
            raise NotReady("the server is shutting down. Ask another one, or try again later.")

    def _count(self, scope: Scope, method: str, trace: Trace, status: int) -> None:
        route = getattr(scope.get("route"), "path", "other")
        health = scope["path"] in HEALTH
        self._desk.metrics.finished(route, status, trace, rejected=not health)
        log_request(trace.facts(method, scope["path"], status), quietly=health)


class Door:
    """Asks for a key, where keys are in use."""

    def __init__(self, app: ASGIApp, keys: Keys | None) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._keys is not None and not _is_open(scope["path"]):
            key = _key(dict(scope["headers"]))
            holder = self._keys.holder(key)
            if holder is None:
                message = "the key is unknown." if key else "a key is needed: Authorization: Bearer KEY."
                refusal = Refusal("unauthorized", message, headers={"WWW-Authenticate": "Bearer"})
                await refused(refusal, scope)(scope, receive, send)
                return
            trace_of(scope).holder = holder
        await self._app(scope, receive, send)


def _key(headers: Mapping[bytes, bytes]) -> str:
    """The key that a request brings."""
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    key = headers.get(b"x-api-key", b"").decode("latin-1")
    return bearer[7:].strip() if not key and bearer[:7].lower() == "bearer " else key


def _is_open(path: str) -> bool:
    """Whether no key is needed: for what says nothing of this server's texts. The page itself asks for the key."""
    return path in _OPEN or path.startswith(_OPEN_FILES)
