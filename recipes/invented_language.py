"""Makes a language that nobody speaks: recordings, a text, a letter-to-sound table, and references to score by.

    python recipes/invented_language.py FOLDER [--utterances 600] [--sentences 3000] [--seed 0]

Twenty phones, words of one to three syllables, read by one voice of espeak-ng. The recordings' sentences are not in the
text. FOLDER gets audio/*.wav, text.txt, letters.txt, and utterances.tsv, whose references only scoring may read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile

from trifold.tasks.asr.speaking.synthesiser import Synthesiser

CONSONANTS, VOWELS, CODAS = "ptkbdgmnsflrhwj", "aeiou", "nslr"
WORDS = 300
VOICE = "sw"


def words(chance: np.random.Generator) -> list[str]:
    """The lexicon: every phone has syllables that it likes more than others, as in any language."""
    weights = chance.dirichlet(np.full(len(CONSONANTS) * len(VOWELS), 0.6))
    syllables = [c + v for c in CONSONANTS for v in VOWELS]
    found: dict[str, None] = {}
    while len(found) < WORDS:
        word = ""
        for index in chance.choice(len(syllables), int(chance.integers(1, 4)), p=weights):
            word += syllables[index] + (str(chance.choice(list(CODAS))) if chance.random() < 0.25 else "")
        if chance.random() < 0.2:
            word = str(chance.choice(list(VOWELS))) + word
        found[word] = None
    return list(found)


def sentences(lexicon: list[str], count: int, chance: np.random.Generator) -> list[list[str]]:
    """Sentences of three to eight words, the first words of the lexicon more often (Zipf)."""
    weights = 1 / np.arange(1, len(lexicon) + 1) ** 0.8
    weights /= weights.sum()
    return [
        [lexicon[i] for i in chance.choice(len(lexicon), int(chance.integers(3, 9)), p=weights)] for _ in range(count)
    ]


def make(folder: Path, utterances: int, count: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    lexicon = words(chance)
    text = sentences(lexicon, count, chance)
    known = {" ".join(sentence) for sentence in text}
    spoken = [s for s in sentences(lexicon, 2 * utterances, chance) if " ".join(s) not in known][:utterances]
    (folder / "audio").mkdir(parents=True)
    (folder / "text.txt").write_text("".join(" ".join(s) + "\n" for s in text), encoding="utf-8")
    letters = "".join(f"{letter}\t{letter}\n" for letter in CONSONANTS + VOWELS)
    (folder / "letters.txt").write_text(letters, encoding="utf-8")
    rows = ["id\taudio\tseconds\ttranscript\treference_phones\tstarts\n"]
    with Synthesiser() as voice:
        for number, sentence in enumerate(spoken):
            said = voice.say(f"[[{' '.join(sentence)}]]", VOICE, speed=int(chance.integers(130, 175)))
            name = f"u{number:04}"
            soundfile.write(folder / "audio" / f"{name}.wav", said.samples, said.rate)
            phones = [letter for word in sentence for letter in word]
            times = [f"{time:.3f}" for _, time in said.phones]
            fields = [name, f"audio/{name}.wav", f"{len(said.samples) / said.rate:.3f}", " ".join(sentence)]
            rows.append("\t".join([*fields, " ".join(phones), " ".join(times)]) + "\n")
    (folder / "utterances.tsv").write_text("".join(rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utterances", type=int, default=600)
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make(options.folder, options.utterances, options.sentences, options.seed)


if __name__ == "__main__":
    main()
