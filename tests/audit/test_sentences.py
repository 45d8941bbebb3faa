from dataclasses import replace

import pytest

from hidden_context.audits.result import FITTED_GAIN, AuditedSet, BetweenGroups, Lapse
from hidden_context.audits.sentences import CANNOT_TELL, sentences_of
from hidden_context.distributions import make_family
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.length import LengthMeasures
from hidden_context.measures.parametric_bootstrap import ParametricBootstrap


def audited(
    against=(0.004, 0.001, 0.007),
    accuracy=(0.6, 0.55, 0.65),
    p_value=0.05,
    lapse=None,
    between=None,
    figure=FITTED_GAIN,
):
    common = {
        "accuracy": {"mean": Rate(accuracy[0], accuracy[1], accuracy[2])},
        "log_likelihood": Estimate(-0.66, -0.67, -0.65),
        "expected_calibration_error": Estimate(0.02, 0.01, 0.03),
        "brier_score": Estimate(0.24, 0.23, 0.25),
        "length": LengthMeasures(Estimate(0.61, 0.6, 0.62), Estimate(0.52, 0.5, 0.54), 0.1),
        "stopping_rule": "after 10 steps",
    }
    scales = ("pooled", "within_prompt", "each_prompt", "rank")
    draws = tuple(-0.01 + 0.001 * number for number in range(19))
    observed = sorted(draws)[-round(20 * p_value) + 1] if p_value > 0.05 else 0.1
    categorical = Evaluation(
        make_family("categorical"),
        **common,
        against_base=Estimate(against[0], against[1], against[2]),
        explained_variance={name: Estimate(0.3, 0.2, 0.4) for name in scales},
        null=(ParametricBootstrap(figure, observed, draws, p_value),),
    )
    evaluations = (Evaluation(make_family("base"), **common), categorical)
    return AuditedSet("both", "rows", {}, evaluations, lapse=lapse, between=between)


def text(**options):
    return " ".join(answer for _, answer in sentences_of(audited(**options)))


ABOVE, HOLDS, BELOW = (0.004, 0.001, 0.007), (0.001, -0.002, 0.004), (-0.004, -0.007, -0.001)


@pytest.mark.parametrize(
    ("against", "p_value", "verdict"),
    [
        (
            ABOVE,
            0.05,
            "Yes: categorical predicts held-out votes better than the scalar family by 0.0040",
        ),
        (HOLDS, 0.05, "Yes, but too little to predict better: categorical"),
        (
            BELOW,
            0.05,
            "but a distribution does not predict better: categorical predicts held-out votes wors",
        ),
        (ABOVE, 0.1, "Label noise may be all"),
        (HOLDS, 0.1, CANNOT_TELL.capitalize()),
        ((0.0, 0.0, 0.0), 1.0, CANNOT_TELL.capitalize()),
    ],
)
def test_one_verdict_is_of_the_gain_and_its_test(against, p_value, verdict):
    said = text(against=against, p_value=p_value)
    assert f"{verdict}" in said
    assert f"p = {p_value:.2f}" in said
    number = round(20 * p_value) - 1
    assert f"{number or 'none'} gain as much" in said
    assert CANNOT_TELL.capitalize() not in said or p_value > 0.05  # never a finding and a shrug


def test_what_could_have_been_found_is_said():
    """Draws of -.010 to .008 in steps of .001: the largest is .009 above their mean, which is below
    0, and z.80 of their deviations of .0056 more are needed."""
    assert "A true gain of 0.0137 nats per vote would be found about four times in five" in text()


def test_r2_that_is_corrected_stands_beside_that_of_the_heads():
    given = audited()
    base, categorical = given.evaluations
    behind = {name: Estimate(0.4, 0.25, 0.55) for name in categorical.explained_variance}
    changed = replace(categorical, corrected_explained_variance=behind)
    said = dict(sentences_of(replace(given, evaluations=(base, changed))))
    answer = said["How much of the variance in utility do responses explain (categorical)?"]
    assert "heads on these vectors, is 0.300 (0.200 to 0.400) over all responses" in answer
    assert "utilities behind the votes is 0.400 (0.250 to 0.550) over all responses" in answer
    assert "behind the votes" not in text()


def test_an_older_file_speaks_of_the_partition_that_was_tested():
    said = text(figure="against_base")
    assert "Yes: categorical" in said
    assert "In one partition it is better by" in said
    assert "four times in five" not in said


def test_a_p_that_is_corrected_for_several_families_is_said_to_be():
    given = audited(p_value=0.05)
    base, categorical = given.evaluations
    (test,) = categorical.null
    corrected = replace(categorical, null=(replace(test, p_value=0.1),))
    said = dict(sentences_of(replace(given, evaluations=(base, corrected))))
    answer = said["Is there more than a scalar family and label noise (categorical)?"]
    assert "none gain as much" in answer
    assert "p = 0.10, corrected for several families)" in answer
    assert answer.startswith("Label noise may be all")
    assert "corrected" not in text()


@pytest.mark.parametrize(
    ("against", "gain", "p_value", "words"),
    [
        (ABOVE, ABOVE, 0.05, "Hidden context explains more than random votes"),
        (BELOW, ABOVE, 0.05, "Random votes explain more than hidden context"),
        (BELOW, HOLDS, 0.05, "The scalar family predicts better, and needs no random votes"),
        (HOLDS, ABOVE, 1.0, "Cannot tell from these data which of the two it is"),
        (HOLDS, HOLDS, 0.05, "Cannot tell from these data which of the two it is"),
        (HOLDS, HOLDS, 1.0, "There is nothing that either would have to explain"),
    ],
)
def test_careless_clicks_are_held_against_hidden_context(against, gain, p_value, words):
    lapse = Lapse(0.1, Estimate(*gain), {"categorical": Estimate(*against)})
    said = text(against=HOLDS, p_value=p_value, lapse=lapse)
    assert words in said
    assert "takes 10.0% of them" in said


@pytest.mark.parametrize(
    ("gain", "p_value", "num", "verdict"),
    [
        (ABOVE, 0.05, 19, "It does: knowing which of 2 groups"),
        (ABOVE, 0.1, 19, CANNOT_TELL.capitalize()),
        (HOLDS, 0.05, 19, CANNOT_TELL.capitalize()),
        (BELOW, 1.0, 19, "Not so that it helps"),
        (ABOVE, 1 / 3, 2, "No test, for groups can be shuffled in 2 other ways only"),
    ],
)
def test_groups_help_only_where_shuffled_ones_do_not(gain, p_value, num, verdict):
    between = BetweenGroups(
        by="group",
        family="categorical",
        num_labels=2,
        num_comparisons=100,
        num_labels_left_out=0,
        share=Estimate(0.1, 0.05, 0.2),
        gain=Estimate(*gain),
        shuffled_over="annotators",
        shuffled_gains=(0.0,) * num,
        p_value=p_value,
    )
    (answer,) = (
        said for asked, said in sentences_of(audited(between=between)) if "who judged" in asked
    )
    assert answer.startswith(verdict)


def test_vectors_that_do_not_predict_make_no_claim():
    assert f"{CANNOT_TELL.capitalize()}, so no other" in text(accuracy=(0.5, 0.48, 0.52))
    assert "Better than a coin" in text()
    assert "Worse than a coin" in text(accuracy=(0.45, 0.42, 0.48))


def test_the_length_baseline_stands_beside_the_accuracy():
    assert '"The longer response wins" is right on 0.610 (0.600 to 0.620) of the votes' in text()


def test_ties_are_part_of_the_likelihood_which_a_coin_is_then_no_measure_of():
    assert "(a coin: -0.693)" in text()
    (first, *_) = sentences_of(replace(audited(), counts={"with_ties": 3}))
    assert "nats per vote (of which ties are part)." in first[1]


def test_where_labels_are_too_rare_to_ask_of_that_is_said():
    asked = dict(sentences_of(replace(audited(), between=None, counts={"labels": 8})))
    assert asked["Does who judged explain it?"].startswith(
        "This was not tested: of the 8 who judged"
    )
    assert "Does who judged explain it?" not in dict(sentences_of(replace(audited(), between=None)))
