"""Reads the body of a request: JSON of bounded size, in bounded time."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from trifold.interfaces.http.replies import Refusal
from trifold.interfaces.http.settings import MB

__all__ = ["read_object"]

_CLOSE = {"Connection": "close"}


async def read_object(request: Request, *, limit: int, seconds: float) -> dict[str, Any]:
    """The JSON object of a request's body.

    limit: bytes. seconds: for the whole body. Raises Refusal, and ClientDisconnect when the client leaves.
    """
    content = await _read(request, limit, seconds)  # also of what is refused: the client listens when it has sent all
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() not in ("application/json", ""):  # clients of KServe send none
        message = f"Content-Type: expected application/json, found {kind[:60]!r}."
        raise Refusal("unsupported_media_type", message, headers=_CLOSE)
    if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
        message = f"Content-Encoding: {coding[:60]!r} is not read here. Send the body as it is."
        raise Refusal("unsupported_media_type", message, headers=_CLOSE)
    return _object(content)


async def _read(request: Request, limit: int, seconds: float) -> bytes:
    """The bytes of the body. What is too large is read to its end without being kept, so that the client, which reads
    only when it has sent everything, learns why it is refused.
    """
    declared = request.headers.get("content-length", "")
    large = declared.isascii() and declared.isdecimal() and len(declared) < 20 and int(declared) > limit
    if large and "100-continue" in request.headers.get("expect", "").lower():
        raise _too_large(limit)
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
                    large = True
                    parts.clear()
                elif not large:
                    parts.append(part)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        if large:
            raise _too_large(limit) from None
        slow = f"the body did not arrive within {seconds:g} seconds. Send it faster, or in smaller requests."
        raise Refusal("slow_request", slow, headers=_CLOSE) from None
    if large:
        raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> Refusal:
    message = f"the body is larger than {limit / MB:g} MB. Send less at once, or raise --max-body-mb."
    return Refusal("too_large", message, headers=_CLOSE)


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise Refusal("malformed", f"the body is not UTF-8 (byte {error.start}).") from None
    except RecursionError:
        raise Refusal("malformed", "the body is nested too deeply to be read.") from None
    except ValueError as error:
        reason = str(error) if len(str(error)) < 200 else "a value that is none"
        raise Refusal("malformed", f"the body is not JSON: {reason}.") from None
    if not isinstance(value, dict):
        raise Refusal("malformed", "the body is JSON, but no object. Send an object such as {...}.")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
