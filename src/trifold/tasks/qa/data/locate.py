"""Finds a text in a passage: as it is, or where it differs in case, blanks, quotation marks or normalisation only."""

from __future__ import annotations

import unicodedata
from array import array
from functools import lru_cache

__all__ = ["difference", "loose_places", "places"]

_MOST = 10_000
"""So many places of one text are looked at; more tell nobody anything."""

_QUOTES = dict.fromkeys("“”„‟«»″〝〞＂", '"') | dict.fromkeys("‘’‚‛‹›′`´ʼ＇", "'")
_DASHES = dict.fromkeys("‐‑‒–—―−﹘﹣－", "-") | {"…": "..."}
_MARKS = str.maketrans(_QUOTES | _DASHES)
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))

_DIFFERENCES = {
    "case": "in another case",
    "blanks": "with other blanks",
    "marks": "with other quotation marks or dashes",
    "form": "in another Unicode normalisation",
}


def places(passage: str, text: str) -> list[int]:
    """Where a text stands, overlaps included; only whole words where it stands as such at all."""
    found: list[int] = []
    start = passage.find(text)
    while start >= 0 and len(found) < _MOST:
        found.append(start)
        start = passage.find(text, start + 1)
    if len(found) < 2:
        return found
    return [start for start in found if not _splits_words(passage, start, start + len(text))] or found


def loose_places(passage: str, text: str) -> list[tuple[int, int]]:
    """Half-open spans of the passage that are the text but for case, blanks, marks and Unicode normalisation."""
    wanted = _fold(text)
    if not wanted or wanted not in _fold(passage):
        return []
    folded, starts, ends = _folded_with_origins(passage)
    spans = ((starts[i], ends[i + len(wanted) - 1]) for i in places(folded, wanted))
    return [(start, end) for start, end in spans if _fold(passage[start:end]) == wanted]


def difference(text: str, exact: str) -> str:
    """In which respects two texts differ that are otherwise the same, in words."""
    needed = [words for kind, words in _DIFFERENCES.items() if _fold(text, but=kind) != _fold(exact, but=kind)]
    return " and ".join(needed) or "in other characters"


def _splits_words(passage: str, start: int, end: int) -> bool:
    """Whether letters or digits stand on both sides of either end."""
    return any(0 < at < len(passage) and passage[at - 1 : at + 1].isalnum() for at in (start, end))


def _fold(text: str, *, but: str = "") -> str:
    """The text without the differences that may be repaired; `but` names one that is kept."""
    if but != "form":
        text = unicodedata.normalize("NFD", text)
    if but != "case":
        text = text.casefold()
    if but != "marks":
        text = text.translate(_MARKS)
    return text if but == "blanks" else " ".join(text.translate(_INVISIBLE).split())


@lru_cache(maxsize=4)
def _folded_with_origins(passage: str) -> tuple[str, array[int], array[int]]:
    """The folded passage, and for each of its characters where the one that it comes from begins and ends."""
    folded: list[str] = []
    starts, ends = array("q"), array("q")
    begin = 0
    while begin < len(passage):
        end = begin + 1
        while end < len(passage) and unicodedata.combining(passage[end]) and not passage[begin].isspace():
            end += 1
        piece = passage[begin:end]
        blank = piece.isspace() and folded and folded[-1] != " "
        for char in " " if blank else _fold(piece):
            folded.append(char)
            starts.append(begin)
            ends.append(end)
        begin = end
    return "".join(folded), starts, ends
