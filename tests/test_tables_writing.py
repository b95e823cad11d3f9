"""Rows go out as they are, the same bytes each time, and a file appears whole or not at all."""

from __future__ import annotations

import bz2
import csv
import gc
import gzip
import io
import json
import lzma
import math
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifold.errors import DataError, EngineError, MissingExtra
from trifold.tables.forms import Form, form_of
from trifold.tables.publishing import check_target, publishing
from trifold.tables.writing import Column, check_form, stream_rows, write_rows

Rows = Sequence[Mapping[str, Any]]

TRICKY: Rows = [
    {"id": "1", "text": 'He said "no";\tthen, left', "n": 1},
    {"id": "2", "text": "two\nlines\r\nand a lone\rreturn", "n": None},
    {"id": "3", "text": "", "n": 3},
    {"id": "4", "text": " naïve 東京 😀 \x00 ", "n": -4},
]
COLUMNS = [Column("id", "text"), Column("text", "text"), Column("n", "integer")]


def written(form: Form | str, rows: Rows, columns: Sequence[Column] = COLUMNS, headline: str | None = None) -> bytes:
    stream = io.BytesIO()
    form = form_of(form) if isinstance(form, str) else form
    assert write_rows(stream, form, lambda: iter(rows), columns, headline=headline) == len(rows)
    assert not stream.closed
    return stream.getvalue()


def table(rows: Rows, columns: Sequence[Column]) -> Any:
    return pytest.importorskip("pyarrow.parquet").read_table(io.BytesIO(written("o.parquet", rows, columns)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("out.jsonl", Form("jsonl")),
        ("a.b/out.NDJSON", Form("jsonl")),
        ("out.csv", Form("csv")),
        ("out.tsv", Form("csv", None, "\t")),
        ("out.parquet", Form("parquet")),
        ("out.jsonl.gz", Form("jsonl", "gzip")),
        ("out.ndjson.bz2", Form("jsonl", "bz2")),
        ("out.csv.xz", Form("csv", "xz")),
        ("out.tsv.zst", Form("csv", "zstd", "\t")),
        ("-", Form("jsonl")),
    ],
)
def test_a_name_tells_the_form(name: str, expected: Form) -> None:
    assert form_of(name) == expected


def test_a_given_kind_goes_before_the_name() -> None:
    assert form_of("out.json", "predictions") == Form("predictions")
    assert form_of("out.txt.gz", "jsonl") == Form("jsonl", "gzip")
    assert form_of("out.csv", "jsonl") == Form("jsonl")
    assert form_of("out.tsv", "csv") == Form("csv", None, "\t")
    assert form_of("-", "csv") == Form("csv")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("out.xlsx", None, r"\.jsonl, .*\.parquet .*'\.xlsx'.*--format"),
        ("out", None, "no such ending"),
        ("out.gz", None, "no such ending"),
        ("out.json", None, "--format predictions"),
        ("out.json.gz", None, "--format predictions"),
        ("out.parquet.gz", None, r"Leave \.gz off"),
        ("out.jsonl", "excel", "expected one of jsonl"),
    ],
)
def test_a_name_that_tells_no_form_is_refused(name: str, kind: str | None, words: str) -> None:
    with pytest.raises(DataError, match=words):
        form_of(name, kind)


def test_json_lines_are_the_rows_character_by_character() -> None:
    rows = [*TRICKY, {"other": [1, {"ü": None}], "half": "\ud83d"}]
    lines = written("o.jsonl", rows).decode().removesuffix("\n").split("\n")
    assert [json.loads(line) for line in lines] == rows
    assert "東京 😀" in lines[3]


def test_numbers_that_json_lacks_are_null_and_words_that_look_so_stay() -> None:
    row = {"a": math.nan, "b": [math.inf, 1.5, {"c": -math.inf}], "d": "NaN and Infinity"}
    expected = {"a": None, "b": [None, 1.5, {"c": None}], "d": "NaN and Infinity"}
    assert json.loads(written("o.jsonl", [row]), parse_constant=pytest.fail) == expected
    assert written("o.csv", [row], [Column("a"), Column("b"), Column("d")]) == (
        b'a,b,d\n,"[null, 1.5, {""c"": null}]",NaN and Infinity\n'
    )


@pytest.mark.parametrize("name", ["o.csv", "o.tsv"])
def test_a_csv_reads_back_as_it_was(name: str) -> None:
    text = written(name, TRICKY).decode()
    found = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=form_of(name).delimiter))
    assert found == [{**row, "n": "" if row["n"] is None else str(row["n"])} for row in TRICKY]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))


@given(st.lists(st.tuples(cells, cells), max_size=4))
def test_any_text_survives_a_csv(pairs: list[tuple[str, str]]) -> None:
    rows = [{"a": a, "b": b} for a, b in pairs]
    text = written("o.csv", rows, [Column("a"), Column("b")]).decode()
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == rows


def test_csv_cells_have_json_for_what_is_no_text() -> None:
    columns = [Column("any"), Column("list", "json"), Column("missing")]
    rows: Rows = [{"any": True, "list": ["a", "ü"]}, {"any": 0.5, "list": "x"}, {"any": {"a": 1}, "list": None}]
    assert written("o.csv", rows, columns).decode().splitlines() == [
        "any,list,missing",
        'true,"[""a"", ""ü""]",',
        '0.5,"""x""",',
        '"{""a"": 1}",,',
    ]


def test_an_empty_cell_in_an_only_column_is_still_a_row() -> None:
    text = written("o.csv", [{"a": None}, {"a": "x"}], [Column("a")]).decode()
    assert [row["a"] for row in csv.DictReader(io.StringIO(text))] == ["", "x"]


def test_halves_of_surrogate_pairs_are_written_out() -> None:
    columns = [Column("a"), Column("b\udc00")]
    rows = [{"a": "x\ud83dy", "b\udc00": 1}]
    assert written("o.csv", rows, columns) == b"a,b\\udc00\nx\\ud83dy,1\n"
    assert table(rows, columns).to_pylist() == [{"a": "x\\ud83dy", "b\\udc00": 1}]


@pytest.mark.parametrize(
    ("ending", "unpack"), [("gz", gzip.decompress), ("bz2", bz2.decompress), ("xz", lzma.decompress)]
)
def test_compressed_files_hold_the_plain_bytes(ending: str, unpack: Callable[[bytes], bytes]) -> None:
    rows = [{"id": str(n), "text": "é" * (n % 50)} for n in range(5000)]
    assert unpack(written(f"o.jsonl.{ending}", rows)) == written("o.jsonl", rows)


def test_zstandard_is_one_frame() -> None:
    pa = pytest.importorskip("pyarrow")
    rows = [{"id": str(n), "text": "é" * (n % 50)} for n in range(5000)]
    packed, plain = written("o.jsonl.zst", rows), written("o.jsonl", rows)
    assert pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read() == plain
    assert len(packed) < len(plain) / 4
    assert packed.count(b"\x28\xb5\x2f\xfd") == 1


@pytest.mark.parametrize("name", ["jsonl.gz", "jsonl.bz2", "csv.xz", "jsonl.zst", "parquet"])
def test_equal_rows_give_equal_bytes_whenever_and_wherever(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.endswith(("zst", "parquet")):
        pytest.importorskip("pyarrow")
    found = []
    for day, place in enumerate(("a", "b")):
        monkeypatch.setattr("time.time", lambda day=day: 86_400.0 * (day + 1))
        path = tmp_path / f"{place}.{name}"
        with publishing(path) as stream:
            write_rows(stream, form_of(path.name), lambda: iter(TRICKY), COLUMNS)
        found.append(path.read_bytes())
    assert found[0] == found[1]


def test_parquet_has_the_types_that_the_values_have() -> None:
    columns = [
        *(Column(name) for name in ("whole", "number", "flag", "mixed", "huge", "exact", "none", "text", "list")),
        Column("score", "number"),
        Column("count", "integer"),
        Column("answers", "json"),
    ]
    rows: Rows = [
        {"whole": 1, "number": 1, "flag": True, "mixed": 1, "huge": 2**64, "exact": 2**53 + 1, "text": "a",
         "list": [1], "score": 1, "count": 5, "answers": [{"text": "é"}]},
        {"whole": None, "number": 0.5, "flag": False, "mixed": True, "huge": 1, "exact": 0.5, "text": None,
         "list": {}, "score": 0.25, "count": None, "answers": "x"},
    ]  # fmt: skip
    found = table(rows, columns)
    assert {field.name: str(field.type) for field in found.schema} == {
        "whole": "int64", "number": "double", "flag": "bool", "mixed": "string", "huge": "string", "exact": "string",
        "none": "string", "text": "string", "list": "string", "score": "double", "count": "int64",
        "answers": "string",
    }  # fmt: skip
    assert found.to_pylist() == [
        {"whole": 1, "number": 1.0, "flag": True, "mixed": "1", "huge": str(2**64), "exact": str(2**53 + 1),
         "none": None, "text": "a", "list": "[1]", "score": 1.0, "count": 5, "answers": '[{"text": "é"}]'},
        {"whole": None, "number": 0.5, "flag": False, "mixed": "true", "huge": "1", "exact": "0.5", "none": None,
         "text": None, "list": "{}", "score": 0.25, "count": None, "answers": '"x"'},
    ]  # fmt: skip


def test_parquet_of_no_rows_has_its_columns() -> None:
    assert table([], COLUMNS).column_names == ["id", "text", "n"]


def test_parquet_rows_stay_in_order_over_many_groups() -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    data = written("o.parquet", [{"n": n} for n in range(40_000)], [Column("n")])
    file = pq.ParquetFile(io.BytesIO(data))
    groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    assert groups == [16_384, 16_384, 7_232]
    assert file.read()["n"].to_pylist() == list(range(40_000))


def test_parquet_rows_with_long_texts_are_not_held_together() -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    long = "x" * 8_000_000
    data = written("o.parquet", [{"a": long}] * 20, [Column("a", "text")])
    assert pq.ParquetFile(io.BytesIO(data)).metadata.num_row_groups == 3


def test_few_rows_are_held_at_a_time() -> None:
    def rows() -> Iterator[Mapping[str, Any]]:
        for n in range(20_000):
            yield {"id": str(n), "text": f"{n}" * 300}

    class Nowhere(io.RawIOBase):
        def write(self, data: Any, /) -> int:
            return len(data)

    tracemalloc.start()
    for name in ("o.jsonl", "o.csv.gz"):
        write_rows(Nowhere(), form_of(name), rows, COLUMNS)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_predictions_are_answers_by_id() -> None:
    rows: Rows = [
        {"id": "a", "answer": "Ada"},
        {"id": 7, "answer": None},
        {"id": "ü\ud83d", "answer": 'the "one"'},
    ]
    text = written(Form("predictions"), rows, [Column("id"), Column("answer")], "answer").decode()
    assert json.loads(text) == {"a": "Ada", "7": "", "ü\ud83d": 'the "one"'}
    assert json.loads(written(Form("predictions"), [], [Column("id")], "answer")) == {}


def test_rows_without_an_id_have_no_place_in_predictions() -> None:
    stream = io.BytesIO()
    rows: Rows = [{"id": None, "answer": "x"}, {"answer": "y"}, {"id": "a", "answer": "z"}]
    assert write_rows(stream, Form("predictions"), lambda: iter(rows), [Column("id")], headline="answer") == 1
    assert json.loads(stream.getvalue()) == {"a": "z"}


def test_one_id_twice_is_refused_in_predictions() -> None:
    rows: Rows = [{"id": 1, "answer": "x"}, {"id": "1", "answer": "y"}]
    with pytest.raises(DataError, match="'1' twice"):
        written(Form("predictions"), rows, [Column("id")], "answer")


def test_a_stream_gets_each_row_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as stream:
        for form in (Form("jsonl"), Form("csv")):
            stream.truncate(0)
            stream.seek(0)
            writer = stream_rows(stream, form, COLUMNS)
            for count, row in enumerate(TRICKY, 1):
                writer.write(row)
                assert path.read_bytes() == written(form, TRICKY[:count])
            writer.close()
            assert path.read_bytes() == written(form, TRICKY)


def test_a_compressed_stream_is_whole_once_closed() -> None:
    stream = io.BytesIO()
    writer = stream_rows(stream, Form("csv", "gzip"), COLUMNS)
    for row in TRICKY:
        writer.write(row)
    writer.close()
    assert gzip.decompress(stream.getvalue()) == written("o.csv", TRICKY)


@pytest.mark.parametrize("kind", ["parquet", "predictions"])
def test_what_cannot_be_streamed_is_refused(kind: Any) -> None:
    with pytest.raises(DataError, match=f"not {kind}"):
        stream_rows(io.BytesIO(), Form(kind), COLUMNS)


@pytest.mark.parametrize("form", [Form("parquet"), Form("jsonl", "zstd")])
def test_a_missing_package_is_named_before_the_work(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    check_form(Form("csv", "gzip"))
    for name in ("pyarrow", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"trifold\[data\]"):
        check_form(form)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")
    with publishing(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["out.jsonl"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_everything_as_it_was(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")

    def fail() -> None:
        with publishing(path) as stream:
            stream.write(b"n" * 1_000_000)
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.jsonl"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("there.jsonl", "not-yet.jsonl"):
        link = tmp_path / name
        link.symlink_to(tmp_path / "far" / name)
        with publishing(link) as stream:
            assert names(tmp_path) == sorted({"far", "there.jsonl", name})
            stream.write(b"new")
        assert link.is_symlink()
        assert (tmp_path / "far" / name).read_bytes() == b"new"
    assert names(tmp_path / "far") == ["not-yet.jsonl", "there.jsonl"]


def test_permissions_are_kept_or_those_of_any_new_file(tmp_path: Path) -> None:
    private, fresh, other = (tmp_path / name for name in ("private", "fresh", "other"))
    private.write_bytes(b"old")
    private.chmod(0o640)
    other.write_bytes(b"")
    for path in (private, fresh):
        with publishing(path) as stream:
            stream.write(b"new")
    assert mode(private) == 0o640
    assert mode(fresh) == mode(other)


def test_what_is_being_written_is_as_private_as_the_file_that_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with publishing(path):
        assert {mode(inner) for inner in tmp_path.iterdir()} == {0o600}


def test_a_pipe_and_a_device_are_written_as_they_are(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    with publishing(pipe) as stream:
        stream.write(b"new")
    reader.join(10)
    assert got == [b"new"]
    assert names(tmp_path) == ["pipe"]
    with publishing(Path(os.devnull)) as stream:
        stream.write(b"new")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_standard_output_by_its_path_goes_on_where_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    program = (
        "from pathlib import Path\nfrom trifold.tables.publishing import publishing\n"
        "with publishing(Path('/dev/stdout')) as stream:\n    stream.write(b'new\\n')\n"
        "print('after')\n"
    )
    with log.open("ab") as stream:
        subprocess.run([sys.executable, "-c", program], stdout=stream, check=True)
    assert log.read_bytes() == b"before\nnew\nafter\n"


def test_a_folder_is_no_place_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found a folder"), publishing(tmp_path):
        pass
    with pytest.raises(DataError, match="found a folder"):
        check_target(tmp_path)
    with pytest.raises(DataError, match="Make it first"):
        check_target(tmp_path / "none" / "out.jsonl")
    check_target(tmp_path / "out.jsonl")
    check_target(Path(os.devnull))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("name", ["jsonl", "csv.gz", "csv.zst", "parquet"])
def test_a_full_disk_says_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.endswith(("zst", "parquet")):
        pytest.importorskip("pyarrow")
    path = tmp_path / f"out.{name}"
    path.write_bytes(b"old")
    real = os.open

    def full(opened: Any, flags: int, mode: int = 0o777) -> int:
        descriptor = real(opened, flags, mode)
        if str(opened).endswith(".partial"):
            device = real("/dev/full", os.O_WRONLY)
            os.dup2(device, descriptor)
            os.close(device)
        return descriptor

    monkeypatch.setattr(os, "open", full)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)  # or the device would be changed
    rows = [{"id": str(n), "text": os.urandom(500).hex()} for n in range(1000)]
    with pytest.raises(EngineError, match=r"disk is full.*--resume"), publishing(path) as stream:
        write_rows(stream, form_of(path.name), lambda: iter(rows), COLUMNS)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == [path.name]


def test_a_folder_that_has_gone_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    with pytest.raises(EngineError, match=r"folder has gone.*--resume"), publishing(folder / "out"):
        folder.rename(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="folder has gone"), publishing(folder / "out"):
        pass


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_an_error_of_the_rows_is_not_taken_for_one_of_the_disk(name: str, tmp_path: Path) -> None:
    if name == "out.parquet":
        pytest.importorskip("pyarrow")

    def rows() -> Iterator[Mapping[str, Any]]:
        yield {"id": "1"}
        raise FileNotFoundError("journal")

    with pytest.raises(FileNotFoundError, match="journal"), publishing(tmp_path / name) as stream:
        write_rows(stream, form_of(name), rows, COLUMNS)
    gc.collect()
    assert names(tmp_path) == []


def test_a_partial_file_may_have_a_name_of_its_own(tmp_path: Path) -> None:
    scratch = tmp_path / "job" / "output.partial"
    scratch.parent.mkdir()
    scratch.write_bytes(b"left by a killed process, and longer")
    with publishing(tmp_path / "out", scratch) as stream:
        stream.write(b"new")
        stream.flush()
        assert scratch.read_bytes() == b"new"
    assert (tmp_path / "out").read_bytes() == b"new"
    assert names(scratch.parent) == []


def test_long_names_can_be_published(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120 + ".jsonl")
    with publishing(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
