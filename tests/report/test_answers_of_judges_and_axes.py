"""Pages of judges, axes and items begin with an answer, whose verdict is that of its interval."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import hidden_context as hc
from hidden_context.axes.axes import AVERAGE, Axes, Axis
from hidden_context.judging.result import AuditedJudge, JudgeAudit
from hidden_context.judging.sides import Lean, Sides
from hidden_context.measures.estimate import Estimate
from hidden_context.report.axes_results import answer_about_axes
from hidden_context.report.items_result import answer_about_items
from hidden_context.report.judge_answers import answer_about_judges
from hidden_context.report.page import render
from hidden_context.report.read_results import as_results

COUNTS = {"votes": 900, "ties": 0, "people": 20, "groups": 2, "pairs": 300, "prompts": 30}


def around(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, value - half, value + half)


def judge(name: str = "llm", gap: float | None = 0.0, **fields) -> AuditedJudge:
    """One that agrees by `gap` more often than a person; None if no ceiling is known."""
    measures = {name: around(0.7) for name in ("agreement", "confidence")}
    measures["overconfidence"] = around(0.0)
    if gap is not None:
        measures |= {
            "person_and_majority": around(0.7),
            "judge_and_majority": around(0.7 + gap),
            "judge_and_person": around(gap),
        }
    measures |= fields.pop("measures", {})
    sides = fields.pop("sides", Sides())
    return AuditedJudge(name, "verdicts", "read", 900, 0, 300, measures, (), sides, **fields)


def told(*judges: AuditedJudge):
    return answer_about_judges(JudgeAudit("votes.csv", COUNTS, judges))


@pytest.mark.parametrize(
    ("gap", "verdict", "sentence"),
    [
        (
            0.1,
            "yes",
            "llm (0.80 against 0.70) can stand in for a person: people are agreed with more often "
            "than by one more person.",
        ),
        (
            -0.1,
            "no",
            "llm (0.60 against 0.70) cannot stand in for a person: one more person would agree "
            "with people more often.",
        ),
        (
            0.0,
            "cannot tell",
            "These votes cannot tell llm (0.70 against 0.70) from one more person, because the "
            "difference may be either way.",
        ),
        (
            None,
            "cannot tell",
            "These votes cannot tell llm from one more person, because no two people voted on one "
            "pair.",
        ),
    ],
)
def test_a_judge_is_held_against_one_more_person(gap, verdict, sentence):
    answer = told(judge(gap=gap))
    assert (answer.verdict, answer.sentence) == (verdict, sentence)
    assert "900 votes of 20 people on 300 pairs" in answer.evidence


def test_of_several_judges_the_worst_verdict_counts_and_each_is_named():
    answer = told(judge("a", 0.1), judge("b", -0.1), judge("c", 0.0))
    assert answer.verdict == "no"
    assert answer.sentence.startswith("a (0.80 against 0.70) can stand in for a person")
    assert "b (0.60 against 0.70) cannot stand in" in answer.sentence
    assert "cannot tell c (0.70 against 0.70) from" in answer.sentence
    assert "a +0.100 (+0.080 to +0.120); b -0.100 (-0.120 to -0.080); c +0.000" in answer.evidence


def test_a_finding_about_several_judges_says_once_what_its_numbers_are():
    bias = [{"length_bias": around(value)} for value in (0.1, 0.2)]
    answer = told(judge("a", measures=bias[0]), judge("b", measures=bias[1]))
    (text,) = [each.text for each in answer.findings if "length" in each.question]
    assert text == (
        "Log-odds of a response e times as long, less people's: a +0.100 (+0.080 to +0.120); "
        "b +0.200 (+0.180 to +0.220)."
    )


def lean(value: float, p_value: float) -> Lean:
    return Lean("group A", 400, 10, around(0.7), 0.7 - value, around(value), p_value)


@pytest.mark.parametrize(
    ("given", "question", "verdict"),
    [
        ({"sides": Sides(groups=(lean(0.1, 0.001),))}, "Does it take sides?", "yes"),
        ({"sides": Sides(groups=(lean(0.1, 0.5),))}, "Does it take sides?", "cannot tell"),
        ({"sides": Sides(people=(lean(-0.1, 0.01),))}, "Does it take sides?", "yes"),
        ({"measures": {"overconfidence": around(0.1)}}, "Do its probabilities mean", "no"),
        ({"measures": {"overconfidence": around(-0.1)}}, "Do its probabilities mean", "no"),
        ({"measures": {"overconfidence": around(0.0)}}, "Do its probabilities", "cannot tell"),
        ({"measures": {"surer_where_agreed": around(0.1)}}, "Does it know where", "yes"),
        ({"measures": {"surer_where_agreed": around(-0.1)}}, "Does it know where", "no"),
        ({"measures": {"length_bias": around(0.1)}}, "Does length sway it", "yes"),
        ({"measures": {"length_bias": around(0.0)}}, "Does length sway it", "cannot tell"),
        ({"measures": {"position_bias": around(-0.1)}}, "Does the order sway it", "yes"),
    ],
)
def test_findings_about_a_judge_follow_their_intervals(given: Mapping, question: str, verdict: str):
    (finding,) = [each for each in told(judge(**given)).findings if question in each.question]
    assert finding.verdict == verdict


def test_what_was_not_measured_is_no_finding():
    assert [each.question for each in told(judge()).findings] == [
        "Do its probabilities mean what they say?"
    ]


def axis(name: str = "length", effects: int = 20, **fields) -> Axis:
    named = {f"p{k}": around((-1.0) ** k) for k in range(effects)}
    given: dict[str, Any] = {"average": 0.0, "spread": 1.0, "p": 0.001, "along": {}}
    return Axis(name, "longer", "shorter", effects=named, exemplars=(), **(given | fields))


def axes_with(*found: Axis, stopped_p: float | None = 0.31) -> Axes:
    counts = {"rows": 500, "decided": 480, "contexts": 20, "features": 130, "features_left_out": 4}
    counts |= {"ties": 0, "equal_texts": 0, "without_context": 0}
    config = {"level": 0.02, "num_permutations": 999}
    return Axes("votes", "annotator", found, stopped_p, "pairs", counts, (), config)


def test_axes_say_who_is_divided_and_by_how_much():
    answer = answer_about_axes(axes_with(axis(), axis("lists", p=0.004)))
    assert answer.verdict == "yes"
    assert answer.sentence == (
        "20 annotators differ in “length” (p = 0.001), and on 1 more axis. About 50 % prefer "
        "“longer”, 50 % “shorter”; of 20 the votes of 10 and of 10 suffice to say so."
    )
    assert "at most 2 % of data in which nothing differs" in answer.evidence
    assert [each.verdict for each in answer.findings] == ["yes", "yes"]


def test_the_name_of_a_word_is_in_quotes_once():
    answer = answer_about_axes(axes_with(axis("“time”")))
    assert [each.question for each in answer.findings] == ["Do they differ in “time”?"]
    assert "differ in “time” (p" in answer.sentence


def test_few_contexts_are_told_by_name_and_the_average_as_what_it_is():
    of_two = answer_about_axes(axes_with(axis(effects=2)))
    assert "+1.00 (+0.98 to +1.02) with p0 and -1.00 (-1.02 to -0.98) with p1" in of_two.sentence
    (finding,) = answer_about_axes(axes_with(axis(AVERAGE))).findings
    assert "follow what is liked on average more closely" in finding.text


def test_without_an_axis_the_data_cannot_tell_and_the_clearest_is_named():
    answer = answer_about_axes(axes_with())
    assert answer.verdict == "cannot tell"
    assert answer.sentence == (
        "These data cannot tell what 20 annotators differ in, because none of 130 features passed "
        "the test (the clearest: p = 0.310)."
    )
    assert "no proof" in answer.evidence


def test_more_axes_than_five_are_no_longer_list():
    assert len(answer_about_axes(axes_with(*(axis(f"f{k}") for k in range(8)))).findings) == 5


@pytest.fixture(scope="module")
def fit() -> hc.ItemFit:
    rng = np.random.default_rng(0)
    votes = [
        {
            "first": first,
            "second": second,
            "winner": first if rng.random() < 0.9 else second,
            "annotator": person,
        }
        for person in range(30)
        for first, second in ("ab", "bc", "ac", "cd", "bd")
    ]
    return hc.fit_items(votes, "mean_and_variance", ridge="chosen")


def test_items_say_whether_one_number_each_is_enough_and_which_is_best(fit: hc.ItemFit):
    answer = answer_about_items(fit)
    assert answer.verdict == "cannot tell"
    assert "does not surely predict held-out votes better" in answer.sentence
    assert "nats a vote" in answer.evidence
    best, rules = answer.findings
    assert best.verdict == "yes"
    assert best.text.startswith("“a” is preferred to “b”")
    assert rules.verdict == "yes"
    given = dataclasses.replace(fit, held_out=None)
    assert "the ridge was given" in answer_about_items(given).sentence


def test_a_page_of_items_has_its_picture_and_its_tables(fit: hc.ItemFit):
    (result,) = as_results(fit)
    page = render([result])
    assert page.count('<svg class="plot"') == 1
    assert page.index("answer cannot-tell") < page.index('<figure class="picture"')
    assert page.count("<table>") == 2
