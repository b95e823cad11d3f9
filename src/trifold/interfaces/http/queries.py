"""The parameters behind the question mark of a path."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from trifold.errors import InvalidInput
from trifold.interfaces.http.replies import Refusal

__all__ = ["QUERY", "parameters_in", "whole_number"]

QUERY = "trifold.query"
"""Where the query of a request stands in its scope, where it was taken out of sight."""

_MOST = 20


def parameters_in(scope: Mapping[str, Any], known: Collection[str]) -> dict[str, str]:
    """The parameters of a request, each given once.

    Raises Refusal for what cannot be read, InvalidInput for what is unknown or repeated.
    """
    raw: bytes = scope.get(QUERY, scope["query_string"])
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:  # UnicodeDecodeError is one
        message = f"the query is not UTF-8, or has more than {_MOST} parameters."
        raise Refusal("malformed", message) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise InvalidInput(f"unknown parameter {name!r:.60}.", f"Known are: {', '.join(known)}.", field=name[:60])
        if name in found:
            raise InvalidInput(f"{name}: given twice.", "Give it once.", field=name)
        found[name] = value
    return found


def whole_number(given: Mapping[str, str], name: str, least: int, most: int, default: int | None = None) -> int:
    """The whole number of a parameter. Raises InvalidInput for another value, or none where there is no default."""
    value = given.get(name)
    if value is None and default is not None:
        return default
    if value is None or not re.fullmatch(r"[0-9]{1,12}", value) or not least <= int(value) <= most:
        found = "nothing" if value is None else repr(value[:40])
        raise InvalidInput(f"{name}: expected a whole number from {least:,} to {most:,}, found {found}.", field=name)
    return int(value)
