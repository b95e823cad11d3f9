"""Speech found by the network of silero-vad, which is run without the package's own code and without torch."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trifold.errors import MissingExtra, ModelDamaged
from trifold.tasks.asr.sound import activity, silero
from trifold.tasks.asr.sound.audio import RATE
from trifold.tasks.asr.sound.features import HOP, frame_times, mfcc

needs_silero = pytest.mark.skipif(find_spec("silero_vad") is None, reason="needs trifold[vad]")


def spoken(text: str = "the quick brown fox jumps over the lazy dog") -> np.ndarray[Any, Any]:
    """Said by espeak-ng."""
    pytest.importorskip("espeakng_loader")
    soxr = pytest.importorskip("soxr")
    from trifold.tasks.asr.speaking.synthesiser import Synthesiser

    with Synthesiser() as voice:
        said = voice.say(text, "en-us")
    return np.asarray(soxr.resample(said.samples.astype(np.float32) / 32768, said.rate, RATE), np.float32)


def hiss(seconds: float, loud: float = 0.001) -> np.ndarray[Any, Any]:
    return (loud * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


@needs_silero
def test_speech_is_found_where_it_is() -> None:
    voice = spoken()
    samples = np.concatenate([hiss(1.2), voice, hiss(0.8), voice, hiss(1)])
    length = len(voice) / RATE
    expected = [(1.2, 1.2 + length), (2 + length, 2 + 2 * length)]
    found = silero.speech(samples)
    assert len(found) == 2
    seconds = np.array(found) * HOP / RATE
    assert np.abs(seconds - expected).max() < 0.2, seconds
    # As what else finds speech does, near enough for one to take the other's place.
    assert np.abs(seconds - np.array(activity.speech(samples)) * HOP / RATE).max() < 0.3


@needs_silero
def test_what_is_loud_is_not_always_speech() -> None:
    tone = (0.3 * np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    for other in (np.zeros(2 * RATE, np.float32), hiss(2), hiss(2, 0.3), tone):
        assert silero.speech(np.concatenate([hiss(1), other, hiss(1)])) == []
    assert silero.probabilities(hiss(2, 0.3)).max() < 0.35


@needs_silero
@pytest.mark.parametrize("length", [0, 1, 399, 400, 512, 600, 4000])
def test_short_recordings_are_heard_too(length: int) -> None:
    voice = spoken()[4000 : 4000 + length]
    assert silero.probabilities(voice).shape == (-(-length // 512),)
    assert silero.speech(voice) == []


@needs_silero
def test_stretches_lie_within_the_recordings_frames() -> None:
    voice = spoken()
    for cut in (len(voice), len(voice) - 5003, len(voice) - 7321):
        found = silero.speech(voice[1000:cut])
        edges = [edge for stretch in found for edge in stretch]
        assert edges
        assert edges == sorted(set(edges))
        assert edges[0] >= 0
        assert edges[-1] <= len(mfcc(voice[1000:cut]))
    # One that is cut amid speech ends with its last frame.
    assert silero.speech(voice[:20_000])[-1][1] == len(mfcc(voice[:20_000]))


@needs_silero
def test_a_long_recording_is_heard_in_parts_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = spoken()
    samples = np.concatenate([part for _ in range(8) for part in (hiss(0.5), voice)])
    assert len(samples) > 17 * RATE, "it is heard at once"
    whole = silero.probabilities(samples)
    monkeypatch.setattr(silero, "_AT_ONCE", 7)
    assert np.allclose(silero.probabilities(samples), whole, atol=1e-5)
    assert len(silero.speech(samples)) == 8


@needs_silero
def test_the_package_itself_finds_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    voice = spoken()
    samples = np.concatenate([hiss(0.7), voice, hiss(0.05), voice, hiss(0.12), voice[:9000], hiss(2), voice[:3000]])
    np.save(tmp_path / "samples.npy", samples)
    code = (
        "import sys, numpy, torch, silero_vad\n"
        "model = silero_vad.load_silero_vad(onnx=True)\n"
        "samples = torch.from_numpy(numpy.load(sys.argv[1]))\n"
        "print([(s['start'], s['end']) for s in silero_vad.get_speech_timestamps(samples, model)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "samples.npy")], capture_output=True, text=True, check=True
    )
    found = silero._stretches(silero.probabilities(samples), len(samples))
    assert found
    assert done.stdout.strip() == str(found)


@needs_silero
def test_neither_the_package_nor_torch_is_imported() -> None:
    code = (
        "import sys, numpy\n"
        "from trifold.tasks.asr.sound import silero\n"
        "silero.speech(numpy.zeros(16_000, numpy.float32))\n"
        "print(silero.identity(), sorted({'torch', 'silero_vad', 'packaging'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("silero-vad==")
    assert done.stdout.endswith(" []\n")


def test_thresholds_and_pauses_make_the_stretches() -> None:
    def shares(*runs: tuple[float, int]) -> np.ndarray[Any, Any]:
        return np.concatenate([np.full(count, share, np.float32) for share, count in runs])

    def stretches(*runs: tuple[float, int]) -> list[tuple[int, int]]:
        found = shares(*runs)
        return silero._stretches(found, len(found) * 512)

    # Margins of 30 ms (480 samples); what is between the thresholds goes on.
    assert stretches((0, 10), (0.6, 10), (0.4, 10), (0, 10)) == [(5120 - 480, 15_360 + 480)]
    assert stretches((0.4, 30)) == []
    # Three pieces of silence are no pause, five are; half of a short one is each neighbour's.
    assert stretches((1, 10), (0, 3), (1, 10)) == [(0, 23 * 512)]
    assert stretches((1, 10), (0, 5), (1, 10)) == [(0, 5120 + 480), (15 * 512 - 480, 25 * 512)]
    # A quarter of a second of speech is the least.
    assert stretches((0, 9), (1, 7), (0, 9)) == []
    assert len(stretches((0, 9), (1, 8), (0, 9))) == 1


def test_a_frame_is_of_the_stretch_that_its_middle_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = np.repeat(np.array([0, 1, 0], np.float32), 10)
    monkeypatch.setattr(silero, "probabilities", lambda _: shares)
    samples = np.zeros(30 * 512, np.float32)
    assert silero._stretches(shares, len(samples)) == [(4640, 10_720)]
    inside = (frame_times(len(mfcc(samples))) * RATE >= 4640) & (frame_times(len(mfcc(samples))) * RATE < 10_720)
    assert silero.speech(samples) == [(int(np.flatnonzero(inside)[0]), int(np.flatnonzero(inside)[-1]) + 1)]


def test_a_missing_or_older_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(silero, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'trifold\[vad\]'"):
        silero.speech(hiss(1))
    with pytest.raises(MissingExtra):
        silero.identity()
    monkeypatch.setattr(silero, "_folder", lambda: tmp_path)
    with pytest.raises(ModelDamaged, match="pip install --upgrade silero-vad"):
        silero.speech(hiss(1))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "silero_vad_16k_sequence.onnx").write_bytes(b"none")
    with pytest.raises(ModelDamaged, match="cannot read it"):
        silero.speech(hiss(1))
