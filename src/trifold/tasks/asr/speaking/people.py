"""MBROLA's voices: pairs of sounds that people recorded, joined as espeak-ng asks for them (Dutoit et al. 1996).

They need the programs espeak-ng and mbrola, and voices, which are not part of espeak-ng: most may be used without
charge for what is not commerce alone, so trifold neither carries nor fetches any. Each sentence is a process.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trifold.errors import UsageError
from trifold.tasks.asr.sound.audio import RATE, Samples

__all__ = ["Joined", "is_of_people", "mnemonics", "say"]

_PREFIX = "mb-"
_NAME = re.compile(r"mb-[a-z]+[0-9](-[a-z]+)?")
_MISSED = re.compile(r"mbrola: Warning: (\S+) unknown, replaced")
_PROGRAMS, _LOUD = ("mbrola:", "mbrowrap error"), "mbrola: Saturation"
_LONGEST = 60
"""Seconds that one sentence may take."""


@dataclass(frozen=True, slots=True)
class Joined:
    """samples: at `rate`. missed: pairs of sounds that the voice has not, each as two of its own names with a dash
    between, or a question mark; where they were to be is silence."""

    samples: Samples
    rate: int
    missed: tuple[str, ...]


def is_of_people(voice: str) -> bool:
    """Whether a voice's name is one of MBROLA's, as espeak-ng has them: mb-us1, mb-ro1-en."""
    return voice.startswith(_PREFIX)


def say(text: str, voice: str, *, speed: int = 160, pitch: int = 50) -> Joined:
    """Say a text, or phones in [[double brackets]]. speed: words a minute; pitch: 0 to 100.

    Raises UsageError where the programs or the voice are missing, or a program fails.
    """
    import soundfile

    heard, told = _run(voice, ["-s", str(speed), "-p", str(pitch), "--stdin", "--stdout"], text)
    if not heard:  # nothing of it is a sound
        return Joined(np.zeros(0, np.float32), RATE, ())
    samples, rate = soundfile.read(io.BytesIO(heard), dtype="float32")
    return Joined(samples, int(rate), tuple(_missed(told)))


def mnemonics(text: str, voice: str) -> str:
    """What espeak-ng takes a text, or phones in [[double brackets]], for; empty where it does not know the first."""
    return _run(voice, ["-q", "-x", "--stdin"], text)[0].decode("utf-8", "replace").strip()


def _run(voice: str, words: list[str], text: str) -> tuple[bytes, str]:
    """What espeak-ng writes, and what it and mbrola complain of."""
    program = shutil.which("espeak-ng")
    if program is None or shutil.which("mbrola") is None:
        raise UsageError(f"{voice}: expected the programs espeak-ng and mbrola, found them not. {_remedy(voice)}")
    if _NAME.fullmatch(voice) is None:
        raise UsageError(f"{voice}: expected the name of a voice of MBROLA, such as mb-us1.")
    try:
        run = subprocess.run(  # noqa: S603 - a voice's name is letters and digits, the text is no argument
            [program, "-v", voice, *words], input=text.encode(), capture_output=True, timeout=_LONGEST, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"{voice}: expected a sentence within {_LONGEST} seconds, found none: {text!r:.60}."
        ) from error
    told = run.stderr.decode("utf-8", "replace")
    if run.returncode:
        last = next(reversed(told.strip().splitlines()), f"exit status {run.returncode}")
        raise UsageError(f"{voice}: expected an installed voice of MBROLA, found {last!r:.90}. {_remedy(voice)}")
    return run.stdout, told


def _missed(told: str) -> Iterator[str]:
    """Pairs of sounds that were not there; a question mark for other complaints than of loudness: they are cut off
    where there are many."""
    for line in told.splitlines():
        found = _MISSED.match(line)
        if found is not None:
            yield found.group(1)
        elif line.startswith(_PROGRAMS) and not line.startswith(_LOUD):
            yield "?"


def _remedy(voice: str) -> str:
    name = voice.removeprefix(_PREFIX).partition("-")[0]
    return (
        f"On Debian: apt-get install espeak-ng mbrola mbrola-{name}; voices are in its part non-free. "
        "`espeak-ng --voices=mb` lists their names."
    )
