"""One request until its reply, without input or output: what to send, when to wait, what a reply means.

A `Flow` is a generator: it yields what is to be done (`Send`, `Wait`) and is sent what came of it. A transport drives
it, with threads or with asyncio (`trifold.remote.transport`), so that there is one logic for both.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar

from trifold.errors import DeadlineExceeded, TrifoldError, Unreachable
from trifold.remote.retries import Tries, retry_after
from trifold.remote.settings import Settings
from trifold.remote.shapes import Misread
from trifold.wire import error_from

__all__ = ["Call", "Failed", "Flow", "Outcome", "Received", "Send", "Wait", "exchange", "fetch", "misfit"]

T = TypeVar("T")

_FULL = (429, 502, 503)
"""Statuses after which the same request may succeed: the service, or a proxy in front of it, did not process it."""

_FOREIGN = {
    401: "unauthorized",
    403: "forbidden",
    413: "too_large",
    429: "overloaded",
    504: "deadline_exceeded",
}
"""What statuses mean that come without a record of trifold's: proxies send them too."""

_LONGEST_ID = 128
_NO_JSON = object()


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a service. path: after the address, quoted. body: of that media type, JSON in UTF-8 by default.

    repeatable: asking twice does no harm, so it is asked again when the reply was lost.
    """

    method: str
    path: str
    body: bytes | None = None
    repeatable: bool = True
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Send:
    """To be done: send this. left: seconds until it must be answered, at any time."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    left: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Wait:
    """To be done: nothing, for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Received:
    """A reply, whole. headers: with names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """No reply. absent: no connection; lost: it broke; late: out of time; unusable: another try is of no use."""

    kind: Literal["absent", "lost", "late", "unusable"]
    reason: str = ""
    remedy: str = ""


Flow: TypeAlias = Generator[Send | Wait, Received | Failed | None, T]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: JSON, None for an empty reply, or an error.

    status: of HTTP, None without a reply. again: another try may succeed. retry_after: seconds that the reply asks to
    wait.
    """

    value: Any
    status: int | None = None
    again: bool = False
    retry_after: float | None = None


def exchange(call: Call, settings: Settings, tries: Tries) -> Flow[Outcome]:
    """Send a request until it is answered, refused for good, or out of tries. Raises nothing."""
    url = settings.url + call.path
    while True:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "trifold-client"}
        if call.body is not None:
            headers["Content-Type"] = call.media_type
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {settings.api_key}"
        if math.isfinite(left := tries.left()):
            headers["X-Timeout"] = f"{max(left, 0.001):.3f}"
        got = yield Send(call.method, url, headers, call.body, tries.left)
        outcome = _received(got, call, url) if isinstance(got, Received) else _failed(got, call, url, tries)
        wait = tries.again(outcome.retry_after) if outcome.again else None
        if wait is None:
            return outcome
        yield Wait(wait)


def fetch(call: Call, settings: Settings, read: Callable[[Any], T], *, timeout: float | None = None) -> Flow[T]:
    """Send a request and read its reply. read: makes a record of JSON, or raises Misread. timeout: see `Settings`.

    Raises what the service reports, Unreachable when what answers is no service of trifold's.
    """
    outcome = yield from exchange(call, settings, settings.tries(timeout))
    if isinstance(outcome.value, TrifoldError):
        raise outcome.value
    try:
        return read(outcome.value)
    except Misread as error:
        raise misfit(settings.url + call.path, error) from None


def misfit(url: str, error: Misread) -> Unreachable:
    """The error of a reply in JSON that has not the shape of trifold's."""
    return _unexpected(url, f"JSON of another shape ({error})")


def _unexpected(url: str, found: str) -> Unreachable:
    return Unreachable(
        f"{url} answered with {found}, which is no reply of trifold's. Is it the address of `trifold serve`, and is "
        "what runs there as new as this client?"
    )


def _failed(got: Failed | None, call: Call, url: str, tries: Tries) -> Outcome:
    assert got is not None, "a Send is answered by Received or Failed"
    if got.kind == "late":
        allowed = f"within {tries.timeout:g} s" if tries.timeout is not None else "in time"
        return Outcome(
            DeadlineExceeded(f"{url} did not answer {allowed}. Allow more (timeout=...), or send less at a time.")
        )
    often = f" ({tries.repeated + 1} tries)" if tries.repeated else ""
    remedy = got.remedy or "Is `trifold serve` running there? It says its address when it starts."
    error = Unreachable(f"{url} does not answer: {got.reason}{often}. {remedy}")
    return Outcome(error, again=got.kind == "absent" or (got.kind == "lost" and call.repeatable))


def _received(got: Received, call: Call, url: str) -> Outcome:
    wait = retry_after(got.headers)
    value = _value(got, url, wait)
    if isinstance(value, TrifoldError):
        value.add_note(f"{call.method} {url}: status {got.status}{_request_id(got.headers)}")
    return Outcome(value, got.status, got.status in _FULL, wait)


def _value(got: Received, url: str, wait: float | None) -> Any:
    """The JSON of a reply, or the error that it reports."""
    try:
        value = json.loads(got.body, parse_constant=_no_constant) if got.body else None
    except (ValueError, RecursionError):
        value = _NO_JSON
    if got.status < 300:
        return _unexpected(url, _described(got)) if value is _NO_JSON else value
    if isinstance(value, dict) and isinstance(value.get("error"), str) and isinstance(value.get("error_type"), str):
        return error_from(value, wait)
    if got.status < 400:
        place = got.headers.get("location", "")[:200]
        return Unreachable(f"{url} points to another address, {place!r}. Give that one, if you trust it.")
    if got.status in _FOREIGN:
        text = f"{url} answered with {_described(got)}, which a proxy in front of trifold may send."
        return error_from({"error": text, "error_type": _FOREIGN[got.status]}, wait)
    return _unexpected(url, _described(got))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _described(got: Received) -> str:
    try:
        phrase = f"{got.status} {HTTPStatus(got.status).phrase}"
    except ValueError:
        phrase = str(got.status)
    kind = got.headers.get("content-type", "").partition(";")[0].strip()[:100]
    return f"{phrase} and content of the type {kind!r}" if kind else phrase


def _request_id(headers: Mapping[str, str]) -> str:
    found = headers.get("x-request-id", "")
    return f", request {found}" if found.isprintable() and 0 < len(found) <= _LONGEST_ID else ""
