"""What the embedded model is taught besides its data sets."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.data.repairs import Gold

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))

from lessons import mistyped, retyped, unanswered

PLACES = ("Aberdeen", "Bergen", "Coimbra", "Dunedin", "Esbjerg")


def about(title: str) -> list[Example]:
    rows = []
    for i, place in enumerate(PLACES):
        passage = f"{title} opened its house number {i} in {place}."
        rows.append(
            Example(
                f"{title}{i}",
                f"Where was house {i} opened?",
                passage,
                (Gold(place, passage.index(place)),),
                title=title,
            )
        )
    return rows


def test_a_slip_changes_one_word_and_stays_near() -> None:
    chance = random.Random(0)
    question = "Where did the lighthouse keeper live in 1885?"
    for _ in range(200):
        slipped = mistyped(question, chance).split()
        differing = [(a, b) for a, b in zip(question.split(), slipped, strict=True) if a != b]
        assert len(differing) <= 1
        assert all(a[0] == b[0] and abs(len(a) - len(b)) <= 1 and a.isalpha() for a, b in differing)


@pytest.mark.parametrize("text", ["", "a", "in 1885", "是谁写的"])
def test_nothing_is_mistyped_where_no_word_is_long_enough(text: str) -> None:
    assert mistyped(text, random.Random(0)) == text


def test_some_questions_lose_their_mark_and_none_is_emptied() -> None:
    chance = random.Random(0)
    example = about("A")[0]
    asked = {retyped(example, chance).question for _ in range(300)}
    assert {"Where was house 0 opened?", "Where was house 0 opened"} <= asked
    assert retyped(Example("x", "?", "p", ()), chance).question == "?"


def test_an_unanswered_question_has_a_passage_without_its_answer() -> None:
    rows = [example for title in "ABCDEFGHIJ" for example in about(title)] * 20
    made = unanswered(rows, random.Random(0))
    own = {example.id: example for example in rows}
    assert 0.04 * len(rows) < len(made) < 0.11 * len(rows)
    beside = [example for example in made if own[example.id].passage.split()[0] == example.passage.split()[0]]
    assert len(beside) > len(made) / 3
    for example in made:
        assert example.golds == ()
        assert own[example.id].golds[0].text not in example.passage
