"""What a page says first: the verdict follows the interval, of the model that predicts best."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from drawn_panels import evaluation_of
from page_samples import audit_of

from hidden_context.audits.result import FITTED_GAIN, AuditedSet, BetweenGroups, Lapse, read_audit
from hidden_context.distributions import Normal
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluation import Evaluation, Histogram
from hidden_context.measures.parametric_bootstrap import ParametricBootstrap
from hidden_context.measures.undecided import Undecided
from hidden_context.report.answers import answer_of, audit_answer
from hidden_context.report.examples import AGREED, CONTESTED, examples_of
from hidden_context.report.response_map import MOST, response_map
from hidden_context.report.results import Result
from hidden_context.report.sections import sections_of
from hidden_context.scores.overlap import Overlap
from hidden_context.scores.scores import Scores

NATS = Estimate(-0.6)
STD = Histogram((0.0, 1.0, 2.0), (1.0, 2.0))


def compared(gain: tuple[float, float, float], nats: float = -0.6, **fields) -> Evaluation:
    return evaluation_of(
        "mean_and_variance",
        fields.pop("trained_on", "both"),
        log_likelihood=Estimate(nats, nats - 0.05, nats + 0.05),
        against_base=Estimate(*gain),
        **fields,
    )


@pytest.mark.parametrize(
    ("gain", "verdict", "said"),
    [
        ((0.03, 0.01, 0.05), "yes", "A single score would hide something."),
        ((0.01, -0.01, 0.05), "cannot tell", "cannot tell"),
        ((-0.03, -0.05, -0.01), "no", "Nothing shows"),
    ],
)
def test_the_verdict_is_that_of_the_interval(gain, verdict: str, said: str):
    answer = answer_of([compared(gain)])
    assert answer.verdict == verdict
    assert said in answer.sentence
    assert f"{abs(gain[0]):.4f}" in answer.evidence


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "because no model was measured."),
        ([evaluation_of("base", log_likelihood=NATS)], "because all models here are scalar."),
        ([evaluation_of("base", jailbreak_rate={})], "because no comparisons were scored"),
        (
            [evaluation_of("categorical", log_likelihood=NATS)],
            "because no scalar model of the same",
        ),
        (
            [evaluation_of(name, num_comparisons=9) for name in ("base", "categorical")],
            "because no distribution was held against a scalar model on the same",
        ),
    ],
)
def test_without_a_comparison_with_a_scalar_model_it_is_said_why_nothing_can_be_told(given, why):
    answer = answer_of(given)
    assert answer.verdict == "cannot tell"
    assert answer.sentence.startswith("These results cannot tell")
    assert why in answer.sentence
    assert answer.evidence


def test_the_model_that_predicts_best_speaks_not_the_one_that_gains_most():
    """One trained on other votes gains much over a scalar model that is as wrong as it is."""
    wrong = compared((0.2, 0.1, 0.3), nats=-0.9, trained_on="harmless")
    answer = answer_of([wrong, compared((0.0, -0.01, 0.01), nats=-0.5)])
    assert answer.verdict == "cannot tell"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (
            0.17,
            "People split on about 1 in 6 of the 1,200 held-out pairs of 600 prompts, as far as "
            "mean_and_variance, trained on both, can see;",
        ),
        (0.001, ""),
    ],
)
def test_pairs_that_are_open_for_their_spread_are_counted(share: float, said: str):
    kinds = Undecided(Estimate(0.1), Estimate(share), Estimate(0.9 - share))
    evaluation = compared(
        (0.03, 0.01, 0.05), undecided=kinds, num_comparisons=1200, num_prompts=600
    )
    held_out = replace(evaluation, overlap=Overlap(0, 1200, 0, 600))
    answer = answer_of([held_out])
    assert said in answer.sentence
    assert "held-out" not in answer_of([evaluation]).sentence  # it cannot be known
    assert ("1 in" in answer.sentence) == bool(said)
    assert (f"on {share:.3f} of the pairs" in answer.evidence) == bool(said)


@pytest.mark.parametrize(("careful", "verdict"), [(0.1, "yes"), (0.52, "cannot tell")])
def test_caution_helps_where_the_intervals_are_apart(careful: float, verdict: str):
    rates = {
        risk: Rate(value, value - 0.05, value + 0.05, published=value)
        for risk, value in {"mean": 0.6, "quantile:0.01": careful}.items()
    }
    answer = answer_of([compared((0.03, 0.01, 0.05), jailbreak_rate=rates)])
    (finding,) = answer.findings
    assert finding.verdict == verdict


def test_the_map_has_a_mark_for_each_response_and_links_for_examples():
    raw = np.random.default_rng(0).normal(size=(30, 2, 2))
    scores = Scores.of_pairs(Normal(), raw)
    kinds = examples_of(scores, 2)
    drawn = response_map(scores, kinds, "here")
    assert drawn.count('r="2"') == 60 <= MOST
    rows = [one.row for kind in kinds if kind.title in (CONTESTED, AGREED) for one in kind.examples]
    assert drawn.count("<a href") == 2 * len(rows)
    assert f'href="#here-contested-{kinds[0].examples[0].row}"' in drawn
    assert drawn.count('class="contested"') == drawn.count('class="agreed"') == 4


def audited(p_value: float | None, *, gain: float = 0.03, lapse: float | None = None) -> AuditedSet:
    """A set whose gain is above 0; its p against label noise, and what is left beside lapses."""
    of_set = read_audit_of("both")
    null = ParametricBootstrap(FITTED_GAIN, gain, (0.0,) * 19, p_value)
    best = compared(
        (gain, gain - 0.01, gain + 0.01), null=() if p_value is None else (null,), accuracy=ACCURACY
    )
    careless = Estimate(0.0) if lapse is None else Estimate(lapse, lapse - 0.01, lapse + 0.01)
    return dataclasses.replace(
        of_set,
        evaluations=(dataclasses.replace(of_set.evaluations[0], accuracy=ACCURACY), best),
        lapse=Lapse(0.1, Estimate(0.01), {best.family.name: careless}),
    )


ACCURACY = {"mean": Rate(0.7, 0.65, 0.75, published=0.7)}


def read_audit_of(name: str) -> AuditedSet:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit.json"
        path.write_text(json.dumps(audit_of([name])))
        return read_audit(path).sets[0]


@pytest.mark.parametrize(
    ("given", "verdict", "said"),
    [
        (audited(0.05), "yes", "more than label noise gives"),
        (audited(None), "yes", "not held against label noise"),
        (audited(0.5), "cannot tell", "because label noise alone may give such gains."),
        (
            audited(0.05, lapse=-0.03),
            "cannot tell",
            "more than label noise gives, but careless clicks explain the votes better, so these",
        ),
    ],
    ids=["beyond noise", "untested", "noise", "careless"],
)
def test_the_answer_of_an_audit_needs_more_than_noise_and_carelessness(given, verdict, said):
    answer = audit_answer([given])
    assert answer is not None
    assert answer.verdict == verdict
    assert said in answer.sentence + answer.evidence
    assert answer.findings[0].verdict == "yes"  # the vectors predict


def test_what_fits_beyond_label_noise_but_predicts_no_better_is_told_as_that():
    answer = audit_answer([audited(0.05, gain=0.005)])
    assert answer is not None
    assert answer.verdict == "cannot tell"
    assert "fits the votes better than a single score by more than label noise" in answer.sentence
    assert "but no distribution surely predicts held-out votes better" in answer.sentence


def test_an_audit_says_which_pairs_split_and_what_sees_it():
    given = audited(0.05)
    base, best = given.evaluations
    kinds = Undecided(Estimate(0.1), Estimate(0.25), Estimate(0.65))
    best = replace(best, undecided=kinds, num_comparisons=900, num_prompts=300)
    answer = audit_answer([replace(given, evaluations=(base, best))], "states of gpt2")
    assert answer is not None
    assert answer.sentence == (
        "People split on about 1 in 4 of the 900 held-out pairs of 300 prompts, as far as "
        "mean_and_variance on states of gpt2 can see; a single score would hide it."
    )


@pytest.mark.parametrize(
    ("low", "p_value", "verdict"),
    [(0.1, 0.05, "yes"), (-0.1, 0.05, "cannot tell"), (0.1, 0.5, "cannot tell")],
)
def test_where_it_helps_to_know_who_judged_a_single_score_hides_that(low, p_value, verdict):
    gain, share = Estimate(0.3, low, 0.5), Estimate(0.7)
    between = BetweenGroups("group", "base", 2, 160, 0, share, gain, p_value=p_value)
    answer = audit_answer([replace(audited(0.5), between=between)])
    assert answer is not None
    assert answer.verdict == verdict
    said = "It matters who judged: to know the group predicts held-out votes better, by 0.3000"
    assert answer.sentence.startswith(said) == (verdict == "yes")
    if verdict == "yes":
        assert answer.evidence.startswith("Where it is not known, these data cannot tell whether")


def test_of_several_sets_those_that_hide_something_are_named():
    shown = dataclasses.replace(audited(0.05), name="mixed")
    answer = audit_answer([audited(0.5), shown])
    assert answer is not None
    assert "In mixed: a single score" in answer.sentence
    assert len(answer.findings) <= 5


def test_sections_show_the_set_of_which_the_answer_speaks_and_fold_the_others():
    given = [compared((0.03, 0.01, 0.05), std=STD, trained_on=name) for name in ("a", "b", "c")]
    given[1] = dataclasses.replace(given[1], log_likelihood=Estimate(-0.5))
    (section,) = [
        each
        for each in sections_of(Result("", "", evaluations=tuple(given)))
        if "wide" in each.title
    ]
    assert [panel.data_set for panel in section.panels] == ["b"]
    assert [panel.data_set for panel in section.more] == ["a", "c"]
    assert section.more_title == "The same of models trained on a, c"
