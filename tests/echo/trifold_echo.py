"""A second task, as another package would bring it: it gives back the text it is given.

Its graph is the identity over code points, so that a reply shows whether the engine mixed up units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from trifold.errors import InvalidInput
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


class EchoPlugin:
    name = "echo"

    def open(self, folder: Path, version: str, settings: Mapping[str, Any]) -> EchoTask:
        return EchoTask(version)

    def commands(self) -> Sequence[click.Command]:
        return [echo]


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
