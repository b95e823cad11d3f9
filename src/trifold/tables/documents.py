"""JSON documents: one list of objects, or an object with such a list at `data`, read element by element.

The standard library's decoder reads one element after the other out of a window of the text.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trifold.errors import DataError
from trifold.printable import printable
from trifold.tables.compression import Damage
from trifold.tables.jsonlines import DECODER, TOO_DEEP, Reading, as_fields
from trifold.tables.rows import RowFault, Unnest

__all__ = ["check_document", "read_document", "starts_with_data"]

_WINDOW = 1 << 18
_LARGEST = 64_000_000
"""Characters of one element."""
_UNDECODED = re.compile("[\udc80-\udcff]")
_SPACE = re.compile(r"[ \t\r\n]*")
_NEAR = 16
"""An error so near to the end of the window may be no more than an escape or a number that is cut there."""
_EXPECTED = "expected one JSON object a line, a list of objects, or an object with a list of them at data"


class _Broken(Exception):
    """The text is no JSON from here on; the reason."""


class _Window:
    """The text of a stream from the first character on that has not been used yet."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._lines = 1
        self._first = True
        self._ended = False
        self.text = ""
        self.at = 0
        self.damage: Damage | None = None
        self.has_undecoded = False
        """Whether there ever was a byte that is not UTF-8."""

    def more(self) -> bool:
        """Read as much again as the window holds; False at the end, which damage counts as."""
        if self._ended:
            return False
        self._lines += self.text.count("\n", 0, self.at)
        kept = self.text[self.at :]
        pieces, wanted = [kept], max(_WINDOW, len(kept))
        while wanted > 0 and not self._ended:
            try:
                data = self._stream.read1(min(wanted, _WINDOW))
            except Damage as damage:
                self.damage, data = damage, b""
            self._ended = not data
            piece = self._decoder.decode(data, final=self._ended)
            if self._first and piece:
                piece, self._first = piece.removeprefix("\ufeff"), False
            try:
                piece.encode()
            except UnicodeEncodeError:
                self.has_undecoded = True
            pieces.append(piece)
            wanted -= len(data)
        self.text, self.at = "".join(pieces), 0
        return len(self.text) > len(kept)

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def take(self, *expected: str) -> str:
        """Pass over one of the characters. Raises _Broken where another one stands."""
        found = self.peek()
        if found not in expected or not found:
            raise self.broken(f"expected {' or '.join(expected)}")
        self.at += 1
        return found

    def value(self) -> tuple[Any, bool]:
        """The next value, and whether a byte of it is not UTF-8. Raises _Broken."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
                if end == len(self.text) and not self._ended:  # a number may go on behind the window
                    self._grow()
                    continue
                has_undecoded = self.has_undecoded and _UNDECODED.search(self.text, self.at, end) is not None
                self.at = end
                return value, has_undecoded
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated string") or error.pos + _NEAR >= len(self.text)
                if is_cut and not self._ended:
                    self._grow()
                    continue
                if is_cut and self.damage:
                    raise _Broken(str(self.damage)) from None
                raise self.broken(error.msg.removesuffix(" at"), error.pos) from None
            except RecursionError:
                raise _Broken(TOO_DEEP.reason) from None
            except ValueError:
                raise _Broken("it has a number of too many digits") from None

    def _grow(self) -> None:
        if len(self.text) - self.at > _LARGEST:
            raise _Broken(f"an element is longer than {_LARGEST // 1_000_000} MB")
        self.more()

    def broken(self, what: str, at: int | None = None) -> _Broken:
        """The error at a position of the window, or where the text goes on."""
        at = self.at if at is None else at
        if at >= len(self.text) and self.damage:
            return _Broken(str(self.damage))
        line = self._lines + self.text.count("\n", 0, at)
        found = printable(self.text[at : at + 30].strip().replace("\n", " "))
        return _Broken(f"{what} in line {line}, found {repr(found) if found else 'the end of the file'}")


def read_document(
    stream: io.BufferedIOBase, name: str, unnest: Unnest | None = None, skip: int = 0
) -> Iterator[Reading | None]:
    """The rows by their place in the document; None for each of the first `skip` ones.

    From where the document is broken on there is one faulty row more. Raises DataError where no list is found in it.
    """
    passed = 0
    for reading in _rows(stream, name, unnest):
        if passed < skip:
            passed += 1
            yield None
        else:
            yield reading


def check_document(stream: io.BufferedIOBase, name: str) -> None:
    """Raises DataError where the document has no list of rows; reads only as far as needed to know it."""
    try:
        _enter(_Window(stream), name)
    except _Broken:
        return


def starts_with_data(stream: io.BufferedIOBase) -> bool:
    """Whether it is an object, whole or cut off, with a list at `data`."""
    try:
        return _enter(_Window(stream), "") == "data"
    except (_Broken, DataError):
        return False


def _rows(stream: io.BufferedIOBase, name: str, unnest: Unnest | None) -> Iterator[Reading]:
    window = _Window(stream)
    prefix, index = "", 0
    place = "the beginning"
    try:
        prefix = _enter(window, name)
        place = f"{prefix}[0]"
        if window.peek() == "]":
            window.take("]")
        else:
            while True:
                value, has_undecoded = window.value()
                yield from _unnested(place, value, has_undecoded, unnest)
                index += 1
                place = f"{prefix}[{index}]"
                if window.take(",", "]") == "]":
                    break
        place = "the end"
        _leave(window, prefix)
    except _Broken as broken:
        reason = f"the rest of the document cannot be read: {broken}"
        yield place, RowFault(reason, "Get or write the file again; its rows from here on are missing.")


def _unnested(place: str, value: Any, has_undecoded: bool, unnest: Unnest | None) -> Iterator[Reading]:
    inner = None if unnest is None else unnest(value)
    rows = [("", as_fields(value))] if inner is None else inner
    for where, fields in rows:
        found = fields if isinstance(fields, RowFault) else as_fields(fields)
        if has_undecoded and not isinstance(found, RowFault):
            found = _decoded(found)
        yield (f"{place}.{where}" if where else place), found


def _decoded(fields: Mapping[str, Any]) -> Mapping[str, Any] | RowFault:
    """The fields, or a fault where one of them has a byte that is not UTF-8."""
    values: list[Any] = [fields]
    while values:
        value = values.pop()
        if isinstance(value, str) and (found := _UNDECODED.search(value)):
            reason = f"expected text in UTF-8, found byte 0x{ord(found[0]) - 0xDC00:02X} after"
            before = printable(value[max(0, found.start() - 30) : found.start()])
            return RowFault(f"{reason} {before!r}", "Save the file as UTF-8.")
        if isinstance(value, dict):
            values += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            values += value
    return fields


def _enter(window: _Window, name: str) -> str:
    """Go into the list of rows; its name: empty or `data`. Raises _Broken, and DataError where there is none."""
    if window.peek() == "[":
        window.take("[")
        return ""
    window.take("{")
    while window.peek() != "}":
        key, _ = window.value()
        window.take(":")
        if key == "data":
            if window.peek() != "[":
                break
            window.take("[")
            return "data"
        window.value()
        if window.take(",", "}") == "}":
            break
    raise DataError(f"{name}: {_EXPECTED}, found another object. Write each row as one line of JSON.")


def _leave(window: _Window, prefix: str) -> None:
    """Read what follows the list. Raises _Broken."""
    while prefix and window.take(",", "}") == ",":
        window.value()
        window.take(":")
        window.value()
    if window.peek():
        raise window.broken("expected the end of the document")
    if window.damage:
        raise _Broken(str(window.damage))
