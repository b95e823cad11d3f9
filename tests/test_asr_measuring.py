"""Errors of transcripts and of boundaries."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from trifold.tasks.asr.measuring.bounds import score_boundaries
from trifold.tasks.asr.measuring.errors import compare


def test_errors_are_counted_by_kind() -> None:
    errors = compare([(["t", "uː", "k"], ["t", "ʊ", "k", "s"]), (["a", "b"], ["b"])])
    assert errors.confused == Counter({("uː", "ʊ"): 1})
    assert errors.inserted == Counter({"s": 1})
    assert errors.deleted == Counter({"a": 1})
    assert (errors.length, errors.right) == (5, 3)
    assert errors.rate == pytest.approx(3 / 5)


def test_the_rate_may_exceed_one_and_knows_silence() -> None:
    assert compare([("a", "xyz")]).rate == 3
    assert compare([("", "")]).rate == 0
    assert compare([("", "a")]).rate == math.inf


def test_the_cheapest_alignment_is_taken() -> None:
    """Against the plain recursion of Wagner & Fischer (1974)."""
    chance = random.Random(0)
    for _ in range(100):
        a, b = ([chance.choice("abc") for _ in range(chance.randrange(8))] for _ in range(2))
        row = list(range(len(b) + 1))
        for i, x in enumerate(a):
            above, row = row, [i + 1]
            for j, y in enumerate(b):
                row.append(min(above[j + 1] + 1, row[j] + 1, above[j] + (x != y)))
        errors = compare([(a, b)])
        assert errors.confused.total() + errors.deleted.total() + errors.inserted.total() == row[-1]


def test_boundaries_are_matched_once_within_the_tolerance() -> None:
    score = score_boundaries([([0.10, 0.30, 0.50], [0.11, 0.115, 0.33, 0.49])])
    assert (score.wanted, score.found, score.matched) == (3, 4, 2)
    assert [score.precision, score.recall] == pytest.approx([1 / 2, 2 / 3])
    assert score_boundaries([([1.0], [1.0])]).r_value == pytest.approx(1)
    assert score_boundaries([([1.0], [])]).f1 == 0


def test_boundaries_everywhere_have_a_low_r_value() -> None:
    wanted = [i / 10 for i in range(1, 100)]
    everywhere = [i / 100 for i in range(1, 1000)]
    score = score_boundaries([(wanted, everywhere)])
    assert score.recall == 1
    assert score.r_value < 0
