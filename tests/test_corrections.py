"""Corrections: what is let in, and the file that is a data set at every moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Call
from trifold.correction import Correctable
from trifold.errors import Conflict, DataError, EngineError, InvalidInput, Overloaded
from trifold.jobs.corrections import Corrections
from trifold.jobs.dataset import Full
from trifold.models.locks import hold
from trifold.plugins import installed
from trifold.task import Limits
from trifold.tasks.qa.corrections import QaCorrections
from trifold.tasks.qa.data.examples import read_examples
from trifold.tasks.qa.data.repairs import Gold
from trifold.tasks.qa.training.material import gather, read_sound
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.tasks.qa.training.splits import Split

ADA = "The report was written by Ada Lovelace in 1843."
GOOD: dict[str, Any] = {
    "question": "Who wrote it?",
    "passage": ADA,
    "answers": [{"text": "Ada Lovelace", "start": 26, "end": 38}],
}
FORM = QaCorrections()


def answer(passage: str, text: str) -> dict[str, Any]:
    start = passage.index(text)
    return {"text": text, "start": start, "end": start + len(text)}


def checked(**changes: Any) -> Any:
    return FORM.check({**GOOD, **changes}, Limits())


@pytest.fixture
def kept(tmp_path: Path) -> Corrections:
    return Corrections(tmp_path / "corrections" / "qa.json", FORM, 10_000_000)


def again(kept: Corrections) -> Corrections:
    """The same file as another process sees it."""
    return Corrections(kept.file.path, FORM, kept.file.most)


def test_the_task_brings_them() -> None:
    plugin = installed()["qa"]
    assert isinstance(plugin, Correctable)
    assert set(plugin.corrections().request["required"]) == {"question", "passage", "answers"}
    for example in plugin.corrections().examples.values():
        about, content, notes = FORM.check(example, Limits())
        assert FORM.render(about, content).items() >= example.items()
        assert notes == ()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


@given(before=TEXTS, text=TEXTS.filter(lambda t: t.strip() == t and t), after=TEXTS)
def test_any_quotation_is_kept_as_it_stands(before: str, text: str, after: str) -> None:
    start = len(before)
    given_ = {"text": text, "start": start, "end": start + len(text)}
    about, content, notes = checked(passage=before + text + after, answers=[given_])
    assert content.answers == (Gold(text, start),)
    assert about[start : start + len(text)] == text
    assert notes == ()


@pytest.mark.parametrize(
    ("passage", "text"),
    [
        ("👩‍👩‍👧 went to 🇫🇷 and ate 🥐.", "🇫🇷"),
        ("The caf\u0065\u0301 opens at nine.", "caf\u0065\u0301"),
        ("הדוח נכתב על ידי עדה לאבלייס בשנת 1843.", "עדה לאבלייס"),
        ("كتبت آدا لوفلايس التقرير.", "آدا لوفلايس"),
        ("\u202e1843 in Ada\u202c wrote", "Ada"),
        ("Ein\0Satz\tvon 𝔸𝕕𝕒.\r\n", "𝔸𝕕𝕒"),
    ],
)
def test_offsets_are_code_points(kept: Corrections, passage: str, text: str) -> None:
    kept.add(checked(passage=passage, answers=[answer(passage, text)]))
    (example,) = read_sound(kept.file.path)
    gold = example.golds[0]
    assert example.passage == passage
    assert example.passage[gold.start : gold.start + len(gold.text)] == gold.text == text
    (record,) = (FORM.render(one.about, one.content) for one in again(kept).all())
    assert record["answers"] == [answer(passage, text)]


def test_blanks_at_the_ends_of_an_answer_are_left_out_and_told() -> None:
    passage = "ab\u00a0 Ada Lovelace\n!"
    _, content, notes = checked(passage=passage, answers=[{"text": passage[2:17], "start": 2, "end": 17}])
    assert content.answers == (Gold("Ada Lovelace", 4),)
    assert notes == ("answers[0]: blanks at its ends were left out; it stands at 4 to 16.",)


def test_the_same_answer_twice_is_kept_once_and_told() -> None:
    _, content, notes = checked(answers=[*GOOD["answers"], answer(ADA, "Lovelace"), *GOOD["answers"]])
    assert [gold.text for gold in content.answers] == ["Ada Lovelace", "Lovelace"]
    assert notes == ("answers[2]: it stands in the list already.",)


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"question": "  "}, "question", "only blanks"),
    ({"question": None}, "question", "found nothing"),
    ({"question": "Who\ud800?"}, "question", "surrogate"),
    ({"passage": ""}, "passage", "an empty one"),
    ({"passage": "x" * 10_000_001}, "passage", "at most 10 MB"),
    ({"answers": None}, "answers", "an empty one where the passage does not say"),
    ({"answers": "Ada"}, "answers", "expected a list"),
    ({"answers": [{}] * 1001}, "answers", "at most 1,000"),
    ({"answers": ["Ada"]}, "answers[0]", "text, start and end"),
    ({"answers": [{"text": "Ada", "start": 26}]}, "answers[0]", "text, start and end"),
    ({"answers": [{"text": "Ada", "start": True, "end": 4}]}, "answers[0]", "whole numbers"),
    ({"answers": [{"text": "Ada", "start": -3, "end": 0}]}, "answers[0]", "whole numbers"),
    ({"answers": [{"text": "Ada", "start": 26.5, "end": 29.5}]}, "answers[0]", "whole numbers"),
    ({"answers": [{"text": "Ada", "start": 10**400, "end": 10**400 + 3}]}, "answers[0]", "whole numbers"),
    ({"answers": [{"text": "Ada", "start": 26, "end": 30}]}, "answers[0]", "has 3 characters, from start to end are 4"),
    ({"answers": [{"text": "Ada", "start": 25, "end": 28}]}, "answers[0]", "it stands at 26"),
    ({"answers": [{"text": "Bob", "start": 25, "end": 28}]}, "answers[0]", "stands nowhere"),
    ({"answers": [{"text": " ", "start": 3, "end": 4}]}, "answers[0]", "blank"),
    ({"answers": [{"text": "", "start": 3, "end": 3}]}, "answers[0]", "blank"),
    ({"answers": [*GOOD["answers"], {"text": "\ud800", "start": 0, "end": 1}]}, "answers[1]", "answers[1]: expected"),
    ({"predicted": "Ada"}, "predicted", "a text and perhaps a score"),
    ({"predicted": {"text": "Ada", "score": 2}}, "predicted", "from 0 to 1"),
    ({"predicted": {"text": "\udc00"}}, "predicted", "surrogate"),
    ({"predicted": {"text": "Ada", "start": 1}}, "predicted", "a text and perhaps a score"),
    ({"model": 5}, "model", "at most 200 characters"),
    ({"note": "x" * 10_001}, "note", "at most 10,000 characters"),
    ({"answer": "Ada"}, "answer", "unknown field 'answer'"),
]


@pytest.mark.parametrize(("changes", "field", "message"), BAD, ids=lambda v: str(v)[:40] if isinstance(v, str) else "")
def test_what_does_not_fit_is_refused_with_its_field(changes: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked(**changes)
    assert caught.value.field == field
    assert message in str(caught.value)


def test_positions_as_javascript_counts_them_are_named() -> None:
    passage = "🚢 leaves at 9:15."
    with pytest.raises(InvalidInput, match="UTF-16 units, as JavaScript does: in characters it is 12"):
        checked(passage=passage, answers=[{"text": "9:15", "start": 13, "end": 17}])


def test_the_file_is_squad_that_check_and_finetune_read(kept: Corrections, call: Call) -> None:
    kept.add(checked(predicted={"text": "Ada", "score": 0.25}, model="default@1", note=" full name "))
    kept.add(checked(question="Who is the mayor of Paris?", answers=[]))
    kept.add(checked(question="When?", answers=[answer(ADA, "in 1843"), answer(ADA, "1843")]))
    kept.add(checked(passage="Another text.", answers=[answer("Another text.", "text")]))
    document = json.loads(kept.file.path.read_bytes())
    assert document["version"] == "v2.0"
    first, second = document["data"]  # a passage stands there once
    assert [len(article["paragraphs"]) for article in (first, second)] == [1, 1]
    entry = first["paragraphs"][0]["qas"][0]
    assert entry["answers"] == [{"text": "Ada Lovelace", "answer_start": 26}]
    assert (entry["predicted"], entry["model"]) == ({"text": "Ada", "score": 0.25}, "default@1")
    assert (entry["note"], entry["revision"], entry["is_impossible"]) == ("full name", 1, False)
    assert first["paragraphs"][0]["qas"][1]["is_impossible"]
    code, out, _ = call("check", str(kept.file.path), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["rows"], found["fit"], found["without_answer"], found["passages"]) == (4, 4, 1, 2)
    assert [(e.question, e.passage, e.golds) for e in read_sound(kept.file.path)] == [
        ("Who wrote it?", ADA, (Gold("Ada Lovelace", 26),)),
        ("Who is the mayor of Paris?", ADA, ()),
        ("When?", ADA, (Gold("in 1843", 39), Gold("1843", 42))),
        ("Who wrote it?", "Another text.", (Gold("text", 8),)),
    ]
    assert [e.id for e in read_examples(kept.file.path)] == [one.id for one in kept.all()]


def test_everything_outlasts_a_restart(kept: Corrections) -> None:
    made = [kept.add(checked(question=f"Who {n}?", note="n" * n or None))[0] for n in range(5)]
    assert kept.change(made[1].id, 1, checked(question="Who 1?", answers=[])) is not None
    assert kept.remove(made[2].id, 1)
    assert list(again(kept).all()) == list(kept.all())
    assert [one.revision for one in again(kept).all()] == [1, 2, 1, 1]
    assert again(kept).find(made[0].id) == made[0]
    assert again(kept).find(made[2].id) is None


def test_the_latest_word_about_a_question_counts(kept: Corrections) -> None:
    first, replaced = kept.add(checked(note="a"))
    assert not replaced
    second, replaced = again(kept).add(checked(question=" Who  wrote it? ", answers=[answer(ADA, "Ada")]))
    assert replaced
    assert (second.id, second.created, second.revision) == (first.id, first.created, 2)
    assert [one.content.answers for one in kept.all()] == [(Gold("Ada", 26),)]
    _, replaced = kept.add(checked(passage=f"{ADA} "))
    assert not replaced


def test_an_edit_over_a_newer_one_is_a_conflict(kept: Corrections) -> None:
    one, _ = kept.add(checked())
    changed = again(kept).change(one.id, 1, checked(answers=[]))
    assert changed is not None
    assert changed.revision == 2
    with pytest.raises(Conflict, match="its revision is 2, not 1"):
        kept.change(one.id, 1, checked(note="mine"))
    with pytest.raises(Conflict):
        kept.remove(one.id, 1)
    assert kept.find(one.id) == changed
    assert kept.remove(one.id, 2)
    assert kept.change(one.id, 2, checked()) is None
    assert not kept.remove(one.id, 2)
    assert json.loads(kept.file.path.read_bytes()) == {"version": "v2.0", "data": []}


def test_an_edit_that_would_say_the_same_as_another_is_a_conflict(kept: Corrections) -> None:
    one, other = kept.add(checked())[0], kept.add(checked(question="When?"))[0]
    with pytest.raises(Conflict, match=one.id):
        kept.change(other.id, 1, checked(question="Who wrote it?"))
    assert len(list(kept.all())) == 2


def test_search_finds_words_anywhere_and_the_last_change_first(kept: Corrections) -> None:
    made = [
        kept.add(checked(question="Straße?", note="first"))[0],
        kept.add(checked(passage="A passage of its own. 1843", answers=[]))[0],
        kept.add(checked(question="When?", predicted={"text": "yesterday"}, model="mine@2"))[0],
    ]
    kept.change(made[0].id, 1, checked(question="Straße?", note="changed"))

    def found(words: str) -> list[str]:
        return [one.id for one in kept.search(words)]

    assert found("") == [made[0].id, made[2].id, made[1].id]
    assert found("LOVELACE") == [made[0].id, made[2].id]
    assert found("strasse") == found("changed") == [made[0].id]
    assert found("OF ITS OWN") == [made[1].id]
    assert found("yesterday") == found("mine@2") == [made[2].id]
    assert found("nowhere") == []


WRITER = """
import sys
from pathlib import Path
from trifold.jobs.corrections import Corrections
from trifold.task import Limits
from trifold.tasks.qa.corrections import QaCorrections

form = QaCorrections()
kept = Corrections(Path(sys.argv[1]), form, 10_000_000)
for n in range(40):
    passage = f"Passage {n % 7}, word."
    raw = {"question": f"{sys.argv[2]} {n}?", "passage": passage, "answers": [{"text": "word", "start": 11, "end": 15}]}
    kept.add(form.check(raw, Limits()))
"""


def test_processes_that_write_at_once_lose_nothing_and_readers_always_see_a_whole_file(kept: Corrections) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(kept.file.path), name]) for name in ("a", "b")]
    sizes = []
    while any(writer.poll() is None for writer in writers):
        if kept.file.path.exists():
            json.loads(kept.file.path.read_bytes())
            sizes.append(len(read_sound(kept.file.path)))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sizes == sorted(sizes)
    asked = [one.content.question for one in kept.all()]
    assert sorted(asked) == sorted(f"{name} {n}?" for name in "ab" for n in range(40))
    assert len({one.id for one in kept.all()}) == 80


def test_threads_that_write_at_once_lose_nothing(kept: Corrections) -> None:
    def write(name: str) -> None:
        for n in range(15):
            kept.add(checked(question=f"{name} {n}?"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(again(kept).all())) == 60


def test_a_process_that_never_lets_go_is_not_waited_for_without_end(
    kept: Corrections, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.add(checked())
    monkeypatch.setattr("trifold.jobs.dataset._PATIENCE", 0.05)
    held = hold(kept.file.path.with_name(".qa.json.lock"))
    assert held is not None
    try:
        with pytest.raises(Overloaded, match="in use by another process"):
            kept.add(checked(question="When?"))
        assert len(list(kept.all())) == 1
    finally:
        os.close(held)
    kept.add(checked(question="When?"))


def test_what_a_power_cut_left_half_written_harms_nothing(kept: Corrections) -> None:
    kept.add(checked())
    kept.file.path.with_name(".qa.json.partial").write_text('{"version": "v2.0", "data": [\n{"ti')
    assert len(list(again(kept).all())) == 1
    again(kept).add(checked(question="When?"))
    assert len(read_sound(kept.file.path)) == 2
    assert sorted(path.name for path in kept.file.path.parent.iterdir()) == [".qa.json.lock", "qa.json"]


def test_a_full_data_set_takes_nothing_more_and_can_be_made_smaller(tmp_path: Path) -> None:
    kept = Corrections(tmp_path / "qa.json", FORM, 2000)
    made = [kept.add(checked(question=f"Who {n}?"))[0] for n in range(4)]
    with pytest.raises(Full, match="--max-corrections-mb"):
        kept.add(checked(note="n" * 1500))
    assert list(again(kept).all()) == made
    assert kept.file.path.stat().st_size <= 2000
    smaller = Corrections(tmp_path / "qa.json", FORM, 100)
    with pytest.raises(Full):
        smaller.change(made[0].id, 1, checked(note="longer"))
    assert smaller.remove(made[0].id, 1)
    assert not (tmp_path / ".qa.json.partial").exists()


def mend(kept: Corrections, change: Callable[[dict[str, Any]], object]) -> str:
    """Have somebody edit the file by hand; its new text."""
    document = json.loads(kept.file.path.read_bytes())
    change(document)
    text = json.dumps(document, indent=2)
    kept.file.path.write_text(text)
    return text


def entry_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["data"][0]["paragraphs"][0]["qas"][0]
    return found


DAMAGE: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("expected 'Ada Lovelace' at 5", lambda d: entry_of(d)["answers"][0].update(answer_start=5)),
    ("data[0].paragraphs[0].qas[0]: context: expected a text", lambda d: d["data"][0]["paragraphs"][0].pop("context")),
    ("a list at data[0].paragraphs[0].qas", lambda d: d["data"][0]["paragraphs"][0].update(qas=None)),
    ("expected an id", lambda d: entry_of(d).pop("id")),
    ("stands there twice", lambda d: d["data"].append(d["data"][0])),
    ("as its revision", lambda d: entry_of(d).update(revision="3")),
    ("as created and changed", lambda d: entry_of(d).update(changed=3)),
    ("note: expected a text", lambda d: entry_of(d).update(note=[])),
    ("expected an object", lambda d: d["data"][0]["paragraphs"][0]["qas"].append("Who?")),
    ("expected", lambda d: d.update(data={})),
]


@pytest.mark.parametrize(("message", "change"), DAMAGE, ids=lambda v: v if isinstance(v, str) else "")
def test_a_file_that_was_edited_badly_is_told_of_and_never_overwritten(
    kept: Corrections, message: str, change: Callable[[dict[str, Any]], object]
) -> None:
    one, _ = kept.add(checked())
    text = mend(kept, change)
    actions: list[Callable[[], object]] = [
        lambda: list(kept.all()),
        lambda: kept.add(checked(question="When?")),
        lambda: kept.change(one.id, 1, checked()),
        lambda: kept.remove(one.id, 1),
        lambda: again(kept).search(""),
        lambda: kept.file.opened(),
    ]
    for action in actions:
        with pytest.raises(DataError) as caught:
            action()
        assert message in str(caught.value)
        assert "It is left as it is" in str(caught.value)
        assert str(kept.file.path) in str(caught.value)
    assert kept.file.path.read_text() == text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]x", b'{"data": [', b'{"version": "v2.0"}', b"\xff\xfe{\0", b"hello"]
)
def test_a_file_that_is_no_data_set_is_never_overwritten(kept: Corrections, content: bytes) -> None:
    kept.file.path.parent.mkdir()
    kept.file.path.write_bytes(content)
    with pytest.raises(DataError, match="mend it, or move it elsewhere"):
        kept.add(checked())
    assert kept.file.path.read_bytes() == content


def test_what_was_put_into_the_file_well_is_taken_over_and_kept(kept: Corrections) -> None:
    kept.add(checked())

    def add(document: dict[str, Any]) -> None:
        own = {"id": "mine", "question": "When?", "answers": [{"text": "1843", "answer_start": 42}]}
        more = {"plausible_answers": [{"text": "Ada", "answer_start": 26}], "verdict": None, "tags": ["x"]}
        paragraph = {"context": ADA, "qas": [{**own, **more}]}
        document["data"].append({"title": "By hand", "paragraphs": [paragraph]})
        document["data"].append(
            {"paragraphs": [{"context": "It is red.", "qas": [{"id": "7", "question": "Blue?", "answers": []}]}]}
        )

    mend(kept, add)
    by_hand = kept.find("mine")
    assert by_hand is not None
    assert (by_hand.revision, by_hand.created) == (1, None)
    assert kept.change("mine", 1, checked(question="When was it?", answers=[answer(ADA, "in 1843")])) is not None
    document = json.loads(kept.file.path.read_bytes())
    assert [article["title"] for article in document["data"]] == ["By hand", "Corrections"]
    mine = document["data"][0]["paragraphs"][0]["qas"][1]
    assert mine["plausible_answers"] == [{"text": "Ada", "answer_start": 26}]
    assert (mine["tags"], mine["question"], mine["revision"]) == (["x"], "When was it?", 2)
    assert [e.id for e in read_sound(kept.file.path)][1:] == ["mine", "7"]


def test_an_edit_by_hand_in_the_middle_of_a_change_is_not_lost(
    kept: Corrections, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = kept.add(checked())
    plain = kept.file._seen
    edits: list[str] = []

    def seen() -> Any:
        if kept.file.path.with_name(".qa.json.partial").exists() and not edits:
            edits.append(mend(kept, lambda document: entry_of(document).update(note="by hand")))
        return plain()

    monkeypatch.setattr(kept.file, "_seen", seen)
    kept.add(checked(question="When?"))
    assert edits
    assert [kept_one.content.note for kept_one in again(kept).all()] == ["by hand", None]
    assert kept.find(one.id) == replace(one, content=replace(one.content, note="by hand"))


def test_a_link_stays_a_link(kept: Corrections, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    kept.file.path.parent.mkdir()
    kept.file.path.symlink_to(tmp_path / "elsewhere" / "mine.json")
    kept.add(checked())
    assert kept.file.path.is_symlink()
    assert len(read_sound(tmp_path / "elsewhere" / "mine.json")) == 1


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Corrections(tmp_path / "file" / "qa.json", FORM, 1000)
    with pytest.raises(EngineError, match=r"let --corrections name another folder|cannot be read"):
        kept.add(checked())


def test_a_text_is_held_once_however_many_corrections_are_about_it(kept: Corrections) -> None:
    for n in range(3):
        kept.add(checked(question=f"{n}?", passage="".join([ADA, " "])))
    assert len({id(one.about) for one in kept.all()}) == 1
    assert len({id(one.about) for one in again(kept).all()}) == 1


def test_the_command_of_the_data_set() -> None:
    assert FORM.command("my file.json", "mine", None) == ["trifold", "finetune", "my file.json", "--name", "mine"]
    assert FORM.command("f.json", "mine", "mine@2")[3:5] == ["--base", "mine@2"]


def test_what_a_training_still_needs_is_told(kept: Corrections) -> None:
    assert "so far they are about 0" in (FORM.missing(kept.all()) or "")
    for n in range(3):
        kept.add(checked(passage=f"{ADA} {n}", answers=[]))
    assert "with an answer" in (FORM.missing(kept.all()) or "")
    with pytest.raises(DataError, match="no row has an answer"):
        gathered(kept)
    one, _ = kept.add(checked(passage=f"{ADA} 0", question="Who else?"))
    assert FORM.missing(kept.all()) is None
    assert sum(map(len, (gathered(kept).train, gathered(kept).validation, gathered(kept).held_out))) == 4
    for other in kept.search("Ada Lovelace in 1843. 2"):
        kept.remove(other.id, other.revision)
    assert "so far they are about 2" in (FORM.missing(kept.all()) or "")
    with pytest.raises(DataError, match="at least 3 passages"):
        gathered(kept)
    assert kept.find(one.id) == one


def gathered(kept: Corrections) -> Split:
    """The parts that a training would make of them."""
    settings = TrainingSettings()
    return gather(kept.file.path, evaluation=None, replay=None, general=False, answers="one", settings=settings).domain
