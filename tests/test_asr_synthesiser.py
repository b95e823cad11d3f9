"""espeak-ng in a process of its own: a crash of it costs nothing but the moment, and it ends with what it was for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from trifold.errors import EngineError, UsageError
from trifold.tasks.asr.speaking import synthesiser
from trifold.tasks.asr.speaking.synthesiser import Synthesiser

pytest.importorskip("espeakng_loader")


def test_a_sentence_is_said_though_the_library_crashed() -> None:
    with Synthesiser() as voice:
        before = voice.say("tata mani", "sw")
        voice._process.send_signal(signal.SIGSEGV if os.name == "posix" else signal.SIGTERM)
        voice._process.wait(10)
        after = voice.say("tata mani", "sw")
    assert [name for name, _ in after.phones] == ["t", "a", "t", "a", "m", "a", "n", "i"]
    assert np.array_equal(before.samples, after.samples)


def test_a_library_that_crashes_at_a_sentence_again_and_again_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "crash.py"
    program.write_text("import os\ninput()\nos.abort()\n", encoding="utf-8")
    monkeypatch.setattr(synthesiser, "_PROGRAM", program)
    with Synthesiser() as voice, pytest.raises(EngineError, match=r"sw ended 3 times at 'tata mani'"):
        voice.say("tata mani", "sw")


def test_after_a_voice_that_there_is_not_others_speak() -> None:
    with Synthesiser() as voice:
        with pytest.raises(UsageError, match=r"^nowhere: expected the name of a voice"):
            voice.say("tata", "nowhere+f1")
        assert len(voice.say("tata", "sw").samples)
        assert not voice.say("", "sw").samples.any()


def test_its_process_ends_with_it() -> None:
    with Synthesiser() as voice:
        voice.say("tata", "sw")
        process = voice._process
        assert process.poll() is None
    assert process.poll() == 0


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_its_process_ends_when_the_one_that_asks_is_killed() -> None:
    """And Ctrl-C, which a terminal sends to both, is left to the one that asks."""
    lines = (
        "import os, signal, time",
        "from trifold.tasks.asr.speaking.synthesiser import Synthesiser",
        "with Synthesiser() as voice:",
        "    voice.say('tata', 'sw')",
        "    os.kill(voice._process.pid, signal.SIGINT)",
        "    print(voice._process.pid, len(voice.say('tata', 'sw').samples) > 0, flush=True)",
        "    time.sleep(60)",
    )
    with subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        number, spoke = asking.stdout.readline().split()
        asking.kill()
    assert spoke == "True"
    until = time.monotonic() + 10
    while _runs(int(number)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(int(number))


def _runs(number: int) -> bool:
    """Whether a process does anything: one that has ended may still wait for whoever adopted it."""
    state = Path(f"/proc/{number}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
