"""The decoding of the removed `question-answering` pipeline, as a task that the engine runs.

In one window the score is what it was: the product of a start and an end probability, each a softmax over the passage
and the null token. With P the candidates and Z the product of both softmax denominators, p = exp(s + e) / Z. Over
several windows one denominator serves all, so that windows compare by their evidence and the sum of all scores is at
most 1: with b the null's own logits in each window (0 for a model without a trained null),
p = exp(s + e - b) / D and D = sum over windows of (Z - exp(null)) exp(-b), plus the null once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from trifold.task import Arrays, Encoded, Limits
from trifold.tasks.qa.boundaries import Positions
from trifold.tasks.qa.pipeline_inputs import Options, PipelineInputError, Sample, to_sample
from trifold.tasks.qa.settings import Apart
from trifold.tasks.qa.tokens import Ids, QaTokenizer
from trifold.tasks.qa.windows import unit_apart, window_unit

__all__ = ["PipelineTask", "Tokens", "Windows", "find_answers", "lay_windows", "merge_spans", "score_spans"]

_MOST_WINDOWS = 100_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """A passage of T tokens, arrays of shape (T,).

    starts, ends: half-open positions in the text. word_starts, word_ends: those of the word that a token belongs to
    (by the tokenizer's own division); in_word: whether it belongs to one.
    """

    ids: Ids
    starts: Positions
    ends: Positions
    word_starts: Positions
    word_ends: Positions
    in_word: np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Windows:
    """The (first, size) of each window's stretch of the passage, which stands at `offset` in the window."""

    places: tuple[tuple[int, int], ...]
    offset: int


@dataclass(frozen=True, slots=True)
class _Request:
    sample: Sample
    options: Options
    question: Ids
    tokens: Tokens
    windows: Windows


class PipelineTask:
    """Reads windows as the removed pipeline did; a reply is its list of answers.

    window: tokens of a window unless a call says otherwise. longest: what the model can read at most, where known.
    apart: for a reader whose lower layers read question and passage apart.
    """

    name = "qa"

    def __init__(
        self, tokenizer: Tokenizer, *, null: bool, window: int, longest: int | None, apart: Apart | None = None
    ) -> None:
        self._own = QaTokenizer(tokenizer)
        self._tokenizer = tokenizer
        self._null = null
        self._window = window
        self._longest = longest
        self._apart = apart

    def check(self, raw: Mapping[str, Any], limits: Limits) -> _Request:
        sample, options = to_sample(raw["item"], limits), raw["options"]
        question = self._own.question(sample.question_text)
        tokens = _tokens(self._tokenizer, sample.context_text)
        frame = self._own.frame
        length, taken = self._length(options), len(question) + frame.size
        if self._apart is not None and self._longest is not None:
            # The passage's positions begin behind room for a question, however short that is.
            taken = max(taken, length - (self._longest - self._apart.position - len(frame.after)))
        places = lay_windows(len(tokens.ids), taken, length, options.doc_stride)
        offset = len(frame.before) + len(question) + len(frame.between)
        return _Request(sample, options, question, tokens, Windows(places, offset))

    def encode(self, request: _Request) -> Encoded:
        ids = request.tokens.ids
        frame = self._own.frame
        parts = [ids[i : i + n] for i, n in request.windows.places]
        if (apart := self._apart) is None:
            return Encoded([window_unit(frame, request.question, part) for part in parts])
        return Encoded([unit_apart(frame, request.question, part, apart.position) for part in parts])

    def decode(self, request: _Request, memo: None, outputs: Sequence[Arrays]) -> list[dict[str, Any]]:
        text, options = request.sample.context_text, request.options
        return find_answers(text, request.tokens, request.windows, outputs, options, null=self._null)

    def _length(self, options: Options) -> int:
        length = options.max_seq_len or self._window
        if self._longest is not None and length > self._longest:
            raise PipelineInputError(
                f"max_seq_len: this model reads at most {self._longest} tokens at once, found {length}.",
                field="max_seq_len",
            )
        return length


def lay_windows(tokens: int, taken: int, length: int, stride: int | None) -> tuple[tuple[int, int], ...]:
    """(first, size) of windows over a passage of so many tokens: full ones and a rest, as the removed pipeline's.

    taken: tokens of a window that question and frame need. stride: tokens that neighbours share; None for 128 or half
    of a window, or half of the room where it has not as much. Raises PipelineInputError when nothing fits.
    """
    room = length - taken
    if stride is not None and stride > length:
        raise PipelineInputError(
            f"doc_stride: expected at most max_seq_len ({length}), found {stride}.", field="doc_stride"
        )
    if tokens <= room or not tokens:
        return ((0, tokens),) if tokens else ()
    if room < 1:
        raise PipelineInputError(
            f"question: with it {taken} tokens of a window of {length} are taken and none is left for the context. "
            "Shorten the question, or raise max_seq_len.",
            field="question",
        )
    if stride is None:
        usual = min(128, length // 2)
        stride = usual if usual < room else room // 2
    if stride >= room:
        raise PipelineInputError(
            f"doc_stride: beside the question {room} tokens of the context fit in a window, so neighbours can share at "
            f"most {room - 1}, found {stride}. Lower doc_stride, or raise max_seq_len.",
            field="doc_stride",
        )
    step = room - stride
    count = -(-(tokens - room) // step) + 1
    if count > _MOST_WINDOWS:
        raise PipelineInputError(
            f"context: it would take {count:,} windows, at most {_MOST_WINDOWS:,} are read. Lower doc_stride, or "
            "split the context.",
            field="context",
        )
    return tuple((i * step, min(room, tokens - i * step)) for i in range(count))


def find_answers(
    text: str, tokens: Tokens, windows: Windows, outputs: Sequence[Arrays], options: Options, *, null: bool
) -> list[dict[str, Any]]:
    """The best answers, at most `top_k` and at least one: `score`, `start`, `end`, `answer`, the best first.

    outputs: for each window `start_logits` and `end_logits`, shape (length,). null: whether the model was trained to
    score "no answer".
    """
    spans, no_answer = score_spans(windows, outputs, options, null=null)
    return merge_spans(text, tokens, spans, no_answer, options)


def score_spans(
    windows: Windows, outputs: Sequence[Arrays], options: Options, *, null: bool
) -> tuple[list[tuple[float, int, int]], float]:
    """The (probability, first token, last token) of each window's best candidates, the best first, and that of "no
    answer"."""
    pick = options.top_k * 2 + 10 if options.align_to_words else options.top_k  # alignment makes some of them equal
    found: list[tuple[float, int, int]] = []
    masses, nulls = [], []
    for (first, size), output in zip(windows.places, outputs, strict=True):
        start, end = (np.asarray(output[name], np.float64) for name in ("start_logits", "end_logits"))
        inside = slice(windows.offset, windows.offset + size)
        own = float(start[0] + end[0])
        baseline = own if null else 0.0
        nulls.append(own - baseline)
        masses.append(_log_sum(start[0], start[inside]) + _log_sum(end[0], end[inside]) - baseline)
        for value, i, j in _best_pairs(start[inside], end[inside], options.max_answer_len, pick):
            found.append((value - baseline, first + i, first + j))
    total, rest = _log_total(masses, nulls)
    found.sort(key=lambda span: -span[0])
    return [(float(np.exp(value - total)), i, j) for value, i, j in found], float(np.exp(rest - total))


def merge_spans(
    text: str, tokens: Tokens, spans: Sequence[tuple[float, int, int]], no_answer: float, options: Options
) -> list[dict[str, Any]]:
    """Quote the spans. Those with the same text, in any case of letters, are one answer with the sum of their scores,
    found where the first of them stands."""
    answers: dict[str, dict[str, Any]] = {}
    for score, i, j in spans:
        start, end = _place(tokens, i, j, options.align_to_words)
        new = {"score": 0.0, "start": start, "end": end, "answer": text[start:end]}
        answers.setdefault(text[start:end].lower(), new)["score"] += score
    ranked = list(answers.values())
    if options.handle_impossible_answer or not ranked:
        score = no_answer if options.handle_impossible_answer else 0.0
        ranked.append({"score": score, "start": 0, "end": 0, "answer": ""})
    return sorted(ranked, key=lambda answer: -float(answer["score"]))[: options.top_k]


def _tokens(tokenizer: Tokenizer, text: str) -> Tokens:
    encoding = tokenizer.encode(text, add_special_tokens=False)
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    words = np.array([-1 if word is None else word for word in encoding.word_ids], np.int64)
    _, firsts, inverse = np.unique(words, return_index=True, return_inverse=True)
    lasts = len(words) - 1 - np.unique(words[::-1], return_index=True)[1]
    return Tokens(
        np.array(encoding.ids, np.int64),
        offsets[:, 0],
        offsets[:, 1],
        offsets[firsts, 0][inverse],
        offsets[lasts, 1][inverse],
        words >= 0,
    )


def _place(tokens: Tokens, first: int, last: int, align: bool) -> tuple[int, int]:
    if align and tokens.in_word[first] and tokens.in_word[last]:
        return int(tokens.word_starts[first]), int(tokens.word_ends[last])
    return int(tokens.starts[first]), int(tokens.ends[last])


def _best_pairs(
    start: np.ndarray[Any, Any], end: np.ndarray[Any, Any], longest: int, count: int
) -> list[tuple[float, int, int]]:
    """The `count` best (start + end, first, last) of at most `longest` tokens, the best first."""
    longest = min(longest, len(start))
    padded = np.concatenate([end, np.full(longest - 1, -np.inf)])
    pairs = (start[:, None] + np.lib.stride_tricks.sliding_window_view(padded, longest)).ravel()
    best = np.argpartition(-pairs, count)[:count] if count < len(pairs) else np.arange(len(pairs))
    best = best[np.argsort(-pairs[best], kind="stable")]
    return [(float(pairs[k]), int(k // longest), int(k // longest + k % longest)) for k in best if pairs[k] > -np.inf]


def _log_sum(null: float, logits: np.ndarray[Any, Any]) -> float:
    return float(np.logaddexp(null, np.logaddexp.reduce(logits)))


def _log_total(masses: Sequence[float], nulls: Sequence[float]) -> tuple[float, float]:
    """(log of the denominator of all windows, log of the null's share of it), both before division.

    masses, nulls: logarithms, a window each.
    """
    if not masses:
        return 0.0, 0.0
    mass, null = np.array(masses), np.array(nulls)
    shift, rest = float(mass.max()), float(null.min())
    # -expm1: what a window holds beside its null, exact where that is little.
    total = float((np.exp(mass - shift) * -np.expm1(null - mass)).sum()) + float(np.exp(rest - shift))
    return shift + float(np.log(total)), rest
