"""One request after the other: uvicorn's connection, which parses no further than what it can answer next."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from trifold.interfaces.http.transport import Gate

__all__ = ["Pipelined"]

_BLANK = b"\r\n\r\n"
_STEP = 1024
"""Bytes of a body that are parsed at once at least, lest a body of blank lines cost a call for every four of them."""


class Pipelined(HttpToolsProtocol):
    """A connection on which a client may send requests ahead, and offer other protocols, which are declined.

    The parser cannot be stopped between two requests. So it is fed up to a blank line, where the headers of each end,
    and gets no more while a request waits for its answer; nor does the connection read more then.
    """

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._rest, self._at = b"", 0  # what was received; where the part begins that was not parsed yet
        self.headed = False
        self.ended = True
        self.over = False  # nothing that comes is looked at any more

    @property
    def answered(self) -> bool:
        """Whether everything that was asked so far has its answer."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    @property
    def amid_body(self) -> bool:
        return self.headed and not self.ended

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = self._gate = Gate(transport)

    def data_received(self, data: bytes) -> None:
        if not self.over:
            self._rest, self._at = self._rest[self._at :] + data, 0
            self.go_on()

    def go_on(self) -> None:
        """Parse what may be parsed now."""
        if self._at < len(self._rest):
            self._unset_keepalive_if_required()
        while not self.over and self._at < len(self._rest) and (self.answered or not (self.ended or self.pipeline)):
            begin = self._at
            blank = self._rest.find(_BLANK, begin + (_STEP if self.amid_body else 0))
            self._at = len(self._rest) if blank < 0 else blank + len(_BLANK)
            self._feed(memoryview(self._rest)[begin : self._at])
        if self.over or self._at == len(self._rest):
            self._rest, self._at = b"", 0
        if self.over or self._rest:
            self._gate.shut = True
            self.flow.pause_reading()
        elif self._gate.shut:
            self._gate.shut = False
            self.flow.resume_reading()

    @abstractmethod
    def nonsense(self) -> None:
        """What came is no HTTP."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.headed = self.ended = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.headed:  # what follows a chunked body is no header, whatever it says
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.headed = True

    def on_body(self, body: bytes) -> None:
        if not self.over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.over and not self.parser.should_upgrade():
            self.ended = True
            super().on_message_complete()

    def _feed(self, piece: memoryview) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as stop:
            self._decline(piece[stop.args[0] :])
        except httptools.HttpParserError:
            self.nonsense()

    def _decline(self, rest: memoryview) -> None:
        """Go on as if the request had not offered to speak another protocol.

        The parser takes what follows such an offer for that protocol's. Another parser gets the headers again without
        it, then the rest.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.nonsense()
            return
        line = b"%s %s HTTP/%s\r\n" % (method, self.url, self.parser.get_http_version().encode())
        headers = b"".join(b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(memoryview(line + headers + b"\r\n" + rest))
