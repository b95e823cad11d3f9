"""Speech from espeak-ng (carried by the package espeakng-loader), with the times of its phones; needs no sound device.

espeak-ng is under the GPL, so the package is optional. The times are for references of corpora to develop with; nothing
that learns reads them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from trifold.errors import EngineError, MissingExtra, UsageError

__all__ = ["Said", "Synthesiser"]

_PROGRAM = Path(__file__).with_name("espeak.py")
_TRIES = 3
"""How often a sentence is asked for where the library crashes at it."""
_ENDING = 5
"""Seconds that the process has to end."""


@dataclass(frozen=True, slots=True)
class Said:
    """samples: int16 at `rate`. phones: (mnemonic, seconds at which it begins), pauses left out."""

    samples: np.ndarray[Any, np.dtype[np.int16]]
    rate: int
    phones: tuple[tuple[str, float], ...]


class Synthesiser:
    """espeak-ng in a process of its own, within `with`; begun anew where it crashes.

    Its noise goes on from what it said before, so the same sentences in the same order are the same sounds, to the bit.
    Raises MissingExtra.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise MissingExtra("reading aloud by espeak-ng", "espeak") from error
        where = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
        self._command = [sys.executable, "-I", "-S", str(_PROGRAM), *map(str, where)]

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def say(self, text: str, voice: str, *, speed: int = 160, pitch: int = 50, melody: int = 50) -> Said:
        """Say a text, or phones in [[double brackets]]. speed: words a minute; pitch, melody: 0 to 100.

        voice: a language, or one and a variant as in "en-us+f2". Raises UsageError where there is none of that name,
        MissingExtra where the library does not start, EngineError where it crashes at this text again and again.
        """
        asked = json.dumps([text, voice, speed, pitch, melody]).encode() + b"\n"
        for _ in range(_TRIES):
            answer = self._answer(asked)
            if answer is not None:
                return _said(*answer, voice)
            self._end()
            self._begin()
        raise EngineError(f"espeak-ng's {voice} ended {_TRIES} times at {text!r:.60}. Leave it out, or take another.")

    def _answer(self, asked: bytes) -> tuple[dict[str, Any], bytes] | None:
        """What the process says; None where it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(asked)
            self._process.stdin.flush()
        except OSError:
            return None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        head: dict[str, Any] = json.loads(line)
        samples = self._process.stdout.read(head["bytes"])
        return (head, samples) if len(samples) == head["bytes"] else None

    def _begin(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this Python, a file beside this one, and an installed library
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def _end(self) -> None:
        try:
            self._process.communicate(timeout=_ENDING)  # with its input at an end, so is it
        except (subprocess.TimeoutExpired, OSError):
            self._process.kill()
            self._process.communicate()


def _said(head: dict[str, Any], samples: bytes, voice: str) -> Said:
    if head["rate"] <= 0:
        raise MissingExtra("reading aloud by espeak-ng", "espeak")
    if not head["known"]:
        language = voice.partition("+")[0]
        raise UsageError(
            f"{language}: expected the name of a voice of espeak-ng, such as sw. See `espeak-ng --voices`."
        )
    phones = tuple((name, seconds) for name, seconds in head["phones"])
    return Said(np.frombuffer(samples, np.int16), head["rate"], phones)
