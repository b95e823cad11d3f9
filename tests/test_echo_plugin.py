"""A second task gets its command and runs through the engine without a change outside its own folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import ECHO, Run
from doubles import echo_folder
from trifold import ModelDamaged, WrongTask, load
from trifold.models.registry import find


def test_it_has_its_command(run: Run) -> None:
    assert "echo" not in run("--help").stdout
    assert "Give back each of TEXTS" in run("--help", path=ECHO).stdout


def test_it_runs_on_a_model_of_its_own(run: Run, home: Path) -> None:
    echo_folder(home / "echo@0")
    done = run("echo", "tiny", "a longer text of several units", path=ECHO)
    assert done.returncode == 0, done.stderr
    assert '"echo": "a longer text of several units"' in done.stdout
    listed = json.loads(run("models", "list", "--json").stdout)
    assert {"default@1", "echo@0"} <= {model["model"] for model in listed}


@pytest.mark.usefixtures("echo_plugin")
def test_a_reader_refuses_a_model_of_another_task(home: Path) -> None:
    echo_folder(home / "echo@0")
    with pytest.raises(WrongTask, match="echo@0 is a model for the task 'echo'"):
        load("echo")


def test_a_model_without_its_plugin_says_which_is_missing(home: Path) -> None:
    echo_folder(home / "echo@0")
    with pytest.raises(ModelDamaged, match="task 'echo', which no installed plugin provides"):
        load("echo")
    assert find("echo").version == "echo@0"


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise RuntimeError('as asked')", "the task plugin 'broken' cannot be loaded: as asked"),
        (
            "class plugin:\n    name = 'broken'\n    def commands(): raise RuntimeError('as asked')",
            "the commands of the task 'broken' cannot be loaded: as asked",
        ),
    ],
)
def test_a_broken_plugin_does_not_take_the_others_down(run: Run, tmp_path: Path, module: str, says: str) -> None:
    info = tmp_path / "broken-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[trifold.tasks]\nbroken = broken_plugin:plugin\n")
    (tmp_path / "broken_plugin.py").write_text(module)
    done = run("--help", path=tmp_path)
    assert done.returncode == 0
    assert "ask" in done.stdout
    assert says in done.stderr
