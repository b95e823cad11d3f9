"""A tokenizer as the reader needs it: token ids with positions in the text, and the frame around a window."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from trifold.errors import ModelDamaged
from trifold.tasks.qa.boundaries import Boundaries, Flags, Positions, boundaries

__all__ = ["Frame", "Ids", "PassageTokens", "QaTokenizer"]

_LONG = 10_000
"""Characters of a text whose tokenising takes longer than a batch of one costs."""

Ids = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class PassageTokens:
    """A passage of T tokens.

    ids: shape (T,). starts, ends: half-open positions of each token in the passage, in code points, widened to
    whole visible characters. may_start, may_end: whether an answer may begin or end with the token: not within a
    word, and once only where several tokens share a character.
    """

    ids: Ids
    starts: Positions
    ends: Positions
    may_start: Flags
    may_end: Flags


@dataclass(frozen=True, slots=True)
class Frame:
    """What the model was trained to see around question and passage: `before q between p after`.

    types: token type ids of the five parts. null: index of the token whose logits stand for "no answer".
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, int, int, int, int]
    null: int = 0

    @property
    def size(self) -> int:
        """How many tokens of a window are neither question nor passage."""
        return len(self.before) + len(self.between) + len(self.after)


class QaTokenizer:
    """Tokenises questions and passages apart. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.frame = _frame(tokenizer)

    @classmethod
    def from_file(cls, path: Path) -> QaTokenizer:
        """Read a `tokenizer.json`. Raises ModelDamaged."""
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelDamaged(f"{path}: tokenizers cannot read it ({error}). Get the model again.") from None

    def question(self, text: str) -> Ids:
        """Token ids of a question, shape (tokens,)."""
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int64)

    def echoes(self, question: str, passage: str, tokens: PassageTokens) -> Flags:
        """Which tokens of a passage stand in the question, by their letters in either case; shape (tokens,).

        Signs that are neither letters nor digits separate nothing, and count as standing there.
        """
        asked = self._tokenizer.encode(question, add_special_tokens=False)
        pieces = {question[first:last].strip().casefold() for first, last in asked.offsets}
        found = [passage[a:b].casefold() for a, b in zip(tokens.starts, tokens.ends, strict=True)]
        return np.array([piece in pieces or not any(map(str.isalnum, piece)) for piece in found], bool)

    def passage(self, text: str) -> PassageTokens:
        """Tokenise a passage of any length."""
        encoding = self._encoded(text)
        ids = np.array(encoding.ids, np.int64)
        offsets = np.fromiter(chain.from_iterable(encoding.offsets), np.int64, 2 * len(ids)).reshape(-1, 2)
        limits = boundaries(text)
        starts, ends = limits.trim(offsets[:, 0], offsets[:, 1])
        return PassageTokens(ids, starts, ends, *_allowed(starts, ends, limits))

    def _encoded(self, text: str) -> Encoding:
        if len(text) < _LONG:
            return self._tokenizer.encode(text, add_special_tokens=False)
        return self._tokenizer.encode_batch([text], add_special_tokens=False)[0]  # lets other threads run meanwhile


def _allowed(starts: Positions, ends: Positions, limits: Boundaries) -> tuple[Flags, Flags]:
    """Which tokens may begin and end an answer; rather split words than allow no answer at all."""
    if not len(starts):
        return np.zeros(0, bool), np.zeros(0, bool)
    first, last = np.zeros(len(starts), bool), np.zeros(len(starts), bool)
    visible = np.flatnonzero(ends > starts)  # a token of blanks alone shares its place with the word behind it
    first[visible[np.diff(starts[visible], prepend=-1) != 0]] = True
    last[visible[np.diff(ends[visible], append=-1) != 0]] = True
    may_start, may_end = first & limits.word[starts], last & limits.word[ends]
    if may_start.any() and may_end.any():
        return may_start, may_end
    return first, last


def _frame(tokenizer: Tokenizer) -> Frame:
    """Learn the frame from what the tokenizer's own template puts around a pair of texts."""
    pair = tokenizer.encode("a", "a")
    special, types, ids = pair.special_tokens_mask, pair.type_ids, pair.ids
    sequences = pair.sequence_ids
    if 0 not in sequences or 1 not in sequences or not any(special):
        raise ModelDamaged(
            "tokenizer.json has no template for a pair of texts, so the model cannot be given a question with "
            "a passage. Export the model again from a question-answering checkpoint."
        )
    q0, q1 = sequences.index(0), len(sequences) - sequences[::-1].index(0)
    p0, p1 = sequences.index(1), len(sequences) - sequences[::-1].index(1)
    if p0 < q0:
        raise ModelDamaged("tokenizer.json puts the passage before the question; expected question first.")

    def type_of(first: int, stop: int, default: int) -> int:
        return types[first] if stop > first else default

    return Frame(
        tuple(ids[:q0]),
        tuple(ids[q1:p0]),
        tuple(ids[p1:]),
        (
            type_of(0, q0, types[q0]),
            types[q0],
            type_of(q1, p0, types[q0]),
            types[p0],
            type_of(p1, len(ids), types[p0]),
        ),
    )
