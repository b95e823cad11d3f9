"""From posteriors of phones to words."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from trifold.errors import DataError, InvalidInput, ModelDamaged, UsageError
from trifold.tasks.asr.decoding import confidence
from trifold.tasks.asr.decoding.following import Following
from trifold.tasks.asr.decoding.language import Language, language_of
from trifold.tasks.asr.decoding.lexicon import Lexicon, Tree
from trifold.tasks.asr.decoding.words import WordSearch, words_of_segments
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.text.ngrams import BOUNDARY, NGrams

PHONES = ("SIL", "a", "i", "k", "n", "t")
SAID = {"kana": "kana", "tika": "tika", "a": "a", "nit": "nit", "kan": "kan", "niet": "nit"}
TEXT = [["kana", "tika", "a", "nit"], ["a", "kan", "nit"], ["tika", "kana"], ["nit", "kan", "a"], ["niet", "kana"]]


def language(order: int = 2) -> Language:
    return language_of(TEXT * 4, SAID, PHONES, order=order)


def search(order: int = 2, **options: Any) -> WordSearch:
    known = language(order)
    return WordSearch(known.lexicon, known.following, **options)


def heard(phones: str, sure: float = 0.9) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Posteriors of phones that are one letter each, `_` being silence and `?` a sound like any other."""
    rows = np.full((len(phones), len(PHONES)), (1 - sure) / (len(PHONES) - 1), np.float32)
    for row, phone in zip(rows, phones, strict=True):
        if phone == "?":
            row[:] = 1 / len(PHONES)
        else:
            row[PHONES.index("SIL" if phone == "_" else phone)] = sure
    return rows


def read(phones: str, **options: Any) -> list[str]:
    return [one.word for one in search(**options).read(heard(phones))]


def test_words_that_begin_or_sound_alike_share_nodes() -> None:
    tree = Tree.of([(3, 1, 4, 1), (3, 1, 4), (4, 2, 5), (4, 2, 5)])
    assert len(tree.phone) == 1 + 4 + 3
    which, words = tree.words_of(np.arange(8))
    ends = {int(word): int(node) for node, word in zip(which, words, strict=True)}
    assert ends[2] == ends[3]
    assert tree.parent[ends[0]] == ends[1]
    assert tree.depth[[ends[0], ends[1], ends[2]]].tolist() == [4, 3, 3]
    roots, first = tree.children_of(np.array([0, 0]))
    assert roots.tolist() == [0, 0, 1, 1]
    assert tree.phone[first].tolist() == [3, 4, 3, 4]
    assert tree.least(np.array([5.0, 7.0, 2.0, 3.0]))[[0, ends[1], ends[0], ends[2]]].tolist() == [2, 5, 5, 2]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_flat_model_gives_the_probabilities_of_the_counts(order: int) -> None:
    model = NGrams.fit([[0, 1, 2], [0, 1, 0, 1, 3], [2, 2], []], order, 5)
    flat = Following.of(model)
    for sequence in itertools.product(range(5), repeat=4):
        states, history = np.array([flat.start]), (BOUNDARY,) * (order - 1)
        for symbol in (*sequence, BOUNDARY):
            cost, states = flat.after(states, np.array([symbol]))
            assert cost[0] == pytest.approx(-math.log(model.probability(history, symbol)))
            history = (*history, symbol)


def test_a_model_of_no_text_takes_all_words_for_equally_likely() -> None:
    cost, state = Following.of(NGrams.fit([], 2, 3)).after(np.array([0, 0]), np.array([2, BOUNDARY]))
    assert cost.tolist() == pytest.approx([math.log(4)] * 2)
    assert state.tolist() == [0, 0]


def test_words_are_read_with_and_without_pauses_between_them() -> None:
    assert read("_kana_tika_a_nit_") == ["kana", "tika", "a", "nit"]
    assert read("kanatikaanit") == ["kana", "tika", "a", "nit"]


@pytest.mark.parametrize(
    ("phones", "error"),
    [("_kanatiki_", "substitution"), ("_kanaitika_", "insertion"), ("_kanatka_", "deletion"), ("_ka_natika_", "pause")],
)
def test_one_wrong_phone_is_forgiven(phones: str, error: str) -> None:
    assert read(phones) == ["kana", "tika"]


def test_two_lost_phones_in_a_row_are_forgiven() -> None:
    lexicon = Lexicon(("tika",), ((5, 2, 3, 1),))
    alone = WordSearch(lexicon, NGrams.fit([[0]] * 9, 2, 1), insertion=3.0, deletion=2.0, floor=1e-6)
    for phones in ("_ti_", "_ka_", "ta"):
        assert [one.word for one in alone.read(heard(phones, sure=0.9999))] == ["tika"]


def test_words_that_sound_alike_are_told_apart_by_what_follows() -> None:
    assert read("_nitkana_") == ["niet", "kana"]
    assert read("_nitkan_a_") == ["nit", "kan", "a"]


@pytest.mark.parametrize("phones", ["", "_", "____", "_____________"])
def test_no_words_are_made_of_silence(phones: str) -> None:
    assert read(phones) == []


def test_noise_is_not_read_as_long_words() -> None:
    assert not {"kana", "tika", "niet", "nit", "kan"} & set(read("_?_?_"))


def test_words_have_the_segments_that_they_are_made_of() -> None:
    found = search().read(heard("__kana__tik_nit_"))
    assert [(one.word, one.first, one.last) for one in found] == [("kana", 2, 6), ("tika", 8, 11), ("nit", 12, 15)]


def test_a_clear_word_is_surer_than_a_doubtful_one() -> None:
    clear, doubtful = search().read(heard("_kana_ti?t_"))
    assert 0 < doubtful.score < clear.score <= 1
    assert clear.score > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_a_score_is_the_share_of_all_ways_to_hear_the_utterance(seed: int) -> None:
    chance = np.random.default_rng(seed)
    lexicon = Lexicon(("p", "q"), ((1,), (2,)))
    model = NGrams.fit([chance.integers(0, 2, 3).tolist() for _ in range(8)], 2, 2)
    # Insertions and deletions out of reach: each segment is silence or one of the words, 3 ** 4 ways in all.
    reader = WordSearch(lexicon, model, insertion=60.0, deletion=60.0, floor=1e-20)
    posteriors = chance.dirichlet(np.full(3, 0.8), 4).astype(np.float32)
    ways = list(itertools.product(range(3), repeat=4))
    costs = []
    for way in ways:
        sound = -sum(math.log(row[kind]) for row, kind in zip(posteriors, way, strict=True))
        costs.append(sound - reader.language_weight * model.log_probability([kind - 1 for kind in way if kind]))
    weights = np.exp(-confidence._SCALE * np.array(costs))
    found = reader.read(posteriors)
    assert found
    for one in found:
        kind = lexicon.words.index(one.word) + 1
        through = sum(weight for way, weight in zip(ways, weights, strict=True) if way[one.first] == kind)
        assert one.score == pytest.approx(through / weights.sum(), rel=1e-4)


def test_heard_words_have_the_times_of_their_segments() -> None:
    times = [(0.1 * i, 0.1 * i + 0.1) for i in range(10)]
    found = words_of_segments(search(), heard("_kana_nit_"), times)
    assert [one.text for one in found] == ["kana", "nit"]
    assert [time for one in found for time in (one.start, one.end)] == pytest.approx([0.1, 0.5, 0.6, 0.9])
    with pytest.raises(DataError, match="found 9 for 10"):
        words_of_segments(search(), heard("_kana_nit_"), times[:9])


def cheapest(
    search: WordSearch, words: Sequence[int], costs: np.ndarray[Any, np.dtype[np.float64]]
) -> tuple[float, float]:
    """The lowest cost of these words, by edit distances; and, summed over all of it, the language model's part."""
    total = np.concatenate([[0.0], np.cumsum(np.minimum(costs[:, 0], search.insertion))])
    count = len(costs)
    for word in words:
        phones = search.lexicon.pronunciations[word]
        # table[m, j, i]: i segments done, j phones done, m: some segment was taken for a phone.
        table = np.full((2, len(phones) + 1, count + 1), np.inf)
        table[0, 0] = total
        for i in range(count + 1):
            for j in range(len(phones) + 1):
                for m in range(2):
                    if j:
                        table[m, j, i] = min(table[m, j, i], table[m, j - 1, i] + search.deletion)
                    if i:
                        table[m, j, i] = min(table[m, j, i], table[m, j, i - 1] + search.insertion)
                    if i and j and m:
                        before = table[:, j - 1, i - 1].min()
                        table[m, j, i] = min(table[m, j, i], before + costs[i - 1, phones[j - 1]])
        total = table[1, -1]
        for i in range(1, count + 1):
            total[i] = min(total[i], total[i - 1] + min(costs[i - 1, 0], search.insertion))
    language = -search.language_model.log_probability(words) if words else 0.0
    return float(total[-1]), search.language_weight * language - search.word_bonus * len(words)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_the_search_finds_what_trying_all_sequences_of_words_finds(order: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    lexicon = Lexicon(("p", "pq", "qr", "rpq"), ((1,), (1, 2), (2, 3), (3, 1, 2)))
    text = [chance.integers(0, 4, chance.integers(1, 5)).tolist() for _ in range(12)]
    options = {"insertion": chance.uniform(1, 4), "deletion": chance.uniform(1, 4), "word_bonus": chance.uniform(-1, 1)}
    exact = WordSearch(lexicon, NGrams.fit(text, order, 4), beam=100_000, language_weight=0.7, floor=0.01, **options)
    posteriors = chance.dirichlet(np.full(4, 0.4), 4).astype(np.float32)
    costs = -np.log(np.maximum(posteriors.astype(np.float64), 0.01))
    sequences = [words for size in range(5) for words in itertools.product(range(4), repeat=size)]
    best = min(sequences, key=lambda words: sum(cheapest(exact, words, costs)))
    assert [one.word for one in exact.read(posteriors)] == [lexicon.words[word] for word in best]


def test_a_narrow_beam_still_reads_to_the_end() -> None:
    assert read("_kana_tika_a_nit_", beam=1)
    assert read("kanatikaanit", beam=20) == ["kana", "tika", "a", "nit"]


def test_errors_of_phones_cost_fewer_words_than_looking_them_up_exactly() -> None:
    chance = np.random.default_rng(0)
    syllables = ["".join(pair) for pair in itertools.product("kntp", "aiu")]
    words = list({"".join(chance.choice(syllables, int(chance.integers(2, 5)))): None for _ in range(50)})
    sentences = [chance.choice(words, 5).tolist() for _ in range(230)]
    phones = ("SIL", *"aiuknpt")
    known = language_of(sentences[:200], {word: word for word in words}, phones)
    reader = WordSearch(known.lexicon, known.following)
    pairs, exact, right = [], 0, {True: [0.0], False: [0.0]}
    for sentence in sentences[200:]:
        said = [phones.index(phone) for phone in "".join(sentence)]
        wrong = [int(chance.integers(1, 8)) if chance.random() < 0.15 else phone for phone in said]
        kept = [phone for phone in wrong if chance.random() > 0.05]
        rows = chance.dirichlet(np.full(8, 2.0), len(kept)).astype(np.float32) * 0.4
        rows[np.arange(len(kept)), kept] += 0.6
        found = reader.read(rows)
        pairs.append((sentence, [one.word for one in found]))
        for one in found:
            right[one.word in sentence].append(one.score)
        text = "".join(phones[phone] for phone in kept)
        exact += sum(word in text for word in sentence)
    assert exact / 150 < 0.6
    assert compare(pairs).rate < 0.35
    assert np.mean(right[True]) > np.mean(right[False]) + 0.2


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_language_comes_back_from_its_json(order: int) -> None:
    known = language(order)
    text = known.to_json()
    again = Language.from_json(text)
    assert again == known
    assert again.to_json() == text
    assert text.isascii()


def test_words_without_pronunciation_and_rare_ones_are_not_listened_for() -> None:
    known = language_of([["kan", "x", "a"], ["kan", "a"], ["kan", "zu"], []], {**SAID, "zu": "zu"}, PHONES, most=2)
    assert known.lexicon.words == ("kan", "a")
    assert known.lexicon.pronunciations == ((3, 1, 4), (1,))
    assert known.following.counts[0,] == {2: 2, 1: 1}, "the others' place is kept"
    assert [one.word for one in WordSearch(known.lexicon, known.following).read(heard("_kana_"))] == ["kan", "a"]
    with pytest.raises(DataError, match="found none among 1 different"):
        language_of([["x"]], SAID, PHONES)
    with pytest.raises(InvalidInput, match="found 0"):
        language_of(TEXT, SAID, PHONES, order=0)


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"words": ["a", "a"]},
        {"words": []},
        {"words": [1, 2, 3, 4, 5, 6]},
        {"pronunciations": [[0]] * 6},
        {"order": 9},
        {"order": "2"},
        {"ngrams": [[0, 1]]},
        {"ngrams": [[0]]},
        {"ngrams": [[0, 99, 1]]},
        {"ngrams": [[0, 1, 0]]},
        {"ngrams": 3},
        {"pronunciations": [[1.5]] * 6},
        {"ngrams": [[0, 1, 2.5]]},
    ],
)
def test_a_damaged_file_is_refused(changed: dict[str, Any]) -> None:
    whole = json.loads(language().to_json())
    with pytest.raises(ModelDamaged, match="expected"):
        Language.from_json(json.dumps({**whole, **changed}))
    with pytest.raises(ModelDamaged, match="expected"):
        Language.from_json(json.dumps(whole)[:-9])


@pytest.mark.parametrize(
    "option", [{"beam": 0}, {"insertion": -1.0}, {"deletion": math.nan}, {"floor": 0.0}, {"language_weight": math.inf}]
)
def test_options_out_of_range_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(option))}: expected"):
        search(**option)


def test_what_does_not_belong_together_is_refused() -> None:
    known = language()
    with pytest.raises(DataError, match="at least 6 phones"):
        search().read(np.zeros((3, 4), np.float32))
    with pytest.raises(DataError, match="softmax"):
        search().read(np.full((3, 6), -1.0, np.float32))
    with pytest.raises(DataError, match="of the same text"):
        WordSearch(known.lexicon, NGrams.fit([], 2, 1))
    with pytest.raises(UsageError, match="Leave out"):
        Lexicon(("a",), ((),))
