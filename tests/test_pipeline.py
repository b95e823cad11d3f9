"""The drop-in for the removed pipeline: how it is called, what it returns, what it refuses, with a tiny model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import trifold
from doubles import bert_tokenizer, qa_folder, qa_task
from trifold import InvalidInput, ModelNotFound, WrongTask
from trifold.tasks.qa.pipeline import QuestionAnsweringPipeline
from trifold.tasks.qa.pipeline_inputs import PipelineInputError

X, NULL = (bert_tokenizer().get_vocab()[token] for token in ("x", "[CLS]"))
Q, C = "where?", "a b x c"
ROW = {"question": Q, "context": C}
FOUND = ["score", "start", "end", "answer"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return qa_folder(tmp_path / "tiny@3", {X: (8.0, 8.0), NULL: (3.0, 3.0)}).path


@pytest.fixture
def tiny(folder: Path) -> QuestionAnsweringPipeline:
    return trifold.pipeline("question-answering", model=folder)


@dataclass
class SquadExample:
    """What the class of that name in transformers looks like."""

    question_text: str
    context_text: str


# Shapes


@pytest.mark.parametrize(
    "call",
    [
        lambda ask: ask(question=Q, context=C),
        lambda ask: ask(Q, C),
        lambda ask: ask(ROW),
        lambda ask: ask([ROW]),
        lambda ask: ask({**ROW, "id": 7, "answers": []}),
        lambda ask: ask(question=[Q], context=[C]),
        lambda ask: ask(SquadExample(Q, C)),
        lambda ask: ask(ask.create_sample(Q, C)),
        lambda ask: ask(ask.create_sample([Q], [C])),
        lambda ask: ask(X=ROW),
        lambda ask: ask(data=[ROW]),
        lambda ask: ask(question=Q, context=C, top_k=None),
    ],
)
def test_one_question_gives_one_dictionary(
    tiny: QuestionAnsweringPipeline, call: Callable[[QuestionAnsweringPipeline], Any]
) -> None:
    found = call(tiny)
    assert list(found) == FOUND
    assert (found["answer"], found["start"], found["end"]) == ("x", 4, 5)
    assert 0.9 < found["score"] < 1
    json.dumps(found)


@pytest.mark.parametrize(
    "call",
    [
        lambda ask: ask([ROW, ROW]),
        lambda ask: ask((ROW, ROW)),
        lambda ask: ask(ROW, ROW),
        lambda ask: ask(map(dict, [ROW, ROW])),
        lambda ask: ask([SquadExample(Q, C), ROW]),
        lambda ask: ask(question=[Q, Q], context=[C, C]),
        lambda ask: ask(question=[Q, Q], context=C),
        lambda ask: ask({"question": [Q, Q], "context": [C, C]}),
        lambda ask: ask(ask.create_sample([Q, Q], [C, C])),
        lambda ask: ask(ask.create_sample([Q, Q], C)),
    ],
)
def test_several_questions_give_a_list(
    tiny: QuestionAnsweringPipeline, call: Callable[[QuestionAnsweringPipeline], Any]
) -> None:
    found = call(tiny)
    assert isinstance(found, list)
    assert [answer["answer"] for answer in found] == ["x", "x"]


def test_shapes_with_several_answers(tiny: QuestionAnsweringPipeline) -> None:
    best = tiny(**ROW, top_k=3)
    assert [list(answer) for answer in best] == [FOUND] * 3
    assert best[0]["score"] > best[1]["score"] >= best[2]["score"]
    two = tiny([ROW, ROW], top_k=3)
    assert [len(answers) for answers in two] == [3, 3]
    assert tiny(question=Q, context="x", top_k=3)["answer"] == "x"  # a single answer comes alone
    assert tiny([]) == tiny(question=[], context=[]) == []
    assert len(tiny({"question": [Q], "context": [C]})) == 1  # the one way to a list of one


def test_no_answer_competes_when_asked_to(tiny: QuestionAnsweringPipeline) -> None:
    nothing = {"question": Q, "context": "a b c"}
    silent = tiny(nothing, handle_impossible_answer=True)
    assert (silent["start"], silent["end"], silent["answer"]) == (0, 0, "")
    assert silent["score"] > 0.7
    assert tiny(nothing)["answer"]
    assert tiny(ROW, handle_impossible_answer=True)["answer"] == "x"
    assert "" in [answer["answer"] for answer in tiny(ROW, handle_impossible_answer=True, top_k=20)]


def test_a_context_without_tokens(tiny: QuestionAnsweringPipeline) -> None:
    empty = {"question": Q, "context": "\u0301"}
    assert tiny(empty) == {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    assert tiny(empty, handle_impossible_answer=True)["score"] == 1.0


def test_answers_are_quotations_in_words_or_tokens(tiny: QuestionAnsweringPipeline) -> None:
    context = "a xx \U0001f642 b xx"
    whole = tiny(question=Q, context=context, max_answer_len=1)
    assert (whole["answer"], whole["start"]) == ("xx", 2)
    part = tiny(question=Q, context=context, align_to_words=False, top_k=50)
    assert all(context[a["start"] : a["end"]] == a["answer"] for a in part)
    assert "x" in [a["answer"] for a in part]
    texts = [a["answer"].lower() for a in part]
    assert len(texts) == len(set(texts))


def test_the_longest_answer_in_tokens(tiny: QuestionAnsweringPipeline) -> None:
    found = tiny(question=Q, context="a b x c x d", top_k=50, max_answer_len=2)
    assert max(len(answer["answer"].split()) for answer in found) == 2


# Windows


def test_the_end_of_a_long_context_is_read(tiny: QuestionAnsweringPipeline) -> None:
    context = "a " * 3000 + "x"
    found = tiny(question=Q, context=context, max_seq_len=64, doc_stride=10)
    assert (found["start"], found["answer"]) == (6000, "x")
    assert found["score"] <= 1


def test_answers_that_differ_in_case_alone_are_one(tiny: QuestionAnsweringPipeline) -> None:
    found = tiny(question=Q, context="X b x", max_answer_len=1, top_k=9)
    assert [answer["answer"] for answer in found] == ["X", "b"]
    assert found[0]["score"] > 0.45  # a quarter for each


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"doc_stride": 500}, "doc_stride: expected at most max_seq_len"),
        ({"doc_stride": 60, "max_seq_len": 64}, "neighbours can share at most 54, found 60"),
        ({"max_seq_len": 8}, "none is left for the context"),
    ],
)
def test_windows_that_cannot_be_laid(tiny: QuestionAnsweringPipeline, options: dict[str, int], says: str) -> None:
    with pytest.raises(PipelineInputError, match=says):
        tiny(question=Q, context="a " * 500, **options)


def test_a_context_of_too_many_windows(tiny: QuestionAnsweringPipeline) -> None:
    with pytest.raises(PipelineInputError, match="it would take 199,946 windows, at most 100,000"):
        tiny(question=Q, context="a " * 200_000, max_seq_len=64, doc_stride=54)


def test_no_longer_windows_than_the_model_reads() -> None:
    ask = trifold.pipeline()
    with pytest.raises(PipelineInputError, match="max_seq_len: this model reads at most 512 tokens at once, found 600"):
        ask(question="Who?", context="Ada.", max_seq_len=600)
    context = "Nobody came. " * 200
    assert "came" in ask(question="Who came?", context=context, max_seq_len=512)["answer"]


# Streams


def test_a_generator_is_read_as_its_answers_are(tiny: QuestionAnsweringPipeline) -> None:
    rows = ({"question": Q, "context": f"a {i} x"} for i in count())
    found = tiny(rows, batch_size=8)
    assert not isinstance(found, list)
    assert [answer["answer"] for answer in islice(found, 50)] == ["x"] * 50
    assert next(rows)["context"] != "a 50 x"  # read ahead
    assert [a["answer"] for a in tiny(iter_of(SquadExample(Q, C), ROW))] == ["x", "x"]


def iter_of(*items: Any) -> Iterator[Any]:
    yield from items


def test_a_bad_item_of_a_stream_touches_no_other(tiny: QuestionAnsweringPipeline) -> None:
    found = tiny(iter_of(ROW, {"question": Q, "context": ""}, "text", ROW))
    assert next(found)["answer"] == "x"
    with pytest.raises(ValueError, match="context: expected a text, found an empty one"):
        next(found)
    with pytest.raises(PipelineInputError, match="expected a question with its context, found a str"):
        next(found)
    assert next(found)["answer"] == "x"


def test_a_torch_dataset_is_a_stream(tiny: QuestionAnsweringPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dataset:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> dict[str, str]:
            return ROW

    torch_data = ModuleType("torch.utils.data")
    monkeypatch.setattr(torch_data, "Dataset", Dataset, raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.data", torch_data)
    found = tiny(Dataset())
    assert not isinstance(found, list)
    assert [answer["answer"] for answer in found] == ["x"] * 3


# What is refused


@pytest.mark.parametrize(
    ("args", "kwargs", "field", "says"),
    [
        ((), {"question": Q, "context": ""}, "context", "context: expected a text, found an empty one"),
        ((), {"question": " ", "context": C}, "question", "question: expected a text, found only blanks"),
        ((), {"question": Q, "context": None}, "context", "found nothing"),
        ((), {"question": Q, "context": [C, C]}, "context", "found a list"),
        ((), {"question": [Q, Q], "context": [C]}, "context", "one for each question, found 2 and 1"),
        ((), {"question": [Q], "context": 3}, "context", "expected a text or a list of texts"),
        ((), {"question": Q, "context": "a\ud800"}, "context", "half of a surrogate pair"),
        (([ROW, {"question": Q}],), {}, "context", "context: missing. Give question"),
        (("text",), {}, None, "found a str"),
        ((3,), {}, None, "found a int"),
        (("a", "b", "c"), {}, None, "found a str"),
        ((), {}, None, "there is nothing to answer"),
        ((ROW,), {"top_k": 0}, "top_k", "whole number from 1 to 10,000, found 0"),
        ((ROW,), {"max_answer_len": 0}, "max_answer_len", "found 0"),
        ((ROW,), {"doc_stride": -1}, "doc_stride", "found -1"),
        ((ROW,), {"max_seq_len": "long"}, "max_seq_len", "found a str"),
        ((ROW,), {"top_k": 10**5000}, "top_k", "found a int"),
    ],
)
def test_bad_calls(
    tiny: QuestionAnsweringPipeline, args: tuple[Any, ...], kwargs: dict[str, Any], field: str | None, says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        tiny(*args, **kwargs)
    assert isinstance(caught.value, InvalidInput)
    assert caught.value.field == field


def test_warnings_of_a_call(tiny: QuestionAnsweringPipeline) -> None:
    with pytest.warns(UserWarning, match="use top_k instead"):
        assert len(tiny(ROW, topk=2)) == 2
    with pytest.warns(UserWarning, match="'trunc' is not known"):
        tiny(ROW, trunc=True)
    assert tiny(ROW, padding="max_length", max_question_len=3, batch_size=4, num_workers=2)["answer"] == "x"


# Making a pipeline


def test_the_migration_page_can_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs/migration.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in page.split("```python\n")[1:]]
    ours = [block for block in blocks if "transformers" not in block and "haystack" not in block]
    assert len(ours) >= 4
    names: dict[str, Any] = {}
    for block in ours:
        exec(block.replace("deepset/roberta-base-squad2", "default"), names)
    assert "Ada Lovelace" in capsys.readouterr().out


def test_defaults_hold_until_a_call_says_otherwise(folder: Path) -> None:
    ask = trifold.pipeline("question-answering", model=str(folder), top_k=2, batch_size=16)
    assert len(ask(ROW)) == len(ask(ROW, top_k=None)) == 2
    assert ask(ROW, top_k=1)["answer"] == "x"
    with pytest.raises(ValueError, match="top_k"):
        trifold.pipeline(model=folder, top_k=0)


def test_what_asks_for_nothing_else_is_accepted(folder: Path) -> None:
    class Device:
        def __str__(self) -> str:
            return "cpu"

    class Tokenizer:
        name_or_path = str(folder)

    for device in (None, -1, "cpu", "cpu:0", Device()):
        trifold.pipeline(None, str(folder), device=device, device_map="auto", framework="pt", tokenizer=str(folder))
    ask = trifold.pipeline(
        model=str(folder), tokenizer=Tokenizer(), revision="main", torch_dtype="auto", config=None, model_kwargs={}
    )
    assert ask.model == "tiny@3"
    assert ask.reader.ask(Q, C).answers[0].text == ask(ROW)["answer"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"task": "summarization"}, "task: trifold has 'question-answering'"),
        ({"model": object()}, "model: expected a name or a folder, found a object. Save a model object"),
        ({"device": 0}, "device: answers are computed on the CPU, found '0'"),
        ({"device": "cuda:1"}, "found 'cuda:1'"),
        ({"device_map": {"": 0}}, "device_map: answers are computed on the CPU"),
        ({"tokenizer": "another"}, "read with its own tokenizer"),
        ({"tokenizer": object()}, "read with its own tokenizer"),
        ({"framework": "jax"}, "framework: expected 'pt'"),
        ({"torch_dtype": "int8"}, "dtype: expected float32"),
        ({"trust_remote_code": True}, "never run"),
        ({"config": object()}, "config: a model is opened with its own"),
        ({"revision": "v2"}, "names one version already"),
        ({"precision": "int4"}, "has no 'int4' graph"),
    ],
)
def test_what_cannot_be_done_is_refused(folder: Path, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        trifold.pipeline(**{"model": folder, **arguments})


def test_what_has_no_effect_gets_a_warning(folder: Path) -> None:
    for arguments, says in (
        ({"use_fast": False}, "use_fast"),
        ({"token": "secret"}, "HF_TOKEN"),
        ({"torch_dtype": "torch.bfloat16"}, "dtype bfloat16"),
        ({"binary_output": True}, "'binary_output' is not known"),
    ):
        with pytest.warns(UserWarning, match=says):
            trifold.pipeline(model=folder, **arguments)


def test_the_type_of_numbers_chooses_the_graph() -> None:
    assert trifold.pipeline(dtype="torch.float32").reader.precision == "fp32"
    assert trifold.pipeline(torch_dtype="auto").reader.precision == trifold.load().precision


def test_models_that_are_not_there_or_answer_otherwise(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        trifold.pipeline(model="nobody")
    with pytest.raises(ModelNotFound, match="nobody@v2"):
        trifold.pipeline(model="nobody", revision="v2")
    settings = qa_task().settings.to_dict() | {"answers": "yes-no"}
    folder = qa_folder(tmp_path / "verdicts@1", {X: (8.0, 8.0)}, task_settings=settings).path
    with pytest.raises(WrongTask, match="yes or no"):
        trifold.pipeline(model=folder)
