"""The same questions in every format that data comes in, and files that are broken."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trifold.errors import DataError, MissingExtra
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.data.repairs import Gold
from trifold.tasks.qa.data.survey import survey, write_repaired

PASSAGE = 'Größe: "klein" – a cat, a mat;\na 🎉 dog.'
QUESTIONS = ["What sat, there?", 'Who is "it"?', "Why?", "Is it small?"]
EXPECTED = [
    Example("a", QUESTIONS[0], PASSAGE, (Gold("cat", PASSAGE.index("cat")), Gold("mat", PASSAGE.index("mat")))),
    Example("b", QUESTIONS[1], PASSAGE, (Gold("🎉 dog", PASSAGE.index("🎉")),)),
    Example("c", QUESTIONS[2], PASSAGE, ()),
    Example("d", QUESTIONS[3], PASSAGE, (), "yes"),
]
SHORTER = [EXPECTED[1], EXPECTED[2]]
"""For formats with one answer a row and no verdict."""


def flat(example: Example) -> dict[str, Any]:
    answers = {"text": [g.text for g in example.golds], "answer_start": [g.start for g in example.golds]}
    verdict = {} if example.verdict is None else {"verdict": example.verdict}
    return {"id": example.id, "question": example.question, "context": PASSAGE, "answers": answers, **verdict}


def spans(example: Example, start: str = "start") -> list[dict[str, Any]]:
    return [{"text": g.text, start: g.start, "end": g.start + len(g.text)} for g in example.golds]


def json_lines(rows: Sequence[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def squad(examples: Sequence[Example]) -> dict[str, Any]:
    qas = [{**flat(e), "answers": spans(e, "answer_start"), "is_impossible": not e.golds} for e in examples]
    return {"version": "v2.0", "data": [{"title": "", "paragraphs": [{"context": PASSAGE, "qas": qas}]}]}


def annotation_tool(examples: Sequence[Example]) -> dict[str, Any]:
    """As Haystack's annotation tool writes it."""
    document = squad(examples)
    for qa in document["data"][0]["paragraphs"][0]["qas"]:
        for number, answer in enumerate(qa["answers"]):
            answer.update(answer_id=number, document_id=7, question_id=qa["id"], answer_category=None)
    return document


def table(rows: Sequence[Sequence[Any]], delimiter: str = ",", end: str = "\r\n") -> bytes:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator=end).writerows(rows)
    return stream.getvalue().encode()


def cells(example: Example) -> list[str]:
    listed = json.dumps([gold.text for gold in example.golds]) if example.golds else ""
    return [example.id, example.question, PASSAGE, listed, example.verdict or ""]


HEADER = ["id", "question", "context", "answers", "verdict"]
TABLE = [HEADER, *map(cells, EXPECTED)]


def label_studio(examples: Sequence[Example], names: Sequence[str] = ("text", "annotations")) -> list[dict[str, Any]]:
    tasks = []
    for example in examples:
        result: list[dict[str, Any]] = [
            {"type": "labels", "from_name": "answer", "to_name": "text", "value": {**span, "labels": ["Answer"]}}
            for span in spans(example)
        ]
        if example.verdict:
            choices = {"choices": [example.verdict.title()]}
            result.append({"type": "choices", "from_name": "verdict", "to_name": "text", "value": choices})
        result.append({"type": "relation", "from_id": "x", "to_id": "y"})
        annotation = {"id": 3, "was_cancelled": False, "result": result}
        prediction = {"result": [{"type": "labels", "value": {"start": 0, "end": 5, "text": "Größe", "labels": ["A"]}}]}
        data = {"question": example.question, names[0]: PASSAGE}
        tasks.append({"id": example.id, "data": data, names[1]: [annotation], "predictions": [prediction]})
    return tasks


def label_studio_min(examples: Sequence[Example]) -> list[dict[str, Any]]:
    rows = []
    for e in examples:
        row = {
            "text": PASSAGE,
            "question": e.question,
            "id": e.id,
            "annotator": 1,
            "annotation_id": 3,
            "lead_time": 9.5,
        }
        if e.golds:
            row["answer"] = [{**span, "labels": ["Answer"]} for span in spans(e)]
        if e.verdict:
            row["verdict"] = e.verdict.title()
        rows.append(row)
    return rows


def labels(examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Version 1 of Haystack: one label for each answer."""
    rows = []
    for example in examples:
        for span in spans(example) or [{"text": "", "start": 0, "end": 0}]:
            offsets = [{"start": span["start"], "end": span["end"]}]
            answer = {"answer": span["text"], "type": "extractive", "score": 0.0, "offsets_in_document": offsets}
            document = {"content": PASSAGE, "content_type": "text", "id": "d", "meta": {}}
            rows.append(
                {"id": example.id, "query": example.question, "document": document, "answer": answer,
                 "is_correct_answer": True, "is_correct_document": True, "origin": "gold-label", "meta": {}}
            )  # fmt: skip
    return rows


def extracted(examples: Sequence[Example], wrapped: bool = False) -> list[dict[str, Any]]:
    """Version 2 of Haystack."""
    rows = []
    for example in examples:
        found: list[Any] = [*spans(example)]
        for span in found or [None]:
            offset = span and {"start": span["start"], "end": span["end"]}
            document = {"id": "d", "content": PASSAGE, "meta": {"name": "n"}, "score": 1.0}
            row = {"query": example.question, "score": 0.5, "data": span and span["text"], "document": document,
                   "context": PASSAGE[:9], "document_offset": offset, "context_offset": offset, "meta": {}}  # fmt: skip
            kind = "haystack.dataclasses.answer.ExtractedAnswer"
            rows.append({"type": kind, "init_parameters": row} if wrapped else row)
    return rows


def as_json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def without_id(example: Example) -> tuple[Any, ...]:
    return (example.question, example.passage, sorted((g.start, g.text) for g in example.golds), example.verdict)


FILES: dict[str, tuple[bytes, Sequence[Example]]] = {
    "nested": (as_json(squad(EXPECTED[:3])), EXPECTED[:3]),
    "an article a line": (json_lines(squad(EXPECTED[:3])["data"]), EXPECTED[:3]),
    "annotation tool of haystack": (as_json(annotation_tool(EXPECTED[:3])), EXPECTED[:3]),
    "flat rows": (json_lines([flat(e) for e in EXPECTED]), EXPECTED),
    "flat rows under data": (as_json({"version": "1", "data": [flat(e) for e in EXPECTED]}), EXPECTED),
    "list of flat rows": (as_json([flat(e) for e in EXPECTED]), EXPECTED),
    "one object": (as_json(flat(EXPECTED[0])), EXPECTED[:1]),
    "list of objects": (json_lines([{**flat(e), "answers": spans(e)} for e in EXPECTED]), EXPECTED),
    "list of texts": (json_lines([{**flat(e), "answers": [g.text for g in e.golds]} for e in EXPECTED]), EXPECTED),
    "one object with one answer": (
        json_lines([{**flat(e), "answers": next(iter(spans(e)), [])} for e in SHORTER]), SHORTER),
    "one text": (json_lines([{**flat(e), "answers": "".join(g.text for g in e.golds)} for e in SHORTER]), SHORTER),
    "answer": (
        json_lines([{"id": e.id, "question": e.question, "passage": PASSAGE, "answer": "".join(g.text for g in e.golds),
                     "answer_start": next((g.start for g in e.golds), -1)} for e in SHORTER]), SHORTER),
    "no texts but starts of nothing": (
        json_lines([{**flat(e), "answers": {"text": [g.text for g in e.golds]}} for e in EXPECTED]), EXPECTED),
    "verdict alone": (
        json_lines([{"id": "d", "question": QUESTIONS[3], "context": PASSAGE, "verdict": True}]), EXPECTED[3:]),
    "boolean answer": (
        json_lines([{"id": "d", "question": QUESTIONS[3], "passage": PASSAGE, "answer": True}]), EXPECTED[3:]),
    "csv": (table(TABLE), EXPECTED),
    "csv with unix line ends": (table(TABLE, end="\n"), EXPECTED),
    "csv after blank lines": (b"\r\n\n" + table(TABLE), EXPECTED),
    "csv with a byte order mark": (b"\xef\xbb\xbf" + table(TABLE), EXPECTED),
    "csv of semicolons": (table(TABLE, ";"), EXPECTED),
    "csv of excel": (b"sep=;\r\n" + table(TABLE, ";"), EXPECTED),
    "tsv": (table(TABLE, "\t"), EXPECTED),
    "csv, gzipped": (gzip.compress(table(TABLE)), EXPECTED),
    "csv of other names": (
        table([["Question", " Passage", "Answer Text", "start", "note", "ID"],
               [QUESTIONS[1], PASSAGE, "🎉 dog", "33.0", "x", "b"],
               ["", "", " ", "", "", ""],
               [QUESTIONS[2], PASSAGE, " ", "", "y", "c"]]), SHORTER),
    "label studio": (as_json(label_studio(EXPECTED)), EXPECTED),
    "label studio, other names": (as_json(label_studio(EXPECTED, ("document", "completions"))), EXPECTED),
    "one task of label studio": (as_json(label_studio(EXPECTED)[0]), EXPECTED[:1]),
    "label studio, a task a line": (json_lines(label_studio(EXPECTED)), EXPECTED),
    "label studio, minimal": (as_json(label_studio_min(EXPECTED)), EXPECTED),
    "labels of haystack": (as_json(labels(EXPECTED[:3])), EXPECTED[:3]),
    "answers of haystack": (as_json(extracted(EXPECTED[:3])), EXPECTED[:3]),
    "answers of haystack, a line each": (json_lines(extracted(EXPECTED[:3])), EXPECTED[:3]),
    "one answer of haystack": (json_lines(extracted(EXPECTED[1:2])), EXPECTED[1:2]),
    "answers of early haystack 2": (as_json(extracted(EXPECTED[:3], wrapped=True)), EXPECTED[:3]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_format_says_the_same(tmp_path: Path, name: str) -> None:
    content, expected = FILES[name]
    assert PASSAGE.index("🎉") == 33
    path = tmp_path / "data.any"  # the name tells nothing
    path.write_bytes(content)
    read = read_examples(path)
    assert [without_id(e) for e in read] == [without_id(e) for e in expected]
    if "answers of" not in name and "answer of" not in name:
        assert [e.id for e in read] == [e.id for e in expected]
    write_repaired(survey(path), tmp_path / "out.jsonl")
    assert [without_id(e) for e in read_examples(tmp_path / "out.jsonl")] == [without_id(e) for e in expected]


def test_the_examples_of_the_documentation(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:json|csv)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 8
    for block in blocks:
        (tmp_path / "d").write_text(block)
        found = survey(tmp_path / "d")
        assert not found.findings, (block, found.findings)
        assert sum(map(len, (e.golds for e in found.examples)))


def test_titles_are_read(tmp_path: Path) -> None:
    document = squad(EXPECTED[:1])
    document["data"][0]["title"] = "Cats"
    (tmp_path / "nested").write_bytes(as_json(document))
    (tmp_path / "csv").write_bytes(table([[*HEADER, "title"], [*cells(EXPECTED[0]), "Cats"]]))
    (tmp_path / "haystack").write_bytes(as_json(extracted(EXPECTED[:1])))
    assert [read_examples(tmp_path / name)[0].title for name in ("nested", "csv", "haystack")] == ["Cats", "Cats", "n"]


SQUAD_TYPE = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
LIST_TYPE = pa.list_(pa.struct([("text", pa.string()), ("answer_start", pa.int32())]))


def arrow_table(kind: pa.DataType = SQUAD_TYPE) -> pa.Table:
    rows = [flat(e) for e in EXPECTED]
    for row in rows:
        if kind == LIST_TYPE:
            texts, starts = row["answers"].values()
            row["answers"] = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
    fields = [(name, pa.string()) for name in ("id", "question", "context", "verdict")]
    return pa.Table.from_pylist(rows, schema=pa.schema([*fields, ("answers", kind), ("other", pa.binary())]))


def save_to_disk(folder: Path, content: pa.Table = None, shards: int = 2) -> Path:
    """As Dataset.save_to_disk of Hugging Face's datasets writes it."""
    content = arrow_table() if content is None else content
    folder.mkdir(parents=True)
    size = -(-len(content) // shards)
    names = [f"data-{i:05d}-of-{shards:05d}.arrow" for i in range(shards)]
    for i, name in enumerate(names):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, content.schema) as writer:
            writer.write_table(content.slice(i * size, size))
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "f", "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def arrow_file(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, arrow_table().schema) as writer:
        writer.write_table(arrow_table())


TABLES: dict[str, Callable[[Path], Any]] = {
    "parquet": lambda path: pq.write_table(arrow_table(), path),
    "parquet of many groups": lambda path: pq.write_table(arrow_table(LIST_TYPE), path, row_group_size=1),
    "parquet of categories": lambda path: pq.write_table(
        arrow_table().set_column(2, "context", arrow_table()["context"].dictionary_encode()), path
    ),
    "saved to disk": save_to_disk,
    "saved to disk, lists": lambda path: save_to_disk(path, arrow_table(LIST_TYPE)),
    "one of its files": lambda path: save_to_disk(path / "x", shards=1) / "data-00000-of-00001.arrow",
    "arrow": arrow_file,
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_say_the_same(tmp_path: Path, name: str) -> None:
    made = TABLES[name](tmp_path / "data")
    read = read_examples(made if name == "one of its files" else tmp_path / "data")
    assert [(e.id, *without_id(e)) for e in read] == [(e.id, *without_id(e)) for e in EXPECTED]


def test_flat_columns_of_a_table(tmp_path: Path) -> None:
    """As pandas writes them: a missing number makes fractions of a column."""
    columns = {"question": QUESTIONS[1:3], "passage": [PASSAGE] * 2, "answer": ["🎉 dog", None]}
    pq.write_table(pa.table({**columns, "answer_start": [33.0, float("nan")]}), tmp_path / "d")
    assert [without_id(e) for e in read_examples(tmp_path / "d")] == [without_id(e) for e in SHORTER]


def test_what_is_no_answer_data_is_reported_row_by_row(tmp_path: Path) -> None:
    tasks = label_studio(EXPECTED)
    tasks[0]["annotations"][0]["was_cancelled"] = True
    tasks[1]["annotations"] = []
    tasks[2]["annotations"].append({"id": 4, "result": tasks[2]["predictions"][0]["result"]})
    tasks[3]["annotations"][0]["result"].append({"type": "choices", "value": {"choices": ["no"]}})
    html = {"type": "hypertextlabels", "value": {"start": "/p[1]/text()[1]", "startOffset": 1}}
    tasks.append({"id": 9, "data": tasks[0]["data"], "annotations": [{"id": 1, "result": [html]}]})
    (tmp_path / "studio").write_bytes(as_json(tasks))
    found = survey(tmp_path / "studio")
    assert [f.faults[0].cause.split(".")[0] for f in found.findings] == [
        "the annotator skipped this task (was_cancelled), so it says nothing",
        "the task has not been annotated",
        "both yes and no are chosen; keep one of them",
        "a region has no character offsets (HTML has paths instead)",
    ]
    assert [(e.id, [g.text for g in e.golds]) for e in found.examples] == [("c-3", []), ("c-4", ["Größe"])]
    wrong, document_only, no_document, silent, *rest = labels([EXPECTED[0], EXPECTED[0], EXPECTED[1]])
    wrong["is_correct_answer"] = False
    document_only["answer"] = None
    no_document["document"] = None
    silent["answer"]["answer"] = ""
    silent["query"] = rest[0]["query"]
    (tmp_path / "haystack").write_bytes(as_json([wrong, document_only, no_document, silent, *rest]))
    causes = [f.faults[0].cause for f in survey(tmp_path / "haystack").findings]
    for cause, says in zip(
        causes, ("marked as a wrong answer", "marks a document only", "no document", "row 4 says"), strict=True
    ):
        assert says in cause


def test_label_studio_escapes_line_ends_and_may_leave_the_text_out(tmp_path: Path) -> None:
    task = label_studio(EXPECTED[1:2])[0]
    start = PASSAGE.index("mat")
    task["annotations"][0]["result"] = [
        {"type": "labels", "value": {"start": start, "end": start + 6, "text": "mat;\\na", "labels": ["A"]}},
        {"type": "labels", "value": {"start": 17, "end": 22, "labels": ["A"]}},
    ]
    (tmp_path / "d").write_bytes(as_json([task]))
    assert [g.text for g in read_examples(tmp_path / "d")[0].golds] == ["mat;\na", PASSAGE[17:22]]


CSV_FAULTS = [
    (b"question,context,answer\nq,a cat,cat,more\n", "line 2: expected 3 cells as in the header, found 4"),
    (b"question,context,answer\nq,a cat\n", "line 2: expected 3 cells as in the header, found 2"),
    (b'question,context,answer\n"q" x,a cat,cat\nq,a cat,cat\n', "line 2: not valid CSV"),
    (
        b'question,context,answer\nq,a cat,cat\nq,"a cat,cat\nq,a cat,cat\n',
        r"line 3: .*\(lines 3 to 4 were read as one",
    ),
    (b"question,context,answer\nq," + b"x" * 21_000_000 + b",x\n", "line 2: not valid CSV: field larger"),
    (b"question,context,answer\nq,a cat,\"{'text': array(['cat'])}\"\n", "line 2: the answers are a Python object"),
    (b"question,context,verdict\nq,a cat,maybe\n", "line 2: verdict: expected 'yes' or 'no', found 'maybe'"),
    (b"question,context,answer,start\nq,a cat,cat,two\n", "line 2: .*a whole number as its start"),
    (b"question,context,answer\r\n", "there is no question in it"),
    (b"question,text,answer\nq,a cat,cat\n", "a column context or passage, found the columns question, text, answer"),
    (b"passage,answer\na cat,cat\n", "a column question, found"),
    (b"question,context\nq,a cat\n", "a column answers or answer or answer_text or verdict, found"),
    (b"question,context,answer,answer\nq,a cat,cat,cat\n", "the column answer stands twice"),
    (b"PK\x03\x04\xff\xff", "a ZIP archive or an Excel file"),
    (b'"question"x,context\n', "found neither"),
]


@pytest.mark.parametrize(("content", "says"), CSV_FAULTS)
def test_broken_tables_of_text(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_examples(tmp_path / "d.csv")


def test_a_broken_line_takes_no_other_with_it(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b'question,context,answer\n1,"a"b,a\n2,a cat,cat\n3,a cat\n4,a cat,cat\n')
    found = survey(tmp_path / "d")
    assert ([f.place for f in found.findings], [e.question for e in found.examples]) == (
        ["line 2", "line 4"],
        ["2", "4"],
    )


def test_large_cells_are_read(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(table([["question", "context", "answer"], ["q", "long " * 200_000 + "end", "end"]]))
    assert read_examples(tmp_path / "d")[0].golds == (Gold("end", 1_000_000),)


def test_broken_binary_tables(tmp_path: Path) -> None:
    def refused(path: Path, says: str) -> None:
        with pytest.raises(DataError, match=says) as caught:
            read_examples(path)
        assert "\n" not in str(caught.value)

    pq.write_table(arrow_table(), tmp_path / "good")
    content = (tmp_path / "good").read_bytes()
    for name, broken in (("short", content[: len(content) // 2]), ("magic", b"PAR1"), ("arrow", b"ARROW1\0\0xyz"),
                         ("stream", b"\xff\xff\xff\xff\x10\0\0\0xyz"), ("twice", b"PAR1" + content[9:])):  # fmt: skip
        (tmp_path / name).write_bytes(broken)
        refused(tmp_path / name, "file cannot be read")
    pq.write_table(pa.table({"question": ["q"], "text": ["t"]}), tmp_path / "names")
    refused(tmp_path / "names", "expected columns question and context or passage, found question, text")
    pq.write_table(pa.table({"question": ["q"], "context": [b"t"], "answer": ["t"]}), tmp_path / "types")
    refused(tmp_path / "types", "column context: expected text.*found binary")
    pq.write_table(arrow_table().slice(0, 0), tmp_path / "empty")
    refused(tmp_path / "empty", "there is no question in it")
    bad = pa.StringArray.from_buffers(1, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff"))
    save_to_disk(tmp_path / "utf8", pa.table({"question": bad, "context": ["c"], "answer": ["c"]}), 1)
    refused(tmp_path / "utf8", "file cannot be read.*UTF8")


def test_extension_types_are_refused(tmp_path: Path) -> None:
    answers = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["[]"]))
    content = pa.table({"question": ["q"], "context": ["c"], "answers": answers})
    save_to_disk(tmp_path / "d", content, 1)
    with pytest.raises(DataError, match=r"column answers: expected text.*found extension"):
        read_examples(tmp_path / "d")


def test_folders(tmp_path: Path) -> None:
    def refused(name: str, says: str) -> None:
        with pytest.raises(DataError, match=says):
            read_examples(tmp_path / name)

    for split in ("train", "validation"):
        save_to_disk(tmp_path / "all" / split)
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    refused("all", "several splits.*Give one of: .*all/train, .*all/validation")
    assert len(read_examples(tmp_path / "all" / "train")) == len(EXPECTED)
    state = save_to_disk(tmp_path / "saved") / "state.json"
    for content, says in (
        ('{"_data_files": [{"filename": "../all/train/data-00000-of-00002.arrow"}]}', "outside of the folder"),
        ('{"_data_files": [{"filename": "data-00000-of-00009.arrow"}]}', "the data file data-00000-of-00009.arrow is"),
        ('{"_data_files": []}', "found a folder without state.json"),
        ("{", "state.json: cannot be read"),
    ):
        state.write_text(content)
        refused("saved", says)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(arrow_table(), tmp_path / "d")
    save_to_disk(tmp_path / "saved")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in ("d", "saved"):
        with pytest.raises(MissingExtra, match=r"pip install 'trifold\[data\]'"):
            read_examples(tmp_path / name)


def test_a_large_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trifold.tasks.qa.data import tables

    same = pa.table({"question": ["q"] * 2000, "context": ["a cat " * 100] * 2000, "answer": [""] * 2000})
    pq.write_table(same, tmp_path / "d")
    monkeypatch.setattr(tables, "_LARGEST", 1_000_000)
    assert (tmp_path / "d").stat().st_size < 10_000, "it packs well"
    with pytest.raises(DataError, match="at most 1 MB of data, found more"):
        read_examples(tmp_path / "d")
