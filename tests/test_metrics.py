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
from trifold.tasks.qa.measuring.metrics import auroc, best_over, exact_match, expected_calibration_error, f1

OFFICIAL = Path(__file__).parent / "fixtures" / "official_squad_scores.json"


def test_exact_match_and_f1_equal_the_official_script() -> None:
    """Recorded with the official SQuAD 2.0 script; see the file's own note."""
    recorded = json.loads(OFFICIAL.read_text())
    assert len(recorded["cases"]) > 100
    for case in recorded["cases"]:
        assert best_over(exact_match, case["prediction"], case["golds"]) == case["exact"], case
        assert best_over(f1, case["prediction"], case["golds"]) == pytest.approx(case["f1"], abs=1e-12), case


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
