"""What measures and shows speech recognition, and is no part of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trifold.tasks.asr.sound.audio import RATE, read_sound
from trifold.tasks.asr.transcripts import Heard, Transcript
from trifold.tasks.asr.writing.jsonlines import write_jsonlines

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))

from decipherment_floor import decipher
from spectrogram import Phone, compared, draw, heard_in, said_in

PHONES = ("SIL", *"aeioptks")


def sentences(count: int, seed: int) -> list[list[int]]:
    """Of a language that likes some pairs of phones much more than others."""
    after = np.random.default_rng(0).dirichlet(np.full(len(PHONES) - 1, 0.3), len(PHONES))
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        sentence = [0]
        for _ in range(int(chance.integers(8, 16))):
            sentence.append(1 + int(chance.choice(len(PHONES) - 1, p=after[sentence[-1]])))
        found.append(sentence[1:])
    return found


def test_perfect_units_are_deciphered_by_a_text_of_the_language_alone() -> None:
    references = [[PHONES[phone] for phone in one] for one in sentences(100, 1)]
    (found,) = decipher(references, sentences(300, 2), PHONES, 1)
    assert found.rate < 0.03
    assert found.place < 0.3


def test_phones_have_the_times_that_a_table_gives_them(tmp_path: Path) -> None:
    table = tmp_path / "utterances.tsv"
    table.write_text("id\taudio\treference_phones\tstarts\na\ta.wav\tp SIL a\t0.0 0.3 0.5\n", encoding="utf-8")
    wanted = [Phone("p", 0.0, 0.3), Phone("a", 0.5, 0.9)]
    assert said_in("a", table, 0.9) == wanted
    with pytest.raises(SystemExit, match="phones of c"):
        said_in("c", table, 0.9)
    table.write_text("id\taudio\treference_phones\tstarts\na\ta.wav\tp a t\t0.2 0.5\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="a start for each phone"):
        said_in("a", table, 0.9)
    table.write_text("id\tstart_s\tend_s\tphone\na\t0\t0.3\tp\na\t0.3\t0.5\tSIL\na\t0.5\t0.9\ta\nb\t0\t1\ta\n", "utf-8")
    assert said_in("a", table, 9.9) == wanted


def test_wrong_is_what_scoring_counts() -> None:
    said = [Phone(text, i, i + 1) for i, text in enumerate("pata")]
    heard = [Phone(text, i, i + 1) for i, text in enumerate("pikto")]
    marked, found, rate = compared(said, heard)
    assert [one.text for one in marked if one.wrong] == ["a", "a"]
    assert [one.text for one in found if one.wrong] == ["i", "k", "o"]
    assert rate == 3 / 4


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_recording_is_drawn(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib", reason="recipes/spectrogram.py draws with it")
    samples = 0.3 * np.sin(np.arange(RATE) * 0.3) + np.random.default_rng(0).normal(0, 0.01, RATE)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    transcript = Transcript("x/a.wav", 1.0, (Heard("p", 0.1, 0.4, 1.0), Heard("SIL", 0.4, 0.5, 1.0)))
    write_jsonlines([transcript], tmp_path / "a.jsonl")
    heard = heard_in("a", tmp_path / "a.jsonl")
    assert heard == [Phone("p", 0.1, 0.4)]
    output = tmp_path / f"a.{suffix}"
    draw(read_sound(tmp_path / "a.wav"), [Phone("ʃ", 0.1, 0.11, wrong=True)], heard, "a", output)
    content = output.read_bytes()
    assert content.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")
    assert len(content) < 150_000
