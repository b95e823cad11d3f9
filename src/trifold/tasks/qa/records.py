"""What is asked and what is replied."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LONGEST_ANSWER", "Answer", "Question", "Reply", "Verdict"]

LONGEST_ANSWER = 30
"""Tokens of an answer at most, where a question does not say."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one or several passages, found well-formed.

    top_k: how many answers at most; None for what the model is made for, one or all. always_answer: answer even
    where the passages probably do not say. max_answer_len: length of an answer, in the model's tokens, at most.
    """

    question: str
    passages: tuple[str, ...]
    top_k: int | None = None
    always_answer: bool = False
    max_answer_len: int = LONGEST_ANSWER


@dataclass(frozen=True, slots=True)
class Answer:
    """A quotation. `passages[passage][start:end] == text`, in Unicode code points, always.

    score: the probability that this is a right answer (exact match after SQuAD normalisation), from 0 to 1.
    passage: index of the passage.
    """

    text: str
    start: int
    end: int
    score: float
    passage: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes or no. text: "yes" or "no". score: the probability that it is right, from 0 to 1."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Reply:
    """The answers to a question, the best first; none when the passages do not say.

    With a verdict, the answer is the quotation that it rests on, with the verdict's own score.

    no_answer_score: the probability that the passages do not say, or None for a model that cannot tell.
    verdict: yes or no, from a model that was made for such questions; else None. model: the version that made the
    reply. warnings: what may make it less trustworthy than its score.
    """

    question: str
    answers: tuple[Answer, ...]
    no_answer_score: float | None
    model: str
    warnings: tuple[str, ...] = ()
    verdict: Verdict | None = None

    @property
    def score(self) -> float:
        """The probability that the reply is right: of the verdict or the best answer, else of there being none."""
        if self.verdict is not None:
            return self.verdict.score
        if self.answers:
            return self.answers[0].score
        return 0.0 if self.no_answer_score is None else self.no_answer_score

    def to_dict(self) -> dict[str, Any]:
        """The reply as JSON types, as every interface gives it."""
        record = asdict(self)
        record["answers"] = list(record["answers"])
        record["warnings"] = list(record["warnings"])
        return record
