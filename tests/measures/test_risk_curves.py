"""Rates along a level of risk, their intervals, and a level chosen where it is not tested."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hidden_context.commands.summarize import main
from hidden_context.distributions import Categorical, Normal, Point
from hidden_context.errors import UserError
from hidden_context.measures.risk_curves import (
    CURVES,
    choose_level,
    clustered_rates,
    risk_curve,
)
from hidden_context.measures.summary import rate
from hidden_context.records import meta_path, write_json, write_jsonl
from hidden_context.scores.model_scores import ModelScores, find_model_scores
from hidden_context.scores.score_files import (
    ScoredComparisons,
    ScoredJailbreaks,
    comparison_prompt,
)

WIDE, NARROW = 3.0, -3.0
"""Raw deviations: softplus is 3.05 and 0.05."""


def scores(
    jailbreaks: list[tuple[list[float], list[float]]],
    comparisons: list[tuple[list[float], list[float]]],
    *,
    name: str,
    family: Any = None,
) -> ModelScores:
    """Raw outputs of (safe, unsafe) and of (chosen, rejected), prompts named after `name`."""
    safe, unsafe = (np.array(side, np.float32) for side in zip(*jailbreaks, strict=True))
    chosen, rejected = (np.array(side, np.float32) for side in zip(*comparisons, strict=True))
    family = family or Normal()
    n = len(chosen)
    prompts = [
        np.array([f"{name} {part}{index}" for index in range(size)])
        for part, size in (("jailbreak", len(safe)), ("comparison", n))
    ]
    scored = ScoredJailbreaks("both", family, "x", safe, unsafe, np.ones(len(safe)), prompts[0])
    compared = ScoredComparisons(
        "both", family, "run", chosen, rejected, np.ones(n, bool), np.ones((n, 2)), prompts[1]
    )
    return ModelScores(scored, compared)


RISKY = ([0.0, NARROW], [1.0, WIDE])
"""The unsafe response has the higher mean; it is the lower from about the 0.37-quantile down."""
CLEAR = ([1.0, NARROW], [0.0, NARROW])
WORTH_THE_RISK = ([1.0, WIDE], [0.0, NARROW])
"""The chosen response is the wider: averse levels get it wrong."""


# Curves


def test_a_curve_is_the_rate_of_its_own_quantile_at_each_level() -> None:
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.normal(size=(2, 10)).tolist()) for _ in range(60)]
    both = scores(pairs, pairs, name="a", family=Categorical())
    curve = risk_curve(both, CURVES["quantile"])
    assert both.jailbreaks is not None
    first, second = map(
        both.jailbreaks.family.decode, (both.jailbreaks.unsafe, both.jailbreaks.safe)
    )
    for level in (0.005, 0.1, 0.5):
        point = curve.at(f"quantile:{level}")
        assert point.jailbreak == rate(first.quantile(level), second.quantile(level))
        assert point.accuracy is not None
        assert point.accuracy.corrected == pytest.approx(
            rate(second.quantile(level), first.quantile(level)).corrected
        )
    assert curve.at("mean").jailbreak == rate(first.mean, second.mean)
    assert (curve.longer_is_unsafe, curve.longer_is_chosen) == (1.0, 0.5)


def test_curves_of_quantile_and_cvar_run_from_a_half_to_one_in_two_hundred() -> None:
    for name in ("quantile", "cvar"):
        levels = [risk.parameter for risk in CURVES[name]]
        assert (levels[0], levels[-1]) == (0.5, 0.005)
        assert levels == sorted(levels, reverse=True)  # pyrefly: ignore


@pytest.mark.parametrize("name", ["quantile", "cvar", "lcb"])
def test_a_wide_unsafe_response_is_preferred_less_and_less(name: str) -> None:
    curve = risk_curve(scores([RISKY, CLEAR], [CLEAR], name="a"), CURVES[name])
    rates = [point.jailbreak.corrected for point in curve.points if point.jailbreak is not None]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[-1]) == (0.5, 0.0)


def test_a_scalar_model_has_a_mean_and_no_levels() -> None:
    points = scores([([0.0], [1.0])], [([1.0], [0.0])], name="a", family=Point())
    assert [point.risk for point in risk_curve(points, CURVES["cvar"]).points] == ["mean"]


# Intervals


def test_rows_of_their_own_prompts_have_wilsons_interval_nearly() -> None:
    """At n = 400 both are within 5 % of ±1.96 standard errors; so is the bootstrap's noise."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.3, 1, size=(1, 400)), np.zeros((1, 400))
    (found,) = clustered_rates(first, second, np.arange(400).astype(str))
    plain = rate(first[0], second[0])
    width = plain.high - plain.low
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.1 * width)
    assert found.corrected == plain.corrected


def test_saying_everything_four_times_does_not_narrow_an_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.3, 1, size=(2, 50)), np.zeros((2, 50))
    prompt = np.arange(50).astype(str)
    once = clustered_rates(first, second, prompt)
    often = clustered_rates(np.tile(first, 4), np.tile(second, 4), np.tile(prompt, 4))
    for single, repeated in zip(once, often, strict=True):
        assert (single.low, single.high) == pytest.approx((repeated.low, repeated.high))


def test_intervals_over_prompts_cover_the_truth() -> None:
    """40 prompts of 5 rows that all agree, in 200 repetitions.

    The nominal 95 % less 3 % for 40 prompts and three standard errors (1.5 %) of 200 repetitions;
    intervals that take the 200 rows as independent cover 62 % (a normal within 1.96 / √5).
    """
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        first = np.repeat(rng.random((1, 40)) < 0.6, 5, axis=1) - 0.5
        (found,) = clustered_rates(first, np.zeros((1, 200)), np.repeat(np.arange(40), 5))
        covered.append(found.low <= 0.6 <= found.high)
    assert np.mean(covered) > 0.95 - 0.03 - 0.045


def test_one_prompt_says_nothing_about_others() -> None:
    (found,) = clustered_rates(np.ones((1, 9)), np.zeros((1, 9)), np.full(9, "same"))
    assert (found.corrected, found.low, found.high) == (1.0, 0.0, 1.0)


# The choice


def test_the_level_with_the_lowest_jailbreak_rate_is_chosen_and_of_equals_the_least_averse() -> (
    None
):
    validation = scores([RISKY, RISKY], [CLEAR], name="validation")
    test = scores([RISKY, CLEAR], [CLEAR, WORTH_THE_RISK], name="test")
    choice = choose_level(validation, test, CURVES["quantile"])
    assert choice.risk == "quantile:0.3"
    assert [point.risk for point in choice.test.points] == ["mean", "quantile:0.3"]
    by_mean, chosen = choice.test.points
    assert by_mean.jailbreak is not None
    assert chosen.jailbreak is not None
    assert chosen.accuracy is not None
    assert (by_mean.jailbreak.corrected, chosen.jailbreak.corrected) == (0.5, 0.0)
    assert chosen.accuracy.corrected == 0.5  # the second comparison is lost


def test_accuracy_is_given_up_within_the_tolerance_and_no_further() -> None:
    """One comparison of four is lost by averse levels: an accuracy of 0.75 in place of 1."""
    validation = scores([RISKY], [CLEAR] * 3 + [WORTH_THE_RISK], name="validation")
    test = scores([RISKY], [CLEAR], name="test")
    for tolerance, chosen in ((0.0, "mean"), (0.24, "mean"), (0.25, "quantile:0.3")):
        found = choose_level(validation, test, CURVES["quantile"], tolerance=tolerance)
        assert found.risk == chosen, tolerance


def test_the_choice_does_not_look_at_the_test_scores() -> None:
    validation = scores([RISKY], [CLEAR], name="validation")
    tests = [
        scores([RISKY], [CLEAR], name="test"),
        scores([CLEAR[::-1]], [WORTH_THE_RISK], name="test"),
    ]
    risks = {choose_level(validation, test, CURVES["cvar"]).risk for test in tests}
    assert len(risks) == 1


def test_a_level_is_not_chosen_on_prompts_that_it_is_tested_on() -> None:
    whole = scores([RISKY, CLEAR], [CLEAR, CLEAR], name="a")
    other = scores([RISKY], [CLEAR], name="b")
    assert other.jailbreaks is not None
    assert whole.comparisons is not None
    crossed = ModelScores(  # a jailbreak that is a comparison of the other
        replace(other.jailbreaks, prompt=whole.comparisons.prompt[:1]), other.comparisons
    )
    for test in (whole, crossed):
        with pytest.raises(UserError, match=r"share \d prompts \(one: 'a .*choose the level on"):
            choose_level(whole, test, CURVES["quantile"])


def test_a_choice_needs_both_rates_of_one_model_and_a_tolerance() -> None:
    whole, other = (scores([RISKY], [CLEAR], name=name) for name in "ab")
    partial = ModelScores(whole.jailbreaks)
    with pytest.raises(UserError, match="one of them is missing"):
        choose_level(partial, other, CURVES["quantile"])
    scalar = scores([([0.0], [1.0])], [([1.0], [0.0])], name="c", family=Point())
    with pytest.raises(UserError, match="give scores of one model"):
        choose_level(scalar, other, CURVES["quantile"])
    with pytest.raises(UserError, match=r"tolerance of -0\.1 is outside"):
        choose_level(whole, other, CURVES["quantile"], tolerance=-0.1)


# Prompts


def test_the_prompt_of_a_comparison_is_its_column_or_how_both_texts_begin() -> None:
    outputs = {"reward_output_chosen": [1.0], "reward_output_rejected": [0.0]}
    dialogue = "\n\nHuman: bread?\n\nAssistant:"
    texts = {"chosen": f"{dialogue} flour and", "rejected": f"{dialogue} flour or"}
    user = [{"role": "user", "content": "bread?"}]
    chat = {
        side: [*user, {"role": "assistant", "content": side}] for side in ("chosen", "rejected")
    }
    rows: list[dict[str, Any]] = [
        {**outputs, **texts},
        {**outputs, **texts, "prompt": dialogue.strip()},
        {**outputs, **chat},
        {**outputs, **chat, "prompt": user},
        outputs,
        {**outputs, "reward_output_chosen": [2.0]},
    ]
    found = [comparison_prompt(row) for row in rows]
    assert found[0] == found[1] == "Human: bread?"
    assert found[2] == found[3]
    assert len(set(found)) == 4


# The command


def save(data_dir: Path, name: str) -> Path:
    """A model's files: two prompts, each in two comparisons, and a jailbreak."""
    run = data_dir / "reward_models/any/both/mean_and_variance_last_checkpoint"
    rows = [
        {
            "prompt": f"{name} {index // 2}?",
            "chosen": f"{name} {index // 2}? yes",
            "rejected": f"{name} {index // 2}? no, never",
            "objective": "helpful",
            "reward_output_chosen": CLEAR[0],
            "reward_output_rejected": CLEAR[1],
        }
        for index in range(4)
    ]
    file = run / "eval_results_both.jsonl"
    write_jsonl(file, rows)
    write_json(meta_path(file), {"families": {"reward_output": Normal().to_dict()}})
    file = data_dir / "jailbroken_evaluations_mean_and_variance.jsonl"
    responses = {"prompt": f"{name} jailbreak?", "responses": ["no", "yes!"]}
    write_jsonl(file, [{**responses, "reward_outputs_both_mean_and_variance": list(RISKY)}])
    record = {"families": {"reward_outputs_both_mean_and_variance": Normal().to_dict()}}
    write_json(meta_path(file), record)
    return data_dir


def test_both_kinds_of_scores_of_a_model_are_found_together(tmp_path: Path) -> None:
    (found,) = find_model_scores(save(tmp_path, "a"))
    assert found.jailbreaks is not None
    assert found.jailbreaks.prompt.tolist() == ["a jailbreak?"]
    assert found.comparisons is not None
    assert found.comparisons.prompt.tolist() == ["a 0?", "a 0?", "a 1?", "a 1?"]
    assert found.prompts == {"a jailbreak?", "a 0?", "a 1?"}
    for side in (found.jailbreaks, found.comparisons):
        assert side is not None
        assert (side.family, side.trained_on) == (Normal(), "both")


def test_two_runs_of_one_family_and_training_set_are_not_mixed_up(tmp_path: Path) -> None:
    save(tmp_path, "a")
    (run,) = (tmp_path / "reward_models/any/both").iterdir()
    other = run.with_name("mean_and_variance_other_last_checkpoint")
    other.mkdir()
    for file in run.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="are both mean_and_variance trained on both; leave one"):
        find_model_scores(tmp_path)


def test_curves_are_printed_below_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--data_dir={save(tmp_path, 'a')}", "--curves=lcb", "--markdown"]) == 0
    printed = capsys.readouterr().out
    assert "### By level of risk: mean_and_variance, trained on both" in printed
    assert "| mean     | 1.000 [0.207, 1.000] | 1.000 [1.000, 1.000] |" in printed
    assert "| lcb:2.0  | 0.000 [0.000, 0.793] | 1.000 [1.000, 1.000] |" in printed
    assert "| longer   | 1.0000               | 0.0000               |" in printed


def test_the_chosen_level_is_printed_with_its_test_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [f"--data_dir={save(tmp_path / 'a', 'a')}", f"--validation_dir={tmp_path / 'b'}"]
    save(tmp_path / "b", "b")
    assert main([*folders, "--curves=quantile"]) == 0
    printed = capsys.readouterr().out
    (chosen,) = (line for line in printed.splitlines() if "chosen: quantile:0.3" in line)
    assert chosen.count("0.000 [0.000, 0.793]") == chosen.count("1.000 [1.000, 1.000]") == 2
    assert "at least as accurate as the mean less 0.01" in printed
    assert main([*folders, "--curves=quantile", "--json"]) == 0
    (choice,) = json.loads(capsys.readouterr().out)["choices"]
    assert choice["risk"] == "quantile:0.3"
    assert [point["risk"] for point in choice["test"]["points"]] == ["mean", "quantile:0.3"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--risk", "quantile:0"], "risk 'quantile:0' is not understood"),
        (["--validation_dir={a}"], "--validation_dir chooses a level of --curves; give that flag"),
        (["--curves=cvar", "--validation_dir={a}/none"], "none is not a folder"),
        (["--curves=cvar", "--validation_dir={a}/../a"], "are both"),
        (["--curves=cvar", "--validation_dir={copy}"], "share 3 prompts (one: 'a 0?')"),
        (["--curves=cvar", "--validation_dir={empty}"], "has scores of no model of"),
        (["--curves=cvar", "--validation_dir={b}", "--tolerance=nan"], "tolerance of nan is"),
    ],
)
def test_a_choice_that_cannot_be_made_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    names = {"a": "a", "copy": "a", "b": "b"}
    folders = {folder: save(tmp_path / folder, name) for folder, name in names.items()}
    folders["empty"] = tmp_path / "empty"
    folders["empty"].mkdir()
    given = [flag.format(**folders) for flag in flags]
    assert main([f"--data_dir={folders['a']}", *given]) == 2
    assert message in capsys.readouterr().err
