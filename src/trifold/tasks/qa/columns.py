"""How questions and replies stand in the rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from trifold.task import Columns, Kind
from trifold.tasks.qa.records import Reply
from trifold.tasks.qa.settings import Answers

__all__ = ["cells_of", "columns_of", "rows_in"]

_REPLY: Mapping[str, Kind] = {
    "answer": "text",
    "start": "integer",
    "end": "integer",
    "score": "number",
    "no_answer_score": "number",
}


def columns_of(answers: Answers, options: Mapping[str, Any]) -> Columns:
    """The columns of a model whose answers mean this, where `options` holds for every question."""
    reply: dict[str, Kind] = dict(_REPLY)
    if answers == "yes-no":
        reply = {"verdict": "text", **reply}
    if answers == "several" or options.get("top_k") is not None:
        reply["answers"] = "json"
    return Columns(
        request={"question": ("question",), "passage": ("passage", "context"), "passages": ("passages",)},
        needed=(("question",), ("passage", "passages")),
        options=("top_k", "always_answer", "max_answer_len"),
        example={"question": "Who wrote it?", "passage": "The report was written by Ada Lovelace in 1843."},
        reply=reply,
        answer="verdict" if answers == "yes-no" else "answer",
        score="score",
    )


def cells_of(reply: Reply) -> Mapping[str, Any]:
    """The best answer and its place, or an empty answer; `answers` holds all of them."""
    best = reply.answers[0] if reply.answers else None
    return {
        "verdict": reply.verdict.text if reply.verdict else "",
        "answer": best.text if best else "",
        "start": best.start if best else None,
        "end": best.end if best else None,
        "score": reply.score,
        "no_answer_score": reply.no_answer_score,
        "answers": [asdict(answer) for answer in reply.answers],
        "warnings": reply.warnings,
    }


def rows_in(element: Any) -> Iterable[tuple[str, Any]] | None:
    """The questions of one article of SQuAD's nested JSON; None for what is no article."""
    if not isinstance(element, dict) or "paragraphs" not in element:
        return None
    return _article_rows(element)


def _article_rows(article: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """An error stands in for what is no list of objects."""
    paragraphs = article["paragraphs"]
    if not isinstance(paragraphs, list):
        yield "paragraphs", paragraphs
        return
    for p, paragraph in enumerate(paragraphs):
        questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
        if not isinstance(questions, list):
            yield f"paragraphs[{p}].qas", questions
            continue
        for q, entry in enumerate(questions):
            place = f"paragraphs[{p}].qas[{q}]"
            if isinstance(entry, dict):
                yield place, {"title": article.get("title"), **entry, "context": paragraph.get("context")}
            else:
                yield place, entry
