"""A process around espeak-ng's library: reads what to say, a line of JSON each, and writes what was heard.

It is run by `synthesiser`, by its path, and imports nothing of trifold: the library reads memory that it has not
written and crashes now and then, which is to cost a sentence and not a run. An answer is a line of JSON, `bytes` of it
16-bit samples that follow.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

__all__: list[str] = []

_SYNCHRONOUS, _PHONEME_EVENTS = 2, 1
_UTF8, _IN_BRACKETS = 1, 0x100
_PHONE = 7
_RATE, _PITCH, _RANGE = 1, 3, 4


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


class _Library:
    """The one voice of this process. rate: samples a second; 0 or less where espeak-ng does not start."""

    def __init__(self, library: str, data: str) -> None:
        self._library = ctypes.CDLL(library)
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _PHONEME_EVENTS)
        self._parts: list[bytes] = []
        self._phones: list[tuple[str, float]] = []
        self._callback = _Callback(self._hear)  # kept, or it is collected while the library still calls it
        self._library.espeak_SetSynthCallback(self._callback)

    def say(
        self, text: str, voice: str, speed: int, pitch: int, melody: int
    ) -> tuple[bytes, list[tuple[str, float]]] | None:
        """Samples, and phones with the seconds at which they begin; None where there is no such voice."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        for parameter, value in ((_RATE, speed), (_PITCH, pitch), (_RANGE, melody)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._parts, self._phones = [], []
        content = text.encode()
        self._library.espeak_Synth(content, len(content) + 1, 0, 0, 0, _UTF8 | _IN_BRACKETS, None, None)
        return b"".join(self._parts), self._phones

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count:
            self._parts.append(ctypes.string_at(samples, 2 * count))
        at = 0
        while events[at].type:
            event = events[at]
            if event.type == _PHONE:
                name = event.id.string.decode("utf-8", "replace")
                if name and not name.startswith("_"):
                    self._phones.append((name.strip("',%="), event.audio_position / 1000))
            at += 1
        return 0


def _serve(library: str, data: str) -> None:
    """Until nothing more is asked. Ctrl-C is for the process that asks: it ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the library prints is no answer
    voice = _Library(library, data)
    for asked in sys.stdin.buffer:
        said = voice.say(*json.loads(asked)) if voice.rate > 0 else None
        samples, phones = said or (b"", [])
        head = {"known": said is not None, "rate": voice.rate, "phones": phones, "bytes": len(samples)}
        answers.write(json.dumps(head).encode() + b"\n" + samples)
        answers.flush()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
