"""`trifold batch` as its users see it."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import ECHO, Call, Run
from doubles import echo_folder
from trifold import Reader

QUESTIONS = ["Who wrote the report?", "When was it written?", "Where was it printed?"]
PEOPLE = ["Ada Lovelace", "Charles Babbage", "Mary Somerville"]
GOOD = {"question": QUESTIONS[0], "passage": "The report was written by Ada Lovelace in 1843."}


def rows(count: int) -> list[dict[str, Any]]:
    found = []
    for i in range(count):
        passage = f"The report was written by {PEOPLE[i % 3]} in {1800 + i % 97}. It was printed in London."
        found.append({"id": f"r{i}", "question": QUESTIONS[i % len(QUESTIONS)], "passage": passage, "site": i % 5})
    return found


def lines(path: Path, values: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_gets_the_answer_that_asking_it_alone_gives(call: Call, tmp_path: Path, reader: Reader) -> None:
    asked = rows(40)
    code, out, err = call("batch", str(lines(tmp_path / "in.jsonl", asked)), str(tmp_path / "out.jsonl"))
    assert code == 0, err
    found = read(tmp_path / "out.jsonl")
    assert [list(row) for row in found] == [["id", "answer", "start", "end", "score", "no_answer_score"]] * 40
    for row, given in zip(asked, found, strict=True):
        reply = reader.ask(row["question"], row["passage"])
        assert given["id"] == row["id"]
        assert given["answer"] == (reply.answers[0].text if reply.answers else "")
        assert given["score"] == pytest.approx(reply.score, abs=1e-6)
        if given["answer"]:
            assert row["passage"][given["start"] : given["end"]] == given["answer"]
    assert "40 rows" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_all_formats_say_the_same(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    asked = rows(12)
    lines(tmp_path / "in.jsonl", asked)
    with gzip.open(tmp_path / "in.csv.gz", "wt", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(asked[0]))
        writer.writeheader()
        writer.writerows(asked)
    pq.write_table(pa.Table.from_pylist(asked), tmp_path / "in.parquet")
    article = {"title": "T", "paragraphs": [{"context": r["passage"], "qas": [r]} for r in asked]}
    (tmp_path / "in.json").write_text(json.dumps({"version": "1.1", "data": [article]}))
    outputs = []
    for name in ("in.jsonl", "in.csv.gz", "in.parquet", "in.json"):
        target = tmp_path / f"{name}.out.jsonl"
        assert call("batch", str(tmp_path / name), str(target))[0] == 0
        outputs.append(target.read_bytes())
    assert len(set(outputs)) == 1
    expected = read(tmp_path / "in.jsonl.out.jsonl")
    for name in ("out.csv", "out.tsv.gz", "out.parquet", "out.jsonl.xz"):
        assert call("batch", str(tmp_path / "in.jsonl"), str(tmp_path / name))[0] == 0
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        texts = list(csv.DictReader(stream))
    assert [row["answer"] for row in texts] == [row["answer"] for row in expected]
    assert [row["start"] for row in texts] == ["" if r["start"] is None else str(r["start"]) for r in expected]
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == expected
    predictions = tmp_path / "predictions.json"
    assert call("batch", str(tmp_path / "in.jsonl"), str(predictions), "--format", "predictions")[0] == 0
    assert json.loads(predictions.read_text()) == {row["id"]: row["answer"] for row in expected}


def test_a_cell_that_nobody_reads_harms_no_row(call: Call, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    texts = [b"The report was written by Ada Lovelace.", b"caf\xe9", b"It was written by Charles Babbage."]
    table = {"id": ["a", "b", "c"], "question": [QUESTIONS[0]] * 3, "passage": texts, "image": [b"\xff"] * 3}
    pq.write_table(pa.table(table), tmp_path / "in.parquet")
    assert call("batch", str(tmp_path / "in.parquet"), str(tmp_path / "out.jsonl"))[0] == 3
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == ["a", "c"]
    (error,) = read(tmp_path / "out.jsonl.errors.jsonl")
    assert (error["id"], error["line"]) == ("b", 2)
    assert "column passage" in error["reason"]
    assert call("batch", str(tmp_path / "in.parquet"), str(tmp_path / "out.jsonl"), "--keep", "image")[0] == 3
    assert len(read(tmp_path / "out.jsonl.errors.jsonl")) == 3


def test_several_files_and_a_folder_are_read_in_turn(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    asked = [{key: value for key, value in row.items() if key != "id"} for row in rows(9)]
    lines(folder / "b.jsonl", asked[3:6])
    lines(folder / "a.jsonl", asked[:3])
    lines(tmp_path / "c.jsonl", asked[6:])
    assert call("batch", str(folder), str(tmp_path / "c.jsonl"), str(tmp_path / "out.jsonl"))[0] == 0
    lines(tmp_path / "all.jsonl", asked)
    assert call("batch", str(tmp_path / "all.jsonl"), str(tmp_path / "one.jsonl"))[0] == 0
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == list(range(1, 10))


def test_columns_are_renamed_kept_and_options_set(call: Call, tmp_path: Path) -> None:
    asked = [{"frage": r["question"], "text": r["passage"], "key": r["id"], "score": "x", "n": 1} for r in rows(3)]
    source = str(lines(tmp_path / "in.jsonl", asked))
    words = ["--column", "question=frage", "--column", "passage=text", "--column", "id=key", "--keep-all"]
    code, _, err = call("batch", source, str(tmp_path / "out.jsonl"), *words, "--set", "top_k=2")
    assert code == 0, err
    first = read(tmp_path / "out.jsonl")[0]
    assert (first["id"], first["input_score"], first["n"]) == ("r0", "x", 1)
    assert "frage" not in first
    assert len(first["answers"]) == 2
    assert first["answers"][0]["text"] == first["answer"]
    code, _, err = call("batch", source, str(tmp_path / "out.csv"), *words)
    assert code == 0, err
    assert (tmp_path / "out.csv").read_text().splitlines()[0].endswith("no_answer_score,input_score,n")
    assert call("batch", source, str(tmp_path / "o.csv"), *words[:-1], "--keep", "n")[0] == 0
    assert (tmp_path / "o.csv").read_text().splitlines()[0].endswith("no_answer_score,n")


def test_bad_rows_go_to_the_errors_file(call: Call, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    bad: list[bytes] = [
        b'{"id": "no passage", "question": "Who?"}',
        b'{"id": "empty", "question": "", "passage": "Ada."}',
        b'{"id": "type", "question": 5, "passage": "Ada."}',
        b'{"id": "latin", "question": "Who?", "passage": "Gr\xf6\xdfe"}',
        b'{"id": "broken", "question": "Who?", "passage": ',
        json.dumps({"id": "large", "question": "Who?", "passage": "word " * 2_100_000}).encode(),
        b'["a list"]',
        b'{"id": "half", "question": "Who?", "passage": "a \\ud800 b"}',
    ]
    good = [json.dumps({"id": f"good {i}", **GOOD}).encode() for i in range(len(bad) + 1)]
    mixed = [line for pair in zip(good, bad, strict=False) for line in pair] + good[-1:]
    source.write_bytes(b"\n".join(mixed) + b"\n")
    code, out, err = call("batch", str(source), str(tmp_path / "out.jsonl"), "--json")
    assert code == 3, err
    found = read(tmp_path / "out.jsonl")
    assert [row["id"] for row in found] == [f"good {i}" for i in range(9)]
    assert {row["answer"] for row in found} == {"Ada Lovelace"}
    errors = read(tmp_path / "out.jsonl.errors.jsonl")
    assert [error["line"] for error in errors] == list(range(2, 17, 2))
    assert {error["file"] for error in errors} == {str(source)}
    assert [error["id"] for error in errors] == ["no passage", "empty", "type", 8, 10, "large", 14, "half"]
    for error, says in zip(
        errors,
        ["found none of them", "an empty one", "found a int", "UTF-8", "JSON", "at most 10 MB", "object", "surrogate"],
        strict=True,
    ):
        assert says in error["reason"], error
        assert error["remedy"].endswith("."), error
    summary = json.loads(out)
    assert (summary["rows"], summary["answered"], summary["errors"]) == (17, 9, 8)
    assert summary["computed"] == 1, "the good rows ask the same"
    assert summary["errors_file"] == str(tmp_path / "out.jsonl.errors.jsonl")


def test_max_errors_stops_early_and_keeps_what_it_has(call: Call, tmp_path: Path) -> None:
    asked: list[Any] = [{**row, "passage": ""} if i % 4 == 0 else row for i, row in enumerate(rows(40))]
    source = str(lines(tmp_path / "in.jsonl", asked))
    code, _, err = call("batch", source, str(tmp_path / "out.jsonl"), "--max-errors", "3")
    assert code == 1
    assert "more than 3 rows could not be answered" in err
    assert not (tmp_path / "out.jsonl").exists()
    assert len(read(tmp_path / "out.jsonl.errors.jsonl")) >= 4
    assert call("batch", source, str(tmp_path / "out.jsonl"), "--max-errors", "10")[0] == 3


def test_the_figures_are_those_of_evaluate(call: Call, tmp_path: Path, data: Path) -> None:
    from trifold.tasks.qa.data.examples import read_examples
    from trifold.tasks.qa.measuring.evaluation import spread_over
    from trifold.tasks.qa.measuring.metrics import best_over, exact_match, f1

    examples = spread_over(read_examples(data / "squad-dev-v1.1.json.gz"), 150)
    asked = [
        {
            "id": e.id,
            "question": e.question,
            "context": e.passage,
            "answers": {"text": [g.text for g in e.golds], "answer_start": [g.start for g in e.golds]},
        }
        for e in examples
    ]
    source = str(lines(tmp_path / "in.jsonl", asked))
    facts = json.loads(call("evaluate", source, "--json")[1])
    assert call("batch", source, str(tmp_path / "out.csv"))[0] == 0
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        given = {row["id"]: row["answer"] for row in csv.DictReader(stream)}
    for metric, name in ((exact_match, "exact"), (f1, "f1")):
        own = [best_over(metric, given[e.id], [g.text for g in e.golds] or [""]) for e in examples]
        assert 100 * sum(own) / len(own) == pytest.approx(facts[name], abs=5.1e-4)


def start(*words: str, **changes: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trifold", *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **changes
    )


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A model that answers thousands of rows a second: the echo task's."""
    return str(echo_folder(tmp_path / "echo@0").path)


def echo_rows(path: Path, count: int) -> Path:
    chance = random.Random(5)
    values: list[Any] = []
    for i in range(count):
        text = "".join(chance.choices("abcdefgh ", k=chance.randrange(1, 80)))
        values.append({"id": i, "text": None if i % 97 == 5 else "encode fails" if i % 89 == 7 else text})
    return lines(path, values)


def killed_and_resumed(tmp_path: Path, tiny: str, count: int, kills: int, signals: list[int]) -> None:
    """Interrupt a job again and again, at moments spread over its length, and compare the end with a whole run."""
    environ = {**os.environ, "PYTHONPATH": str(ECHO)}
    source = str(echo_rows(tmp_path / "in.jsonl", count))
    began = time.monotonic()
    whole = start("batch", source, str(tmp_path / "whole.jsonl"), "--model", tiny, env=environ)
    _, err = whole.communicate()
    assert whole.returncode == 3, err
    seconds = time.monotonic() - began
    chance = random.Random(3)
    target = tmp_path / "out.jsonl"
    gone_on = 0
    for number in range(kills):
        child = start("batch", source, str(target), "--model", tiny, "--resume", env=environ)
        try:
            child.wait(timeout=chance.uniform(0.1, 1.0) * max(seconds, 1))
        except subprocess.TimeoutExpired:
            child.send_signal(signals[number % len(signals)])
        _, err = child.communicate(timeout=60)
        assert child.returncode in (3, 130, -signal.SIGKILL), err
        gone_on += "going on" in err
        if child.returncode == 3:
            assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
            target.unlink()
    assert gone_on, "no run went on with the one before"
    last = start("batch", source, str(target), "--model", tiny, "--resume", env=environ)
    _, err = last.communicate()
    assert last.returncode == 3, err
    assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert (tmp_path / "out.jsonl.errors.jsonl").read_bytes() == (tmp_path / "whole.jsonl.errors.jsonl").read_bytes()
    assert not (tmp_path / "out.jsonl.job").exists()


def test_killed_and_resumed_to_the_same_bytes(tmp_path: Path, tiny: str) -> None:
    killed_and_resumed(tmp_path, tiny, 12_000, 5, [signal.SIGKILL, signal.SIGKILL, signal.SIGINT])


@pytest.mark.full
def test_killed_twenty_times(tmp_path: Path, tiny: str) -> None:
    killed_and_resumed(tmp_path, tiny, 60_000, 20, [signal.SIGKILL])


def test_the_embedded_model_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    source = str(
        lines(tmp_path / "in.jsonl", [{**r, "passage": f"{r['passage']} {i}."} for i, r in enumerate(rows(1500))])
    )
    whole = start("batch", source, str(tmp_path / "whole.jsonl"))
    child = start("batch", source, str(tmp_path / "out.jsonl"))
    while not list(tmp_path.glob("out.jsonl.job/chunks/0*.jsonl")) and child.poll() is None:
        time.sleep(0.005)
    child.kill()
    child.communicate()
    assert not (tmp_path / "out.jsonl").exists()
    whole.communicate()
    assert whole.returncode == 0
    again = start("batch", source, str(tmp_path / "out.jsonl"), "--resume", "--json")
    out, err = again.communicate()
    assert again.returncode == 0, err
    assert json.loads(out)["resumed"] == 1024
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_ctrl_c_stops_soon_and_says_how_to_go_on(tmp_path: Path) -> None:
    long = "word " * 3000
    source = str(
        lines(tmp_path / "in.jsonl", [{"question": f"Which {i}?", "passage": f"{long}{i}"} for i in range(300)])
    )
    child = start("batch", source, str(tmp_path / "out.jsonl"))
    while not (tmp_path / "out.jsonl.job" / "job.json").exists():
        time.sleep(0.01)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = child.communicate(timeout=30)
    assert time.monotonic() - began < 2
    assert child.returncode == 130
    assert "Interrupted" in err


def test_what_changed_is_named_on_resume(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trifold.jobs import batch

    source = str(lines(tmp_path / "in.jsonl", rows(1200)))
    out = str(tmp_path / "out.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_rows", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        code, _, err = call("batch", source, out)
    assert code == 130
    assert "--resume" in err
    code, _, err = call("batch", source, out)
    assert code == 2
    assert "1,200 rows and was not finished" in err
    code, _, err = call("batch", source, out, "--resume", "--set", "top_k=2")
    assert code == 2
    assert "--set top_k was not given, is 2" in err
    code, _, err = call("batch", source, out, "--resume", "--precision", "fp32")
    assert "model precision was int8, is fp32" in err
    before = Path(source).read_bytes()
    Path(source).write_bytes(before + b"\n")
    code, _, err = call("batch", source, out, "--resume")
    assert "input" in err
    assert "in.jsonl bytes was" in err
    Path(source).write_bytes(before)
    code, text, err = call("batch", source, out, "--resume", "--json")
    assert code == 0, err
    assert json.loads(text)["resumed"] == 1200


def test_standard_input_and_output(run: Run, tmp_path: Path) -> None:
    text = "".join(f"{json.dumps(row)}\n" for row in [*rows(3), {"question": "Who?"}, *rows(2)])
    done = run("batch", "-", "-", stdin=text)
    assert done.returncode == 3, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["r0", "r1", "r2", "r0", "r1"]
    assert "cannot be gone on with" in done.stderr
    assert "4 (id 4): expected one of 'passage'" in done.stderr
    done = run("batch", "-", str(tmp_path / "out.jsonl"), "--resume", stdin=text)
    assert done.returncode == 2
    assert "cannot be gone on with" in done.stderr
    done = run("batch", "-", str(tmp_path / "out.jsonl"), stdin=text)
    assert done.returncode == 3, done.stderr
    assert len(read(tmp_path / "out.jsonl")) == 5


def test_an_interrupted_stream_leaves_nothing_behind(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trifold.jobs import batch

    os.mkfifo(tmp_path / "pipe")
    text = "".join(f"{json.dumps(row)}\n" for row in rows(3))
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text,))
    writer.start()
    monkeypatch.setattr(batch, "write_rows", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    code, _, err = call("batch", str(tmp_path / "pipe"), str(tmp_path / "out.jsonl"))
    writer.join()
    assert code == 130
    assert "--resume" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("{in}", "{tmp}/out.txt"), "out.txt"),
        (("{in}", "{tmp}/out.json"), "--format predictions"),
        (("{in}", "{in}"), "is also an input"),
        (("{tmp}/out.jsonl.errors.jsonl", "{tmp}/out.jsonl"), "the errors file is also an input"),
        (("{in}", "{tmp}/out.jsonl", "--errors", "{tmp}/out.jsonl"), "also the errors file"),
        (("{tmp}/nothing.jsonl", "{tmp}/out.jsonl"), "no such file"),
        (("{in}", "{tmp}/no/out.jsonl"), "its folder does not exist"),
        (("{in}", "{tmp}/out.jsonl", "--column", "frage=x"), "found 'frage'"),
        (("{in}", "{tmp}/out.jsonl", "--column", "question"), "expected NAME=VALUE"),
        (("{in}", "{tmp}/out.jsonl", "--set", "topk=3"), "no option 'topk'"),
        (("{in}", "{tmp}/out.jsonl", "--set", "top_k=0"), "from 1 to 1,000"),
        (("{in}", "{tmp}/out.jsonl", "--resume", "--restart"), "exclude each other"),
        (("{csv}", "{tmp}/out.jsonl"), "expected a column question, found frage, text"),
        (("{empty}", "{tmp}/out.jsonl"), "there are no rows"),
        (("{in}", "-", "--json"), "Name a file"),
        (("{in}", "/dev/stdout", "--json"), "Name a file"),
        (("{in}", "{tmp}/out.jsonl", "--errors", "{tmp}/sub/../out.jsonl"), "also the errors file"),
        (("{in}", "-", "--errors", "-"), "expected a file"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(call: Call, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    lines(tmp_path / "in.jsonl", rows(2))
    lines(tmp_path / "out.jsonl.errors.jsonl", rows(2))
    (tmp_path / "in.csv").write_text("frage,text\nWho?,Ada.\n")
    (tmp_path / "empty.csv").write_text("question,passage\n")
    places = {"tmp": str(tmp_path), "in": f"{tmp_path}/in.jsonl", "csv": f"{tmp_path}/in.csv"}
    places["empty"] = f"{tmp_path}/empty.csv"
    before = sorted(tmp_path.iterdir())
    code, _, err = call("batch", *(word.format(**places) for word in words))
    assert code == 2
    assert says in err
    assert sorted(tmp_path.iterdir()) == before, "nothing may be left behind"


def test_any_task_runs_as_a_batch_job(run: Run, tmp_path: Path, tiny: str) -> None:
    values = [{"text": "a longer text of several units"}, {"text": "short", "id": "b"}, {"text": 5}, {"text": "short"}]
    source = str(lines(tmp_path / "in.jsonl", values))
    done = run("batch", source, str(tmp_path / "out.csv"), "--model", tiny, path=ECHO)
    assert done.returncode == 3, done.stderr
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "id,echo,length",
        "1,a longer text of several units,30",
        "b,short,5",
        "4,short,5",
    ]


def test_a_refused_job_touches_nothing_of_another(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trifold.jobs import batch

    source = str(lines(tmp_path / "in.jsonl", rows(3)))
    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_rows", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        call("batch", source, str(tmp_path / "out.jsonl"))
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("question,passage\nWho?,Ada.\n",))
    writer.start()
    code, _, err = call("batch", str(tmp_path / "pipe"), str(tmp_path / "out.jsonl"), "--input-format", "csv")
    assert (code, "--resume goes on" in err) == (2, True)
    assert call("batch", source, str(tmp_path / "out.jsonl"), "--resume")[0] == 0
    assert call("batch", str(tmp_path / "pipe"), str(tmp_path / "o.jsonl"), "--input-format", "csv")[0] == 0
    writer.join()
    assert len(read(tmp_path / "o.jsonl")) == 1


def test_a_folder_of_somebody_else_stays(call: Call, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl.job").mkdir()
    (tmp_path / "out.jsonl.job" / "notes.txt").write_text("precious")
    code, _, err = call("batch", str(lines(tmp_path / "in.jsonl", rows(2))), str(tmp_path / "out.jsonl"))
    assert code == 2
    assert "holds something else (notes.txt)" in err
    assert [path.name for path in (tmp_path / "out.jsonl.job").iterdir()] == ["notes.txt"]


def test_an_input_that_changes_meanwhile_is_noticed(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trifold.jobs.journal import Journal

    source = lines(tmp_path / "in.jsonl", rows(2100))
    whole, save = source.read_bytes(), Journal.save

    def saving(journal: Journal, chunk: Any) -> None:
        save(journal, chunk)
        source.write_bytes(whole[: len(whole) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "save", saving)
        code, _, err = call("batch", str(source), str(tmp_path / "out.jsonl"))
    assert code == 2
    assert "was changed while it was read" in err
    assert not (tmp_path / "out.jsonl").exists()
    source.write_bytes(whole)
    code, out, _ = call("batch", str(source), str(tmp_path / "out.jsonl"), "--resume", "--json")
    assert (code, json.loads(out)["resumed"]) == (0, 1024)


def test_max_errors_holds_for_streams_and_over_interruptions(run: Run, tmp_path: Path) -> None:
    source = str(lines(tmp_path / "in.jsonl", [*rows(2), {"question": "Who?"}, *rows(2)]))
    done = run("batch", source, "-", "--max-errors", "0")
    assert done.returncode == 1
    assert "more than 0 rows could not be answered" in done.stderr
    child = start("batch", source, "-", preexec_fn=lambda: os.close(1))
    _, err = child.communicate()
    assert child.returncode == 2
    assert "standard output is closed" in err


def test_an_existing_output_stays_until_the_new_one_is_there(call: Call, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("earlier\n")
    (tmp_path / "out.jsonl.errors.jsonl").write_text("earlier\n")
    code, _, _ = call(
        "batch", str(lines(tmp_path / "bad.jsonl", [{"question": "?"}])), str(target), "--max-errors", "0"
    )
    assert code == 1
    assert target.read_text() == "earlier\n"
    assert call("batch", str(lines(tmp_path / "in.jsonl", rows(2))), str(target))[0] == 0
    assert len(read(target)) == 2
    assert not (tmp_path / "out.jsonl.errors.jsonl").exists(), "errors of an earlier job would be taken for this one's"


def peak(tmp_path: Path, model: str, count: int, make: Callable[[int], dict[str, Any]]) -> float:
    """The largest memory of a job of so many distinct rows, in MB."""
    source = tmp_path / f"{count}.jsonl"
    with source.open("w") as stream:
        for i in range(count):
            stream.write(json.dumps(make(i)) + "\n")
    code = (
        "import re, sys, pathlib; from trifold.interfaces.cli import main; code = main(sys.argv[1:]);"
        "print(re.findall(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[0]); sys.exit(code)"
    )
    words = ["batch", str(source), str(tmp_path / f"{count}.out.jsonl"), "--model", model, "--json"]
    environ = {**os.environ, "PYTHONPATH": str(ECHO)}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    source.unlink()
    return int(done.stdout.splitlines()[-1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, tiny: str) -> None:
    def make(i: int) -> dict[str, Any]:
        return {"text": f"row {i} " + "abcdefgh" * 60}

    few, many = peak(tmp_path, tiny, 4_000, make), peak(tmp_path, tiny, 24_000, make)
    assert many < 1.1 * few, f"{few:.0f} MB for 4,000 rows, {many:.0f} MB for 24,000"


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_of_a_million_rows(tmp_path: Path) -> None:
    """With a random reader of one layer, in the same code as every reader."""
    pytest.importorskip("torch")
    from hub_doubles import save_checkpoint, tiny_reader, tiny_tokenizer

    model = save_checkpoint(tmp_path / "one", tiny_reader("bert", layers=1), tiny_tokenizer("bert"))

    def make(i: int) -> dict[str, Any]:
        passage = f"in game {i} of the year {i * 7 % 1999} ada won against bob and cleo."
        return {"id": i, "question": f"who won game {i}?", "passage": passage}

    peak(tmp_path, str(model), 10, make)  # makes a model folder of it, which takes more memory than any job
    few, many = (peak(tmp_path, str(model), count, make) for count in (100_000, 1_000_000))
    assert many < 1.1 * few, f"{few:.0f} MB for 100,000 rows, {many:.0f} MB for 1,000,000"
    assert many < 1500
