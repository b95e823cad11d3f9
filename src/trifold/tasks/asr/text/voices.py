"""From spelling to phones by programs that know a language's rules: voices of espeak-ng, and epitran's tables.

Both are optional and none is part of trifold: espeak-ng and phonemizer are under the GPL.
"""

from __future__ import annotations

import difflib
import logging
import re
import shutil
import unicodedata
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from trifold.errors import MissingExtra, UsageError

__all__ = ["Epitran", "Espeak", "epitran_rules", "espeak_voice"]

_JOINERS = re.compile(r"['’ʼ-]")
_APOSTROPHES = re.compile(r"[’ʼ]")
_STRESS = re.compile(r"[ˈˌ]")
_WORD, _PHONE = "|", " "


@dataclass(frozen=True, slots=True)
class Espeak:
    """A voice of espeak-ng. backend, separator: phonemizer's."""

    backend: Any
    separator: Any

    def phones(self, word: str) -> tuple[str, ...] | None:
        """The phones of a word without stress; None where the voice spells it out or turns to another language."""
        found: list[str] = []
        for part in _APOSTROPHES.sub("'", word).split("-"):
            said = self.backend.phonemize([part], separator=self.separator, strip=True) if part else [""]
            # Of one word it makes several where it says the names of its letters, and a flag as in "(en)" where it
            # takes the word for one of another language.
            if len(said) != 1 or _WORD in said[0] or "(" in said[0]:
                return None
            found += [bare for phone in said[0].split() if (bare := _plain(phone))]
        return tuple(found) or None


@dataclass(frozen=True, slots=True)
class Epitran:
    """epitran's rules for one language. jamo: the package that takes syllables of Hangul apart, for Korean alone."""

    rules: Any
    jamo: Any = None

    def phones(self, word: str) -> tuple[str, ...] | None:
        """The phones of a word; None where there is no rule for one of its letters."""
        if self.jamo is not None:  # `transliterate` does so itself, `strict_trans` does not
            word = self.jamo.j2hcj(self.jamo.h2j(word))
        if _APOSTROPHES.search(self.rules.transliterate(word)):
            word = _APOSTROPHES.sub("'", word)  # the one that a table has where it has any
        known = _JOINERS.sub("", self.rules.strict_trans(word))
        if known != _JOINERS.sub("", self.rules.transliterate(word)):
            return None
        return tuple(_plain(phone) for phone in self.rules.ft.ipa_segs(known)) or None


def espeak_voice(voice: str) -> Espeak:
    """A voice by its name in espeak-ng, such as "sw" or "en-us", spoken through phonemizer.

    The library of the package espeakng-loader is taken where it is installed, else the system's. Raises MissingExtra
    without phonemizer or espeak-ng, UsageError for a voice that there is not.
    """
    try:
        backends = import_module("phonemizer.backend")
        wrapper = import_module("phonemizer.backend.espeak.wrapper").EspeakWrapper
        separator = import_module("phonemizer.separator").Separator(phone=_PHONE, word=_WORD, syllable="")
    except ImportError as error:
        raise MissingExtra("pronouncing by espeak-ng", "espeak") from error
    try:
        loader = import_module("espeakng_loader")
    except ImportError:
        pass
    else:
        wrapper.set_library(loader.get_library_path())
        wrapper.set_data_path(loader.get_data_path())
    if not backends.EspeakBackend.is_available():
        raise MissingExtra("pronouncing by espeak-ng", "espeak")
    names = sorted(backends.EspeakBackend.supported_languages())
    if voice not in names:
        raise UsageError(
            f"espeak: expected the name of a voice of espeak-ng, found {voice!r}. {_nearest(voice, names)}"
        )
    quiet = logging.getLogger("trifold.espeak")
    quiet.setLevel(logging.ERROR)
    backend = backends.EspeakBackend(voice, with_stress=False, language_switch="keep-flags", logger=quiet)
    return Espeak(backend, separator)


def epitran_rules(code: str) -> Epitran:
    """The rules of a language by epitran's code, ISO 639-3 and ISO 15924, such as "swa-Latn".

    Raises MissingExtra without epitran, UsageError for a language that it has no rules for.
    """
    try:
        epitran = import_module("epitran")
        faults = import_module("epitran.exceptions")
    except ImportError as error:
        raise MissingExtra("pronouncing by epitran", "epitran") from error
    # For these epitran has no rules: it would download a dictionary, or ask a program of flite's.
    if code in epitran.Epitran.special and not (code == "eng-Latn" and shutil.which("lex_lookup")):
        raise UsageError(
            f"epitran: {code} is not pronounced by rules, and the dictionary that epitran would use is not here. Give "
            "a pronouncing dictionary or a voice of espeak-ng instead."
        )
    try:
        return Epitran(epitran.Epitran(code), import_module("jamo") if code == "kor-Hang" else None)
    except (faults.DatafileError, faults.MappingError):
        raise UsageError(
            f"epitran: expected a language and its script such as 'swa-Latn', found {code!r}, for which it has no "
            "rules. See its list of languages, or write a letter-to-sound table."
        ) from None


def _nearest(voice: str, names: list[str]) -> str:
    near = difflib.get_close_matches(voice, names, 5, 0.4) or [n for n in names if n[:1] == voice[:1]][:5]
    some = f"Near to it: {', '.join(near)}. " if near else ""
    return f"{some}It has {len(names)} (espeak-ng --voices); for another language write a letter-to-sound table."


def _plain(phone: str) -> str:
    return unicodedata.normalize("NFC", _STRESS.sub("", phone))
