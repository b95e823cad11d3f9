"""Notices text in a script that the model does not read."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from trifold.tasks.qa.boundaries import code_points

__all__ = ["foreign_script"]

_NAMES = {"CJK": "Han", "HIRAGANA": "Japanese", "KATAKANA": "Japanese"}
_NOTABLE = 0.3
"""Share of a text's letters in one foreign script from which on it is worth a warning."""


def foreign_script(text: str, scripts: Collection[str]) -> str | None:
    """The name of a script that makes up a notable part of the text's letters and is not among `scripts`.

    scripts: names as Unicode writes them, such as "Latin"; none where a model does not say what it reads.
    """
    if not scripts or (text.isascii() and "Latin" in scripts):
        return None
    points = code_points(text).astype(np.int64)
    # Mostly ASCII: what is beyond it is too little whatever it is, and need not be looked at letter by letter.
    if "Latin" in scripts and (points > 127).sum() <= _NOTABLE * _ascii_letters(points):
        return None
    codes, counts = np.unique(points, return_counts=True)
    letters: Counter[str] = Counter()
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        char = chr(code)
        if char.isalpha():
            word = unicodedata.name(char, "UNKNOWN").split(" ", 1)[0].split("-", 1)[0]
            letters[_NAMES.get(word, word.title())] += count
    total = letters.total()
    for script, count in letters.most_common():
        if script not in scripts:
            return script if count > _NOTABLE * total else None
    return None


def _ascii_letters(points: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    lower = (points | 32) - ord("a")
    return int(((lower >= 0) & (lower < 26)).sum())
