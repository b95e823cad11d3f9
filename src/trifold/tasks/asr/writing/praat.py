"""The text forms of a Praat TextGrid, long and short: interval tiers from text and back.

Praat's manual, "TextGrid file formats": a reader takes free-standing numbers, texts in quotation marks and flags in
angle brackets, and skips whatever else stands between them; so the long form is the short one with explanations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from trifold.errors import DataError

__all__ = ["Tier", "parse", "render"]

_TOKEN = re.compile(r'"[^"]*(?:""[^"]*)*"|![^\n]*|[^\s"]+|"')
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_MOST_TIERS = 10_000


@dataclass(frozen=True, slots=True)
class Tier:
    """An interval tier: (start, end, label) in seconds, in order, with the empty labels of pauses."""

    name: str
    intervals: tuple[tuple[float, float, str], ...]


def render(seconds: float, tiers: Sequence[Tier]) -> str:
    """The long text form. The intervals of each tier tile [0, seconds]. Quotation marks are doubled."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_time(seconds)}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, tier in enumerate(tiers, 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(tier.name)}"]
        lines += ["        xmin = 0", f"        xmax = {_time(seconds)}"]
        lines += [f"        intervals: size = {len(tier.intervals)}"]
        for i, (start, end, label) in enumerate(tier.intervals, 1):
            lines += [f"        intervals [{i}]:", f"            xmin = {_time(start)}"]
            lines += [f"            xmax = {_time(end)}", f"            text = {_quoted(label)}"]
    return "\n".join(lines) + "\n"


def parse(text: str, place: str) -> tuple[float, tuple[Tier, ...]]:
    """The end in seconds and the interval tiers of a TextGrid, times counted from its beginning; points are left out.

    Raises DataError, which begins with `place`, where it is no TextGrid, or one that was cut off.
    """
    tokens = _Tokens(text, place)
    if not tokens.text().startswith("ooTextFile"):
        tokens.fail('expected a TextGrid saved as text, whose first line is: File type = "ooTextFile"')
    if not (kind := tokens.text()).startswith("TextGrid"):
        tokens.fail(f"expected a TextGrid, found an object of the class {kind!r:.60}")
    begin, end = tokens.number(), tokens.number()
    tiers: list[Tier] = []
    if tokens.flag() == "<exists>":
        for _ in range(tokens.count(_MOST_TIERS)):
            kind, name = tokens.text(), tokens.text()
            tokens.number(), tokens.number()
            size = tokens.count(len(text))
            if kind == "IntervalTier":
                tiers.append(Tier(name, tuple(tokens.interval(begin) for _ in range(size))))
            elif kind == "TextTier":
                for _ in range(size):
                    tokens.number(), tokens.text()
            else:
                tokens.fail(f"expected a tier of intervals or of points, found the class {kind!r:.60}")
    return end - begin, tuple(tiers)


class _Tokens:
    """The numbers, texts and flags of a file, one after the other."""

    def __init__(self, text: str, place: str) -> None:
        self._found = self._meant(text)
        self._place = place

    def text(self) -> str:
        token = self._next("a text in quotation marks")
        if not token.startswith('"') or len(token) < 2:
            self.fail(f"expected a text in quotation marks, found {token!r:.60}")
        return token[1:-1].replace('""', '"')

    def number(self) -> float:
        token = self._next("a number")
        if not _NUMBER.fullmatch(token):
            self.fail(f"expected a number, found {token!r:.60}")
        return float(token)

    def count(self, most: int) -> int:
        value = self.number()
        if value != int(min(max(value, 0), most)):
            self.fail(f"expected how many tiers, intervals or points follow, found {value:g}")
        return int(value)

    def flag(self) -> str:
        return self._next("<exists> or <absent>")

    def interval(self, begin: float) -> tuple[float, float, str]:
        return self.number() - begin, self.number() - begin, self.text()

    def fail(self, what: str) -> NoReturn:
        raise DataError(f"{self._place}: {what}. In Praat, save it with Save as text file...")

    def _next(self, wanted: str) -> str:
        token = next(self._found, None)
        if token is None:
            raise DataError(
                f"{self._place}: expected {wanted}, found the end of the file; it was cut off, or is no TextGrid. "
                "In Praat, save it with Save as text file..."
            )
        return token

    @staticmethod
    def _meant(text: str) -> Iterator[str]:
        for match in _TOKEN.finditer(text):
            token = match[0]
            if token[0] == '"' or token in ("<exists>", "<absent>") or _NUMBER.fullmatch(token):
                yield token


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _time(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".") or "0"
