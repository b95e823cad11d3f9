"""How well recordings fit after each round in which voices' models are brought over to them, and how much is wrong.

    python recipes/learning_curve.py AUDIO [TABLE] --text TEXT (--letters TABLE | --dictionary TABLE)
        --speak VOICE[,VOICE...] [--mnemonics TABLE] [--fold TABLE] [--seed 0]

AUDIO: a folder of recordings. The rounds are those of one seed of `trifold asr train`. What is printed is the logarithm
of the likelihood of a frame, of 30,000: of two starts for the same recordings and text the better one has more, so
voices can be chosen without a transcript. TABLE: references as `trifold asr score` reads them; with them every eighth
recording is read after each round. It measures, and makes no model.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from speech_text import add_text, known_text
from trifold.task import no_progress
from trifold.tasks.asr.commands.options import narrators_of
from trifold.tasks.asr.learning.reading import Text
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.learning.spoken import Aloud, brought_over, sample, told_aloud
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.measuring.references import read_folds, read_references
from trifold.tasks.asr.refining.heard import hear
from trifold.tasks.asr.refining.paths import Trigrams, best_phones
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.acoustics import Acoustics, Spectra
from trifold.tasks.asr.sound.audio import find_audio, read_sound
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import frames_of, scale_of
from trifold.tasks.asr.speaking.spoken import Voice, lines_of
from trifold.tasks.asr.writing.naming import recording_name

EVERY = 8
LOOKED_AT = 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("table", type=Path, nargs="?")
    add_text(parser)
    parser.add_argument("--speak", action="append", required=True)
    parser.add_argument("--mnemonics", type=Path, action="append", default=[])
    parser.add_argument("--fold", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    known = known_text(options)
    phones_of_text = known.inventory.phones
    text = Text.of(known.sentences, len(phones_of_text))
    voices = [
        Voice(one.voice, lines_of(known.written, known.pronounced, known.inventory, one.mnemonics))
        for one in narrators_of(options.speak, options.mnemonics)
    ]
    settings = LearningSettings(seed=options.seed)
    paths = find_audio(options.audio)
    hearing, recordings, acoustics = Hearing(), [], []
    for path in paths:
        samples = read_sound(path).samples
        recordings.append(hearing.listened(samples))
        acoustics.append(Spectra.of(samples, recordings[-1].stretches))
    frames = frames_of(recordings)
    said = Aloud(voices, hearing, Acoustics.of(acoustics), scale_of(recordings))
    folds = {} if options.fold is None else read_folds(options.fold)
    references = {
        one.name: [p for phone in one.phones if (p := folds.get(phone, phone))]
        for one in (() if options.table is None else read_references(options.table))
    }
    tested = [
        (one, phones)
        for path, one in zip(paths, frames, strict=True)
        if (phones := references.get(recording_name(str(path))))
    ]
    trigrams = Trigrams.of(text.following.first, text.following.after, text.following.ends)

    heard = [one for one in frames if len(one)]
    looked_at = sample(heard, LOOKED_AT, 0)
    size = sum(map(len, looked_at))

    def measured(told: Told) -> str:
        likely = sum(one.likelihood for one in hear(told, text.following, looked_at, settings.scale)) / size
        if told.space is not None:  # of the frames as they were
            likely += settings.scale * float(np.linalg.slogdet(told.space.matrix)[1])
        if not tested:
            return f"{likely:.4f}"
        pairs = []
        for one, phones in tested[::EVERY]:
            found = best_phones(settings.scale * told.sounds.scores(told.seen(one)), told.stays, trigrams)
            pairs.append((phones, [phones_of_text[one.phone] for one in found if one.phone]))
        return f"{likely:.4f}, PER {compare(pairs).rate:.1%}"

    first = told_aloud(said, text.symbols, settings, settings.seed, lambda _: nullcontext(no_progress), "")
    print(f"as the voices speak through the recordings' microphone: {measured(first)}", flush=True)
    for number, told in enumerate(brought_over(first, heard, said, text, settings.scale, settings.seed), 1):
        print(f"round {number}: {measured(told)}", flush=True)


if __name__ == "__main__":
    main()
