"""Reads the body of a request: of bounded size, in bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from starlette.requests import ClientDisconnect, Request

from trifold.errors import Overloaded
from trifold.interfaces.http.replies import Refusal
from trifold.interfaces.http.room import Place, Room
from trifold.interfaces.http.settings import MB

__all__ = ["Parsed", "arrived", "read_body"]

_CLOSE = {"Connection": "close"}
_CROWDED = "more text is arriving than there is room for. Try again in a moment, or send less at once."
_SHORT = 100_000
"""Bytes that are parsed at once, in less than the time that a thread would need to begin when all cores compute."""

Parsed = TypeVar("Parsed")


async def read_body(
    request: Request,
    parse: Callable[[bytes], Parsed],
    *,
    kinds: Collection[str],
    limit: int,
    seconds: float,
    room: Room,
) -> Parsed:
    """What the body of a request says.

    parse: its bytes; may run in a thread. kinds: content types. limit: bytes. seconds: for the whole body. room: shared
    with all bodies that are being read. Raises Refusal, Overloaded, and ClientDisconnect when the client leaves.
    """
    async with arrived(request, kinds=kinds, limit=limit, flag="--max-body-mb", seconds=seconds, room=room) as content:
        if len(content) <= _SHORT:
            return parse(content)
        return await asyncio.to_thread(parse, content)  # others get their turn between its steps


@asynccontextmanager
async def arrived(
    request: Request, *, kinds: Collection[str], limit: int, flag: str, seconds: float, room: Room
) -> AsyncIterator[bytes]:
    """The body of a request, which takes up room as long as it is worked on.

    flag: what raises the limit. The others as above; raises the same.
    """
    with room.place() as place:
        content = await _read(request, _Limit(limit, flag), seconds, place)
        _check(request, kinds)
        yield content


class _Limit(NamedTuple):
    size: int
    flag: str

    @property
    def refusal(self) -> Refusal:
        message = f"the body is larger than {self.size / MB:g} MB. Send less at once, or raise {self.flag}."
        return Refusal("too_large", message, headers=_CLOSE)


def _check(request: Request, kinds: Collection[str]) -> None:
    """Refuse what cannot be read; after the body has come, since the client listens when it has sent all."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() not in (*kinds, ""):  # clients of KServe send none
        message = f"Content-Type: expected {' or '.join(kinds)}, found {kind[:60]!r}."
        raise Refusal("unsupported_media_type", message, headers=_CLOSE)
    if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
        message = f"Content-Encoding: {coding[:60]!r} is not read here. Send the body as it is."
        raise Refusal("unsupported_media_type", message, headers=_CLOSE)


async def _read(request: Request, limit: _Limit, seconds: float, place: Place) -> bytes:
    """The bytes of the body. What is too much is read to its end without being kept, so that the client, which reads
    only when it has sent everything, learns why it is refused.
    """
    declared = request.headers.get("content-length", "")
    large = declared.isascii() and declared.isdecimal() and len(declared) < 20 and int(declared) > limit.size
    refusal: Exception | None = limit.refusal if large else None
    if refusal is not None and "100-continue" in request.headers.get("expect", "").lower():
        raise refusal
    size = 0
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part = message.get("body", b"")
                size += len(part)
                if size > limit.size:
                    refusal = limit.refusal
                elif refusal is None and not place.hold(len(part)):
                    refusal = Overloaded(_CROWDED, retry_after=1)
                if refusal is None:
                    parts.append(part)
                else:
                    parts.clear()
                    place.clear()
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        if refusal is not None:
            raise refusal from None
        slow = f"the body did not arrive within {seconds:g} seconds. Send it faster, or in smaller requests."
        raise Refusal("slow_request", slow, headers=_CLOSE) from None
    if refusal is not None:
        raise refusal
    return b"".join(parts)
