"""What speech recognition without transcripts brings to the interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from trifold.tasks.asr.task import AsrTask

__all__ = ["AsrPlugin", "plugin"]


class AsrPlugin:
    """The plugin of the task `asr`. Everything heavy is imported when it is used."""

    name = "asr"

    def open(self, folder: Path, version: str, settings: Mapping[str, Any]) -> AsrTask:
        from trifold.tasks.asr.task import open_task

        return open_task(folder, version)

    def commands(self) -> Sequence[click.Command]:
        from trifold.tasks.asr.commands.group import asr
        from trifold.tasks.asr.commands.transcribe import transcribe

        return [asr, transcribe]


plugin = AsrPlugin()
