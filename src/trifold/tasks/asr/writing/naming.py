"""What a recording is called, wherever it lies and however it is packed."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

from trifold.tasks.asr.sound.audio import SUFFIXES

__all__ = ["recording_name"]


def recording_name(audio: str) -> str:
    """The name of a recording's file without its folder and without the suffix of an audio file, composed (NFC).

    A dot that begins no such suffix belongs to the name: `a/b.wav` is `b`, `b.take2` stays as it is.
    """
    name = PurePosixPath(audio.replace("\\", "/")).name
    path = PurePosixPath(name)
    return unicodedata.normalize("NFC", path.stem if path.suffix.lower() in SUFFIXES else name)
