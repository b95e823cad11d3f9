"""What the same features and phone models reach where transcripts are read: a bound for learning without any.

    python recipes/topline.py AUDIO TABLE [--fold TABLE] [--split train --test dev] [--components 8] [--encoder own]

AUDIO: a folder of recordings. TABLE: references as `trifold asr score` reads them. Without --split and --test every
fifth recording is for testing. Trigrams are of the training references. --encoder own: what is heard are features of a
small network that is trained on the recordings that are not for testing, without their references; --keep FILE puts it
there, and takes it from there. This reads references: it measures, and makes no model.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trifold.tasks.asr.matching.trigrams import following_of
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.measuring.references import Reference, read_folds, read_references
from trifold.tasks.asr.pretraining.material import Material
from trifold.tasks.asr.pretraining.pretrain import pretrained
from trifold.tasks.asr.pretraining.settings import OwnSettings
from trifold.tasks.asr.refining.paths import Trigrams, best_phones
from trifold.tasks.asr.refining.told import learn_told
from trifold.tasks.asr.sound.audio import find_audio, read_sound
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.own import OWN, Own
from trifold.tasks.asr.sound.utterances import frames_of
from trifold.tasks.asr.writing.naming import recording_name

SCALE = 0.2
SETTINGS = OwnSettings()


class Told(NamedTuple):
    """What is heard of a recording's speech, what is said in it, and who says it."""

    frames: Frames
    phones: list[str]
    speaker: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--fold", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--test")
    parser.add_argument("--components", type=int, default=8)
    parser.add_argument("--encoder", choices=["own"])
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    paths = {recording_name(str(path)): path for path in find_audio(options.audio)}
    folds = {} if options.fold is None else read_folds(options.fold)

    def known(split: str | None) -> list[Reference]:
        every = [one for one in read_references(options.table, split=split) if one.name in paths]
        return [one for one in every if any(folds.get(phone, phone) for phone in one.phones)]

    if options.split is None:
        everything = known(None)
        test, train = everything[::5], [one for i, one in enumerate(everything) if i % 5]
    else:
        train, test = known(options.split), known(options.test)
    hearing = Hearing()
    with tempfile.TemporaryDirectory() as folder:
        if options.encoder is not None:
            hearing = own([paths[one.name] for one in train], options.keep or Path(folder) / OWN)
        heard = frames_of([hearing.listened(read_sound(path).samples) for path in paths.values()])
    frames = dict(zip(paths, heard, strict=True))

    def told(some: list[Reference]) -> list[Told]:
        folded = [(one, [folds.get(phone, phone) for phone in one.phones]) for one in some if len(frames[one.name])]
        return [Told(frames[one.name], [phone for phone in phones if phone], one.speaker) for one, phones in folded]

    for line in measured(told(train), told(test), options.components):
        print(line)


def own(paths: list[Path], place: Path) -> Hearing:
    """With the encoder at a place, or one that is trained on the recordings and put there."""
    mixed = [paths[i] for i in np.random.default_rng(0).permutation(len(paths)).tolist()]
    if place.is_file():
        encoder = Own.open(place)
    else:
        began = time.monotonic()
        spoken = ((samples, Hearing().speech(samples)) for samples in (read_sound(path).samples for path in mixed))
        encoder = pretrained(Material.of(spoken, SETTINGS, 0), SETTINGS, place)
        print(f"an encoder after {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    return Hearing(encoder=encoder).fitted(read_sound(path).samples for path in mixed)


def measured(train: list[Told], test: list[Told], components: int) -> Iterator[str]:
    """What is wrong, in all and of each speaker where there are several."""
    names = sorted({phone for one in train for phone in one.phones})
    number = {name: i for i, name in enumerate(names, 1)}
    sequences = [[number[phone] for phone in one.phones] for one in train]
    symbols = len(names) + 1
    model = learn_told([one.frames for one in train], sequences, symbols, components)
    following = following_of(sequences, symbols, skipped=0.0)
    trigrams = Trigrams.of(following.first, following.after, following.ends)
    pairs = defaultdict(list)
    for one in test:
        found = best_phones(SCALE * model.sounds.scores(one.frames), model.stays, trigrams)
        pairs[one.speaker].append((one.phones, [names[said.phone - 1] for said in found if said.phone]))
    errors = compare([pair for some in pairs.values() for pair in some])
    yield f"{len(train)} recordings learnt from, {len(test)} read: PER {errors.rate:.1%} of {errors.length:,} phones"
    for speaker, some in sorted(pairs.items()) if len(pairs) > 1 else ():
        errors = compare(some)
        yield f"  {speaker}: {errors.rate:.1%} of {errors.length:,}"


if __name__ == "__main__":
    main()
