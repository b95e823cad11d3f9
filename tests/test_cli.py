"""The command line as its users meet it: a process, its output, its exit code."""

from __future__ import annotations

import gzip
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean

import pytest

import trifold
from conftest import Run
from document_files import docx, pdf
from doubles import EXAMPLES
from trifold.tasks.qa.measuring.metrics import best_over, exact_match, f1

ADA = "The report was written by Ada Lovelace in 1843."


def test_ask_shows_the_answer_in_its_place(run: Run) -> None:
    done = run("ask", "Who wrote it?", "--passage", ADA)
    assert done.returncode == 0, done.stderr
    assert "by »Ada Lovelace« in" in done.stdout
    assert "26–38" in done.stdout
    assert "%" in done.stdout


def test_ask_as_json(run: Run) -> None:
    done = run("ask", "Who wrote it?", "--passage", ADA, "--json")
    record = json.loads(done.stdout)
    (answer,) = record["answers"]
    assert (answer["text"], answer["start"], answer["end"], answer["passage"]) == ("Ada Lovelace", 26, 38, 0)
    assert 0 < answer["score"] <= 1
    assert 0 <= record["no_answer_score"] <= 1
    assert (record["model"], record["warnings"]) == ("default@1", [])


def test_ask_says_that_the_passage_does_not_say(run: Run) -> None:
    words = ("ask", "Who is the mayor of Paris?", "--passage-file", str(EXAMPLES / "warranty.txt"))
    done = run(*words)
    assert done.returncode == 0
    assert "The passage does not say." in done.stdout
    assert "Closest:" in done.stdout
    assert json.loads(run(*words, "--json").stdout)["answers"] == []
    assert json.loads(run(*words, "--json", "--always-answer").stdout)["answers"]


def test_ask_reads_files_and_standard_input_to_the_letter(run: Run, tmp_path: Path) -> None:
    text = "\r\n  naïve 🎉 " + ADA.replace(" ", "\r\n") + "  \n"
    (tmp_path / "p.txt").write_bytes(text.encode())
    (tmp_path / "p.txt.gz").write_bytes(gzip.compress(text.encode()))
    for words, stdin in (
        (("--passage-file", str(tmp_path / "p.txt")), ""),
        (("--passage-file", str(tmp_path / "p.txt.gz")), ""),
        (("--passage-file", "-"), text),
    ):
        record = json.loads(run("ask", "Who wrote it?", *words, "--json", stdin=stdin).stdout)
        (answer,) = record["answers"]
        assert text[answer["start"] : answer["end"]] == answer["text"] == "Ada\r\nLovelace"


def test_ask_reads_documents(run: Run, tmp_path: Path) -> None:
    files = {
        "a.pdf": pdf([(72, 700, 12, "The report was written by Ada"), (72, 686, 12, "Lovelace in 1843.")]),
        "a.docx": docx("<w:p><w:r><w:t>The report was written by Ada Lovelace in 1843.</w:t></w:r></w:p>"),
        "a.html": b"<p>The report was written by <b>Ada</b>\n<i>Lovelace</i> in 1843.",
        "a.md": b"The report was written by **Ada** _Lovelace_ in 1843.",
        "utf-16.txt": "The report was written by Ada Lovelace in 1843.".encode("utf-16"),
        "latin.txt": "Au café: the report was written by Ada Lovelace in 1843.".encode("latin-1"),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        done = run("ask", "Who wrote it?", "--passage-file", str(tmp_path / name), "--json")
        assert [answer["text"] for answer in json.loads(done.stdout)["answers"]] == ["Ada Lovelace"], done.stderr
        assert ("Warning: " in done.stderr and "encoding" in done.stderr) == (name == "latin.txt")


def test_documents_need_their_extra(run: Run, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    for package in ("pypdfium2", "markdown_it"):
        (hidden / package).mkdir(parents=True)
        (hidden / package / "__init__.py").write_text("raise ImportError")
    (tmp_path / "a.pdf").write_bytes(pdf([(72, 700, 12, ADA)]))
    (tmp_path / "a.md").write_text(f"**{ADA}**")
    done = run("ask", "Who wrote it?", "--passage-file", str(tmp_path / "a.pdf"), path=hidden)
    assert (done.returncode, done.stdout) == (2, "")
    assert "reading PDF needs packages that are not installed: pip install 'trifold[documents]'" in done.stderr
    done = run("ask", "Who wrote it?", "--passage-file", str(tmp_path / "a.md"), "--json", path=hidden)
    assert json.loads(done.stdout)["answers"][0]["text"] == "Ada Lovelace"
    assert "markup is not removed" in done.stderr


def test_ask_about_two_passages(run: Run) -> None:
    files = [str(EXAMPLES / name) for name in ("ferry-old.txt", "ferry-new.txt")]
    words = ("--passage-file", files[0], "--passage-file", files[1])
    done = run("ask", "Who is the captain until the end of August?", *words)
    assert "passage 1" in done.stdout
    assert "»Pavel Horak«" in done.stdout
    assert "of passage 2" in done.stdout


def test_nothing_in_a_passage_steers_the_terminal(run: Run) -> None:
    done = run("ask", "Who wrote it?", "--passage", f"\x1b[2J\x1b]0;title\x07{ADA}\u202eevil")
    assert done.returncode == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
    assert "␛[2J" in done.stdout


BAD: list[tuple[tuple[str, ...], str]] = [
    (("ask", ""), "expected a passage"),
    (("ask", "", "--passage", "p"), "question: expected a text, found an empty one"),
    (("ask", "  ", "--passage", "p"), "question: expected a text, found only blanks"),
    (("ask", "q", "--passage", ""), "passage: expected a text, found an empty one"),
    (("ask", "q", "--passage", "\n"), "passage: expected a text, found only blanks"),
    (("ask", "why " * 400, "--passage", "p"), "tokens leave room for the passage, found 400"),
    (("ask", "q", "--passage", "p", "--model", "nobody"), "no model is called 'nobody'"),
    (("ask", "q", "--passage", "p", "--model", "/nowhere"), "no model folder at '/nowhere'"),
    (("ask", "q", "--passage", "p", "--model", str(EXAMPLES)), "no trifold.json in it"),
    (("ask", "q", "--passage", "p", "--precision", "int3"), "has no 'int3' graph"),
    (("ask", "q", "--passage", "p", "--top-k", "0"), "top_k: expected a whole number from 1 to 1,000, found 0"),
    (("ask", "q", "--passage-file", "/nowhere.txt"), "there is no such file"),
    (("ask", "q", "--passage-file", str(EXAMPLES)), "expected a file, found a folder"),
    (("ask", "q", "--passage-file", "/dev/zero"), "expected at most 10 MB of text, found more"),
    (("evaluate", "/nowhere.json"), "there is no such file"),
    (("evaluate", str(EXAMPLES / "cafe.txt")), "expected SQuAD JSON or one JSON object a line, found neither"),
    (("check", "/nowhere.json"), "there is no such file"),
    (("models", "show", "nobody"), "no model is called 'nobody'"),
    (("nonsense",), "No such command 'nonsense'"),
    (("ask",), "Missing argument 'QUESTION'"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=lambda v: " ".join(v)[:40] if isinstance(v, tuple) else None)
def test_bad_input_is_one_clear_line_and_exit_code_2(run: Run, words: tuple[str, ...], says: str) -> None:
    done = run(*words)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error")]) == 1


def test_more_bad_passages(run: Run, tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("word " * 10_000_000)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.7\n" + bytes(99))
    (tmp_path / "sheet.docx").write_bytes(b"PK\x03\x04" + bytes(99))
    for name, says in (
        ("big.txt", "at most 10 MB"),
        ("picture.png", "found a PNG picture"),
        ("scan.pdf", "scan.pdf: the PDF is damaged"),
        ("sheet.docx", "sheet.docx: the archive is damaged"),
    ):
        done = run("ask", "q", "--passage-file", str(tmp_path / name))
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
    surrogate = run("ask", "q\udcff", "--passage", "p")
    assert surrogate.returncode == 2
    assert "half of a surrogate pair" in surrogate.stderr


def test_evaluate_gives_the_documented_figures(run: Run, tmp_path: Path) -> None:
    asked = [("Who wrote it?", "Ada Lovelace"), ("When was it written?", "1843"), ("Who is the mayor of Paris?", None)]
    rows = [
        {
            "id": "abc"[i],
            "question": question,
            "context": ADA,
            "answers": {"text": [gold] if gold else [], "answer_start": [ADA.index(gold)] if gold else []},
        }
        for i, (question, gold) in enumerate(asked)
    ]
    data = tmp_path / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run("evaluate", str(data), "--always-answer", "--json", "--predictions", str(tmp_path / "p.json"))
    facts = json.loads(done.stdout)
    parts = ["n", "exact", "f1"]
    scores = ["ece", "auroc", "coverage_at_90", "reliability"]
    assert list(facts) == [*parts, "has_answer", "no_answer", *scores, "model", "questions_per_second"]
    assert (facts["n"], facts["has_answer"]["exact"], facts["no_answer"]["exact"]) == (3, 100, 0)
    answers = json.loads((tmp_path / "p.json").read_text())
    assert answers["a"] == "Ada Lovelace"
    golds = {str(row["id"]): gold for row, (_, gold) in zip(rows, asked, strict=True)}
    for name, metric in (("exact", exact_match), ("f1", f1)):
        expected = mean(best_over(metric, answers[i], [gold] if gold else []) for i, gold in golds.items())
        assert facts[name] == pytest.approx(100 * expected, abs=1e-3)
    assert "has answer" in run("evaluate", str(data), "--limit", "2").stdout


def test_evaluate_writes_nothing_when_it_fails(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(
        '{"question": "q", "context": "c", "answers": {"text": ["x"], "answer_start": [0]}}'
    )
    done = run("evaluate", str(tmp_path / "d.jsonl"), "--predictions", str(tmp_path / "p.json"))
    assert done.returncode == 2
    assert "trifold check" in done.stderr
    assert not (tmp_path / "p.json").exists()
    good = {"id": "same", "question": "Who?", "context": ADA, "answers": {"text": [], "answer_start": []}}
    (tmp_path / "d.jsonl").write_text((json.dumps(good) + "\n") * 2)
    nowhere = run("evaluate", str(tmp_path / "d.jsonl"), "--predictions", "/no/where")
    assert (nowhere.returncode, "its folder does not exist" in nowhere.stderr) == (2, True)
    twice = run("evaluate", str(tmp_path / "d.jsonl"), "--predictions", str(tmp_path / "p.json"))
    assert (twice.returncode, "'same' is the id of several questions" in twice.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_check_reports_and_repairs(run: Run, tmp_path: Path) -> None:
    bad = {"id": "a", "question": "Who?", "context": ADA, "answers": {"text": ["Ada Lovelace"], "answer_start": [3]}}
    (tmp_path / "d.jsonl").write_text(json.dumps(bad) + "\n")
    done = run("check", str(tmp_path / "d.jsonl"), "--repair", str(tmp_path / "r.jsonl"))
    assert done.returncode == 3
    assert "line 1 (a)" in done.stdout
    assert "it stands at 26" in done.stdout
    assert run("check", str(tmp_path / "r.jsonl")).returncode == 0
    facts = json.loads(run("check", str(tmp_path / "d.jsonl"), "--json").stdout)
    assert (facts["rows"], facts["fit"], facts["repairable"]) == (1, 0, 1)


def test_models(run: Run) -> None:
    listed = json.loads(run("models", "list", "--json").stdout)
    assert [model["model"] for model in listed] == ["default@1"]
    assert "default@1" in run("models", "list").stdout
    shown = run("models", "show")
    assert shown.returncode == 0
    assert "SQuAD" in shown.stdout
    manifest = json.loads(run("models", "show", "default", "--json").stdout)
    assert {"task", "base", "training", "metrics", "git_commit", "libraries", "files"} <= manifest.keys()


@pytest.mark.parametrize("words", [(), ("ask",), ("evaluate",), ("check",), ("models", "show")])
def test_help_has_examples(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words, "--help")
    assert done.returncode == 0
    assert "Examples:\n" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from trifold.interfaces.cli import main; main(['--help']);"
        "print(sorted({'numpy', 'onnxruntime', 'tokenizers', 'rich', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", ["--help", f"ask 'Who?' --passage '{ADA}' --json", "models show"])
def test_a_reader_of_the_output_may_leave(words: str) -> None:
    command = f"{sys.executable} -m trifold {words} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


def test_streams_that_are_closed_full_or_of_another_encoding(run: Run) -> None:
    ask = f"{sys.executable} -m trifold ask 'Who wrote it?'"
    for command, code, says in (
        (f"{ask} --passage-file - <&-", 2, "standard input: cannot be read (it is closed)"),
        (f"{ask} --passage '{ADA}' >/dev/full", 1, "the output cannot be written"),
        (f"{ask} --passage '{ADA}' >&-", 0, ""),
    ):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert says in done.stderr
    for words in (("--json",), ()):
        other = run("ask", "Qui ?", "--passage", "C'est Zoë 🎉.", *words, "--always-answer", PYTHONIOENCODING="ascii")
        assert other.returncode == 0, other.stderr


def test_names_and_ids_are_shown_as_they_are(run: Run, tmp_path: Path) -> None:
    bad = {"id": "\x1b[31m[/red]\ud800", "question": "", "context": ADA, "answers": []}
    (tmp_path / "d.jsonl").write_text(json.dumps(bad) + "\n")
    for words in ((), ("--json",), ("--repair", str(tmp_path / "out.jsonl"))):
        done = run("check", str(tmp_path / "d.jsonl"), *words)
        assert done.returncode == 3, done.stderr
        assert "\x1b" not in done.stdout
    shutil.copytree(Path(trifold.__file__).parent / "models/embedded/default@1", tmp_path / "b[/x]")
    assert run("models", "show", str(tmp_path / "b[/x]")).returncode == 0


def test_ctrl_c_ends_with_one_line(tmp_path: Path) -> None:
    row = {"question": "Who?", "context": ADA * 300, "answers": {"text": [], "answer_start": []}}
    (tmp_path / "d.jsonl").write_text((json.dumps(row) + "\n") * 2000)
    command = [sys.executable, "-m", "trifold", "evaluate", str(tmp_path / "d.jsonl")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert (out, err.splitlines()[-1]) == ("", "Interrupted.")
    assert "Traceback" not in err


def test_a_terminal_gets_colours_and_a_pipe_does_not() -> None:
    words = ["-m", "trifold", "ask", "Who wrote it?", "--passage", ADA]
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen([sys.executable, *words], stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0
    assert b"\x1b[" in shown
    assert "»".encode() not in shown


def test_an_interruption_while_modules_are_loaded_is_no_traceback() -> None:
    code = """
import runpy, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "trifold.interfaces.cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
runpy.run_module("trifold", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")
