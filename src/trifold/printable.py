"""Text from anywhere, made safe to show in a terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

_REORDERS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def printable(text: str) -> str:
    """The text with everything that steers a terminal or reorders its line replaced, position by position.

    A passage, an id or a model card comes from anywhere: an escape sequence in it must not reach the terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    code = ord(char)
    if char in "\n\t":
        return char
    if char == "\r":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    if 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or unicodedata.bidirectional(char) in _REORDERS:
        return "\N{REPLACEMENT CHARACTER}"
    return char
