"""How many phones are wrong after each round in which a synthesiser's models are brought over to recordings.

    python recipes/learning_curve.py AUDIO TABLE --text TEXT (--letters TABLE | --dictionary TABLE)
        --speak VOICE[,VOICE...] [--mnemonics TABLE] [--fold TABLE] [--seed 0]

AUDIO: a folder of recordings. TABLE: references as `trifold asr score` reads them. The rounds are those of one seed of
`trifold asr train`; every eighth recording is read after each. This reads references: it measures, and makes no model.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

from speech_text import add_text, known_text
from trifold.task import no_progress
from trifold.tasks.asr.commands.options import readers_of
from trifold.tasks.asr.learning.reading import Text
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.learning.spoken import Aloud, brought_over, told_aloud
from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.measuring.references import read_folds, read_references
from trifold.tasks.asr.refining.paths import Trigrams, best_phones
from trifold.tasks.asr.refining.told import Told
from trifold.tasks.asr.sound.acoustics import Acoustics, Spectra
from trifold.tasks.asr.sound.audio import find_audio, read_sound
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import frames_of, scale_of
from trifold.tasks.asr.speaking.spoken import Voice, lines_of
from trifold.tasks.asr.writing.naming import recording_name

EVERY = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("table", type=Path)
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
        for one in readers_of(options.speak, options.mnemonics)
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
        for one in read_references(options.table)
    }
    tested = [
        (one, phones)
        for path, one in zip(paths, frames, strict=True)
        if (phones := references.get(recording_name(str(path))))
    ]
    trigrams = Trigrams.of(text.following.first, text.following.after, text.following.ends)

    def wrong(told: Told) -> float:
        pairs = []
        for one, phones in tested[::EVERY]:
            found = best_phones(settings.scale * told.sounds.scores(one), told.stays, trigrams)
            pairs.append((phones, [phones_of_text[heard.phone] for heard in found if heard.phone]))
        return compare(pairs).rate

    first = told_aloud(said, text.symbols, settings, settings.seed, lambda _: nullcontext(no_progress), "")
    print(f"as the synthesiser speaks through the recordings' microphone: PER {wrong(first):.1%}", flush=True)
    heard = [one for one in frames if len(one)]
    for number, told in enumerate(brought_over(first, heard, said, text, settings.scale, settings.seed), 1):
        print(f"round {number}: PER {wrong(told):.1%}", flush=True)


if __name__ == "__main__":
    main()
