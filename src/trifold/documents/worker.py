"""The process that parses one file: started for it, bounded in everything, ended with it.

What it parses comes from anywhere, and the parsers are large: so it gets little memory and time, and once it has
loaded its parser it can open nothing any more, neither files nor connections. It is told what to do by its arguments,
gets the file on standard input, and answers one JSON object on standard output.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from trifold.documents.document import Unreadable, checked, tidy

__all__ = ["main"]

_READERS: Mapping[str, tuple[str, str]] = {
    "text": ("trifold.documents.plain", "read_text"),
    "markdown": ("trifold.documents.markup", "read_markdown"),
    "html": ("trifold.documents.markup", "read_html"),
    "docx": ("trifold.documents.word", "read_docx"),
    "pdf": ("trifold.documents.pdf", "read_pdf"),
}
_MISSING = 3
"""Exit code where a package of the extra is not installed."""


def main() -> None:
    """Do what the last argument says: a JSON object with kind, text (bytes at most), flag, memory, seconds."""
    told = json.loads(sys.argv[-1])
    _bound(told["memory"], told["seconds"])
    try:
        answer = _answer(told)
    except ImportError:
        sys.exit(_MISSING)
    except Unreadable as error:
        answer = {"why": error.why, "message": str(error)}
    except MemoryError:
        answer = {"lack": "memory"}
    except Exception as error:  # a defect of ours or of a parser: without its words, which may be those of the file
        answer = {"defect": f"{type(error).__name__} at {_place(error)}"}
    content = json.dumps(answer).encode()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    os._exit(0)  # nothing is left to be done, and to free large trees piece by piece takes time


def _answer(told: Mapping[str, Any]) -> dict[str, Any]:
    module, name = _READERS[told["kind"]]
    reader: Callable[[bytes, Callable[[], None]], tuple[str, tuple[str, ...]]] = getattr(import_module(module), name)
    text, warnings = reader(sys.stdin.buffer.read(), _seal)
    text = tidy(text, exact=told["kind"] == "text")
    return {"text": checked(text, told["text"], told["flag"]), "warnings": warnings}


def _place(error: Exception) -> str:
    at = error.__traceback__
    assert at is not None
    while at.tb_next is not None:
        at = at.tb_next
    return f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}"


def _bound(memory: int, seconds: float) -> None:
    """Let this process have no more than that, where the system knows such bounds (not on Windows)."""
    with suppress(OSError):  # where memory is short, this process goes before those that it works for
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        import resource
    except ImportError:
        return
    whole = max(1, round(seconds))
    for what, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_CPU, whole, whole + 1),
        (resource.RLIMIT_AS, memory, memory),
    ):
        with suppress(ValueError, OSError):  # a lower bound is in force already, or the system has none
            resource.setrlimit(what, (soft, hard))


def _seal() -> None:
    """From now on this process opens no file and no connection, and writes no file."""
    try:
        import resource
    except ImportError:
        return
    for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (0, 0))
