"""MBROLA's voices: pairs of sounds that people recorded, joined as espeak-ng asks for them (Dutoit et al. 1996).

They need the programs espeak-ng and mbrola, and voices, which are not part of espeak-ng: most may be used without
charge for what is not commerce alone, so trifold neither carries nor fetches any. Each sentence is a process.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import soundfile

from trifold.errors import UsageError
from trifold.tasks.asr.sound.audio import RATE, Samples

__all__ = ["Joined", "is_of_people", "say"]

_PREFIX = "mb-"
_NAME = re.compile(r"mb-[a-z]+[0-9](-[a-z]+)?")
_MISSED = re.compile(r"^mbrola: Warning: (\S+) unknown, replaced", re.MULTILINE)
_LONGEST = 60
"""Seconds that one sentence may take."""


@dataclass(frozen=True, slots=True)
class Joined:
    """samples: at `rate`. missed: pairs of sounds that the voice has not, each as two of its own names with a dash
    between; where they were to be is silence."""

    samples: Samples
    rate: int
    missed: tuple[str, ...]


def is_of_people(voice: str) -> bool:
    """Whether a voice's name is one of MBROLA's, as espeak-ng has them: mb-us1, mb-ro1-en."""
    return voice.startswith(_PREFIX)


def say(text: str, voice: str, *, speed: int = 160, pitch: int = 50) -> Joined:
    """Say a text, or phones in [[double brackets]]. speed: words a minute; pitch: 0 to 100.

    Raises UsageError where the programs or the voice are missing.
    """
    program = shutil.which("espeak-ng")
    if program is None or shutil.which("mbrola") is None:
        raise UsageError(f"{voice}: expected the programs espeak-ng and mbrola, found them not. {_remedy(voice)}")
    if _NAME.fullmatch(voice) is None:
        raise UsageError(f"{voice}: expected the name of a voice of MBROLA, such as mb-us1.")
    words = [program, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdin", "--stdout"]
    try:
        run = subprocess.run(  # noqa: S603 - a voice's name is letters and digits, the text is no argument
            words, input=text.encode(), capture_output=True, timeout=_LONGEST, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"{voice}: expected a sentence within {_LONGEST} seconds, found none: {text!r:.60}."
        ) from error
    if run.returncode:
        raise UsageError(f"{voice}: expected an installed voice of MBROLA, found none of that name. {_remedy(voice)}")
    if not run.stdout:  # nothing of it is a sound
        return Joined(np.zeros(0, np.float32), RATE, ())
    samples, rate = soundfile.read(io.BytesIO(run.stdout), dtype="float32")
    return Joined(samples, int(rate), tuple(_MISSED.findall(run.stderr.decode("utf-8", "replace"))))


def _remedy(voice: str) -> str:
    name = voice.removeprefix(_PREFIX).partition("-")[0]
    return (
        f"On Debian: apt-get install espeak-ng mbrola mbrola-{name}; voices are in its part non-free. "
        "`espeak-ng --voices=mb` lists their names."
    )
