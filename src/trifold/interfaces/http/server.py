"""Runs the server: listens, loads, and ends without losing what it has accepted."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import time
import webbrowser
from types import FrameType
from typing import cast

import click
import uvicorn
from starlette.types import ASGIApp

from trifold.errors import TrifoldError
from trifold.interfaces.http.app import application
from trifold.interfaces.http.connection import Connection
from trifold.interfaces.http.crowd import Crowd
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.keys import Keys
from trifold.interfaces.http.listening import BACKLOG, connections_that_fit, listen, waiting
from trifold.interfaces.http.logs import set_up
from trifold.interfaces.http.settings import Settings

__all__ = ["serve"]

_KEEP_ALIVE = 75
"""Seconds that an idle connection is kept; longer than the 60 of common balancers, which must close first."""
_LAME = 0.5
"""Seconds for which a server that ends still replies, with 503, so that clients on open connections are told."""
_WATCH = 5
"""Tenths of a second between two looks after clients that do not hang up."""
_TURN = 0.02
_TURNS = 25
"""Turns of the loop at most in which whoever has just connected is heard. On a busy machine they take longer."""
_PARTING = 15
"""Turns of the loop in which clients may read that their connection has ended."""

_log = logging.getLogger("trifold.serve")


def serve(settings: Settings) -> None:
    """Serve until a signal says to end.

    Raises UsageError for settings that cannot be, an address in use among them, and what loading a model raises.
    """
    set_up(json_lines=settings.log_json, level=settings.log_level)
    keys = None if settings.api_key_file is None else Keys(settings.api_key_file)
    listener = listen(settings.host, settings.port)
    desk = Desk(settings)
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    server = _Server(application(desk, keys), desk, f"{address}/" if settings.browser else None)
    # Whatever is logged: with --port 0 nothing else tells the address.
    page = "open it in a browser" if settings.web else ""
    docs = f"{address}/docs describes the API" if settings.docs else ""
    more = "; ".join(filter(None, (page, docs)))
    click.echo(f"trifold listens at {address}{'/' if page else ''}{f' ({more})' if more else ''}", err=True)
    server.run(sockets=[listener])
    if server.failure is not None:
        raise server.failure


class _Server(uvicorn.Server):
    """uvicorn's server, which loads the models once it listens, and drains before it ends."""

    def __init__(self, app: ASGIApp, desk: Desk, page: str | None) -> None:
        """page: an address to open in a browser once the models are ready."""
        settings = desk.settings
        self._crowd = Crowd(
            desk.metrics,
            most=connections_that_fit(settings.max_connections),
            header_timeout=settings.header_timeout,
            body_timeout=settings.body_timeout,
        )
        config = uvicorn.Config(
            app,
            http=cast("type[asyncio.Protocol]", functools.partial(Connection, self._crowd)),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=1,
            proxy_headers=False,
        )
        super().__init__(config)
        self.failure: TrifoldError | None = None
        self._desk = desk
        self._page = page
        self._loading: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loading = asyncio.get_running_loop().create_task(self._load())

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            for word in self._desk.settings.models:
                name, model = served_name(word)
                await self._desk.load(name, model)
        except TrifoldError as error:
            self.failure = error
            self.should_exit = True
            return
        self._desk.ready = True
        _log.info("ready after %.1f s: %s", time.monotonic() - began, ", ".join(self._desk.hosting.served))
        if self._page is not None:
            await asyncio.to_thread(webbrowser.open, self._page)

    async def on_tick(self, counter: int) -> bool:
        if counter % _WATCH == 0:
            self._watch()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse what is new, answer what was accepted, then close."""
        self._desk.draining = True
        began = time.monotonic()
        left = self._desk.in_flight
        if left:
            _log.info("shutting down; requests still being answered: %d", left)
        while not self.force_exit:
            seconds = time.monotonic() - began
            if seconds >= self._desk.settings.grace or (not self._desk.in_flight and seconds >= _LAME):
                break
            self._watch()
            await asyncio.sleep(_TURN)
        if self._desk.in_flight:
            _log.error("requests not answered within the grace time: %d", self._desk.in_flight)
        if self._loading is not None:
            self._loading.cancel()
        await self._part(sockets or [])
        await super().shutdown(sockets)
        _log.info("ended")

    async def _part(self, listeners: list[socket.socket]) -> None:
        """Close so that nobody who could connect is left without a word.

        A listener that is closed resets those who have connected and were not let in yet, and a connection that is
        closed resets whoever has just asked. So all are let in, heard, and told. Between the last look for somebody
        and the closing nothing else may happen.
        """
        loop = asyncio.get_running_loop()
        found = [connection for listener in listeners for connection in waiting(listener)]
        for server in self.servers:
            server.close()
        for connection in found:
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._connection, connection)
        for turn in range(2 if self._desk.in_flight else _TURNS):  # the grace time is over, where something is left
            if self.force_exit or (turn > 1 and not any(client.awaited for client in self._connections)):
                break
            await asyncio.sleep(_TURN)
        for client in self._connections:
            client.shutdown()
        for _ in range(_PARTING):
            if self.force_exit or not any(client.transport.is_closing() for client in self._connections):
                break
            await asyncio.sleep(_TURN)
        for client in self._connections:
            if client.transport.is_closing():
                client.transport.abort()

    def _connection(self) -> Connection:
        state = self.server_state
        return Connection(self._crowd, self.config, state, self.lifespan.state, asyncio.get_running_loop())

    @property
    def _connections(self) -> list[Connection]:
        return cast("list[Connection]", list(self.server_state.connections))

    def _watch(self) -> None:
        for client in self._connections:
            client.watch()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to end; a second one does not wait."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


def served_name(word: str) -> tuple[str, str]:
    """The name that a model is served under, and the model: of `NAME=MODEL`, or of a model's own name."""
    name, equals, model = word.partition("=")
    if equals and name and model and "/" not in name:
        return name, model
    from pathlib import Path

    if word.startswith((".", "/", "~")) or Path(word).is_dir():
        return Path(word).expanduser().resolve().name.partition("@")[0], word
    return word.partition("@")[0], word
