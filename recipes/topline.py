"""What the same features and phone models reach where transcripts are read: a bound for learning without any.

    python recipes/topline.py AUDIO TABLE [--fold TABLE] [--split train --test dev] [--components 8]

AUDIO: a folder of recordings. TABLE: references as `trifold asr score` reads them. Without --split and --test every
fifth recording is for testing. Trigrams are of the training references. This reads references: it measures, and makes
no model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from trifold.tasks.asr.matching.trigrams import following_of
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.measuring.references import Reference, read_folds, read_references
from trifold.tasks.asr.refining.paths import Trigrams, best_phones
from trifold.tasks.asr.refining.told import learn_told
from trifold.tasks.asr.sound.audio import find_audio, read_sound
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.utterances import all_parts, listened, scale_of, sounds
from trifold.tasks.asr.writing.naming import recording_name

SCALE = 0.2


def frames_of(paths: list[Path]) -> dict[str, Frames]:
    """The frames of each recording's speech, by its name."""
    heard = [listened(read_sound(path).samples) for path in paths]
    parts: dict[int, list[Frames]] = {}
    for number, part in all_parts(heard, scale_of(heard)):
        parts.setdefault(number, []).append(sounds(part.cepstra))
    return {recording_name(str(paths[number])): np.concatenate(some) for number, some in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--fold", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--test")
    parser.add_argument("--components", type=int, default=8)
    options = parser.parse_args()
    frames = frames_of(find_audio(options.audio))
    folds = {} if options.fold is None else read_folds(options.fold)

    def told(some: list[Reference]) -> list[tuple[Frames, list[str]]]:
        known = [(frames[one.name], [folds.get(p, p) for p in one.phones]) for one in some if one.name in frames]
        return [(heard, [phone for phone in phones if phone]) for heard, phones in known if phones]

    if options.split is None:
        everything = told(read_references(options.table))
        test, train = everything[::5], [one for i, one in enumerate(everything) if i % 5]
    else:
        train = told(read_references(options.table, split=options.split))
        test = told(read_references(options.table, split=options.test))
    names = sorted({phone for _, phones in train for phone in phones})
    number = {name: i for i, name in enumerate(names, 1)}
    sequences = [[number[phone] for phone in phones] for _, phones in train]
    symbols = len(names) + 1
    model = learn_told([heard for heard, _ in train], sequences, symbols, options.components)
    following = following_of(sequences, symbols, skipped=0.0)
    trigrams = Trigrams.of(following.first, following.after, following.ends)
    pairs = []
    for heard, phones in test:
        found = best_phones(SCALE * model.sounds.scores(heard), model.stays, trigrams)
        pairs.append((phones, [names[one.phone - 1] for one in found if one.phone]))
    errors = compare(pairs)
    print(f"{len(train)} recordings learnt from, {len(test)} read: PER {errors.rate:.1%} of {errors.length:,} phones")


if __name__ == "__main__":
    main()
