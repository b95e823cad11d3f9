"""What question answering brings to the interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from trifold.correction import CorrectionForm
    from trifold.task import Checkpoint, Panel, Route
    from trifold.tasks.qa.task import QaTask

__all__ = ["QaPlugin", "plugin"]


class QaPlugin:
    """The plugin of the task `qa`. Everything heavy is imported when it is used."""

    name = "qa"

    def open(self, folder: Path, version: str, settings: Mapping[str, Any]) -> QaTask:
        from trifold.tasks.qa.task import open_task

        return open_task(folder, version, settings)

    def commands(self) -> Sequence[click.Command]:
        from trifold.tasks.qa.commands.ask import ask
        from trifold.tasks.qa.commands.check import check
        from trifold.tasks.qa.commands.evaluate import evaluate
        from trifold.tasks.qa.commands.finetune import finetune

        return [ask, evaluate, check, finetune]

    def routes(self) -> Sequence[Route]:
        from trifold.tasks.qa.rest import route

        return [route()]

    def corrections(self) -> CorrectionForm:
        from trifold.tasks.qa.corrections import QaCorrections

        return QaCorrections()

    def panel(self) -> Panel:
        from trifold.task import Panel

        return Panel(Path(__file__).parent / "panel", "panel.js")

    def declines(self, name: str, config: Mapping[str, Any]) -> str | None:
        from trifold.tasks.qa.making.checkpoints import declines

        return declines(name, config)

    def adopt(self, checkpoint: Checkpoint, folder: Path) -> Mapping[str, Any]:
        from trifold.tasks.qa.making.adopt import adopt

        return adopt(checkpoint, folder)


plugin = QaPlugin()
