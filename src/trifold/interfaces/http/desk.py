"""Where requests become calls of the service: admission, waiting, and giving up."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import marshal
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from trifold.engine.calls import Asked, Outcome
from trifold.engine.hosting import Hosting, load_warm
from trifold.engine.loaded import Loaded
from trifold.engine.service import Service
from trifold.errors import DeadlineExceeded, InvalidInput, NotReady
from trifold.interfaces.http.bodies import Parsed, arrived, read_body
from trifold.interfaces.http.describing import SECONDS
from trifold.interfaces.http.keeping import Keeping
from trifold.interfaces.http.metrics import Metrics
from trifold.interfaces.http.parsing import object_in
from trifold.interfaces.http.replies import Refusal
from trifold.interfaces.http.room import Room
from trifold.interfaces.http.settings import MB, Settings
from trifold.interfaces.http.trace import trace_of

__all__ = ["JSON", "Desk"]

JSON = "application/json"

_KEYED = 1_000_000
"""Bytes of the largest request that is looked for among those in flight and the recent ones."""

_PLAIN = 2
"""The last format of marshal in which equal values have equal bytes; numbers and texts are copied into it, where JSON
would spell them out.
"""

T = TypeVar("T")

_log = logging.getLogger("trifold.serve")


class Desk:
    """What all routes share: the settings, the models, the service, the metrics, the corrections."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.hosting = Hosting()
        self.service = Service(
            limits=settings.limits,
            bounds=settings.bounds,
            recent=int(settings.cache_mb * MB),
            meter=self.metrics,
        )
        self.metrics.watch(self.service, self.hosting)
        self.keeping = Keeping(settings)
        self.ready = False
        self.draining = False
        self.in_flight = 0
        self._loading = asyncio.Lock()
        self._bodies = Room(int(settings.max_queue_mb * MB))

    async def load(self, name: str, model: str) -> tuple[Loaded, bool]:
        """Load a model and serve it under a name; whether another was served so before."""
        async with self._loading:  # one at a time, so that serving goes on beside it
            loaded = await asyncio.to_thread(load_warm, model, self.settings.precision)
            exchanged = self.hosting.serve(name, loaded)
        _log.info("%s is answered by %s (%s)", name, loaded.version, loaded.precision or "no graph")
        return loaded, exchanged

    async def body(self, request: Request) -> dict[str, Any]:
        """The JSON object that a request brings. Raises Refusal, NotReady, ClientDisconnect."""
        return await self.parsed(request, partial(object_in, most=self.most_values), (JSON,))

    async def parsed(self, request: Request, parse: Callable[[bytes], Parsed], kinds: Collection[str]) -> Parsed:
        """What a request brings, of one of these content types. Raises Refusal, NotReady, ClientDisconnect."""
        self._check_ready()
        settings = self.settings
        limit, seconds = settings.body_bytes, settings.body_timeout
        return await read_body(request, parse, kinds=kinds, limit=limit, seconds=seconds, room=self._bodies)

    @property
    def most_values(self) -> int:
        """Values and keys that a body of JSON may have: a hundred for each item or passage."""
        return 100 * max(1000, self.settings.max_items, self.settings.max_passages)

    def file(self, request: Request, kinds: Collection[str]) -> AbstractAsyncContextManager[bytes]:
        """The bytes of the file that a request brings. Raises Refusal, Overloaded, ClientDisconnect."""
        limit, seconds = self.settings.file_bytes, self.settings.body_timeout
        return arrived(request, kinds=kinds, limit=limit, flag="--max-file-mb", seconds=seconds, room=self._bodies)

    def model(self, name: str | None) -> Loaded:
        """The model of a name or version, the default one for None. Raises ModelNotFound, NotReady."""
        self._check_ready()
        return self.hosting.find(name)

    def _check_ready(self) -> None:
        if not self.ready:
            raise NotReady("the models are still being loaded. Try again in a moment.")

    def asked(self, loaded: Loaded, raw: Mapping[str, Any]) -> Asked:
        """A request to a model, with its size and what makes it equal to others. Raises Refusal."""
        try:
            content = marshal.dumps(sorted(raw.items()), _PLAIN)
        except ValueError:
            raise Refusal("malformed", "the body is nested too deeply to be read.") from None
        key = hashlib.blake2b(content, digest_size=32).digest() if len(content) <= _KEYED else None
        return Asked(loaded, raw, len(content), key)

    async def ask(self, request: Request, asked: Sequence[Asked]) -> list[Outcome]:
        """The outcomes of a call.

        Raises Overloaded, DeadlineExceeded, InvalidInput for a time that is none, and ClientDisconnect when
        the client has left, whose work is then dropped.
        """
        trace = trace_of(request.scope)
        allowed = self.seconds(request)
        call = self.service.submit(asked, deadline=trace.began + allowed)
        outcomes = await self.wait(request, asyncio.wrap_future(call.future), partial(self.service.cancel, call))
        trace.note(outcomes)
        if any(isinstance(outcome.reply, DeadlineExceeded) for outcome in outcomes):
            raise _too_late(allowed)  # for all of them, as when the clock here is the first to notice
        return outcomes

    async def wait(self, request: Request, answer: asyncio.Future[T], stop: Callable[[str], object]) -> T:
        """What comes of work for a client, or nothing once nobody waits any more.

        stop: ends the work, and is told why: "left", "deadline". Raises DeadlineExceeded, ClientDisconnect,
        InvalidInput for a time that is none.
        """
        allowed = self.seconds(request)
        leaving = asyncio.ensure_future(_left(request))
        reason = "left"
        try:
            left = trace_of(request.scope).began + allowed - time.monotonic()
            await asyncio.wait((answer, leaving), timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if leaving.done():
                raise ClientDisconnect
            reason = "deadline"
            raise _too_late(allowed)
        finally:
            leaving.cancel()
            if not answer.done():
                stop(reason)

    def seconds(self, request: Request) -> float:
        """How long the client will wait. Raises InvalidInput."""
        given = request.headers.get("x-timeout")
        if given is None:
            return self.settings.deadline
        given = given.strip(" \t")
        if len(given) > 40 or not re.fullmatch(SECONDS, given):
            raise InvalidInput(f"X-Timeout: expected seconds such as 2.5, found {given[:40]!r}.", field="X-Timeout")
        return min(float(given), self.settings.deadline)


def _too_late(seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"not answered within {seconds:g} seconds. Ask for less, or try again later.")


async def _left(request: Request) -> None:
    """Returns when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
