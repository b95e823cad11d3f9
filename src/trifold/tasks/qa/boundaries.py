"""Where in a text a quotation may begin and end, whatever the tokenizer.

A quotation splits no word and no character as a person sees it: a letter keeps its combining marks, a family
emoji its members, a flag both of its letters (a working subset of Unicode's UAX #29, enough for quoting).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Boundaries", "boundaries", "code_points"]

Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Positions: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_OTHER, _WORD, _UNSPACED, _BLANK, _MARK, _JOINER, _FLAG_LETTER = range(7)

# Scripts that put no blanks between words, so that any character may begin or end a quotation.
_UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals of Han characters
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Of a text of n code points, arrays of n + 1 entries, one for each position between them.

    word: True where a quotation may begin or end. whole: True where no visible character is split.
    blank: True where the code point after the position is a blank (False at n).
    """

    word: Flags
    whole: Flags
    blank: Flags

    def trim(self, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
        """Take blanks off the ends of half-open spans, then widen them to whole visible characters.

        A span of nothing but blanks comes back empty (start >= end).
        """
        if not len(starts):
            return starts, ends
        size = len(self.blank) - 1
        positions = np.arange(size + 1)
        if self.blank.any():
            next_text = np.minimum.accumulate(np.where(self.blank, size, positions)[::-1])[::-1]
            after_text = np.maximum.accumulate(np.where(self.blank[:-1], 0, positions[1:]))
            starts = np.where(starts < ends, next_text[starts], starts)
            ends = np.where(starts < ends, after_text[np.maximum(ends, 1) - 1], ends)
        if not self.whole.all():
            before = np.maximum.accumulate(np.where(self.whole, positions, 0))
            after = np.minimum.accumulate(np.where(self.whole, positions, size)[::-1])[::-1]
            empty = starts >= ends
            starts = before[starts]
            ends = np.where(empty, starts, after[ends])
        return starts, ends


def boundaries(text: str) -> Boundaries:
    """Classify every position of a text."""
    kinds = _kinds(text)
    size = len(kinds)
    blank = np.zeros(size + 1, bool)
    blank[:size] = kinds == _BLANK
    whole = np.ones(size + 1, bool)
    if not text.isascii():
        kinds = _attach_marks(kinds, whole)
    word = whole.copy()
    word[1:size] &= ~((kinds[:-1] == _WORD) & (kinds[1:] == _WORD))
    return Boundaries(word, whole, blank)


def code_points(text: str) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """The text as an array of its code points."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _kinds(text: str) -> np.ndarray[Any, np.dtype[np.int8]]:
    codes = code_points(text)
    if text.isascii():
        return _ASCII.take(codes)
    distinct, inverse = np.unique(codes, return_inverse=True)
    return np.array([_kind(chr(code)) for code in distinct], np.int8)[inverse]


def _kind(char: str) -> int:
    code = ord(char)
    if char.isspace():
        return _BLANK
    if code == 0x200D:
        return _JOINER
    if 0x1F1E6 <= code <= 0x1F1FF:
        return _FLAG_LETTER
    category = unicodedata.category(char)
    if category[0] == "M" or code == 0x200C or 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:
        return _MARK
    if any(first <= code <= last for first, last in _UNSPACED_RANGES):
        return _UNSPACED
    return _WORD if category[0] in "LN" else _OTHER


def _attach_marks(kinds: np.ndarray[Any, np.dtype[np.int8]], whole: Flags) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Clear `whole` inside visible characters; gives each mark the kind of what it stands on."""
    attached = (kinds == _MARK) | (kinds == _JOINER)
    attached[1:] &= kinds[:-1] != _BLANK  # a mark behind a blank stands alone, so that the blank can be trimmed
    base = np.maximum.accumulate(np.where(attached, 0, np.arange(len(kinds))))
    whole[:-1] &= ~attached
    whole[1:-1] &= (kinds[:-1] != _JOINER) | (kinds[1:] == _BLANK)
    if (kinds == _FLAG_LETTER).any():
        _pair_flag_letters(kinds == _FLAG_LETTER, whole)
    whole[0] = True
    return np.where(attached, kinds[base], kinds)


def _pair_flag_letters(letters: Flags, whole: Flags) -> None:
    """Two regional indicators make one flag."""
    position = 0
    while position < len(letters) - 1:
        if letters[position] and letters[position + 1]:
            whole[position + 1] = False
            position += 2
        else:
            position += 1


_ASCII = np.array([_kind(chr(code)) for code in range(128)], np.int8)
