"""Voices that were people's: what is asked of the programs, and what is left out where a voice has no sound for it.

Mostly with small programs in place of espeak-ng and mbrola, as MBROLA's voices are not free enough to be installed by
tests; where they are, they are heard too.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from trifold.errors import UsageError
from trifold.tasks.asr.commands.options import readers_of
from trifold.tasks.asr.making.train import Reader
from trifold.tasks.asr.speaking.people import say
from trifold.tasks.asr.speaking.spoken import Line, Voice, aloud, speaks, unsaid

SPEAKS = f"""#!{sys.executable}
import sys, wave
given, text = sys.argv[1:], sys.stdin.read()
assert given[given.index("-s") + 1].isdigit() and given[-2:] == ["--stdin", "--stdout"]
if given[given.index("-v") + 1] == "mb-xx2":
    sys.exit("Error: The specified espeak-ng voice does not exist.")
for letter in "qx":
    if letter in text:
        print(f"mbrola: Warning: a-{{letter}} unknown, replaced with _-_", file=sys.stderr)
with wave.open("said.wav", "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(b"\\x00\\x10" * 800 * len(text))
sys.stdout.buffer.write(open("said.wav", "rb").read())
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many samples as text, and no sounds for q and x."""
    for name in ("espeak-ng", "mbrola"):
        place = tmp_path / name
        # Several may run at once: each writes a file of its own.
        place.write_text(SPEAKS.replace('"said.wav"', f'"{tmp_path}/%d.wav" % __import__("os").getpid()'), "utf-8")
        place.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def lines(*contents: str) -> list[Line]:
    return [Line(content, tuple(ord(letter) - 96 for letter in content)) for content in contents]


@pytest.mark.usefixtures("programs")
def test_sentences_with_sounds_that_a_voice_has_not_are_left_out() -> None:
    given = lines("aba", "baqa", "abba", "aq", "baba")
    found = list(aloud(given, "mb-xx1", 4, 0))
    assert sorted(phones for _, phones in found) == sorted(line.phones for line in given if "q" not in line.content)
    assert {phones: len(samples) for samples, phones in found}[given[2].phones] == 800 * len("abba")
    assert len(list(aloud(given, "mb-xx1", 2, 0))) == 2
    orders = [[phones for _, phones in aloud(given, "mb-xx1", 4, seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


@pytest.mark.usefixtures("programs")
def test_sounds_that_no_voice_has_are_known_before_anything_is_learnt() -> None:
    q = ord("q") - 96
    most = lines(*["aba"] * 40, "baqa", "aq", "abba")
    assert unsaid([Voice("mb-xx1", most)]) == {q}
    assert unsaid([Voice("mb-xx1", most), Voice("mb-xx3", lines("axa", *["abab"] * 9))]) == {q, ord("x") - 96}
    assert unsaid([Voice("mb-xx1", lines(*["ab"] * 9))]) == set()
    assert unsaid([Voice("mb-xx1", most), Voice("sw", most)]) == set(), "espeak-ng itself says whatever it is asked for"
    with pytest.raises(UsageError, match=r"mb-xx1: .*found 1 of 41 that it says in full. It has no a-q\. .*mnemonics"):
        unsaid([Voice("mb-xx1", lines(*["qa"] * 40, "ab"))])


@pytest.mark.usefixtures("programs")
def test_voices_that_are_not_installed_are_named() -> None:
    speaks("mb-xx1", {"a": "a"})
    with pytest.raises(UsageError, match="apt-get install espeak-ng mbrola mbrola-xx2"):
        speaks("mb-xx2")
    with pytest.raises(UsageError, match="expected the name of a voice of MBROLA"):
        speaks("mb-xx1;x")


def test_the_programs_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="mb-us1: expected the programs espeak-ng and mbrola"):
        speaks("mb-us1")


@pytest.mark.skipif(
    shutil.which("mbrola") is None or not Path("/usr/share/mbrola/us1").exists(),
    reason="needs MBROLA's voice us1 (Debian, non-free: apt-get install espeak-ng mbrola mbrola-us1)",
)
def test_a_person_is_heard() -> None:
    found = say("seven sons of a sailor", "mb-us1", speed=150)
    faster = say("seven sons of a sailor", "mb-us1", speed=200)
    assert 0.8 * found.rate < len(found.samples) < 4 * found.rate
    assert len(faster.samples) < 0.9 * len(found.samples)
    assert np.abs(found.samples).max() > 0.05
    assert not found.missed
    assert say("[[a-q]]", "mb-us1").missed or not len(say("[[a-q]]", "mb-us1").samples)
    assert not len(say("", "mb-us1").samples)


def test_tables_are_for_all_voices_or_in_the_order_of_voices(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("a\ta\n", encoding="utf-8")
    two.write_text("a\tE\n", encoding="utf-8")
    assert readers_of((), ()) == ()
    assert readers_of(("ro, sw",), ()) == (Reader("ro"), Reader("sw"))
    assert [r.mnemonics for r in readers_of(("ro,sw", "it"), (one,))] == [{"a": "a"}] * 3
    assert readers_of(("ro,sw", "it"), (one, two)) == (
        *(Reader(name, {"a": "a"}) for name in ("ro", "sw")),
        Reader("it", {"a": "E"}),
    )
    with pytest.raises(UsageError, match="expected one table, or one for each of 3 times --speak, found 2"):
        readers_of(("ro", "sw", "it"), (one, two))
    with pytest.raises(UsageError, match="--speak: expected names of voices"):
        readers_of((",",), ())
