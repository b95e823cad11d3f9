"""`trifold asr repeats`: what comes again and again in transcripts, and where."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from trifold.errors import DataError, UsageError
from trifold.interfaces.console import Terminal
from trifold.tasks.asr.commands.group import asr
from trifold.tasks.asr.measuring.repeats import Repeat, find_repeats
from trifold.tasks.asr.transcripts import Heard, Transcript
from trifold.tasks.asr.writing.jsonlines import write_jsonlines
from trifold.tasks.asr.writing.textgrid import write_textgrid
from trifold.tasks.asr.writing.tsv import write_tsv

Run = Callable[..., tuple[int, str]]

STEP = 0.125
LONG, SHORT = ("u07", "u21", "u33", "u02", "u18", "u40"), ("u11", "u05", "u29", "u05")


def heard(audio: str, units: Sequence[str], pauses: dict[int, float] | None = None) -> Transcript:
    """Units of STEP seconds, one after the other; pauses: seconds before a unit by its number."""
    found: list[Heard] = []
    at = 0.0
    for number, unit in enumerate(units):
        at += (pauses or {}).get(number, 0.0)
        found.append(Heard(unit, at, at + STEP, 0.5))
        at += STEP
    return Transcript(audio, at, tuple(found))


def said(*recordings: str, pauses: dict[int, float] | None = None) -> list[Transcript]:
    return [heard(f"{number}.wav", units.split(), pauses) for number, units in enumerate(recordings)]


def units(found: Sequence[Repeat]) -> set[str]:
    return {" ".join(one.units) for one in found}


def planted() -> tuple[list[Transcript], dict[tuple[str, ...], list[tuple[str, float, float]]]]:
    """Random units with LONG in every third recording and SHORT in every second one; and where they are."""
    chance = random.Random(0)
    transcripts, places = [], {LONG: list[tuple[str, float, float]](), SHORT: list[tuple[str, float, float]]()}
    for number in range(60):
        audio = f"day {number % 2}/r{number:02}.wav"
        line = [f"u{chance.randint(1, 40):02}" for _ in range(20)]
        for word, every, before in ((LONG, 3, 12), (SHORT, 2, 5)):  # the later one first: it moves nothing
            if number % every == 0:
                at = before + (len(SHORT) if word is LONG and number % 2 == 0 else 0)
                line[before:before] = word
                places[word].append((audio, at * STEP, (at + len(word)) * STEP))
        transcripts.append(heard(audio, line))
    return transcripts, places


@pytest.fixture
def repeats(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words: str | Path) -> tuple[int, str]:
        code = asr.main(["repeats", *map(str, words)], prog_name="asr", standalone_mode=False, obj=Terminal())
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "heard.jsonl"
    write_jsonlines(planted()[0], path)
    return path


def test_planted_words_come_first_with_all_their_places() -> None:
    transcripts, places = planted()
    found = find_repeats(transcripts)
    assert [one.units for one in found[:2]] == [LONG, SHORT]
    for one in found[:2]:
        assert [(place.audio, place.start, place.end) for place in one.places] == places[one.units]
    assert [len(one.places) for one in found[:2]] == [20, 30]  # fewer, but longer


def test_what_pairs_of_units_let_expect_goes_behind_what_they_do_not() -> None:
    """Syllables in any order say little, however often some stand together; a word that fixes them says more."""
    chance = random.Random(1)
    syllables = ["k a", "t a", "p i", "m u", "n e", "s o"]
    noise = [" ".join(chance.choices(syllables, weights=[9, 9, 1, 1, 1, 1], k=15)) for _ in range(40)]
    found = find_repeats(said(*noise, *(f"{line} p i m u n e s o" for line in noise[:12])))
    assert found[0].units == tuple("pimuneso")
    loose = next(one for one in found if one.units == tuple("kata"))
    assert len(loose.places) > 2 * len(found[0].places)
    assert loose.expected > len(loose.places) / 2
    assert loose.score < found[0].score / 2


def test_a_part_of_a_longer_sequence_is_found_only_where_it_stands_elsewhere() -> None:
    assert units(find_repeats(said(*["x k a t a n y"] * 3))) == {"x k a t a n y"}
    noise = [" ".join(random.Random(seed).choices("bdfghijlmopqrsuvwxyz", k=20)) for seed in range(8)]
    often = said(*["s i k a t a n"] * 12, "u k a t a", "o k a t a", *noise)
    assert units(find_repeats(often)) == {"s i k a t a n"}  # its parts stand elsewhere, but less than three times
    (longer, part) = find_repeats([*often, heard("one more.wav", list("pkata"))])
    assert (longer.units, len(longer.places)) == (tuple("sikatan"), 12)
    assert (part.units, len(part.places)) == (tuple("kata"), 15)


# The last two have sequences that overlap themselves, where a part may rank before the whole.
@pytest.mark.parametrize("seed", [*range(30), 1387, 3260])
def test_exactly_what_repeats_is_found(seed: int) -> None:
    """Against counting everything, in few different units, where sequences overlap themselves and each other."""
    chance = random.Random(seed)
    shortest, longest, least = chance.randint(2, 3), chance.randint(3, 6), chance.randint(2, 4)
    lines = [chance.choices("abc", k=chance.randint(0, 25)) for _ in range(chance.randint(1, 5))]
    counted: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for length in range(shortest, longest + 1):
        for number, line in enumerate(lines):
            for at in range(len(line) - length + 1):
                places = counted.setdefault(tuple(line[at : at + length]), [])
                if not places or places[-1][0] != number or places[-1][1] + length <= at:
                    places.append((number, at))
    counted = {key: places for key, places in counted.items() if len(places) >= least}
    found = find_repeats(
        [heard(str(number), line) for number, line in enumerate(lines)],
        shortest=shortest,
        longest=longest,
        least=least,
    )
    told = {one.units: [(int(place.audio), round(place.start / STEP)) for place in one.places] for one in found}
    assert told == {key: counted[key] for key in told}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for key, places in counted.items():
        longer = {k: p for k, p in counted.items() if len(k) > len(key)}
        closed = not any(key in (k[1:], k[:-1]) and len(p) == len(places) for k, p in longer.items())
        covers = [(n, at, at + len(k)) for k, p in longer.items() if k in told for n, at in p]
        alone = [
            (n, at)
            for n, at in places
            if not any(n == m and first <= at and at + len(key) <= end for m, first, end in covers)
        ]
        if closed and len(alone) >= least:
            assert key in told
        elif not closed:
            assert key not in told


def test_places_do_not_overlap() -> None:
    (one,) = find_repeats(said("k a k a k a k a k a k a"), shortest=4, longest=4)
    assert one.units == ("k", "a", "k", "a")
    assert [place.start / STEP for place in one.places] == [0, 4, 8]


def test_sequences_end_with_recordings_and_at_pauses() -> None:
    assert not find_repeats(said(*["t a", "k u"] * 3))
    line = "t a k u"
    assert units(find_repeats(said(*[line] * 3, pauses={2: 0.3}))) == {line}
    assert not find_repeats(said(*[line] * 3, pauses={2: 0.32}))
    assert units(find_repeats(said(*[line] * 3, pauses={2: 0.32}), shortest=2)) == {"t a", "k u"}
    # A silence that is written down is one, too, and not a unit.
    assert units(find_repeats(said(*["t a sil k u"] * 3))) == {line}
    assert not find_repeats(said(*["t a sil sil sil k u"] * 3))


def test_composition_does_not_part_the_same_phones() -> None:
    (one,) = find_repeats(said("k á t e", "k a\u0301 t e", "k á t e"))
    assert (one.units, len(one.places)) == (("k", "á", "t", "e"), 3)


def test_lengths_and_counts_are_as_asked_for() -> None:
    transcripts = planted()[0]
    found = find_repeats(transcripts, shortest=2, longest=3, least=5)
    assert {len(one.units) for one in found} == {2, 3}
    assert min(len(one.places) for one in found) >= 5
    parts = [LONG[at : at + 3] for at in range(4)]
    assert {one.units for one in found} >= set(parts)  # what is longer is found in parts
    assert not find_repeats(transcripts, least=31)
    assert units(find_repeats(transcripts, least=30)) == {" ".join(SHORT)}
    assert not find_repeats([])


@pytest.mark.parametrize("form", ["jsonl", "tsv", "textgrids"])
def test_every_form_of_transcripts_is_read(repeats: Run, tmp_path: Path, form: str) -> None:
    path = tmp_path / form
    transcripts = planted()[0]
    if form == "textgrids":
        path.mkdir()
        for one in transcripts:
            write_textgrid(one, path / f"{Path(one.audio).stem}.TextGrid")
    else:
        (write_tsv if form == "tsv" else write_jsonlines)(transcripts, path)
    found = json.loads(repeats(path, "--json", "--top", "2")[1])
    assert [one["count"] for one in found["repeats"]] == [20, 30]
    assert found["repeats"][0]["places"][1]["audio"].endswith("r03" if form == "textgrids" else "day 1/r03.wav")


def test_json(repeats: Run, file: Path) -> None:
    code, out = repeats(file, "--json", "--top", "2")
    found = json.loads(out)
    places = planted()[1]
    first, second = found["repeats"]
    assert (code, found["recordings"], found["units"]) == (0, 60, 60 * 20 + 20 * 6 + 30 * 4)
    assert found["found"] >= 2
    assert (first["sequence"], first["units"], first["count"]) == (1, list(LONG), 20)
    assert (second["sequence"], second["units"], second["count"]) == (2, list(SHORT), 30)
    assert [(p["audio"], p["start"], p["end"]) for p in second["places"]] == places[SHORT]
    assert first["score"] > second["score"] > 0 < first["expected"] < 1


def test_the_table_of_places(repeats: Run, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "places.tsv"
    code, out = repeats(file, "--top", "2", "--output", target)
    assert code == 0
    assert out
    with target.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert list(rows[0]) == ["sequence", "units", "audio", "start", "end"]
    assert [row["sequence"] for row in rows] == ["1"] * 20 + ["2"] * 30
    told = [(row["units"], row["audio"], row["start"], row["end"]) for row in rows]
    places = planted()[1]
    assert told == [
        (" ".join(word), audio, f"{start:.3f}", f"{end:.3f}")
        for word in (LONG, SHORT)
        for audio, start, end in places[word]
    ]


def test_a_terminal_has_a_table_and_a_pipe_lines(repeats: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio, start, end = planted()[1][LONG][0]
    header, first, _, *rest = repeats(file, "--top", "2")[1].splitlines()
    assert header.split("\t") == ["sequence", "count", "length", "units", "audio", "start", "end"]
    assert first.split("\t") == ["1", "20", "6", " ".join(LONG), audio, f"{start:.3f}", f"{end:.3f}"]
    assert rest == []
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal for rich,
    monkeypatch.setenv("TERM", "dumb")  # but one without colours
    out = repeats(file, "--top", "2")[1]
    assert "\t" not in out
    (row,) = (line for line in out.splitlines() if " ".join(LONG) in line)
    assert row.split()[:3] == ["1", "20", "6"]
    assert f"r00.wav {start:.2f}–{end:.2f} s" in row
    assert "in 1,440 units of 60 recordings" in out


def test_what_steers_a_terminal_is_not_printed(repeats: Run, tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    write_jsonlines(said(*["\x1b[31m k [red] a"] * 3), path)
    assert "␛[31m k [red] a" in repeats(path)[1]


def test_errors_say_what_to_do(repeats: Run, file: Path, tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text("once upon a time\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"story\.txt: expected transcripts as `trifold transcribe` writes them"):
        repeats(tmp_path / "story.txt")
    with pytest.raises(DataError, match="cannot be read"):
        repeats(tmp_path / "nowhere.jsonl")
    with pytest.raises(
        DataError, match=r"4 to 12 units .* 40 places.* none among 1,440 units.* Lower --least or --sho"
    ):
        repeats(file, "--least", "40")
    write_jsonlines(said("k a", "t u"), tmp_path / "few.jsonl")
    with pytest.raises(DataError, match=r"of 2 recordings\. Lower --shortest, or transcribe more\."):
        repeats(tmp_path / "few.jsonl", "--least", "2")
    with pytest.raises(DataError, match=r"of 2 recordings\. Transcribe more\."):
        repeats(tmp_path / "few.jsonl", "--least", "2", "--shortest", "2")
    write_jsonlines([Transcript("a.wav", 3.0, ())], tmp_path / "silent.jsonl")
    with pytest.raises(DataError, match="expected units or phones, found none in 1 recording"):
        repeats(tmp_path / "silent.jsonl")
    with pytest.raises(UsageError, match="--shortest: expected at most the 3 units of --longest, found 4"):
        repeats(file, "--longest", "3")
    with pytest.raises(DataError, match="its folder does not exist"):
        repeats(file, "--output", tmp_path / "none" / "places.tsv")


def test_a_recording_that_is_there_twice_is_no_repeat(repeats: Run, file: Path) -> None:
    file.write_text(2 * file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(DataError, match=r"r00\.wav: expected one transcript of each recording, found two"):
        repeats(file)


def test_the_command_is_cheap_to_import() -> None:
    code = (
        "import sys, trifold.tasks.asr.commands.group;"
        "print(sorted({'numpy', 'torch', 'soundfile', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
