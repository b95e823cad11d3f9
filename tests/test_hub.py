"""Models of the hub: from the cache, downloaded from a server on loopback, or refused with a word on what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import Run
from doubles import bert_tokenizer
from hub_doubles import (
    KINDS,
    FakeHub,
    hub_cache,
    save_checkpoint,
    tiny_reader,
    tiny_tokenizer,
)
from trifold import ModelNotFound, Reader, TrifoldError, load
from trifold.models import adoption
from trifold.models.hub import hub_id
from trifold.models.registry import find, listed
from trifold.task import Limits
from trifold.tasks.qa.spans import find_spans

torch = pytest.importorskip("torch")

PASSAGE = "The report was written by Ada Lovelace in 1843. It was read by few people, and the machine was not built. "
QUESTION = "Who wrote it?"


def from_torch(model: Reader, kind: str) -> tuple[int, int]:
    """The answer as it is decoded from the logits of torch."""
    task = model.task
    request = task.check({"question": QUESTION, "passage": PASSAGE * 3, "always_answer": True}, Limits())
    encoded = task.encode(request)
    assert len(encoded.units) > 1, "the passage fits one window"
    reader = tiny_reader(kind)
    taken = ("input_ids", "attention_mask", *(("token_type_ids",) if kind in {"bert", "electra"} else ()))
    outputs = []
    for unit in encoded.units:
        with torch.no_grad():
            out = reader(**{name: torch.tensor(unit.arrays[name][None]) for name in taken})
        outputs.append({"start_logits": out.start_logits[0].numpy(), "end_logits": out.end_logits[0].numpy()})
    memo = encoded.memo
    best = find_spans(memo.passages, memo.windows, outputs, null=0, max_tokens=30, top_k=1).best[0]
    return best.start, best.end


@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_answers_as_torch_does(kind: str, hub_folder: Path, tmp_path: Path) -> None:
    hub_cache(
        hub_folder, f"tiny/{kind}-squad2", save_checkpoint(tmp_path / kind, tiny_reader(kind), tiny_tokenizer(kind))
    )
    reader = load(f"tiny/{kind}-squad2")
    reply = reader.ask(QUESTION, PASSAGE * 3, always_answer=True)
    assert (reply.answers[0].start, reply.answers[0].end) == from_torch(reader, kind)
    assert reply.no_answer_score is not None
    assert not reply.warnings


def test_what_an_adopted_model_says_of_itself(hub_folder: Path, bert_folder: Path, run: Run) -> None:
    hub_cache(hub_folder, "Tiny/BERT", bert_folder)
    model = find("Tiny/BERT")
    assert model.version == "tiny--bert@0123456789ab"
    assert model.manifest["license"] == "mit"
    assert model.manifest["base"]["name"] == "Tiny/BERT"
    assert model.manifest["base"]["revision"].startswith("0123456789ab")
    assert model.task_settings["window"] == {"length": 128, "stride": 42}
    assert (model.task_settings["languages"], model.task_settings["scripts"]) == (["en"], ["Latin"])
    assert not model.task_settings["null"]
    assert "It is not calibrated" in (model.path / "README.md").read_text()
    assert model.version in {m.version for m in listed() if not isinstance(m, TrifoldError)}
    shown = run("models", "show", model.version)
    assert shown.returncode == 0, shown.stderr
    assert "Tiny/BERT" in shown.stdout


def test_it_is_made_once_and_found_again_without_the_cache(hub_folder: Path, bert_folder: Path) -> None:
    hub_cache(hub_folder, "tiny/bert", bert_folder)
    first = find("tiny/bert")
    made = first.path.stat().st_mtime_ns
    assert find("tiny/bert").path.stat().st_mtime_ns == made
    shutil.rmtree(hub_folder)
    assert find("tiny/bert").path == find(first.version).path == first.path
    assert load("tiny/bert").ask(QUESTION, PASSAGE).model == first.version
    with pytest.raises(ModelNotFound, match="is not in the local cache"):
        find("tiny/bert@another")


def test_a_commit_can_be_asked_for(hub_folder: Path, bert_folder: Path) -> None:
    commit = "fedcba98" * 5
    hub_cache(hub_folder, "tiny/bert", bert_folder, commit=commit)
    (hub_folder / "models--tiny--bert" / "refs" / "main").unlink()
    assert find(f"tiny/bert@{commit}").version == "tiny--bert@fedcba98fedc"


def test_a_changed_folder_is_another_version(bert_copy: Path) -> None:
    before = find(str(bert_copy))
    assert before.version.startswith("local--copy-of-bert@")
    tiny = tiny_reader("bert")
    tiny.qa_outputs.bias.data += 1
    tiny.save_pretrained(bert_copy)
    assert find(str(bert_copy)).version != before.version
    before.verify()  # what was made of the old weights is still what it was


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("org/name", ("org/name", None)),
        ("Org/na.me_1-x@v1.0", ("Org/na.me_1-x", "v1.0")),
        ("org/name@refs/pr/1", ("org/name", "refs/pr/1")),
        *(
            (name, None)
            for name in ("a/b/c", "/etc/x", "../x/y", "org/..", "org/a--b", "org/name@../x", "name", "org/", "ö/x")
        ),
    ],
)
def test_what_is_an_id_of_the_hub(model: str, expected: tuple[str, str | None] | None) -> None:
    found = hub_id(model)
    assert (None if found is None else (found.name, found.revision)) == expected


def test_a_folder_here_goes_before_the_hub(bert_copy: Path, hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move(bert_copy, bert_copy.parent / "org" / "name")
    monkeypatch.chdir(bert_copy.parent)
    assert find("org/name").version.startswith("local--name@")
    monkeypatch.chdir(bert_copy.parent / "org")
    assert find("name").version.startswith("local--name@")


def test_only_what_is_needed_is_downloaded(hub: FakeHub, hub_folder: Path, bert_copy: Path) -> None:
    (bert_copy / "pytorch_model.bin").write_bytes(b"never")
    (bert_copy / "tf_model.h5").write_bytes(b"never")
    (bert_copy / "code.py").write_text("raise SystemExit")
    (bert_copy / "onnx").mkdir()
    (bert_copy / "onnx" / "model_int8.onnx").write_bytes(b"never")
    hub.files["tiny/bert"] = bert_copy
    assert load("tiny/bert").ask(QUESTION, PASSAGE).model == f"tiny--bert@{hub.commit[:12]}"
    got = {Path(path).name for path in hub.asked if path.startswith("GET /tiny")}
    assert got == {"config.json", "README.md", "tokenizer.json", "model.safetensors"}
    hub.asked.clear()
    load("tiny/bert")
    assert not hub.asked, "the cache goes before the hub"


def test_a_download_that_broke_off_is_completed(hub: FakeHub, hub_folder: Path, bert_folder: Path) -> None:
    snapshot = hub_cache(hub_folder, "tiny/bert", bert_folder, commit=hub.commit)
    (snapshot / "model.safetensors").unlink()
    hub.files["tiny/bert"] = bert_folder
    assert find("tiny/bert").version == f"tiny--bert@{hub.commit[:12]}"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("org/nothing", "no model is called 'org/nothing' on the Hugging Face hub.* Check the spelling"),
        ("org/gated", "org/gated is gated.* hf auth login"),
        ("org/private", r"does not let you in \(401\). Log in anew \(hf auth login\)"),
        ("org/forbidden", r"does not let you in \(403\)"),
        ("org/busy", "the hub answered with error 503. Try again later"),
        ("tiny/bert@v9", "tiny/bert has no revision 'v9'"),
        ("tiny/data", "the repository has no config.json"),
        (
            "tiny/encoder",
            "tiny/encoder is no reader: expected an architecture .*, found BertModel. `trifold finetune DATA",
        ),
    ],
)
def test_what_the_hub_refuses(hub: FakeHub, bert_folder: Path, tmp_path: Path, name: str, says: str) -> None:
    hub.refused = {"org/gated": (403, "GatedRepo"), "org/private": (401, ""), "org/forbidden": (403, "")}
    hub.refused["org/busy"] = (503, "")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("no model")
    encoder = save_checkpoint(tmp_path / "encoder", tiny_reader("bert", head=""), bert_tokenizer())
    hub.files = {"tiny/bert": bert_folder, "tiny/data": tmp_path / "data", "tiny/encoder": encoder}
    with pytest.raises(TrifoldError, match=says) as caught:
        find(name)
    assert "\n" not in str(caught.value)
    assert not any("safetensors" in path for path in hub.asked)


def test_no_network(hub: FakeHub, hub_folder: Path) -> None:
    hub.close()
    with pytest.raises(ModelNotFound, match=r"the hub cannot be reached \(ConnectError.*hf download org/name"):
        find("org/name")


def test_offline_by_setting(hub_folder: Path, bert_folder: Path, run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = hub_cache(hub_folder, "tiny/bert", bert_folder)
    find("tiny/bert")
    assert capfd.readouterr() == ("", ""), "converting is quiet"
    words = ("ask", QUESTION, "--passage", PASSAGE, "--model", "tiny/bert")
    done = run(*words, HF_HUB_CACHE=str(hub_folder))
    assert (done.returncode, done.stderr) == (0, "")
    (snapshot / "model.safetensors").unlink()
    done = run(*words, HF_HUB_CACHE=str(hub_folder), TRIFOLD_HOME=str(hub_folder / "empty"))
    assert done.returncode == 2
    assert "HF_HUB_OFFLINE forbids to download it" in done.stderr
    assert done.stderr.count("\n") == 1


def test_labels_are_names_of_models() -> None:
    from trifold.models.folder import NAME

    for name in ("Org/Name", "x" * 90 + "/y", "local/Ünï Cödé", "local/..", "local/"):
        label, _, version = adoption.label_of(name, "ABCDEF" * 7).partition("@")
        assert NAME.fullmatch(label)
        assert NAME.fullmatch(version)
