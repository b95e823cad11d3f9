"""Runs the process that parses a file, and ends it when it must."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trifold.documents.document import MB, Bounds, Document, Kind, Unreadable
from trifold.errors import EngineError, MissingExtra

__all__ = ["Parsing"]

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from trifold.documents.worker import main; main()"
_MISSING = 3
"""Exit code of the worker: see there."""
_SIGKILL, _SIGXCPU = getattr(signal, "SIGKILL", 9), getattr(signal, "SIGXCPU", 24)
"""Windows has neither, and no bounds on memory and time of processors either."""
_KINDS: Mapping[Kind, str] = {
    "text": "text that is neither UTF-8 nor UTF-16",
    "markdown": "Markdown",
    "html": "HTML",
    "pdf": "PDF",
    "docx": "Word files",
}
_ESCAPED = 6
"""Bytes of JSON that one byte of a text takes at most, when it is escaped."""
_BESIDE = 65_536
"""Bytes of the answer beside the text."""
_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Of the environment; keys and the like are not for whoever parses."""


class Parsing:
    """The parsing of one file in a process of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = self._late = False

    def run(self, content: bytes, kind: Kind, bounds: Bounds) -> Document:
        """The text of a file; waits for it. To be called once.

        Raises Unreadable, MissingExtra; EngineError when the process was ended from outside or has a defect.
        """
        with self._lock:
            if self._ended:
                raise EngineError("the parsing was ended before it began.")
            self._process = process = _started(kind, bounds)
        timer = threading.Timer(2 * bounds.seconds, self._expire)
        timer.daemon = True
        timer.start()
        feeder = threading.Thread(target=_feed, args=(process, content), daemon=True)
        feeder.start()
        assert process.stdout is not None
        try:
            answer = process.stdout.read(_ESCAPED * bounds.text + _BESIDE)
        finally:
            timer.cancel()
            self.end()
            feeder.join()
            process.wait()
            process.stdout.close()
        return self._result(process.returncode, answer, kind, bounds)

    def end(self) -> None:
        """End the process now, whatever it does; `run` then raises. Does no harm when it has ended. Thread-safe."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def _expire(self) -> None:
        self._late = True
        self.end()

    def _result(self, code: int, answer: bytes, kind: Kind, bounds: Bounds) -> Document:
        try:
            found: dict[str, Any] = json.loads(answer)
        except ValueError:
            raise self._failure(code, kind, bounds) from None
        if "text" in found:
            return Document(found["text"], kind, tuple(found["warnings"]))
        if "defect" in found:
            raise EngineError(f"the reader of {kind} files failed ({found['defect']}). Please report this file.")
        if "why" in found:
            raise Unreadable(found["why"], found["message"])
        raise _lacking(bounds)

    def _failure(self, code: int, kind: Kind, bounds: Bounds) -> Exception:
        """Why there is no answer."""
        if code == _MISSING:
            return MissingExtra(f"reading {_KINDS[kind]}", "documents")
        if self._late or code == -_SIGXCPU:
            return Unreadable(
                "too_large",
                f"reading the file takes more than {bounds.seconds:g} seconds of computing. Give a part of it, or save "
                "it anew: damaged and overloaded files take for ever.",
            )
        if code == -_SIGKILL:
            return EngineError(
                "the process that reads the file was ended from outside. Is the machine short of memory?"
            )
        return _lacking(bounds)


def _lacking(bounds: Bounds) -> Unreadable:
    """Parsers say in many ways that there is no memory, some by breaking off."""
    return Unreadable(
        "too_large",
        f"reading the file takes more than {bounds.memory / MB:,.0f} MB of memory, or it is damaged. Give a part of "
        "it, or save it anew.",
    )


def _started(kind: Kind, bounds: Bounds) -> subprocess.Popen[bytes]:
    """The process: without the site's start-up files, which cost time, and with the paths that hold here."""
    paths = [str(Path(__file__).parents[2]), *(path for path in sys.path if Path(path).is_absolute())]
    told = {
        "kind": kind,
        "text": bounds.text,
        "flag": bounds.text_flag,
        "memory": bounds.memory,
        "seconds": bounds.seconds,
    }
    return subprocess.Popen(  # noqa: S603 - nothing of the file is among the arguments
        [sys.executable, "-I", "-S", "-c", _START, json.dumps(paths), json.dumps(told)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
        start_new_session=True,  # Ctrl-C is for those who wait for the text
    )


def _feed(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin:  # it may end before it has read all
        process.stdin.write(content)
