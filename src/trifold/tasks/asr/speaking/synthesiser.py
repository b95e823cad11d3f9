"""Speech from espeak-ng (carried by the package espeakng-loader), with the times of its phones; needs no sound device.

espeak-ng is under the GPL, so the package is optional. The times are for references of corpora to develop with; nothing
that learns reads them.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from trifold.errors import MissingExtra, UsageError

__all__ = ["Said", "Synthesiser"]

_SYNCHRONOUS, _PHONEME_EVENTS = 2, 1
_UTF8, _IN_BRACKETS = 1, 0x100
_PHONE = 7
_RATE, _PITCH, _RANGE = 1, 3, 4


@dataclass(frozen=True, slots=True)
class Said:
    """samples: int16 at `rate`. phones: (mnemonic, seconds at which it begins), pauses left out."""

    samples: np.ndarray[Any, np.dtype[np.int16]]
    rate: int
    phones: tuple[tuple[str, float], ...]


class _Event(ctypes.Structure):
    class _Id(ctypes.Union):
        _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


_ONLY = ThreadPoolExecutor(1, "espeak-ng")
"""All calls come from one thread, as the library is none for several; from this one, as it reads memory of its stack
that it has not written (`InterpretPhoneme`): after other libraries on the same stack it crashed now and then."""


class Synthesiser:
    """The one synthesiser of a process. Raises MissingExtra."""

    def __init__(self) -> None:
        _ONLY.submit(self._begin).result()

    def _begin(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise MissingExtra("reading aloud by espeak-ng", "espeak") from error
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        path = espeakng_loader.get_data_path().encode()
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, path, _PHONEME_EVENTS)
        if self._rate <= 0:
            raise MissingExtra("reading aloud by espeak-ng", "espeak")
        self._parts: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        self._phones: list[tuple[str, float]] = []
        self._callback = _Callback(self._hear)  # kept, or it is collected while the library still calls it
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, *, speed: int = 160, pitch: int = 50, melody: int = 50) -> Said:
        """Say a text, or phones in [[double brackets]]. speed: words a minute; pitch, melody: 0 to 100.

        voice: a language, or one and a variant as in "en-us+f2". Raises UsageError where there is none of that name.
        """
        return _ONLY.submit(self._say, text, voice, speed, pitch, melody).result()

    def _say(self, text: str, voice: str, speed: int, pitch: int, melody: int) -> Said:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            language = voice.partition("+")[0]
            raise UsageError(
                f"{language}: expected the name of a voice of espeak-ng, such as sw. See `espeak-ng --voices`."
            )
        for parameter, value in ((_RATE, speed), (_PITCH, pitch), (_RANGE, melody)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._parts, self._phones = [], []
        content = text.encode()
        self._library.espeak_Synth(content, len(content) + 1, 0, 0, 0, _UTF8 | _IN_BRACKETS, None, None)
        samples = np.concatenate(self._parts) if self._parts else np.zeros(0, np.int16)
        return Said(samples, self._rate, tuple(self._phones))

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        at = 0
        while events[at].type:
            event = events[at]
            if event.type == _PHONE:
                name = event.id.string.decode("utf-8", "replace")
                if name and not name.startswith("_"):
                    self._phones.append((name.strip("',%="), event.audio_position / 1000))
            at += 1
        return 0
