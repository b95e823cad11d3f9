"""SQuAD's nested JSON (1.1, 2.0, and as annotation tools write it): articles > paragraphs > qas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trifold.errors import DataError
from trifold.tasks.qa.data.repairs import Fault
from trifold.tasks.qa.data.rows import Row, flat_row

__all__ = ["article_rows"]


def article_rows(path: Path, place: str, article: Any) -> Iterator[Row]:
    """The questions of one article. Raises DataError where its lists are none."""
    title = _get(article, "title")
    for p, paragraph in enumerate(_list(path, f"{place}.paragraphs", _get(article, "paragraphs"))):
        where = f"{place}.paragraphs[{p}]"
        context = _get(paragraph, "context")
        for q, entry in enumerate(_list(path, f"{where}.qas", _get(paragraph, "qas"))):
            if isinstance(entry, dict):
                yield flat_row(f"{where}.qas[{q}]", {"title": title, **entry, "context": context})
            else:
                yield Row(f"{where}.qas[{q}]", {}, Fault(f"expected an object, found a {type(entry).__name__}."))


def _list(path: Path, place: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise DataError(
            f"{path}: expected SQuAD JSON with a list at {place}, found {type(value).__name__}. "
            "The shape is data > paragraphs > qas."
        )
    return value


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
