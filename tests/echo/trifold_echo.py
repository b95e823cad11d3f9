"""A second task, as another package would bring it: it gives back the text it is given.

Its graph is the identity over code points, so that a reply shows whether the engine mixed up units.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from trifold.correction import Checked, Correction
from trifold.errors import DataError, InvalidInput
from trifold.task import Arrays, Columns, Encoded, Host, Limits, Unit

PART = 8


class EchoTask:
    name = "echo"

    def __init__(self, version: str) -> None:
        self.version = version

    def check(self, raw: Mapping[str, Any], limits: Limits) -> str:
        text = raw.get("text")
        if not isinstance(text, str):
            raise InvalidInput("text: expected a text. Give one.", field="text")
        return text

    def encode(self, request: str) -> Encoded:
        if request == "encode fails":
            raise RuntimeError("as asked")
        parts = [request[i : i + PART] for i in range(0, len(request), PART)]
        arrays = [np.array([ord(char) for char in part], np.int64) for part in parts]
        return Encoded([Unit({"codes": a}, len(a)) for a in arrays], memo=len(parts))

    def decode(self, request: str, memo: int, outputs: Sequence[Arrays]) -> str:
        assert len(outputs) == memo
        if request == "decode fails":
            raise RuntimeError("as asked")
        return "".join(chr(int(code)) for output in outputs for code in output["echoed"])

    def columns(self, options: Mapping[str, Any]) -> Columns:
        return Columns(
            request={"text": ("text",)},
            needed=[("text",)],
            options=(),
            example={"text": "hello"},
            reply={"echo": "text", "length": "integer"},
            answer="echo",
            score=None,
        )

    def cells(self, reply: str) -> Mapping[str, Any]:
        return {"echo": reply, "length": len(reply)}

    def unnest(self, element: Any) -> None:
        return None


class EchoCorrections:
    """What should have come back instead of a text."""

    request: Mapping[str, Any] = {
        "type": "object",
        "required": ["text", "echo"],
        "properties": {"text": {"type": "string"}, "echo": {"type": "string"}},
        "additionalProperties": False,
    }
    examples: Mapping[str, Mapping[str, Any]] = {"Another echo": {"text": "hello", "echo": "olleh"}}
    head: Mapping[str, Any] = {}

    def check(self, raw: Mapping[str, Any], limits: Limits) -> Checked:
        if raw.keys() != {"text", "echo"} or not all(isinstance(value, str) for value in raw.values()):
            raise InvalidInput("expected a text and its echo.", field="echo")
        return Checked(raw["text"], raw["echo"], ())

    def asked(self, about: str, content: str) -> Mapping[str, Any]:
        return {"text": about}

    def key(self, content: str) -> Hashable:
        return None

    def texts(self, content: str) -> Iterable[str]:
        return [content]

    def render(self, about: str, content: str) -> Mapping[str, Any]:
        return {"text": about, "echo": content}

    def missing(self, corrections: Iterable[Correction]) -> str | None:
        return None

    def read(self, place: str, element: Any) -> Iterator[Correction]:
        if not isinstance(element, dict) or not element.keys() >= {"id", "revision", "text", "echo"}:
            raise DataError(f"{place}: expected an echo")
        yield Correction(id=element["id"], revision=element["revision"], about=element["text"], content=element["echo"])

    def elements(self, corrections: Iterable[Correction]) -> Iterator[Mapping[str, Any]]:
        for one in corrections:
            yield {"id": one.id, "revision": one.revision, "text": one.about, "echo": one.content}

    def command(self, file: str, name: str, base: str | None) -> Sequence[str]:
        return ["trifold", "echo", "learn", file, name]


class EchoPlugin:
    name = "echo"

    def open(self, folder: Path, version: str, settings: Mapping[str, Any]) -> EchoTask:
        return EchoTask(version)

    def commands(self) -> Sequence[click.Command]:
        return [echo]

    def corrections(self) -> EchoCorrections:
        return EchoCorrections()


@click.command()
@click.argument("texts", nargs=-1)
@click.option("--model", default="echo")
@click.pass_obj
def echo(host: Host, texts: tuple[str, ...], model: str) -> None:
    """Give back each of TEXTS."""
    from trifold.engine.loaded import open_model
    from trifold.engine.runner import Runner
    from trifold.models.registry import find

    runner = Runner(open_model(find(model)))
    with host.progress("echo") as progress:
        for done, (number, reply) in enumerate(runner.map((i, {"text": t}) for i, t in enumerate(texts)), 1):
            progress(done, len(texts))
            host.print_json({"number": number, "echo": reply})


plugin = EchoPlugin()
