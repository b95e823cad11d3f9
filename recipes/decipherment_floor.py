"""What the matching reaches where segments and units are perfect: the floor under learning without transcripts.

    python recipes/decipherment_floor.py TABLE --text TEXT (--letters TABLE | --dictionary TABLE)
        [--fold TABLE] [--split train] [--seeds 3]

TABLE: references as `trifold asr score` reads them. Their phones, under names that say nothing, are the units: one
segment for each phone. From there on the product's own steps: skip-grams, trigrams, and of the seeds the one is chosen
whose phones look most like the text. What is wrong then is so for no fault of features, segments or clusters. This
reads references: it measures, and makes no model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speech_text import add_text, known_text
from trifold.tasks.asr.learning.judging import Judge
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.matching.skipgrams import match_skipgrams
from trifold.tasks.asr.matching.trigrams import following_of, reread
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.measuring.references import read_folds, read_references
from trifold.tasks.asr.text.inventory import spoken


@dataclass(frozen=True, slots=True)
class Deciphered:
    """place: 0 looks like the text, 1 like the text shuffled; it knows no reference. rate: the PER, a share of 1."""

    place: float
    rate: float


def decipher(
    references: Sequence[Sequence[str]], sentences: Sequence[Sequence[int]], phones: Sequence[str], seeds: int
) -> Iterator[Deciphered]:
    """One result for each seed. references: phones of each recording. sentences: numbers of `phones`, whose first is
    silence."""
    settings = LearningSettings(seeds=seeds)
    said = sorted({phone for one in references for phone in one})
    following = following_of(sentences, len(phones))
    judge = Judge.of(sentences, len(phones), sum(map(len, references)), settings.seed)
    for seed in range(settings.seed, settings.seed + settings.seeds):
        names = dict(zip(said, np.random.default_rng(seed).permutation(len(said)).tolist(), strict=True))
        units = [np.array([names[phone] for phone in one], np.int64) for one in references]
        matched = match_skipgrams(
            [one.tolist() for one in units],
            sentences,
            (len(said), len(phones)),
            steps=settings.steps,
            starts=settings.starts,
            seed=seed,
        )
        read = reread(units, matched[0].shares, following, rounds=settings.rounds)
        found = [spoken(one.argmax(1).tolist()) for one in read.shares]
        errors = compare((one, [phones[p] for p in heard]) for one, heard in zip(references, found, strict=True))
        yield Deciphered(judge.judge(found).place, errors.rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    add_text(parser)
    parser.add_argument("--fold", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--seeds", type=int, default=LearningSettings().seeds)
    options = parser.parse_args()
    folds = {} if options.fold is None else read_folds(options.fold)
    known = known_text(options)
    folded = (
        [folds.get(phone, phone) for phone in one.phones] for one in read_references(options.table, split=options.split)
    )
    references = [phones for one in folded if (phones := [phone for phone in one if phone])]
    total = sum(map(len, references))
    strange = sum(phone not in known.inventory.phones for one in references for phone in one)
    print(
        f"{len(references):,} recordings, {total:,} phones, {strange / total:.1%} of them not of the text", flush=True
    )
    results = []
    for number, one in enumerate(decipher(references, known.sentences, known.inventory.phones, options.seeds), 1):
        results.append(one)
        print(f"seed {number}: {one.place:.2f} from the text, PER {one.rate:.1%}", flush=True)
    print(f"chosen by the text: PER {min(results, key=lambda one: one.place).rate:.1%}")


if __name__ == "__main__":
    main()
