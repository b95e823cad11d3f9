"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from browser import Visit, launched, visiting
from doubles import DATA, bert_tokenizer
from hub_doubles import FakeHub, save_checkpoint, tiny_reader
from live_server import Serving
from trifold import Reader, load, plugins
from trifold.interfaces.cli import main

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A busy machine is not a failure, and a failure of CI can be repeated.
settings.register_profile("trifold", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("trifold")

# A shell starts background jobs with Ctrl-C ignored, and programs that they start inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it when it is imported; no test asks the real hub

ECHO = Path(__file__).parent / "echo"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., tuple[int, str, str]]


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
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hugging")))


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


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command line without a process of its own: exit code, output, errors."""
    monkeypatch.setenv("COLUMNS", "120")

    def run_here(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_here


@pytest.fixture
def hub_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """huggingface_hub's cache, empty; the hub itself is out of reach."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub(hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub on loopback, within reach."""
    from huggingface_hub import constants

    hub = FakeHub()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield hub
    hub.close()


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny reader as transformers saves it."""
    card = "license: mit\nlanguage: en\ndatasets:\n- squad"
    return save_checkpoint(tmp_path_factory.mktemp("plain") / "bert", tiny_reader("bert"), bert_tokenizer(), card=card)


@pytest.fixture
def bert_copy(bert_folder: Path, tmp_path: Path) -> Path:
    """The same to change."""
    return Path(shutil.copytree(bert_folder, tmp_path / "Copy of BERT"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser; of a module, since it keeps the thread from other loops as long as it runs."""
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def site(browser: Browser) -> Iterator[Serving]:
    """A server with the page, and two models to compare. It does not start where there is no browser to ask it."""
    with Serving("--model", "default", "--model", "second=default") as running:
        yield running


@pytest.fixture
def visit(browser: Browser, site: Serving) -> Iterator[Visit]:
    """A visit to the page, whose end checks that nothing went wrong and nothing was asked elsewhere."""
    with visiting(browser, site.url) as one:
        yield one
