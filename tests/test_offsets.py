"""passage[start:end] == text, always, and no quotation splits a word or a visible character."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from doubles import bert_tokenizer, qa_task, roberta_tokenizer
from trifold.task import Limits
from trifold.tasks.qa.boundaries import boundaries
from trifold.tasks.qa.records import Reply
from trifold.tasks.qa.tokens import QaTokenizer

Make = Callable[[], Tokenizer]
TASKS = {"bert": qa_task(bert_tokenizer(), length=100), "roberta": qa_task(roberta_tokenizer(), length=100)}

TEXTS = {
    "emoji": "she wrote 🎉🎉 and 👍🏽 left",
    "zwj family": "a 👨‍👩‍👧‍👦 family and 🏳️‍🌈 flags",
    "flags": "from 🇫🇷🇩🇪 with love",
    "combining": "the cafe\u0301 in Mo\u0308ssingen, nai\u0308ve",
    "precomposed": "the café in Mössingen, naïve",
    "crlf": "first line\r\nsecond line\r\n\r\nthird",
    "right to left": "הוא נולד בשנת 1949 בתל אביב",
    "arabic": "وُلد في عام ١٩٤٩ نعم",
    "cjk": "東京は日本の首都です。北京是中国的首都。",
    "korean": "서울은 대한민국의 수도이다",
    "devanagari": "नमस्ते दुनिया क्षत्रिय",
    "blanks": "  \t leading and trailing \u00a0 \n ",
    "nul": "before\0after \0 end",
    "controls": "bell\x07 escape\x1b[31m red\x85next",
    "ligature": "the ﬁnal oﬃce ﷺ",
    "zero width": "zero\u200bwidth\u200cjoin\u2060word\ufeff",
    "surrogate plane": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠜎",
    "only unknown": "☃ ☂ ✈",
}


def replies(task_name: str, text: str, seed: int, top_k: int = 8) -> Reply:
    task = TASKS[task_name]
    request = task.check({"question": "where?", "passage": text, "top_k": top_k, "always_answer": True}, Limits())
    encoded = task.encode(request)
    chance = np.random.default_rng(seed)
    outputs = [
        {n: chance.normal(0, 3, len(u.arrays["input_ids"])).astype(np.float32) for n in ("start_logits", "end_logits")}
        for u in encoded.units
    ]
    return task.decode(request, encoded.memo, outputs)


def assert_sound(reply: Reply, text: str) -> None:
    spans = sorted((a.start, a.end) for a in reply.answers)
    assert all(a[1] <= b[0] for a, b in pairwise(spans)), "overlapping"
    for answer in reply.answers:
        assert text[answer.start : answer.end] == answer.text
        assert answer.text.strip() == answer.text != ""
        after = text[answer.end : answer.end + 1]
        assert not (after and unicodedata.category(after).startswith("M")), "cuts off a combining mark"
        assert after != "\u200d", "cuts a joined emoji"
        assert not answer.text.endswith("\u200d") or not after.strip(), "cuts a joined emoji"
        assert not answer.text.startswith("\ufe0f")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", TEXTS)
def test_answers_quote_the_passage(task: str, name: str) -> None:
    text = TEXTS[name]
    for seed in range(20):
        reply = replies(task, text, seed)
        assert reply.answers
        assert_sound(reply, text)


@given(st.text(min_size=1, max_size=200), st.integers(0, 1000))
def test_any_text_is_answered_with_exact_offsets(text: str, seed: int) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    if text.isspace():
        return
    for task in TASKS:
        assert_sound(replies(task, text, seed), text)


@given(st.text(alphabet="ab 👍🏽\u200d🇫🇷e\u0301東京.\n\0", min_size=1, max_size=60), st.integers(0, 100))
def test_difficult_texts(text: str, seed: int) -> None:
    if not text.isspace():
        for task in TASKS:
            assert_sound(replies(task, text, seed), text)


@pytest.mark.parametrize("task", TASKS)
def test_an_emoji_of_several_tokens_is_one_answer(task: str) -> None:
    reply = replies(task, "x 👨‍👩‍👧‍👦 y", 0, top_k=10)
    texts = [answer.text for answer in reply.answers]
    assert len(texts) == len(set(texts))
    assert all(text in {"x", "👨‍👩‍👧‍👦", "y", "x 👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦 y", "x 👨‍👩‍👧‍👦 y"} for text in texts)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("text", ["ab cd  ef", " ab\n\ncd\tef ", "ab, cd. ef!"])
def test_every_word_can_be_the_answer(task: str, text: str) -> None:
    tokens = QaTokenizer({"bert": bert_tokenizer, "roberta": roberta_tokenizer}[task]()).passage(text)
    starts = {int(at) for at in tokens.starts[tokens.may_start]}
    ends = {int(at) for at in tokens.ends[tokens.may_end]}
    for word in ("ab", "cd", "ef"):
        assert text.index(word) in starts
        assert text.index(word) + 2 in ends


def test_words_are_not_split_and_unspaced_scripts_are() -> None:
    word = boundaries("naïve re\u0301sume\u0301 東京 2020年").word
    text = "naïve re\u0301sume\u0301 東京 2020年"
    cuts = [i for i in range(len(text) + 1) if word[i]]
    pieces = [text[a:b] for a, b in pairwise(cuts)]
    assert [p for p in pieces if p.strip()] == ["naïve", "re\u0301sume\u0301", "東", "京", "2020", "年"]


@pytest.mark.parametrize(
    ("make", "before", "between", "after", "types"),
    [
        (bert_tokenizer, (2,), (3,), (3,), (0, 0, 0, 1, 1)),
        (roberta_tokenizer, (0,), (2, 2), (2,), (0, 0, 0, 0, 0)),
    ],
)
def test_the_frame_is_the_tokenizers_own_template(
    make: Make, before: tuple[int, ...], between: tuple[int, ...], after: tuple[int, ...], types: tuple[int, ...]
) -> None:
    frame = QaTokenizer(make()).frame
    assert (frame.before, frame.between, frame.after, frame.types) == (before, between, after, types)


@pytest.mark.parametrize("make", [bert_tokenizer, roberta_tokenizer])
def test_windows_hold_what_the_tokenizer_itself_would_give(make: Make) -> None:
    """Tokenising question and passage apart changes nothing."""
    question, passage = "Where is Möss?", "In the north, it seems. Café 🎉"
    task = qa_task(make())
    arrays = task.encode(task.check({"question": question, "passage": passage}, Limits())).units[0].arrays
    expected = make().encode(question, passage)
    assert arrays["input_ids"].tolist() == expected.ids
    assert arrays["token_type_ids"].tolist() == expected.type_ids
    assert arrays["attention_mask"].tolist() == expected.attention_mask
