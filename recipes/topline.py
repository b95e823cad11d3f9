"""What the same features and phone models reach where transcripts are read: a bound for learning without any.

    python recipes/topline.py AUDIO TABLE [--fold TABLE] [--split train --test dev] [--components 8]

AUDIO: a folder of recordings. TABLE: references as `trifold asr score` reads them. Without --split and --test every
fifth recording is for testing. Trigrams are of the training references. This reads references: it measures, and makes
no model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from trifold.tasks.asr.matching.trigrams import following_of
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.measuring.references import Reference, read_folds, read_references
from trifold.tasks.asr.refining.paths import Trigrams, best_phones
from trifold.tasks.asr.refining.told import learn_told
from trifold.tasks.asr.sound.audio import find_audio, read_sound
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import frames_of
from trifold.tasks.asr.writing.naming import recording_name

SCALE = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--fold", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--test")
    parser.add_argument("--components", type=int, default=8)
    options = parser.parse_args()
    paths = find_audio(options.audio)
    heard = frames_of([Hearing().listened(read_sound(path).samples) for path in paths])
    frames = {recording_name(str(path)): one for path, one in zip(paths, heard, strict=True) if len(one)}
    folds = {} if options.fold is None else read_folds(options.fold)

    def told(some: list[Reference]) -> list[tuple[Frames, list[str]]]:
        known = [(frames[one.name], [folds.get(p, p) for p in one.phones]) for one in some if one.name in frames]
        return [(one, [phone for phone in phones if phone]) for one, phones in known if phones]

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
    model = learn_told([one for one, _ in train], sequences, symbols, options.components)
    following = following_of(sequences, symbols, skipped=0.0)
    trigrams = Trigrams.of(following.first, following.after, following.ends)
    pairs = []
    for one, phones in test:
        found = best_phones(SCALE * model.sounds.scores(one), model.stays, trigrams)
        pairs.append((phones, [names[said.phone - 1] for said in found if said.phone]))
    errors = compare(pairs)
    print(f"{len(train)} recordings learnt from, {len(test)} read: PER {errors.rate:.1%} of {errors.length:,} phones")


if __name__ == "__main__":
    main()
