"""Voices that were people's: what is asked of the programs, and what is left out where a voice has no sound for it.

Mostly with small programs in place of espeak-ng and mbrola, as MBROLA's voices are not free enough to be installed by
tests; where they are, they are heard too.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from trifold.engine.loaded import open_model
from trifold.engine.runner import Runner
from trifold.errors import DataError, UsageError
from trifold.models.registry import find
from trifold.task import Limits, Progress, no_progress
from trifold.tasks.asr.adapting.voices import Reader
from trifold.tasks.asr.commands.options import narrators_of
from trifold.tasks.asr.decoder import Usual
from trifold.tasks.asr.learning import spoken
from trifold.tasks.asr.learning.alike import made_alike
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.learning.spoken import Aloud, told_aloud
from trifold.tasks.asr.making.graph import read_graph
from trifold.tasks.asr.making.names import INPUT
from trifold.tasks.asr.making.train import Order, make
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.refining.maps import Map
from trifold.tasks.asr.refining.phones import STATES
from trifold.tasks.asr.sound.audio import find_audio
from trifold.tasks.asr.speaking.people import say
from trifold.tasks.asr.speaking.spoken import Line, Narrator, Voice, aloud, check_voice, speaks
from trifold.tasks.asr.task import AsrTask
from trifold.tasks.asr.text.letters import Letters

SPEAKS = f"""#!{sys.executable}
import os, sys, wave
given, text = sys.argv[1:], sys.stdin.read()
if given[given.index("-v") + 1] == "mb-xx2":
    sys.exit("Error: The specified espeak-ng voice does not exist.")
if "-x" in given:
    print(text.strip("[]|").partition("?")[0])
    sys.exit()
assert given[given.index("-s") + 1].isdigit() and given[-2:] == ["--stdin", "--stdout"]
if "z" in text:
    os.kill(os.getpid(), 11)
for letter in "qx":
    if letter in text:
        print(f"mbrola: Warning: a-{{letter}} unknown, replaced with _-_", file=sys.stderr)
if "j" in text:
    print("mbrola: , replaced with _-_", file=sys.stderr)
print("mbrola: Saturation on a-b", file=sys.stderr)
place = f"FOLDER/{{os.getpid()}}.wav"
with wave.open(place, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    for letter in text.replace("-", ""):
        for at in range(1600):
            tone = (at * (ord(letter) - 90) // 40 % 2) * 8000 - 4000
            file.writeframes(tone.to_bytes(2, "little", signed=True))
if "silent" not in text:
    sys.stdout.buffer.write(open(place, "rb").read())
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second of a tone for each letter; no sounds for q, x and j, and z is a crash."""
    for name in ("espeak-ng", "mbrola"):
        place = tmp_path / name
        # Several may run at once: each writes a file of its own.
        place.write_text(SPEAKS.replace("FOLDER", str(tmp_path)), encoding="utf-8")
        place.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def lines(*contents: str) -> list[Line]:
    return [Line(content, tuple(ord(letter) - 96 for letter in content)) for content in contents]


@pytest.mark.usefixtures("programs")
def test_sentences_with_sounds_that_a_voice_has_not_are_left_out() -> None:
    given = lines("aba", "baqa", "abba", "aq", "baba")
    found = list(aloud(given, "mb-xx1", 4, 0))
    assert sorted(phones for _, phones in found) == sorted(line.phones for line in given if "q" not in line.content)
    assert {phones: len(samples) for samples, phones in found}[given[2].phones] == 1600 * len("abba")
    assert len(list(aloud(given, "mb-xx1", 2, 0))) == 2
    orders = [[phones for _, phones in aloud(given, "mb-xx1", 4, seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


@pytest.mark.usefixtures("programs")
def test_a_sentence_that_a_program_dies_of_is_left_out() -> None:
    given = lines("abba", "az", "aj", "silent", "baba")
    assert sorted(phones for _, phones in aloud(given, "mb-xx1", 5, 0)) == sorted(given[i].phones for i in (0, 4))


@pytest.mark.usefixtures("programs")
def test_not_all_of_a_text_is_asked_for(tmp_path: Path) -> None:
    assert not list(aloud(lines(*["aq"] * 150), "mb-xx1", 2, 0))
    assert len(list(tmp_path.glob("*.wav"))) < 70, "one for each time that the program ran"


@pytest.mark.usefixtures("programs")
def test_a_voice_that_lacks_sounds_of_nearly_all_sentences_is_refused() -> None:
    check_voice(Voice("mb-xx1", lines("ab", "ba", "aba", "aq")))
    check_voice(Voice("sw", lines("q")))
    with pytest.raises(UsageError, match=r"mb-xx1: .*found 1 of 41 that it says in full. It has no a-q\. .*mnemonics"):
        check_voice(Voice("mb-xx1", lines(*["qa"] * 40, "ab")))
    with pytest.raises(UsageError, match=r"found 0 of 2 that it says in full\. Ask"):
        check_voice(Voice("mb-xx1", lines("silent", "silent")))


@pytest.mark.usefixtures("programs")
def test_voices_and_mnemonics_that_there_are_not_are_named() -> None:
    speaks("mb-xx1", {"a": "a", "aa": "a a"})
    with pytest.raises(UsageError, match=r"voice does not exist.*apt-get install espeak-ng mbrola mbrola-xx2"):
        speaks("mb-xx2")
    with pytest.raises(UsageError, match="expected the name of a voice of MBROLA"):
        speaks("mb-xx1;x")
    with pytest.raises(UsageError, match=r"mb-xx1: says nothing for 'a \?', which is to be 'b'"):
        speaks("mb-xx1", {"a": "a", "b": "a ?"})


@pytest.mark.usefixtures("programs")
def test_each_voice_reads_its_share_and_unsaid_phones_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    warned: list[str] = []
    told: list[tuple[int, int]] = []

    @contextmanager
    def report(_: str) -> Iterator[Progress]:
        yield lambda done, whole: told.append((done, whole))

    names = ("", *"abcdefghijklmnopqrstuvwxyz")
    voices = [Voice(name, lines(*["abab", "baba"] * 20, "abaq")) for name in ("mb-xx1", "mb-xx3")]
    said = Aloud(voices, phones=names)
    assert said.people
    seeds: list[int] = []

    def heard(given: list[Line], voice: str, count: int, seed: int) -> Any:
        seeds.append(seed)
        return aloud(given, voice, count, seed)

    monkeypatch.setattr(spoken, "aloud", heard)
    whose: list[int] = []

    def alike(frames: Any, phones: Any, voices: list[int], *others: Any) -> list[Any]:
        whose.extend(voices)
        return [one + 100 for one in made_alike(frames, phones, voices, *others)]

    monkeypatch.setattr(spoken, "made_alike", alike)
    settings = LearningSettings(spoken=30, components=1)
    models = told_aloud(said, len(names), settings, 0, report, "seed 1", warned.append)
    assert warned == ["seed 1: no voice says q in full: such sounds are hardly found."]
    assert len(set(seeds)) == 2, "each reads sentences of its own"
    assert whose == [0] * 15 + [1] * 15, "the maps are of voices"
    assert (30, 30) in told
    assert all(done <= whole for done, whole in told)
    assert models.sounds.means[STATES:].min() > 50, "learnt from what was made alike"
    a, b = (models.sounds.means[STATES * names.index(phone) : STATES * names.index(phone) + STATES] for phone in "ab")
    assert np.abs(a - b).mean() > 0.5, "two tones are told apart"
    with pytest.raises(DataError, match="mb-xx1: expected speech, found none"):
        told_aloud(Aloud([Voice("mb-xx1", lines("aq", "qa"))]), len(names), settings, 0, report, "")


@pytest.mark.usefixtures("programs")
def test_a_language_of_tones_is_begun_from_two_voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which says who they were, and what is to be known of them."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    monkeypatch.setenv("TRIFOLD_HOME", str(tmp_path / "home"))
    chance = np.random.default_rng(0)
    sentences = ["".join(chance.choice(["mok", "so", "kosc", "cm"], 3)) for _ in range(120)]
    (tmp_path / "audio").mkdir()
    for number, (samples, phones) in enumerate(aloud(lines(*sentences[:60]), "mb-xx1", 60, 1)):
        name = "".join(chr(96 + phone) for phone in phones)
        soundfile.write(tmp_path / "audio" / f"{name}-{number}.wav", np.pad(samples, 4000), 16_000)
    tables = [tmp_path / folder / "said.txt" for folder in "ab"]
    for table in tables:
        table.parent.mkdir()
        table.write_text("a\ta\n", encoding="utf-8")
    order = Order(
        name="tones",
        paths=find_audio(tmp_path / "audio"),
        text=(sentences[60:], Letters({letter: (letter,) for letter in "ckmos"})),
        units=6,
        settings=LearningSettings(seeds=1, spoken=40, components=1, refinements=1, rehearings=2, networks=1),
        speak=(Narrator("mb-xx1"), Narrator("mb-xx3")),
        sources=tables,
    )

    def alike(*given: Any) -> list[Any]:
        """Made so, they are not where the recordings' frames are."""
        away = Map(np.eye(39), np.full(39, 0.2))
        return [away.apply(one) for one in made_alike(*given)]

    monkeypatch.setattr(spoken, "made_alike", alike)
    made = make(order, lambda _: nullcontext(no_progress))
    loaded = open_model(find(made.version))
    runner, task = Runner(loaded), loaded.task
    read = [one for _, one in runner.map((i, {"audio": str(path)}) for i, path in enumerate(order.paths))]
    pairs = [(list(Path(one.audio).stem.split("-")[0]), [heard.text for heard in one.phones]) for one in read]
    assert compare(pairs).rate < 0.5
    assert isinstance(task, AsrTask)
    reader = Reader(task.decoder, *read_graph(find(made.version).path / "model.onnx"))
    units = [task.encode(task.check({"audio": str(path)}, Limits())).units for path in order.paths]
    usual = Usual.of([reader.scores(unit.arrays[INPUT]) for unit in some] for some in units)
    assert task.decoder.usual is not None
    assert task.decoder.usual.mean == pytest.approx(usual.mean, abs=0.01), "what is usual is what the graph gives"
    assert [one["by"] for one in made.facts["read_aloud"]["voices"]] == ["MBROLA", "MBROLA"]
    assert set(made.facts["text"]) == {str(table) for table in tables}
    said = (find(made.version).path / "README.md").read_text("utf-8")
    assert "begun from what the voices mb-xx1 (MBROLA), mb-xx3 (MBROLA) said of the text; most voices of MBROLA" in said

    mute = replace(order, text=(["silent"] * 9, Letters({letter: (letter,) for letter in "silent"})), paths=())
    with pytest.raises(UsageError, match="found 0 of 9 that it says in full"):
        make(mute, lambda _: nullcontext(no_progress))


def test_nothing_of_sound_is_needed_until_something_is_heard() -> None:
    """So that who has not the extra is told which one it is."""
    code = (
        "import sys; sys.modules.update(soundfile=None, soxr=None);"
        "import trifold.tasks.asr.making.train, trifold.tasks.asr.speaking.spoken"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_people_are_believed_sooner() -> None:
    assert not Aloud([Voice("mb-xx1", ()), Voice("sw", ())]).people
    assert Aloud([Voice("mb-xx1", ())]).rounds < Aloud([Voice("sw", ())]).rounds


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
    assert not len(say("", "mb-us1").samples)


def test_tables_are_for_all_voices_or_in_the_order_of_voices(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("a\ta\n", encoding="utf-8")
    two.write_text("a\tE\n", encoding="utf-8")
    assert narrators_of((), ()) == ()
    assert narrators_of(("ro, sw",), ()) == (Narrator("ro"), Narrator("sw"))
    assert [r.mnemonics for r in narrators_of(("ro,sw", "it"), (one,))] == [{"a": "a"}] * 3
    assert narrators_of(("ro,sw", "it"), (one, two)) == (
        *(Narrator(name, {"a": "a"}) for name in ("ro", "sw")),
        Narrator("it", {"a": "E"}),
    )
    with pytest.raises(UsageError, match="expected one table, or one for each of 3 times --speak, found 2"):
        narrators_of(("ro", "sw", "it"), (one, two))
    with pytest.raises(UsageError, match="--speak: expected names of voices"):
        narrators_of((",",), ())
