"""A model of one voice reads another, once it was adapted to it: the map's estimate, and what users see of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort
import pytest

from asr_mixtures import random_mixtures
from trifold.engine.loaded import open_model
from trifold.errors import ModelDamaged
from trifold.interfaces.console import Terminal
from trifold.models.folder import write_manifest
from trifold.models.registry import find
from trifold.task import Limits
from trifold.tasks.asr.adapting.recordings import adapted, voices
from trifold.tasks.asr.adapting.voices import ROUNDS, Reader, Voice, brought
from trifold.tasks.asr.commands.transcribe import transcribe
from trifold.tasks.asr.decoder import Decoder, Usual
from trifold.tasks.asr.decoding.phones import grams_of
from trifold.tasks.asr.making.graph import read_graph, write_graph
from trifold.tasks.asr.making.initialisers import initialisers
from trifold.tasks.asr.making.names import INPUT, OUTPUT
from trifold.tasks.asr.matching.chains import Chain
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.refining.maps import Map, through
from trifold.tasks.asr.refining.phones import PhoneModel
from trifold.tasks.asr.refining.told import learn_told
from trifold.tasks.asr.sound.audio import RATE
from trifold.tasks.asr.sound.encoders import Encoder
from trifold.tasks.asr.sound.features import mfcc, warping
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import Scale, all_parts, scale_of, sounds
from trifold.tasks.asr.task import AsrTask, open_task
from trifold.tasks.asr.transcripts import Transcript
from trifold.tasks.asr.writing.reading import read_transcripts

PHONES = ("", "a", "e", "i", "o", "u", "y")
FORMANTS = ((750, 1250), (500, 1900), (300, 2300), (450, 850), (320, 1150), (350, 1550))
LOWER = 0.82
"""Of another voice's formants beside the known one's."""


def test_features_of_an_encoder_are_mapped_from_where_they_are() -> None:
    """They tell of no throat."""
    chance = np.random.default_rng(10)
    sounds = random_mixtures(chance, 9, 1)
    even, stays = np.full(3, 1 / 3), np.full(9, 0.7)
    chain = Chain(even, np.full((3, 3), 0.3), np.full(3, 0.1))
    scale = Scale(np.zeros(17, np.float32), np.ones(17, np.float32))
    decoder = Decoder(("", "a", "b"), scale, stays, chain, hearing=Hearing(encoder=cast(Encoder, object())))
    path = np.repeat([3, 4, 5, 6, 7, 8, 0, 1, 2] * 60, 4)
    frames = sounds.means[path, 0] + np.sqrt(sounds.variances[path, 0]) * chance.standard_normal((len(path), 4))
    away = Map(np.eye(4) + 0.1 * chance.standard_normal((4, 4)), 0.8 * chance.standard_normal(4))
    found = brought(Reader(decoder, sounds, 0.5), [away.apply(frames[:200]), away.apply(frames[200:])])
    assert found.helps
    assert found.frames == len(path)
    back = found.map.apply(away.apply(frames))
    assert np.square(back - frames).mean() < 0.25 * np.square(away.apply(frames) - frames).mean()


@pytest.mark.parametrize("space", [None, Map(np.eye(4) * 2 + 0.3, np.full(4, 3.0))])
def test_each_distribution_moves_by_itself_after_the_map(space: Map | None) -> None:
    """One that no map of all frames can bring back."""
    chance = np.random.default_rng(11)
    sounds = random_mixtures(chance, 9, 1)
    chain = Chain(np.full(3, 1 / 3), np.full((3, 3), 0.3), np.full(3, 0.1))
    scale = Scale(np.zeros(17, np.float32), np.ones(17, np.float32))
    decoder = Decoder(("", "a", "b"), scale, np.full(9, 0.7), chain, hearing=Hearing(encoder=cast(Encoder, object())))
    path = np.repeat([3, 4, 5, 6, 7, 8, 0, 1, 2] * 80, 4)
    means = sounds.means[:, 0].copy()
    means[4] += 1.2
    away = Map(np.eye(4) + 0.1 * chance.standard_normal((4, 4)), 0.8 * chance.standard_normal(4))
    frames = away.apply(means[path] + np.sqrt(sounds.variances[path, 0]) * chance.standard_normal((len(path), 4)))
    if space is not None:
        frames = space.undone().apply(frames)
    told: list[int] = []
    found = brought(Reader(decoder, sounds, 0.5, space), [frames], lambda done, _: told.append(done))
    assert found.helps
    assert found.reader is not None
    assert told == sorted(told)
    assert told[-1] == ROUNDS
    # The map is for the graph, which tells how strange the voice is; what has moved has one of its own.
    known = Reader(decoder, sounds, 0.5, space).scores(found.map.apply(frames))
    assert known.max(1).mean() == pytest.approx(found.after, abs=1e-3)
    mapped = through(found.reader.space, found.map.apply(frames))
    centres = np.stack([mapped[path == state].mean(0) for state in range(9)])
    before = np.abs(sounds.means[:, 0] - centres).mean(1)
    after = np.abs(found.reader.sounds.means[:, 0] - centres).mean(1)
    assert after[4] < 0.3 * before[4]
    assert after.mean() < 0.5 * before.mean()
    # Each state lasts four frames, and the model thinks three and a third.
    assert np.abs(found.reader.decoder.stays - 0.75).mean() < 0.02
    scores = found.scores(found.map.apply(frames))
    assert scores is not None
    assert np.allclose(scores, 0.5 * found.reader.sounds.scores(mapped), rtol=1e-4, atol=1e-4)


def said(phones: Sequence[int], lower: float, chance: np.random.Generator) -> Any:
    """Samples of vowels one after the other, 90 to 140 ms each, in a quiet room."""
    parts = [np.zeros(RATE // 4)]
    for phone in phones:
        count = int(RATE * chance.uniform(0.09, 0.14))
        spectrum = np.fft.rfft(chance.standard_normal(count))
        frequency = np.fft.rfftfreq(count, 1 / RATE)
        heard = sum(np.exp(-(((frequency - lower * f) / 120) ** 2)) for f in FORMANTS[phone - 1])
        high = np.exp(-(((frequency - lower * 3300) / 300) ** 2))
        parts.append(np.fft.irfft(spectrum * (heard + 0.3 * high + 0.003), count))
    samples = np.concatenate([*parts, np.zeros(RATE // 4)])
    return (0.1 * samples / samples.std() + 1e-4 * chance.standard_normal(len(samples))).astype(np.float32)


def sentences(count: int, seed: int) -> list[list[int]]:
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        one = [int(chance.integers(1, 7))]
        while len(one) < 12:
            one.append(int(chance.choice([p for p in range(1, 7) if p != one[-1]])))
        found.append(one)
    return found


@pytest.fixture(scope="module", params=["as they are", "mapped"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learnt of one voice, with what it says: of its frames as they are, or of mapped ones."""
    pytest.importorskip("onnx")
    phones = sentences(40, 0)
    chance = np.random.default_rng(1)
    heard = [Hearing().listened(said(one, 1.0, chance)) for one in phones]
    scale = scale_of(heard)
    parts = all_parts(heard, scale)
    frames = [sounds(part.frames) for _, part in parts]
    assert [number for number, _ in parts] == list(range(len(phones)))
    space = None
    if request.param == "mapped":
        turned = np.eye(frames[0].shape[1]) + 0.05 * chance.standard_normal((frames[0].shape[1],) * 2)
        space = Map(turned, chance.standard_normal(len(turned)))
    seen = frames if space is None else [space.apply(one) for one in frames]
    told = learn_told(seen, phones, len(PHONES), 2)
    any_other = (1 - np.eye(len(PHONES))) * 0.9 / (len(PHONES) - 1)
    even = np.full(len(PHONES), 1 / len(PHONES))
    chain = Chain(even, any_other, np.full(len(PHONES), 0.1))
    learnt = PhoneModel(told.sounds, told.stays, chain, 0.3, space=space)
    usual = Usual.of([learnt.scores(one)] for one in frames)
    folder = tmp_path_factory.mktemp("model")
    write_graph(learnt, folder / "model.onnx")
    Decoder(PHONES, scale, told.stays, chain, None, Hearing(), usual).write(folder)
    facts = {"name": "one-voice", "version": "1", "task": "asr", "task_settings": {}, "trifold": "0"}
    write_manifest(folder, {**facts, "graphs": [{"file": "model.onnx", "precision": "fp32"}]})
    return folder


@pytest.fixture(scope="module")
def speakers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each speaker: one whom the model knows, another, and one of whom there is hardly anything."""
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("speakers")
    for name, lower, count, seed in (("known", 1.0, 8, 3), ("other", LOWER, 12, 4), ("hardly", LOWER, 1, 5)):
        (folder / name).mkdir()
        chance = np.random.default_rng(seed)
        for number, one in enumerate(sentences(count, seed)):
            path = folder / name / f"{''.join(PHONES[p] for p in one)}-{number}.wav"
            soundfile.write(path, said(one, lower, chance), RATE)
    return folder


def read(model: Path, *words: str | Path, output: Path) -> dict[str, list[Transcript]]:
    """The transcripts of each speaker."""
    given = [str(word) for word in (*words, "--model", model, "--output", output)]
    assert transcribe.main(given, prog_name="trifold", standalone_mode=False, obj=Terminal()) in (0, None)
    found: dict[str, list[Transcript]] = {}
    for one in read_transcripts(output):
        found.setdefault(Path(one.audio).parent.name, []).append(one)
    return found


def wrong(transcripts: Sequence[Transcript]) -> float:
    """The share of phones; a recording's name says what is said in it."""
    return compare(
        [(list(Path(one.audio).stem.split("-")[0]), [heard.text for heard in one.phones]) for one in transcripts]
    ).rate


def test_another_voice_is_read_once_the_model_is_adapted(
    model: Path, speakers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = read(model, speakers, output=tmp_path / "plain.jsonl")
    assert wrong(plain["known"]) < 0.05
    assert wrong(plain["other"]) > 0.4
    assert all("unlike" in " ".join(one.warnings) for one in plain["other"])
    assert not any(one.adapted for some in plain.values() for one in some)
    assert "with --adapt" in " ".join(capsys.readouterr().err.split())

    found = read(model, speakers, "--adapt", "folder", output=tmp_path / "adapted.jsonl")
    assert wrong(found["other"]) < 0.1
    assert not any(one.warnings for one in found["other"])
    assert all(10 < one.adapted < 30 for one in found["other"]), "seconds of speech"
    assert found["known"] == plain["known"]
    told = capsys.readouterr().err
    assert "adapted to: " in told
    assert f"read as it is, as it fits or no map helps: {speakers / 'known'}" in told.replace("\n", "")


def test_a_voice_may_be_of_all_recordings_or_of_each(
    model: Path, speakers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = sorted((speakers / "other").iterdir())[:5]
    together = read(model, *other, "--adapt", "all", output=tmp_path / "together.jsonl")["other"]
    assert wrong(together) < 0.1
    apart = read(model, *other, "--adapt", "recording", output=tmp_path / "apart.jsonl")["other"]
    assert wrong(apart) < 0.25
    assert "and 2 more" in capsys.readouterr().err
    alone = read(model, other[3], "--adapt", "recording", output=tmp_path / "alone.jsonl")["other"]
    assert alone == [apart[3]], "what is read of a recording depends on it alone"


def test_the_order_of_recordings_does_not_matter(model: Path, speakers: Path, tmp_path: Path) -> None:
    other = sorted((speakers / "other").iterdir())[:4]
    found = [
        read(model, *paths, "--adapt", "folder", output=tmp_path / "found.jsonl")["other"]
        for paths in (other, other[::-1])
    ]
    assert found[0] == found[1][::-1]


@pytest.mark.parametrize("grams", [False, True])
def test_a_voice_with_distributions_of_its_own_is_read_by_them(grams: bool, model: Path, speakers: Path) -> None:
    """Not by what the graph says, and each state as long as that voice's lasts."""
    task = open_task(model, "one-voice@1")
    if grams:
        longer = grams_of(sentences(300, 8), len(PHONES))
        task = AsrTask("one-voice@1", replace(task.decoder, grams=longer), None)
    sounds, scale, space = read_graph(model / "model.onnx")
    known = Reader(task.decoder, sounds, scale, space)
    path = str(sorted((speakers / "known").iterdir())[0])
    request = task.check({"audio": path}, Limits())
    plain = task.encode(request)
    outputs = [{OUTPUT: np.asarray(known.scores(unit.arrays[INPUT]), np.float32)} for unit in plain.units]
    wanted = task.decode(request, plain.memo, outputs)
    nonsense = [{OUTPUT: np.zeros_like(one[OUTPUT])} for one in outputs]
    assert task.decode(request, plain.memo, nonsense).phones != wanted.phones

    def by(decoder: Decoder) -> Transcript:
        nothing = Map.none(sounds.means.shape[2])
        voice = Voice(nothing, 100, 0.0, 1.0, replace(known, decoder=decoder))
        other = task.adapted({path: voice})
        return other.decode(request, other.encode(request).memo, nonsense)

    assert by(task.decoder).phones == wanted.phones
    slower = replace(task.decoder, stays=np.full_like(task.decoder.stays, 0.98))
    times = [[(one.start, one.end) for one in found.phones] for found in (by(slower), wanted)]
    assert times[0] != times[1]


def test_a_reply_is_known_by_all_that_it_was_read_with(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of a voice's recordings are told apart from its others by what they teach: 20 seconds move distributions."""
    soundfile = pytest.importorskip("soundfile")
    chance = np.random.default_rng(12)
    paths = []
    for number, one in enumerate(sentences(17, 12)):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], said(one, LOWER, chance), RATE)
    loaded = open_model(find(str(model)))
    few, many = (adapted(loaded, {"other": some}).loaded for some in (paths[:2], paths))
    assert isinstance(few.task, AsrTask)
    assert isinstance(many.task, AsrTask)
    assert next(iter(few.task.voices.values())).reader is None
    assert next(iter(many.task.voices.values())).reader is not None
    monkeypatch.setattr("trifold.tasks.asr.refining.reheard._STRENGTH", 1.0)
    other = adapted(loaded, {"other": paths}).loaded
    assert len({loaded.digest, few.digest, many.digest, other.digest}) == 4


def test_too_little_speech_is_told(
    model: Path, speakers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path / "short"
    folder.mkdir()
    soundfile.write(folder / "aei.wav", said([1, 2, 3], LOWER, np.random.default_rng(6)), RATE)
    soundfile.write(folder / "silence.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF, but no sound")
    output = tmp_path / "short.jsonl"
    words = ["--adapt", "folder", "--model", str(model), "--output", str(output)]
    assert transcribe.main([str(folder), *words], standalone_mode=False, obj=Terminal()) == 3, "one cannot be read"
    told = capsys.readouterr().err.replace("\n", "")
    assert f"less than 1 s of speech, not adapted to: {folder}" in told
    assert told.count("broken.wav") == 1
    assert not any(one.adapted for one in read_transcripts(output))
    warned = [warning for one in read_transcripts(output) for warning in one.warnings if "unlike" in warning]
    assert warned
    assert all("could not be adapted to" in one and "--adapt" not in one for one in warned)


def test_a_voice_that_stays_strange_is_told(model: Path, tmp_path: Path) -> None:
    """Noise is no voice, and adapting does not make it one."""
    soundfile = pytest.importorskip("soundfile")
    chance = np.random.default_rng(7)
    for number in range(3):
        loud = np.repeat(chance.uniform(0.05, 0.3, 20), RATE // 10)
        soundfile.write(tmp_path / f"{number}.wav", loud * chance.standard_normal(2 * RATE), RATE)
    found = read(model, tmp_path, "--adapt", "all", output=tmp_path / "found.jsonl")[tmp_path.name]
    assert all("even adapted to it" in " ".join(one.warnings) for one in found)
    assert all(one.adapted for one in found)


def test_voices_are_of_recordings_folders_or_all() -> None:
    paths = [Path("a/x.wav"), Path("b/y.wav"), Path("a/z.wav"), Path("a/x.wav")]
    assert voices(paths, "all") == {"all": [Path("a/x.wav"), Path("b/y.wav"), Path("a/z.wav")]}
    assert voices(paths, "folder") == {"a": [Path("a/x.wav"), Path("a/z.wav")], "b": [Path("b/y.wav")]}
    assert list(voices(paths, "recording")) == ["a/x.wav", "b/y.wav", "a/z.wav"]


def test_adapting_needs_neither_torch_nor_onnx(model: Path, speakers: Path) -> None:
    code = (
        "import sys; from trifold.interfaces.console import Terminal;"
        "from trifold.tasks.asr.commands.transcribe import transcribe;"
        "transcribe.main(sys.argv[1:], standalone_mode=False, obj=Terminal());"
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    given = [str(speakers / "hardly"), "--model", str(model), "--adapt", "folder", "--format", "tsv"]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True)
    assert done.stdout.endswith("[]\n"), done.stderr
    assert "adapted to: " in done.stderr


@pytest.mark.parametrize("space", [None, Map(np.eye(5) + 0.2, np.arange(5.0))])
def test_a_graph_is_read_as_it_was_written(space: Map | None, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    sounds = random_mixtures(np.random.default_rng(8), 6, 3, 5)
    even = np.full(2, 0.5)
    learnt = PhoneModel(sounds, np.full(6, 0.5), Chain(even, np.full((2, 2), 0.25), even), 0.25, space=space)
    path = tmp_path / "model.onnx"
    write_graph(learnt, path)
    found, scale, again = read_graph(path)
    assert scale == 0.25
    frames = np.random.default_rng(9).standard_normal((7, 5)).astype(np.float32)
    said = ort.InferenceSession(path).run([OUTPUT], {INPUT: frames[None]})[0][0]
    assert np.allclose(said, learnt.scores(frames), rtol=1e-4, atol=1e-4)
    if space is None or again is None:
        assert again is space
    else:
        assert np.allclose(again.matrix, space.matrix)
        assert np.allclose(again.offset, space.offset)
    for one, other in ((found.weights, sounds.weights), (found.means, sounds.means)):
        assert np.allclose(one, other, atol=1e-4)
    assert np.allclose(found.variances, sounds.variances, rtol=1e-5)
    if space is not None:
        flat = tmp_path / "flat.onnx"
        write_graph(replace(learnt, space=Map(np.zeros((5, 5)), space.offset)), flat)
        with pytest.raises(ModelDamaged, match="not the graph of a recogniser"):
            read_graph(flat)
    constants = initialisers(path)
    known = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    assert constants.keys() == known.keys()
    assert all(np.array_equal(constants[name], known[name]) for name in known)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\xff" * 40, b"no graph at all, but a text"):
        path.write_bytes(content)
        with pytest.raises(ModelDamaged, match="not the graph of a recogniser"):
            read_graph(path)


def test_cepstra_of_a_longer_throat() -> None:
    """A resonance at 1,000 Hz of somebody with a throat 0.8 times as long is at 1,250 Hz."""
    chance = np.random.default_rng(9)

    def heard(frequency: float) -> Any:
        spectrum = np.fft.rfft(chance.standard_normal(RATE))
        away = (np.fft.rfftfreq(RATE, 1 / RATE) - frequency) / (0.15 * frequency)
        return mfcc(np.fft.irfft(spectrum * (np.exp(-(away**2)) + 0.01)).astype(np.float32)).mean(0)[1:]

    low, high = heard(1000), heard(1250)
    known = np.concatenate([[0], low])
    assert np.linalg.norm((known @ warping(0.8))[1:] - high) < 0.5 * np.linalg.norm(low - high)
    assert np.linalg.norm((known @ warping(1.25))[1:] - high) > np.linalg.norm(low - high)
    assert np.allclose(warping(1.0), np.eye(13), atol=1e-4)
