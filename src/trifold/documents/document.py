"""What comes of a file: its text, or why there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from trifold.errors import DataError

__all__ = ["KINDS", "MB", "Bounds", "Document", "Kind", "Unreadable", "Why", "checked", "tidy"]

MB = 1_000_000

Kind = Literal["text", "markdown", "html", "pdf", "docx"]
KINDS: tuple[Kind, ...] = ("text", "markdown", "html", "pdf", "docx")

Why = Literal["unknown", "too_large", "unreadable"]


@dataclass(frozen=True, slots=True)
class Document:
    """A file as text. warnings: sentences about what may be missing or otherwise than it was."""

    text: str
    kind: Kind
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What reading one file may take.

    text: bytes of UTF-8 of the text. text_flag: what raises that, for the message. memory: bytes of the process that
    parses. seconds: of its processor time; twice as many may pass on the clock.
    """

    text: int
    text_flag: str = ""
    memory: int = 512 * MB
    seconds: float = 20


class Unreadable(DataError):
    """A file without a text that could be given.

    why: `unknown` is a kind of file that is not read here, `too_large` one that goes beyond its bounds, `unreadable`
    one that is damaged, locked or empty.
    """

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why: Why = why


def checked(text: str, most: int, flag: str) -> str:
    """The text again. Raises Unreadable for none, and for more than so many bytes, which a flag may raise."""
    if not text.strip():
        raise Unreadable("unreadable", "the file holds no text.")
    size = len(text.encode())
    if size > most:
        remedy = f"Give a part of it, or raise {flag}." if flag else "Give a part of it."
        found = f"the file holds {_mega(size)} of text, and a passage may have {_mega(most)}."
        raise Unreadable("too_large", f"{found} {remedy}")
    return text


def _mega(size: int) -> str:
    return f"{size / MB:,.3g} MB" if size < 1000 * MB else f"{size / MB:,.0f} MB"


_SURROGATE = re.compile("[\ud800-\udfff]")
_BLANKS = re.compile(r"[ \t]+(?=\n|\Z)")
_GAP = re.compile(r"\n{3,}")


def tidy(text: str, *, exact: bool = False) -> str:
    """A text that every passage may be: line ends are `\\n`, no NUL, no half of a surrogate pair.

    exact: keep blanks and empty lines as they are.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    if exact:
        return text
    return _GAP.sub("\n\n", _BLANKS.sub("", text)).strip("\n")
