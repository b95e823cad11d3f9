"""`trifold asr score`: transcripts against what was really said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from doubles import DATA
from trifold.errors import DataError, UsageError
from trifold.interfaces.console import Terminal
from trifold.tasks.asr.commands.score import score as command
from trifold.tasks.asr.measuring.references import read_folds, read_references, with_alignments
from trifold.tasks.asr.measuring.scoring import score
from trifold.tasks.asr.transcripts import Heard, Transcript
from trifold.tasks.asr.writing.jsonlines import write_jsonlines
from trifold.tasks.asr.writing.textgrid import write_textgrid

Score = Callable[..., tuple[int, str]]

TABLE = """id\taudio\tspeaker\tsplit\ttranscript\treference_phones\tstarts
1\taudio/one.flac\tana\tdev\tTák, e!\tt á k e\t0.000 0.100 0.200 0.300
2\taudio/two.flac\tana\tdev\tke\tk e\t0.100 0.250
3\taudio/three.flac\tben\tdev\tta "ka"\tt a SIL k a\t0.000 0.100 0.200 0.500 0.600
4\taudio/four.flac\tben\ttrain\tka\tk a\t0.000 0.100
5\taudio/five.flac\tben\ttrain\t\t\t
"""
ALIGNED = """id\tstart_s\tend_s\tphone
3\t0.000\t0.050\tSIL
3\t0.050\t0.100\tt
3\t0.100\t0.200\ta
3\t0.200\t0.500\tSIL
3\t0.500\t0.600\tk
3\t0.600\t0.700\ta
"""


def heard(audio: str, phones: str, *, words: str = "", step: float = 0.1, at: float = 0.0) -> Transcript:
    """Phones of `step` seconds each, one after the other."""
    names = phones.split()
    found = tuple(Heard(name, at + i * step, at + (i + 1) * step, 0.5) for i, name in enumerate(names))
    return Transcript(audio, 9.0, found, tuple(Heard(word, 0, 1, 0.5) for word in words.split()), "model@1")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "references.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


@pytest.fixture
def run_score(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Score:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str | Path) -> tuple[int, str]:
        code = command.main([str(word) for word in words], prog_name="score", standalone_mode=False, obj=Terminal())
        return code, capsys.readouterr().out

    return run


def hypotheses(path: Path, transcripts: Sequence[Transcript]) -> Path:
    write_jsonlines(transcripts, path)
    return path


def test_phone_errors_are_counted_by_kind_and_speaker(table: Path) -> None:
    found = score(
        [
            heard("elsewhere/one.wav", "t a k e SIL"),  # á -> a
            heard("two.mp3", "k"),  # e missed
            heard("three", "t a k a s"),  # s made up
            heard("four.wav", "k a"),
            heard("stranger.wav", "k a"),
        ],
        read_references(table),
    )
    assert found.phones is not None
    assert found.phones.length == 4 + 2 + 4 + 2
    assert found.phones.rate == pytest.approx(3 / 12)
    assert dict(found.phones.confused) == {("á", "a"): 1}
    assert (dict(found.phones.deleted), dict(found.phones.inserted)) == ({"e": 1}, {"s": 1})
    assert {name: errors.rate for name, errors in found.speakers.items()} == {"ana": 2 / 6, "ben": 1 / 6}
    assert found.without_reference == ("stranger",)
    assert (found.without_hypothesis, found.words) == ((), None)


def test_a_recording_without_a_transcript_is_deleted_throughout(table: Path) -> None:
    found = score([heard("one.wav", "t á k e", words="ták e")], read_references(table, split="dev"))
    assert found.phones is not None
    assert found.words is not None
    assert found.bounds is not None
    assert (found.references, found.without_hypothesis) == (3, ("two", "three"))
    assert (found.phones.length, found.phones.deleted.total()) == (10, 6)
    assert (found.words.length, found.words.deleted.total()) == (5, 3)
    assert found.bounds.recall < found.bounds.precision == 1


def test_case_punctuation_and_composition_do_not_count(table: Path) -> None:
    found = score([heard("one.wav", "t a\u0301 k e", words="TA\u0301K e")], read_references(table, split="dev")[:1])
    assert found.words is not None
    assert found.phones is not None
    assert (found.words.rate, found.phones.rate) == (0, 0)


def test_folds_count_on_both_sides(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "fold"
    path.write_text("# tones\na\u0301\ta  # high\n\nk\ne\ta\n", encoding="utf-8")
    folds = read_folds(path)
    assert folds == {"á": "a", "k": "", "e": "a"}
    found = score([heard("one.wav", "t e á")], read_references(table)[:1], folds=folds)
    assert found.phones is not None
    assert (found.phones.length, found.phones.rate) == (3, 0)
    for content, says in (("a b c", "found 3 phones"), ("a b\na c", "line 2: a counts as"), ("# no", "no such line")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=says):
            read_folds(path)


def test_boundaries_are_starts_within_20_ms(table: Path) -> None:
    one = read_references(table)[:1]
    near = score([heard("one", "x x x x", step=0.106)], one).bounds
    assert near is not None
    assert (near.wanted, near.found, near.matched, near.f1, near.r_value) == (3, 3, 3, 1, 1)
    far = score([heard("one", "x x x x x", step=0.13)], one).bounds
    assert far is not None
    assert (far.found, far.matched) == (4, 0)


def test_alignments_tell_where_pauses_begin(table: Path, tmp_path: Path) -> None:
    path = tmp_path / "alignments.tsv"
    path.write_text(ALIGNED, encoding="utf-8")
    references = with_alignments(read_references(table), path)
    (three,) = [reference for reference in references if reference.name == "three"]
    assert three.edges == (0.05, 0.1, 0.2, 0.5, 0.6, 0.7)
    spans = ((0.05, 0.1), (0.1, 0.2), (0.5, 0.6), (0.6, 0.7))
    exact = Transcript("three", 1.0, tuple(Heard("t", *span, 1) for span in spans))
    bounds = score([exact], [three]).bounds
    assert bounds is not None
    assert (bounds.wanted, bounds.found, bounds.f1) == (6, 6, 1)
    starts_only = [r for r in read_references(table) if r.name == "three"]
    bounds = score([exact], starts_only).bounds
    assert bounds is not None
    assert (bounds.wanted, bounds.found, bounds.matched) == (3, 4, 3)
    path.write_text(ALIGNED.replace("3\t", "33\t"), encoding="utf-8")
    with pytest.raises(DataError, match="expected the ids of the references, found none"):
        with_alignments(references, path)
    path.write_text(ALIGNED.replace("start_s", "begin"), encoding="utf-8")
    with pytest.raises(DataError, match="found no start_s"):
        with_alignments(references, path)


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (("", ""), {"phones": "gold"}, "expected the column gold, found audio, id, reference_phones"),
        (("", ""), {"split": "test"}, "expected lines of the split test, found dev, train"),
        (("two.flac", "one.wav"), {}, "line 3: one has a line before"),
        (("0.100 0.250", "0.100"), {}, "line 3: expected a start for each of 2 phones, found 1"),
        (("0.100 0.250", "0.100 0.050"), {}, "expected times in seconds from 0 on, in order"),
        (("4\taudio/four.flac", "\t"), {}, "line 5: expected the name of a recording"),
        (("k e\t", "k\te\t"), {}, "line 2: expected 7 columns, found 8"),
    ],
)
def test_what_is_wrong_with_references(
    table: Path, change: tuple[str, str], options: dict[str, str], says: str
) -> None:
    table.write_text(TABLE.replace(*change) if change[0] else TABLE, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        read_references(table, **options)


def test_two_transcripts_of_one_recording_and_those_of_others(table: Path) -> None:
    references = read_references(table)
    with pytest.raises(
        DataError, match=r"b/one.wav: expected one transcript of each recording, found another of a/one"
    ):
        score([heard("a/one.wav", "t"), heard("b/one.wav", "t")], references)
    with pytest.raises(DataError, match="such as 'nine'"):
        score([heard("nine.wav", "t")], references)


def test_the_report_says_what_is_taken_for_what(run_score: Score, table: Path, tmp_path: Path) -> None:
    path = hypotheses(tmp_path / "h", [heard("one.wav", "t a k e", words="tak e"), heard("x.wav", "\x1b[31m")])
    code, out = run_score(path, table, "--split", "dev")
    assert code == 0
    assert [line.split() for line in out.splitlines() if line.split()[:1] == ["phones"]] == [
        ["phones", "70.0%", "10", "1", "6", "0"]
    ]
    assert "á -> a  1" in out
    assert "Most often missed: k 2, a 2, e 1, t 1" in out
    assert "2 of 3 recordings have no transcript" in out
    assert "1 transcripts have no reference" in out
    assert "boundaries" in out
    assert [line.split()[1] for line in out.splitlines() if line.split()[:1] == ["words"]] == ["80.0%"]


def test_what_steers_a_terminal_is_not_printed(run_score: Score, table: Path, tmp_path: Path) -> None:
    _, out = run_score(hypotheses(tmp_path / "h", [heard("one.wav", "t \x1b[31m k [red]")]), table, "--split", "dev")
    assert "\x1b" not in out
    assert "á -> ␛[31m" in out
    assert "e -> [red]" in out


def test_json_and_the_record(run_score: Score, table: Path, tmp_path: Path) -> None:
    path, log = hypotheses(tmp_path / "h.jsonl", [heard("one.wav", "t á k e"), heard("two.wav", "k a")]), tmp_path / "l"
    found = json.loads(run_score(path, table, "--split", "dev", "--log", log, "--json")[1])
    assert (found["per"], found["wer"], found["model"]) == (pytest.approx(5 / 10), None, "model@1")
    assert found["phones"]["confused"] == [["e", "a", 1]]
    assert (found["phones"]["deletions"], found["speakers"]["ben"]["per"]) == (4, 1.0)
    assert set(found["boundaries"]) >= {"f1", "precision", "recall", "r_value"}
    folder = tmp_path / "grids"
    folder.mkdir()
    write_textgrid(heard("one.wav", "t á k e"), folder / "one.TextGrid")
    run_score(folder, table, "--log", log)
    write_textgrid(heard("one.wav", "t á k"), folder / "one.TextGrid")
    run_score(folder, table, "--log", log)
    first, second, third = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    assert (first["per"], first["wer"], first["boundary_f1"]) == (found["per"], None, found["boundaries"]["f1"])
    assert (first["model"], first["hypotheses"], first["references"]) == ("model@1", "h.jsonl", "references.tsv")
    assert (first["split"], second["split"], second["model"]) == ("dev", None, "")
    assert len({entry["sha256"] for entry in (first, second, third)}) == 3
    assert first["time"].endswith("+00:00")


def test_a_record_that_cannot_be_written_shows_no_score(run_score: Score, table: Path, tmp_path: Path) -> None:
    path = hypotheses(tmp_path / "h", [heard("one.wav", "t á k e")])
    with pytest.raises(UsageError, match="the record cannot be written"):
        run_score(path, table, "--log", tmp_path / "none" / "log")


def test_the_command_is_cheap_to_import() -> None:
    code = (
        "import sys, trifold.tasks.asr.commands.score;"
        "print(sorted({'numpy', 'torch', 'soundfile', 'rapidfuzz', 'rich.table'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.skipif(DATA is None, reason="TRIFOLD_DATA is not set")
def test_references_of_mboshi_score_themselves_without_error() -> None:
    assert DATA is not None
    folder = DATA.parent / "speech" / "mboshi"
    if not folder.is_dir():
        pytest.skip("there is no speech in TRIFOLD_DATA")
    references = with_alignments(
        read_references(folder / "utterances.tsv", split="dev"), folder / "reference_alignments.tsv"
    )
    perfect = [heard(f"{r.name}.wav", " ".join(r.phones), words=r.words or "") for r in references]
    found = score(perfect, references)
    assert found.phones is not None
    assert found.words is not None
    assert found.bounds is not None
    assert (found.phones.rate, found.words.rate, len(found.speakers)) == (0, 0, 3)
    assert found.bounds.wanted > found.phones.length
    assert found.bounds.f1 < 0.5
