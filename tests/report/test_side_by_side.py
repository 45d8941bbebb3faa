"""Several score files of the same comparisons: one chapter, one answer, a row for each model."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_samples import comparison_rows, write_scores

from hidden_context.distributions import Categorical, Family, Normal, Point
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.records import meta_path, read_json, write_json
from hidden_context.report.page import render
from hidden_context.report.read_results import OTHER_COMPARISONS, as_results
from hidden_context.report.results import Answer, Result
from hidden_context.report.side_by_side import BEST
from hidden_context.scores.score_files import load_scores

ROWS = 120


def outputs(gap: float, *, seed: int, num_outputs: int = 1) -> list[dict[str, Any]]:
    """Columns of a model that is right by a margin of its own, with noise."""
    rng = np.random.default_rng(seed)
    first = rng.normal(scale=0.3, size=(ROWS, num_outputs)) + gap
    second = rng.normal(scale=0.3, size=(ROWS, num_outputs))
    if num_outputs > 1:
        first[:, 1] = second[:, 1] = 0.5
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    names = ("reward_output_chosen", "reward_output_rejected")
    return [dict(zip(names, pair, strict=True)) for pair in pairs]


def write(path: Path, family: Family, columns: Sequence[dict[str, Any]], **meta: Any) -> Path:
    """Scores of the same comparisons whatever the model."""
    rows = comparison_rows(Point(), num_rows=ROWS)
    write_scores(path, family, [{**row, **of} for row, of in zip(rows, columns, strict=True)])
    held_out = {"rows": 0, "of_rows": ROWS, "prompts": 0, "of_prompts": ROWS // 2}
    record = {**read_json(meta_path(path)), "overlap": {"reward_output": held_out}, **meta}
    write_json(meta_path(path), record)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good.jsonl", Normal(), outputs(1.2, seed=1, num_outputs=2))


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    return write(tmp_path / "poor.jsonl", Point(), outputs(0.1, seed=2))


def one_result(*paths: Path) -> tuple[Result, Answer]:
    (result,) = as_results(list(paths))
    assert result.answer is not None
    return result, result.answer


def test_two_files_of_the_same_comparisons_are_one_chapter_with_a_row_for_each(
    poor: Path, good: Path
):
    result, answer = one_result(poor, good)
    assert result.title == "2 models on the same 120 comparisons"
    assert result.command == f"hidden-context report {poor} {good}"
    assert result.numbers is not None
    assert [row[:2] for row in result.numbers.rows] == [
        ("mean_and_variance", "good"),
        ("base", "poor"),
    ]
    scores = [load_scores(path) for path in (good, poor)]
    gap = likelihood_ratio(
        scores[0].log_likelihood, scores[1].log_likelihood, scores[0].prompt, votes=scores[0].votes
    )
    number = f"{gap.value:.4f} ({gap.low:.4f} to {gap.high:.4f})"
    assert answer.verdict == "yes"
    assert answer.sentence == (
        "mean_and_variance predicts these 120 held-out comparisons better than base: by "
        f"{number} nats per vote."
    )
    behind = dict(zip(result.numbers.headers, result.numbers.rows[1], strict=True))
    assert behind["nats behind the best"].startswith(f"−{gap.value:.4f}")
    assert len(answer.findings) <= 5


def test_models_that_cannot_be_told_apart_are_said_to_be_so(tmp_path: Path, good: Path):
    twin = write(tmp_path / "twin.jsonl", Normal(), outputs(1.2, seed=3, num_outputs=2))
    result, answer = one_result(good, twin)
    assert answer.verdict == "cannot tell"
    assert "cannot tell whether mean_and_variance (" in answer.sentence
    assert "people better: the difference is" in answer.sentence
    assert result.numbers is not None
    assert {row[0] for row in result.numbers.rows} == {
        "mean_and_variance (1)",
        "mean_and_variance (2)",
    }


def test_of_more_than_two_each_is_held_against_each(tmp_path: Path, poor: Path, good: Path):
    third = write(tmp_path / "third.jsonl", Categorical(), outputs(0.2, seed=4, num_outputs=10))
    result, answer = one_result(poor, good, third)
    assert "which comes nearest" in answer.sentence
    assert "Surely worse than mean_and_variance: " in answer.evidence
    assert result.lead is not None
    ((_, table),) = result.lead.tables
    assert len(table.rows) == 3
    assert not [row for row in table.rows if row[2].startswith("−")]  # the better one first


def test_a_model_that_saw_these_prompts_is_not_called_the_best(tmp_path: Path, poor: Path):
    seen = {"rows": 30, "of_rows": ROWS, "prompts": 15, "of_prompts": ROWS // 2}
    columns = outputs(1.2, seed=1, num_outputs=2)
    path = write(tmp_path / "seen.jsonl", Normal(), columns, overlap={"reward_output": seen})
    _, answer = one_result(poor, path)
    assert answer.verdict == "cannot tell"
    assert "30 of the 120 comparisons are of prompts that it was trained on" in answer.sentence
    assert {each.question: each.verdict for each in answer.findings}[
        "Are these figures held-out?"
    ] == "no"


def test_a_distribution_says_more_only_where_both_were_trained_alike(tmp_path: Path, good: Path):
    question = "Would a single score hide something?"
    verdicts = []
    for rule in ("after 1 epoch", "after 9 epochs"):
        write(good, Normal(), outputs(1.2, seed=1, num_outputs=2), stopping_rule="after 1 epoch")
        poor = write(tmp_path / "poor.jsonl", Point(), outputs(0.1, seed=2), stopping_rule=rule)
        _, answer = one_result(good, poor)
        verdicts += [each.verdict for each in answer.findings if each.question == question]
    assert verdicts == ["yes", "cannot tell"]


def test_a_model_that_may_be_a_coin_does_not_say_what_a_single_score_would_hide(
    tmp_path: Path, poor: Path
):
    """The gain may be that it lost less while it learned nothing."""
    weak = write(tmp_path / "weak.jsonl", Normal(), outputs(0.0, seed=3, num_outputs=2))
    _, answer = one_result(weak, poor)
    (found,) = [each for each in answer.findings if each.question.startswith("Would a single")]
    assert (found.verdict, "no better than a coin" in found.text) == ("cannot tell", True)


def test_files_of_other_comparisons_stay_apart_and_it_is_said(tmp_path: Path, good: Path):
    other = write_scores(tmp_path / "other.jsonl", Point(), comparison_rows(Point(), num_rows=20))
    results = as_results([good, other])
    assert [result.title.partition(":")[0] for result in results] == [
        "Comparisons scored by mean_and_variance",
        "Comparisons scored by base",
    ]
    assert all(OTHER_COMPARISONS in result.notes for result in results)


def test_scores_in_memory_are_held_against_each_other_too(poor: Path, good: Path):
    scores = [replace(load_scores(path), trained_on="mine") for path in (poor, good)]
    (result,) = as_results(scores)
    assert result.lead is not None
    assert result.lead.title == BEST


def test_the_page_begins_with_the_differences_and_shows_the_map_with_the_comparisons(
    poor: Path, good: Path
):
    page = render(as_results([poor, good]))
    answer, picture = page.index('class="answer yes"'), page.index("Log-likelihood behind the best")
    table, section = page.index('<td data-label="model"'), page.index(f">{BEST}</h3>")
    comparisons, drawn = page.index(">Comparisons to look at</h3>"), page.index('class="map"')
    assert answer < picture < table < section < comparisons < drawn
    assert "trained on good" not in page
    (linked,) = re.findall(r'<a href="#([^"]+)">Log-likelihood behind the best</a> is drawn', page)
    assert f'<figure class="picture" id="{linked}">' in page


def test_further_votes_on_a_pair_do_not_show_it_again_with_its_sides_exchanged(tmp_path: Path):
    rows = comparison_rows(Normal(), num_rows=30)
    names = ("chosen", "rejected")
    exchange = {
        f"{start}{a}": f"{start}{b}"
        for start in ("", "reward_output_")
        for a, b in (names, names[::-1])
    }
    rows += [{exchange.get(name, name): value for name, value in row.items()} for row in rows]
    path = write_scores(tmp_path / "twice.jsonl", Normal(), rows)
    page = render(as_results(path), num_examples=30)
    for kind in re.findall(
        r'<details class="examples">.*?\n</details>\n(?=<details class="ex|<h3)', page, re.DOTALL
    ):
        numbers = [(int(row) - 1) % 30 for row in re.findall(r"<h4>Row (\d+)", kind)]
        assert len(numbers) == len(set(numbers)) > 1
    sides = re.findall(
        r'<div class="side chosen">.*?<div class="turn" dir="auto">(.*?)</div>', page, re.DOTALL
    )
    texts = [int(text.split()[1].rstrip(",")) for text in sides]
    assert len(texts) == len(set(texts)) == 30  # each pair's texts once on the page
    assert "this pair is shown above" in page
