"""Draws a recording: its spectrogram, and under it what was said and what was heard.

    python recipes/spectrogram.py RECORDING TRANSCRIPTS TABLE OUTPUT [--fold TABLE]

RECORDING: one file. TRANSCRIPTS: what `trifold transcribe --format json` wrote of it, and maybe of others. TABLE:
references whose phones have starts, as `trifold asr score` reads them, or alignments as its --alignments. OUTPUT: ends
in .png or .svg. Wrong are the phones that `trifold asr score` counts: taken for another, missed or made up. Needs
matplotlib: pip install matplotlib
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trifold.tasks.asr.measuring.errors import compare
from trifold.tasks.asr.measuring.references import composed, is_silence, read_folds
from trifold.tasks.asr.plain import read_text
from trifold.tasks.asr.sound.activity import speech
from trifold.tasks.asr.sound.audio import RATE, Sound, read_sound
from trifold.tasks.asr.sound.features import HOP, WINDOW, frame_times, log_mel
from trifold.tasks.asr.writing.naming import recording_name
from trifold.tasks.asr.writing.reading import read_transcripts

if TYPE_CHECKING:
    from matplotlib.axes import Axes  # type: ignore[import-not-found, unused-ignore]

SUFFIXES = (".png", ".svg")
LOWEST, HIGHEST = 20.0, 7600.0
"""Hertz, of the bands of `log_mel`."""
TICKS = (250, 500, 1000, 2000, 4000)
QUIETEST = 8.0
"""Natural logarithms of energy (35 dB) from the loudest band down to white."""
PIXELS = 1400
DPI = 100
LEVELS = 16
"""Greys: as many as the eye needs, so that the file stays small."""
RIGHT, WRONG, EDGE, INK = "#d9e6f2", "#e69f00", "#ffffff", "#1a1a1a"
"""The orange is Okabe & Ito's (2008), which colour-blind readers tell from blue."""
SIZE = 12
"""Points of a phone's name."""
WIDE = 0.95
"""Pixels of a character for each of its points."""


@dataclass(frozen=True, slots=True)
class Phone:
    """start, end: seconds. wrong: taken for another, missed or made up."""

    text: str
    start: float
    end: float
    wrong: bool = False


def said_in(name: str, table: Path, until: float) -> list[Phone]:
    """The phones of a recording. until: where the last one ends, in seconds, where the table does not tell.

    Raises SystemExit where the table has none of the recording, or not their times.
    """
    rows = csv.DictReader(io.StringIO(read_text(table)), delimiter="\t", quoting=csv.QUOTE_NONE)
    if {"id", "start_s", "end_s", "phone"} <= set(rows.fieldnames or ()):
        mine = [row for row in rows if composed(row["id"]) == name]
        timed = [(row["phone"], float(row["start_s"]), float(row["end_s"])) for row in mine]
    else:
        # A `Reference` has boundaries only: which phone starts at which of them is no longer known.
        row = next((row for row in rows if recording_name(row.get("audio") or row.get("id") or "") == name), {})
        phones = (row.get("reference_phones") or "").split()
        starts = [float(time) for time in (row.get("starts") or "").split()]
        if len(starts) != len(phones):
            raise SystemExit(f"{table}: expected a start for each phone of {name}, found {len(starts)}.")
        timed = list(zip(phones, starts, [*starts, until][1:], strict=True))
    if not timed:
        raise SystemExit(f"{table}: expected phones of {name} with their times, found none.")
    return [Phone(composed(text), start, max(start, end)) for text, start, end in timed if not is_silence(text)]


def heard_in(name: str, transcripts: Path) -> list[Phone]:
    """Raises SystemExit where the recording has no transcript."""
    for one in read_transcripts(transcripts):
        if recording_name(one.audio) == name:
            return [Phone(composed(p.text), p.start, p.end) for p in one.phones if not is_silence(p.text)]
    raise SystemExit(f"{transcripts}: expected a transcript of {name}, found none.")


def compared(said: Sequence[Phone], heard: Sequence[Phone]) -> tuple[list[Phone], list[Phone], float]:
    """Both with what is wrong in them, and the PER, a share of 1."""
    from rapidfuzz.distance import Levenshtein

    sides = [one.text for one in said], [one.text for one in heard]
    edits = [(e.tag, e.src_pos, e.dest_pos) for e in Levenshtein.editops(*sides)]
    missed = {at for kind, at, _ in edits if kind != "insert"}
    made_up = {to for kind, _, to in edits if kind != "delete"}
    return (
        [replace(one, wrong=i in missed) for i, one in enumerate(said)],
        [replace(one, wrong=i in made_up) for i, one in enumerate(heard)],
        compare([sides]).rate,
    )


def draw(sound: Sound, said: Sequence[Phone], heard: Sequence[Phone], title: str, output: Path) -> None:
    """Write the picture, 1,400 pixels wide."""
    from matplotlib import rc_context  # type: ignore[import-not-found, unused-ignore]
    from matplotlib.figure import Figure  # type: ignore[import-not-found, unused-ignore]

    pixels = (PIXELS - 110) / sound.seconds
    crowded = any(
        (b.start + b.end - a.start - a.end) * pixels < WIDE * SIZE * (len(a.text) + len(b.text))
        for phones in (said, heard)
        for a, b in itertools.pairwise(phones)
    )
    with rc_context({"font.size": 11, "svg.hashsalt": "trifold"}):
        figure = Figure(figsize=(PIXELS / DPI, 5.2 if crowded else 4.6), dpi=DPI, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2 if crowded else 3, 1))
        _spectrogram(above, sound)
        above.vlines([one.start for one in said], *above.get_ylim(), color=INK, linewidth=0.7, linestyle=(0, (1, 4)))
        above.set_title(title, loc="left", fontsize=13, color=INK)
        wrong = above.set_title("taken for another, missed or made up", loc="right", fontsize=11, color=INK)
        wrong.set_bbox({"facecolor": WRONG, "edgecolor": WRONG, "pad": 1.5})
        for row, phones in enumerate((said, heard)):
            _row(below, phones, -row, 0.2 if crowded else 0.0)
        below.set_yticks([0, -1], ["reference", "hypothesis"])
        below.set_ylim(-1.5, 0.5)
        below.set_xlim(0, sound.seconds)
        below.set_xlabel("seconds")
        below.tick_params(axis="y", length=0)
        for side in ("left", "top", "right"):
            below.spines[side].set_visible(False)
        if output.suffix == ".svg":
            figure.savefig(output, metadata={"Date": None})
        else:
            figure.savefig(output, pil_kwargs={"optimize": True})


def _spectrogram(axes: Axes, sound: Sound) -> None:
    from matplotlib import colormaps  # type: ignore[import-not-found, unused-ignore]

    bands = log_mel(sound.samples).T
    centres = frame_times(bands.shape[1])
    reach = HOP / RATE / 2
    axes.imshow(
        bands,
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
        cmap=colormaps["Greys"].resampled(LEVELS),
        vmin=float(bands.max()) - QUIETEST,
        vmax=float(bands.max()),
        extent=(centres[0] - reach, centres[-1] + reach, -0.5, len(bands) - 0.5),
    )

    def band(hertz: float) -> float:
        low, high, mel = (float(1127 * np.log1p(f / 700)) for f in (LOWEST, HIGHEST, hertz))
        return (mel - low) / (high - low) * (len(bands) + 1) - 1

    axes.set_yticks([band(hertz) for hertz in TICKS], [f"{hertz / 1000:g}" for hertz in TICKS])
    axes.set_ylabel("kHz")
    axes.tick_params(axis="x", length=0, labelbottom=False)


def _row(axes: Axes, phones: Sequence[Phone], height: float, apart: float) -> None:
    """apart: how far names are raised and lowered in turn, where they would not fit side by side."""
    for i, one in enumerate(phones):
        length = one.end - one.start
        colour = WRONG if one.wrong else RIGHT
        axes.barh(height, length, left=one.start, height=0.86, color=colour, edgecolor=EDGE, linewidth=1.5)
        axes.text(
            one.start + length / 2,
            height + (apart if i % 2 else -apart),
            one.text,
            ha="center",
            va="center_baseline",
            fontsize=SIZE,
            color=INK,
            fontweight="bold" if one.wrong else "normal",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("transcripts", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--fold", type=Path)
    options = parser.parse_args()
    if options.output.suffix not in SUFFIXES:
        parser.error(f"OUTPUT: expected a name that ends in {' or '.join(SUFFIXES)}, found {options.output}.")
    folds = {} if options.fold is None else read_folds(options.fold)
    name = recording_name(str(options.recording))
    sound = read_sound(options.recording)
    stretches = speech(sound.samples)
    until = ((stretches[-1][1] - 1) * HOP + WINDOW) / RATE if stretches else sound.seconds

    def folded(phones: Sequence[Phone]) -> list[Phone]:
        counted = (replace(one, text=folds.get(one.text, one.text)) for one in phones)
        return [one for one in counted if one.text]

    said, heard, rate = compared(
        folded(said_in(name, options.table, min(until, sound.seconds))), folded(heard_in(name, options.transcripts))
    )
    draw(sound, said, heard, f"{name}: {rate:.0%} of the phones wrong", options.output)
    print(f"{options.output}: PER {rate:.1%}")


if __name__ == "__main__":
    main()
