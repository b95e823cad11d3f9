"""Readers whose lower layers read question and passage apart: the same answers, a passage computed once."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hub_doubles import tiny_reader, tiny_tokenizer  # noqa: E402
from service_doubles import replies  # noqa: E402
from trifold import EngineError, InvalidInput, ModelDamaged, Reply, load  # noqa: E402
from trifold.engine import states as states_module  # noqa: E402
from trifold.engine.calls import Asked  # noqa: E402
from trifold.engine.loaded import Loaded, open_model  # noqa: E402
from trifold.engine.service import Service  # noqa: E402
from trifold.engine.session import Session  # noqa: E402
from trifold.engine.states import states  # noqa: E402
from trifold.models.folder import read_folder, write_manifest  # noqa: E402
from trifold.task import Unit  # noqa: E402
from trifold.tasks.qa.calibration import Calibration  # noqa: E402
from trifold.tasks.qa.making.export import export_reader  # noqa: E402
from trifold.tasks.qa.pipeline import QuestionAnsweringPipeline, _longest  # noqa: E402
from trifold.tasks.qa.reader import Reader  # noqa: E402
from trifold.tasks.qa.settings import Apart, QaSettings  # noqa: E402
from trifold.tasks.qa.task import QaTask  # noqa: E402
from trifold.tasks.qa.tokens import QaTokenizer  # noqa: E402
from trifold.tasks.qa.training.finetune import finetune  # noqa: E402
from trifold.tasks.qa.training.network import Network  # noqa: E402
from trifold.tasks.qa.training.publish import probe_unit  # noqa: E402
from trifold.tasks.qa.windows import WindowSize  # noqa: E402

APART = Apart(2, 10)
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "lazy",
    "dogs",
    "while",
    "nine",
    "wise",
    "owls",
    "say",
    "a",
    "word",
]


def text(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def new_task() -> QaTask:
    settings = QaSettings(WindowSize(112, 16), True, ("en",), frozenset({"Latin"}), Calibration(), apart=APART)
    return QaTask("halves@0", QaTokenizer(tiny_tokenizer("bert")), settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random reader of four layers, two of them apart, as a model folder with both precisions."""
    folder = tmp_path_factory.mktemp("apart")
    torch.manual_seed(1)
    reader = tiny_reader("bert", layers=4)
    reader.save_pretrained(folder)
    tiny_tokenizer("bert").save(str(folder / "tokenizer.json"))
    task = new_task()
    windows = [task.lay_out(text(i, 3), text(i + 99, 5 + i))[1][0] for i in range(12)]
    graphs = export_reader(folder, windows, probe_unit(task), apart=APART)
    facts = {"task": "qa", "name": "halves", "version": "0", "graphs": graphs}
    write_manifest(folder, {**facts, "task_settings": task.settings.to_dict()})
    return folder


@pytest.fixture(autouse=True)
def cold() -> Iterator[None]:
    """Nothing is remembered of other tests."""
    states_module._states.cache_clear()
    yield
    states_module._states.cache_clear()


@pytest.fixture(params=["int8", "fp32"])
def loaded(folder: Path, request: pytest.FixtureRequest) -> Loaded:
    found = open_model(read_folder(folder), request.param)
    assert found.precision == request.param
    return found


def rows(passages: int = 4, questions: int = 6) -> list[dict[str, Any]]:
    """Several questions about each passage, in no order."""
    made = [
        {"question": text(100 * p + q, 2 + q % 3), "passage": text(p, 6 + 3 * p), "always_answer": True}
        for p in range(passages)
        for q in range(questions)
    ]
    random.Random(0).shuffle(made)
    return made


def same(one: Reply, other: Reply) -> None:
    assert [(a.text, a.start, a.end) for a in one.answers] == [(a.text, a.start, a.end) for a in other.answers]
    assert [a.score for a in one.answers] == pytest.approx([a.score for a in other.answers], abs=1e-4)


def answers(loaded: Loaded, asked: Sequence[dict[str, Any]]) -> list[Reply]:
    replies = list(Reader(loaded).ask_many(asked))
    assert all(isinstance(reply, Reply) for reply in replies), replies
    return replies  # type: ignore[return-value]


def test_answers_are_the_same_alone_and_shared(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = rows()
    together = answers(loaded, asked)
    assert len({reply.answers[0].text for reply in together}) > 5, "nearly all answers are alike: nothing is compared"
    monkeypatch.setenv("TRIFOLD_STATES_MB", "0")
    states_module._states.cache_clear()
    for row, shared in zip(asked, together, strict=True):
        (alone,) = answers(loaded, [row])
        same(alone, shared)
    assert states().misses == len(asked), "something was remembered all the same"


def test_a_passage_is_computed_once_for_all_its_questions(loaded: Loaded) -> None:
    answers(loaded, rows(passages=4, questions=6))
    assert states().misses == 4
    answers(loaded, rows(passages=4, questions=3))
    assert states().misses == 4


def test_a_batch_computes_a_passage_once_even_where_nothing_is_remembered(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIFOLD_STATES_MB", "0")
    states_module._states.cache_clear()
    units = [new_task().lay_out(question, text(1, 20))[1][0] for question in ("who a?", "who b?", "who c?")]
    assert loaded.session is not None
    loaded.session.run(units)
    assert states().misses == 1


def test_states_are_bounded_and_answers_do_not_depend_on_it(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = rows(passages=12, questions=2)
    wanted = answers(loaded, asked)
    monkeypatch.setattr(states_module, "_room", lambda: 60_000)
    states_module._states.cache_clear()
    for found, expected in zip(answers(loaded, asked), wanted, strict=True):
        same(found, expected)
    assert 0 < states().size <= 60_000


def test_the_pipeline_reads_it_too(folder: Path, loaded: Loaded) -> None:
    """It computes the same windows, from the same states of a passage, and none reaches behind the last position."""
    pipe = QuestionAnsweringPipeline(loaded, folder)
    (row,) = rows(passages=1, questions=1)
    found = pipe(question=row["question"], context=row["passage"])
    assert row["passage"][found["start"] : found["end"]] == found["answer"]
    assert states().misses == 1
    answers(loaded, [row])
    assert states().misses == 1, "the reader laid the passage out otherwise than the pipeline"
    windows = pipe(question="who?", context=text(3, 150), max_seq_len=64, doc_stride=8)
    assert text(3, 150)[windows["start"] : windows["end"]] == windows["answer"]
    longest = _longest(folder)
    assert longest == 128
    full = pipe(question="who?", context=text(3, 150), max_seq_len=longest)
    assert text(3, 150)[full["start"] : full["end"]] == full["answer"]
    with pytest.raises(InvalidInput, match="reads at most 128 tokens"):
        pipe(question="who?", context=text(3, 150), max_seq_len=longest + 1)


def test_the_graphs_compute_what_the_network_learns(folder: Path, loaded: Loaded) -> None:
    network = Network(folder, device="cpu", bf16=False, seed=0, apart=APART)
    network.model.eval()
    task = new_task()
    units = [task.lay_out(text(i, 2 + i % 2), text(50 + i, 4 + 2 * i))[1][0] for i in range(6)]
    with torch.no_grad():
        start, _ = network.logits(units)
    assert loaded.session is not None
    for row, (unit, found) in enumerate(zip(units, loaded.session.run(units), strict=True)):
        read = [0, *range(len(unit.arrays["input_ids"]), unit.cost)]
        expected = start[row, : unit.cost].numpy()[read]
        near = 1e-3 if loaded.precision == "fp32" else 0.15
        assert np.abs(found["start_logits"][read] - expected).max() < near * np.abs(expected).max()


def test_the_layers_apart_do_not_see_the_other_part(folder: Path) -> None:
    """What is shared of a passage is the same bits whatever is asked, else it could not be shared."""
    session = Session(folder / "model.fp32.onnx", folder / "first.fp32.onnx")
    passage = text(7, 20)
    units = [new_task().lay_out(question, passage)[1][0] for question in ("who?", "where did it all go, then?")]
    prefixes = [unit.prefix for unit in units]
    assert prefixes[0] is not None
    assert prefixes[1] is not None
    assert prefixes[0].key == prefixes[1].key
    made = session.prepare(prefixes[0])
    states_module._states.cache_clear()
    again = session.prepare(prefixes[1])
    for name in made:
        np.testing.assert_array_equal(made[name], again[name])


def test_questions_of_like_length_cut_a_long_passage_alike() -> None:
    passage = text(3, 120)
    task = new_task()
    short, longer = (task.lay_out(question, passage)[1] for question in ("who?", "who then was it there?"))
    keys = [[unit.prefix.key for unit in units if unit.prefix is not None] for units in (short, longer)]
    assert len(keys[0]) > 3
    assert keys[0] == keys[1]
    assert all(unit.cost <= 112 for units in (short, longer) for unit in units)


def test_two_models_do_not_share_states(folder: Path, tmp_path: Path) -> None:
    """The same passage, read by other weights, has other states."""
    shutil.copytree(folder, tmp_path / "copy")
    one, other = open_model(read_folder(folder), "fp32"), open_model(read_folder(tmp_path / "copy"), "fp32")
    answers(one, rows(passages=1, questions=1))
    answers(other, rows(passages=1, questions=1))
    assert states().misses == 2


def test_the_service_gives_the_same_answers_and_shares(loaded: Loaded) -> None:
    asked = rows()
    wanted = answers(loaded, asked)
    states_module._states.cache_clear()
    found = replies(Service().submit([Asked(loaded, row, 1) for row in asked]))
    for reply, expected in zip(found, wanted, strict=True):
        assert isinstance(reply, Reply), reply
        same(reply, expected)
    assert states().misses == 4


def test_a_unit_without_a_prefix_fails_and_says_so(folder: Path) -> None:
    session = Session(folder / "model.fp32.onnx", folder / "first.fp32.onnx")
    unit = new_task().lay_out("who?", "the owl said it")[1][0]
    with pytest.raises(EngineError, match="two stages"):
        session.run([Unit(unit.arrays, unit.cost)])
    assert unit.prefix is not None
    with pytest.raises(EngineError, match="one stage"):
        Session(folder / "first.fp32.onnx").prepare(unit.prefix)


def test_stages_that_do_not_fit_are_refused(folder: Path) -> None:
    with pytest.raises(ModelDamaged, match=r"it wants .* which .* does not make"):
        Session(folder / "model.fp32.onnx", folder / "model.fp32.onnx")


def test_a_first_stage_that_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "trifold.json").read_bytes())
    manifest["graphs"][0]["first"] = "elsewhere.onnx"
    (copy / "trifold.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelDamaged, match=r"the first stage of model\.int8\.onnx is not among the files"):
        read_folder(copy)


def test_the_probe_covers_both_stages(folder: Path, tmp_path: Path) -> None:
    session = Session(folder / "model.int8.onnx", folder / "first.int8.onnx")
    assert session.agrees_with(folder / "probe.json")
    recorded = json.loads((folder / "probe.json").read_bytes())
    recorded["prefix"]["input_ids"].reverse()
    (tmp_path / "probe.json").write_text(json.dumps(recorded))
    states_module._states.cache_clear()
    assert not session.agrees_with(tmp_path / "probe.json")


@pytest.mark.parametrize(("kind", "layers", "complaint"), [("roberta", 1, "of the type 'bert'"), ("bert", 2, "0 to 1")])
def test_a_reader_that_cannot_be_divided_is_refused(tmp_path: Path, kind: str, layers: int, complaint: str) -> None:
    tiny_reader(kind).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match=complaint):
        Network(tmp_path, device="cpu", bf16=False, seed=0, apart=Apart(layers))


def test_fine_tuning_keeps_a_reader_divided(folder: Path, tmp_path: Path) -> None:
    from test_finetune import Quiet, order, rows, write

    made = finetune(order(write(tmp_path / "winners.jsonl", rows(24)), folder, settings={"epochs": 1}), Quiet())
    assert QaSettings.from_dict(made.folder.task_settings).apart == APART
    reader = load(made.folder.version)
    before = states().misses
    replies = [reader.ask(question, "in game 9 ada won.", always_answer=True) for question in ("who won?", "who lost?")]
    assert all(reply.answers for reply in replies)
    assert states().misses == before + 1


@pytest.mark.parametrize("apart", [{"layers": -1, "position": 3}, {"layers": 2}, {"layers": 2.5, "position": 3}, "two"])
def test_settings_that_cannot_be_are_refused(apart: Any) -> None:
    with pytest.raises(ModelDamaged):
        QaSettings.from_dict({**new_task().settings.to_dict(), "apart": apart})


def test_settings_come_back_as_they_were() -> None:
    settings = new_task().settings
    assert QaSettings.from_dict(settings.to_dict()) == settings
