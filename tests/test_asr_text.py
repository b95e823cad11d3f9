"""Text that nobody read aloud, as phones."""

from __future__ import annotations

import gzip
import itertools
import math
from collections import Counter
from pathlib import Path

import pytest

from trifold.errors import DataError
from trifold.tasks.asr.text.inventory import SILENCE, Inventory, phone_sequences, spoken
from trifold.tasks.asr.text.letters import Dictionary, Letters, Pronounced, read_dictionary, read_letters, words_of
from trifold.tasks.asr.text.ngrams import BOUNDARY, NGrams, divergence, ngram_counts


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "letters.txt"
    path.write_bytes(text.encode(encoding))
    return path


def test_the_longest_letters_of_a_table_are_read_first(tmp_path: Path) -> None:
    letters = read_letters(table(tmp_path, "# Spanish, in part\na\ta\nc k\nch  tʃ\nh\n\nx k s\nñ ɲ # palatal\n"))
    assert letters.phones("Chac") == ("tʃ", "a", "k")
    assert letters.phones("haxa") == ("a", "k", "s", "a")
    assert letters.phones("n\u0303a") == ("ɲ", "a"), "a letter and its mark are the letter with the mark"
    assert letters.phones("cat") is None
    assert letters.missing(["cat", "tot", "ac"]) == Counter({"t": 3, "o": 1})


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "found none"), ("a\nb\n", "found none"), ("a a\na e\n", r"line 2: 'a' was a before, and is e here")],
)
def test_a_table_that_says_nothing_or_two_things_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_letters(table(tmp_path, text))


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="UTF-8"):
        read_letters(table(tmp_path, "é e\n", "latin-1"))
    with pytest.raises(DataError, match="cannot be read"):
        read_letters(tmp_path / "absent")


@pytest.mark.parametrize("packed", [False, True])
def test_a_dictionary_gives_first_pronunciations_without_stress(tmp_path: Path, packed: bool) -> None:
    content = b";;; CMUdict\nREAD  R EH1 D\nREAD(2)  R IY1 D\nit's IH1 T S # verb\nempty\n"
    path = tmp_path / "d"
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read_dictionary(path)
    assert found.phones("read") == ("R", "EH", "D")
    assert found.phones("It's") == ("IH", "T", "S")
    assert found.phones("empty") is None
    path.write_bytes(b"\n")
    with pytest.raises(DataError, match="no such line"):
        read_dictionary(path)


def test_words_are_letters_with_what_joins_them() -> None:
    assert words_of("“It’s 4 o'clock, well-known—ΑΒ!” — 'quoted' \N{COMBINING ACUTE ACCENT}") == [
        "it’s",
        "o'clock",
        "well-known",
        "αβ",
        "quoted",
        "\N{COMBINING ACUTE ACCENT}",
    ]
    assert words_of(" 42, ... ") == []


def test_sentences_with_unknown_words_are_left_out_and_told() -> None:
    speller = Dictionary({"a": ("a",), "ba": ("b", "a")})
    text = Pronounced.of(["A ba.", "ba qu ba", "", "qu"], speller)
    assert text.sentences == ((("a",), ("b", "a")),)
    assert (text.dropped, text.unknown) == (2, Counter({"qu": 2}))
    assert text.words == {"a": ("a",), "ba": ("b", "a")}


def test_rare_phones_are_not_learnt() -> None:
    letters = Letters({letter: (letter,) for letter in "abcx"})
    text = Pronounced.of(["abc cab"] * 500 + ["xa"], letters)
    inventory = Inventory.of(text)
    assert inventory.phones == (SILENCE, "a", "b", "c")
    assert inventory.rare == Counter({"x": 1})
    sequences = phone_sequences(text, inventory, silence=0.25, seed=0)
    assert len(sequences) == 500
    assert {spoken(sequence) for sequence in sequences} == {(1, 2, 3, 3, 1, 2)}
    assert all(sequence[0] == sequence[-1] == 0 for sequence in sequences)
    pauses = sum(0 in sequence[1:-1] for sequence in sequences)
    assert 90 < pauses < 160
    assert sequences == phone_sequences(text, inventory, silence=0.25, seed=0)


def test_a_text_of_another_script_is_refused() -> None:
    letters = Letters({letter: (letter,) for letter in "abc"})
    with pytest.raises(DataError, match="letter-to-sound table"):
        Inventory.of(Pronounced.of(["Это другой язык."], letters))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_what_may_follow_has_a_probability_of_one_in_all(order: int) -> None:
    model = NGrams.fit([(0, 1, 2), (0, 2, 2, 1), (1,)], order, 4)
    for history in itertools.product((BOUNDARY, 0, 1, 2, 3), repeat=3):
        total = sum(model.probability(history, symbol) for symbol in (BOUNDARY, 0, 1, 2, 3))
        assert total == pytest.approx(1)
    assert all(model.probability((0, 1), symbol) > 0 for symbol in range(4))


def test_probabilities_are_those_of_the_formula() -> None:
    model = NGrams.fit([(0, 1), (0, 0)], 2, 2)
    # Unigrams: 0 three times, 1 once, the end twice; three distinct ones; below them a third each.
    of_zero = (3 + 3 / 3) / (6 + 3)
    assert model.probability((), 0) == pytest.approx(of_zero)
    # After 0: 1, 0 and the end, once each.
    assert model.probability((0,), 0) == pytest.approx((1 + 3 * of_zero) / (3 + 3))
    initial, following, ends = model.transitions()
    assert following[0, 0] == pytest.approx((1 + 3 * of_zero) / 6)
    assert initial.sum() < 1
    assert (following.sum(1) + ends).tolist() == pytest.approx([1, 1])


def test_a_model_is_less_perplexed_by_its_own_language() -> None:
    own = [(0, 1, 2) * 4] * 50
    model = NGrams.fit(own, 3, 5)
    assert model.perplexity(own) < 1.5 < model.perplexity([(2, 1, 0) * 4])
    assert model.perplexity([]) == math.inf
    assert model.perplexity([(4, 3)]) < math.inf


def test_divergence_goes_from_nothing_to_all() -> None:
    a, b = ngram_counts([(0, 1, 0, 1)], 2), ngram_counts([(2, 3, 2)], 2)
    assert a == Counter({(0, 1): 2, (1, 0): 1})
    assert divergence(a, a) == 0
    assert divergence(a, b) == pytest.approx(1)
    assert 0 < divergence(a, a + b) < 1
    assert divergence(a, Counter()) == 1
