"""Reads the body of a request: JSON of bounded size, in bounded time."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from trifold.errors import Overloaded
from trifold.interfaces.http.replies import Refusal
from trifold.interfaces.http.room import Place, Room
from trifold.interfaces.http.settings import MB

__all__ = ["read_object"]

_CLOSE = {"Connection": "close"}
_CROWDED = "more text is arriving than there is room for. Try again in a moment, or send less at once."


async def read_object(request: Request, *, limit: int, seconds: float, room: Room) -> dict[str, Any]:
    """The JSON object of a request's body.

    limit: bytes. seconds: for the whole body. room: shared with all bodies that are being read. Raises Refusal,
    Overloaded, and ClientDisconnect when the client leaves.
    """
    with room.place() as place:
        return _parsed(request, await _read(request, limit, seconds, place))


def _parsed(request: Request, content: bytes) -> dict[str, Any]:
    """The object of a body, which is here even if it is refused: the client listens when it has sent all."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() not in ("application/json", ""):  # clients of KServe send none
        message = f"Content-Type: expected application/json, found {kind[:60]!r}."
        raise Refusal("unsupported_media_type", message, headers=_CLOSE)
    if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
        message = f"Content-Encoding: {coding[:60]!r} is not read here. Send the body as it is."
        raise Refusal("unsupported_media_type", message, headers=_CLOSE)
    return content


async def read_object(content: bytes, most: int) -> dict[str, Any]:
    """The JSON object that a body is. most: values in it. Raises Refusal."""
    if len(content) <= _SHORT:
        return _object(content, most)
    return await asyncio.to_thread(_object, content, most)  # whoever else waits gets a turn between its steps


async def _read(request: Request, limit: int, seconds: float, place: Place) -> bytes:
    """The bytes of the body. What is too much is read to its end without being kept, so that the client, which reads
    only when it has sent everything, learns why it is refused.
    """
    declared = request.headers.get("content-length", "")
    large = declared.isascii() and declared.isdecimal() and len(declared) < 20 and int(declared) > limit
    refusal: Exception | None = _too_large(limit) if large else None
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
                if size > limit:
                    refusal = _too_large(limit)
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


def _too_large(limit: int) -> Refusal:
    message = f"the body is larger than {limit / MB:g} MB. Send less at once, or raise --max-body-mb."
    return Refusal("too_large", message, headers=_CLOSE)


def _object(content: bytes, most: int) -> dict[str, Any]:
    if _values(content) > most:
        raise Refusal("too_large", f"the body holds more than {most:,} values. Send less at once.")
    if content.startswith(codecs.BOM_UTF8):
        raise Refusal("malformed", "the body begins with a byte order mark, which JSON has not.")
    try:
        value = _DECODER.decode(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Refusal("malformed", f"the body is not UTF-8 (byte {error.start}).") from None
    except RecursionError:
        raise Refusal("malformed", "the body is nested too deeply to be read.") from None
    except ValueError as error:
        raise Refusal("malformed", f"the body is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Refusal("malformed", "the body is JSON, but no object. Send an object such as {...}.")
    return value


def _values(content: bytes) -> int:
    """How many values and keys a JSON text has at most. The parser makes an object of each, one after another, while
    nothing else runs: two million of them are two seconds for everybody.
    """
    count = min(len(content), _signs(content))
    if count <= _SHORT:
        return count
    plain = content.replace(rb"\\", b"").replace(rb"\"", b"")
    strings = plain.count(b'"') // 2
    return strings if strings > count else _signs(b"".join(plain.split(b'"')[::2]))


def _signs(content: bytes) -> int:
    """One more than the signs with which a value or a key begins or ends."""
    return 1 + len(content) - len(content.translate(None, b",:[{"))


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits, where {_DIGITS} are read")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant)
