"""Makes recordings of English by several voices of espeak-ng, an unpaired text, and references to score by.

    python recipes/synthesised_english.py SQUAD FOLDER [--hours 1.5] [--sentences 6000] [--seed 0]

SQUAD: squad-train-v2.0.json.gz. The recordings' sentences are not in the text. Words of the text are pronounced one by
one (dictionary.txt), as a dictionary has them, while the recordings are connected speech. FOLDER gets
audio/VOICE/*.flac, text.txt, dictionary.txt, and utterances.tsv, whose references only scoring may read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from pathlib import Path

import numpy as np
import soundfile

from trifold.tasks.asr.speaking.synthesiser import Said, Synthesiser

VOICES = ("en-us", "en-us+m3", "en-us+m7", "en-us+f2", "en-us+f3", "en-us+klatt2")
LONGEST = 14
PLAIN = re.compile(r"[a-z']+")
# The synthesiser's variants of a sound (position, stress, an r that follows) as the phones of a dictionary.
FOLDED = {
    "@": "ə", "@2": "ə", "a#": "ə", "@-": "ə", "V": "ʌ", "3": "ɚ", "3:": "ɚ", "@L": "ə l", "n-": "ə n",
    "I": "ɪ", "I2": "ɪ", "I#": "ɪ", "i": "i", "i:": "i", "E": "ɛ", "a": "æ", "aa": "æ", "0": "ɑ", "A:": "ɑ",
    "O2": "ɔ", "O:": "ɔ", "O": "ɔ", "U": "ʊ", "u:": "u", "u": "u", "eI": "eɪ", "aI": "aɪ", "oU": "oʊ", "aU": "aʊ",
    "OI": "ɔɪ", "O@": "ɔ ɹ", "o@": "ɔ ɹ", "A@": "ɑ ɹ", "i@": "ɪ ɹ", "i@3": "ɪ ɹ", "e@": "ɛ ɹ", "U@": "ʊ ɹ",
    "aI@": "aɪ ə", "aI3": "aɪ ɚ", "r": "ɹ", "r-": "ɹ", "t#": "t", "t2": "t", "?": "t", "D": "ð", "T": "θ", "S": "ʃ",
    "Z": "ʒ", "tS": "tʃ", "dZ": "dʒ", "N": "ŋ", "x": "k", ";": "",
}  # fmt: skip


def phones(said: Said) -> list[tuple[str, float]]:
    """The phones of a dictionary with the seconds at which they begin; the second of a pair begins half-way."""
    found = []
    ends = [*(start for _, start in said.phones[1:]), len(said.samples) / said.rate]
    for (name, start), end in zip(said.phones, ends, strict=True):
        parts = FOLDED.get(name, name).split()
        found += [(part, start + (end - start) * i / len(parts)) for i, part in enumerate(parts)]
    return found


def sentences(squad: Path) -> list[list[str]]:
    """Short sentences of the passages, of plain words in lower case, each once."""
    found: dict[tuple[str, ...], None] = {}
    for article in json.loads(gzip.decompress(squad.read_bytes()))["data"]:
        for paragraph in article["paragraphs"]:
            for part in re.split(r"(?<=[.!?;:,])\s+", paragraph["context"]):
                words = re.sub(r"[.!?;:,\"()]+", " ", part.lower()).split()
                if 4 <= len(words) <= LONGEST and all(map(PLAIN.fullmatch, words)):
                    found[tuple(words)] = None
    return [list(words) for words in found]


def make(squad: Path, folder: Path, hours: float, count: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    known = sentences(squad)
    order = chance.permutation(len(known)).tolist()
    text = [known[i] for i in order[:count]]
    folder.mkdir(parents=True)
    (folder / "text.txt").write_text("".join(" ".join(s) + "\n" for s in text), encoding="utf-8")
    with Synthesiser() as voice:
        lines = []
        for word in sorted({word for sentence in text for word in sentence}):
            lines.append(f"{word} {' '.join(phone for phone, _ in phones(voice.say(word, VOICES[0])))}\n")
        (folder / "dictionary.txt").write_text("".join(lines), encoding="utf-8")
        rows = ["id\taudio\tspeaker\tseconds\ttranscript\treference_phones\tstarts\n"]
        seconds = 0.0
        for number, i in enumerate(order[count:]):
            if seconds > 3600 * hours:
                break
            name = VOICES[number % len(VOICES)]
            said = voice.say(
                " ".join(known[i]), name, speed=int(chance.integers(140, 190)), pitch=int(chance.integers(35, 65))
            )
            path = Path("audio") / name / f"s{number:05}.flac"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / path, said.samples, said.rate)
            length = len(said.samples) / said.rate
            heard = phones(said)
            starts = " ".join(f"{start:.3f}" for _, start in heard)
            fields = [
                path.stem,
                str(path),
                name,
                f"{length:.3f}",
                " ".join(known[i]),
                " ".join(p for p, _ in heard),
                starts,
            ]
            rows.append("\t".join(fields) + "\n")
            seconds += length
    (folder / "utterances.tsv").write_text("".join(rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hours", type=float, default=1.5)
    parser.add_argument("--sentences", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make(options.squad, options.folder, options.hours, options.sentences, options.seed)


if __name__ == "__main__":
    main()
