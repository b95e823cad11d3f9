"""Unpaired text as people have it, and what tells how it is pronounced."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trifold.errors import DataError, MissingExtra, UsageError
from trifold.tasks.asr.text.reading import read_sentences, speller

TEXT = "Wa ámitúúngá obia.\r\n\n  \u00a0 \n\tkyéma\n"
SENTENCES = ("Wa ámitúúngá obia.", "kyéma")


def written(tmp_path: Path, content: bytes, name: str = "text.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_sentences_in_any_encoding_that_tells_itself(tmp_path: Path, encoding: str, packed: bool) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    content = (mark + TEXT).encode(encoding)
    path = written(tmp_path, gzip.compress(content) if packed else content, "a.gz" if packed else "a.txt")
    assert read_sentences(path) == SENTENCES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found an empty file"),
        (b"\n \r\n\t\n", "found only blanks"),
        ("é\n".encode("latin-1"), "something else after 0 bytes"),
        (b"PK\x03\x04word/document.xml", r"control character 0x03 after 2 characters"),
        ("ab\n".encode("utf-16-le"), "control character 0x00 after 1 characters"),
        (gzip.compress(b"a\n" * 999)[:-9], "damaged file"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff", "damaged file"),
        (b"\x1f\x8bno gzip", "damaged file"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_sentences(written(tmp_path, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match=r"cannot be read \(.*directory"):
            read_sentences(path)


def test_tables_and_dictionaries_pronounce(tmp_path: Path) -> None:
    assert speller(letters=written(tmp_path, b"ch x\na a\n", "l")).phones("cha") == ("x", "a")
    assert speller(dictionary=written(tmp_path, b"cha X AA1\n", "d")).phones("Cha") == ("X", "AA")


def test_one_way_of_pronouncing_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found none of them\. Give the one") as none:
        speller()
    for name in ("letters", "dictionary", "espeak", "epitran"):
        assert name in str(none.value)
    with pytest.raises(UsageError, match=r"found letters and espeak\. Keep one"):
        speller(letters=tmp_path, espeak="sw")


class Backend:
    """phonemizer's, with espeak-ng's habits."""

    available = True
    said = {  # noqa: RUF012
        "kitabu": " k i t ˈa b u",
        "don't": "d o n t",
        "known": "n oʊ n",
        "привет": " (en) s ɪ (sw)",
        "ngʼ": "e n|ɟ i",
        "": "",
    }

    def __init__(self, voice: str, **options: Any) -> None:
        assert options["with_stress"] is False

    @classmethod
    def is_available(cls) -> bool:
        return cls.available

    @staticmethod
    def supported_languages() -> dict[str, str]:
        return {"sw": "Swahili", "es": "Spanish", "es-419": "Spanish"}

    def phonemize(self, words: list[str], separator: Any, strip: bool) -> list[str]:
        assert (separator.phone, separator.word, strip) == (" ", "|", True)
        return [self.said.get(word, "e n|ɟ i") for word in words]


class Wrapper:
    library = ""

    @classmethod
    def set_library(cls, path: str) -> None:
        cls.library = path

    set_data_path = set_library


class Separator:
    def __init__(self, phone: str, word: str, syllable: str) -> None:
        self.phone, self.word = phone, word


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def espeak(monkeypatch: pytest.MonkeyPatch) -> type[Backend]:
    fresh = type("Fresh", (Backend,), {})
    stand_in(monkeypatch, "phonemizer")
    stand_in(monkeypatch, "phonemizer.backend", EspeakBackend=fresh)
    stand_in(monkeypatch, "phonemizer.backend.espeak")
    stand_in(monkeypatch, "phonemizer.backend.espeak.wrapper", EspeakWrapper=Wrapper)
    stand_in(monkeypatch, "phonemizer.separator", Separator=Separator)
    stand_in(monkeypatch, "espeakng_loader", get_library_path=lambda: "lib", get_data_path=lambda: "data")
    return fresh


def test_a_voice_pronounces_word_by_word_without_stress(espeak: type[Backend]) -> None:
    voice = speller(espeak="sw")
    assert Wrapper.library == "data"
    assert voice.phones("kitabu") == ("k", "i", "t", "a", "b", "u")
    assert voice.phones("don’t") == ("d", "o", "n", "t"), "any apostrophe"
    assert voice.phones("kitabu-known") == ("k", "i", "t", "a", "b", "u", "n", "oʊ", "n")


def test_a_voice_that_spells_a_word_out_does_not_know_it(espeak: type[Backend]) -> None:
    voice = speller(espeak="sw")
    assert voice.phones("привет") is None, "taken for another language"
    assert voice.phones("kitabu-漢字") is None, "names of its letters"
    assert voice.phones("-") is None


def test_a_voice_that_there_is_not(espeak: type[Backend]) -> None:
    with pytest.raises(UsageError, match=r"found 'es-mx'\. Near to it: es, es-419\. .*letter-to-sound table"):
        speller(espeak="es-mx")
    with pytest.raises(UsageError, match=r"found 'zz'\. It has 3"):
        speller(espeak="zz")
    espeak.available = False
    with pytest.raises(MissingExtra, match="espeak-ng needs"):
        speller(espeak="sw")


class DatafileError(Exception):
    pass


class Rules:
    """epitran's, of a language with two letters; what has no rule is passed on as it is, or left out where strict."""

    special = {"eng-Latn": object, "cmn-Hans": object}  # noqa: RUF012
    ft: Any = type("Features", (), {"ipa_segs": staticmethod(list)})

    def __init__(self, code: str) -> None:
        if code != "swa-Latn":
            raise DatafileError(code)

    def transliterate(self, word: str) -> str:
        return word.replace("ng'", "ŋ").replace("j", "ɟ")

    def strict_trans(self, word: str) -> str:
        return "".join(char for char in self.transliterate(word) if char in "ŋɟoa")


@pytest.fixture
def epitran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    stand_in(monkeypatch, "epitran", Epitran=Rules)
    stand_in(monkeypatch, "epitran.exceptions", DatafileError=DatafileError, MappingError=KeyError)


@pytest.mark.usefixtures("epitran")
def test_rules_pronounce_what_they_have_letters_for() -> None:
    rules = speller(epitran="swa-Latn")
    assert rules.phones("ng’oja") == ("ŋ", "o", "ɟ", "a")
    assert rules.phones("ja-ja") == ("ɟ", "a", "ɟ", "a")
    assert rules.phones("joёa") is None
    assert rules.phones("-") is None


@pytest.mark.usefixtures("epitran")
def test_a_language_without_rules() -> None:
    with pytest.raises(UsageError, match="found 'swahili', for which it has no rules"):
        speller(epitran="swahili")
    for code in ("eng-Latn", "cmn-Hans"):
        with pytest.raises(UsageError, match="not pronounced by rules"):
            speller(epitran=code)


@pytest.mark.parametrize(("option", "module"), [("espeak", "phonemizer.backend"), ("epitran", "epitran")])
def test_absent_packages_are_named(monkeypatch: pytest.MonkeyPatch, option: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, module.split(".")[0], None)
    with pytest.raises(MissingExtra, match=rf"pip install 'trifold\[{option}\]'"):
        speller(**{option: "sw"})  # type: ignore[arg-type]
