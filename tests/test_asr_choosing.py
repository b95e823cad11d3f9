"""Judging transcripts without labels: text with known errors put in measures as its errors say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from asr_corrupted import KINDS, corrupted
from trifold.errors import DataError
from trifold.tasks.asr.choosing.alarms import alarms
from trifold.tasks.asr.choosing.measures import Measures, Yardstick, common_size, measure, yardstick
from trifold.tasks.asr.choosing.simulated import permuted, unigrams
from trifold.tasks.asr.choosing.verdict import DOUBTFUL, NOT, TOOK_OFF, Levels, levels, verdict
from trifold.tasks.asr.learning.judging import Judge
from trifold.tasks.asr.matching.players import Watched
from trifold.tasks.asr.measuring.errors import compare

SIZE = 3000
CONSONANTS, VOWELS = range(1, 16), range(16, 21)
SYMBOLS = 21
Sentences = list[tuple[int, ...]]


@pytest.fixture(scope="module")
def text() -> Yardstick:
    """900 sentences of words of one to three syllables, some words and syllables more frequent than others."""
    chance = np.random.default_rng(1)
    syllables = [(c, v) for c in CONSONANTS for v in VOWELS]
    liked = chance.dirichlet(np.full(len(syllables), 0.6))
    lexicon = [
        [phone for i in chance.choice(len(syllables), int(chance.integers(1, 4)), p=liked) for phone in syllables[i]]
        for _ in range(300)
    ]
    weights = 1 / np.arange(1, 301) ** 0.8
    said = chance.choice(300, (900, 6), p=weights / weights.sum()).tolist()
    sizes = chance.integers(3, 7, 900).tolist()
    return yardstick(
        [
            (0, *(phone for word in words[:size] for phone in lexicon[word]), 0)
            for words, size in zip(said, sizes, strict=True)
        ],
        SYMBOLS,
    )


@pytest.fixture(scope="module")
def against(text: Yardstick) -> Levels:
    return levels(text, size=SIZE)


@pytest.mark.parametrize(
    ("agreement", "word", "cause"),
    [
        (0.9, TOOK_OFF, None),
        (0.78, TOOK_OFF, None),
        (0.73, DOUBTFUL, "the seeds agree on 73%"),
        (0.4, NOT, "depends on chance"),
        (None, DOUBTFUL, "one seed only"),
    ],
)
def test_seeds_that_disagree_take_trust_away(
    agreement: float | None, word: str, cause: str | None, text: Yardstick, against: Levels
) -> None:
    judge = Judge(text, against, SIZE)
    found = judge.conclude(judge.judge(list(text.held)), agreement)
    assert found.word == word
    assert cause in found.causes[0] if cause else not found.causes


def measured(found: Sentences, text: Yardstick) -> Measures:
    return measure(found, text, size=SIZE, seed=5)


def test_silences_are_left_out_and_samples_have_the_same_size(text: Yardstick) -> None:
    held = list(text.held)
    plain = measured(held, text)
    assert measured([(0, *one[:3], 0, *one[3:], 0) for one in held], text) == plain
    assert plain.phones == SIZE
    assert common_size(text, held[:10]) == sum(map(len, held[:10]))
    assert plain.used == 1
    assert plain.length == pytest.approx(1, abs=0.05)


def test_unused_phones_and_lost_ones_are_seen(text: Yardstick) -> None:
    half = [tuple(1 + phone % 10 for phone in one) for one in text.held]
    found = measured(half, text)
    assert found.used == pytest.approx(0.5)
    assert measured([one[: len(one) // 2] for one in text.held], text).length == pytest.approx(0.5, abs=0.05)
    assert measured([one if i % 2 else () for i, one in enumerate(text.held)], text).sequences == pytest.approx(
        0.5, abs=0.01
    )


def test_nothing_read_is_the_worst(text: Yardstick, against: Levels) -> None:
    nothing = measured([(0, 0), ()], text)
    assert math.isinf(nothing.perplexity)
    assert verdict(nothing, against).word == NOT
    assert verdict(nothing, against).causes == ("nothing was read in any recording",)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_put_in_as_often_as_asked(text: Yardstick, kind: str) -> None:
    assert corrupted(text.held, 0.0, kind, seed=0) == list(text.held)
    found = corrupted(text.held, 0.3, kind, seed=0)
    errors = compare(zip(text.held, found, strict=True))
    assert 0.15 < errors.rate < 0.36
    assert sum(errors.deleted.values()) > 4 * sum(errors.inserted.values()) or kind != "lost"
    assert sum(errors.inserted.values()) > 4 * sum(errors.deleted.values()) or kind != "added"


def test_a_cipher_keeps_the_order_and_no_name_and_shuffling_the_reverse(text: Yardstick) -> None:
    cipher, mixed = permuted(text.held, seed=3), unigrams(text.held, seed=3)
    assert all(a != b for one, other in zip(text.held, cipher, strict=True) for a, b in zip(one, other, strict=True))
    plain = measured(list(text.held), text)
    assert measured(cipher, text).information == pytest.approx(plain.information)
    assert measured(cipher, text).divergences[0] > 0.1
    assert measured(mixed, text).information < plain.information / 4
    assert measured(mixed, text).divergences[0] < 0.01
    assert list(map(len, mixed)) == list(map(len, text.held))


def test_verdicts_fall_as_errors_rise(text: Yardstick, against: Levels) -> None:
    def judged(found: Sentences) -> tuple[str, str]:
        given = verdict(measured(found, text), against)
        return given.word, " / ".join(given.causes)

    held = text.held
    assert judged(list(held)) == (TOOK_OFF, "")
    assert judged(corrupted(held, 0.2, "scattered", seed=7))[0] == TOOK_OFF
    assert judged(corrupted(held, 0.6, "scattered", seed=7))[0] == DOUBTFUL
    word, causes = judged(unigrams(held, seed=7))
    assert word == NOT
    assert "as if by chance" in causes
    word, causes = judged(permuted(held, seed=7))
    assert word == NOT
    assert "each other's names" in causes
    word, causes = judged([tuple(1 + phone % 3 for phone in one) for one in held])
    assert word == NOT
    assert "15% of the text's phones are used" in causes
    word, causes = judged([held[0], held[1]] * 200)
    assert word == NOT
    assert "again and again" in causes
    word, causes = judged([one[: len(one) // 2] for one in held])
    assert word == DOUBTFUL
    assert "the rate is off" in causes


def test_a_text_that_has_no_order_is_refused() -> None:
    chance = np.random.default_rng(0)
    noise = yardstick([tuple(chance.integers(1, 6, 10).tolist()) for _ in range(300)], 6)
    against = levels(noise, size=1000)
    with pytest.raises(DataError, match="in an order"):
        verdict(against.text, against)
    with pytest.raises(DataError, match="at least 4 sentences"):
        yardstick([(1, 2), (0,), (0,), (0,)], 3)


FINE = Watched(1000, 1.2, 0.8, 0.7, 15.0, 18, 20, 1.02)


def test_alarms_say_what_is_wrong_and_for_how_long() -> None:
    assert alarms([FINE] * 5) == []
    for name, bad in {
        "discriminator": replace(FINE, told=1.0, judging=0.04),
        "phones": replace(FINE, used=4),
        "rate": replace(FINE, rate=0.4),
    }.items():
        assert [one.name for one in alarms([FINE, bad, bad, bad])] == [name]
        assert alarms([bad, bad]) == []
        assert alarms([bad, bad, FINE, bad]) == []
        assert alarms([bad] * 3, steps=20_000) == []
    (slow,) = alarms([replace(FINE, rate=0.4)] * 3)
    (fast,) = alarms([replace(FINE, rate=2.0)] * 3)
    assert "0.40 times" in slow.says
    assert slow.remedy.startswith("lower")
    assert fast.remedy.startswith("raise")
