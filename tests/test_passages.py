"""Passages are tokenised once, in bounded memory."""

from __future__ import annotations

import threading

from doubles import bert_tokenizer
from trifold.tasks.qa.passages import PassageCache
from trifold.tasks.qa.tokens import PassageTokens, QaTokenizer


class Counting:
    """A tokenizer that remembers what it was given."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self._tokenizer = QaTokenizer(bert_tokenizer())

    def __call__(self, text: str) -> PassageTokens:
        self.read.append(text)
        return self._tokenizer.passage(text)


def test_a_passage_is_tokenised_once() -> None:
    counting = Counting()
    cache = PassageCache(counting)
    found = [cache(text) for text in ("one", "two", "one", "one", "two")]
    assert counting.read == ["one", "two"]
    assert found[0] is found[2]
    assert [bytes(tokens.ids) for tokens in found[:2]] == [bytes(Counting()(text).ids) for text in ("one", "two")]


def test_the_passages_used_last_are_kept() -> None:
    counting = Counting()
    cache = PassageCache(counting, room=7_000)
    for text in ("a", "b", "a", "c", "d", "e", "a", "f", "a", "b"):
        cache(text * 10)
    assert [text[0] for text in counting.read] == ["a", "b", "c", "d", "e", "f", "b"]


def test_the_last_passage_is_kept_however_large() -> None:
    counting = Counting()
    cache = PassageCache(counting, room=100)
    large = "word " * 1000
    for _ in range(20):
        cache(large)
    cache("small")
    cache(large)
    assert counting.read == [large, "small", large]


def test_many_threads_agree() -> None:
    counting = Counting()
    cache = PassageCache(counting, room=20_000)
    texts = [f"passage {i}" for i in range(30)] * 20
    wrong: list[str] = []

    def read() -> None:
        for text in texts:
            if len(cache(text).ids) != len(text.replace(" ", "")):
                wrong.append(text)

    workers = [threading.Thread(target=read) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
