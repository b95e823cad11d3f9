"""Several answers at once, against sums over every set of candidates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import qa_task
from trifold.task import Limits
from trifold.tasks.qa.calibration import Calibration, fit_least
from trifold.tasks.qa.records import Reply
from trifold.tasks.qa.segments import marginals


def all_sets(scores: np.ndarray) -> list[tuple[tuple[int, int], ...]]:
    """Every set of non-overlapping candidates, by enumeration."""
    tokens, longest = scores.shape
    candidates = [(t, j) for t in range(tokens) for j in range(longest) if t + j < tokens and scores[t, j] > -np.inf]
    found = []
    for size in range(len(candidates) + 1):
        for chosen in itertools.combinations(candidates, size):
            covered = [k for t, j in chosen for k in range(t, t + j + 1)]
            if len(covered) == len(set(covered)):
                found.append(chosen)
    return found


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 10**6))
def test_marginals_are_sums_over_all_sets(tokens: int, longest: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    scores = chance.normal(0, 2, (tokens, longest)).astype(np.float32)
    scores[chance.random(scores.shape) < 0.3] = -np.inf
    for t in range(tokens):
        scores[t, tokens - t :] = -np.inf
    sets = all_sets(scores)
    weights = np.array([np.exp(sum(float(scores[c]) for c in chosen)) for chosen in sets])
    found, empty = marginals(scores)
    assert empty == pytest.approx(np.log(1 / weights.sum()), abs=1e-5)
    for t, j in np.ndindex(*scores.shape):
        share = sum(w for w, chosen in zip(weights, sets, strict=True) if (t, j) in chosen) / weights.sum()
        assert np.exp(found[t, j]) == pytest.approx(share, abs=1e-5)


def several(starts: dict[int, float], ends: dict[int, float], text: str, **options: object) -> Reply:
    """What a model that gives every answer replies, with these logits at these characters and 0 elsewhere."""
    task = qa_task(answers="several", calibration=Calibration(threshold=0.5))
    request = task.check({"question": "which?", "passage": text, **options}, Limits())
    encoded = task.encode(request)
    (unit,) = encoded.units
    offset = encoded.memo.windows[0].offset
    output = {name: np.full(unit.cost, -4.0, np.float32) for name in ("start_logits", "end_logits")}
    output["start_logits"][0] = output["end_logits"][0] = 0.0
    for logits, name in ((starts, "start_logits"), (ends, "end_logits")):
        for token, value in logits.items():
            output[name][offset + token] = value
    return task.decode(request, encoded.memo, [output])


def test_two_answers_stay_two_and_the_words_between_are_none() -> None:
    # "a b c d": a and c are answers. One candidate from a to c has the same u as each, and must not win.
    reply = several({0: 4.0, 2: 4.0}, {0: 4.0, 2: 4.0}, "a b c d")
    assert [answer.text for answer in reply.answers] == ["a", "c"]
    assert all(answer.score > 0.9 for answer in reply.answers)
    assert reply.no_answer_score is not None
    assert reply.no_answer_score < 0.01


def test_a_passage_without_answers_gets_none_unless_one_is_demanded() -> None:
    assert several({}, {}, "a b c d").answers == ()
    demanded = several({1: -1.0}, {1: -1.0}, "a b c d", always_answer=True)
    assert [answer.text for answer in demanded.answers] == ["b"]


def test_top_k_bounds_or_widens_the_answers() -> None:
    logits = {0: 4.0, 2: 3.0, 3: -1.0}
    assert [a.text for a in several(logits, logits, "a b c d", top_k=1).answers] == ["a"]
    assert len(several(logits, logits, "a b c d", top_k=4).answers) >= 3
    assert [a.text for a in several(logits, logits, "a b c d").answers] == ["a", "c"]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=12), st.integers(0, 5))
def test_the_least_score_worth_giving_has_the_best_f1(candidates: list[tuple[float, bool]], missed: int) -> None:
    score = np.array([s for s, _ in candidates])
    right = np.array([float(r) for _, r in candidates])
    wanted = float(right.sum() + missed)
    least = fit_least(score, right, wanted)

    def f1(kept: np.ndarray) -> float:
        return 2 * float(right[kept].sum()) / max(float(kept.sum()) + wanted, 1)

    if right.any():
        best = max(f1(score >= s) for s in score)
        assert f1(score >= least) >= best - 1e-9 or len(set(score.tolist())) < len(score)
