"""An encoder that is trained on the user's own recordings: it learns to tell sounds, and is heard without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from test_asr_silero import hiss
from trifold.errors import DataError, ModelDamaged, UsageError
from trifold.interfaces.console import Terminal
from trifold.models.registry import find
from trifold.task import no_progress
from trifold.tasks.asr.commands.group import asr
from trifold.tasks.asr.decoder import DECODER
from trifold.tasks.asr.making import ears
from trifold.tasks.asr.making.names import INPUT
from trifold.tasks.asr.pretraining import settings as pretraining
from trifold.tasks.asr.pretraining.material import NONE, TOLD, Heard, Material
from trifold.tasks.asr.pretraining.network import network, write_network
from trifold.tasks.asr.pretraining.pretrain import pretrained
from trifold.tasks.asr.pretraining.settings import OwnSettings
from trifold.tasks.asr.sound import own
from trifold.tasks.asr.sound.audio import RATE
from trifold.tasks.asr.sound.features import Frames, log_mel, mfcc, warped_bands, with_deltas
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.own import OWN, Own, evened
from trifold.tasks.asr.sound.utterances import sounds
from trifold.tasks.asr.task import Recording, open_task

torch = pytest.importorskip("torch")

TINY = OwnSettings(
    width=32, dilations=(1, 4), features=12, clusters=12, passes=1, fewest=150, stretch=100, batch=6, most=20_000
)
FORMANTS = ((300, 870), (660, 1720), (730, 1090), (270, 2290))
"""Of four vowels (Peterson & Barney 1952), in Hz."""


def sung(kinds: list[int], pitch: float, seed: int) -> Any:
    """Vowels of a tenth of a second each, as a voice of this pitch makes them."""
    chance = np.random.default_rng(seed)
    time = np.arange(RATE // 10) / RATE
    parts = []
    for kind in kinds:
        tones = np.arange(1, int(4000 / pitch)) * pitch
        near = (tones[:, None] - np.array(FORMANTS[kind])) / 120
        loud = np.exp(-(near**2)).sum(1) + 0.01
        parts.append((loud[:, None] * np.sin(2 * np.pi * tones[:, None] * time + chance.uniform(0, 6))).sum(0))
    found = np.concatenate(parts)
    return (0.2 * found / np.abs(found).max() + 0.003 * chance.standard_normal(len(found))).astype(np.float32)


def corpus(count: int = 12) -> list[tuple[Any, list[int]]]:
    chance = np.random.default_rng(0)
    said = [chance.integers(len(FORMANTS), size=20).tolist() for _ in range(count)]
    return [(sung(kinds, 100 + 9 * number, number), kinds) for number, kinds in enumerate(said)]


def heard() -> Iterator[Heard]:
    for samples, _ in corpus():
        yield samples, [(0, len(mfcc(samples)))]


@pytest.fixture(scope="module")
def material() -> Material:
    return Material.of(heard(), TINY, 0)


@pytest.fixture(scope="module")
def losses() -> list[float]:
    return []


@pytest.fixture(scope="module")
def encoder(material: Material, losses: list[float], tmp_path_factory: pytest.TempPathFactory) -> Own:
    return pretrained(material, TINY, tmp_path_factory.mktemp("own") / OWN, watch=losses.append)


def apart(frames: list[Frames]) -> float:
    """Variance between vowels over that within them, in the middle of each, as a mean over directions (Fisher's)."""
    places = np.arange(20) * 10 + 4
    points = np.concatenate([one[places] for one in frames]).astype(np.float64)
    kinds = np.concatenate([kinds for _, kinds in corpus()])
    means = np.stack([points[kinds == kind].mean(0) for kind in range(len(FORMANTS))])[kinds]
    within = np.cov((points - means).T) + 1e-6 * np.eye(points.shape[1]) * points.var(0).mean()
    return float(np.trace(np.cov((means - points.mean(0)).T)) / np.trace(within))


def test_what_sounds_alike_gets_nearer(encoder: Own, losses: list[float]) -> None:
    assert len(losses) == 150
    assert np.mean(losses[-10:]) < 0.8 * losses[0]
    stretches = [(samples, [(0, len(mfcc(samples)))]) for samples, _ in corpus()]
    before = apart([evened(log_mel(one), inside, encoder.mean, encoder.spread) for one, inside in stretches])
    after = apart([encoder.frames(one, inside) for one, inside in stretches])
    assert after > 1.3 * before


def test_frames_are_those_of_cepstra(encoder: Own) -> None:
    for length in (0, 399, 400, 561, 16_000):
        samples = corpus(1)[0][0][:length]
        assert encoder.frames(samples, []).shape == (len(mfcc(samples)), 12)
    assert encoder.width == 12


def test_the_graph_is_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    learner = network(TINY, TOLD)
    for parameter in learner.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    mean, spread = (np.full(40, value, np.float32) for value in (-3.0, 2.0))
    write_network(learner, mean, spread, tmp_path / OWN)
    opened = Own.open(tmp_path / OWN)
    samples = corpus(1)[0][0]
    with torch.no_grad():
        wanted = learner(torch.from_numpy((log_mel(samples) - mean) / spread)[None])[0].numpy()
    assert np.allclose(opened.frames(samples, []), wanted, atol=1e-3)


def test_a_long_recording_is_heard_in_parts_without_a_seam(encoder: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.concatenate([one for one, _ in corpus(3)])
    whole = encoder.frames(samples, [(0, 500)])
    monkeypatch.setattr(own, "_AT_ONCE", 170)
    assert np.allclose(encoder.frames(samples, [(0, 500)]), whole, atol=1e-4)
    monkeypatch.setattr(own, "_CONTEXT", 0)
    assert not np.allclose(encoder.frames(samples, [(0, 500)]), whole, atol=1e-2)
    settings = OwnSettings()
    assert sum(settings.dilations) + 2 <= 100, "windows are cut nearer than the network sees"


def test_the_same_seed_gives_the_same_file(material: Material, tmp_path: Path) -> None:
    few = replace(TINY, fewest=3, passes=0)
    before = torch.get_rng_state()
    made = [pretrained(material, few, tmp_path / f"{i}.onnx", seed=seed) for i, seed in enumerate((1, 1, 2))]
    assert made[0].identity == made[1].identity != made[2].identity
    assert torch.get_rng_state().equal(before)
    again = Material.of(heard(), TINY, 0)
    assert np.array_equal(again.labels, material.labels)


def test_what_is_hidden_is_told_of_all_the_same(material: Material) -> None:
    plain = replace(TINY, warp=0.0, tilt=0.0)
    batch = next(material.batches(plain, 0))
    assert batch.mel.shape == (6, 100, 40)
    assert not batch.mel[batch.hidden].any()
    assert 0.2 < batch.hidden.float().mean() < 0.5
    # What is seen is a piece of the material with the labels that stand there.
    first = batch.mel[0][~batch.hidden[0]][0].numpy()
    place = int(np.flatnonzero(np.isclose(material.mel, first, atol=1e-4).all(1))[0])
    place -= int((~batch.hidden[0]).nonzero()[0])
    assert np.array_equal(material.labels[place : place + 100], batch.labels[0].numpy())
    assert np.array_equal(material.cepstra[place : place + 100], batch.cepstra[0, :, 39:78].numpy())
    assert np.array_equal(material.cepstra[place + 6 : place + 106], batch.cepstra[0, :, 78:].numpy())
    bent = next(material.batches(replace(TINY, warp=0.2, tilt=0.0), 0))
    assert torch.equal(bent.labels, batch.labels)
    assert torch.equal(bent.cepstra, batch.cepstra)
    assert not torch.allclose(bent.mel, batch.mel, atol=0.1)
    assert (material.labels == NONE).sum() == 32 * 12
    assert not material.mel[material.labels == NONE].any()


def test_frequencies_are_moved() -> None:
    assert np.allclose(warped_bands(0.0), np.eye(40), atol=1e-4)
    peak = np.eye(40, dtype=np.float32)[20]
    assert (peak @ warped_bands(0.15)).argmax() < 20 < (peak @ warped_bands(-0.15)).argmax()
    assert np.allclose(np.ones(40, np.float32) @ warped_bands(0.15), 1, atol=1e-4)


def test_material_is_bounded_and_silence_is_none(tmp_path: Path) -> None:
    read: list[int] = []

    def some() -> Iterator[Heard]:
        for number, one in enumerate(heard()):
            read.append(number)
            yield one

    few = Material.of(some(), replace(TINY, most=500), 0)
    assert len(read) == 3
    assert len(few.mel) < 800
    with pytest.raises(DataError, match=r"expected at least 100 frames of speech to train an encoder on, found 0"):
        Material.of([(hiss(2), [])], TINY, 0)


def test_it_is_read_again_without_torch(encoder: Own, tmp_path: Path) -> None:
    samples = corpus(1)[0][0]
    hearing = replace(Hearing(), encoder=encoder).fitted([samples])
    known = hearing.write(tmp_path)
    (tmp_path / "known.json").write_text(json.dumps(known))
    np.save(tmp_path / "samples.npy", samples)
    code = (
        "import json, pathlib, sys, numpy\n"
        "from trifold.tasks.asr.sound.hearing import Hearing\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "hearing = Hearing.read(json.loads((folder / 'known.json').read_text()), folder)\n"
        "numpy.save(folder / 'found.npy', hearing.listened(numpy.load(folder / 'samples.npy')).heard)\n"
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
    assert np.array_equal(np.load(tmp_path / "found.npy"), hearing.listened(samples).heard)


def test_it_is_heard_beside_cepstra(encoder: Own) -> None:
    samples = corpus(1)[0][0]
    hearing = replace(Hearing(), encoder=encoder).fitted([samples])
    assert hearing.reduction is not None
    assert hearing.reduction.mean.shape == (12,)
    listened = hearing.listened(samples)
    assert listened.heard.shape == (len(mfcc(samples)), hearing.heard)
    assert np.array_equal(listened.heard[:, :13], mfcc(samples))
    assert np.array_equal(sounds(listened.heard)[:, -39:], with_deltas(mfcc(samples)))
    beside = sounds(listened.heard)[:, :-39]
    assert np.array_equal(beside, encoder.frames(samples, listened.stretches, hearing.reduction))


def test_a_damaged_or_other_encoder_is_told(encoder: Own, material: Material, tmp_path: Path) -> None:
    hearing = replace(Hearing(), encoder=encoder).fitted([corpus(1)[0][0]])
    known = hearing.write(tmp_path)
    assert Hearing.read(known, tmp_path).facts() == hearing.facts()
    path = tmp_path / OWN
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelDamaged, match="cannot read it"):
        Hearing.read(known, tmp_path)
    pretrained(material, replace(TINY, fewest=1, passes=0), path, seed=5)
    with pytest.raises(ModelDamaged, match=r"expected the encoder own@sha256:\w+.*found own@sha256"):
        Hearing.read(known, tmp_path)
    path.unlink()
    with pytest.raises(ModelDamaged, match="expected the encoder that the model hears with, found none"):
        Hearing.read(known, tmp_path)
    write_network(network(TINY, TOLD), np.zeros(40, np.float32), np.full(40, np.nan, np.float32), path)
    with pytest.raises(ModelDamaged, match="not an encoder of speech"):
        Own.open(path)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    folder = tmp_path / "audio"
    folder.mkdir()
    for number, (samples, _) in enumerate(corpus()):
        soundfile.write(folder / f"{number:02}.wav", np.concatenate([hiss(0.4), samples, hiss(0.4)]), RATE)
    return folder


def train(audio: Path, *words: str) -> int:
    given = ("train", "--audio", str(audio), "--units", "4", "--anyway", "--name", "mine", "--encoder", "own", *words)
    return int(asr.main(list(given), standalone_mode=False, obj=Terminal()))


def test_a_model_hears_with_an_encoder_of_its_own(audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFOLD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(pretraining, "OwnSettings", partial(replace, replace(TINY, fewest=20)))
    assert train(audio) == 0
    model = find("mine")
    known = json.loads((model.path / DECODER).read_text("utf-8"))
    assert known["encoder"] == {"name": "own", "identity": Own.open(model.path / OWN).identity}
    assert model.manifest["hearing"]["encoder"] == known["encoder"]["identity"]
    assert model.manifest["encoder_training"]["width"] == 32
    assert {OWN, "reduction.npz"} <= set(model.manifest["files"])
    assert "heard with a small network beside cepstra" in (model.path / "README.md").read_text("utf-8")
    assert not list((tmp_path / "home" / "asr-work").iterdir()), "what was kept for --resume is not removed"
    # The folder is complete: it may be taken elsewhere.
    task = open_task(Path(shutil.copytree(model.path, tmp_path / "elsewhere")), "mine@1")
    samples = corpus(1)[0][0]
    units = task.encode(Recording("one", samples, 0.0)).units
    assert units
    assert {one.arrays[INPUT].shape[1] for one in units} == {known["features"]}
    with pytest.raises(UsageError, match="--layer: expected an encoder with layers"):
        train(audio, "--layer", "1")


def test_a_trained_encoder_is_gone_on_with(audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFOLD_HOME", str(tmp_path / "home"))
    made: list[int] = []

    def counted(*given: Any, **named: Any) -> Own:
        made.append(1)
        return pretrained(*given, **named)

    monkeypatch.setattr(ears, "pretrained", counted)
    few = replace(TINY, fewest=2, passes=0)

    def begun(settings: OwnSettings = few, seed: int = 0, *, resume: bool = True) -> Hearing:
        paths = sorted(audio.iterdir())
        return ears.own_encoder(Hearing(), paths, settings, seed, lambda _: nullcontext(no_progress), resume=resume)

    first = begun()
    assert begun() == first
    assert len(made) == 1
    assert begun(resume=False) == first
    assert len(made) == 2
    assert begun(seed=1) != first
    assert begun(replace(few, rate=1e-3)) != first
    assert len(made) == 4
    shutil.rmtree(ears.work_of(first))
    begun()
    assert len(made) == 5
