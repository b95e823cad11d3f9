"""What the removed `question-answering` pipeline took: its samples, its ways of being called, its parameters."""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import GeneratorType
from typing import Any

from trifold.errors import InvalidInput
from trifold.task import Limits
from trifold.tasks.qa.check import check_text

__all__ = ["LIMITS", "Options", "PipelineInputError", "Sample", "change", "read_call", "to_sample"]

LIMITS = Limits()

_WITHOUT_EFFECT = {"padding", "max_question_len", "batch_size", "num_workers"}
_WHOLE = {
    "top_k": (1, 10_000),
    "doc_stride": (0, 1_000_000),
    "max_answer_len": (1, 10_000),
    "max_seq_len": (1, 1_000_000),
}
_FLAGS = {"handle_impossible_answer", "align_to_words"}
_INPUTS = {"question", "context", "X", "data"}


class PipelineInputError(InvalidInput, ValueError):
    """InvalidInput that is a ValueError too, which is what callers of the removed pipeline catch."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One question about one passage; transformers' SquadExample is accepted wherever this is."""

    question_text: str
    context_text: str


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters of one call. Lengths are in tokens; None: chosen from the model.

    doc_stride: tokens that neighbouring windows share. max_seq_len: of a window, question included.
    """

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int = 15
    max_seq_len: int | None = None
    handle_impossible_answer: bool = False
    align_to_words: bool = True


def change(options: Options, given: Mapping[str, Any]) -> Options:
    """The options with what a call gives; None leaves what is there.

    Parameters that cannot change an answer here are accepted; unknown ones get a warning, since the removed
    pipeline ignored them. Raises PipelineInputError.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    if "topk" in wanted:
        warnings.warn("topk parameter is deprecated, use top_k instead", UserWarning, stacklevel=3)
        wanted.setdefault("top_k", wanted["topk"])
        del wanted["topk"]
    changes: dict[str, Any] = {}
    for name, value in wanted.items():
        if name in _WHOLE:
            changes[name] = _whole(name, value, *_WHOLE[name])
        elif name in _FLAGS:
            changes[name] = bool(value)
        elif name not in _WITHOUT_EFFECT:
            warnings.warn(f"the argument {name!r} is not known and has no effect", UserWarning, stacklevel=3)
    return replace(options, **changes)


def read_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, bool, dict[str, Any]]:
    """What is asked in a call: (inputs, whether they are a stream, the call's parameters).

    inputs: one Sample, a list of them, or (a stream) an iterator of items that are not read yet. A single item in a
    list counts as one, as it did in the removed pipeline. Raises PipelineInputError.
    """
    parameters = {name: value for name, value in kwargs.items() if name not in _INPUTS}
    inputs = _inputs(args, kwargs)
    if _is_stream(inputs):
        return _rows(inputs), True, parameters
    if isinstance(inputs, Mapping) and isinstance(inputs.get("question"), list):
        return _samples(inputs["question"], inputs.get("context")), False, parameters
    if isinstance(inputs, Mapping) or _is_sample(inputs):
        return to_sample(inputs), False, parameters
    if isinstance(inputs, str) or not isinstance(inputs, Iterable):
        raise PipelineInputError(f"expected questions with their contexts, found a {type(inputs).__name__}. {_ADVICE}")
    samples = [to_sample(item) for item in inputs]
    return samples[0] if len(samples) == 1 else samples, False, parameters


def to_sample(item: object, limits: Limits = LIMITS) -> Sample:
    """A checked sample of a mapping with `question` and `context` (other keys are not looked at) or of an object like
    SquadExample. Raises PipelineInputError, naming the field."""
    if isinstance(item, Mapping):
        if missing := [key for key in ("question", "context") if key not in item]:
            raise PipelineInputError(f"{missing[0]}: missing. {_ADVICE}", field=missing[0])
        question, context = item["question"], item["context"]
    elif _is_sample(item):
        question, context = item.question_text, item.context_text  # type: ignore[attr-defined]
    else:
        raise PipelineInputError(f"expected a question with its context, found a {type(item).__name__}. {_ADVICE}")
    try:
        check_text(question, "question", limits)
        check_text(context, "context", limits)
    except InvalidInput as error:
        raise PipelineInputError(str(error), field=error.field) from None
    return Sample(question, context)


_ADVICE = "Give question=... and context=..., or dictionaries with these two keys."


def _inputs(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if len(args) == 1:
        return args[0]
    if len(args) == 2 and all(isinstance(text, str) for text in args):
        return {"question": args[0], "context": args[1]}
    if args:
        return list(args)
    for name in ("X", "data"):
        if name in kwargs:
            return kwargs[name]
    if "question" not in kwargs or "context" not in kwargs:
        raise PipelineInputError(f"there is nothing to answer. {_ADVICE}")
    question, context = kwargs["question"], kwargs["context"]
    if isinstance(question, list | tuple):
        return _samples(question, context)
    return {"question": question, "context": context}


def _samples(questions: Sequence[Any], contexts: object) -> list[Sample]:
    """A sample for each question: about the one context, or about the context in its place."""
    if isinstance(contexts, str):
        contexts = [contexts] * len(questions)
    if not isinstance(contexts, list | tuple):
        raise PipelineInputError(
            f"context: expected a text or a list of texts, found a {type(contexts).__name__}.", field="context"
        )
    if len(questions) != len(contexts):
        raise PipelineInputError(
            f"expected one for each question, found {len(questions):,} and {len(contexts):,}.",
            field="context",
        )
    return [to_sample({"question": q, "context": c}) for q, c in zip(questions, contexts, strict=True)]


def _is_sample(item: object) -> bool:
    return hasattr(item, "question_text") and hasattr(item, "context_text")


def _is_stream(inputs: object) -> bool:
    """A generator, or a torch Dataset; torch is not imported to find out."""
    data = sys.modules.get("torch.utils.data")
    return isinstance(inputs, GeneratorType) or (data is not None and isinstance(inputs, data.Dataset))


def _rows(stream: Any) -> Iterator[Any]:
    if hasattr(stream, "__iter__"):
        return iter(stream)
    return (stream[index] for index in range(len(stream)))


def _whole(name: str, value: object, least: int, most: int) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or not least <= number <= most:
        shown = value if isinstance(value, int | float) and abs(value) < 1e18 else f"a {type(value).__name__}"
        raise PipelineInputError(
            f"{name}: expected a whole number from {least} to {most:,}, found {shown}.", field=name
        )
    return number
