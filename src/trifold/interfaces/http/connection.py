"""One connection: bounds on how slowly and how much a stranger may send, and what is said where there is no request."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from trifold.interfaces.http.crowd import Crowd
from trifold.interfaces.http.guard import HEALTH, REFUSAL
from trifold.interfaces.http.pipeline import Pipelined
from trifold.interfaces.http.replies import Refusal
from trifold.interfaces.http.trace import Trace
from trifold.interfaces.http.transport import Transport
from trifold.wire import STATUS

__all__ = ["Connection"]

_HEADERS = 32_768
"""Bytes of a request's line and headers at most."""
_FRESH = 0.5
"""Seconds for which a server that ends waits for the first request of a connection."""
_CROWDED = "too many connections are open. Try again later."
_AGAIN = {"Retry-After": "1"}


class Connection(Pipelined):
    """A connection of a crowd."""

    def __init__(
        self, crowd: Crowd, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._crowd = crowd
        self._guest = False
        self._slow: asyncio.TimerHandle | None = None
        self._since = time.monotonic()
        self._heard = False
        self._received = 0
        self._refusal: tuple[str, str] | None = None

    @property
    def awaited(self) -> bool:
        """Whether something was asked and not answered yet, or may have been."""
        if self.transport.is_closing():
            return False
        fresh = not self._heard and time.monotonic() - self._since < _FRESH
        return fresh or not self.ended or not self.answered

    def watch(self) -> None:
        """Look after the client, every now and then."""
        self._own.watch()

    def push_out(self) -> None:
        """Make room for another."""
        self._refuse("not_ready", _CROWDED)
        self._own.drop()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._own = Transport(transport, patience=self._crowd.body_timeout, parting=self._part)
        super().connection_made(self._own)
        self._guest = not self._crowd.admits(self, len(self.connections))
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            self._own.heard()
            return
        self._heard = True
        if self._slow is None and self.answered:
            self._wait()  # bytes that begin no request yet, or belong to one that was answered
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._received = 0
        self._wait()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._arrived()
        if self.over or self.parser.should_upgrade():
            return
        super().on_headers_complete()
        if (refusal := self._objection()) is not None:
            self._object(refusal)
        elif self._guest:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.ended:
            self._arrived()  # the rest of a body that nobody read

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self.answered and self._refusal is not None:
            self._say(*self._refusal)
            return
        if self.answered and not self.ended:
            self._wait()  # for the rest of a body that nobody read
        self.go_on()

    def nonsense(self) -> None:
        if not self.amid_body:
            self._refuse("malformed", "this is no HTTP request.")
        elif self.cycle.response_complete:
            self.over = True
            self.transport.close()
        else:
            self.over = True
            self._object(Refusal("malformed", "the body does not arrive as HTTP has it."))
            self.cycle.message_event.set()

    def _part(self) -> None:
        self._arrived()
        self._crowd.part(self)

    def _objection(self) -> Refusal | None:
        """What there is against a request whose headers are here."""
        names = [name for name, _ in self.headers]
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if names.count(b"host") > 1:
            return Refusal("malformed", "the request names two hosts.")
        if codings not in ([], [b"chunked"]):
            return Refusal("malformed", "Transfer-Encoding: nothing but chunked is read here.")
        if self._guest and self.scope["path"] not in HEALTH:
            return Refusal("not_ready", _CROWDED, headers=_AGAIN)
        return None

    def _object(self, refusal: Refusal) -> None:
        """Have the guard refuse a request, in its turn, and end with it."""
        cast("dict[str, Any]", self.cycle.scope)[REFUSAL] = refusal
        self.cycle.keep_alive = False

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > _HEADERS:
            self._refuse("headers_too_large", f"the headers are larger than {_HEADERS:,} bytes.")

    def _wait(self) -> None:
        self._arrived()
        self._since = time.monotonic()
        self._slow = self.loop.call_later(self._crowd.patience(guest=self._guest), self._too_slow)

    def _arrived(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _too_slow(self) -> None:
        self._slow = None
        if self._guest:
            self._refuse("not_ready", _CROWDED)
        elif self.amid_body and self.answered:
            self.transport.close()
        else:
            seconds = self._crowd.patience(guest=False)
            self._refuse("slow_request", f"no complete headers arrived within {seconds:g} seconds.")

    def _refuse(self, kind: str, message: str) -> None:
        """Refuse what is no request, once those before it are answered, and hang up."""
        if self.over or self.transport.is_closing():
            return
        self.over = True
        self._refusal = (kind, message)
        if self.answered:
            self._say(kind, message)

    def _say(self, kind: str, message: str) -> None:
        trace = Trace(began=self._since)
        self._crowd.refused(kind, trace)
        body = json.dumps({"error": message, "error_type": kind}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            (b"x-request-id", trace.id.encode()),
        ]
        if kind == "not_ready":
            headers += [(name.lower().encode(), value.encode()) for name, value in _AGAIN.items()]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[STATUS[kind]] + lines + b"\r\n" + body)
        self.transport.close()
