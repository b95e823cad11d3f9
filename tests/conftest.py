"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from doubles import DATA
from trifold import Reader, load, plugins

# A busy machine is not a failure, and a failure of CI can be repeated.
settings.register_profile("trifold", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("trifold")

ECHO = Path(__file__).parent / "echo"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_report_header() -> str:
    if DATA is None:
        return "TRIFOLD_DATA is not set: tests that need the data are skipped"
    return f"data: {DATA}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "full" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="a long form: make test-full runs it"))


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes this user's models."""
    for name in [n for n in os.environ if n.startswith("TRIFOLD_") and n != "TRIFOLD_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRIFOLD_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def home() -> Path:
    """The folder of this user's models."""
    return Path(os.environ["TRIFOLD_HOME"]) / "models"


@pytest.fixture
def echo_plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The echo task of `tests/echo`, found as an installed package would be."""
    monkeypatch.syspath_prepend(str(ECHO))
    plugins.installed.cache_clear()
    yield
    plugins.installed.cache_clear()


@pytest.fixture(scope="session")
def reader() -> Reader:
    """The embedded model."""
    return load("default")


@pytest.fixture
def data() -> Path:
    """The folder of the question-answering data; tests that need it are skipped without."""
    if DATA is None or not DATA.is_dir():
        pytest.skip("TRIFOLD_DATA is not set to a folder with the data")
    return DATA


@pytest.fixture
def run() -> Run:
    """Runs the command line in a process of its own."""

    def call(
        *words: str, stdin: str | bytes = "", path: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "COLUMNS": "100", **environment}
        if path is not None:
            variables["PYTHONPATH"] = str(path)
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "trifold", *words], input=given, capture_output=True, env=variables, timeout=120
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )

    return call
