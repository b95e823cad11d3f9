"""Rows out of files of every form, and out of files with something wrong in the middle."""

from __future__ import annotations

import bz2
import csv
import datetime
import decimal
import gzip
import hashlib
import io
import json
import lzma
import os
import random
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trifold.errors import DataError, EngineError, MissingExtra
from trifold.tables.rows import Row, RowFault
from trifold.tables.source import open_source

ROWS = [{"id": f"r{i}", "question": f"Größe {i}?", "passage": f"🎉 It is\n{i}, “{i}”."} for i in range(40)]
FIRST = ROWS[0]


def json_line(row: Any) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def json_lines(rows: list[dict[str, Any]] = ROWS) -> bytes:
    return b"".join(map(json_line, rows))


def table(rows: list[dict[str, Any]] = ROWS, delimiter: str = ",", end: str = "\r\n") -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def parquet(rows: list[dict[str, Any]] = ROWS, **options: Any) -> bytes:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream, **options)
    return stream.getvalue()


def document(rows: list[dict[str, Any]] = ROWS, indent: int | None = None) -> bytes:
    return json.dumps({"version": "1", "data": rows, "more": [1]}, indent=indent).encode()


def zstandard(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("pyarrow").compress(data, codec="zstd", asbytes=True)
    return packed


FORMS: dict[str, Callable[[], bytes]] = {
    "jsonl": json_lines,
    "jsonl crlf": lambda: json_lines().replace(b"\n", b"\r\n"),
    "jsonl without a last end": lambda: json_lines().removesuffix(b"\n"),
    "jsonl bom": lambda: b"\xef\xbb\xbf" + json_lines(),
    "jsonl blank lines": lambda: b"\n \r\n" + json_lines().replace(b"\n", b"\n\n\t\n"),
    "csv": table,
    "csv bom": lambda: b"\xef\xbb\xbf" + table(),
    "csv lf": lambda: table(end="\n"),
    "csv blank lines": lambda: table().replace(b'."\r\n', b'."\r\n\r\n,,\r\n'),
    "semicolons": lambda: table(delimiter=";"),
    "tsv": lambda: table(delimiter="\t"),
    "bars": lambda: table(delimiter="|"),
    "excel": lambda: b"sep=;\r\n" + table(delimiter=";"),
    "parquet": parquet,
    "parquet groups": lambda: parquet(row_group_size=7),
    "document": document,
    "document, many lines": lambda: document(indent=1),
    "document, bom": lambda: b"\xef\xbb\xbf" + document(),
    "list": lambda: json.dumps(ROWS).encode(),
    "list, many lines": lambda: b"\n" + json.dumps(ROWS, indent=2).encode() + b"\n",
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstandard": zstandard,
}  # fmt: skip


def rows_of(tmp_path: Path, content: bytes, name: str = "input", **options: Any) -> list[Row]:
    (tmp_path / name).write_bytes(content)
    return list(open_source([str(tmp_path / name)], **options).rows())


def faults(rows: list[Row]) -> dict[int, str]:
    return {row.number: row.fault.reason for row in rows if row.fault}


def good(rows: list[Row]) -> list[Any]:
    return [row.fields for row in rows if row.fault is None]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_told_by_its_content(form: str, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, FORMS[form]())
    assert good(rows) == ROWS
    assert [row.number for row in rows] == list(range(1, 41))
    assert {row.file for row in rows} == {str(tmp_path / "input")}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("form", ["jsonl", "csv", "document"])
def test_packed_files(form: str, packer: str, tmp_path: Path) -> None:
    assert good(rows_of(tmp_path, PACKERS[packer](FORMS[form]()))) == ROWS


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_files_of_several_members(packer: str, tmp_path: Path) -> None:
    half = len(json_lines()) // 2  # in the middle of a row
    parts = [json_lines()[:half], json_lines()[half:]]
    assert good(rows_of(tmp_path, b"".join(map(PACKERS[packer], parts)))) == ROWS


def test_zero_bytes_after_a_gzip_file_do_no_harm(tmp_path: Path) -> None:
    assert rows_of(tmp_path, gzip.compress(json_lines()) + bytes(1000))[-1].fault is None


@pytest.mark.parametrize("form", FORMS)
def test_skipped_rows_leave_the_others_as_they_are(form: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(FORMS[form]())
    (tmp_path / "b").write_bytes(gzip.compress(b"{broken\n" + json_lines()))
    source = open_source([str(tmp_path / "a"), str(tmp_path / "b")])
    rows = list(source.rows())
    assert len(rows) == 81
    for skip in (1, 6, 7, 8, 39, 40, 41, 42, 80, 81, 99):
        assert list(source.rows(skip)) == rows[skip:]
    assert source.count() == 81


def test_where_rows_stand(tmp_path: Path) -> None:
    assert [row.line for row in rows_of(tmp_path, b"\n" + json_lines())][:3] == [2, 3, 4]
    assert [row.line for row in rows_of(tmp_path, table())][:3] == [2, 4, 6]
    assert [row.line for row in rows_of(tmp_path, parquet(row_group_size=3))][:5] == [1, 2, 3, 4, 5]
    assert [row.line for row in rows_of(tmp_path, document())][:2] == ["data[0]", "data[1]"]
    assert [row.line for row in rows_of(tmp_path, json.dumps(ROWS).encode())][:2] == ["[0]", "[1]"]


def random_rows(count: int) -> list[dict[str, Any]]:
    """Rows that no compression makes much smaller."""
    chance = random.Random(1)
    return [{"id": i, "passage": chance.randbytes(60).hex()} for i in range(count)]


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("form", [json_lines, table, document])
def test_a_packed_file_that_breaks_off(form: Callable[[Any], bytes], packer: str, tmp_path: Path) -> None:
    expected = random_rows(12_000 if packer == "bzip2" else 4_000)
    whole = PACKERS[packer](form(expected))
    (tmp_path / "a").write_bytes(whole[: len(whole) * 9 // 10])
    (tmp_path / "b").write_bytes(json_lines())
    rows = list(open_source([str(tmp_path / "a"), str(tmp_path / "b")]).rows())
    (broken,) = [row for row in rows if row.fault]
    before = rows[: broken.number - 1]
    assert len(before) > len(expected) // 3
    assert [dict(row.fields)["passage"] for row in before] == [row["passage"] for row in expected[: len(before)]]
    place: dict[Any, int | str] = {
        json_lines: broken.number,
        table: broken.number + 1,
        document: f"data[{len(before)}]",
    }
    assert (broken.line, broken.fields) == (place[form], {})
    assert broken.fault
    assert packer in broken.fault.reason
    assert good(rows[broken.number :]) == ROWS


def test_a_gzip_file_with_a_wrong_checksum(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(json_lines(random_rows(1000))))
    packed[-5] ^= 1
    rows = rows_of(tmp_path, bytes(packed))
    assert len(rows) > 900
    assert [row.number for row in rows if row.fault] == [len(rows)]


def test_a_packed_file_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"input: the gzip data is damaged .* from its beginning on"):
        rows_of(tmp_path, b"\x1f\x8b" + b"no gzip" * 100)


BROKEN_LINES: dict[str, tuple[bytes, str]] = {
    "cut": (b'{"id": "x", "question": "Wh', "not JSON: Unterminated string starting at character 25"),
    "no comma": (b'{"a": 1 "b"}', "Expecting ',' delimiter at character 9, found '\"b\"}'"),
    "no object": (b'["a"]', "expected a JSON object, found a list"),
    "text": (b'"a"', "expected a JSON object, found a text"),
    "null": (b"null", "found null"),
    "number": (b"1", "found a number"),
    "not UTF-8": (b'{"question": "caf\xe9"}', "expected text in UTF-8, found byte 0xE9 at position 18 of the line"),
    "half a character": (b'{"question": "\xed\xa0\x80"}', "byte 0xED at position 15"),
    "deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested more than 200 levels deep"),
    "rather deep": (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "nested more than 200 levels deep"),
    "digits": (b'{"a": ' + b"9" * 5000 + b"}", "a number of too many digits"),
    "zero bytes": (bytes(50), "not JSON"),
    "escape sequences": (b'{"a": \x1b[31m}', "found '␛[31m}'"),
}


@pytest.mark.parametrize("kind", BROKEN_LINES)
def test_a_broken_line_harms_no_other(kind: str, tmp_path: Path) -> None:
    line, reason = BROKEN_LINES[kind]
    for place in (0, 20, 40):
        lines = json_lines().splitlines(keepends=True)
        lines.insert(place, line + b"\n")
        rows = rows_of(tmp_path, b"".join(lines))
        assert reason in faults(rows)[place + 1]
        assert good(rows) == ROWS
        fault = rows[place].fault
        assert fault
        assert fault.remedy.endswith(".")
        assert len(fault.reason) < 200


def test_lines_that_are_too_long_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trifold.tables.jsonlines.numbered_lines.__defaults__", (1000,))
    long = json_line({"passage": "x" * 5_000_000})
    rows = rows_of(tmp_path, json_line(FIRST) + long + json_line(FIRST))
    assert good(rows) == [FIRST, FIRST]
    assert (list(faults(rows)), rows[2].line) == ([2], 3)
    assert "longer than" in faults(rows)[2]


def test_constants_that_json_lacks(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b'{"a": NaN, "b": -Infinity, "c": "\\ud800", "d": 12345678901234567890123}\n')
    assert good(rows) == [{"a": None, "b": "-Infinity", "c": "\ud800", "d": 12345678901234567890123}]


HEADER = b"id,question,passage\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"x,y", "expected 3 cells as in the header, found 2"),
        (b"x,y,z,z", "expected 3 cells as in the header, found 4"),
        (b'x,"y" y,z', "not CSV"),
        (b"x,caf\xe9,z", "found byte 0xE9 at position 6 of the line"),
        (b'x,"caf\xe9",z', "found byte 0xE9 at position 7 of the line"),
        (b'x,"a\ncaf\xe9",z', "found byte 0xE9 at position 4 of line 3"),
        (b'x,"never closed,z', "the quoted cell that begins here is not closed"),
        (b'"', "the quoted cell that begins here is not closed"),
    ],
)
def test_a_broken_record_harms_no_other(line: bytes, reason: str, tmp_path: Path) -> None:
    plain = [{"id": str(i), "question": f"why {i}", "passage": 'a 5" pipe' if i % 2 else "é\0"} for i in range(30_000)]
    lines = [",".join(row.values()).encode() + b"\n" for row in plain]
    rows = rows_of(tmp_path, HEADER + line + b"\n" + b"".join(lines))
    assert reason in faults(rows)[1]
    assert (rows[0].line, len(faults(rows))) == (2, 1)
    assert good(rows) == plain
    rows = rows_of(tmp_path, HEADER + b"".join(lines[:3]) + line)
    assert good(rows) == plain[:3]
    assert (rows[3].line, len(faults(rows))) == (5, 1)


def test_an_open_quote_before_quoted_rows(tmp_path: Path) -> None:
    first, *others = table().splitlines(keepends=True)
    rows = rows_of(tmp_path, first + b'x,"open,z\r\n' + b"".join(others))
    assert good(rows) == ROWS
    assert list(faults(rows)) == [1]


def test_an_open_quote_is_given_up_before_it_has_taken_much(tmp_path: Path) -> None:
    for line, count in [(b"a,b,c\n", 15_000), (b"a,b," + b"c" * 1_000_000 + b"\n", 20)]:
        rows = rows_of(tmp_path, HEADER + b'x,"open,z\n' + line * count + b'end",z\n')
        assert len(rows) == count + 2
        assert list(faults(rows)) == [1, count + 2]


def test_cells_that_are_odd_but_right(tmp_path: Path) -> None:
    odd = [
        {"id": "", "question": ' "quoted", twice\r\n""', "passage": "x" * 200_000},
        {"id": "a\0b", "question": "tab\t|;", "passage": ""},
    ]
    for delimiter in ",;\t|":
        assert good(rows_of(tmp_path, table(odd, delimiter))) == odd
    assert good(rows_of(tmp_path, HEADER)) == []
    assert good(rows_of(tmp_path, b'"question; long",passage\na,b')) == [{"question; long": "a", "passage": "b"}]
    assert good(rows_of(tmp_path, b" question , passage,\na,b,c")) == [
        {"question": "a", "passage": "b", "column 3": "c"}
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,question,id\n1,2,3\n", "the column id stands twice"),
        (b"id,caf\xe9\n1,2\n", "line 1: the header cannot be read: expected text in UTF-8, found byte 0xE9"),
        (b'id,"question\n1,2\n', "the header cannot be read: the quoted cell"),
        (b"id,question\r1,2\r", "found CR alone"),
    ],
)
def test_headers_that_cannot_be_used(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        rows_of(tmp_path, content)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.text(st.sampled_from('a", \n\r;é\0'), max_size=6), min_size=2, max_size=2), max_size=12),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_what_csv_writes_is_read(cells: list[list[str]], delimiter: str) -> None:
    expected = [{"one": a, "two": b} for a, b in cells if a.strip() or b.strip()]
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["one", "two"], *cells])
    assert good(through_stdin(stream.getvalue().encode())) == expected


def through_stdin(content: bytes, **options: Any) -> list[Row]:
    kept, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(content))
    try:
        return list(open_source(["-"], **options).rows())
    finally:
        sys.stdin = kept


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=8), st.sampled_from(["jsonl", "csv"]))
def test_bytes_of_any_kind_raise_nothing_else(lines: list[bytes], form: str) -> None:
    parts = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
    head, row, expected = (
        (b"id,text\n", b"x,last row\n", {"id": "x", "text": "last row"})
        if form == "csv"
        else (json_line(FIRST), json_line(FIRST), FIRST)
    )
    rows = through_stdin(head + b"\n".join([*parts, row]), form=form)
    if form == "jsonl" or b'"' not in b"".join(parts):
        assert rows[-1].fields == expected
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))


def by_paragraphs(value: Any) -> Iterator[tuple[str, Mapping[str, Any] | RowFault]] | None:
    if not isinstance(value, dict) or "paragraphs" not in value:
        return None
    return (
        (f"paragraphs[{p}].qas[{q}]", {**qa, "passage": paragraph["context"]} if qa else RowFault("empty", "Fill it."))
        for p, paragraph in enumerate(value["paragraphs"])
        for q, qa in enumerate(paragraph["qas"])
    )


ARTICLE = {
    "title": "T",
    "paragraphs": [
        {"context": "One", "qas": [{"question": "a?"}, {"question": "b?"}]},
        {"context": "Two", "qas": [{}, {"question": "d?"}]},
    ],
}


def test_articles_are_unnested(tmp_path: Path) -> None:
    content = json.dumps({"data": [ARTICLE, {"question": "e?"}, 5, ARTICLE]}).encode()
    rows = rows_of(tmp_path, content, unnest=by_paragraphs)
    assert [row.line for row in rows[2:8]] == [
        "data[0].paragraphs[1].qas[0]",
        "data[0].paragraphs[1].qas[1]",
        "data[1]",
        "data[2]",
        "data[3].paragraphs[0].qas[0]",
        "data[3].paragraphs[0].qas[1]",
    ]
    assert rows[3].fields == {"question": "d?", "passage": "Two"}
    assert rows[4].fields == {"question": "e?"}
    assert faults(rows) == {3: "empty", 6: "expected a JSON object, found a number", 9: "empty"}
    source = open_source([str(tmp_path / "input")], unnest=by_paragraphs)
    assert source.count() == 10
    assert list(source.rows(5)) == rows[5:]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_document_that_breaks_off(indent: int | None, tmp_path: Path) -> None:
    content = document(indent=indent)
    cut = content.index(b"r20") - 5
    rows = rows_of(tmp_path, content[:cut])
    assert good(rows) == ROWS[:20]
    assert (rows[20].line, len(rows)) == ("data[20]", 21)
    rows = rows_of(tmp_path, content[: content.index(b"more") - 1])
    assert good(rows) == ROWS
    assert rows[40].line == "the end"


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b"{oops}", "Expecting property name enclosed in double quotes in line 1, found 'oops}, {"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested more than 200 levels deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of too many digits"),
    ],
)
def test_a_document_that_is_broken_in_the_middle(element: bytes, reason: str, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b"[" + json_line(FIRST).strip() + b", " + element + b', {"b": 2}]')
    assert good(rows) == [FIRST]
    assert reason in faults(rows)[2]
    assert (rows[1].line, len(rows)) == ("[1]", 2)


def test_bytes_of_a_document_that_are_not_utf_8_harm_their_row_only(tmp_path: Path) -> None:
    content = json.dumps({"data": [ARTICLE, {"question": "e?"}]}).encode().replace(b"b?", b"b\xe9?")
    rows = rows_of(tmp_path, content, unnest=by_paragraphs)
    assert faults(rows) == {2: "expected text in UTF-8, found byte 0xE9 after 'b'", 3: "empty"}
    assert rows_of(tmp_path, b'[{"a": "\\udce9"}]')[0].fields == {"a": "\udce9"}


def test_elements_of_a_document_may_be_of_any_size(tmp_path: Path) -> None:
    big = [{"a": "é" * size, "b": 1.5, "c": -7} for size in (262_120, 1, 262_144, 1_000_000, 5, 262_100)]
    for ascii_only in (True, False):
        content = json.dumps(big, ensure_ascii=ascii_only).encode()
        assert good(rows_of(tmp_path, content)) == big
    for size in range(262_100, 262_150):  # numbers and escapes across the end of the window
        numbers = b"[" + b" " * size + b'{"a": "\\u00e9", "n": 123456}, {"b": true}]'
        assert good(rows_of(tmp_path, numbers)) == [{"a": "é", "n": 123456}, {"b": True}]
        assert good(rows_of(tmp_path, b"[" + b" " * size + b'123456, {"b": true}]')) == [{"b": True}]


def test_the_line_where_a_long_document_is_broken(tmp_path: Path) -> None:
    content = json.dumps(random_rows(10_000), indent=0).removesuffix("}\n]") + "oops"
    assert f"in line {content.count(chr(10)) + 1}, found 'oops'" in faults(rows_of(tmp_path, content.encode()))[10_000]


@pytest.mark.parametrize(
    "content",
    [
        b'{\n "a": 1\n}',
        b'{\n "data": {"item": {"a": 1}}\n}',
        b'{\n "a": 1\n}\n{\n "a": 2\n}',
    ],
)
def test_one_object_over_several_lines_is_no_document(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(content)
    with pytest.raises(DataError, match="expected one JSON object a line, a list of objects"):
        open_source([str(tmp_path / "input")])


def test_forms_that_look_alike(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": i, "data": [i]} for i in range(3)]
    assert good(rows_of(tmp_path, json_lines(rows))) == rows
    assert good(rows_of(tmp_path, json_line({"data": [{"a": 1}]}))) == [{"a": 1}]
    assert good(rows_of(tmp_path, json_line({"data": [1]}), form="jsonl")) == [{"data": [1]}]
    long = {"passage": "x" * 100_000, "question": "?"}
    assert good(rows_of(tmp_path, json_lines([long, long]))) == [long, long]
    assert good(rows_of(tmp_path, document([long, long]))) == [long, long]
    assert good(rows_of(tmp_path, b"junk\n" + json_lines())) == ROWS
    assert rows_of(tmp_path, b'{"a": "cut')[0].fault


def test_parquet_values_become_what_json_has(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    moment = datetime.datetime(2024, 2, 29, 12, 30, 1, 250_000)
    zone = datetime.timezone(datetime.timedelta(hours=2))
    columns = {
        "text": pa.array(["é", None]).dictionary_encode(),
        "bytes": pa.array(["é".encode(), b""]),
        "large": pa.array(["é", None], pa.large_string()),
        "number": pa.array([1.5, float("nan")]),
        "endless": pa.array([float("inf"), float("-inf")]),
        "date": pa.array([moment.date(), None]),
        "time": pa.array([moment.time(), None]),
        "moment": pa.array([moment, datetime.datetime(1, 1, 1)]),
        "exact": pa.array([1_000_000_001, -1], pa.timestamp("ns")),
        "zoned": pa.array([moment.replace(tzinfo=zone), None], pa.timestamp("ms", "Europe/Berlin")),
        "long": pa.array([datetime.timedelta(1, 2), None]),
        "price": pa.array([decimal.Decimal("1.50"), None]),
        "nested": pa.array([{"a": [b"x", None]}, None]),
        "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int8())),
        "yes": pa.array([True, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    first, second = good(list(open_source([str(tmp_path / "x.parquet")]).rows()))
    assert json.loads(json.dumps(first)) == first == {
        "text": "é", "bytes": "é", "large": "é", "number": 1.5, "endless": "Infinity", "date": "2024-02-29",
        "time": "12:30:01.250000", "moment": "2024-02-29T12:30:01.25", "exact": "1970-01-01T00:00:01.000000001",
        "zoned": "2024-02-29T10:30:01.25+00:00", "long": "1 day, 0:00:02", "price": "1.50",
        "nested": {"a": ["x", None]}, "map": [["k", 1]], "yes": True,
    }  # fmt: skip
    assert (second["number"], second["endless"], second["exact"]) == (
        None,
        "-Infinity",
        "1969-12-31T23:59:59.999999999",
    )
    assert second["moment"] == "0001-01-01T00:00:00"


def test_parquet_cells_that_are_not_utf_8_harm_their_row_only(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    cells = [b"caf\xe9" if i == 70 else b"good" for i in range(200)]
    for kind in (pa.binary(), pa.string()):
        column = pa.array(cells, pa.binary()).view(kind)
        pq.write_table(pa.table({"id": list(range(200)), "text": column}), tmp_path / "x.parquet")
        source = open_source([str(tmp_path / "x.parquet")])
        rows = list(source.rows())
        assert faults(rows) == {}
        broken = [(row.number, cell.reason) for row in rows if isinstance(cell := row.fields["text"], RowFault)]
        assert broken == [(71, "column text: expected text in UTF-8, found byte 0xE9")]
        assert rows[70].fields["id"] == 70
        assert good(rows[:70] + rows[71:]) == [{"id": i, "text": "good"} for i in range(200) if i != 70]
        assert list(source.rows(65)) == rows[65:]


@pytest.mark.parametrize("has_dictionary", [True, False])
def test_a_damaged_row_group_harms_no_other(has_dictionary: bool, tmp_path: Path) -> None:
    pages: dict[str, Any] = {"data_page_size": 1000, "write_batch_size": 10, "write_page_checksum": True}
    pages |= {"row_group_size": 300, "use_dictionary": has_dictionary, "compression": "none"}
    content = bytearray(parquet(random_rows(900), **pages))
    pq = pytest.importorskip("pyarrow.parquet")
    chunk = pq.ParquetFile(io.BytesIO(bytes(content))).metadata.row_group(1).column(1)
    at = (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size // 2
    content[at : at + 4] = bytes(4)
    (tmp_path / "x").write_bytes(content)
    source = open_source([str(tmp_path / "x")])
    rows = list(source.rows())
    assert [row.number for row in rows] == list(range(1, 901))
    broken = faults(rows)
    assert set(broken) <= set(range(301, 601))
    assert 600 in broken
    assert (301 in broken) is has_dictionary  # which is before all of its rows
    assert all("row group 2 of the file is damaged" in reason for reason in broken.values())
    assert good(rows) == [row for i, row in enumerate(random_rows(900), 1) if i not in broken]
    for skip in (299, 301, 350, 599, 601):
        assert list(source.rows(skip)) == rows[skip:]


@pytest.mark.parametrize("content", [lambda: parquet()[:-20], lambda: parquet()[:30], lambda: b"PAR1PAR1"])
def test_a_parquet_file_without_its_footer(content: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content())
    with pytest.raises(DataError, match="x: the Parquet file cannot be read"):
        open_source([str(tmp_path / "x")])


def test_parquet_inside_of_gzip_or_from_a_stream_is_declined(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Parquet cannot be read inside of gzip"):
        rows_of(tmp_path, gzip.compress(parquet()))
    with pytest.raises(DataError, match="standard input: Parquet cannot be read from a stream"):
        through_stdin(parquet())


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"Parquet": parquet(), "zstandard": zstandard(json_lines())}
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name, data in content.items():
        with pytest.raises(MissingExtra, match=rf"{name} files .*trifold\[data\]"):
            rows_of(tmp_path, data)
    assert good(rows_of(tmp_path, json_lines())) == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"%PDF-1.7\n", "found a PDF"),
        ("id,text\n".encode("utf-16"), "found UTF-16"),
        ('{"id": 1}\n'.encode("utf-16-le"), "found UTF-16"),
        (b"PK\x03\x04rest", "found a ZIP archive or an Excel file"),
        (gzip.compress(b"PK\x03\x04rest"), "found a ZIP archive or an Excel file"),
        (b"name".ljust(257, b"\0") + b"ustar\x0000", "found a tar archive"),
    ],
)
def test_files_that_are_something_else(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_source([str(tmp_path / "input")])


def test_inputs_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for inputs, message in [
        ([str(tmp_path / "none")], "none: there is no such file"),
        (["\0"], "cannot be read"),
        ([str(tmp_path)], "expected files that end in .jsonl"),
        (["-", "x"], "found both"),
    ]:
        with pytest.raises(DataError, match=message):
            open_source(inputs)
    (tmp_path / "x").write_bytes(json_lines())
    with pytest.raises(DataError, match="expected a Parquet file"):
        open_source([str(tmp_path / "x")], form="parquet")
    with pytest.raises(DataError, match="expected one of jsonl, csv, parquet, json"):
        open_source([str(tmp_path / "x")], form="xlsx")


def test_a_folder_is_all_its_files_by_name(tmp_path: Path) -> None:
    content = {
        "b.csv.gz": gzip.compress(table()),
        "a.jsonl": json_lines(),
        "c.PARQUET": parquet(),
        "d.json": document(),
        "e.jsonl": b"",
    }
    for name, data in {**content, ".hidden.jsonl": b"{", "_SUCCESS": b"", "notes.txt": b"hello"}.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "sub.jsonl").mkdir()
    source = open_source([str(tmp_path)])
    assert [path.name for path in source.files] == sorted(content)
    rows = list(source.rows())
    assert good(rows) == ROWS * 4
    assert [row.number for row in rows] == list(range(1, 161))
    assert source.resumable
    names = ("id", "question", "passage")
    assert source.columns() == [(str(tmp_path / "b.csv.gz"), names), (str(tmp_path / "c.PARQUET"), names)]
    assert source.digests()[0] == {
        "file": str(tmp_path / "a.jsonl"),
        "bytes": len(json_lines()),
        "sha256": hashlib.sha256(json_lines()).hexdigest(),
    }


def test_standard_input() -> None:
    for form in ("jsonl", "csv", "document"):
        rows = through_stdin(gzip.compress(FORMS[form]()))
        assert good(rows) == ROWS
        assert {row.file for row in rows} == {None}
    source = open_source(["-"])
    assert (source.files, source.resumable, source.count(), source.digests(), source.columns()) == (
        (),
        False,
        None,
        [],
        [],
    )
    with pytest.raises(DataError, match="standard input: it is empty"):
        through_stdin(b"")
    with pytest.raises(DataError, match="standard input: expected one JSON object a line"):
        through_stdin(b'{\n"a": 1}')


def test_a_pipe_is_read_once_and_row_by_row(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = open_source([str(pipe)])
    assert (source.files, source.resumable, source.count(), source.digests()) == ((pipe,), False, None, [])
    given, taken = threading.Event(), []

    def feed() -> None:
        with pipe.open("wb", buffering=0) as stream:
            for row in ROWS[:3]:
                stream.write(json_line(row))
                assert given.wait(10)  # the next row is written only when this one has been read
                given.clear()

    writer = threading.Thread(target=feed)
    writer.start()
    for row in source.rows():
        taken.append(row.fields)
        given.set()
    writer.join()
    assert taken == ROWS[:3]


def test_a_disk_that_fails_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read1(5_000)

    content = json_lines(random_rows(100))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Failing(content)))
    with pytest.raises(EngineError, match="standard input: reading it failed on the way"):
        list(open_source(["-"]).rows())


@pytest.mark.parametrize("form", [json_lines, table, parquet, document])
def test_little_is_held_at_a_time(form: Callable[[Any], bytes], tmp_path: Path) -> None:
    content = form([{"id": i, "passage": "x" * 10_000} for i in range(3_000)])  # 30 MB
    (tmp_path / "x").write_bytes(content)
    source = open_source([str(tmp_path / "x")])
    tracemalloc.start()
    try:
        assert sum(1 for _ in source.rows()) == 3_000
        assert tracemalloc.get_traced_memory()[1] < 6_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("is_repeated", [True, False])
def test_little_of_a_parquet_file_is_held_at_a_time(is_repeated: bool, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    chance = random.Random(1)
    passages = ["x" * 900_000] * 40 if is_repeated else [chance.randbytes(450_000).hex() for _ in range(40)]
    (tmp_path / "x").write_bytes(parquet([{"passage": passage} for passage in passages], write_batch_size=1))
    del passages
    source = open_source([str(tmp_path / "x")])
    tracemalloc.start()
    most = 0
    try:
        before = pa.total_allocated_bytes()
        for _ in source.rows():
            most = max(most, pa.total_allocated_bytes() - before)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
    assert is_repeated or most < 12_000_000
