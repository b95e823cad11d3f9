"""Makes a JSON object of bytes that a stranger sent, without ever taking long over it."""

from __future__ import annotations

import codecs
import json
from typing import Any, NoReturn

from trifold.interfaces.http.replies import Refusal

__all__ = ["object_in"]

_DIGITS = 400
"""Of an integer at most; the largest fraction has 309. Reading an integer takes the square of its digits."""


def object_in(content: bytes, most: int) -> dict[str, Any]:
    """The JSON object that a body is. most: values and keys in it. Raises Refusal.

    The parser makes all values in one step, in which no other thread runs: two million of them are two seconds in
    which nobody is answered. So they are counted before.
    """
    if len(content) > most and _signs(content) > most and _crowded(content, most):
        raise Refusal("too_large", f"the body holds more than {most:,} values. Send less at once.")
    if content.startswith(codecs.BOM_UTF8):
        raise Refusal("malformed", "the body is not JSON: it begins with a byte order mark.")
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


def _crowded(content: bytes, most: int) -> bool:
    """Whether a JSON text has more values and keys than this. Signs within strings do not count."""
    plain = content.replace(rb"\\", b"").replace(rb"\"", b"")  # without the quotes that end no string
    return plain.count(b'"') // 2 > most or _signs(b"".join(plain.split(b'"')[::2])) > most


def _signs(content: bytes) -> int:
    """How many signs there are that a value or a key follows: as many as values and keys, or a few more."""
    return len(content) - len(content.translate(None, b",:[{"))


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits, where at most {_DIGITS} are read")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant)
