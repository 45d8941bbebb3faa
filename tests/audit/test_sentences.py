import pytest

from hidden_context.audits.result import AuditedSet
from hidden_context.audits.sentences import CANNOT_TELL, sentences_of
from hidden_context.distributions import make_family
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.length import LengthMeasures
from hidden_context.measures.parametric_bootstrap import ParametricBootstrap


def audited(against=(0.004, 0.001, 0.007), accuracy=(0.6, 0.55, 0.65), p_value=0.05):
    common = {
        "accuracy": {"mean": Rate(accuracy[0], accuracy[1], accuracy[2])},
        "log_likelihood": Estimate(-0.66, -0.67, -0.65),
        "expected_calibration_error": Estimate(0.02, 0.01, 0.03),
        "brier_score": Estimate(0.24, 0.23, 0.25),
        "length": LengthMeasures(Estimate(0.61, 0.6, 0.62), Estimate(0.52, 0.5, 0.54), 0.1),
        "stopping_rule": "after 10 steps",
    }
    scales = ("pooled", "within_prompt", "each_prompt", "rank")
    draws = tuple(0.4 + 0.01 * number for number in range(19))
    categorical = Evaluation(
        make_family("categorical"),
        **common,
        against_base=Estimate(against[0], against[1], against[2]),
        explained_variance={name: Estimate(0.3, 0.2, 0.4) for name in scales},
        null=(ParametricBootstrap("r2_rank", 0.3, draws, p_value),),
    )
    return AuditedSet("both", "rows", {}, (Evaluation(make_family("base"), **common), categorical))


def text(**options):
    return " ".join(answer for _, answer in sentences_of(audited(**options)))


def test_a_difference_is_said_with_its_interval():
    assert "better than the scalar one by 0.0040 nats per vote (0.0010 to 0.0070)" in text()
    worse = text(against=(-0.004, -0.007, -0.001))
    assert "worse than the scalar one by 0.0040 nats per vote (0.0010 to 0.0070)" in worse


@pytest.mark.parametrize(
    "against", [(0.001, -0.002, 0.004), (-0.001, -0.003, 0.0), (0.0, 0.0, 0.0)]
)
def test_an_interval_that_holds_zero_cannot_tell(against):
    assert f"{CANNOT_TELL.capitalize()}: categorical differs" in text(against=against)


def test_vectors_that_do_not_predict_make_no_claim():
    assert f"{CANNOT_TELL.capitalize()}, so no other" in text(accuracy=(0.5, 0.48, 0.52))
    assert "Better than a coin" in text()
    assert "Worse than a coin" in text(accuracy=(0.45, 0.42, 0.48))


def test_the_null_is_rejected_only_where_no_draw_is_as_low():
    low = "sets of labels simulated from the scalar family gave so low an r²"
    assert f"No: none of 19 {low}" in text(p_value=1 / 20)
    assert f"Hardly: 1 of 19 {low}" in text(p_value=2 / 20)
    assert f"{CANNOT_TELL.capitalize()}: 19 of 19 {low}" in text(p_value=20 / 20)


def test_the_length_baseline_stands_beside_the_accuracy():
    assert '"The longer response wins" is right on 0.610 (0.600 to 0.620) of the votes' in text()
