"""A model that predicts no better than a coin says nothing of hidden context, and that is said."""

from dataclasses import replace
from typing import Any

import pytest

from hidden_context.distributions import Normal
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.learned_enough import not_learned
from hidden_context.report.answers import answer_of
from hidden_context.report.read_summary import result_of
from hidden_context.report.sections import sections_of
from hidden_context.report.text import render

HALF, ABOVE, BELOW = Rate(0.51, 0.47, 0.55), Rate(0.6, 0.56, 0.64), Rate(0.4, 0.36, 0.44)
COIN, BETTER, WORSE = (Estimate(value, value - 0.02, value + 0.02) for value in (-0.69, -0.6, -0.9))


def measured(**fields: Any) -> Evaluation:
    """Of a model whose r² alone looks like hidden context."""
    values: dict[str, Any] = {
        "explained_variance": {"pooled": Estimate(0.03)},
        "num_comparisons": 500,
    }
    return Evaluation(family=Normal(), trained_on="both", **{**values, **fields})


@pytest.mark.parametrize(
    ("accuracy", "nats", "said"),
    [
        (HALF, BETTER, "it is right on 0.510 (0.470 to 0.550)"),
        (HALF, None, "it is right on 0.510 (0.470 to 0.550)"),
        (ABOVE, COIN, "log-likelihood -0.690 (-0.710 to -0.670) nats per vote, a coin's -0.693"),
        (None, COIN, "log-likelihood -0.690 (-0.710 to -0.670) nats per vote, a coin's -0.693"),
        (ABOVE, BETTER, ""),
        (ABOVE, WORSE, ""),
        (BELOW, WORSE, ""),
        (Rate(0.5), None, ""),
        (None, None, ""),
    ],
)
def test_a_model_no_better_than_a_coin_has_not_learned(accuracy, nats, said: str):
    """One that is surely worse has learned, from other votes; without an interval nobody knows."""
    rates = {} if accuracy is None else {"mean": accuracy}
    text = not_learned(measured(accuracy=rates, log_likelihood=nats))
    assert said in text
    assert ("has not learned enough" in text) == bool(said)


def test_contexts_that_decide_otherwise_than_the_mean_count_by_their_probability():
    both = {"accuracy": {"mean": HALF}, "log_likelihood": BETTER}
    assert not not_learned(measured(**both, accuracy_by_probability=ABOVE))
    assert not_learned(measured(**both, accuracy_by_probability=HALF))


def test_wherever_r2_or_a_verdict_stands_it_is_said():
    gain = Estimate(0.03, 0.02, 0.04)
    unlearned = measured(accuracy={"mean": HALF}, log_likelihood=BETTER, against_base=gain)
    learned = replace(unlearned, accuracy={"mean": ABOVE})
    for evaluation, is_said in ((unlearned, True), (learned, False)):
        answer = answer_of([evaluation])
        assert answer is not None
        assert (answer.verdict == "cannot tell") == is_said
        assert ("not learned enough" in answer.sentence) == is_said
        result = result_of([evaluation], title="", source="")
        (r2,) = [each for each in sections_of(result) if "variance" in each.title]
        for text in (render([evaluation], [], "simple"), answer.evidence, r2.explanation):
            assert (not_learned(unlearned) in text) == is_said


def test_r2_of_training_sets_do_not_compare_where_one_has_not_learned():
    apart = [
        measured(accuracy={"mean": ABOVE}, explained_variance={"pooled": Estimate(0.9, 0.8, 0.95)}),
        measured(accuracy={"mean": HALF}, explained_variance={"pooled": Estimate(0.1, 0.0, 0.2)}),
    ]
    named = [replace(apart[0], trained_on="helpful"), replace(apart[1], trained_on="both")]
    gained = [
        replace(each, against_base=Estimate(0.1, 0, 0.2), log_likelihood=BETTER) for each in named
    ]
    answer = answer_of(gained)
    assert answer is not None
    finding = answer.findings[-1]
    assert finding.verdict == "cannot tell"
    assert "Trained on both it predicts these votes no better than a coin" in finding.text
