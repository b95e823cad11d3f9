"""From recordings without transcripts to transcripts: an invented language is learnt, written down and scored."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile

from trifold.errors import UsageError
from trifold.interfaces.console import Terminal
from trifold.models.registry import find, home
from trifold.task import Tabular
from trifold.tasks.asr.commands.group import asr
from trifold.tasks.asr.commands.transcribe import transcribe
from trifold.tasks.asr.matching.skipgrams import match_skipgrams
from trifold.tasks.asr.measuring.references import read_references
from trifold.tasks.asr.measuring.scoring import score
from trifold.tasks.asr.refining.mixtures import Mixtures
from trifold.tasks.asr.refining.phones import STATES, PhoneModel
from trifold.tasks.asr.writing.reading import read_transcripts

pytest.importorskip("espeakng_loader", reason="the invented language is spoken by espeak-ng")

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture(scope="module", autouse=True)
def _briefly() -> Iterator[None]:
    """The last rounds hear forty seconds; test_asr_reheard.py and test_asr_ctc.py try what they are good for."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("selftaught._FRAMES", "selftaught.MORE", "networked.MORE"):
            patch.setattr(f"trifold.tasks.asr.learning.{name}", 4_000)
        yield


def invent(folder: Path, *words: str) -> Path:
    subprocess.run([sys.executable, RECIPES / "invented_language.py", folder, *words], check=True)
    return folder


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return invent(tmp_path_factory.mktemp("spoken") / "corpus", "--utterances", "240", "--sentences", "1500")


def run(*words: str | Path) -> int:
    command = transcribe if words[0] == "transcribe" else asr
    rest = [str(word) for word in (words[1:] if command is transcribe else words)]
    return int(command.main(rest, prog_name="trifold", standalone_mode=False, obj=Terminal()) or 0)


def text_of(folder: Path) -> tuple[str | Path, ...]:
    return "--text", folder / "text.txt", "--letters", folder / "letters.txt"


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, spoken: Path) -> str:
    """The model's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIFOLD_HOME", str(tmp_path_factory.mktemp("home")))
        assert run("train", "--audio", spoken / "audio", *text_of(spoken), "--name", "taught", "--seeds", "2") == 0
        return str(find("taught").path)


def test_a_language_is_learnt_without_a_transcript(taught: str, spoken: Path, tmp_path: Path) -> None:
    manifest = find(taught).manifest
    assert manifest["learnt"]["verdict"] == "took off"
    output = tmp_path / "heard.jsonl"
    assert run("transcribe", spoken / "audio", "--model", taught, "--output", output) == 0
    result = score(read_transcripts(output), read_references(spoken / "utterances.tsv"))
    found = result.to_dict()
    assert result.phones is not None
    assert result.phones.rate < 0.15, found
    assert result.words is not None
    assert result.words.rate < 0.4
    assert result.bounds is not None
    assert result.bounds.f1 > 0.7
    heard = read_transcripts(output)
    for one in heard:
        assert all(a.end <= b.start + 1e-3 for a, b in zip(one.phones, one.phones[1:], strict=False))
        assert all(0 <= phone.confidence <= 1 and phone.start < phone.end <= one.seconds + 1e-3 for phone in one.phones)


def test_a_voice_that_the_model_does_not_know_is_told(
    taught: str, spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    for number, path in enumerate(sorted((spoken / "audio").iterdir())[:5]):
        samples, rate = soundfile.read(path)
        soundfile.write(audio / f"known{number}.wav", samples, rate)
        soundfile.write(audio / f"strange{number}.wav", samples, int(1.6 * rate))  # as of someone far smaller
    output = tmp_path / "heard.jsonl"
    assert run("transcribe", audio, "--model", taught, "--output", output) == 0
    warned = {Path(one.audio).stem for one in read_transcripts(output) if "unlike" in " ".join(one.warnings)}
    assert warned == {f"strange{number}" for number in range(5)}
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("strange") == 3, "three are named, the others are counted"
    assert "2 more: the voice is unlike" in said


def test_a_voice_of_another_language_is_a_start(spoken: Path, tmp_path: Path) -> None:
    """The recordings are by a Swahili voice; the one that reads the text aloud is Romanian."""
    letters = [line.split()[0] for line in (spoken / "letters.txt").read_text("utf-8").splitlines() if line[:1] != "#"]
    said = tmp_path / "said.txt"
    said.write_text("".join(f"{letter}\t{letter}\n" for letter in letters), encoding="utf-8")
    text = tmp_path / "text.txt"
    text.write_text("".join((spoken / "text.txt").read_text("utf-8").splitlines(keepends=True)[:600]), "utf-8")
    few = tmp_path / "audio"
    few.mkdir()
    for path in sorted((spoken / "audio").iterdir())[:120]:
        (few / path.name).symlink_to(path)
    given = ("--text", text, "--letters", spoken / "letters.txt")
    words = ("train", "--audio", few, *given, "--name", "begun", "--seeds", "1", "--anyway")
    assert run(*words, "--speak", "ro", "--mnemonics", said) == 0
    manifest = find("begun").manifest
    assert manifest["read_aloud"]["voices"][0]["voice"] == "ro"
    assert manifest["learnt"]["verdict"] == "doubtful"  # one seed only
    output = tmp_path / "heard.jsonl"
    assert run("transcribe", few, "--model", "begun", "--output", output) == 0
    names = {path.stem for path in few.iterdir()}
    references = [one for one in read_references(spoken / "utterances.tsv") if one.name in names]
    result = score(read_transcripts(output), references)
    assert result.phones is not None
    assert result.phones.rate < 0.15


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--mnemonics", "said.txt"), "--mnemonics: expected a voice"),
        (("--speak", "sw"), "--speak: expected a text"),
    ],
)
def test_what_is_read_aloud_needs_a_voice_and_a_text(words: tuple[str, ...], wrong: str, spoken: Path) -> None:
    with pytest.raises(UsageError, match=wrong):
        run("train", "--audio", spoken / "audio", *words)


def test_a_text_of_another_language_is_not_taken_for_this_one(
    spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = invent(tmp_path / "other", "--utterances", "1", "--sentences", "1500", "--seed", "77")
    assert run("train", "--audio", spoken / "audio", *text_of(other), "--name", "wrong", "--seeds", "3") == 0
    assert "took off" not in capsys.readouterr().out.replace("did not take off", "")
    learnt = find("wrong").manifest["learnt"]
    assert learnt["verdict"] != "took off"
    assert "seeds agree" in " ".join(learnt["causes"])


def test_without_text_there_are_units_that_come_again_for_the_same_sounds(spoken: Path, tmp_path: Path) -> None:
    assert run("train", "--audio", spoken / "audio", "--name", "units", "--units", "30") == 0
    output = tmp_path / "units.jsonl"
    assert run("transcribe", spoken / "audio", "--model", "units", "--output", output) == 0
    references = {one.name: one for one in read_references(spoken / "utterances.tsv")}
    table: dict[tuple[str, str], int] = {}
    for one in read_transcripts(output):
        reference = references[Path(one.audio).stem]
        assert reference.edges is not None
        if len(reference.edges) + 1 != len(reference.phones):
            continue  # the synthesiser said two sounds for a phone, or one for two
        for unit in one.phones:
            at = int(np.searchsorted(reference.edges, (unit.start + unit.end) / 2, "right"))
            key = unit.text, reference.phones[min(at, len(reference.phones) - 1)]
            table[key] = table.get(key, 0) + 1
    best: dict[str, int] = {}
    for (unit_name, _), count in table.items():
        best[unit_name] = max(best.get(unit_name, 0), count)
    assert sum(best.values()) / sum(table.values()) > 0.7


def test_training_goes_on_with_the_seeds_that_are_done(spoken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trifold.tasks.asr.learning import reading

    done: list[int] = []
    original = match_skipgrams

    def interrupted(*words: object, **options: object) -> object:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(1)
        return original(*words, **options)  # type: ignore[arg-type]

    words = ("train", "--audio", spoken / "audio", *text_of(spoken), "--name", "again", "--seeds", "2", "--seed", "9")
    monkeypatch.setattr(reading, "match_skipgrams", interrupted)
    with pytest.raises((KeyboardInterrupt, click.Abort)):
        run(*words)
    calls: list[int] = []

    def counted(*words: object, **options: object) -> object:
        calls.append(1)
        return original(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "match_skipgrams", counted)
    assert run(*words, "--resume") == 0
    assert len(calls) == 1
    assert not list(home().glob("asr-work/*/*"))


def test_recordings_that_cannot_be_used_are_named_and_harm_no_other(
    taught: str, spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = next((spoken / "audio").iterdir())
    (tmp_path / "good.wav").write_bytes(good.read_bytes())
    (tmp_path / "broken.wav").write_bytes(b"RIFF and nothing else")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    output = tmp_path / "out.jsonl"
    assert run("transcribe", tmp_path, "--model", taught, "--output", output) == 3
    told = capsys.readouterr().err
    assert "broken.wav" in told
    assert "no speech" in told
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert {Path(row["audio"]).name: bool(row["phones"]) for row in rows} == {"good.wav": True, "silent.wav": False}


def test_too_little_speech_stops_before_hours_are_spent(
    tmp_path: Path, spoken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = tmp_path / "few"
    audio.mkdir()
    for path in sorted((spoken / "audio").iterdir())[:20]:
        (audio / path.name).write_bytes(path.read_bytes())
    assert run("train", "--audio", audio, *text_of(spoken), "--name", "few") == 2
    assert "minutes" in capsys.readouterr().err


def test_a_batch_job_reads_recordings_as_transcribe_does(taught: str, spoken: Path, tmp_path: Path) -> None:
    from trifold.engine.loaded import open_model
    from trifold.engine.runner import Runner

    paths = sorted((spoken / "audio").iterdir())[:6]
    model = open_model(find(taught))
    runner = Runner(model)
    together = dict(runner.map((i, {"audio": str(p)}) for i, p in enumerate(paths)))
    for i, path in enumerate(paths):
        ((_, alone),) = runner.map([(0, {"audio": str(path)})])
        assert alone == together[i]
    assert isinstance(model.task, Tabular)
    cells = model.task.cells(together[0])
    assert cells["phones"]
    assert 0 < cells["confidence"] <= 1


def test_a_table_of_recordings_is_a_batch(taught: str, spoken: Path, tmp_path: Path) -> None:
    from trifold.interfaces.batch import batch

    good = next((spoken / "audio").iterdir())
    (tmp_path / "rows.csv").write_text(f"id,audio\nfirst,{good}\nsecond,{tmp_path / 'missing.wav'}\n", "utf-8")
    words = [str(tmp_path / "rows.csv"), str(tmp_path / "out.jsonl"), "--model", taught]
    code = batch.main(words, prog_name="batch", standalone_mode=False, obj=Terminal())
    assert code == 3
    (row,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert row["id"] == "first"
    assert len(row["phones"].split()) > 5
    (error,) = [path.read_text("utf-8") for path in tmp_path.glob("*error*")]
    assert "missing.wav" in error


def test_callers_of_a_server_cannot_have_its_files_read(taught: str, spoken: Path) -> None:
    from trifold.engine.loaded import open_model
    from trifold.errors import InvalidInput
    from trifold.interfaces.http.settings import Settings

    task = open_model(find(taught)).task
    there = {"audio": str(next((spoken / "audio").iterdir()))}
    missing = {"audio": str(spoken / "missing.wav")}
    said = []
    for raw in (there, missing):
        with pytest.raises(InvalidInput) as refused:
            task.check(raw, Settings().limits)
        said.append(str(refused.value))
    assert said[0] == said[1]  # nor does it tell which there are
    assert "transcribe" in said[0]


def test_a_name_that_cannot_be_had_is_told_before_anything_is_learnt(
    spoken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trifold.errors import InvalidInput
    from trifold.tasks.asr.learning import reading

    monkeypatch.setattr(reading, "match_skipgrams", lambda *_, **__: pytest.fail("it was learnt first"))
    with pytest.raises(InvalidInput, match="name"):
        run("train", "--audio", spoken / "audio", *text_of(spoken), "--name", "Not A Name", "--seeds", "1")


def stages_of_few(spoken: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """Of a model of sixty recordings, as its manifest has them."""
    few = tmp_path / "few"
    few.mkdir()
    for one in sorted((spoken / "audio").iterdir())[:60]:
        (few / one.name).symlink_to(one)
    assert run("train", "--audio", few, *text_of(spoken), "--name", "few", "--seeds", "1", "--anyway") == 0
    return list(find("few").manifest["learnt"]["stages"])


def test_last_rounds_are_not_kept_where_phones_look_less_like_the_text(
    spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though what was set apart had become likelier."""

    def others(model: PhoneModel, *_: object) -> PhoneModel:
        sounds = model.sounds
        turned = [np.roll(one, 3 * STATES, 0) for one in (sounds.weights, sounds.means, sounds.variances)]
        return replace(model, sounds=Mixtures(*turned))

    for name in ("self_taught", "beside_network"):
        monkeypatch.setattr(f"trifold.tasks.asr.learning.learn.{name}", others)
    monkeypatch.setenv("TRIFOLD_HOME", str(tmp_path))
    stages = stages_of_few(spoken, tmp_path)
    assert [one["name"] for one in stages[-2:]] == ["heard with 5 phones before each", "heard beside networks"]
    assert [one["kept"] for one in stages[-2:]] == [False, False]
    assert any(one["kept"] for one in stages[1:-2])


def test_rounds_that_make_what_is_set_apart_no_likelier_are_told(
    spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("self_taught", "beside_network"):
        monkeypatch.setattr(f"trifold.tasks.asr.learning.learn.{name}", lambda *_: None)
    stages = stages_of_few(spoken, tmp_path)
    assert [(one["place"], one["kept"]) for one in stages[-2:]] == [(None, False)] * 2
    told = capsys.readouterr().err
    assert "heard beside networks                –" in told
    assert "–: recordings that were set apart" in told
