"""Transcripts as tables, JSON lines and TextGrids: what is written comes back, and other programs' files are read."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from trifold.errors import DataError, UsageError
from trifold.tasks.asr.transcripts import Heard, Transcript
from trifold.tasks.asr.writing.jsonlines import read_jsonlines, write_jsonlines
from trifold.tasks.asr.writing.naming import recording_name
from trifold.tasks.asr.writing.praat import parse
from trifold.tasks.asr.writing.reading import read_transcripts
from trifold.tasks.asr.writing.textgrid import read_textgrid, textgrid, textgrid_paths, write_textgrid
from trifold.tasks.asr.writing.tsv import read_tsv, write_tsv

PHONES = (Heard("w", 0.12, 0.2, 0.912), Heard("á", 0.2, 0.305, 0.5), Heard('"', 0.4, 0.55, 1.0))
WORDS = (Heard("wá", 0.12, 0.305, 0.7), Heard('"so"\t#1!', 0.4, 0.55, 0.25))
FULL = Transcript("a/b c.wav", 0.8, PHONES, WORDS, "mboshi@2", ("clipped",))
SILENT = Transcript("silent.flac", 2.5, ())


def invented(seed: int) -> Transcript:
    """Phones and words as a recogniser leaves them: hops of 10 ms, float dust, pauses here and there."""
    chance = random.Random(seed)
    tiers: list[tuple[Heard, ...]] = []
    at = 0.0
    for _ in range(2):
        at, found = 0.0, []
        for _ in range(chance.randrange(1, 12)):
            at += chance.choice([0, 0, 0.01 * chance.randrange(1, 40)])
            end = at + 0.01 * chance.randrange(1, 30)
            found.append(Heard(chance.choice(['"', 'a""b', "ŋ͡m", "n", "!", "<exists>", "3", "\\"]), at, end, 1.0))
            at = end
        tiers.append(tuple(found))
    return Transcript(f"r{seed}", at + 30, tiers[0], tiers[1])


def rounded(found: tuple[Heard, ...], digits: int) -> tuple[Heard, ...]:
    return tuple(replace(h, start=round(h.start, digits), end=round(h.end, digits)) for h in found)


def test_json_lines_keep_everything(tmp_path: Path) -> None:
    path = tmp_path / "out"
    odd = [replace(SILENT, audio="half \udcff.wav"), replace(SILENT, audio="line\u2028\n.wav")]
    write_jsonlines(iter([FULL, SILENT, *odd]), path)
    assert read_jsonlines(path) == read_transcripts(path) == [FULL, SILENT, *odd]
    first = json.loads(path.read_text(encoding="utf-8").split("\n")[0])
    assert list(first) == ["audio", "seconds", "phones", "words", "model", "warnings"]
    assert first["phones"][1] == {"text": "á", "start": 0.2, "end": 0.305, "confidence": 0.5}
    assert "á" in path.read_text(encoding="utf-8")


def test_a_table_has_a_line_for_each_phone_and_word(tmp_path: Path) -> None:
    path = tmp_path / "out.tsv"
    write_tsv([FULL, SILENT, replace(FULL, audio="d.wav", words=())], path)
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[:2] == ["audio\ttier\tstart\tend\ttext\tconfidence", "a/b c.wav\tphone\t0.120\t0.200\tw\t0.912"]
    assert len(lines) == 1 + 3 + 2 + 3 + 1
    first, last = read_transcripts(path)
    assert first == Transcript("a/b c.wav", 0.55, PHONES, WORDS)
    assert (last.audio, last.phones, last.words) == ("d.wav", PHONES, ())


def test_a_file_name_that_is_no_text_does_not_lose_the_table(tmp_path: Path) -> None:
    write_tsv([replace(FULL, audio="half \udcff.wav")], tmp_path / "t")
    assert read_tsv(tmp_path / "t")[0].audio == r"half \udcff.wav"


def test_a_table_may_be_sorted_and_have_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "t"
    rows = ["text\taudio\tnote\ttier\tend\tstart\tconfidence", "b\tx\t\tphone\t2\t1\t1", "a\tx\t\tphone\t1\t0\t0.5"]
    for encoding in ("utf-16", "utf-8-sig"):
        path.write_bytes("\r\n".join(rows).encode(encoding))
        assert read_transcripts(path) == [Transcript("x", 2.0, (Heard("a", 0, 1, 0.5), Heard("b", 1, 2, 1)))]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_heard_comes_back_from_every_form(tmp_path: Path, seed: int) -> None:
    transcript = invented(seed)
    write_tsv([transcript], tmp_path / "t")
    write_jsonlines([transcript], tmp_path / "j")
    write_textgrid(transcript, tmp_path / f"r{seed}.TextGrid")
    for name, digits in (("t", 3), ("j", 6), (f"r{seed}.TextGrid", 6)):
        (back,) = read_transcripts(tmp_path / name)
        assert back.audio == transcript.audio
        assert back.phones == rounded(transcript.phones, digits)
        assert back.words == rounded(transcript.words, digits)


def test_intervals_of_a_textgrid_tile_the_recording(tmp_path: Path) -> None:
    path = textgrid_paths([FULL.audio], tmp_path)[0]
    write_textgrid(FULL, path)
    assert path.name == "b c.TextGrid"
    content = path.read_text(encoding="utf-8")
    assert content.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 0.8\n')
    assert 'text = """so""\t#1!"' in content
    seconds, tiers = parse(content, "here")
    assert seconds == 0.8
    assert [tier.name for tier in tiers] == ["asr-phones", "asr-words"]
    for seed in range(20):
        made = invented(seed)
        for tier in parse(textgrid(made), "")[1]:
            starts, ends, _ = zip(*tier.intervals, strict=True)
            assert starts[1:] == ends[:-1]
            assert (starts[0], ends[-1]) == (0, pytest.approx(made.seconds, abs=1e-6))
            assert all(start < end for start, end in zip(starts, ends, strict=True))
    back = read_textgrid(path)
    assert back.phones == tuple(replace(phone, confidence=1.0) for phone in PHONES)
    assert (back.audio, back.seconds, [w.text for w in back.words]) == ("b c", 0.8, ["wá", '"so"\t#1!'])
    assert parse(textgrid(SILENT), "")[1][0].intervals == ((0, 2.5, ""),)
    assert read_textgrid_of(SILENT, tmp_path) == SILENT


def test_what_overlaps_is_cut_and_what_lasts_no_time_left_out() -> None:
    phones = (Heard("a", 0, 0.3, 1), Heard("b", 0.2, 0.5, 1), Heard("c", 0.5, 0.5, 1), Heard("d", 0.9, 1.2, 1))
    seconds, (tier,) = parse(textgrid(Transcript("x", 1.0, phones)), "here")
    assert seconds == 1.2
    assert tier.intervals == ((0, 0.3, "a"), (0.3, 0.5, "b"), (0.5, 0.9, ""), (0.9, 1.2, "d"))


def read_textgrid_of(transcript: Transcript, folder: Path) -> Transcript:
    write_textgrid(transcript, folder / "silent.TextGrid")
    return replace(read_textgrid(folder / "silent.TextGrid"), audio=transcript.audio)


SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

1
3.5
<exists>
3
"TextTier"
"clicks"
1
3.5
1
1.5
"a ""click"""
"IntervalTier"
"speaker - words"
1
3.5
1
1
3.5
"tu"
"IntervalTier"
"speaker - Phones"
1
3.5
3
1
2.25
"t"
2.25
3
"uː"
3
3.5
" "
'''


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-marked"])
def test_the_short_form_in_any_encoding_and_tiers_of_other_names(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.y.textgrid"
    text = SHORT.replace("\n", "\r\n")
    path.write_bytes(("\ufeff" + text).encode("utf-16-be") if "marked" in encoding else text.encode(encoding))
    (found,) = read_transcripts(tmp_path)
    assert found == Transcript("x.y", 2.5, (Heard("t", 0, 1.25, 1), Heard("uː", 1.25, 2, 1)), (Heard("tu", 0, 2.5, 1),))


def test_an_only_tier_may_have_any_name_and_several_are_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "x.TextGrid"
    path.write_text(textgrid(SILENT).replace("asr-phones", "Tier 1"), encoding="utf-8")
    assert read_textgrid(path).seconds == 2.5
    path.write_text(textgrid(FULL).replace("asr-phones", "one").replace("asr-words", "two"), encoding="utf-8")
    with pytest.raises(DataError, match=r"found 'one', 'two'. Rename"):
        read_textgrid(path)
    assert [phone.text for phone in read_textgrid(path, phones="one", words="two").phones] == ["w", "á", '"']
    with pytest.raises(DataError, match="called three, found 'one', 'two'"):
        read_textgrid(path, phones="three")


def test_recordings_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    assert [p.name for p in textgrid_paths(["x/a.wav", "b.take2"], tmp_path)] == ["a.TextGrid", "b.take2.TextGrid"]
    with pytest.raises(UsageError, match=r"y/A.flac: its TextGrid would have the name of that of x/a.wav"):
        textgrid_paths(["x/a.wav", "y/A.flac"], tmp_path)


def test_a_recording_is_told_by_its_name() -> None:
    assert recording_name("folder.d/a.b.WAV") == recording_name("C:\\sounds\\a.b.flac") == "a.b"
    assert recording_name("e\u0301.mp3") == "\u00e9"
    assert recording_name("a.TextGrid") == "a.TextGrid"


HEADER = "audio\ttier\tstart\tend\ttext\tconfidence\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "found an empty file"),
        ("hello", "found something else"),
        ("audio\ttier\n", "found no start, end, text, confidence"),
        (HEADER + "a\tsyllable\t0\t1\tx\t1\n", "line 2: expected the tier phone or word, found 'syllable'"),
        (HEADER + "a\tphone\t2\t1\tx\t1\n", "an end not before it, found 2 to 1"),
        (HEADER + "a\tphone\tnan\t1\tx\t1\n", "expected a start from 0 seconds on"),
        (HEADER + "a\tphone\tzero\t1\tx\t1\n", "expected a number, found 'zero'"),
        (HEADER + "a\tphone\t0\t1\tx\t7\n", "a confidence from 0 to 1, found 7"),
        (HEADER + "a\tphone\t0\n", "line 2: expected a phone or a word as text, found None"),
        (HEADER + '"a\tphone\t0', "expected columns parted by tabs"),
        ('{"audio": "a"}\n{"audio": 3}', "line 2: expected an object with the name"),
        ('{"audio": "a"}\n{', "line 2: expected a JSON object"),
        ('{"audio": "a", "phones": [{"text": "x", "start": true, "end": 1}]}', r"phones\[0\]: expected a number"),
        ('{"audio": "a", "phones": {}}', "'phones' as a list of objects"),
        (SHORT[:150], "found the end of the file; it was cut off"),
        (SHORT.replace('"TextGrid"', '"Pitch"'), "found an object of the class 'Pitch'"),
        (SHORT.replace("<exists>\n3", "<exists>\n-1"), "how many tiers, intervals or points follow, found -1"),
        (SHORT.replace("2.25\n3\n", "2.25\n2\n"), "an end not before it"),
    ],
)
def test_what_is_no_transcript_is_told_apart(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        read_transcripts(path)


def test_places_without_transcripts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected TextGrids in the folder, found none"):
        read_transcripts(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_transcripts(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\x00\x81")
    with pytest.raises(DataError, match="expected text in UTF-8 or UTF-16"):
        read_tsv(tmp_path / "binary")
