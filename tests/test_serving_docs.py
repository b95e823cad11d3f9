"""docs/serving.md says of flags, errors and metrics what is the case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

pytest.importorskip("fastapi", reason="needs trifold[serve]")

from trifold.interfaces.cli import cli
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.settings import Settings
from trifold.wire import STATUS

PAGE = (Path(__file__).parents[1] / "docs" / "serving.md").read_text()


def table(heading: str) -> list[list[str]]:
    """The rows of the first table of a section, without the backquotes."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip() for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in row[1:-1].split("|")] for row in rows[2:]]


def options() -> dict[str, click.Option]:
    command = cli.get_command(click.Context(cli), "serve")
    assert command is not None
    found = [option for option in command.params if isinstance(option, click.Option)]
    return {option.opts[0]: option for option in found}


def shown(option: click.Option) -> str:
    """A default as the page writes it."""
    value: Any = option.to_info_dict()["default"]
    if option.is_flag or value in (None, (), []) or "UNSET" in str(value).upper():
        return ""
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_table_of_flags_is_complete_and_right() -> None:
    written = {flag.split(" ")[0]: (twin, default) for flag, twin, default, _ in table("Every flag")}
    real = {flag: (str(option.envvar), shown(option)) for flag, option in options().items()}
    assert written == real


def test_every_flag_has_its_twin() -> None:
    assert {flag: option.envvar for flag, option in options().items()} == {
        flag: "TRIFOLD_" + flag.removeprefix("--").replace("-", "_").upper() for flag in options()
    }


def test_the_table_of_errors_is_complete_and_right() -> None:
    assert {kind: int(status) for status, kind, *_ in table("Errors")} == dict(STATUS)


def test_the_table_of_metrics_is_complete_and_right() -> None:
    text = Desk(Settings()).metrics.text().decode()
    kinds = dict(re.findall(r"^# TYPE (trifold_\w+) (\w+)$", text, re.MULTILINE))
    real = {name: kind for name, kind in kinds.items() if not name.endswith("_created")}
    assert {name: kind for name, kind, *_ in table("Metrics")} == real
