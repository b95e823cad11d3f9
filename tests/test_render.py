"""What a person reads, apart from the terminal it is read in."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from trifold.printable import printable
from trifold.tasks.qa.records import Answer, Reply, Verdict
from trifold.tasks.qa.render import in_words, print_reply


def shown(reply: Reply, passages: list[str], closest: tuple[Answer, ...] = (), *, alternatives: bool = True) -> str:
    out = io.StringIO()
    print_reply(Console(file=out, width=100, highlight=False), reply, passages, closest, alternatives=alternatives)
    return out.getvalue()


def answer(passage: str, text: str, score: float, index: int = 0) -> Answer:
    start = passage.index(text)
    return Answer(text, start, start + len(text), score, index)


def test_every_answer_is_marked_in_its_place() -> None:
    passage = "Ada wrote it, and Charles read it."
    reply = Reply("Who?", (answer(passage, "Charles", 0.8), answer(passage, "Ada", 0.001)), 0.1, "m@1", ("careful",))
    text = shown(reply, [passage])
    assert "»Ada« wrote it, and »Charles« read it." in text
    assert "80%  likely" in text
    assert "<1%  weak" in text
    assert "Warning: careful" in text


def test_a_long_passage_is_shown_around_its_answers() -> None:
    passage = "word " * 1000 + "Ada " + "word " * 1000 + "Charles " + "word " * 1000
    reply = Reply("Who?", (answer(passage, "Ada", 0.996), answer(passage, "Charles", 0.2)), 0.1, "m@1")
    text = shown(reply, [passage])
    assert "»Ada«" in text
    assert "»Charles«" in text
    assert ">99%  almost certain" in text
    assert len(text) < 2500


def test_of_many_passages_only_those_with_answers_are_shown() -> None:
    passages = [f"passage number {i}" for i in range(50)]
    reply = Reply("Which?", (answer(passages[42], "42", 0.6, 42),), 0.1, "m@1")
    text = shown(reply, passages)
    assert "passage number »42«" in text
    assert "of passage 43" in text
    assert "number 7" not in text


def test_silence_shows_how_close_the_passage_came() -> None:
    reply = Reply("Who?", (), 0.93, "m@1")
    text = shown(reply, ["It was Ada."], (answer("It was Ada.", "Ada", 0.2),))
    assert "The passage does not say.  93% almost certain" in text
    assert "Closest: “Ada”, 20%." in text


@pytest.mark.parametrize(
    ("score", "words"), [(1.0, "almost certain"), (0.7, "likely"), (0.25, "uncertain"), (0, "weak")]
)
def test_a_score_in_words(score: float, words: str) -> None:
    assert in_words(score) == words


def test_positions_are_kept_when_a_text_is_made_printable() -> None:
    text = "a\x1b[31m\r\nb\u202ec\x85\ud800🎉\t"
    assert len(printable(text)) == len(text)
    assert printable(text) == "a␛[31m \nb\ufffdc\ufffd\ufffd🎉\t"


def test_several_answers_are_joined_by_and() -> None:
    passage = "Ada and Charles won."
    reply = Reply("Who?", (answer(passage, "Charles", 0.8), answer(passage, "Ada", 0.7)), 0.1, "m@1")
    assert "and      Ada" in shown(reply, [passage], alternatives=False)
    assert "or       Ada" in shown(reply, [passage])


def test_a_verdict_comes_with_what_it_rests_on() -> None:
    passage = "Ada won."
    evidence = (answer(passage, "Ada", 0.8),)
    text = shown(Reply("Did Ada win?", evidence, 0.1, "m@1", verdict=Verdict("yes", 0.8)), [passage])
    assert "»Ada« won." in text
    assert "Yes   80%  likely" in text
    assert "by “Ada”, 0–3" in text
