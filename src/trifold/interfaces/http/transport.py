"""How bytes go to a client and come from it: closing without taking away the last reply, reading only when told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

__all__ = ["Gate", "Transport"]

_LINGER = 1.0
"""Seconds of silence after the last reply, within which the client should hang up."""


class Transport(asyncio.Transport):
    """The loop's transport with another way to close.

    Closing while bytes of the client are unread, or before they come, resets the connection, and a reset takes away
    replies that the client has not read yet. So this says that it has ended, and reads on, for a moment, until the
    client hangs up too. `watch`, called every now and then, ends that moment, and the wait for a client that takes
    nothing of what it is sent.
    """

    def __init__(self, inner: asyncio.Transport, *, patience: float, parting: Callable[[], None]) -> None:
        """patience: seconds in which a client must take something of a reply, or end what it sends after the last.
        parting: called when it is closed.
        """
        super().__init__()
        self._inner = inner
        self._patience = patience
        self._parting = parting
        self._closed: float | None = None
        self._moved = time.monotonic()
        self._unsent = 0

    def close(self) -> None:
        if self.is_closing():
            return
        self._closed = self._moved = time.monotonic()
        try:
            self._inner.resume_reading()
            self._inner.write_eof()
        except OSError:  # the client was faster
            self._inner.abort()
        self._parting()

    def drop(self) -> None:
        """Close without waiting for the client, once everything is sent."""
        self._closed = time.monotonic()
        self._inner.close()

    def heard(self) -> None:
        """The client goes on sending after the last reply."""
        self._moved = time.monotonic()

    def watch(self) -> None:
        """Hang up on a client that neither takes what it is sent nor hangs up."""
        now, unsent = time.monotonic(), self._inner.get_write_buffer_size()
        if unsent != self._unsent or (not unsent and self._closed is None):
            self._moved = now
        self._unsent = unsent
        still = now - self._moved
        talking = not unsent and self._closed is not None and now - self._closed > self._patience
        if still > (self._patience if unsent else _LINGER) or talking:
            self._inner.abort()

    def write(self, data: Any) -> None:
        if not self.is_closing():
            self._inner.write(data)

    def pause_reading(self) -> None:
        if not self.is_closing():
            self._inner.pause_reading()

    def resume_reading(self) -> None:
        if not self.is_closing():
            self._inner.resume_reading()

    def is_closing(self) -> bool:
        return self._closed is not None or self._inner.is_closing()

    def abort(self) -> None:
        self._inner.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)


class Gate(FlowControl):
    """uvicorn's control of reading, which stays shut while there is more to do than a connection may ask at once."""

    shut = False

    def resume_reading(self) -> None:
        if not self.shut:
            super().resume_reading()
