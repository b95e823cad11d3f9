"""Many rows through a route that takes several at a time and replies to each."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import takewhile
from typing import Any, TypeAlias

from trifold.errors import (
    DeadlineExceeded,
    EngineError,
    InvalidInput,
    NotReady,
    Overloaded,
    TrifoldError,
)
from trifold.remote.exchange import Call, Flow, Wait, exchange, misfit
from trifold.remote.settings import Settings
from trifold.remote.shapes import Misread, listed, record
from trifold.wire import error_from

__all__ = ["Answered", "Cutter", "Route", "Row", "answer_batch", "cut", "cut_async", "encode"]

Row: TypeAlias = bytes | TrifoldError
"""JSON of a row, or why it has none."""

_FIRST, _MOST = 4, 32
"""Rows of the first batch and of the largest: the first replies come soon, and several batches fit into a queue."""
_ROOM = 1 << 17
"""Bytes of a batch, if it has more than one row: a few seconds of work for one machine."""

_OF_ROWS = (InvalidInput, Overloaded, DeadlineExceeded, EngineError)
"""Errors of a whole batch that say nothing about the rows after it."""


def encode(raw: object) -> bytes:
    """A request's fields as JSON in UTF-8. Halves of surrogate pairs stay, escaped: the service says what is wrong.

    Raises InvalidInput, naming the field, for what JSON does not hold.
    """
    if not isinstance(raw, Mapping):
        kind = "nothing" if raw is None else f"a {type(raw).__name__}"
        raise InvalidInput(f"expected an object with the fields of a request, found {kind}.")
    try:
        return _json(dict(raw))
    except (TypeError, ValueError, RecursionError):
        name, value = next(((name, value) for name, value in raw.items() if not _holds({name: value})), (None, raw))
        raise InvalidInput(
            f"{name}: expected a text, a number, true, false or a list of these, found a {type(value).__name__} or "
            "something like it within.",
            field=name if isinstance(name, str) else None,
        ) from None


def _json(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False).encode()


def _holds(value: object) -> bool:
    try:
        _json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _row(raw: Mapping[str, Any]) -> Row:
    try:
        return encode(raw)
    except InvalidInput as error:
        return error


class Cutter:
    """Gathers rows until they are a batch. Batches grow, but never over what the service took at once so far."""

    def __init__(self) -> None:
        self._size, self._most = _FIRST, _MOST
        self._rows: list[Row] = []
        self._bytes = 0

    def add(self, raw: Mapping[str, Any]) -> list[Row] | None:
        """Add a row. Returns the batch that is full with it, or that it no longer fitted into."""
        row = _row(raw)
        room = len(row) if isinstance(row, bytes) else 0
        full = self.rest() if self._rows and self._bytes + room > _ROOM else None
        self._rows.append(row)
        self._bytes += room
        return full or (self.rest() if len(self._rows) >= self._size else None)

    def rest(self) -> list[Row]:
        """What was gathered, perhaps nothing; the next batch is begun."""
        rows, self._rows, self._bytes = self._rows, [], 0
        self._size = min(self._size * 2, self._most)
        return rows

    def limit(self, rows: int) -> None:
        """From the next batch on, so many rows at most."""
        self._most = max(1, min(self._most, rows))
        self._size = min(self._size, self._most)


def cut(rows: Iterable[Mapping[str, Any]], cutter: Cutter) -> Iterator[list[Row]]:
    """Batches of rows. When the source raises, what it gave before comes first."""
    try:
        for row in rows:
            if batch := cutter.add(row):
                yield batch
    except Exception:
        if rest := cutter.rest():
            yield rest
        raise
    if rest := cutter.rest():
        yield rest


async def cut_async(
    rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]], cutter: Cutter
) -> AsyncIterator[list[Row]]:
    """`cut` of rows that may come asynchronously."""
    if not isinstance(rows, AsyncIterable):
        for batch in cut(rows, cutter):
            yield batch
        return
    try:
        async for row in rows:
            if full := cutter.add(row):
                yield full
    except Exception:
        if rest := cutter.rest():
            yield rest
        raise
    if rest := cutter.rest():
        yield rest


@dataclass(frozen=True, slots=True)
class Route:
    """Where rows go. path: a route of the form `{"items": [...]}`. model: for rows that name none."""

    path: str
    model: str | None

    def call(self, rows: Sequence[bytes]) -> Call:
        """The request for some rows."""
        model = b"" if self.model is None else b', "model": ' + _json(self.model)
        return Call("POST", self.path, b'{"items": [' + b", ".join(rows) + b"]" + model + b"}")


@dataclass(frozen=True, slots=True)
class Answered:
    """Replies to the rows of a batch, in order, each JSON or its error.

    fatal: the error that would meet all rows to come as well; then the replies may be fewer than the rows.
    """

    replies: list[dict[str, Any] | TrifoldError]
    fatal: TrifoldError | None = None


def answer_batch(rows: Sequence[Row], route: Route, settings: Settings, cutter: Cutter) -> Flow[Answered]:
    """Ask about all rows of a batch, in as many requests as the service needs, within the time of one call.

    A batch that is refused is halved until the refusal meets only the row that it is about. Rows for which there was no
    room are asked again.
    """
    tries = settings.tries()
    replies: dict[int, dict[str, Any] | TrifoldError] = {}
    asked = {index: row for index, row in enumerate(rows) if isinstance(row, bytes)}
    replies.update((index, row) for index, row in enumerate(rows) if isinstance(row, TrifoldError))
    groups = deque([list(asked)] if asked else [])
    fatal: TrifoldError | None = None
    while groups and fatal is None:
        group = groups.popleft()
        outcome = yield from exchange(route.call([asked[index] for index in group]), settings, tries)
        value = outcome.value
        if isinstance(value, InvalidInput) and len(group) > 1:
            half = len(group) // 2
            if outcome.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                cutter.limit(half)
            groups.extendleft((group[half:], group[:half]))
        elif isinstance(value, _OF_ROWS):
            replies.update(dict.fromkeys(group, value))
        elif isinstance(value, TrifoldError):
            fatal = value
        else:
            try:
                found = _items(value, len(group))
            except Misread as error:
                fatal = misfit(settings.url + route.path, error)
                break
            replies.update(zip(group, found, strict=True))
            refused = [i for i in group if isinstance(replies[i], Overloaded | NotReady)]
            pause = tries.again(outcome.retry_after) if refused else None
            if pause is not None:
                yield Wait(pause)
                groups.append(refused)
    return Answered([replies[index] for index in takewhile(replies.__contains__, range(len(rows)))], fatal)


def _items(value: object, expected: int) -> list[dict[str, Any] | TrifoldError]:
    items = listed(record(value, "the reply").get("items"), "items")
    if len(items) != expected:
        raise Misread(f"items: expected {expected}, found {len(items)}")
    found = [record(item, f"items[{index}]") for index, item in enumerate(items)]
    return [error_from(item) if isinstance(item.get("error_type"), str) else item for item in found]
