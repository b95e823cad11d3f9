"""How questions and replies look over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trifold.errors import InvalidInput
from trifold.task import Payload, Route
from trifold.tasks.qa.records import LONGEST_ANSWER, Reply

__all__ = ["route"]

_TEXT = {"type": "string", "minLength": 1, "pattern": r"\S"}
_PASSAGE = {**_TEXT, "type": ["string", "null"]}
_SCORE = {"type": "number", "minimum": 0, "maximum": 1}
_REPORT = "The report was written by Ada Lovelace in 1843."

_REQUEST: Mapping[str, Any] = {
    "type": "object",
    "required": ["question"],
    "properties": {
        "question": {**_TEXT, "description": "What is asked."},
        "passage": {**_PASSAGE, "description": "The text that the answer is quoted from. `context` means the same."},
        "context": {**_PASSAGE, "description": "Another name of `passage`."},
        "passages": {
            "type": ["array", "null"],
            "items": _TEXT,
            "minItems": 1,
            "description": "Several texts, read together: the best answer of all of them wins.",
        },
        "top_k": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 1000,
            "description": "Answers at most; by default one, or all from a model made for that.",
        },
        "always_answer": {
            "type": "boolean",
            "default": False,
            "description": "Give the best answer even where the passages probably do not say.",
        },
        "max_answer_len": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10_000,
            "default": LONGEST_ANSWER,
            "description": "Length of an answer at most, in the model's tokens.",
        },
        "id": {"description": "Anything; ignored, so that rows of a file can be sent as they are."},
    },
    "oneOf": [
        {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
        for name in ("passage", "context", "passages")
    ],
    "additionalProperties": False,
}

_ANSWER: Mapping[str, Any] = {
    "type": "object",
    "required": ["text", "start", "end", "score", "passage"],
    "properties": {
        "text": {"type": "string", "description": "Word for word: `passage[start:end]`."},
        "start": {"type": "integer", "minimum": 0, "description": "In Unicode code points."},
        "end": {"type": "integer", "minimum": 0, "description": "In Unicode code points, exclusive."},
        "score": {**_SCORE, "description": "The probability that this is a right answer."},
        "passage": {"type": "integer", "minimum": 0, "description": "Index of the passage."},
    },
}

_REPLY: Mapping[str, Any] = {
    "type": "object",
    "required": ["question", "answers", "no_answer_score", "model", "warnings", "verdict"],
    "properties": {
        "question": {"type": "string"},
        "answers": {
            "type": "array",
            "items": _ANSWER,
            "description": "The best first; empty where the passages do not say.",
        },
        "no_answer_score": {
            **_SCORE,
            "type": ["number", "null"],
            "description": "The probability that the passages do not say; null from a model that cannot tell.",
        },
        "model": {"type": "string", "description": "The version that made the reply."},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "verdict": {
            "type": ["object", "null"],
            "required": ["text", "score"],
            "properties": {"text": {"enum": ["yes", "no"]}, "score": _SCORE},
            "description": "From a model that was made for yes/no questions.",
        },
    },
}

_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "A question about a passage": {"question": "Who wrote it?", "passage": _REPORT},
    "Three candidates": {"question": "When was it written?", "passage": _REPORT, "top_k": 3},
    "Several passages": {
        "question": "When does the ferry leave?",
        "passages": ["The bus leaves at 7.", "The ferry leaves at half past nine."],
    },
    "The passage does not say": {"question": "Who is the mayor of Paris?", "passage": _REPORT},
}

_PAYLOAD: Mapping[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "inputs": {
            "type": "object",
            "required": ["question", "context"],
            "properties": {"question": _TEXT, "context": _TEXT},
            "additionalProperties": False,
        },
        "parameters": {
            "type": ["object", "null"],
            "properties": {
                "top_k": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
                "max_answer_len": {"type": ["integer", "null"], "minimum": 1, "maximum": 10_000},
                "handle_impossible_answer": {"type": ["boolean", "null"]},
                "doc_stride": {"description": "Accepted without effect: windows are laid out by the model's settings."},
                "max_seq_len": {"description": "Accepted without effect."},
                "max_question_len": {"description": "Accepted without effect."},
                "align_to_words": {"description": "Accepted without effect: quotations never split a word."},
            },
            "additionalProperties": False,
        },
        "options": {"description": "Accepted without effect."},
    },
    "additionalProperties": False,
}
_ELEMENT: Mapping[str, Any] = {
    "type": "object",
    "required": ["answer", "score", "start", "end"],
    "properties": {
        "answer": {"type": "string"},
        "score": _SCORE,
        "start": {"type": "integer", "minimum": 0},
        "end": {"type": "integer", "minimum": 0},
    },
}


def route() -> Route:
    """The paths of question answering."""
    return Route(
        one="/v1/answer",
        many="/v1/answers",
        summary="Answer a question from a passage",
        description="The answer is quoted word for word from the passage, with its position and the probability that "
        "it is right; `answers` is empty where the passage does not say.",
        request=_REQUEST,
        reply=_REPLY,
        examples=_EXAMPLES,
        render=Reply.to_dict,
        payload=Payload(
            read=_read,
            write=_write,
            request=_PAYLOAD,
            response={"oneOf": [_ELEMENT, {"type": "array", "items": _ELEMENT}]},
            example={"inputs": {"question": "Who wrote it?", "context": _REPORT}, "parameters": {"top_k": 1}},
        ),
    )


def _read(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The question of a payload. Without `handle_impossible_answer` the best answer is always given."""
    _only(payload, "the payload", _PAYLOAD)
    inputs = _object(payload.get("inputs"), "inputs")
    _only(inputs, "inputs", _PAYLOAD["properties"]["inputs"])
    parameters = _object(payload.get("parameters") or {}, "parameters")
    _only(parameters, "parameters", _PAYLOAD["properties"]["parameters"])
    given = {name: value for name, value in parameters.items() if value is not None}
    impossible = given.get("handle_impossible_answer", False)
    if not isinstance(impossible, bool):
        raise InvalidInput("handle_impossible_answer: expected true or false.", field="handle_impossible_answer")
    raw = {"question": inputs.get("question"), "passage": inputs.get("context"), "always_answer": not impossible}
    return {**raw, **{name: given[name] for name in ("top_k", "max_answer_len") if name in given}}


def _write(payload: Mapping[str, Any], reply: Reply) -> Any:
    """As the pipeline gave it: one object, or a list where several answers were asked for."""
    found = [{"answer": a.text, "score": a.score, "start": a.start, "end": a.end} for a in reply.answers]
    if not found:
        found = [{"answer": "", "score": reply.score, "start": 0, "end": 0}]
    several = ((payload.get("parameters") or {}).get("top_k") or 1) > 1
    return found if several else found[0]


def _object(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{field}: expected an object.", 'Send {"inputs": {"question", "context"}}.', field=field)
    return value


def _only(value: Mapping[str, Any], place: str, schema: Mapping[str, Any]) -> None:
    known = schema["properties"]
    if unknown := sorted(key for key in value if key not in known):
        raise InvalidInput(
            f"{place}: unknown field {unknown[0]!r:.60}.", f"Known are: {', '.join(known)}.", field=place
        )
