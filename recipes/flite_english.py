"""Makes recordings of English by flite, whose voices were made from people's: another engine than espeak-ng.

    python recipes/flite_english.py SQUAD TEXT FOLDER [--voice slt] [--hours 0.9] [--seed 5]

SQUAD: squad-train-v2.0.json.gz. TEXT: what `squad_text.py` made of it; its sentences are not read. Needs the program
flite (Debian: `apt-get install flite`). FOLDER gets audio/*.wav and utterances.tsv, whose references only scoring may
read; their phones are CMUdict's.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np
import soundfile

from synthesised_english import sentences

# The synthesiser's variants of a sound as the phones of CMUdict.
FOLDED = {"ax": "AH", "axr": "ER", "dx": "T", "nx": "N", "el": "AH L", "em": "AH M", "en": "AH N"}


def say(sentence: str, voice: str, path: Path) -> tuple[float, list[tuple[str, float]]]:
    """Seconds of the recording, and its phones with the seconds at which they begin."""
    words = ["flite", "-voice", voice, "-psdur", "-t", f"{sentence}.", "-o", str(path)]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found, start = [], 0.0
    for item in said.split():
        name, end = item.rsplit(":", 1)
        parts = [] if name == "pau" else FOLDED.get(name, name.upper()).split()
        found += [(part, start + (float(end) - start) * i / len(parts)) for i, part in enumerate(parts)]
        start = float(end)
    return float(soundfile.info(path).duration), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voice", default="slt")
    parser.add_argument("--hours", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    (options.folder / "audio").mkdir(parents=True)
    text = set(options.text.read_text(encoding="utf-8").splitlines())
    unread = [line for words in sentences(options.squad) if (line := " ".join(words)) not in text]
    rows, seconds = ["id\taudio\tspeaker\tseconds\ttranscript\treference_phones\tstarts\n"], 0.0
    for number, i in enumerate(np.random.default_rng(options.seed).permutation(len(unread)).tolist()):
        if seconds > 3600 * options.hours:
            break
        path = Path("audio") / f"s{number:05}.wav"
        length, phones = say(unread[i], options.voice, options.folder / path)
        heard, starts = " ".join(p for p, _ in phones), " ".join(f"{start:.3f}" for _, start in phones)
        rows.append("\t".join([path.stem, str(path), options.voice, f"{length:.3f}", unread[i], heard, starts]) + "\n")
        seconds += length
    (options.folder / "utterances.tsv").write_text("".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
