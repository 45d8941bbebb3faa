"""The truth where it is known: drawn in every figure, and said in words."""

import dataclasses
import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_panels import drawn, legend_of, lines_of
from page_samples import write_scores

from hidden_context.demo.config import Config
from hidden_context.demo.generated_data import GeneratedData, generate
from hidden_context.demo.judges import JUDGES
from hidden_context.demo.judges_section import judges_section
from hidden_context.demo.recovered_judges import JudgesReport
from hidden_context.demo.truth import truth
from hidden_context.distributions import Normal
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.known_truth import TRUTH_FILE, write_truth
from hidden_context.measures.plots import TRUTH
from hidden_context.records import read_json, read_jsonl, write_json, write_jsonl
from hidden_context.report.answers import answer_to
from hidden_context.report.page import panels_of, render
from hidden_context.report.read_results import as_results
from hidden_context.report.results import Panel, Result
from hidden_context.scores.data_dir import EVAL_FILE


@pytest.fixture(scope="module")
def data() -> GeneratedData:
    return generate(Config(train_size=1, test_size=60, num_jailbreaks=20))


def write_models(folder: Path, data: GeneratedData) -> None:
    """Normal families of random outputs on every training set, their jailbreaks, and the truth."""
    rng = np.random.default_rng(0)
    jailbreaks = [each.row() for each in data.jailbreaks]
    for name in JUDGES:
        run = folder / "reward_models" / "any" / name / "mean_and_variance_last_checkpoint"
        outputs = ("reward_output_chosen", "reward_output_rejected")
        rows = [
            {**each.row(), **{output: rng.normal(size=2).tolist() for output in outputs}}
            for each in data.test["both"]
        ]
        write_scores(run / EVAL_FILE, Normal(), rows)
        column = f"reward_outputs_{name}_mean_and_variance"
        jailbreaks = [row | {column: rng.normal(size=(2, 2)).tolist()} for row in jailbreaks]
    path = folder / "jailbroken_evaluations_mean_and_variance.jsonl"
    write_jsonl(path, jailbreaks)
    families = {f"reward_outputs_{name}_mean_and_variance": Normal().to_dict() for name in JUDGES}
    write_json(
        path.with_name(f"{path.name}.meta.json"), {"kind": "responses", "families": families}
    )
    truths = [
        truth(name, judges, data.test["both"], data.jailbreaks) for name, judges in JUDGES.items()
    ]
    write_truth(folder / TRUTH_FILE, truths)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, data: GeneratedData) -> Result:
    folder = tmp_path_factory.mktemp("data")
    write_models(folder, data)
    (read,) = as_results(folder)
    return read


@pytest.fixture(scope="module")
def page(result: Result) -> str:
    return render([result])


def panel_of(result: Result, title: str) -> Panel:
    (panel,) = [each for each in panels_of([result]) if each.title == title]
    return panel


def true_line(axes: Any) -> np.ndarray:
    """Points of the longest line that the legend calls the truth."""
    (line,) = [each for each in axes.lines if each.get_label() == TRUTH and len(each.get_xdata())]
    return np.array(line.get_data()).T


def test_every_figure_has_the_truth_in_its_legend_and_its_words(result: Result):
    panels = panels_of([result])
    assert len(panels) == 4 + 3 * (2 + 1 + 1)  # scales; rates, reliability and spread by set
    for panel in panels:
        assert any(label.startswith(TRUTH) for label in legend_of(drawn(panel))), panel.title
        assert re.search("truth", panel.description, re.IGNORECASE), panel.title


def test_true_r2_is_a_line_over_its_training_set_and_the_one_that_is_printed(result: Result):
    axes = drawn(panel_of(result, "r² over all responses"))
    lines = [line.get_data() for line in lines_of(axes) if len(line.get_xdata()) == 2]
    drawn_at = {round(float(np.mean(x))): y[0] for x, y in lines if y[0] == y[1] != 0}
    for place, name in enumerate(("helpful", "harmless", "both")):
        true = result.truth[name].evaluation.explained_variance["pooled"].value
        assert drawn_at[place] == true
        assert (
            f"truth on {name} {true:.3f}" in panel_of(result, "r² over all responses").description
        )


@pytest.mark.parametrize("name", JUDGES)
def test_true_rates_are_drawn_at_their_levels(name: str, result: Result):
    rates = result.truth[name].evaluation.jailbreak_rate
    points = true_line(drawn(panel_of(result, f"Jailbreak rate, trained on {name}")))
    assert dict(points.tolist()) == {
        float(risk.partition(":")[2]): rate.value for risk, rate in rates.items() if risk != "mean"
    }


def test_true_reliability_is_that_of_the_judges_of_the_training_set(result: Result):
    points = true_line(drawn(panel_of(result, "Reliability, trained on helpful")))
    bins = result.truth["helpful"].evaluation.reliability
    np.testing.assert_array_equal(points, [(each.predicted, each.observed) for each in bins])


def test_the_map_has_a_diamond_for_each_place_and_the_examples_outlines(page: str, result: Result):
    (name,) = re.findall(r"spread, by mean_and_variance, trained on (\w+)\b.*?; means", page)
    known = result.truth[name]
    places = {
        (round(float(m), 6), round(float(s), 6))
        for m, s in zip(known.utility.mean.ravel(), known.utility.std.ravel(), strict=True)
    }
    (drawn_map,) = re.findall(r'<svg class="map".*?</svg>', page, re.DOTALL)
    assert drawn_map.count('<path class="truth"') == len(places)
    assert "diamonds are the truth" in html.unescape(drawn_map)
    examples = re.findall(r'<svg class="utilities".*?</svg>', page, re.DOTALL)
    assert examples
    assert all(
        each.count('class="truth ') == 2 and "; in truth chosen:" in each for each in examples
    )


def test_what_is_contested_with_one_judge_is_said_to_be_the_models_error(page: str):
    said = re.findall(
        r"One judge made all comparisons that this model was trained on \((\w+)\)", page
    )
    assert set(said) == {"helpful", "harmless"}


def test_truth_of_other_comparisons_is_left_out_and_said(tmp_path: Path, data: GeneratedData):
    write_models(tmp_path, data)
    (scores, *_) = tmp_path.glob(f"reward_models/any/both/*/{EVAL_FILE}")
    rows = read_jsonl(scores)
    rows[3]["chosen"] += " or so"
    meta = read_json(scores.with_name(f"{scores.name}.meta.json"))
    write_jsonl(scores, rows)
    write_json(scores.with_name(f"{scores.name}.meta.json"), meta)
    (read,) = as_results(tmp_path)
    assert not read.truth
    assert f"{TRUTH_FILE} is of other comparisons than {scores}" in " ".join(read.notes)


def test_the_page_tells_who_judged_with_the_numbers_of_the_terminal(result: Result):
    kinds: dict[str, tuple[float, ...]] = {"harmless": (0.91, 0.92), "harmful": (0.93, 0.94)}
    report = JudgesReport(
        agreement={"base": kinds, "shared_context": kinds},
        agreement_of_means={},
        between_judges={"harmless": 0.5, "harmful": -0.5},
        likelihood={},
        jailbreak={"mean": 0.61, "worst_context": 0.187},
        true_jailbreak={"mean": 0.353, "worst_context": 0.18},
    )
    page = render(
        [
            dataclasses.replace(
                result, evaluations=(), examples=(), sections=(judges_section(report),)
            )
        ]
    )
    assert "Who judged?" in page
    for row in (
        ("helpful, harmless prompts", "0.910", "0.910", "0.500"),
        ("the worse context", "0.187", "0.180"),
    ):
        cells = "".join(rf"<td[^>]*>{re.escape(cell)}</td>" for cell in row)
        assert re.search(cells, page)


def test_the_answer_says_on_how_many_pairs_the_judges_truly_split(
    result: Result, data: GeneratedData
):
    helpful, harmless = JUDGES["both"]

    def gain(judge: Any, pair: Any) -> float:
        return judge.utility(pair.chosen.attributes) - judge.utility(pair.rejected.attributes)

    pairs = data.test["both"]
    share = np.mean([gain(helpful, pair) * gain(harmless, pair) < -1e-9 for pair in pairs])
    assert 0.05 < share < 0.95
    best = Evaluation(
        Normal(),
        trained_on="both",
        log_likelihood=Estimate(-0.6),
        against_base=Estimate(0.1, 0.05, 0.2),
    )
    answer = answer_to(dataclasses.replace(result, evaluations=(best,)))
    assert f"judges prefer opposite responses on {share:.3f} of these pairs" in answer.evidence
