"""Makes an unpaired English text of SQuAD's passages: short sentences of plain words, one a line.

python recipes/squad_text.py SQUAD TEXT [--sentences 8000] [--seed 0]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from synthesised_english import sentences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--sentences", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    known = sentences(options.squad)
    order = np.random.default_rng(options.seed).permutation(len(known))[: options.sentences]
    options.text.write_text("".join(" ".join(known[i]) + "\n" for i in order), encoding="utf-8")


if __name__ == "__main__":
    main()
