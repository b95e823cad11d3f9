"""HTML and Markdown as text."""

from __future__ import annotations

import re
from collections.abc import Callable

from trifold.documents.document import Unreadable
from trifold.documents.layout import text_of_html
from trifold.documents.plain import decode

__all__ = ["read_html", "read_markdown"]

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
"""What site generators read at the start of a page."""


def read_html(content: bytes, seal: Callable[[], None]) -> tuple[str, tuple[str, ...]]:
    """The visible text of a page, and warnings. seal: called when nothing is to be loaded any more."""
    page, warnings = decode(content, markup=True)
    text_of_html("")  # loads the parser
    seal()
    return text_of_html(page), warnings


def read_markdown(content: bytes, seal: Callable[[], None]) -> tuple[str, tuple[str, ...]]:
    """The text of Markdown (CommonMark with tables and strikethrough) without its markup, and warnings.

    seal: as above. Raises Unreadable for markup that is nested too deeply.
    """
    from markdown_it import MarkdownIt

    source, warnings = decode(content, markup=False)
    parser = MarkdownIt("commonmark", {"maxNesting": 10_000}).enable(["table", "strikethrough"])
    text_of_html(parser.render("loads the *parsers*"))
    seal()
    try:
        page = parser.render(_FRONT_MATTER.sub("", source.replace("\r\n", "\n")))
    except RecursionError:
        raise Unreadable("unreadable", "the Markdown is nested too deeply to be read.") from None
    return text_of_html(page), warnings
