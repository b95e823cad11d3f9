"""Takes the lines out that stand on page after page: running heads, footers, page numbers.

They would stand in the middle of a sentence that goes on over the end of a page.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import takewhile

from trifold.documents.paragraphs import Line

__all__ = ["without_running_lines"]

_EDGE = 3
"""Lines at the top and at the bottom of a page that may be such."""
_LEVEL = 2.0
"""Points within which lines of two pages stand at the same height."""
_DENSE = 2.5
"""Pages on which a line may stand once."""
_NUMBER = re.compile(r"[0-9]{1,5}")
_ROMAN = re.compile(r"[ivxlc]{1,7}")
_ROMANS = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}

_Place = tuple[int, int]
"""Of a page, and of a line on it."""


def without_running_lines(pages: Sequence[Sequence[Line]]) -> tuple[list[list[Line]], list[str]]:
    """The pages without them, and the first of each that says more than a number."""
    places: dict[tuple[str, int], list[_Place]] = defaultdict(list)
    sides = [[(n, i) for i in side] for n, page in enumerate(pages) for side in _edges(page)]
    edges = sorted({place for side in sides for place in side})
    for number, i in edges:
        line = pages[number][i]
        for form in _forms(line.text, number):
            places[form, round(line.y / _LEVEL)].append((number, i))
    least = min(3, max(2, len(pages)))
    running = {place for found in places.values() if _is_running(found, least) for place in found}
    running |= _numbered_alike(pages, edges, running)
    running = {place for side in sides for place in takewhile(running.__contains__, side)}  # none within the text
    said: dict[str, str] = {}
    for number, i in sorted(running):
        text = pages[number][i].text
        words = _NUMBER.sub("", text).strip(" -–—|/.·[]()")
        if words and not _ROMAN.fullmatch(words):
            said.setdefault(words, text)
    left = [[line for i, line in enumerate(page) if (n, i) not in running] for n, page in enumerate(pages)]
    return left, list(said.values())


def _is_running(found: Sequence[_Place], least: int) -> bool:
    """Whether a line stands on enough pages that follow each other, or on every other of them."""
    pages = sorted({page for page, _ in found})
    return len(pages) >= least and pages[-1] - pages[0] < _DENSE * len(pages)


def _numbered_alike(pages: Sequence[Sequence[Line]], edges: Sequence[_Place], running: set[_Place]) -> set[_Place]:
    """Lines with the number of their page at the height of running ones: heads of short chapters."""
    heights = {round(pages[page][i].y / _LEVEL) for page, i in running}
    offsets = Counter(offset for page, i in running for offset in _offsets(pages[page][i].text, page))
    if not offsets:
        return set()
    usual = max(offsets, key=offsets.__getitem__)
    return {
        (page, i)
        for page, i in edges
        if round(pages[page][i].y / _LEVEL) in heights and usual in _offsets(pages[page][i].text, page)
    }


def _edges(page: Sequence[Line]) -> tuple[list[int], list[int]]:
    """Which lines stand at the top and at the bottom, by their places on the paper, the outermost first."""
    order = sorted(range(len(page)), key=lambda i: -page[i].y)
    return order[:_EDGE], order[::-1][:_EDGE]


def _forms(text: str, page: int) -> Iterator[str]:
    """What a line has in common with those of other pages: its words, and a number that grows with the pages."""
    if not _ROMAN.fullmatch(text):
        yield text
    found = list(_NUMBER.finditer(text))
    for one in (found[:1] + found[1:][-1:]) if found else ():
        yield f"{text[: one.start()]}\0{int(one[0]) - page}\0{text[one.end() :]}"
    if not found:
        for offset in _offsets(text, page):
            yield f"\0{offset}"


def _offsets(text: str, page: int) -> list[int]:
    """What the number of a page on it is more than its place in the file."""
    if _ROMAN.fullmatch(text):
        values = [_ROMANS[letter] for letter in text]
        return [sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True)) - page]
    found = _NUMBER.findall(text)
    return [int(one) - page for one in found[:1] + found[1:][-1:]]
