"""`trifold asr check`: what will go wrong when a model is learnt, told before it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from trifold.errors import DataError, UsageError
from trifold.interfaces.console import Terminal
from trifold.tasks.asr.checking import recordings as looking
from trifold.tasks.asr.checking.findings import findings, fit
from trifold.tasks.asr.checking.recordings import Recording, Recordings, Unreadable, survey
from trifold.tasks.asr.checking.wording import Wording, survey_text
from trifold.tasks.asr.commands.check import check
from trifold.tasks.asr.text.letters import Dictionary, Letters

RATE = 16_000
Check = Callable[..., tuple[int, str]]


def voice(seconds: float, seed: int = 0, pace: float = 10.0, rate: int = RATE, pause: float = 0.2) -> Any:
    """Something like speech: `pace` tones of different pitch a second, between pauses."""
    chance = np.random.default_rng(seed)
    size = round(rate / pace)
    times = np.arange(size) / rate
    tones = [np.sin(2 * np.pi * chance.uniform(300, 6000) * times) for _ in range(int(seconds * pace) + 1)]
    sound = 0.3 * np.concatenate(tones)[: round(seconds * rate)]
    quiet = round(pause * rate)
    if quiet:
        sound[:quiet] = sound[-quiet:] = 0
    return (sound + 1e-4 * chance.standard_normal(len(sound))).astype(np.float32)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    folder = tmp_path / "audio"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"good{number}.wav", voice(4, number), RATE)
    return folder


@pytest.fixture
def run_check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("COLUMNS", "400")

    def run(*words: str | Path) -> tuple[int, str]:
        code = check.main([str(word) for word in words], prog_name="check", standalone_mode=False, obj=Terminal())
        return code, capsys.readouterr().out

    return run


def told(found: list[Any], level: str) -> str:
    return "\n".join(finding.what for finding in found if finding.level == level)


def heard(minutes: float = 30, count: int = 600, **changed: Any) -> Recordings:
    """Recordings without a fault, but for what is changed."""
    seconds = minutes * 60 / count
    pace = changed.pop("pace", 12.0)
    values: dict[str, Any] = {"seconds": seconds, "speech": 0.8 * seconds, "rate": RATE, "channels": 1, "clipped": 0.0}
    files = [
        Recording(**{"path": Path(f"{i}.wav"), "segments_a_second": pace, "digest": str(i), **values, **changed})
        for i in range(count)
    ]
    return Recordings(tuple(files), (), pace)


ALPHABET = "abdegiklmnoprstu"
TABLE = Letters({letter: (letter,) for letter in ALPHABET})


def text(count: int = 400, letters: str = ALPHABET, words: int = 6, seed: int = 0) -> list[str]:
    chance = np.random.default_rng(seed)
    return [" ".join("".join(chance.choice(list(letters), 4)) for _ in range(words)) for _ in range(count)]


def worded(sentences: list[str] | None = None, table: Any = TABLE) -> Wording:
    return survey_text(text() if sentences is None else sentences, table)


def test_a_corpus_without_a_fault_has_no_finding() -> None:
    assert findings(heard(), worded()) == []
    only = findings(heard(), None)
    assert [finding.level for finding in only] == ["note"]
    assert "units of sound can be found" in only[0].what
    assert fit(only)


def test_recordings_are_measured(audio: Path) -> None:
    soundfile.write(audio / "z.flac", np.stack([voice(2, 9, rate=44_100)] * 2, 1), 44_100)
    progress: list[tuple[int, int]] = []
    found = survey(sorted(audio.iterdir()), lambda done, total: progress.append((done, total)))
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    last = found.files[-1]
    assert (last.rate, last.channels, last.clipped) == (44_100, 2, 0.0)
    assert last.seconds == pytest.approx(2, abs=0.01)
    assert found.seconds == pytest.approx(14, abs=0.02)
    assert [file.speech for file in found.files] == pytest.approx([3.6, 3.6, 3.6, 1.6], abs=0.25)
    assert found.silence == pytest.approx(1 - 12.4 / 14, abs=0.05)
    assert found.segments_a_second == pytest.approx(10, rel=0.25)
    assert all(8 < (file.segments_a_second or 0) < 13 for file in found.files)


def test_the_rate_of_sounds_is_the_rate_of_sounds(tmp_path: Path) -> None:
    found = []
    for pace in (4.0, 12.0):
        soundfile.write(tmp_path / "a.wav", voice(6, pace=pace, pause=0), RATE)
        found.append(survey([tmp_path / "a.wav"]).segments_a_second)
    assert found == pytest.approx([4, 12], rel=0.35)


def test_long_corpora_are_sampled_evenly(audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3, 10):
        soundfile.write(audio / f"good{number}.wav", voice(4, number), RATE)
    monkeypatch.setattr(looking, "_KEPT", 1200)
    found = survey(sorted(audio.iterdir()))
    assert [i for i, file in enumerate(found.files) if file.segments_a_second] == [0, 4, 8]
    monkeypatch.setattr(looking, "_KEPT_OF_ONE", 100)
    assert survey(sorted(audio.iterdir())).segments_a_second == pytest.approx(10, rel=0.3)


def test_broken_and_empty_files_are_named_and_left_out(audio: Path) -> None:
    (audio / "sub").mkdir()
    (audio / "sub" / "broken.wav").write_bytes(b"RIFF0000WAVEfmt nothing")
    (audio / "empty.wav").touch()
    soundfile.write(audio / "header.wav", np.zeros(0, np.float32), RATE)
    found = survey(sorted(audio.rglob("*.wav")))
    assert len(found.files) == 3
    assert all(str(audio) not in file.why for file in found.unreadable)
    warned = told(findings(found, None), "warning")
    assert "3 of 6 recordings cannot be read: empty.wav, header.wav, sub/broken.wav." in warned


def test_nothing_that_can_be_read_stops(run_check: Check, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    code, out = run_check("--audio", tmp_path)
    assert code == 2
    assert "stop Not one of 1 recording can be read. a.wav: cannot be read as audio" in out
    assert "Not fit to learn from" in out


def test_a_folder_of_anything_else_is_refused(run_check: Check, tmp_path: Path) -> None:
    (tmp_path / "notes.docx").touch()
    with pytest.raises(DataError, match=r"found only \.docx"):
        run_check("--audio", tmp_path)
    with pytest.raises(DataError, match="nothing of that name"):
        run_check("--audio", tmp_path / "absent")


def test_silence_stops_where_all_of_it_is(audio: Path, tmp_path: Path) -> None:
    silent = [tmp_path / f"s{i}.wav" for i in range(2)]
    for path in silent:
        soundfile.write(path, np.zeros(3 * RATE, np.float32), RATE)
    found = findings(survey(silent), None)
    assert "Nobody speaks in any of 2 recordings" in told(found, "stop")
    some = findings(survey([*sorted(audio.iterdir()), *silent]), None)
    assert "Nobody speaks in 2 of 5 recordings: s0.wav, s1.wav." in told(some, "warning")
    assert "Copies" not in told(some, "warning"), "silence is not a copy of silence"


def test_clipped_recordings_are_named(audio: Path) -> None:
    soundfile.write(audio / "loud.wav", np.clip(20 * voice(4, 7), -1, 1), RATE)
    soundfile.write(audio / "once.wav", np.concatenate([voice(4, 8), np.ones(9, np.float32)]), RATE)
    warned = told(findings(survey(sorted(audio.iterdir())), None), "warning")
    assert "1 of 5 recordings are clipped, up to " in warned
    assert ": loud.wav." in warned


def test_copies_are_found_whatever_their_format(audio: Path) -> None:
    sound, _ = soundfile.read(audio / "good1.wav")
    soundfile.write(audio / "same.flac", sound, RATE)
    warned = told(findings(survey(sorted(audio.iterdir())), None), "warning")
    assert "Copies among the recordings: same.flac is good1.wav." in warned


def test_short_recordings(audio: Path, tmp_path: Path) -> None:
    short = [tmp_path / f"w{i}.wav" for i in range(3)]
    for i, path in enumerate(short):
        soundfile.write(path, voice(0.9, i, pause=0.05), RATE)
    assert "Every recording is shorter than one second" in told(findings(survey(short), None), "warning")
    for i, path in enumerate(short):
        soundfile.write(path, voice(0.2, i, pause=0), RATE)
    assert "Every recording is shorter than 0.3 seconds" in told(findings(survey(short), None), "stop")
    some = told(findings(survey([*sorted(audio.iterdir()), *short]), None), "warning")
    assert "3 of 6 recordings are shorter than 0.3 seconds: w0.wav, w1.wav, w2.wav." in some


@pytest.mark.parametrize(
    ("minutes", "level", "said"),
    [
        (3, "stop", "3 minutes of audio in all, 2.4 minutes of it speech"),
        (0.5, "stop", "30 seconds of audio in all, 24 seconds of it speech"),
        (12, "warning", "12 minutes of audio in all, 9.6 minutes of it speech"),
        (26, "", ""),
    ],
)
def test_too_little_audio(minutes: float, level: str, said: str) -> None:
    found = findings(heard(minutes, count=10), None)
    assert [finding.level for finding in found if "in all" in finding.what] == [level][: len(level)]
    assert said in told(found, level)
    assert fit(found) == (level != "stop")


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        (
            {"rate": 6000},
            "warning",
            "fewer than 8,000 samples a second: 0.wav, 1.wav, 2.wav, 3.wav, 4.wav and 595 more",
        ),
        ({"rate": 8000}, "note", "fewer than 16,000 samples"),
        ({"speech": 1.0, "seconds": 4.0}, "note", "75% of the audio is silence"),
        ({"pace": 3.0}, "warning", "3.0 sounds in a second of speech"),
        ({"pace": 22.0}, "warning", "22.0 sounds in a second of speech"),
        ({"digest": "one"}, "warning", "Copies among the recordings: 599, 1.wav, 2.wav, "),
    ],
)
def test_recordings_that_will_be_learnt_worse(changed: dict[str, Any], level: str, said: str) -> None:
    assert said in told(findings(heard(**changed), None), level)


def test_a_text_is_measured() -> None:
    found = survey_text(["Ba da, 3 ba!", "ba xa", "...", "da"], Letters({"a": ("a",), "b": ("b",), "d": ("d",)}))
    assert (found.sentences, found.usable, found.dropped, found.wordless, found.with_digits) == (4, 2, 1, 1, 1)
    assert (found.words, found.vocabulary, found.phones) == (6, 3, 8)
    assert (found.phones_a_word, found.phones_a_sentence) == (2.0, 4.0)
    assert (dict(found.letters), dict(found.unknown), set(found.table)) == ({"x": 1}, {"xa": 1}, {"LATIN"})
    assert found.inventory is not None
    assert found.inventory.phones[1:] == ("a", "b", "d")


def test_letters_outside_the_table_are_counted() -> None:
    few = findings(heard(), worded(text(380) + ["baçe öda ça"] * 30))
    assert "The table lacks ç (60), ö (30): 30 of 410 sentences (7%) are left out." in told(few, "warning")
    assert fit(few)
    most = findings(heard(), worded(text(380) + ["baça"] * 400))
    assert "The table lacks ç (400): 400 of 780 sentences (51%)" in told(most, "stop")
    assert "(1%)" in told(findings(heard(), worded(text(400) + ["ça"] * 5)), "note")


def test_a_text_of_another_script_stops_with_one_reason() -> None:
    found = findings(heard(), worded(text(400, "абвгдежз")))
    assert [finding.level for finding in found] == ["stop"]
    assert found[0].what.startswith("The text is in the script Cyrillic, the table in Latin: 400 of 400 sentences")


def test_a_text_of_another_language_stops() -> None:
    dictionary = Dictionary({"the": ("DH", "AH"), "house": ("HH", "AW", "S"), "is": ("IH", "Z")})
    found = findings(heard(), worded(["das haus ist alt", "the house is"] + ["wo ist das"] * 400, dictionary))
    assert "How to pronounce das (401), ist (401), wo (400)" in told(found, "stop")
    assert "400" in told(found, "stop")


@pytest.mark.parametrize(
    ("sentences", "table", "level", "said"),
    [
        (text(40), TABLE, "stop", "40 sentences can be learnt from: too few"),
        (text(200), TABLE, "warning", "200 sentences can be learnt from: few"),
        (text(400, "abst"), TABLE, "warning", "4 different phones"),
        (["aaa aaa"] * 400, TABLE, "stop", "fewer than two different phones"),
        (text(100) * 4, TABLE, "warning", "Only 100 of 400 sentences are different"),
        ([*text(4000), "fa"], Letters({c: (c,) for c in ALPHABET + "f"}), "note", "too rare to be learnt: f (1)"),
        ([f"{s} 42" for s in text()], TABLE, "note", "Numerals, which are skipped, stand in 400 sentences"),
        ([*text(), "42", "..."], TABLE, "note", "No word stands in 2 sentences"),
        (text(400, words=1), TABLE, "warning", "recordings are longer"),
        (text(400, words=90), TABLE, "warning", "sentences are longer"),
    ],
)
def test_texts_that_will_be_learnt_worse(sentences: list[str], table: Any, level: str, said: str) -> None:
    assert said in told(findings(heard(), worded(sentences, table)), level)


def test_too_many_phones() -> None:
    many = [chr(0x4E00 + i) for i in range(90)]
    table = Letters({letter: (f"p{i}",) for i, letter in enumerate(many)})
    assert "90 different phones" in told(findings(heard(), worded(text(2000, "".join(many)), table)), "warning")


def test_the_worst_stands_first() -> None:
    found = findings(heard(3, count=60, rate=8000), worded(text(200)))
    assert [finding.level for finding in found] == ["stop", "warning", "note"]
    assert all(finding.remedy for finding in found)


def test_the_report(run_check: Check, audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").write_text("\n".join([*text(), "ba\u202eça"]), encoding="utf-8")
    (tmp_path / "letters").write_text("".join(f"{c} {c}\n" for c in ALPHABET), encoding="utf-8")
    options = ("--audio", audio, "--text", tmp_path / "text", "--letters", tmp_path / "letters")
    code, out = run_check(*options)
    assert code == 2
    flat = " ".join(out.split())
    assert "audio 12 seconds" in flat
    assert "inventory 16: a b d e" in flat
    assert "to be learnt from 400 (100%)" in flat
    assert "stop 12 seconds of audio in all" in flat
    assert "Add recordings: 20 minutes of speech" in flat
    assert "note The table lacks ç (1)" in flat
    code, out = run_check(*options, "--json")
    reply = json.loads(out)
    assert (code, reply["fit"]) == (2, False)
    assert reply["findings"][0]["level"] == "stop"
    assert [Path(file["path"]).name for file in reply["audio"]["files"]] == ["good0.wav", "good1.wav", "good2.wav"]
    assert reply["text"]["letters"] == {"ç": 1}
    assert reply["text"]["inventory"]["phones"] == sorted(ALPHABET)


def test_warnings_do_not_stop(run_check: Check, audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trifold.tasks.asr.checking.sound_findings._LEAST", 5.0)
    code, out = run_check("--audio", audio)
    assert code == 0
    assert "warning 12 seconds of audio in all" in out
    assert "Fit to learn from, with warnings." in out


def test_names_cannot_steer_the_terminal(run_check: Check, audio: Path) -> None:
    (audio / "[red]\x1b[2J.wav").touch()
    _, out = run_check("--audio", audio)
    assert "\x1b" not in out
    assert "[red]␛[2J.wav" in out


def test_a_text_needs_a_way_to_pronounce_it_and_the_other_way_round(run_check: Check, audio: Path) -> None:
    with pytest.raises(UsageError, match="expected one of letters"):
        run_check("--audio", audio, "--text", audio)
    with pytest.raises(UsageError, match="--text: expected a text to pronounce"):
        run_check("--audio", audio, "--espeak", "sw")


def test_unreadable_and_nothing_else() -> None:
    found = findings(Recordings((), (Unreadable(Path("a.wav"), "no."), Unreadable(Path("b.wav"), "no.")), None), None)
    assert "Not one of 2 recordings can be read. a.wav: no." in told(found, "stop")
