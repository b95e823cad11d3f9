"""How much transcripts look like the text, measured without labels.

Perplexity and its weighting: section 3.5 of wav2vec-U (Baevski et al. 2021). All is measured on samples of the same
number of phones: the divergence of n-grams and their information fall with the size of what is counted. Silence, the
phone 0, is left out on all sides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trifold.errors import DataError
from trifold.tasks.asr.text.inventory import spoken
from trifold.tasks.asr.text.ngrams import NGrams, divergence, ngram_counts

__all__ = ["ORDERS", "Measures", "Yardstick", "common_size", "measure", "yardstick"]

Symbols = tuple[int, ...]

ORDERS = (1, 2, 3, 4)
"""Lengths of the n-grams whose divergence is measured."""
_MODEL = 4
_TENTH = 0.1


@dataclass(frozen=True, slots=True)
class Measures:
    """Of a set of phone sequences against the text.

    perplexity: under the text's phone 4-gram. used: share of the text's phones that occur at least a tenth as often as
    there. divergences: Jensen-Shannon, of n-grams of each of `ORDERS`, from 0 to 1. length: mean length of a sequence
    over that of a sentence. information: what a phone tells of the next one, in bits; names do not change it. variety:
    different 4-grams over those of as much text. sequences: how many of them have a phone at all, as a share. phones:
    in the sample that was measured.
    """

    perplexity: float
    used: float
    divergences: tuple[float, ...]
    length: float
    information: float
    variety: float
    sequences: float
    phones: int


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A text, silences left out, to measure by. known: what the model was fitted on. held: the rest of it.

    symbols: phones there may be, silence included. mean: phones of a sentence.
    """

    model: NGrams
    known: tuple[Symbols, ...]
    held: tuple[Symbols, ...]
    symbols: int
    mean: float


def yardstick(sentences: Sequence[Sequence[int]], symbols: int, *, seed: int = 0) -> Yardstick:
    """Split a text in two halves at random, and fit the 4-gram on the first.

    sentences: phones from 1 to symbols - 1, and silence, 0. Raises DataError where fewer than four have a phone.
    """
    texts = [phones for sentence in sentences if (phones := spoken(sentence))]
    if len(texts) < 4:
        raise DataError(
            f"the text: expected at least 4 sentences to measure transcripts by, found {len(texts)}. Give more text."
        )
    order = np.random.default_rng(seed).permutation(len(texts)).tolist()
    half = len(texts) // 2
    known, held = (tuple(texts[i] for i in part) for part in (order[:half], order[half:]))
    mean = sum(map(len, texts)) / len(texts)
    return Yardstick(NGrams.fit(known, _MODEL, symbols), known, held, symbols, mean)


def common_size(text: Yardstick, *found: Sequence[Sequence[int]], most: int = 8000) -> int:
    """Phones of which everything has at least so many: what all samples are to have, at most `most`, at least 1."""
    sizes = [sum(map(len, text.known)), sum(map(len, text.held))]
    sizes += [sum(len(spoken(one)) for one in each) for each in found]
    return max(1, min(most, *sizes))


def measure(found: Sequence[Sequence[int]], text: Yardstick, *, size: int, seed: int = 0) -> Measures:
    """Measure phone sequences, of which silences are left out.

    size: phones to draw, whole sequences at random until there are as many; see `common_size`. Where nothing was found
    the perplexity is infinite and nothing is used.
    """
    sequences = [phones for one in found if (phones := spoken(one))]
    filled = len(sequences) / len(found) if found else 0.0
    if not sequences:
        return Measures(math.inf, 0.0, tuple(1.0 for _ in ORDERS), 0.0, 0.0, 0.0, filled, 0)
    chance = np.random.default_rng((seed, 1))
    drawn, real = _sample(sequences, size, chance), _sample(text.known, size, chance)
    counts = [(ngram_counts(drawn, n), ngram_counts(real, n)) for n in ORDERS]
    divergences = tuple(divergence(here, there) for here, there in counts)
    variety = len(counts[-1][0]) / max(len(counts[-1][1]), 1)
    here, there = counts[0]
    share = here.total() / there.total()
    used = sum(here[phone] >= _TENTH * share * count for phone, count in there.items()) / len(there)
    # Empty sequences count: who finds nothing in half of them is at half the length.
    length = sum(map(len, sequences)) / len(found) / text.mean
    perplexity = text.model.perplexity(drawn)
    return Measures(perplexity, used, divergences, length, _information(drawn), variety, filled, here.total())


def _sample(sequences: Sequence[Symbols], size: int, chance: np.random.Generator) -> list[Symbols]:
    """Whole sequences in a random order, the last one cut, until there are `size` phones."""
    drawn: list[Symbols] = []
    for i in chance.permutation(len(sequences)).tolist():
        if size <= 0:
            break
        drawn.append(sequences[i][:size])
        size -= len(drawn[-1])
    return drawn


def _information(sequences: Sequence[Symbols]) -> float:
    """Mutual information of neighbours in bits, as counted."""
    pairs = ngram_counts(sequences, 2)
    total = pairs.total()
    first: Counter[int] = Counter()
    second: Counter[int] = Counter()
    for (a, b), count in pairs.items():
        first[a] += count
        second[b] += count
    return sum(count / total * math.log2(count * total / (first[a] * second[b])) for (a, b), count in pairs.items())
