"""What training makes small is minus the log-likelihood under the formula that replies use."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from doubles import qa_task  # noqa: E402
from trifold.tasks.qa.data.examples import Example  # noqa: E402
from trifold.tasks.qa.data.repairs import Gold  # noqa: E402
from trifold.tasks.qa.training.features import balanced_windows, labelled_windows  # noqa: E402
from trifold.tasks.qa.training.losses import (  # noqa: E402
    Labels,
    answer_loss,
    distillation_loss,
    expected_f1,
    segment_loss,
    verdict_loss,
    verdict_probability,
)

LENGTH, LONGEST = 7, 3


def labels(*golds: tuple[int, int]) -> Labels:
    """One window of seven tokens whose first is the null; the golds, padded to three."""
    may = torch.ones(1, LENGTH, dtype=torch.bool)
    may[0, 0] = False
    places = [*golds, *[(0, 0)] * (3 - len(golds))]
    return Labels(
        may,
        may.clone(),
        torch.tensor([[a for a, _ in places]]),
        torch.tensor([[b for _, b in places]]),
        torch.tensor([[i < len(golds) for i in range(3)]]),
        torch.zeros(1, LENGTH, dtype=torch.bool),
        torch.tensor([-1]),
    )


@pytest.fixture
def logits() -> tuple[Any, Any]:
    torch.manual_seed(0)
    return torch.randn(1, LENGTH), torch.randn(1, LENGTH)


def odds(start: Any, end: Any) -> dict[tuple[int, int], float]:
    base = float(start[0, 0] + end[0, 0])
    return {
        (i, j): float(start[0, i] + end[0, j]) - base
        for i in range(1, LENGTH)
        for j in range(i, min(i + LONGEST, LENGTH))
    }


@pytest.mark.parametrize("golds", [(), ((2, 3),), ((2, 3), (4, 4)), ((1, 6),)], ids=str)
def test_answer_loss(logits: tuple[Any, Any], golds: tuple[tuple[int, int], ...]) -> None:
    start, end = logits
    u = odds(start, end)
    for i, j in golds:  # longer than a candidate may be, a gold is one all the same
        u[i, j] = float(start[0, i] + end[0, j] - start[0, 0] - end[0, 0])
    total = 1 + sum(math.exp(value) for value in u.values())
    right = sum(math.exp(u[gold]) for gold in golds) if golds else 1.0
    found = answer_loss(start, end, labels(*golds), 0, LONGEST)
    assert float(found[0]) == pytest.approx(-math.log(right / total), abs=1e-4)


@pytest.mark.parametrize("golds", [(), ((2, 3),), ((1, 1), (3, 5))], ids=str)
def test_segment_loss(logits: tuple[Any, Any], golds: tuple[tuple[int, int], ...]) -> None:
    start, end = logits
    u = odds(start, end)
    total = 0.0
    for size in range(LENGTH):
        for chosen in itertools.combinations(u, size):
            covered = [k for i, j in chosen for k in range(i, j + 1)]
            if len(covered) == len(set(covered)):
                total += math.exp(sum(u[one] for one in chosen))
    expected = math.log(total) - sum(u[gold] for gold in golds)
    assert float(segment_loss(start, end, labels(*golds), 0, LONGEST)[0]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("loss", [answer_loss, segment_loss])
def test_padding_changes_nothing(logits: tuple[Any, Any], loss: Callable[..., Any]) -> None:
    start, end = logits
    own = labels((2, 3))
    wide = torch.nn.functional.pad
    padded = Labels(
        wide(own.may_start, (0, 5)), wide(own.may_end, (0, 5)), own.starts, own.ends, own.given, own.echo, own.verdict
    )
    found = [
        float(loss(start, end, own, 0, LONGEST)[0]),
        float(loss(wide(start, (0, 5), value=3.0), wide(end, (0, 5), value=3.0), padded, 0, LONGEST)[0]),
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_distillation_is_zero_for_the_base_itself_and_ignores_padding() -> None:
    torch.manual_seed(1)
    start, end = torch.randn(2, 5), torch.randn(2, 5)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    moved = start.clone()
    moved[1, 3:] += 9
    assert distillation_loss(moved, end, start, end, mask).abs().max() < 1e-6
    moved[0, 1] += 1
    found = distillation_loss(moved, end, start, end, mask)
    p, q = torch.softmax(start[0], 0), torch.softmax(moved[0], 0)
    assert float(found[0]) == pytest.approx(float((p * (p / q).log()).sum()), abs=1e-5)
    assert float(found[1]) == pytest.approx(0.0, abs=1e-6)


def example(passage: str, *golds: str, verdict: str | None = None) -> Example:
    return Example("x", "where?", passage, tuple(Gold(g, passage.index(g)) for g in golds), verdict)


def test_labels_point_at_the_answer_in_every_window() -> None:
    task = qa_task(length=110, stride=20)
    passage = "one two three four five six seven eight nine ten " * 4 + "treasure here"
    windows = labelled_windows(task, example(passage, "treasure"))
    assert len(windows) > 1
    for window in windows:
        for first, last in window.golds:
            # The tokenizer's tokens are characters: the answer's are t r e a s u r e.
            assert last - first + 1 == len("treasure")
            assert window.may_start[first]
            assert window.may_end[last]
        assert not window.may_start[0]
    assert sum(bool(window.golds) for window in windows) >= 1
    assert sum(not window.golds for window in windows) >= 1


def test_a_window_that_cuts_the_answer_is_neither_answer_nor_silence() -> None:
    task = qa_task(length=110, stride=0)
    passage = "abcdefghij " * 11 + "klmnopqrst"
    size = len(labelled_windows(task, example(passage)))
    assert size > 1
    cut = "abcdefghij " * 8 + "klmnopqrst"  # longer than a window has room for
    assert len(labelled_windows(task, example(passage, cut))) < size


def test_windows_without_answer_do_not_drown_the_answers() -> None:
    task = qa_task(length=110, stride=20)
    passage = "treasure " + "one two three four five six seven eight nine ten " * 20
    everything = labelled_windows(task, example(passage, "treasure"))
    kept = balanced_windows(task, [example(passage, "treasure")], silence=2.0, seed=0)
    answered = sum(bool(window.golds) for window in kept)
    assert answered == sum(bool(window.golds) for window in everything)
    assert len(kept) == 3 * answered < len(everything)
    assert len(balanced_windows(task, [example(passage)], silence=1.0, seed=0)) == 1


def test_a_verdict_is_where_the_question_is_repeated() -> None:
    task = qa_task(answers="yes-no")
    asked = Example("x", "was it Ada?", "Ada won, Bob lost", (), "yes")
    (window,) = labelled_windows(task, asked)
    assert window.verdict == "yes"
    assert not window.silent
    # The tokenizer's tokens are characters; those of the question are w a s i t d ?.
    (layout, _) = task.lay_out(asked.question, asked.passage)
    tokens = layout.passages[0]
    repeated = [
        asked.passage[s:e] for s, e, echo in zip(tokens.starts, tokens.ends, layout.echoes[0], strict=True) if echo
    ]
    assert "A" in repeated
    assert "b" not in repeated
    (silent,) = labelled_windows(task, Example("x", "was it Ada?", "Ada won, Bob lost", ()))
    assert silent.silent


@pytest.mark.parametrize("verdict", [1, 0, -1])
def test_verdict_loss(logits: tuple[Any, Any], verdict: int) -> None:
    start, end = logits
    echo = torch.tensor([[False, True, True, False, False, True, False]])
    own = replace(labels(), echo=echo, verdict=torch.tensor([verdict]))
    u = odds(start, end)
    yes = sum(math.exp(v) for (i, j), v in u.items() if all(bool(echo[0, k]) for k in range(i, j + 1)))
    every = sum(math.exp(v) for v in u.values())
    right = {1: yes, 0: every - yes, -1: 1.0}[verdict]
    assert float(verdict_loss(start, end, own, 0, LONGEST)[0]) == pytest.approx(math.log((1 + every) / right), abs=1e-4)
    expected = {1: yes / every, 0: 1 - yes / every, -1: 1 / (1 + every)}[verdict]
    assert float(verdict_probability(start, end, own, 0, LONGEST)[0]) == pytest.approx(expected, abs=1e-4)


def test_expected_f1(logits: tuple[Any, Any]) -> None:
    start, end = logits
    u = odds(start, end)
    every = sum(math.exp(v) for v in u.values())
    gold = (2, 4)
    expected = 0.0
    for (i, j), value in u.items():
        shared = max(0, min(j, gold[1]) - max(i, gold[0]) + 1)
        expected += math.exp(value) / every * 2 * shared / (j - i + 1 + 3)
    assert float(expected_f1(start, end, labels(gold), 0, LONGEST)[0]) == pytest.approx(expected, abs=1e-4)
    silent = float(expected_f1(start, end, labels(), 0, LONGEST)[0])
    assert silent == pytest.approx(1 / (1 + every), abs=1e-4)
