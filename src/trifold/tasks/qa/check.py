"""Makes a well-formed question of an untrusted mapping, or says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trifold.errors import InvalidInput
from trifold.task import Limits
from trifold.tasks.qa.records import LONGEST_ANSWER, Question

__all__ = ["MOST_ANSWERS", "check_question", "check_text"]

_KNOWN = {"id", "question", "passage", "passages", "context", "top_k", "always_answer", "max_answer_len"}
MOST_ANSWERS = 1000
_MOST_TOKENS = 10_000
_PRINTED = 10**18
"""Larger numbers are not repeated in messages; Python refuses to print the largest."""


def check_question(raw: Mapping[str, Any], limits: Limits) -> Question:
    """Check everything about a question that needs no model.

    raw: `question`; `passage`, `context` (one text) or `passages` (a list); `top_k`, `always_answer`,
    `max_answer_len`; other keys are refused, so that a misspelt option is not silently ignored.

    Raises InvalidInput, naming the field.
    """
    if not isinstance(raw, Mapping):
        raise InvalidInput(f"expected an object with 'question' and 'passage', found {_kind(raw)}.")
    if unknown := raw.keys() - _KNOWN:
        first = min(map(str, unknown))
        raise InvalidInput(
            f"unknown field {first!r:.60}.", f"A question has: {', '.join(sorted(_KNOWN))}.", field=first[:60]
        )
    question = raw.get("question")
    check_text(question, "question", limits)
    passages = _passages(raw, limits)
    return Question(
        str(question),
        passages,
        None if raw.get("top_k") is None else _whole_number(raw["top_k"], "top_k", MOST_ANSWERS),
        _flag(raw.get("always_answer", False), "always_answer"),
        _whole_number(raw.get("max_answer_len", LONGEST_ANSWER), "max_answer_len", _MOST_TOKENS),
    )


def _passages(raw: Mapping[str, Any], limits: Limits) -> tuple[str, ...]:
    given = [key for key in ("passage", "context", "passages") if raw.get(key) is not None]
    if len(given) != 1:
        found = " and ".join(given) if given else "none of them"
        raise InvalidInput(
            f"expected one of 'passage' (a text) and 'passages' (a list of texts), found {found}.",
            "Give exactly one of them.",
            field="passage",
        )
    value = raw[given[0]]
    texts = value if given[0] == "passages" else [value]
    if not isinstance(texts, list | tuple) or not texts:
        found = "an empty list" if texts in ([], ()) else type(texts).__name__
        raise InvalidInput(f"passages: expected a list of at least one text, found {found}.", field="passages")
    if len(texts) > limits.texts:
        raise InvalidInput(
            f"passages: at most {limits.texts:,} in one question, found {len(texts):,}.",
            "Ask about fewer at a time.",
            field="passages",
        )
    for index, text in enumerate(texts):
        check_text(text, f"passages[{index}]" if len(texts) > 1 else "passage", limits)
    return tuple(texts)


def check_text(text: object, field: str, limits: Limits) -> None:
    """Refuse what is no text, is blank, too large, or cannot be encoded. Every other code point is fine."""
    if not isinstance(text, str):
        raise InvalidInput(f"{field}: expected a text, found {_kind(text)}.", "Give a text.", field=field)
    if not text or text.isspace():
        found = "only blanks" if text else "an empty one"
        raise InvalidInput(f"{field}: expected a text, found {found}.", "Give some words.", field=field)
    if len(text) > limits.text_bytes:
        _too_large(field, len(text), limits)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise InvalidInput(
            f"{field}: character {error.start} is half of a surrogate pair (U+{code:04X}), which no text holds.",
            "Decode the text as UTF-8, or replace that character.",
            field=field,
        ) from None
    if size > limits.text_bytes:
        _too_large(field, size, limits)


def _too_large(field: str, size: int, limits: Limits) -> None:
    raise InvalidInput(
        f"{field}: at most {limits.text_bytes / 1e6:g} MB of text, found {size / 1e6:,.1f} MB.",
        "Split it, for example by chapter, and give the parts as several passages.",
        field=field,
    )


def _whole_number(value: object, field: str, most: int) -> int:
    if isinstance(value, float) and value.is_integer():  # JSON knows no difference between 3 and 3.0
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        shown = value if isinstance(value, int | float) and abs(value) < _PRINTED else _kind(value)
        raise InvalidInput(f"{field}: expected a whole number from 1 to {most:,}, found {shown}.", field=field)
    return value


def _flag(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"{field}: expected true or false, found {_kind(value)}.", field=field)
    return value


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
