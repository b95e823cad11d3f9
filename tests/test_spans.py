"""Decoding, against a slow and plain version of the formula."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import bert_tokenizer, qa_task
from trifold.task import Arrays, Encoded
from trifold.tasks.qa.records import Question
from trifold.tasks.qa.spans import Spans, find_spans
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.tokens import PassageTokens, QaTokenizer
from trifold.tasks.qa.windows import Window, WindowSize, spread

TOKENIZER = QaTokenizer(bert_tokenizer())


def tokens_of(count: int) -> PassageTokens:
    """A passage of so many tokens, each a letter, in words of one to three."""
    return TOKENIZER.passage(" ".join(["a", "aaa", "aa"] * count)[: count + count // 2])


def logits(seed: int, windows: list[Window]) -> list[Arrays]:
    chance = np.random.default_rng(seed)
    return [
        {name: chance.normal(0, 4, w.offset + w.size + 1).astype(np.float32) for name in ("start_logits", "end_logits")}
        for w in windows
    ]


def brute_force(
    passages: list[PassageTokens], windows: list[Window], outputs: list[Arrays], null: bool, most: int, top_k: int
) -> tuple[list[tuple[int, int, int, float]], float | None]:
    """The documented formula in loops: distinct candidates, p = exp(u) / (1 + sum exp(u)), greedy top k."""
    u: dict[tuple[int, int, int], float] = {}
    for window, output in zip(windows, outputs, strict=True):
        s, e = output["start_logits"].astype(float), output["end_logits"].astype(float)
        base = s[0] + e[0] if null else 0.0
        for i in range(window.size):
            for j in range(i, min(i + most, window.size)):
                tokens = passages[window.passage]
                if not (tokens.may_start[window.first + i] and tokens.may_end[window.first + j]):
                    continue
                key = (window.passage, window.first + i, window.first + j)
                u[key] = max(u.get(key, -math.inf), s[window.offset + i] + e[window.offset + j] - base)
    total = sum(math.exp(value) for value in u.values()) or math.exp(-700)
    best: list[tuple[int, int, int, float]] = []
    for key in sorted(u, key=lambda k: -u[k]):
        if all(key[0] != p or key[2] < i or key[1] > j for p, i, j, _ in best):
            others = total - math.exp(u[key]) + (1 if null else 0)
            best.append((*key, u[key] - math.log(others) if others > 0 else 700.0))
        if len(best) == top_k:
            break
    return best, -math.log(total) if null else None


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=3),
    st.integers(5, 40),
    st.integers(1, 12),
    st.integers(1, 6),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_it_computes_the_formula(sizes: list[int], room: int, most: int, top_k: int, null: bool, seed: int) -> None:
    passages = [tokens_of(size) for size in sizes]
    windows = [
        Window(i, first, n, 3)
        for i, size in enumerate(len(p.ids) for p in passages)
        for first, n in spread(size, room, room // 3)
    ]
    outputs = logits(seed, windows)
    found = find_spans(passages, windows, outputs, null=0 if null else None, max_tokens=most, top_k=top_k)
    expected, null_log_odds = brute_force(passages, windows, outputs, null, most, top_k)
    # Equal scores may be picked in another order; the scores themselves are compared.
    assert [span.log_odds for span in found.best] == pytest.approx([e[3] for e in expected], abs=1e-3)
    if null_log_odds is None:
        assert found.null_log_odds is None
    else:
        assert found.null_log_odds == pytest.approx(null_log_odds, abs=1e-3)
    places = {(p, int(passages[p].starts[i]), int(passages[p].ends[j])) for p, i, j, _ in expected}
    if len({round(e[3], 4) for e in expected}) == len(expected):
        assert {(span.passage, span.start, span.end) for span in found.best} == places


def decode(starts: dict[int, float], ends: dict[int, float], text: str, top_k: int = 1) -> Spans:
    """One window over a text, with logits by token and 0 elsewhere."""
    passage = TOKENIZER.passage(text)
    size = len(passage.ids)
    output = {"start_logits": np.zeros(size + 1, np.float32), "end_logits": np.zeros(size + 1, np.float32)}
    for name, given_logits in (("start_logits", starts), ("end_logits", ends)):
        for token, value in given_logits.items():
            output[name][token + 1] = value
    return find_spans([passage], [Window(0, 0, size, 1)], [output], null=0, max_tokens=30, top_k=top_k)


def test_a_weak_window_does_not_beat_a_strong_contested_one() -> None:
    """A softmax for each window would give 0.39 to the strong window and 0.97 to the weak one."""
    passages = [TOKENIZER.passage("a a a a"), TOKENIZER.passage("a a a a")]
    windows = [Window(0, 0, 4, 1), Window(1, 0, 4, 1)]
    strong = {
        "start_logits": np.array([0, 8, 7.9, 0, 0], np.float32),
        "end_logits": np.array([0, 8, 7.9, 0, 0], np.float32),
    }
    weak = {
        "start_logits": np.array([-9, 1, -9, -9, -9], np.float32),
        "end_logits": np.array([-9, 1, -9, -9, -9], np.float32),
    }
    weak = {name: array + np.float32(9) * (np.arange(5) == 0) for name, array in weak.items()}
    found = find_spans(passages, windows, [strong, weak], null=0, max_tokens=5, top_k=2)
    assert [span.passage for span in found.best] == [0, 0]


def test_no_span_within_a_word() -> None:
    text = "alpha beta"  # ten tokens of one letter each
    found = decode({1: 9.0}, {7: 9.0}, text)
    assert text[found.best[0].start : found.best[0].end] in {"alpha", "beta", "alpha beta"}


@pytest.mark.parametrize("top_k", range(1, 21))
def test_top_k_gives_that_many_distinct_answers_where_there_are(top_k: int) -> None:
    found = decode({2: 5.0, 4: 3.0}, {2: 5.0, 4: 3.0}, " ".join("a" * 12), top_k)
    spans = sorted((span.start, span.end) for span in found.best)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    scores = [span.log_odds for span in found.best]
    assert scores == sorted(scores, reverse=True)
    assert len(found.best) <= top_k
    assert len(found.best) == min(top_k, len(decode({2: 5.0, 4: 3.0}, {2: 5.0, 4: 3.0}, " ".join("a" * 12), 100).best))


def test_a_certain_answer_keeps_its_digits() -> None:
    """1 - p is far below the resolution of p, yet the log-odds come out."""
    found = decode({2: 40.0}, {2: 40.0}, "a b c d")
    others = 1 + 3 * math.exp(40) + 6  # no answer; spans with one end on token 2; all others
    assert found.best[0].log_odds == pytest.approx(80 - math.log(others), abs=1e-6)


def reply_scores(
    task: QaTask, encoded: Encoded, request: Question, outputs: list[Arrays]
) -> tuple[float, float | None]:
    reply = task.decode(request, encoded.memo, outputs)
    return reply.answers[0].score, reply.no_answer_score


def test_the_no_answer_score_does_not_depend_on_top_k() -> None:
    task = qa_task()
    scores = set()
    for top_k in (1, 2, 5):
        request = Question("q", ("one two three four",), top_k=top_k, always_answer=True)
        encoded = task.encode(request)
        chance = np.random.default_rng(3)
        size = len(encoded.units[0].arrays["input_ids"])
        output = {n: chance.normal(0, 2, size).astype(np.float32) for n in ("start_logits", "end_logits")}
        scores.add(reply_scores(task, encoded, request, [output]))
    assert len(scores) == 1


@given(st.integers(0, 3000), st.integers(64, 400), st.integers(0, 300))
def test_windows_cover_the_passage_evenly(tokens: int, room: int, stride: int) -> None:
    windows = spread(tokens, room, stride)
    covered = sorted({t for first, size in windows for t in range(first, first + size)})
    assert covered == list(range(tokens))
    assert all(0 < size <= room for _, size in windows)
    shared = min(stride, room // 2)
    for (a, size), (b, _) in pairwise(windows):
        assert a + size - b == shared
    if len(windows) > 1:
        sizes = [size for _, size in windows]
        assert max(sizes) - min(sizes) <= len(sizes)
        assert len(windows) == math.ceil((tokens - shared) / (room - shared))


def test_an_answer_across_a_border_of_windows_is_found_whole() -> None:
    """Of any 20 tokens in a row, all are together in one window at a stride of 20."""
    windows = spread(1000, 100, 20)
    for first in range(980):
        assert any(a <= first and first + 20 <= a + size for a, size in windows)


def test_room_counts_the_frame() -> None:
    assert WindowSize(384, 128).room(10, TOKENIZER.frame) == 384 - 10 - 3
