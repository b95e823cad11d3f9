"""The command line: gathers the words of all tasks and turns every error into one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property

import click

from trifold import __version__
from trifold.errors import TrifoldError
from trifold.interfaces.batch import batch
from trifold.interfaces.console import Terminal
from trifold.interfaces.models import models
from trifold.interfaces.serve import serve
from trifold.plugins import installed
from trifold.printable import printable

__all__ = ["cli", "main", "program"]

_INTERRUPTED = 130


class _Words(click.Group):
    """The group's own commands and those that the installed tasks bring."""

    @cached_property
    def _all(self) -> dict[str, click.Command]:
        brought: dict[str, click.Command] = {}
        for name, plugin in installed().items():
            try:
                brought.update({c.name: c for c in plugin.commands() if c.name})
            except Exception as error:  # a broken third-party plugin must not take the others down
                warnings.warn(f"the commands of the task {name!r} cannot be loaded: {error}", stacklevel=2)
        return {**brought, **self.commands}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._all)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._all.get(cmd_name)


@click.group(
    cls=_Words,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  trifold ask "Who wrote it?" --passage "The report was written by Ada Lovelace in 1843."
  trifold ask "What is the notice period?" --passage-file contract.txt
  trifold batch questions.jsonl answers.jsonl
  trifold serve
  trifold finetune mine.jsonl
  trifold evaluate questions.jsonl --model mine
  trifold models show default

\b
Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 done with rows that do not fit.
Settings: TRIFOLD_HOME (where your models live), TRIFOLD_THREADS (cores to use), TRIFOLD_DEVICE (auto, cpu or
cuda), TRIFOLD_STATES_MB (memory for what passages share, 128).""",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Train a model once, use it three ways.

    Answers questions with quotations from your passages, on this machine, without a network.
    """
    ctx.obj = Terminal()


cli.add_command(batch)
cli.add_command(models)
cli.add_command(serve)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    warnings.showwarning = _show_warning
    _prepare_streams()
    try:
        code = cli.main(arguments, prog_name="trifold", standalone_mode=False)
    except TrifoldError as error:
        _complain(str(error))
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return _INTERRUPTED
    except OSError as error:
        what = f"{error.filename}: " if error.filename else "the output cannot be written: "
        _complain(f"{what}{error.strerror}.")
        return 1
    except Exception as error:
        if os.environ.get("TRIFOLD_DEBUG"):
            raise
        _complain(
            f"unexpected {type(error).__name__}: {error}. This is a defect of trifold; "
            "TRIFOLD_DEBUG=1 shows where it happened."
        )
        return 1
    return code if isinstance(code, int) else 0


def program() -> int:
    """`main` as a process of its own.

    An interruption may fall between the start of a thread and its being noted down to be joined; leaving as usual would
    then wait for that thread for ever. Everything that matters is on the disk by then.
    """
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done, and the exit code is to say so
    if code == _INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


def _prepare_streams() -> None:
    """What a terminal's encoding lacks is escaped rather than fatal; a closed stream swallows what is written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(message: str) -> None:
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {printable(message)}", err=True)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"{click.style('Warning:', fg='yellow', bold=True)} {printable(str(message))}", err=True)
