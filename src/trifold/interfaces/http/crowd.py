"""All connections together: how many there may be, and the record of whoever is refused without a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trifold.interfaces.http.logs import log_request
from trifold.interfaces.http.metrics import Metrics
from trifold.interfaces.http.trace import Trace
from trifold.wire import STATUS

if TYPE_CHECKING:
    from trifold.interfaces.http.connection import Connection

__all__ = ["GUESTS", "Crowd"]

GUESTS = 64
"""Connections beyond the most that may be: newcomers, who may ask whether the server lives, and those that part."""
_GUEST_SECONDS = 1.0


class Crowd:
    """What the connections of a server share."""

    def __init__(self, metrics: Metrics, *, most: int, header_timeout: float, body_timeout: float) -> None:
        """most: connections at once. header_timeout: seconds for the headers of a request. body_timeout: seconds in
        which a client must take something of a reply.
        """
        self._metrics = metrics
        self._most = most
        self.header_timeout = header_timeout
        self.body_timeout = body_timeout
        self._extra: dict[Connection, None] = {}  # guests, and those that wait for their client to hang up

    def admits(self, newcomer: Connection, connected: int) -> bool:
        """Whether a new connection is one of those that may be, rather than a guest. connected: with it."""
        if connected - len(self._extra) <= self._most:
            return True
        self._add(newcomer)
        return False

    def part(self, connection: Connection) -> None:
        """A connection only waits for its client to hang up."""
        if connection not in self._extra:
            self._add(connection)

    def leave(self, connection: Connection) -> None:
        """A connection is no more."""
        self._extra.pop(connection, None)

    def _add(self, connection: Connection) -> None:
        """One more of those that are not counted. They come and go in order, so the first makes room."""
        if len(self._extra) >= GUESTS:
            first = next(iter(self._extra))
            del self._extra[first]
            first.push_out()
        self._extra[connection] = None

    def patience(self, *, guest: bool) -> float:
        """Seconds for the headers of a request."""
        return min(self.header_timeout, _GUEST_SECONDS) if guest else self.header_timeout

    def refused(self, kind: str, trace: Trace) -> None:
        """Somebody was refused before there was a request."""
        trace.reason = kind
        self._metrics.finished("other", STATUS[kind], trace)
        log_request(trace.facts("-", "-", STATUS[kind]))
