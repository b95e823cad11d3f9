"""The text that recipes on speech are given, as `trifold asr train` reads it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from trifold.tasks.asr.commands.options import read_text
from trifold.tasks.asr.text.inventory import Inventory, phone_sequences, spoken
from trifold.tasks.asr.text.letters import Pronounced


@dataclass(frozen=True, slots=True)
class Known:
    """written: the sentences. sentences: numbers of their phones, none of them silence."""

    written: tuple[str, ...]
    pronounced: Pronounced
    inventory: Inventory
    sentences: list[list[int]]


def add_text(parser: argparse.ArgumentParser) -> None:
    """The options --text, and --letters or --dictionary."""
    parser.add_argument("--text", type=Path, required=True)
    sounding = parser.add_mutually_exclusive_group(required=True)
    sounding.add_argument("--letters", type=Path)
    sounding.add_argument("--dictionary", type=Path)


def known_text(options: argparse.Namespace) -> Known:
    given = read_text(options.text, options.letters, options.dictionary, None, None)
    assert given is not None
    pronounced = Pronounced.of(*given)
    inventory = Inventory.of(pronounced)
    sequences = phone_sequences(pronounced, inventory, silence=0.0, seed=0)
    return Known(given[0], pronounced, inventory, [list(spoken(one)) for one in sequences])
