"""Runs the server: listens, loads, and ends without losing what it has accepted."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from types import FrameType

import click
import uvicorn
from starlette.types import ASGIApp

from trifold.errors import TrifoldError, UsageError
from trifold.interfaces.http.app import application
from trifold.interfaces.http.connection import connections
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.keys import Keys
from trifold.interfaces.http.logs import set_up
from trifold.interfaces.http.settings import Settings

__all__ = ["serve"]

_BACKLOG = 2048
_KEEP_ALIVE = 75
"""Seconds that an idle connection is kept; longer than the 60 of common balancers, which must close first."""
_LAME = 0.5
"""Seconds for which a server that ends still replies, with 503, so that clients on open connections are told."""

_log = logging.getLogger("trifold.serve")


def serve(settings: Settings) -> None:
    """Serve until a signal says to end.

    Raises UsageError for settings that cannot be, an address in use among them, and what loading a model raises.
    """
    set_up(json_lines=settings.log_json, level=settings.log_level)
    keys = None if settings.api_key_file is None else Keys(settings.api_key_file)
    listener = _listen(settings.host, settings.port)
    desk = Desk(settings)
    server = _Server(application(desk, keys), desk)
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    # Whatever is logged: with --port 0 nothing else tells the address.
    docs = f" ({address}/docs describes the API)" if settings.docs else ""
    click.echo(f"trifold listens at {address}{docs}", err=True)
    server.run(sockets=[listener])
    if server.failure is not None:
        raise server.failure


class _Server(uvicorn.Server):
    """uvicorn's server, which loads the models once it listens, and drains before it ends."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        settings = desk.settings
        protocol = connections(header_timeout=settings.header_timeout, most=settings.max_connections)
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=1,
            proxy_headers=False,
        )
        super().__init__(config)
        self.failure: TrifoldError | None = None
        self._desk = desk
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
            await asyncio.sleep(0.02)
        if self._desk.in_flight:
            _log.error("requests not answered within the grace time: %d", self._desk.in_flight)
        if self._loading is not None:
            self._loading.cancel()
        await super().shutdown(sockets)
        _log.info("ended")

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


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror}. Give an address of this machine.") from None
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is in use. Give another with --port, or 0 for a free one.") from None
        raise UsageError(f"cannot listen at {host} port {port}: {error.strerror}.") from None
    listener.setblocking(False)
    return listener
