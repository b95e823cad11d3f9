"""Reading JSON that should have a shape, and may have more than was known when this was written."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["Misread", "entry", "listed", "number", "record"]

T = TypeVar("T")


class Misread(Exception):
    """JSON of another shape than was expected. Its text names the place."""


def record(value: object, place: str) -> dict[str, Any]:
    """An object of JSON. Raises Misread."""
    if not isinstance(value, dict):
        raise Misread(f"{place}: expected an object, found {_kind(value)}")
    return value


def listed(value: object, place: str) -> list[Any]:
    """A list of JSON. Raises Misread."""
    if not isinstance(value, list):
        raise Misread(f"{place}: expected a list, found {_kind(value)}")
    return value


def entry(value: dict[str, Any], name: str, kind: type[T]) -> T:
    """What stands under a name, of that type. Raises Misread."""
    found = value.get(name)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise Misread(f"{name}: expected {_NAMES.get(kind, kind.__name__)}, found {_kind(found)}")
    return found


def number(value: dict[str, Any], name: str) -> float:
    """The number under a name. Raises Misread."""
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Misread(f"{name}: expected a number, found {_kind(found)}")
    return float(found)


_NAMES: dict[type, str] = {str: "a text", int: "a whole number", bool: "true or false"}


def _kind(value: object) -> str:
    names = {**_NAMES, dict: "an object", list: "a list", float: "a number", type(None): "nothing"}
    return names.get(type(value), "something else")
