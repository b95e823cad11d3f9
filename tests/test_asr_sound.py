"""Recordings as people have them, and what is heard in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from trifold.errors import DataError
from trifold.tasks.asr.sound.activity import speech
from trifold.tasks.asr.sound.audio import RATE, find_audio, read_sound
from trifold.tasks.asr.sound.features import frame_times, log_mel, mfcc, normalised, spliced, with_deltas
from trifold.tasks.asr.sound.segments import boundaries, means


def tone(hertz: float, seconds: float, rate: int = RATE, loud: float = 0.3) -> np.ndarray[Any, Any]:
    return (loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds: float, loud: float, seed: int = 0) -> np.ndarray[Any, Any]:
    return (loud * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize(("suffix", "rate"), [("wav", 44_100), ("flac", 16_000), ("ogg", 48_000), ("mp3", 22_050)])
def test_any_format_and_rate_is_the_same_sound(tmp_path: Path, suffix: str, rate: int) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(440, 1.5, rate), rate)
    sound = read_sound(path)
    assert (sound.rate, sound.channels) == (rate, 1)
    assert sound.seconds == pytest.approx(1.5, abs=0.1)  # mp3 pads
    middle = sound.samples[4000:20_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * RATE / len(middle) == pytest.approx(440, abs=2)
    assert float(np.abs(middle).max()) == pytest.approx(0.3, abs=0.02)


def test_long_files_are_read_in_blocks_without_a_seam(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(100, 40, 44_100), 44_100, subtype="FLOAT")
    samples = read_sound(path).samples
    assert len(samples) == pytest.approx(40 * RATE, abs=2)
    assert float(np.abs(np.diff(samples[100:-100])).max()) < 0.3 * 2 * np.pi * 100 / RATE * 1.05


def test_channels_are_mixed_unless_they_cancel_out(tmp_path: Path) -> None:
    left = tone(300, 1)
    soundfile.write(tmp_path / "same.wav", np.stack([left, left], 1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "against.wav", np.stack([left, -left], 1), RATE, subtype="FLOAT")
    for name in ("same.wav", "against.wav"):
        sound = read_sound(tmp_path / name)
        assert sound.channels == 2
        assert np.abs(sound.samples - left).max() < 1e-3, name


def test_clipping_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.clip(tone(200, 1, loud=4.0), -1, 1), RATE)
    soundfile.write(tmp_path / "fine.wav", tone(200, 1), RATE)
    assert read_sound(tmp_path / "loud.wav").clipped > 0.5
    assert read_sound(tmp_path / "fine.wav").clipped == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as audio"),
        (b"no sound at all" * 99, "cannot be read as audio"),
        (None, "no file of that name"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_sound(path)


def test_a_recording_without_a_sample_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), RATE)
    with pytest.raises(DataError, match="without any sample"):
        read_sound(tmp_path / "a.wav")


def test_recordings_are_found_below_a_folder(tmp_path: Path) -> None:
    for name in ("b.WAV", "sub/a.flac", ".hidden.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in find_audio(tmp_path)] == ["b.WAV", "a.flac"]
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "notes.docx").touch()
    with pytest.raises(DataError, match=r"found only \.docx"):
        find_audio(tmp_path / "only")
    with pytest.raises(DataError, match="nothing of that name"):
        find_audio(tmp_path / "absent")


def test_cepstra_tell_sounds_apart_and_not_loudness() -> None:
    low, high = mfcc(tone(300, 0.5)), mfcc(tone(3000, 0.5))
    assert low.shape == (48, 13)
    assert np.linalg.norm(low.mean(0)[1:] - high.mean(0)[1:]) > 10
    quiet = mfcc(noise(0.5, 0.01)).mean(0)
    loud = mfcc(noise(0.5, 0.1)).mean(0)
    assert np.abs(quiet[1:] - loud[1:]).max() < 1e-2
    assert loud[0] - quiet[0] == pytest.approx(np.log(100) * np.sqrt(40), rel=1e-3)


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 559, 560])
def test_sounds_of_any_length_have_frames_or_none(samples: int) -> None:
    count = max(0, 1 + (samples - 400) // 160)
    found = with_deltas(mfcc(np.zeros(samples, np.float32)))
    assert found.shape == (count, 39)
    assert np.isfinite(found).all()
    assert spliced(normalised(found), 2).shape == (count, 195)
    assert len(boundaries(found)) >= 2
    assert speech(np.zeros(samples, np.float32)) == []


def test_frames_do_not_depend_on_what_follows() -> None:
    sound = noise(60, 0.1)
    assert np.allclose(log_mel(sound)[:50], log_mel(sound[: 52 * 160])[:50], atol=1e-4)


def test_slopes_are_slopes() -> None:
    line = np.arange(20, dtype=np.float32)[:, None] * 3
    slopes = with_deltas(line)
    assert np.allclose(slopes[2:-2, 1], 3)
    assert np.allclose(slopes[4:-4, 2], 0)


def test_speech_is_found_between_pauses() -> None:
    sound = noise(6, 0.001)
    for start, stop in ((1.0, 2.0), (3.5, 5.0)):
        sound[int(start * RATE) : int(stop * RATE)] += noise(stop - start, 0.1, 1)
    found = [(frame_times(600)[a], frame_times(600)[b - 1]) for a, b in speech(sound)]
    assert np.allclose(found, [(1.0, 2.0), (3.5, 5.0)], atol=0.08)


def test_a_quiet_sound_is_no_pause() -> None:
    """Such as a long s between vowels, of 0.28 s."""
    sound = noise(4, 0.001)
    for start, stop in ((1.0, 1.8), (2.08, 3.0)):
        sound[int(start * RATE) : int(stop * RATE)] += noise(stop - start, 0.1, 1)
    assert len(speech(sound)) == 1


def test_speech_without_a_pause_is_kept_whole() -> None:
    assert speech(noise(3, 0.1)) == [(0, 298)]


def test_boundaries_stand_where_sounds_change() -> None:
    pitches = [300, 2000, 600, 3500, 1000]
    parts = [tone(hertz, 0.12) + noise(0.12, 0.003, i) for i, hertz in enumerate(pitches)]
    features = normalised(mfcc(np.concatenate(parts)))
    found = boundaries(features)
    inner = frame_times(len(features))[found[1:-1]]
    assert np.allclose(inner, [0.12, 0.24, 0.36, 0.48], atol=0.025)
    assert (found[0], found[-1]) == (0, len(features))
    centres = means(features, found)
    assert centres.shape == (5, 13)
    assert np.allclose(centres[1], features[found[1] : found[2]].mean(0), atol=1e-4)
