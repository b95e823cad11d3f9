"""Makes recordings harder to hear: noise behind all of them, or another throat, room and colour in each.

    python recipes/harder_speech.py CORPUS FOLDER [--noise DB] [--mixed] [--seed 0]

CORPUS: a folder as `flite_english.py` makes it, whose voices are easier than people's. --noise: pink noise, so many dB
below the speech. --mixed: each recording is played 13 % slower to 13 % faster (as from a mouth of another size), its
spectrum is tilted and lifted at random, it is in a small room, and noise is 20 dB below. Times of references follow.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

Samples = np.ndarray[Any, np.dtype[np.float64]]

RATE = 16_000
FASTEST, STEEPEST, HIGHEST = 0.13, 6.0, 6.0
"""Speeds to either side of 1; dB from 100 Hz to 8 kHz; dB of a lift somewhere between."""
ECHO = (0.05, 0.15)
"""Seconds in which the room's echo falls by 60 dB."""


def pink(count: int, chance: np.random.Generator) -> Samples:
    """Noise whose power falls by 3 dB an octave, of variance 1."""
    spectrum = np.fft.rfft(chance.standard_normal(count))
    shaped = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    return np.asarray(shaped / shaped.std())


def noisy(samples: Samples, below: float, chance: np.random.Generator) -> Samples:
    """With noise so many dB below what is said, whose level is taken from the louder half of it."""
    power = np.square(samples)
    level = power[power >= np.median(power)].mean() if power.any() else 0.0
    return samples + float(np.sqrt(level / 10 ** (below / 10))) * pink(len(samples), chance)


def faster(samples: Samples, speed: float) -> Samples:
    at = np.arange(int(len(samples) / speed)) * speed
    return np.asarray(np.interp(at, np.arange(len(samples)), samples))


def coloured(samples: Samples, chance: np.random.Generator) -> Samples:
    spectrum = np.fft.rfft(samples)
    octaves = np.log2(np.maximum(np.linspace(0, RATE / 2, len(spectrum)), 100) / 100)
    tilt = chance.uniform(-STEEPEST, STEEPEST) * octaves / octaves[-1]
    centre, width = chance.uniform(1, 6), chance.uniform(0.3, 1.0)
    lift = chance.uniform(-HIGHEST, HIGHEST) * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    return np.fft.irfft(spectrum * 10 ** ((tilt + lift) / 20), len(samples))


def echoing(samples: Samples, chance: np.random.Generator) -> Samples:
    falls = chance.uniform(*ECHO)
    count = int(falls * RATE)
    echo = chance.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    echo *= np.sqrt(chance.uniform(0.05, 0.3) / np.square(echo).sum())
    echo[0] = 1.0
    size = len(samples) + count
    return np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(echo, size), size)[: len(samples)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--noise", type=float)
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    (options.folder / "audio").mkdir(parents=True)
    chance = np.random.default_rng(options.seed)
    head, *rows = (options.corpus / "utterances.tsv").read_text(encoding="utf-8").splitlines()
    written = [head]
    for row in rows:
        fields = dict(zip(head.split("\t"), row.split("\t"), strict=True))
        samples, rate = soundfile.read(options.corpus / fields["audio"])
        if rate != RATE:
            raise SystemExit(f"{fields['audio']}: expected {RATE} samples a second, found {rate}")
        speed = 1.0
        if options.mixed:
            speed = chance.uniform(1 - FASTEST, 1 + FASTEST)
            samples = noisy(echoing(coloured(faster(samples, speed), chance), chance), 20.0, chance)
        if options.noise is not None:
            samples = noisy(samples, options.noise, chance)
        soundfile.write(options.folder / fields["audio"], samples * min(1.0, 0.95 / np.abs(samples).max()), RATE)
        fields["seconds"] = f"{len(samples) / RATE:.3f}"
        fields["starts"] = " ".join(f"{float(start) / speed:.3f}" for start in fields["starts"].split())
        written.append("\t".join(fields.values()))
    (options.folder / "utterances.tsv").write_text("\n".join(written) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
