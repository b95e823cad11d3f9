"""From recordings and text to a version of the registry."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trifold.errors import DataError
from trifold.models.folder import hash_file, write_manifest
from trifold.models.registry import home
from trifold.models.versions import Draft, adding
from trifold.tasks.asr.decoder import Decoder, Usual
from trifold.tasks.asr.decoding.language import language_of
from trifold.tasks.asr.learning.learn import Learnt, learn
from trifold.tasks.asr.learning.reading import Report, Warn
from trifold.tasks.asr.learning.settings import LearningSettings
from trifold.tasks.asr.learning.spoken import Aloud
from trifold.tasks.asr.learning.units import discover
from trifold.tasks.asr.making.card import card
from trifold.tasks.asr.making.ears import fitted, own_encoder, work_of
from trifold.tasks.asr.making.graph import write_graph
from trifold.tasks.asr.pretraining.settings import OwnSettings
from trifold.tasks.asr.refining.phones import PhoneModel
from trifold.tasks.asr.sound.acoustics import Acoustics, Spectra
from trifold.tasks.asr.sound.audio import RATE, read_sound
from trifold.tasks.asr.sound.features import HOP
from trifold.tasks.asr.sound.hearing import Hearing
from trifold.tasks.asr.sound.utterances import Part, all_parts, scale_of, sounds
from trifold.tasks.asr.speaking.people import is_of_people
from trifold.tasks.asr.speaking.spoken import Narrator, Voice, check_voice, lines_of
from trifold.tasks.asr.task import LANGUAGE
from trifold.tasks.asr.text.inventory import Inventory, phone_sequences, spoken
from trifold.tasks.asr.text.letters import Pronounced, Speller, words_of

__all__ = ["Order", "Trained", "make"]

_LEARNING = 6
"""Goes up when seeds are learnt in another way, so that `--resume` takes none of the old one."""
_AFTERWARDS = ("seeds", "refinements", "rehearings", "networks")
"""Settings that change nothing of what one seed finds first."""
_FEWEST_WORDS = 2
_LOOKED_AT = 200
"""Recordings, to know how well those fit that were learnt from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be learnt. text: sentences and what pronounces them. units: how many to find where there is no text.

    speak: voices that read sentences of the text for a start. hearing: of the recordings, before its reduction is
    fitted to them. own: how to train an encoder on them, where the hearing is to have one. resume: go on with the seeds
    that an earlier run with the same recordings, text and settings finished. sources: the files that the text and its
    pronunciation came from.
    """

    name: str
    paths: Sequence[Path]
    text: tuple[Sequence[str], Speller] | None
    units: int
    settings: LearningSettings
    speak: Sequence[Narrator] = ()
    hearing: Hearing = field(default_factory=Hearing)
    own: OwnSettings | None = None
    resume: bool = False
    sources: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Trained:
    """version: the model's full name. learnt: None where there was no text. facts: of the manifest."""

    version: str
    learnt: Learnt | None
    facts: Mapping[str, Any]
    seconds: float


def make(order: Order, report: Report, warn: Warn = lambda _: None) -> Trained:
    """Learn and publish. warn: told what goes wrong while it does.

    Raises DataError for too little speech or text, InvalidInput for a name that cannot be had.
    """
    # The version is had first, so that nothing is learnt for a name that is refused.
    kept: list[Path] = []
    with adding(order.name) as draft:
        made = _made(order, draft, report, warn, kept)
    # Only now that the version is there is nothing of it to go on from.
    for place in kept:
        shutil.rmtree(place, ignore_errors=True)
    return made


def _made(order: Order, draft: Draft, report: Report, warn: Warn, kept: list[Path]) -> Trained:
    """Learn, and fill the folder of the draft. kept: gets the folders of work that `--resume` goes on from."""
    began = time.monotonic()
    hearing, seed = order.hearing, order.settings.seed
    pronounced = None if order.text is None else Pronounced.of(*order.text)
    inventory = None if pronounced is None else Inventory.of(pronounced)
    voices = _voices(order, pronounced, inventory, report)
    if order.own is not None:
        hearing = own_encoder(hearing, order.paths, order.own, seed, report, resume=order.resume)
        kept.append(work_of(hearing))
    hearing = fitted(hearing, order.paths, seed, report)
    recordings, acoustics, digest, seconds = [], [], hashlib.sha256(), 0.0
    with report("reading the recordings") as progress:
        for done, path in enumerate(order.paths, 1):
            samples = read_sound(path).samples
            digest.update(hashlib.sha256(samples.tobytes()).digest())
            seconds += len(samples) / RATE
            recordings.append(hearing.listened(samples))
            if order.speak:
                acoustics.append(Spectra.of(samples, recordings[-1].stretches))
            progress(done, len(order.paths))
    scale = scale_of(recordings)
    parts = all_parts(recordings, scale)
    utterances = [part.frames for _, part in parts]
    if not utterances:
        raise DataError("the recordings: expected speech, found silence. Look at their level.")
    audio = {
        "recordings": len(order.paths),
        "seconds": round(seconds, 1),
        "speech_seconds": round(sum(map(len, utterances)) * HOP / RATE, 1),
        "sha256": digest.hexdigest(),
    }
    learnt = grams = None
    if pronounced is None or inventory is None:
        with report("finding units") as progress:
            model, phones = discover(utterances, order.units, seed=order.settings.seed, progress=progress)
    else:
        phones = inventory.phones
        sentences = [spoken(one) for one in phone_sequences(pronounced, inventory, silence=0.0, seed=0)]
        said = Aloud(voices, hearing, Acoustics.of(acoustics), scale, phones) if voices else None
        work = _kept(order, hearing, digest.hexdigest(), sentences, said)
        kept.append(work)
        learnt = learn(
            utterances,
            [number for number, _ in parts],
            sentences,
            len(phones),
            order.settings,
            report,
            work,
            said,
            warn,
        )
        model, grams = learnt.model, learnt.grams
    spent = time.monotonic() - began
    facts = {
        "task": "asr",
        "graphs": [{"file": "model.onnx", "precision": "fp32"}],
        "task_settings": {},
        "trifold": importlib.metadata.version("trifold"),
        "audio": audio,
        "hearing": hearing.facts(),
        **({} if order.own is None else {"encoder_training": asdict(order.own)}),
        "text": {_source(path, order.sources): hash_file(path) for path in order.sources},
        "training": asdict(order.settings) if learnt is not None else {"units": order.units},
        **({"read_aloud": _read_aloud(order)} if order.speak else {}),
        "seconds": round(spent, 1),
        **({} if learnt is None else {"learnt": _facts(learnt)}),
    }
    usual = _usual(model, parts, order.settings.seed)
    decoder = Decoder(phones, scale, model.stays, model.bigrams, grams, hearing, usual)
    _fill(draft.path, model, decoder, order, pronounced)
    whole = {"name": draft.name, "version": draft.version, **facts}
    (draft.path / "README.md").write_text(card(whole, phones), encoding="utf-8")
    write_manifest(draft.path, whole)
    return Trained(draft.full_name, learnt, whole, spent)


def _usual(model: PhoneModel, parts: Sequence[tuple[int, Part]], seed: int) -> Usual:
    """How well the sounds of a random sample of the recordings fit."""
    stretches: dict[int, list[Part]] = {}
    for number, part in parts:
        stretches.setdefault(number, []).append(part)
    mixed = np.random.default_rng(seed).permutation(sorted(stretches))[:_LOOKED_AT].tolist()
    return Usual.of([model.scores(sounds(part.frames)) for part in stretches[number]] for number in mixed)


def _fill(folder: Path, model: PhoneModel, decoder: Decoder, order: Order, pronounced: Pronounced | None) -> None:
    write_graph(model, folder / "model.onnx")
    decoder.write(folder)
    if pronounced is not None and order.text is not None and len(pronounced.words) >= _FEWEST_WORDS:
        language = language_of([words_of(one) for one in order.text[0]], pronounced.words, decoder.phones)
        (folder / LANGUAGE).write_text(language.to_json(), encoding="utf-8")


def _facts(learnt: Learnt) -> dict[str, Any]:
    return {
        "verdict": learnt.verdict.word,
        "causes": list(learnt.verdict.causes),
        "agreement": learnt.agreement,
        "segments": learnt.segments,
        "units": learnt.units,
        "stages": [
            {
                "name": one.name,
                "place": None if one.judged is None else round(one.judged.place, 4),
                "kept": one.kept,
            }
            for one in learnt.stages
        ],
    }


def _voices(
    order: Order, pronounced: Pronounced | None, inventory: Inventory | None, report: Report
) -> Sequence[Voice]:
    """Who reads what of the text. Raises UsageError for a voice that lacks its sounds, before anything is heard."""
    if not order.speak or order.text is None or pronounced is None or inventory is None:
        return ()
    voices = []
    with report("trying the voices") as progress:
        for done, one in enumerate(order.speak, 1):
            voices.append(Voice(one.voice, lines_of(order.text[0], pronounced, inventory, one.mnemonics)))
            check_voice(voices[-1])
            progress(done, len(order.speak))
    return voices


def _source(path: Path, others: Sequence[Path]) -> str:
    """A file's name, or all of its path where another has the same."""
    return path.name if sum(one.name == path.name for one in others) == 1 else str(path)


def _read_aloud(order: Order) -> dict[str, Any]:
    return {
        "voices": [
            {
                "voice": one.voice,
                "by": "MBROLA" if is_of_people(one.voice) else "espeak-ng",
                "mnemonics": None if one.mnemonics is None else dict(one.mnemonics),
            }
            for one in order.speak
        ],
    }


def _kept(
    order: Order, hearing: Hearing, recordings: str, sentences: Sequence[Sequence[int]], said: Aloud | None
) -> Path:
    """Where seeds that are done are kept: of these recordings, heard so, this text and these settings alone."""
    spoken = None if said is None else [[one.name, [line.content for line in one.lines]] for one in said.voices]
    settings = {key: value for key, value in asdict(order.settings).items() if key not in _AFTERWARDS}
    known = json.dumps([_LEARNING, recordings, hearing.facts(), settings, [list(one) for one in sentences], spoken])
    place = home() / "asr-work" / hashlib.sha256(known.encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    if not order.resume:
        for file in place.glob("seed-*"):
            file.unlink()
    return place
