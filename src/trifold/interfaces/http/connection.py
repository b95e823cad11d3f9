"""One connection: uvicorn's, with bounds on how slowly and how much a stranger may send before a request has begun."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from trifold.wire import STATUS

__all__ = ["connections"]

_HEADERS = 32_768
"""Bytes of a request's line and headers at most."""


def connections(*, header_timeout: float, most: int) -> type[asyncio.Protocol]:
    """A protocol for uvicorn. header_timeout: seconds for the headers of a request. most: connections at once."""

    class Connection(HttpToolsProtocol):
        def __init__(
            self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self._slow: asyncio.TimerHandle | None = None
            self._received = 0
            self._complete = self._ended = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                self._refuse("not_ready", "too many connections are open. Try again later.")
            else:
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._arrived()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            if self._slow is None and (self.cycle is None or self.cycle.response_complete):
                self._wait()  # bytes that begin no request yet, or belong to one that was answered
            super().data_received(data)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._received = 0
            self._complete = self._ended = False
            self._wait()

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value))
            if not self._complete:  # what follows a chunked body is no header, whatever it says
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._arrived()
            self._complete = True
            if self.transport.is_closing():
                return
            if self.parser.should_upgrade():  # the parser would take the body for another protocol's
                self._refuse("malformed", "this server speaks HTTP/1.1 only: send the request without Upgrade.")
            elif sum(name == b"host" for name, _ in self.headers) > 1:
                self._refuse("malformed", "the request names two hosts.")
            else:
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self.transport.is_closing():
                super().on_body(body)

        def on_message_complete(self) -> None:
            self._ended = True
            if not self.transport.is_closing():
                super().on_message_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self._ended and not self.transport.is_closing():
                self._wait()  # for the rest of a body that nobody read

        def send_400_response(self, msg: str) -> None:
            self._refuse("malformed", "this is no HTTP request.")

        def _count(self, size: int) -> None:
            self._received += size
            if self._received > _HEADERS and not self.transport.is_closing():
                self._refuse("headers_too_large", f"the headers are larger than {_HEADERS:,} bytes.")

        def _wait(self) -> None:
            self._arrived()
            self._slow = self.loop.call_later(header_timeout, self._too_slow)

        def _arrived(self) -> None:
            if self._slow is not None:
                self._slow.cancel()
                self._slow = None

        def _too_slow(self) -> None:
            if not self.transport.is_closing():
                self._refuse("slow_request", f"no complete headers arrived within {header_timeout:g} seconds.")

        def _refuse(self, kind: str, message: str) -> None:
            """Reply before there is a request to reply to, and hang up."""
            if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
                self.transport.close()  # amid another reply: nothing can be said
                return
            body = json.dumps({"error": message, "error_type": kind}).encode()
            lines = [b"content-type: application/json", b"content-length: %d" % len(body), b"connection: close"]
            if kind == "not_ready":
                lines.append(b"retry-after: 1")
            self.transport.write(STATUS_LINE[STATUS[kind]] + b"\r\n".join(lines) + b"\r\n\r\n" + body)
            self.transport.close()

    return cast("type[asyncio.Protocol]", Connection)
