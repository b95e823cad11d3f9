from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import qa_task
from trifold.errors import InvalidInput
from trifold.task import Limits

TASK = qa_task(length=128)
LIMITS = Limits(text_bytes=1000, texts=3)
GOOD = {"question": "q", "passage": "p"}


@pytest.mark.parametrize(
    ("raw", "field", "says"),
    [
        ({"passage": "p"}, "question", "question: expected a text, found nothing"),
        ({"question": "", "passage": "p"}, "question", "found an empty one"),
        ({"question": " \n\t", "passage": "p"}, "question", "found only blanks"),
        ({"question": 5, "passage": "p"}, "question", "found a int"),
        ({"question": "q"}, "passage", "found none of them"),
        ({"question": "q", "passage": "p", "passages": ["p"]}, "passage", "found passage and passages"),
        ({"question": "q", "passage": "\u00a0"}, "passage", "found only blanks"),
        ({"question": "q", "passages": []}, "passages", "found an empty list"),
        ({"question": "q", "passages": "p"}, "passages", "found str"),
        ({"question": "q", "passages": ["p", ""]}, "passages[1]", "found an empty one"),
        ({"question": "q", "passages": ["p"] * 4}, "passages", "at most 3 in one question, found 4"),
        ({"question": "q", "passage": "a\ud800b"}, "passage", r"character 1 is half of a surrogate pair \(U\+D800\)"),
        ({"question": "\udfff", "passage": "p"}, "question", "half of a surrogate pair"),
        ({"question": "q", "passage": "p" * 1001}, "passage", "at most 0.001 MB"),
        ({"question": "q", "passage": "é" * 501}, "passage", "at most 0.001 MB"),
        ({**GOOD, "top_k": 0}, "top_k", "whole number from 1 to 1,000, found 0"),
        ({**GOOD, "top_k": True}, "top_k", "whole number"),
        ({**GOOD, "top_k": "3"}, "top_k", "found a str"),
        ({**GOOD, "max_answer_len": 10**9}, "max_answer_len", "whole number"),
        ({**GOOD, "always_answer": 1}, "always_answer", "expected true or false"),
        ({**GOOD, "topk": 1}, "topk", "unknown field 'topk'"),
        ({**GOOD, "x" * 10_000: 1}, "x" * 60, r"unknown field 'x{59}\. A question has"),
        ({"question": "why " * 100, "passage": "p"}, "question", "at most 61 tokens leave room"),
    ],
)
def test_bad_input_is_refused_with_its_field_and_remedy(raw: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        TASK.check(raw, LIMITS)
    assert caught.value.field == field


def test_a_question_that_is_too_long_is_refused_before_it_is_tokenised() -> None:
    with pytest.raises(InvalidInput, match="question: at most 12,800 characters, found 800,000") as caught:
        TASK.check({"question": "why " * 200_000, "passage": "p"}, Limits())
    assert caught.value.field == "question"


def test_the_context_of_squad_is_a_passage() -> None:
    assert TASK.check({"question": "q", "context": "p"}, LIMITS).passages == ("p",)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = scalars | st.lists(scalars, max_size=4) | st.dictionaries(st.text(max_size=3), scalars, max_size=3)


@given(st.dictionaries(st.sampled_from(["question", "passage", "passages", "top_k", "always_answer"]), json_values))
def test_whatever_is_given_is_accepted_or_refused(raw: dict[str, Any]) -> None:
    try:
        request = TASK.check(raw, LIMITS)
    except InvalidInput:
        return
    TASK.encode(request)
