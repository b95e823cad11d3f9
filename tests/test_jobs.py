"""The batch job's own parts: what a row asks, the journal, the chunks."""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from doubles import echo_folder
from trifold.engine.loaded import Loaded, open_model
from trifold.engine.planner import Budget
from trifold.engine.runner import Runner
from trifold.errors import DataError, EngineError, UsageError
from trifold.jobs import answering
from trifold.jobs.answering import Stopped, answers
from trifold.jobs.journal import Chunk, Journal
from trifold.jobs.requests import Shape
from trifold.jobs.tally import Tally
from trifold.tables.rows import Row, RowFault
from trifold.tasks.qa.columns import cells_of, columns_of, rows_in
from trifold.tasks.qa.records import Answer, Reply

pytestmark = pytest.mark.usefixtures("echo_plugin")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "CHUNK", 10)


@pytest.fixture
def loaded(tmp_path: Path, echo_plugin: None) -> Loaded:
    return open_model(echo_folder(tmp_path / "echo@0"))


def shape(loaded: Loaded, **changes: Any) -> Shape:
    task: Any = loaded.task
    facts: dict[str, Any] = {"columns": task.columns({}), "renamed": {}, "options": {}, "keep": ()}
    return Shape(**{**facts, **changes})


def row(number: int, **fields: Any) -> Row:
    return Row(number, fields, "in.jsonl", number)


def faulty(number: int) -> Row:
    return Row(number, {}, "in.jsonl", number, RowFault("the line is not JSON.", "Mend it."))


def run(loaded: Loaded, rows: list[Row], **changes: Any) -> Iterator[Chunk]:
    task: Any = loaded.task
    return answers(Runner(loaded, budget=Budget(64, 3, 200)), task, shape(loaded), rows, **changes)


def records(chunks: list[Chunk]) -> list[Any]:
    return [record for chunk in chunks for record in chunk.records]


def test_chunks_come_in_order_with_every_row(loaded: Loaded) -> None:
    rows = [row(n, text="x" * (n % 23)) for n in range(1, 36)]
    chunks = list(run(loaded, rows))
    assert [chunk.index for chunk in chunks] == [0, 1, 2, 3]
    assert [record["length"] for _, record in records(chunks)] == [n % 23 for n in range(1, 36)]
    assert [record["id"] for _, record in records(chunks)] == list(range(1, 36))


def test_chunks_that_are_done_are_not_answered_again(loaded: Loaded) -> None:
    rows = [row(n, text=f"row {n}") for n in range(1, 36)]
    whole = {chunk.index: chunk for chunk in run(loaded, rows)}
    rest = list(run(loaded, rows, done={0, 2}))
    assert [chunk.index for chunk in rest] == [1, 3]
    assert all(chunk == whole[chunk.index] for chunk in rest)


def test_what_is_asked_twice_in_a_chunk_is_computed_once(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode = loaded.task.encode

    def spying(self: Any, text: str) -> Any:
        asked.append(text)
        return encode(text)

    monkeypatch.setattr(type(loaded.task), "encode", spying)
    texts = ["a", "b", "a", "a", "encode fails", "encode fails", "b", "c", "a", "b", "a", "b"]
    chunks = list(run(loaded, [row(n, text=text) for n, text in enumerate(texts, 1)]))
    assert asked == ["a", "b", "encode fails", "c", "a", "b"]
    kinds = [kind for kind, _ in records(chunks)]
    assert kinds == ["error" if text == "encode fails" else "row" for text in texts]
    assert [record["echo"] for kind, record in records(chunks) if kind == "row"] == [
        text for text in texts if text != "encode fails"
    ]
    assert [chunk.tally.computed for chunk in chunks] == [3, 2]


def test_nothing_is_computed_together_across_chunks(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever came before a chunk, however many threads there are: its batches are the same."""
    batches: list[list[bytes]] = []
    assert loaded.session is not None
    original = type(loaded.session).run

    def spying(self: Any, units: Any) -> Any:
        batches.append([unit.arrays["codes"].tobytes() for unit in units])
        return original(self, units)

    monkeypatch.setattr(type(loaded.session), "run", spying)
    chance = random.Random(1)
    texts = ["".join(chance.choices("abcdefgh", k=chance.randrange(1, 60))) for _ in range(40)]
    rows = [row(n, text=text) for n, text in enumerate(texts, 1)]
    seen = []
    for threads, done in (("1", set()), ("2", set()), ("7", set()), ("2", {0, 1})):
        monkeypatch.setenv("TRIFOLD_THREADS", threads)
        batches.clear()
        list(run(loaded, rows, done=done))
        seen.append(sorted(batches))
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) > 10
    of_the_rest = [batch for batch in seen[0] if batch in seen[3]]
    assert of_the_rest == seen[3]


def test_a_bad_row_is_an_error_among_its_neighbours(loaded: Loaded) -> None:
    rows = [
        row(1, text="a"),
        faulty(2),
        row(3, text=4),
        row(4),
        row(5, text="decode fails"),
        row(6, text="b"),
    ]
    (chunk,) = run(loaded, rows)
    found = [(kind, record["id"]) for kind, record in chunk.records]
    assert found == [("row", 1), ("error", 2), ("error", 3), ("error", 4), ("error", 5), ("row", 6)]
    assert chunk.records[1][1] == {
        "id": 2,
        "file": "in.jsonl",
        "line": 2,
        "reason": "the line is not JSON.",
        "remedy": "Mend it.",
    }
    assert "expected a text" in chunk.records[2][1]["reason"]
    assert (chunk.tally.rows, chunk.tally.answered, chunk.tally.failed) == (6, 2, 4)


def test_a_chunk_of_bad_rows_alone_is_a_chunk(loaded: Loaded) -> None:
    chunks = list(run(loaded, [faulty(n) for n in range(1, 25)]))
    assert [len(chunk.records) for chunk in chunks] == [10, 10, 4]


def test_a_long_run_of_bad_rows_is_dealt_with_as_it_comes(loaded: Loaded) -> None:
    read = 0

    def rows() -> Iterator[Row]:
        nonlocal read
        for read in range(1, 5001):
            yield row(read, text="a") if read == 1 else faulty(read)

    task: Any = loaded.task
    next(answers(Runner(loaded, budget=Budget(64, 3, 200)), task, shape(loaded), rows()))
    assert read < 1000


def test_too_many_errors_stop_the_job(loaded: Loaded) -> None:
    rows = [row(n, text="ok" if n % 2 else None) for n in range(1, 101)]
    got: list[Chunk] = []
    with pytest.raises(Stopped) as caught:
        got.extend(run(loaded, rows, max_errors=12))
    failed = [record["id"] for kind, record in records([*got, *caught.value.chunks]) if kind == "error"]
    assert failed[:12] == list(range(2, 26, 2))
    assert len(failed) < 30
    assert len(list(run(loaded, rows, max_errors=50))) == 10
    with pytest.raises(Stopped):
        list(run(loaded, rows[:10], failed=8, max_errors=12))
    with pytest.raises(Stopped):
        next(run(loaded, rows[:1], failed=13, max_errors=12))


def test_a_row_gives_the_fields_that_are_asked_for() -> None:
    columns = columns_of("one", {})
    plain = Shape(columns, {}, {"top_k": 2}, ())
    fields: dict[str, Any] = {"id": "7", "question": "Who?", "context": "Ada.", "title": "T", "answers": {}}
    assert plain.request(row(1, **fields)) == {"question": "Who?", "passage": "Ada.", "top_k": 2}
    renamed = Shape(columns, {"question": "frage", "id": "key"}, {}, None)
    found = row(3, frage="Wer?", question="no", passage="", context="Ada.", key=5, extra=1, start=2)
    assert renamed.request(found) == {"question": "Wer?", "passage": "Ada."}
    assert renamed.identifier(found) == 5
    assert renamed.kept(found) == {"question": "no", "extra": 1, "input_start": 2}
    clashing = row(1, answer="a", input_answer="b", input_note="c")
    assert renamed.kept(clashing) == {"input_answer": "a", "input_input_answer": "b", "input_note": "c"}
    several: dict[str, Any] = {"question": "Who?", "passage": "", "passages": ["a", "b"]}
    assert plain.request(row(1, **several))["passages"] == ["a", "b"]
    assert "passage" not in plain.request(row(1, **several))
    assert plain.request(row(1, question="Who?", passage="", passages=""))["passage"] == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", "a"), (5, 5), (None, 9), ("", 9), (4.0, 4), (4.5, "4.5"), (True, "true"), ([1], "[1]")],
)
def test_an_id_is_a_text_or_a_number(value: Any, expected: Any) -> None:
    found = Shape(columns_of("one", {}), {}, {}, ()).identifier(row(9, id=value))
    assert found == expected
    assert type(found) is type(expected)


def test_a_table_without_a_needed_column_is_refused() -> None:
    columns = columns_of("one", {})
    with pytest.raises(DataError, match=r"b\.csv: expected a column question, found frage, text.*--column question=NA"):
        Shape(columns, {}, {}, ()).check([("a.csv", ["question", "context"]), ("b.csv", ["frage", "text"])])
    Shape(columns, {"question": "frage", "passage": "text"}, {}, ()).check([("b.csv", ["frage", "text"])])
    with pytest.raises(DataError, match="expected a column passage or context or passages"):
        Shape(columns, {}, {}, ()).check([("b.csv", ["question", "text"])])
    with pytest.raises(DataError, match="no column date to keep"):
        Shape(columns, {}, {}, ("date",)).check([("b.csv", ["question", "passage"])])


def test_the_columns_of_a_reply() -> None:
    reply = Reply("q", (Answer("Ada", 3, 6, 0.9, 0), Answer("Bob", 9, 12, 0.1, 0)), 0.05, "m@0", ("careful",))
    cells = cells_of(reply)
    assert list(columns_of("one", {}).reply) == ["answer", "start", "end", "score", "no_answer_score"]
    assert [cells[name] for name in columns_of("one", {}).reply] == ["Ada", 3, 6, 0.9, 0.05]
    assert [a["text"] for a in cells["answers"]] == ["Ada", "Bob"]
    silent = cells_of(Reply("q", (), 0.8, "m@0"))
    assert [silent[name] for name in columns_of("one", {}).reply] == ["", None, None, 0.8, 0.8]
    assert "answers" in columns_of("several", {}).reply
    assert "answers" in columns_of("one", {"top_k": 3}).reply
    assert next(iter(columns_of("yes-no", {}).reply)) == "verdict"


def test_the_questions_of_an_article() -> None:
    good = {"title": "T", "paragraphs": [{"context": "C", "qas": [{"id": "1", "question": "Q"}, 5]}, {"context": "D"}]}
    found = list(rows_in(good) or ())
    assert found[0] == ("paragraphs[0].qas[0]", {"title": "T", "id": "1", "question": "Q", "context": "C"})
    assert [(place, isinstance(value, Mapping)) for place, value in found[1:]] == [
        ("paragraphs[0].qas[1]", False),
        ("paragraphs[1].qas", False),
    ]
    assert rows_in({"question": "Q"}) is None
    assert rows_in(3) is None
    assert list(rows_in({"paragraphs": 3}) or ()) == [("paragraphs", 3)]


FACTS = {
    "input": [{"file": "a.jsonl", "sha256": "0" * 64}],
    "model": {"name": "default@1"},
    "options": {"--set": {"top_k": 1}},
}


def chunk(index: int) -> Chunk:
    tally = Tally()
    tally.count(answered=True, score=0.5)
    tally.count_failed()
    return Chunk(index, tally, [("row", {"id": index, "answer": "Größe \ud800"}), ("error", {"id": -index})])


def begun(output: Path, facts: Mapping[str, Any] = FACTS, *, resume: bool = False, restart: bool = False) -> Journal:
    journal = Journal(output)
    journal.begin(facts, resume=resume, restart=restart)
    return journal


def test_a_journal_keeps_what_is_done(tmp_path: Path) -> None:
    first = begun(tmp_path / "out.jsonl", resume=True)
    for index in (0, 1, 3):
        first.save(chunk(index))
    first.close()
    second = begun(tmp_path / "out.jsonl", resume=True)
    assert second.done == {0, 1, 3}
    assert second.first_missing() == 2
    assert (second.tally.rows, second.tally.failed) == (6, 3)
    assert [record["id"] for _, record in second.records()] == [0, 0, 1, -1, 3, -3]
    assert next(second.records()) == ("row", {"id": 0, "answer": "Größe \ud800"})
    second.remove()
    second.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"input": [{"file": "a.jsonl", "sha256": "1" * 64}]}, r"input a.jsonl sha256 was 0000"),
        ({"input": []}, "input was"),
        ({"model": {"name": "mine@1"}}, "model name was default@1, is mine@1"),
        ({"options": {"--set": {"top_k": 2}}}, "options --set top_k was 1, is 2"),
        ({"options": {"--set": {}}}, "options --set top_k was 1, is not given"),
    ],
)
def test_a_job_of_something_else_is_not_gone_on_with(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    first = begun(tmp_path / "out")
    first.save(chunk(0))
    first.close()
    with pytest.raises(UsageError, match=says):
        begun(tmp_path / "out", {**FACTS, **changes}, resume=True)
    assert begun(tmp_path / "out", resume=True).done == {0}


def test_an_unfinished_job_is_not_thrown_away_by_accident(tmp_path: Path) -> None:
    first = begun(tmp_path / "out")
    first.save(chunk(0))
    first.close()
    with pytest.raises(UsageError, match=r"answered 2 rows and was not finished. --resume goes on"):
        begun(tmp_path / "out")
    anew = begun(tmp_path / "out", restart=True)
    assert anew.done == set()
    assert list(anew.records()) == []


def test_a_journal_serves_one_process(tmp_path: Path) -> None:
    first = begun(tmp_path / "out")
    with pytest.raises(UsageError, match="another process"):
        begun(tmp_path / "out", resume=True)
    first.close()
    assert not (tmp_path / "out.job").exists(), "a journal of nothing is left behind"
    begun(tmp_path / "out").close()


def test_chunks_may_be_done_in_any_order(tmp_path: Path) -> None:
    journal = begun(tmp_path / "out")
    for index in (9, 2):
        journal.save(chunk(index))
    assert [record["id"] for _, record in journal.records()] == [2, -2, 9, -9]


def test_a_file_system_without_locks_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trifold.models import locks

    def unknown(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", unknown)
    first = begun(tmp_path / "out")
    first.save(chunk(0))
    first.close()
    assert begun(tmp_path / "out", resume=True).done == {0}


def test_a_chunk_that_was_cut_short_is_answered_anew(tmp_path: Path) -> None:
    first = begun(tmp_path / "out")
    for index in range(4):
        first.save(chunk(index))
    first.close()
    files = sorted((tmp_path / "out.job" / "chunks").iterdir())
    files[1].write_bytes(files[1].read_bytes()[:-3])
    files[2].write_bytes(b"")
    second = begun(tmp_path / "out", resume=True)
    assert second.done == {0, 3}
    assert second.first_missing() == 1


def test_an_unwritable_journal_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begun(tmp_path / "out")
    journal.save(chunk(0))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(EngineError, match=r"disk is full; 2 answered rows are kept.*--resume"):
            journal.save(chunk(1))
    assert journal.done == {0}
    (tmp_path / "out.job").rename(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match=r"the folder has vanished"):
        journal.save(chunk(1))
    (tmp_path / "elsewhere").rename(tmp_path / "out.job")
    journal.save(chunk(1))
    assert [record["id"] for _, record in journal.records()] == [0, 0, 1, -1]


def test_a_tally_adds_up() -> None:
    total, part = Tally(), Tally()
    for score in (0.0, 0.05, 0.95, 1.0):
        part.count(answered=score > 0.5, score=score, warnings=("script",))
    part.count(answered=True, score=None)
    total.add(part)
    total.add(part)
    assert total.scores == [4, 0, 0, 0, 0, 0, 0, 0, 0, 4]
    assert (total.rows, total.answered, total.silent) == (10, 6, 4)
    assert total.warnings == {"script": 8}
    assert Tally.from_dict(json.loads(json.dumps(total.to_dict()))) == total
