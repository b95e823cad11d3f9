"""`trifold asr train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from trifold.errors import UsageError
from trifold.task import Host
from trifold.tasks.asr.commands.options import json_option, narrators_of, read_text, text_options, vad_option

if TYPE_CHECKING:
    from trifold.tasks.asr.making.train import Trained
    from trifold.tasks.asr.sound.hearing import Activity

__all__ = ["train"]

_COLOURS = {"took off": "green", "doubtful": "yellow"}
_UNITS = 50


@click.command(
    short_help="Learn phones from recordings and unpaired text.",
    epilog="""\b
Examples:
  trifold asr train --audio recordings --text stories.txt --letters letters.txt --name mine
  trifold asr train --audio recordings --text stories.txt --dictionary words.dict --seeds 5
  trifold asr train --audio recordings --text stories.txt --dictionary words.dict --speak mb-us1,mb-us2,mb-us3
  trifold asr train --audio recordings --text stories.txt --letters letters.txt --speak ro --mnemonics said.txt
  trifold asr train --audio recordings --name sounds        units without any text
  trifold asr train --audio fieldwork --text stories.txt --letters letters.txt --vad silero
  trifold asr train --audio recordings --name sounds --encoder ./xls-r-300m --layer 15
  trifold asr train --audio recordings --name sounds --encoder own

\b
Exit codes: 0 a model was made (read the verdict), 2 the recordings or the text cannot be learnt from.""",
)
@click.option("--audio", type=click.Path(path_type=Path), required=True, help="A folder with recordings.")
@text_options
@click.option("--name", default="speech", show_default=True, help="The name of the model.")
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="Tries, of which one is kept.")
@click.option(
    "--matcher",
    type=click.Choice(["skipgrams", "adversarial"]),
    default="skipgrams",
    show_default=True,
    help="What first matches sounds with phones; adversarial is that of wav2vec-U, and takes longer.",
)
@click.option(
    "--speak",
    metavar="VOICE[,VOICE...]",
    multiple=True,
    help="Voices that read sentences of the text aloud: a start that is better than chance where recordings are of "
    "people. Best are those of MBROLA, which were people's, such as mb-us1,mb-us2 (they need the programs espeak-ng "
    "and mbrola); or one of espeak-ng itself, such as sw (needs the extra espeak).",
)
@click.option(
    "--mnemonics",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A table of phones, and what espeak-ng calls them, for voices of another language to say: one for all, or one "
    "for each --speak, in their order.",
)
@vad_option
@click.option(
    "--encoder",
    metavar="NAME",
    help="A network such as wav2vec 2.0 or XLS-R, with its weights in safetensors, whose features are heard instead of "
    "cepstra: a folder, or an id of the Hugging Face hub (org/name@revision). The model then needs it, and torch. "
    "Or own: a small network is first trained on these recordings alone, and heard beside cepstra. It is part of the "
    "model, which needs no torch. (A folder of that name is ./own.)",
)
@click.option(
    "--layer",
    type=click.IntRange(min=1),
    help="Of the encoder; by default the 15th of 24, or the middle one of fewer.",
)
@click.option(
    "--units", type=click.IntRange(2, 500), default=_UNITS, show_default=True, help="Without text: how many to find."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on with the seeds that are done already.")
@click.option("--anyway", is_flag=True, help="Train even where the check says stop.")
@json_option
@click.pass_obj
def train(
    host: Host,
    audio: Path,
    text: Path | None,
    letters: Path | None,
    dictionary: Path | None,
    espeak: str | None,
    epitran: str | None,
    name: str,
    seeds: int,
    matcher: Literal["skipgrams", "adversarial"],
    speak: tuple[str, ...],
    mnemonics: tuple[Path, ...],
    vad: Activity,
    encoder: str | None,
    layer: int | None,
    units: int,
    seed: int,
    resume: bool,
    anyway: bool,
    as_json: bool,
) -> int:
    """Learn to write down a language from recordings without transcripts.

    With a text of the same language (not what is said in the recordings) and what its letters or words sound like, the
    model writes phones and words. Without, it finds units: sounds that come again and again. A verdict says whether the
    result is to be trusted.
    """
    from rich.markup import escape

    from trifold.tasks.asr.checking.findings import findings, fit
    from trifold.tasks.asr.checking.recordings import survey
    from trifold.tasks.asr.checking.wording import survey_text
    from trifold.tasks.asr.commands.check import show_findings
    from trifold.tasks.asr.learning.settings import LearningSettings
    from trifold.tasks.asr.making.train import Order, make
    from trifold.tasks.asr.pretraining.settings import OwnSettings
    from trifold.tasks.asr.sound.audio import find_audio
    from trifold.tasks.asr.sound.hearing import Hearing
    from trifold.tasks.asr.sound.own import NAME
    from trifold.tasks.asr.speaking.spoken import speaks

    if speak and text is None:
        raise UsageError("--speak: expected a text to read aloud, found none. Name it with --text.")
    narrators = narrators_of(speak, mnemonics)
    own = encoder == NAME
    if layer is not None and (encoder is None or own):
        raise UsageError(
            "--layer: expected an encoder with layers to choose from, found none. Name one with --encoder."
        )
    for narrator in narrators:
        speaks(narrator.voice, narrator.mnemonics)
    given = read_text(text, letters, dictionary, espeak, epitran)
    paths = find_audio(audio)
    hearing = Hearing.open(vad, None if own else encoder, layer)
    with host.progress("looking through the recordings") as progress:
        recordings = survey(paths, progress, activity=vad)
    found = findings(recordings, None if given is None else survey_text(*given))
    show_findings(host.err, [one for one in found if one.level != "note"])
    if not fit(found) and not anyway:
        host.err.print("Nothing was trained. [bold]--anyway[/] tries nevertheless.")
        return 2
    unreadable = {one.path for one in recordings.unreadable}
    order = Order(
        name=name,
        paths=tuple(path for path in paths if path not in unreadable),
        text=given,
        units=units,
        settings=LearningSettings(seeds=seeds, seed=seed, matcher=matcher),
        speak=narrators,
        hearing=hearing,
        own=OwnSettings() if own else None,
        resume=resume,
        sources=tuple(path for path in (text, letters, dictionary, *mnemonics) if path is not None),
    )
    trained = make(
        order, host.progress, lambda said: host.err.print(f"[yellow]warning[/] {escape(said)}", highlight=False)
    )
    if as_json:
        host.print_json(trained.facts)
    else:
        _show(host, trained)
    return 0


def _show(host: Host, trained: Trained) -> None:
    """What was learnt, and whether to trust it."""
    learnt = trained.learnt
    if learnt is not None:
        for stage in learnt.stages:
            place = "     –" if stage.judged is None else f"{stage.judged.place:6.2f}"
            mark = "[green]kept[/]" if stage.kept else ""
            host.err.print(f"  {stage.name:<31} {place}  {mark}", highlight=False)
        host.err.print("  (0 looks like the text, 1 like the text with its phones in a random order;", style="dim")
        host.err.print("  –: recordings that were set apart are no likelier by it)", style="dim")
        word = learnt.verdict.word
        colour = _COLOURS.get(word, "red")
        host.out.print(f"Verdict: [bold {colour}]{word}[/]", highlight=False)
        for cause in learnt.verdict.causes:
            host.out.print(f"  {cause}", highlight=False, soft_wrap=True)
        if learnt.agreement is not None:
            host.out.print(f"  seeds agree on {learnt.agreement:.0%} of the sounds", highlight=False)
    host.out.print(f"Made {trained.version} in {trained.seconds / 60:.1f} minutes.", highlight=False)
    host.out.print(f"Use it: trifold transcribe FILE --model {trained.version}", highlight=False)
