"""Stand-ins for what is on the Hugging Face hub: tiny random readers of each architecture, a cache, a server."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors

from doubles import bert_tokenizer, roberta_tokenizer
from trifold.models.folder import hash_file


def unigram_tokenizer(cls: str, sep: str, *, middle: str | None = None) -> Tokenizer:
    """A tokenizer like those of sentencepiece whose pieces are single characters, with these special tokens."""
    special = [cls, "<pad>", sep, "<unk>"]
    pieces = [(token, 0.0) for token in special] + [(chr(c), -1.0 - c / 1000) for c in [0x2581, *range(33, 127)]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    between = f"{sep} {middle}" if middle else sep
    second = "" if middle else ":1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {between} $B{second} {sep}{second}",
        special_tokens=[(cls, 0), (sep, 2)],
    )
    return tokenizer


KINDS = ("bert", "roberta", "distilbert", "electra", "deberta-v2", "xlm-roberta", "modernbert")
"""The architectures that the hub's readers are made of."""


def tiny_tokenizer(kind: str) -> Tokenizer:
    """A tokenizer with the frame of the architecture."""
    if kind in {"bert", "distilbert", "electra"}:
        return bert_tokenizer()
    if kind == "deberta-v2":
        return unigram_tokenizer("[CLS]", "[SEP]")
    if kind == "xlm-roberta":
        return unigram_tokenizer("<s>", "</s>", middle="</s>")
    tokenizer = roberta_tokenizer()
    if kind == "modernbert":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
    return tokenizer


def tiny_reader(kind: str, *, head: str = "QuestionAnswering", layers: int = 2) -> Any:
    """A random model of the architecture that reads up to 128 tokens, as transformers makes it."""
    import torch
    import transformers

    size = tiny_tokenizer(kind).get_vocab_size()
    common = {"vocab_size": size, "hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 4}
    common |= {"intermediate_size": 64, "max_position_embeddings": 128}
    behind = {"max_position_embeddings": 130, "pad_token_id": 1, "type_vocab_size": 1}
    relative = {"relative_attention": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True}
    own: dict[str, dict[str, Any]] = {
        "roberta": behind,
        "xlm-roberta": behind,
        "electra": {"embedding_size": 16},
        "deberta-v2": {
            **relative,
            "pos_att_type": ["p2c", "c2p"],
            "type_vocab_size": 0,
            "position_biased_input": False,
        },
        "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2, "pad_token_id": 1, "cls_token_id": 0},
    }
    if kind == "distilbert":
        common = {"vocab_size": size, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
        common["max_position_embeddings"] = 128
    config = transformers.AutoConfig.for_model(kind, **{**common, **own.get(kind, {})})
    torch.manual_seed(0)
    made = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    reader = made.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    for parameter in reader.parameters():
        parameter.data *= 4  # random weights are so small that every answer is alike
    return reader


def save_checkpoint(folder: Path, reader: Any, tokenizer: Tokenizer, *, card: str = "") -> Path:
    """What its authors would upload to the hub: config.json, model.safetensors, tokenizer.json, README.md."""
    reader.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "README.md").write_text(f"---\n{card}\n---\nA tiny reader.\n" if card else "A tiny reader.\n")
    return folder


def hub_cache(cache: Path, name: str, files: Path, *, commit: str = "0123456789abcdef" * 2 + "01234567") -> Path:
    """Put a checkpoint into a cache as huggingface_hub lays it out; returns the snapshot."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    (repository / "blobs").mkdir(parents=True, exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    for file in (f for f in files.rglob("*") if f.is_file()):
        target = snapshot / file.relative_to(files)
        blob = repository / "blobs" / hash_file(file)
        shutil.copyfile(file, blob)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(os.path.relpath(blob, target.parent))
    return snapshot


class FakeHub:
    """The few paths of the hub's API that a download uses, on loopback.

    files: the folder of each repository. refused: (status, error code) for a repository that is not for everybody.
    asked: the paths that were asked for.
    """

    commit = "89abcdef01234567" * 2 + "89abcdef"

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}
        self.refused: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(f"{self.command} {self.path.partition('?')[0]}")
                status, headers, body = hub.answer(self.path)
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        parts = path.partition("?")[0].strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if api else parts[:2])
        if name in self.refused:
            status, code = self.refused[name]
            return status, {"X-Error-Code": code} if code else {}, b""
        if name not in self.files:
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        revision = (parts[5:] if api else parts[3:])[:1] or ["main"]
        if revision[0] not in {"main", self.commit}:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        folder = self.files[name]
        names = sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())
        if not api:
            content = (folder / "/".join(parts[4:])).read_bytes()
            return 200, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": self.commit}, content
        if parts[4:5] == ["tree"]:
            listing: Any = [
                {
                    "type": "file",
                    "path": n,
                    "size": (folder / n).stat().st_size,
                    "oid": hashlib.sha1(n.encode()).hexdigest(),
                }
                for n in names
            ]
        else:
            listing = {"id": name, "sha": self.commit, "siblings": [{"rfilename": n} for n in names], "tags": []}
        return 200, {"Content-Type": "application/json"}, json.dumps(listing).encode()
