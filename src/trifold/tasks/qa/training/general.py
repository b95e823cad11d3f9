"""The general questions that come with trifold; `recipes/general.py` draws them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from trifold.tasks.qa.data.examples import Example, read_examples

__all__ = ["general_file", "general_questions"]

_FOLDER = Path(__file__).parent / "general"

Part: TypeAlias = Literal["replay", "validation", "calibration", "report"]


def general_file(part: Part) -> Path:
    """The file of one part; the parts share no passage."""
    return _FOLDER / f"{part}.jsonl.gz"


def general_questions(part: Part) -> list[Example]:
    """English questions from Wikipedia, with and without an answer in their passage."""
    return read_examples(general_file(part))
