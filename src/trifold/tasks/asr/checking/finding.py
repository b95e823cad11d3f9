"""One thing that is wrong with the data, and what to do about it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = ["Finding", "Level", "listed", "named", "span"]

Level: TypeAlias = Literal["stop", "warning", "note"]
"""Nothing can be learnt; it will be learnt worse, or something is left out; something to know of."""

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """level: how bad it is. what: was found. remedy: what to do about it."""

    level: Level
    what: str
    remedy: str


def named(paths: Sequence[Path], among: Sequence[Path]) -> str:
    """The first files, by their names below the folder that all of `among` are in, and how many more there are."""
    folder = os.path.commonpath([path.absolute().parent for path in among])
    names = [path.absolute().relative_to(folder).as_posix() for path in paths[:_SHOWN]]
    return ", ".join(names) + _more(len(paths))


def listed(counts: Counter[str]) -> str:
    """The most frequent of the letters or words, with how often they stand in the text."""
    return ", ".join(f"{text} ({count:,})" for text, count in counts.most_common(_SHOWN)) + _more(len(counts))


def span(seconds: float) -> str:
    """A time in the words that people use: 40 seconds, 3 minutes, 2.5 hours."""
    for size, word in ((3600, "hour"), (60, "minute")):
        if seconds >= size:
            amount = f"{seconds / size:.1f}".removesuffix(".0")
            return f"{amount} {word}" if amount == "1" else f"{amount} {word}s"
    return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"


def _more(count: int) -> str:
    return f" and {count - _SHOWN:,} more" if count > _SHOWN else ""
