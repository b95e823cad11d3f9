"""Fine-tuning from beginning to end, with tiny random bases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from conftest import Run  # noqa: E402
from hub_doubles import save_checkpoint, tiny_reader, tiny_tokenizer  # noqa: E402
from trifold import DataError, EngineError, InvalidInput, load  # noqa: E402
from trifold.jobs.corrections import Corrections  # noqa: E402
from trifold.models.folder import hash_file  # noqa: E402
from trifold.models.registry import find  # noqa: E402
from trifold.task import Limits, Progress, no_progress  # noqa: E402
from trifold.tasks.qa.corrections import QaCorrections  # noqa: E402
from trifold.tasks.qa.training.finetune import Finetuned, Order, finetune  # noqa: E402
from trifold.tasks.qa.training.settings import TrainingSettings  # noqa: E402
from trifold.training.loop import Epoch  # noqa: E402

NAMES = ["ada", "bob", "cleo", "dan", "eve", "finn", "gus", "hal", "ida", "jon", "kim", "leo"]
FAST = {"epochs": 2, "learning_rate": 3e-3, "patience": 99, "batch": 8, "validation": 0.2, "held_out": 0.2}


class Quiet:
    """Watches and remembers; stops the training after an epoch on demand, as Ctrl-C does."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.warnings: list[str] = []
        self.epochs: list[Epoch] = []
        self.stages: list[str] = []
        self.stop_after = stop_after

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def settle(self, settings: TrainingSettings, windows: int, replayed: int) -> None:
        assert windows > 0

    @contextmanager
    def stage(self, label: str) -> Iterator[Progress]:
        self.stages.append(label)
        yield no_progress

    def epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)
        if epoch.epoch == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random reader as its authors would publish it."""
    folder: Path = save_checkpoint(
        tmp_path_factory.mktemp("base") / "tiny", tiny_reader("bert"), tiny_tokenizer("bert"), card="datasets: squad_v2"
    )
    return folder


def rows(count: int = 48, **changes: Any) -> list[dict[str, Any]]:
    """Who won? The word before `won`."""
    found = []
    for i in range(count):
        name = NAMES[i % len(NAMES)]
        passage = f"in game {i} {name} won."
        answers = {"text": [name], "answer_start": [passage.index(name)]}
        found.append({"id": str(i), "question": "who won?", "context": passage, "answers": answers, **changes})
    return found


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def order(data: Path, base: Path, **changes: Any) -> Order:
    settings = TrainingSettings(**{**FAST, **changes.pop("settings", {})})
    return Order(
        **{"data": data, "name": "winners", "base": str(base), "general": False, "settings": settings, **changes}
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "winners.jsonl", rows())


def test_a_new_version_answers_by_its_name_and_says_where_it_comes_from(data: Path, base: Path) -> None:
    watcher = Quiet()
    made = finetune(order(data, base, command="trifold finetune winners.jsonl"), watcher)
    assert made.folder.version == "winners@1"
    reader = load("winners")
    reply = reader.ask("who won?", "in game 99 ada won.", always_answer=True)
    assert reply.model == "winners@1"
    assert reply.answers[0].text in "in game 99 ada won."
    manifest = find("winners@1").manifest
    find("winners@1").verify()
    assert manifest["training"]["arguments"]["epochs"] == 2
    assert manifest["training"]["seed"] == 0
    assert [epoch["epoch"] for epoch in manifest["training"]["history"]] == [0, 1, 2]
    assert manifest["data"] == [{"file": "winners.jsonl", "role": "training", "rows": 48, "sha256": hash_file(data)}]
    assert manifest["libraries"]["torch"] == torch.__version__
    assert manifest["command"] == "trifold finetune winners.jsonl"
    assert manifest["metrics"][0]["n"] == 10
    assert sum(one["n"] for one in manifest["metrics"][0]["reliability"]) == 10
    assert made.report is not None
    page = (made.folder.path / "report.html").read_text(encoding="utf-8")
    assert "winners@1" in page
    assert "report.json" in manifest["files"]
    assert any("10 rows are held out" in warning for warning in watcher.warnings)
    assert (made.folder.path / "README.md").read_text(encoding="utf-8").count("winners@1") >= 1
    again = finetune(order(data, base), Quiet())
    assert again.folder.version == "winners@2"


def test_it_learns_from_corrections_as_they_are_kept(tmp_path: Path, base: Path) -> None:
    form = QaCorrections()
    kept = Corrections(tmp_path / "qa.json", form, 1_000_000)
    for row in rows(24):
        text, start = row["answers"]["text"][0], row["answers"]["answer_start"][0]
        right = [{"text": text, "start": start, "end": start + len(text)}]
        raw = {"question": row["question"], "passage": row["context"], "answers": right, "note": "by a person"}
        kept.add(form.check(raw, Limits()))
    made = finetune(order(kept.file.path, base), Quiet())
    (source,) = made.folder.manifest["data"]
    assert (source["file"], source["rows"], source["sha256"]) == ("qa.json", 24, hash_file(kept.file.path))


def test_it_learns_the_domain(data: Path, base: Path) -> None:
    made = finetune(order(data, base, settings={"epochs": 25}), Quiet())
    curve = [epoch["domain_f1"] for epoch in made.folder.manifest["training"]["history"]]
    assert max(curve) > 0.8 > curve[0] + 0.2
    reply = load("winners").ask("who won?", "in game 77 eve won.", always_answer=True)
    assert reply.answers[0].text == "eve"


def weights(made: Finetuned) -> str:
    return hash_file(made.folder.path / "model.safetensors")


def test_a_stopped_training_resumes_to_the_same_bits(data: Path, base: Path) -> None:
    settings = {"settings": {"epochs": 4}}
    whole = finetune(order(data, base, **settings), Quiet())
    with pytest.raises(KeyboardInterrupt):
        finetune(order(data, base, **settings), Quiet(stop_after=2))
    assert find("winners").version == "winners@1", "nothing half-made may be found"
    watcher = Quiet()
    resumed = finetune(order(data, base, **settings), watcher, resume=True)
    assert weights(resumed) == weights(whole)
    assert [epoch.epoch for epoch in watcher.epochs][:3] == [0, 1, 2]


def test_kill_9_and_resume(data: Path, base: Path, run: Run, home: Path) -> None:
    words = ["finetune", str(data), "--base", str(base), "--no-general", "--epochs", "12", "--patience", "99"]
    words += ["--learning-rate", "3e-3", "--batch", "4"]
    assert run(*words, "--name", "whole").returncode == 0
    child = subprocess.Popen([sys.executable, "-m", "trifold", *words, "--name", "killed"], stderr=subprocess.DEVNULL)
    try:
        waited = time.monotonic() + 60
        while not list((home.parent / "training" / "killed").glob("step-*")):
            assert child.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < waited
            time.sleep(0.005)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert "killed" not in run("models", "list").stdout
    done = run(*words, "--name", "killed", "--resume")
    assert done.returncode == 0, done.stderr
    assert weights(Finetuned(find("killed"), None)) == weights(Finetuned(find("whole"), None))
    assert not (home.parent / "training" / "killed").exists()


def test_gradient_accumulation_learns_the_same(data: Path, base: Path) -> None:
    one, four = (
        finetune(order(data, base, settings={"accumulate": parts}), Quiet()).folder.manifest["training"]["history"]
        for parts in (1, 4)
    )
    assert one[-1]["domain_f1"] == pytest.approx(four[-1]["domain_f1"], abs=0.02)


def test_lora_gives_an_ordinary_folder(data: Path, base: Path) -> None:
    pytest.importorskip("peft")
    made = finetune(order(data, base, settings={"lora": 4, "epochs": 6}), Quiet())
    from safetensors import safe_open

    with safe_open(made.folder.path / "model.safetensors", "np") as stream:
        assert not [name for name in stream.keys() if "lora" in name]  # noqa: SIM118
    history = made.folder.manifest["training"]["history"]
    assert history[-1]["domain_f1"] > history[0]["domain_f1"]
    assert load("winners").ask("who won?", "in game 7 ada won.", always_answer=True).answers


def test_general_rows_hold_the_reader_to_its_base(tmp_path: Path, data: Path, base: Path) -> None:
    general = [
        {**row, "question": "which game?", "answers": {"text": [row["context"].split()[2]], "answer_start": [8]}}
        for row in rows(30)
    ]
    replay = write(tmp_path / "replay.jsonl", general)
    held = finetune(order(data, base, replay=replay, settings={"epochs": 8, "keep": 5.0}), Quiet())
    free = finetune(order(data, base, settings={"epochs": 8}), Quiet())
    asked = [("which game?", row["context"]) for row in rows(12)]

    def agreement(made: Finetuned) -> int:
        old, new = load(base), load(made.folder.path)
        return sum(
            old.ask(q, p, always_answer=True).answers[0].text == new.ask(q, p, always_answer=True).answers[0].text
            for q, p in asked
        )

    assert agreement(held) > agreement(free)
    roles = [source["role"] for source in held.folder.manifest["data"]]
    assert roles == ["training", "replay"]


def test_several_answers_are_learnt_and_given(tmp_path: Path, base: Path) -> None:
    lines = []
    for i in range(60):
        a, b = NAMES[i % 12], NAMES[(i + 5) % 12]
        passage = f"{a} won. {b} won. nobody lost."
        starts = [0, passage.index(b, len(a))]
        answers = {"text": [a, b], "answer_start": starts}
        lines.append({"id": str(i), "question": f"who won {i}?", "context": passage, "answers": answers})
    several = write(tmp_path / "several.jsonl", lines)
    settings = {"epochs": 40, "answers": "several", "held_out": 0.0}
    made = finetune(order(several, base, settings=settings), Quiet())
    assert made.folder.task_settings["answers"] == "several"
    reply = load("winners").ask("who won 3?", "gus won. ida won. nobody lost.")
    assert [answer.text for answer in sorted(reply.answers, key=lambda a: a.start)] == ["gus", "ida"]


def test_verdicts_are_learnt_and_given(tmp_path: Path, base: Path) -> None:
    lines = []
    for i in range(80):
        verdict = "yes" if i % 2 else "no"
        passage = f"{NAMES[i % 12]} {'won' if i % 2 else 'lost'} game {i}."
        lines.append({"id": str(i), "question": "is it so that they won?", "context": passage, "verdict": verdict})
    made = finetune(order(write(tmp_path / "v.jsonl", lines), base, settings={"epochs": 15}), Quiet())
    assert made.folder.task_settings["answers"] == "yes-no"
    reader = load("winners")
    for passage, expected in (("ada won game 5.", "yes"), ("bob lost game 6.", "no")):
        reply = reader.ask("is it so that they won?", passage, always_answer=True)
        assert reply.verdict is not None
        assert reply.verdict.text == expected
        assert 0 <= reply.verdict.score <= 1
        (evidence,) = reply.answers
        assert passage[evidence.start : evidence.end] == evidence.text
        assert evidence.score == reply.verdict.score == reply.score
        assert reply.to_dict()["verdict"] == {"text": expected, "score": reply.verdict.score}


def test_an_encoder_becomes_a_reader(tmp_path: Path, data: Path) -> None:
    encoder = save_checkpoint(tmp_path / "encoder", tiny_reader("bert", head=""), tiny_tokenizer("bert"))
    made = finetune(order(data, encoder), Quiet())
    assert made.report is None
    assert load("winners").ask("who won?", "in game 7 ada won.", always_answer=True).answers


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": "default"}, InvalidInput, "the model that comes with trifold"),
        ({"name": "No Good"}, InvalidInput, "expected at most 64 of a-z"),
        ({"data": Path("missing.jsonl")}, DataError, "no such file"),
    ],
    ids=["embedded", "name", "missing"],
)
def test_what_cannot_be_is_said_before_the_work(
    data: Path, base: Path, home: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        finetune(order(**{"data": data, "base": base, **changes}), Quiet())
    assert not list(home.glob("*@*")) if home.exists() else True


def test_the_command_line_shows_the_learning_curve_and_the_report(data: Path, base: Path, run: Run) -> None:
    words = ["finetune", str(data), "--base", str(base), "--no-general", "--epochs", "2", "--patience", "9"]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stderr.splitlines() if line.strip()[:1].isdigit()][-3:] == ["0", "1", "2"]
    assert "winners@1 is ready" in done.stdout
    assert "before" in done.stdout
    as_json = json.loads(run(*words, "--json").stdout)
    assert as_json["model"] == "winners@2"
    assert as_json["report"]["sections"]["domain"]["n"] > 0


def test_a_failing_export_leaves_nothing_in_the_registry(
    data: Path, base: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trifold.tasks.qa.training import publish

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(publish, "export_reader", full)
        with pytest.raises(EngineError, match="disk is full"):
            finetune(order(data, base), Quiet())
    assert not list(home.glob("*@*"))
    made = finetune(order(data, base), Quiet(), resume=True)
    assert made.folder.version == "winners@1"
    assert made.folder.manifest["training"]["history"][-1]["epoch"] == 2
