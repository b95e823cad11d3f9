"""Transcripts as JSON, one object a line for each recording: the form that keeps everything."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trifold.errors import DataError
from trifold.jsontext import to_json
from trifold.tasks.asr.plain import read_text
from trifold.tasks.asr.transcripts import Heard, Transcript
from trifold.tasks.asr.writing.plaintext import heard, write_text

__all__ = ["json_line", "read_jsonlines", "to_dict", "write_jsonlines"]

_DECIMALS = 6


def write_jsonlines(transcripts: Iterable[Transcript], path: Path) -> None:
    """Write a line for each transcript; a file that is there is replaced. Errors as of `write_text`."""
    write_text((json_line(transcript) for transcript in transcripts), path)


def json_line(transcript: Transcript) -> str:
    """A transcript as one line of JSON, with its end."""
    return to_json(to_dict(transcript)) + "\n"


def to_dict(transcript: Transcript) -> dict[str, Any]:
    """A transcript in JSON types: audio, seconds, phones and words (text, start, end, confidence), model, warnings, and
    adapted where the model was adapted to the voice.

    Numbers have six decimals at most.
    """
    return {
        "audio": transcript.audio,
        "seconds": round(transcript.seconds, _DECIMALS),
        "phones": [_item(phone) for phone in transcript.phones],
        "words": [_item(word) for word in transcript.words],
        "model": transcript.model,
        "warnings": list(transcript.warnings),
        **({"adapted": round(transcript.adapted, _DECIMALS)} if transcript.adapted else {}),
    }


def read_jsonlines(path: Path) -> list[Transcript]:
    """The transcripts of a file, in its order. Raises DataError for a line that is none."""
    lines = read_text(path).split("\n")
    return [_transcript(f"{path}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def _item(item: Heard) -> dict[str, Any]:
    return {
        "text": item.text,
        "start": round(item.start, _DECIMALS),
        "end": round(item.end, _DECIMALS),
        "confidence": round(item.confidence, _DECIMALS),
    }


def _transcript(place: str, line: str) -> Transcript:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: expected a JSON object ({error}).") from None
    if not isinstance(value, dict) or not isinstance(value.get("audio"), str):
        raise DataError(f"{place}: expected an object with the name of a recording as 'audio', found none.")
    phones, words = (_items(place, value, key) for key in ("phones", "words"))
    model, warnings = value.get("model", ""), value.get("warnings", [])
    if not isinstance(model, str) or not isinstance(warnings, list) or not all(isinstance(w, str) for w in warnings):
        raise DataError(f"{place}: expected 'model' as text and 'warnings' as a list of texts.")
    # Of a length only what `heard` asks of an end is asked.
    last = max((item.end for item in (*phones, *words)), default=0.0)
    length = heard(f"{place}, seconds", "", 0, value.get("seconds", last), 1).end
    adapted = heard(f"{place}, adapted", "", 0, value.get("adapted", 0), 1).end
    return Transcript(value["audio"], length, phones, words, model, tuple(warnings), adapted)


def _items(place: str, value: dict[str, Any], key: str) -> tuple[Heard, ...]:
    listed = value.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise DataError(f"{place}: expected {key!r} as a list of objects, found {listed!r:.60}.")
    return tuple(
        heard(f"{place}, {key}[{i}]", item.get("text"), item.get("start"), item.get("end"), item.get("confidence", 1.0))
        for i, item in enumerate(listed)
    )
