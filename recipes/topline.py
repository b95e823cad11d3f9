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
from pathlib import Path

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
        return [one for one in read_references(options.table, split=split) if one.name in paths]

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

    def told(some: list[Reference]) -> list[tuple[Frames, list[str]]]:
        folded = [(frames[one.name], [folds.get(p, p) for p in one.phones]) for one in some if len(frames[one.name])]
        return [(one, [phone for phone in phones if phone]) for one, phones in folded if any(phones)]

    print(measured(told(train), told(test), options.components))


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


def measured(train: list[tuple[Frames, list[str]]], test: list[tuple[Frames, list[str]]], components: int) -> str:
    names = sorted({phone for _, phones in train for phone in phones})
    number = {name: i for i, name in enumerate(names, 1)}
    sequences = [[number[phone] for phone in phones] for _, phones in train]
    symbols = len(names) + 1
    model = learn_told([one for one, _ in train], sequences, symbols, components)
    following = following_of(sequences, symbols, skipped=0.0)
    trigrams = Trigrams.of(following.first, following.after, following.ends)
    pairs = []
    for one, phones in test:
        found = best_phones(SCALE * model.sounds.scores(one), model.stays, trigrams)
        pairs.append((phones, [names[said.phone - 1] for said in found if said.phone]))
    errors = compare(pairs)
    return f"{len(train)} recordings learnt from, {len(test)} read: PER {errors.rate:.1%} of {errors.length:,} phones"


if __name__ == "__main__":
    main()
