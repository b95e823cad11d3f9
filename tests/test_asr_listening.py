"""Recordings are heard in transcribing as in training: the same cuts, and the same features of the same encoder."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from test_asr_encoders import saved, tiny
from test_asr_silero import hiss
from trifold.engine.loaded import open_model
from trifold.engine.runner import Runner
from trifold.errors import DataError, MissingExtra, ModelDamaged, ModelNotFound, UsageError
from trifold.interfaces.console import Terminal
from trifold.models.registry import find
from trifold.task import no_progress
from trifold.tasks.asr.commands.group import asr
from trifold.tasks.asr.decoder import DECODER, Decoder
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.making import train
from trifold.tasks.asr.making.names import INPUT
from trifold.tasks.asr.making.train import Order, make
from trifold.tasks.asr.sound import activity, hearing, silero
from trifold.tasks.asr.sound.audio import RATE, find_audio, read_sound
from trifold.tasks.asr.sound.encoders import Encoder
from trifold.tasks.asr.sound.features import mfcc, with_deltas
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.reduction import REDUCTION
from trifold.tasks.asr.sound.utterances import cepstra_of, features_of, frames_of, parts_of, scale_of, sounds
from trifold.tasks.asr.speaking.spoken import Narrator
from trifold.tasks.asr.task import Recording, open_task
from trifold.tasks.asr.text.letters import Letters
from trifold.tasks.asr.transcripts import Transcript

pytest.importorskip("torch")
pytest.importorskip("espeakng_loader")

needs_silero = pytest.mark.skipif(find_spec("silero_vad") is None, reason="needs trifold[vad]")

WORDS = ("tata", "mani", "kita", "nima", "takina", "miki")
LETTERS = Letters({letter: (letter,) for letter in "aikmnt"})
FEW = LearningSettings(
    seeds=1, starts=2, steps=30, rounds=2, spoken=12, components=2, refinements=1, rehearings=2, networks=1
)


def sentences(count: int, seed: int) -> list[str]:
    chance = np.random.default_rng(seed)
    return [" ".join(chance.choice(WORDS, 6)) for _ in range(count)]


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten sentences, and after each the hum of a machine that is as loud."""
    import soxr

    from trifold.tasks.asr.speaking.synthesiser import Synthesiser

    folder = tmp_path_factory.mktemp("audio")
    hum = (0.2 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)).astype(np.float32)
    with Synthesiser() as synthesiser:
        for number, sentence in enumerate(sentences(10, 0)):
            said = synthesiser.say(sentence, "sw")
            voice = soxr.resample(said.samples.astype(np.float32) / 32768, said.rate, RATE)
            soundfile.write(
                folder / f"{number:02}.wav", np.concatenate([hiss(0.5), voice, hiss(0.5), hum, hiss(0.5)]), RATE
            )
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("encoder") / "tiny", tiny("wav2vec2", layers=2), do_normalize=True)


def trained(folder: Path, audio: Path, name: str, *words: str | Path) -> Path:
    """The folder of a model of units."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIFOLD_HOME", str(folder))
        given = ("train", "--audio", audio, "--units", 6, "--anyway", "--name", name, *words)
        assert asr.main([str(word) for word in given], standalone_mode=False, obj=Terminal()) == 0
        return find(name).path


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory, audio: Path) -> Path:
    return trained(tmp_path_factory.mktemp("home"), audio, "usual")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory, audio: Path, encoder: Path) -> Path:
    """A model of units that are heard with an encoder."""
    return trained(tmp_path_factory.mktemp("home"), audio, "encoded", "--encoder", encoder, "--layer", "1")


@pytest.fixture
def copied(encoded: Path, encoder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of it and of its encoder, to change."""
    model = Path(shutil.copytree(encoded, tmp_path / "model"))
    for path in (model, *model.iterdir()):
        path.chmod(0o755)
    other = Path(shutil.copytree(encoder, tmp_path / "tiny"))
    known = json.loads((model / DECODER).read_text("utf-8"))
    known["encoder"]["name"] = str(other)
    (model / DECODER).write_text(json.dumps(known), encoding="utf-8")
    return model, other


def samples_of(path: Path) -> Any:
    return read_sound(path).samples


def transcripts(model: Path, audio: Path) -> list[Transcript]:
    runner = Runner(open_model(find(str(model))))
    return [one for _, one in runner.map((i, {"audio": str(path)}) for i, path in enumerate(find_audio(audio)))]


def lasting(found: list[Transcript], first: float) -> float:
    """Seconds of phones that begin so many seconds before the end, or later."""
    return sum(p.end - p.start for one in found for p in one.phones if p.start > one.seconds - first)


def well_timed(found: list[Transcript], least: int = 5) -> None:
    assert len(found) == 10
    for one in found:
        assert len(one.phones) >= least
        edges = [edge for phone in one.phones for edge in (phone.start, phone.end)]
        assert edges == sorted(edges)
        assert edges[0] >= 0
        assert edges[-1] <= one.seconds


def test_by_default_cepstra_are_heard_where_it_is_loud(usual: Path, audio: Path) -> None:
    samples = [samples_of(path) for path in find_audio(audio)]
    heard = [Hearing().listened(one) for one in samples]
    assert np.array_equal(heard[0].heard, mfcc(samples[0]))
    assert heard[0].stretches == tuple(activity.speech(samples[0]))
    scale = scale_of(heard)
    parts = parts_of(heard[0], scale)
    assert cepstra_of(parts[0].frames).shape == parts[0].frames.shape
    assert features_of(parts[0].frames) is parts[0].frames
    assert np.array_equal(sounds(parts[0].frames), with_deltas(parts[0].frames))
    known = json.loads((usual / DECODER).read_text("utf-8"))
    assert (known["features"], known["activity"], len(known["mean"])) == (39, "energy", 13)
    assert "encoder" not in known
    assert not (usual / REDUCTION).exists()
    assert np.allclose(known["mean"], scale.mean)
    task = open_task(usual, "usual@1")
    units = task.encode(Recording("one", samples[0], 0.0)).units
    assert [one.arrays[INPUT].shape for one in units] == [(len(part.frames), 39) for part in parts]
    assert np.array_equal(units[0].arrays[INPUT], with_deltas(parts[0].frames))
    assert find(str(usual)).manifest["hearing"] == {"activity": "energy", "width": 39}
    well_timed(found := transcripts(usual, audio))
    assert lasting(found, 1.6) > 5, "the hum is taken for speech"


def test_a_model_that_does_not_say_what_found_speech_is_heard_by_energy(usual: Path, tmp_path: Path) -> None:
    shutil.copyfile(usual / DECODER, tmp_path / DECODER)
    known = json.loads((tmp_path / DECODER).read_text("utf-8"))
    del known["activity"]
    (tmp_path / DECODER).write_text(json.dumps(known), encoding="utf-8")
    assert Decoder.read(tmp_path).hearing == Hearing()


@needs_silero
def test_speech_is_found_as_in_training(
    audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = trained(tmp_path, audio, "cut", "--vad", "silero")
    assert json.loads((model / DECODER).read_text("utf-8"))["activity"] == "silero"
    assert find(str(model)).manifest["hearing"]["activity"] == silero.identity()
    assert f"found in them by {silero.identity()}" in (model / "README.md").read_text("utf-8")
    well_timed(found := transcripts(model, audio))
    assert lasting(found, 1.6) < 0.5, "the hum is taken for speech"
    task = open_task(model, "cut@1")
    samples = samples_of(find_audio(audio)[0])
    firsts = [first for first, _ in silero.speech(samples)]
    assert [part.first for part in parts_of(task.decoder.hearing.listened(samples), task.decoder.scale)] == firsts
    capsys.readouterr()
    said = []
    for words in ((), ("--vad", "silero")):
        asr.main(["check", "--audio", str(audio), "--json", *words], standalone_mode=False, obj=Terminal())
        said.append(json.loads(capsys.readouterr().out)["audio"]["speech"])
    assert said[1] < said[0] - 5
    monkeypatch.setattr(silero, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"trifold\[vad\]"):
        open_model(find(str(model)))
    with pytest.raises(MissingExtra, match=r"trifold\[vad\]"):
        trained(tmp_path, audio, "other", "--vad", "silero")


def test_units_are_heard_with_an_encoder(encoded: Path, encoder: Path, audio: Path) -> None:
    known = json.loads((encoded / DECODER).read_text("utf-8"))
    manifest = find(str(encoded)).manifest
    assert known["encoder"]["name"] == str(encoder.resolve())
    assert known["encoder"]["identity"].startswith("tiny@sha256:")
    assert known["encoder"]["layer"] == 1
    width = known["features"]
    assert len(known["mean"]) == len(known["spread"]) == 13 + width
    assert manifest["hearing"] == {
        "activity": "energy",
        "encoder": known["encoder"]["identity"],
        "layer": 1,
        "width": width,
    }
    assert REDUCTION in manifest["files"]
    assert f"layer 1 of {known['encoder']['identity']}" in (encoded / "README.md").read_text("utf-8")
    task = open_task(encoded, "encoded@1")
    samples = samples_of(find_audio(audio)[0])
    heard = task.decoder.hearing.listened(samples)
    own = Hearing.open("energy", str(encoder), 1)
    assert isinstance(own.encoder, Encoder)
    assert np.array_equal(heard.heard[:, :13], mfcc(samples))
    assert np.array_equal(heard.heard[:, 13:], own.encoder.frames(samples, task.decoder.hearing.reduction))
    assert [one.arrays[INPUT].shape[1] for one in task.encode(Recording("one", samples, 0.0)).units] == [width] * len(
        heard.stretches
    )
    well_timed(transcripts(encoded, audio))


@pytest.mark.parametrize("speak", [None, "sw"])
def test_phones_are_learnt_with_an_encoder_as_voices_are_heard(speak: str | None, encoder: Path, audio: Path) -> None:
    order = Order(
        name="phones",
        paths=find_audio(audio),
        text=(sentences(60, 1), LETTERS),
        units=6,
        settings=FEW,
        speak=() if speak is None else (Narrator(speak),),
        hearing=Hearing.open("energy", str(encoder)),
    )
    made = make(order, lambda _: nullcontext(no_progress))
    assert made.facts["hearing"]["layer"] == 1
    found = transcripts(find(made.version).path, audio)
    well_timed(found, 1)  # an encoder of random weights hears little
    assert any(one.words for one in found)


def test_components_are_fitted_to_a_sample(encoder: Path, audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def some() -> Iterator[Any]:
        for path in find_audio(audio):
            read.append(path)
            yield samples_of(path)

    monkeypatch.setattr(hearing, "_FITTED", 500)
    whole = Hearing.open("energy", str(encoder), 1)
    fitted = whole.fitted(some())
    assert 1 < len(read) < 6
    assert fitted.reduction is not None
    heard = [whole.listened(samples_of(path)) for path in read]
    frames = fitted.reduction.apply(np.concatenate([features_of(one.frames()) for one in heard]))
    assert np.allclose(frames.mean(0), 0, atol=1e-2)
    assert np.allclose(frames.std(0), 1, atol=1e-2)
    assert Hearing().fitted(iter([])) == Hearing()
    with pytest.raises(DataError, match="expected frames that differ"):
        whole.fitted([hiss(0.01)])
    # Silence is as wide as speech is, so that both can be put together.
    quiet, loud = (fitted.listened(one) for one in (np.zeros(RATE, np.float32), samples_of(read[0])))
    assert quiet.stretches == ()
    assert [one.shape[1] for one in frames_of([quiet, loud])] == [fitted.width] * 2


def test_seeds_of_other_ears_are_not_gone_on_with(encoder: Path) -> None:
    order = Order(name="any", paths=(), text=None, units=2, settings=FEW)
    ears = [Hearing(), replace(Hearing(), encoder=Hearing.open("energy", str(encoder), 1).encoder)]
    ears.append(Hearing.open("energy", str(encoder), 2))
    assert len({train._kept(order, one, "recordings", [[1]], None) for one in ears}) == 3
    assert train._kept(order, Hearing(), "recordings", [[1]], None) == train._kept(
        order, Hearing(), "recordings", [[1]], None
    )


def test_other_weights_are_refused(copied: tuple[Path, Path]) -> None:
    from safetensors.torch import load_file, save_file

    model, other = copied
    open_task(model, "m@1")
    weights = other / "model.safetensors"
    tensors = load_file(weights)
    changed = {name: tensor * 1.001 if "layers.0" in name else tensor for name, tensor in tensors.items()}
    save_file(changed, weights, metadata={"format": "pt"})
    with pytest.raises(ModelDamaged, match=r"expected the encoder tiny@sha256:\w+.*found tiny@sha256:.*Put back"):
        open_task(model, "m@1")
    weights.write_bytes(b"none")
    with pytest.raises(ModelDamaged, match=r"expected the encoder tiny.*found what cannot be used\. Put it back"):
        open_task(model, "m@1")
    other.rename(other.with_name("elsewhere"))
    with pytest.raises(ModelNotFound, match=r"expected the encoder tiny.*found none\. Put it there"):
        open_task(model, "m@1")


def test_without_torch_a_model_with_an_encoder_says_so(
    encoded: Path, usual: Path, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"hearing with an encoder of speech .*trifold\[train\]"):
        open_task(encoded, "encoded@1")
    well_timed(transcripts(usual, audio))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"activity": "loud"}, "expected energy or silero as its activity, found 'loud'"),
        ({"activity": ["energy"]}, "expected energy or silero"),
        ({"encoder": {"name": "tiny"}}, "identity"),
        ({"encoder": "tiny"}, "not what a recogniser needs"),
        ({"encoder": {"name": "tiny", "identity": "tiny@1", "layer": "1"}}, "a name, an identity and a layer"),
        ({"features": 39}, "made for other features"),
        ({"mean": [0.0] * 13}, "do not fit together"),
        ({"encoder": None}, "made for other features"),
    ],
)
def test_what_no_training_wrote_is_refused(copied: tuple[Path, Path], changed: dict[str, Any], told: str) -> None:
    model, _ = copied
    known = json.loads((model / DECODER).read_text("utf-8")) | changed
    (model / DECODER).write_text(json.dumps(known), encoding="utf-8")
    with pytest.raises(ModelDamaged, match=told):
        open_task(model, "m@1")


def test_components_of_another_encoder_or_none_are_refused(copied: tuple[Path, Path]) -> None:
    model, _ = copied
    with np.load(model / REDUCTION) as file:
        parts = {name: file[name] for name in file.files}
    np.savez(model / REDUCTION, **{**parts, "mean": parts["mean"][:-1], "components": parts["components"][:-1]})
    with pytest.raises(ModelDamaged, match="expected principal components of 32 features, found 31"):
        open_task(model, "m@1")
    (model / REDUCTION).unlink()
    with pytest.raises(ModelDamaged, match="not principal components"):
        open_task(model, "m@1")


def test_an_encoder_that_cannot_be_had_is_told_first(audio: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--layer: expected an encoder"):
        trained(tmp_path, audio, "any", "--layer", "1")
    with pytest.raises(ModelNotFound, match="expected the folder of an encoder"):
        trained(tmp_path, audio, "any", "--encoder", tmp_path / "nowhere")
    assert not list(tmp_path.rglob("any@*"))
