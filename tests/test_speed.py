"""What the speed benchmark counts and asks; that it runs as a whole is for `make bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from plain import best_span
from speed_mixes import SHORTEST, by_passage, in_turns, long_documents, shortened
from speed_report import operations
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.data.repairs import Gold


def test_operations_are_those_of_the_matrices_and_of_attention() -> None:
    hidden, n = 8, 5
    products = [(hidden, hidden)] * 4 + [(hidden, 4 * hidden), (4 * hidden, hidden)]
    layer = sum(2 * n * rows * columns for rows, columns in products) + 2 * (2 * n * n * hidden)
    assert operations([n, n], hidden, 3) == 2 * 3 * layer


def test_operations_where_few_tokens_ask() -> None:
    hidden, n, asking = 8, 20, 6
    keys_and_values = 2 * 2 * n * hidden * hidden
    asked = 2 * asking * (2 * hidden * hidden + 2 * 4 * hidden * hidden) + 2 * (2 * asking * n * hidden)
    whole = operations([n], hidden, 1)
    assert operations([n], hidden, 3, asking) == 2 * whole + keys_and_values + asked
    assert operations([4], hidden, 3, asking) == operations([4], hidden, 3), "a window shorter than that"


def test_the_best_span_of_a_peer_is_in_the_passage_and_not_longer_than_allowed() -> None:
    window = SimpleNamespace(
        sequence_ids=[None, 0, None, 1, 1, 1, None], offsets=[(0, 0), (0, 3), (0, 0), (0, 2), (3, 5), (6, 9), (0, 0)]
    )
    start, end = np.zeros(9, np.float32), np.zeros(9, np.float32)
    start[1] = end[1] = 99  # the question
    start[4], end[5], end[3] = 5, 4, 6
    assert best_span(window, start, end) == (9.0, 3, 9)


PASSAGE = "It rained for a week. " * 12 + "The tower was built by Ada Bell in 1870. " + "Nobody saw it fall. " * 12


def example(passage: str = PASSAGE, question: str = "Who built it?", title: str = "Towers") -> Example:
    golds = (Gold("Ada Bell", passage.index("Ada Bell")),) if "Ada Bell" in passage else (Gold("it", 0),)
    return Example("1", question, passage, golds, title=title)


def test_a_shortened_passage_is_short_and_still_has_the_answer() -> None:
    short = shortened(example())
    assert "built by Ada Bell in 1870." in short.passage
    assert SHORTEST <= len(short.passage) < SHORTEST + 60
    assert short.golds


def test_passages_take_turns() -> None:
    groups = [[example(question=f"{name}{n}") for n in range(size)] for name, size in (("a", 1), ("b", 3), ("c", 2))]
    assert [e.question for e in in_turns(groups)] == ["a0", "b0", "c0", "b1", "c1", "b2"]


def test_long_documents_hold_their_answer_and_enough_words() -> None:
    groups = [[example(passage=f"Part {n}. {PASSAGE}", title=f"title {n % 2}")] for n in range(80)]
    made = long_documents(groups, 2)
    assert len(made) == 2
    for document in made:
        assert len(document.passage.split()) >= 4000
        assert "Ada Bell" in document.passage


def test_questions_are_distinct(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(
            f'{{"id": "{n}", "question": "who {n % 3}?", "context": "it was Ada {n % 2}.", '
            f'"answers": {{"text": ["Ada"], "answer_start": [7]}}}}\n'
            for n in range(12)
        )
    )
    groups = by_passage(path)
    assert sorted(len(own) for own in groups) == [3, 3]
