"""HTML as the text that a reader sees: a line for each line, an empty line between paragraphs, a tab between cells.

The tree is walked without recursion, so that its depth does not matter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["SUPERSCRIPTS", "text_of_html"]


def _tags(names: str) -> frozenset[str]:
    return frozenset(names.split())


_UNSEEN = _tags(
    "area audio base canvas datalist embed head iframe input link meta noembed noframes noscript object param script "
    "select source style template title track video"
)
"""Elements whose content is not shown, or is no text of the document."""
_PARAGRAPHS = _tags(
    "article aside blockquote details dl figure footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p pre section "
    "table ul"
)
"""Elements with an empty line around them."""
_LINES = _tags(
    "address button caption center dd dialog div dt fieldset figcaption hgroup legend li menu option search summary "
    "svg tbody textarea tfoot thead tr"
)
"""Elements that begin a line and end it."""
_CELLS = frozenset(("td", "th"))
_LISTS = frozenset(("ol", "ul", "menu"))
_KEPT = frozenset(("pre", "textarea", "listing", "xmp"))
"""Elements within which blanks and line ends are as they are."""
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_SPACE = re.compile(r"[ \t\n\r\f]+")
_LINE_ENDS = re.compile(r" *\n+ *")
_SHORT_CELL = 200
"""Characters of a cell that stays on the line of its row, though it has paragraphs; cells that make up the page
are longer.
"""
_REPLACED = {0xAD: None, 0x200B: None, 0x2060: None, 0xFEFF: None, 0xA0: " "}
"""Hints for breaking lines, and the blank at which none may be broken."""
_DEEPEST = 10

SUPERSCRIPTS = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
"""So that 10⁶ does not become 106."""


def text_of_html(content: str) -> str:
    """The visible text of a page, with blanks at line ends and more empty lines than needed. Raises MemoryError."""
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    page = _Page()
    try:
        root = LexborHTMLParser(content).root
    except SelectolaxError:  # any text is HTML, so nothing but memory can be lacking
        raise MemoryError from None
    node: LexborNode | None = root
    depth = 0
    while node is not None:
        if page.enter(node):
            if (child := node.first_child) is not None:
                node, depth = child, depth + 1
                continue
            page.leave(node)
        while depth and (following := node.next) is None:
            parent = node.parent
            assert parent is not None  # since it was come from
            node, depth = parent, depth - 1
            page.leave(node)
        node = following if depth else None
    return "".join(page.parts)


class _Page:
    """The text so far, and what is due before what comes next."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._break = ""
        self._item = ""
        self._lists: list[int | None] = []  # the number of the next item, None where they are not numbered
        self._cells: list[int] = []  # where each open cell begins
        self._filled: list[bool] = []  # whether each open row has a cell already
        self._kept = self._raised = 0

    def enter(self, node: LexborNode) -> bool:
        """Whether what is inside the node is shown."""
        if node.is_text_node:
            self._write(node.text_content or "")
            return False
        tag = node.tag
        if not node.is_element_node or tag in _UNSEEN or _is_hidden(node):
            return False
        if tag in _LINES or tag in _PARAGRAPHS:
            self._end_line(paragraph=tag in _PARAGRAPHS and not (tag in _LISTS and self._lists))
        if tag == "br":
            self._add("\n")
        elif tag in _LISTS:
            self._lists.append(_number(node, "start", 1) if tag == "ol" else None)
        elif tag == "li":
            self._open_item(node)
        elif tag == "tr":
            self._filled.append(False)
        elif tag in _CELLS:
            self._open_cell()
        self._kept += tag in _KEPT
        self._raised += tag == "sup"
        return True

    def leave(self, node: LexborNode) -> None:
        tag = node.tag
        self._kept -= tag in _KEPT
        self._raised -= tag == "sup"
        if tag in _LISTS:
            self._lists.pop()
        elif tag == "li":
            self._item = ""
        elif tag == "tr":
            self._filled.pop()
        elif tag in _CELLS:
            self._close_cell()
        if tag in _LINES or tag in _PARAGRAPHS:
            self._end_line(paragraph=tag in _PARAGRAPHS and not (tag in _LISTS and self._lists))

    def _write(self, text: str) -> None:
        text = text.translate(_REPLACED)
        if not self._kept:
            text = _SPACE.sub(" ", text)
            if self._break or not self.parts or self.parts[-1][-1] in " \n\t":
                text = text.lstrip(" ")
        if self._raised and not text.strip("0123456789+-"):
            text = text.translate(SUPERSCRIPTS)
        self._add(text)

    def _add(self, text: str) -> None:
        if text:
            self.parts += [part for part in (self._break, self._item, text) if part]
            self._break = self._item = ""

    def _end_line(self, *, paragraph: bool) -> None:
        at_start = not self.parts or (self._cells and len(self.parts) == self._cells[-1])
        if not self._item and not at_start:
            self._break = "\n\n" if paragraph or self._break == "\n\n" else "\n"

    def _open_item(self, node: LexborNode) -> None:
        number = self._lists[-1] if self._lists else None
        if number is not None:
            number = _number(node, "value", number)
            self._lists[-1] = number + 1
        indent = "  " * min(len(self._lists) - 1, _DEEPEST)
        self._item = indent + ("\N{BULLET} " if number is None else f"{number}. ")

    def _open_cell(self) -> None:
        if self._filled and self._filled[-1]:
            self._break = ""
            while self.parts and not self.parts[-1].strip(" "):  # between the cells
                self.parts.pop()
            self.parts.append("\t")
        elif self._filled:
            self.parts += [self._break] if self._break else []
            self._break = ""
            self._filled[-1] = True
        self._cells.append(len(self.parts))

    def _close_cell(self) -> None:
        self._break = self._item = ""
        start = self._cells.pop()
        text = "".join(self.parts[start:])
        if len(text) <= _SHORT_CELL and "\n" in text and "\t" not in text:
            self.parts[start:] = [_LINE_ENDS.sub(" ", text.strip())]


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    if not attributes:
        return False
    return "hidden" in attributes or _HIDDEN.search(attributes.get("style") or "") is not None


def _number(node: LexborNode, name: str, default: int) -> int:
    value = node.attributes.get(name) or ""
    return int(value) if re.fullmatch(r"[0-9]{1,6}", value) else default
