"""Lines of pages put together as paragraphs, so that no sentence is broken where its line or its page ended.

A line goes on in the next one unless there is a reason for its early end: the first word of the next line would still
have fit on it, a wider gap, an indent, another size, a bullet. Where the typesetter's reasons are unclear, a sentence
that is under way decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

__all__ = ["Line", "put_together"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page. left, right, y: its ends and its baseline, in points to the right and upward. size: of its
    letters. hyphen: it ended with a hyphen, which is not in the text.
    """

    text: str
    left: float
    right: float
    y: float
    size: float
    hyphen: bool = False

    @property
    def letter(self) -> float:
        """The width of a letter."""
        return (self.right - self.left) / len(self.text)


@dataclass(slots=True)
class _Block:
    """Lines that are one paragraph, or one item, heading, row."""

    lines: list[Line]
    apart: bool  # an empty line stands before it
    width: float = 0.0  # right end of the column


_BULLET = re.compile(r"[•‣◦▪●○■□▸►–—*·-]\s")
_NUMBERED = re.compile(r"\(?(?:[0-9]{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]\s")
_ENDED = re.compile(r"(?<!\b[A-Z])[.!?:。！？][\"'”’»)\]*⁰¹²³⁴⁵⁶⁷⁸⁹]*$")
"""The end of a sentence, which the point after an initial is not."""
_LEADER = re.compile(r"(?:\. ?){4,}\s*\w*$")
"""Dots that lead to a page number."""
_BEGUN = re.compile(r"[\"'“‘«(\[]?[a-zß-öø-ÿа-яα-ω]")
"""A word that begins small, so that it does not begin a sentence."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_CLOSED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]")
"""Scripts that put no blanks between words."""
_HYPHENS = ("-", "\u2010")
_PREFIXES = frozenset(("cross", "non", "self", "well"))
"""Mostly written with a hyphen."""
_NEAR = 4
"""Lines before and after that tell how wide a column is."""
_FEW = 4
"""Words on a line of prose, at least on the average."""
_GAP = 1.35
_LARGER = 1.12


def put_together(pages: Sequence[Sequence[Line]]) -> str:
    """The text of a document. pages: the lines of each, in reading order."""
    pages = [_joined_rows(page) for page in pages]
    leading = _leading(pages)
    words = Counter(word for page in pages for word in _whole_words(page))
    body = _body_size(pages)
    blocks: list[_Block] = []
    for page in pages:
        own = _blocks(page, leading)
        if blocks and own:
            _continue(blocks, own, body)
        blocks += own
    parts = [part for block in blocks for part in ("\n\n" if block.apart else "\n", _text(block.lines, words))]
    return "".join(parts[1:])


def _whole_words(page: Sequence[Line]) -> Iterator[str]:
    """The words of a page without those of which a line holds one half."""
    hyphen = False
    for line in page:
        found = _WORD.findall(line.text)
        cut = line.hyphen or line.text.endswith(_HYPHENS)
        yield from (word.lower() for word in found[hyphen : len(found) - cut])
        hyphen = cut


def _joined_rows(lines: Sequence[Line]) -> list[Line]:
    """Lines whose pieces stood apart, by a superscript or a gap, made one again."""
    rows: list[Line] = []
    for line in lines:
        last = rows[-1] if rows else None
        if last is not None and not last.hyphen:
            size = max(last.size, line.size)
            gap = line.left - last.right
            if abs(line.y - last.y) < 0.6 * size and -0.3 * size < gap:
                text = last.text + (" " if gap > 0.15 * size else "") + line.text
                level = last.y if last.size >= line.size else line.y
                rows[-1] = replace(line, text=text, left=last.left, y=level, size=size)
                continue
        rows.append(line)
    return rows


def _leading(pages: Sequence[Sequence[Line]]) -> float:
    """From baseline to baseline within paragraphs, in sizes of letters: the usual one of the document."""
    steps = [
        (one.y - two.y) / two.size
        for page in pages
        for one, two in pairwise(page)
        if 0.8 < (one.y - two.y) / two.size < 3 and _alike(one.size, two.size)
    ]
    return sorted(steps)[len(steps) // 2] if steps else 1.2


def _body_size(pages: Sequence[Sequence[Line]]) -> float:
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page:
            sizes[round(line.size, 1)] += len(line.text)
    return max(sizes, key=sizes.__getitem__, default=1.0)


def _blocks(page: Sequence[Line], leading: float) -> list[_Block]:
    blocks: list[_Block] = []
    for i, line in enumerate(page):
        width = _column(page, i)
        if blocks:
            block = blocks[-1]
            following = page[i + 1] if i + 1 < len(page) else None
            join, apart = _judge(block, line, following, leading)
            if join:
                block.lines.append(line)
                block.width = max(block.width, width)
                continue
        else:
            apart = True
        blocks.append(_Block([line], apart, width))
    return blocks


def _column(page: Sequence[Line], i: int) -> float:
    """Where the column of a line ends, told by the lines around it that begin near it."""
    line = page[i]
    near = page[max(0, i - _NEAR) : i + _NEAR + 1]
    return max(one.right for one in near if abs(one.left - line.left) < 3 * line.size and _alike(one.size, line.size))


def _judge(block: _Block, line: Line, following: Line | None, leading: float) -> tuple[bool, bool]:
    """Whether a line goes on with a block; else whether there is a gap between them."""
    last, first = block.lines[-1], block.lines[0]
    step = last.y - line.y
    size = max(last.size, line.size)
    if last.hyphen and _BEGUN.match(line.text):
        return True, False
    if step < 0 or step > 3 * leading * size:  # the next column, or the other side of a picture
        return _goes_on(last, line, block.width), True
    gap = step > _GAP * leading * size
    if not _alike(last.size, line.size):
        return False, True
    if _BULLET.match(line.text) and not (not _ends(last) and line.text[0] in "–—-"):
        return False, gap
    if _NUMBERED.match(line.text) and (_ends(last) or gap or _is_short(last, line, block.width)):
        return False, gap
    if gap:
        return step < 1.8 * leading * size and _under_way(last, line), True
    if _LEADER.search(last.text):
        return False, False
    if _is_short(last, line, block.width):
        return _under_way(last, line) and last.right - last.left > 0.5 * (block.width - last.left), False
    indent = line.left - last.left
    if indent > 0.8 * size and not _is_item(first) and len(block.lines) > 1:
        return _under_way(last, line), True
    if indent > 0.8 * size and following is not None and following.left < line.left - 0.8 * size:
        return _under_way(last, line), True  # a first line, after a paragraph of one line
    prose = (len(last.text.split()) + len(line.text.split())) / 2 >= _FEW or _CLOSED.search(last.text)
    return bool(prose) or (_under_way(last, line) and not last.text[-1].isdigit()), False


def _is_item(line: Line) -> bool:
    return _BULLET.match(line.text) is not None or _NUMBERED.match(line.text) is not None


def _is_short(last: Line, line: Line, width: float) -> bool:
    """Whether the first word of a line would have fit at the end of the last one."""
    word = line.text.split(maxsplit=1)[0] if line.text.split() else ""
    if _CLOSED.search(word):
        word = word[0]
    return last.right + (len(word) + 1) * line.letter < width


def _goes_on(last: Line, line: Line, width: float) -> bool:
    """Whether a sentence goes on elsewhere: on the next page, in the next column."""
    if last.hyphen:
        return True
    if not _alike(last.size, line.size) or _BULLET.match(line.text):
        return False
    if _ends(last) or min(len(last.text.split()), len(line.text.split())) < _FEW:
        return _under_way(last, line)
    return not _is_short(last, line, width + 0.01) or _under_way(last, line)


def _ends(last: Line) -> bool:
    """Whether a line ends a sentence, or an entry."""
    return _ENDED.search(last.text) is not None or _LEADER.search(last.text) is not None


def _under_way(last: Line, line: Line) -> bool:
    return not _ends(last) and _BEGUN.match(line.text) is not None


def _alike(one: float, two: float) -> bool:
    return max(one, two) <= _LARGER * min(one, two)


def _continue(blocks: list[_Block], own: list[_Block], body: float) -> None:
    """Let a paragraph go on over the end of a page, past the footnotes at its foot."""
    if len(own[0].lines[0].text.split()) < 1:
        return
    first = own[0]
    for i in range(len(blocks) - 1, max(-1, len(blocks) - 12), -1):
        block = blocks[i]
        last = block.lines[-1]
        if last.size < body / _LARGER < first.lines[0].size:  # a footnote
            continue
        words = len(last.text.split())
        if words >= _FEW and _goes_on(last, first.lines[0], block.width):
            block.lines += first.lines
            del own[0]
        return


def _text(lines: Sequence[Line], words: Counter[str]) -> str:
    text = lines[0].text
    for last, line in pairwise(lines):
        if last.hyphen or text.endswith(_HYPHENS):
            text = _without_hyphen(text.removesuffix("-").removesuffix("\u2010"), line.text, words)
        elif _CLOSED.match(text[-1:]) and _CLOSED.match(line.text[:1]):
            text += line.text
        else:
            text += " " + line.text
    return text + ("-" if lines[-1].hyphen else "")


def _without_hyphen(text: str, following: str, words: Counter[str]) -> str:
    """Two halves of a word made one; with a hyphen where the word is written so elsewhere, or seems to be."""
    start = re.search(r"[^\W\d_]+$", text)
    end = re.match(r"[^\W\d_]+", following)
    if start is None:
        return f"{text}-{following}" if text and not text.endswith(" ") else f"{text}- {following}"
    if end is None or not end[0][0].islower():
        return f"{text}-{following}"
    if following[end.end() :].startswith("-") or text[: start.start()].endswith("-"):  # one-and-two
        return f"{text}-{following}"
    one, two = start[0].lower(), end[0].lower()
    whole, divided = words[one + two], words[f"{one}-{two}"]
    compound = one in _PREFIXES or (len(one) > 2 and words[one] > 1 and words[two] > 1)
    if divided > whole or (not whole and len(two) > 3 and compound):
        return f"{text}-{following}"
    return text + following
