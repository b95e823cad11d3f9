"""`trifold serve`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from trifold.errors import MissingExtra

__all__ = ["serve"]

Command = TypeVar("Command", bound=Callable[..., Any])

_SIZE = click.FloatRange(min=0, min_open=True, max=1_000_000)
_SECONDS = click.FloatRange(min=0, min_open=True, max=86_400)
_COUNT = click.IntRange(min=1, max=10_000_000)


def _option(*names: str, **details: Any) -> Callable[[Command], Command]:
    """An option with its twin in the environment: `--max-queue` is TRIFOLD_MAX_QUEUE."""
    flag = next(name for name in names if name.startswith("--")).partition("/")[0]
    twin = "TRIFOLD_" + flag.removeprefix("--").upper().replace("-", "_")
    details.setdefault("show_default", "is_flag" not in details and not details.get("multiple"))
    return click.option(*names, envvar=twin, show_envvar=False, **details)


@click.command(
    short_help="Answer over HTTP: the web page and the REST API.",
    epilog="""\b
Examples:
  trifold serve
  trifold serve --model default --model mine@2 --port 9000
  trifold serve --model prod=mine@1 --api-key-file keys.txt --host 0.0.0.0
  curl http://127.0.0.1:8000/v1/answer -H 'Content-Type: application/json' \\
       -d '{"question": "Who wrote it?", "passage": "The report was written by Ada Lovelace."}'

\b
Every flag has a twin in the environment: --max-queue 64 is TRIFOLD_MAX_QUEUE=64; flags that repeat take
several values with blanks between. http://127.0.0.1:8000/docs describes the API, docs/serving.md the rest.
SIGTERM and Ctrl-C answer what was accepted, refuse what is new, and end within --grace seconds.""",
)
@_option(
    "--model", "models", multiple=True, metavar="[NAME=]MODEL", help="A model to serve; repeatable. [default: default]"
)
@_option("--host", default="127.0.0.1", help="Address to listen at.")
@_option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen at; 0 takes a free one.")
@_option("--precision", type=click.Choice(["fp32", "int8"]), help="Use this graph rather than the fastest.")
@_option(
    "--api-key-file", type=click.Path(path_type=Path), metavar="FILE", help="Lines `user NAME KEY`, `admin NAME KEY`."
)
@_option("--open", "open_", is_flag=True, help="Let other machines in without keys.")
@_option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name of this server in `Host`; repeatable.",
)
@_option(
    "--cors-origin", "cors_origins", multiple=True, metavar="ORIGIN", help="Let pages of this origin ask; repeatable."
)
@_option("--max-queue", type=_COUNT, default=256, help="Calls that wait or are worked on at most; more get 429.")
@_option("--max-queue-mb", type=_SIZE, default=64, help="Text of the calls in the queue at most.")
@_option("--deadline", type=_SECONDS, default=60, help="Seconds in which a request is answered or given up.")
@_option("--max-body-mb", type=_SIZE, default=8, help="Size of a request at most.")
@_option("--max-passage-mb", type=_SIZE, default=1, help="Size of a passage at most.")
@_option("--max-passages", type=_COUNT, default=1000, help="Passages of a question at most.")
@_option("--max-items", type=_COUNT, default=1000, help="Questions of a call at most.")
@_option("--max-file-mb", type=_SIZE, default=20, help="Size of a file whose text is extracted at most.")
@_option("--body-timeout", type=_SECONDS, default=10, help="Seconds in which a request's body must arrive.")
@_option("--header-timeout", type=_SECONDS, default=10, help="Seconds in which a request's headers must arrive.")
@_option("--max-connections", type=_COUNT, default=1000, help="Open connections at most.")
@_option(
    "--cache-mb",
    type=click.FloatRange(min=0, max=1_000_000),
    default=64,
    help="Recent answers to remember; 0 for none.",
)
@_option("--grace", type=_SECONDS, default=30, help="Seconds to answer what was accepted after SIGTERM.")
@_option(
    "--corrections",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep corrections of answers here. [default: beside the models]",
)
@_option("--max-corrections-mb", type=_SIZE, default=100, help="Size of a task's corrections at most.")
@_option("--no-corrections", is_flag=True, help="Keep no corrections.")
@_option("--log-json", is_flag=True, help="Log as JSON lines.")
@_option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", help="What to log.")
@_option("--no-web", is_flag=True, help="Without the web page.")
@_option("--browser", is_flag=True, help="Open the web page in a browser once it is ready.")
@_option("--no-docs", is_flag=True, help="Without /docs and /openapi.json.")
def serve(
    models: tuple[str, ...], open_: bool, no_corrections: bool, no_web: bool, no_docs: bool, **given: Any
) -> None:
    """Answer questions over HTTP, for many callers at once.

    All models are loaded and warm before /v2/health/ready says so. Requests are batched together, refused with 429 and
    a Retry-After when too many wait, and dropped when their client has left.
    """
    try:
        from trifold.interfaces.http.server import serve as run
        from trifold.interfaces.http.settings import Settings
    except ImportError as error:
        raise MissingExtra("trifold serve", "serve") from error
    given |= {"open": open_, "keep_corrections": not no_corrections, "web": not no_web, "docs": not no_docs}
    run(Settings(models=models or ("default",), **given))
