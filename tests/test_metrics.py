from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifold.errors import ModelDamaged
from trifold.tasks.qa.calibration import Calibration, Platt, fit_platt, fit_threshold
from trifold.tasks.qa.measuring.metrics import (
    aurc,
    auroc,
    best_over,
    bootstrap_interval,
    coverage_at,
    exact_match,
    expected_calibration_error,
    f1,
    reliability,
    resampled_interval,
    risk_coverage,
    span_scores,
)

OFFICIAL = Path(__file__).parent / "fixtures" / "official_squad_scores.json"
OFFICIAL_SPANS = Path(__file__).parent / "fixtures" / "official_span_scores.json"


def test_exact_match_and_f1_equal_the_official_script() -> None:
    """Recorded with the official SQuAD 2.0 script; see the file's own note."""
    recorded = json.loads(OFFICIAL.read_text())
    assert len(recorded["cases"]) > 100
    for case in recorded["cases"]:
        assert best_over(exact_match, case["prediction"], case["golds"]) == case["exact"], case
        assert best_over(f1, case["prediction"], case["golds"]) == pytest.approx(case["f1"], abs=1e-12), case


def test_span_scores_equal_the_official_script() -> None:
    """Recorded with the official MultiSpanQA script; see the file's own note."""
    recorded = json.loads(OFFICIAL_SPANS.read_text())
    cases = recorded["cases"]
    assert len(cases) > 50
    everything = ([case["predicted"] for case in cases], [case["gold"] for case in cases], recorded["all"])
    for predicted, gold, expected in (*(([c["predicted"]], [c["gold"]], c["scores"]) for c in cases), everything):
        found = span_scores(predicted, gold)
        for kind, name in (("exact", "em"), ("overlap", "overlap")):
            for key, value in found[kind].items():
                assert 100 * value == pytest.approx(expected[f"{name}_{key}"], abs=1e-9), (predicted, gold)


scores = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@given(scores)
def test_auroc_is_the_share_of_pairs_in_order(pairs: list[tuple[float, bool]]) -> None:
    right = [s for s, r in pairs if r]
    wrong = [s for s, r in pairs if not r]
    found = auroc(np.array([s for s, _ in pairs]), np.array([float(r) for _, r in pairs]))
    if not right or not wrong:
        assert found is None
    else:
        wins = sum((a > b) + (a == b) / 2 for a in right for b in wrong)
        assert found == pytest.approx(wins / len(right) / len(wrong))


def test_ece_of_honest_and_of_boastful_scores() -> None:
    chance = np.random.default_rng(0)
    score = chance.random(20_000)
    right = (chance.random(20_000) < score).astype(float)
    assert expected_calibration_error(score, right) < 0.02
    assert expected_calibration_error(np.full(20_000, 0.9), right) == pytest.approx(0.4, abs=0.02)
    assert expected_calibration_error(np.zeros(0), np.zeros(0)) == 0


def test_platt_scaling_recovers_how_scores_were_made() -> None:
    chance = np.random.default_rng(1)
    log_odds, windows = chance.normal(0, 4, 50_000), chance.integers(1, 20, 50_000).astype(float)
    truth = Platt(0.4, -0.5, 0.3)
    probability = np.array([truth(z, int(n)) for z, n in zip(log_odds, windows, strict=True)])
    found = fit_platt(log_odds, windows, (chance.random(50_000) < probability).astype(float))
    assert (found.slope, found.windows, found.offset) == pytest.approx((0.4, -0.5, 0.3), abs=0.05)


def test_platt_scaling_of_separable_data_stays_finite() -> None:
    found = fit_platt(np.array([-5.0, -4, 4, 5]), np.ones(4), np.array([0.0, 0, 1, 1]))
    assert math.isfinite(found.slope)
    assert 0.5 < found(5, 1) < 1


@given(scores)
def test_the_threshold_earns_the_most(pairs: list[tuple[float, bool]]) -> None:
    null = np.array([p for p, _ in pairs])
    abstain = np.array([float(a) for _, a in pairs])
    answer = 1 - abstain
    threshold = fit_threshold(null, answer, abstain)
    earned = np.where(null > threshold, abstain, answer).sum()
    # No probability is below 0, so a question with a null of exactly 0 is always answered.
    every = [np.where(null > t, abstain, answer).sum() for t in [*null, 0.0, 1.0]]
    below_all = abstain.sum() if null.min() > 0 else 0.0
    assert 0 <= threshold <= 1
    assert earned == max(*every, below_all)


@pytest.mark.parametrize("null", [[0.0, 0.0, 1.0], [0.5, float(np.nextafter(0.5, 0)), 0.0]])
def test_a_threshold_between_neighbouring_numbers(null: list[float]) -> None:
    abstain = np.array([1.0, 0.0, 0.0]) if null[0] else np.array([1.0, 1.0, 0.0])
    threshold = fit_threshold(np.array(null), 1 - abstain, abstain)
    assert np.where(np.array(null) > threshold, abstain, 1 - abstain).sum() == (3 if null[0] else 1)


def test_ece_does_not_depend_on_the_order_of_the_questions() -> None:
    score, right = np.full(3000, 0.5), np.repeat([1.0, 0.0], 1500)
    assert expected_calibration_error(score, right) == pytest.approx(0)
    assert expected_calibration_error(score, right[::-1]) == pytest.approx(0)


@pytest.mark.parametrize("facts", [{}, {"answer": {}, "null": {"slope": math.nan}, "threshold": 0.5}, {"answer": 1}])
def test_a_calibration_that_cannot_be_read_is_refused(facts: dict[str, object]) -> None:
    with pytest.raises(ModelDamaged, match="calibration"):
        Calibration.from_dict(facts)


def test_a_calibration_comes_back_as_it_was_written() -> None:
    written = Calibration(Platt(0.5, -0.1, 0.2), Platt(1.5, 0.3, 0.1), 0.4)
    assert Calibration.from_dict(json.loads(json.dumps(written.to_dict()))) == written


@given(scores, st.sampled_from([0.5, 0.9, 1.0]))
def test_coverage_is_the_most_that_can_be_answered_with_so_few_mistakes(
    pairs: list[tuple[float, bool]], precision: float
) -> None:
    found = coverage_at(np.array([s for s, _ in pairs]), np.array([float(r) for _, r in pairs]), precision)
    shares = [0.0]
    for least in {s for s, _ in pairs}:
        answered = [r for s, r in pairs if s >= least]
        if sum(answered) >= precision * len(answered) - 1e-9:
            shares.append(len(answered) / len(pairs))
    assert found == pytest.approx(max(shares))


def test_risk_and_coverage() -> None:
    score, right = np.array([0.9, 0.2, 0.5, 0.5]), np.array([1.0, 0, 0, 1])
    coverage, risk = risk_coverage(score, right)
    assert coverage.tolist() == [0.25, 0.75, 1.0]  # equal scores are answered together
    assert risk.tolist() == pytest.approx([0, 1 / 3, 0.5])
    assert aurc(score, right) == pytest.approx(0.5 / 3 + 0.25 / 2)
    ranked = np.arange(100.0)[::-1]
    assert (
        aurc(ranked, np.repeat([1.0, 0], 50))
        < aurc(ranked, np.tile([1.0, 0], 50))
        < aurc(-ranked, np.repeat([1.0, 0], 50))
    )
    assert coverage_at(np.linspace(1, 0, 10), np.array([1.0] * 9 + [0])) == 1  # nine of ten are 90 %


def test_measures_of_nothing_are_nothing() -> None:
    none = np.zeros(0)
    assert (aurc(none, none), coverage_at(none, none), expected_calibration_error(none, none)) == (0, 0, 0)
    assert [len(column) for column in (*risk_coverage(none, none), *reliability(none, none))] == [0] * 5
    assert span_scores([], [])["exact"]["f1"] == 0


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(0)
    hits = 0
    for round_ in range(200):
        low, high = bootstrap_interval(chance.normal(0.3, 1, 80), seed=round_, rounds=300)
        hits += low <= 0.3 <= high
    assert 0.9 <= hits / 200 <= 0.985
    same = chance.normal(0, 1, 50)
    assert bootstrap_interval(same) == bootstrap_interval(same)
    assert bootstrap_interval(np.zeros(9)) == (0, 0)


def test_draws_on_which_a_statistic_is_not_defined_are_left_out() -> None:
    assert resampled_interval(lambda i: None, 5) is None
    assert resampled_interval(lambda i: 1.0 if 0 in i else None, 5, rounds=50) == (1, 1)


def test_reliability_bins_hold_every_reply_once() -> None:
    score, right = np.linspace(0, 1, 100), np.tile([0.0, 1], 50)
    said, found, mass = reliability(score, right)
    assert (len(said), mass.sum()) == (15, 100)
    assert (np.diff(said) > 0).all()
    assert (found * mass).sum() == pytest.approx(right.sum())
