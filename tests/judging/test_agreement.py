"""How a judge agrees with people, against counts by hand and judges whose answers are known."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

import hidden_context as hc
from hidden_context.judging.agreement import agreement_measures, sure_bins
from hidden_context.judging.judgments import of_columns
from hidden_context.judging.slopes import logistic_slope
from hidden_context.judging.votes import read_votes

Rows = list[dict[str, Any]]


def rows_of(
    num_pairs: int,
    num_people: int,
    rng: np.random.Generator,
    *,
    tie: float = 0.0,
    pull: float = 0.0,
) -> Rows:
    """Everybody votes on some of the pairs; `p` is the true share for the first.

    `pull` is added to the log-odds of what is shown first, and each response has a length.
    """
    rows: Rows = []
    for pair in range(num_pairs):
        share = float(expit(1.5 * rng.normal() + pull))
        lengths = rng.integers(5, 60, size=2)
        for person in rng.permutation(num_people)[:4]:
            winner = "tie" if rng.random() < tie else ("b", "a")[int(rng.random() < share)]
            rows.append(
                {
                    "prompt": f"{pair // 3}? ",
                    "response_a": f"{pair} a " + "x" * lengths[0],
                    "response_b": f"{pair} b " + "x" * lengths[1],
                    "winner": winner,
                    "annotator": f"{person}",
                    "p": share,
                    "t": float(np.log1p(lengths[0]) - np.log1p(lengths[1])),
                }
            )
    return rows


def measured(rows: Rows) -> Any:
    """Of the column `judge`."""
    comparisons = hc.load_comparisons(rows)
    votes = read_votes(comparisons)
    judged = of_columns("j", ["judge"], comparisons, votes)
    return agreement_measures(judged, votes), sure_bins(judged, votes)


def test_numbers_are_those_of_counts_by_hand():
    rng = np.random.default_rng(0)
    rows = rows_of(40, 8, rng, tie=0.3)
    words = {row["response_a"]: ("a", "b", "tie")[rng.integers(3)] for row in rows}
    rows = [{**row, "judge": words[row["response_a"]]} for row in rows]
    found, _ = measured(rows)
    value = {"a": 1, "b": -1, "tie": 0}
    person, judge, split, agreed = [], [], [], []
    for row in rows:
        others = [
            value[other["winner"]]
            for other in rows
            if other["response_a"] == row["response_a"] and other["annotator"] != row["annotator"]
        ]
        z, j = value[row["winner"]], value[row["judge"]]
        majority = np.sign(sum(others))
        if z and majority:
            person.append(z == majority)
            judge.append((1 + j * majority) / 2)
        split += [abs(j) for other in others if other * z < 0]
        agreed += [abs(j) for other in others if other * z > 0]
    votes = [(value[row["winner"]], value[row["judge"]]) for row in rows]
    assert found["person_and_majority"].value == pytest.approx(np.mean(person))
    assert found["judge_and_majority"].value == pytest.approx(np.mean(judge))
    assert found["sure_where_split"].value == pytest.approx(np.mean(split))
    assert found["sure_where_agreed"].value == pytest.approx(np.mean(agreed))
    assert found["agreement"].value == pytest.approx(np.mean([(1 + z * j) / 2 for z, j in votes]))
    assert found["ties_of_judge"].value == pytest.approx(np.mean([j == 0 for _, j in votes]))
    assert found["sure_at_ties"].value == pytest.approx(
        np.mean([abs(j) for z, j in votes if not z])
    )
    assert found["first_shown_judge"].value == pytest.approx(
        np.mean([(1 + j) / 2 for _, j in votes])
    )
    assert found["first_shown_people"].value == pytest.approx(
        np.mean([(1 + z) / 2 for z, _ in votes])
    )


def test_a_judge_that_says_the_true_shares_is_calibrated_and_knows_where_people_split():
    rows = rows_of(300, 20, np.random.default_rng(1))
    found, bins = measured([{**row, "judge": row["p"]} for row in rows])
    assert found["overconfidence"].against(0) == "cannot tell"
    assert found["surer_where_agreed"].against(0) == "above"
    assert len(bins) == 5
    sure = measured([{**row, "judge": float(expit(3 * logit(row["p"])))} for row in rows])[0]
    assert sure["overconfidence"].against(0) == "above"
    assert sure["judge_and_person"].against(0) == "above"


@pytest.mark.parametrize(("pull", "expected"), [(0.0, "cannot tell"), (1.0, "above")])
def test_an_order_that_sways_the_judge_alone_is_seen(pull: float, expected: str):
    """People are pulled as much in both cases, which is no bias of the judge."""
    rows = rows_of(300, 20, np.random.default_rng(2), pull=0.5)
    said = [{**row, "judge": float(expit(logit(row["p"]) + pull))} for row in rows]
    assert measured(said)[0]["position_bias"].against(0) == expected
    turned = [
        {
            **row,
            "response_a": row["response_b"],
            "response_b": row["response_a"],
            "winner": "b" if row["winner"] == "a" else "a",
            "judge": 1 - row["judge"],
        }
        for row in said
    ]
    mirrored = measured(turned)[0]["position_bias"]
    assert mirrored.value == pytest.approx(-measured(said)[0]["position_bias"].value)


@pytest.mark.parametrize(("slope", "expected"), [(0.0, "cannot tell"), (1.0, "above")])
def test_length_that_sways_the_judge_more_than_people_is_seen(slope: float, expected: str):
    rows = rows_of(300, 20, np.random.default_rng(3))
    said = [{**row, "judge": float(expit(logit(row["p"]) + slope * row["t"]))} for row in rows]
    assert measured(said)[0]["length_bias"].against(0) == expected


def test_the_slope_of_a_feature_of_two_values_is_the_log_odds():
    share = np.array([1.0, 1, 1, 0, 0.5])
    difference = np.array([2.0, 2, 2, 2, 2])
    assert logistic_slope(difference, share, np.ones(5)) == pytest.approx(logit(0.7) / 2)
    assert logistic_slope(-difference, share, np.ones(5)) == pytest.approx(-logit(0.7) / 2)
    assert logistic_slope(difference, np.ones(5), np.ones(5)) == 25  # no largest likelihood
    assert logistic_slope(np.zeros(5), share, np.ones(5)) == 0
