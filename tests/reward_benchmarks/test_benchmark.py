"""`benchmark` as a program calls it: from scores, by risks, by length, and what is told."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reward_benchmarks.made_rows import ROWS, judgebench_rows, made_rewards, made_scores

import hidden_context as hc
from hidden_context.distributions import make_family
from hidden_context.errors import UserError
from hidden_context.records import json_text
from hidden_context.reward_benchmarks.benchmark import BENCHMARKS
from hidden_context.scores.scores import Scores


def normal_scores(name: str) -> Scores:
    """The made rewards as means, with standard deviations that turn the order."""
    scores = made_scores(name)
    std = np.array(made_rewards(len(scores.raw), start=1000))
    fields: Any = vars(scores) | {"family": make_family("mean_and_variance")}
    fields["raw"] = np.column_stack([scores.raw[:, 0], std]).astype(np.float32)
    return Scores(**{name: fields[name] for name in Scores.__dataclass_fields__})


@pytest.mark.parametrize("name", ROWS)
def test_the_figures_by_a_risk_are_those_of_its_rewards(name: str) -> None:
    scores = normal_scores(name)
    result = hc.benchmark(scores, name, risks=["quantile:0.1", "mean"])
    assert list(result.figures) == ["mean", "quantile:0.1"]
    rewards = hc.parse_risk("quantile:0.1")(scores.family.decode(scores.raw.astype(float)))
    by_hand = hc.benchmark(made_scores(name, list(map(float, rewards))), name)
    of_risk = {each: value.value for each, value in result.figures["quantile:0.1"].items()}
    expected = {each: value.value for each, value in by_hand.by_mean.items()}
    assert of_risk == pytest.approx(expected, abs=1e-9)  # rewards in float32
    assert of_risk != {each: value.value for each, value in result.by_mean.items()}


@pytest.mark.parametrize("name", ROWS)
def test_length_as_a_reward_has_the_figures_of_the_length_baseline(name: str) -> None:
    scores = made_scores(name)
    assert scores.lengths is not None
    result = hc.benchmark(scores, name)
    by_length = hc.benchmark(made_scores(name, scores.lengths.tolist()), name)
    assert result.longer == by_length.by_mean
    by_shortness = hc.benchmark(made_scores(name, (-scores.lengths).tolist()), name)
    assert result.shorter == by_shortness.by_mean


def test_contexts_that_responses_share_are_centred_within_a_row() -> None:
    """A shift of one context for all responses of a row changes no figure."""
    family = make_family("shared_context").with_num_outputs(4)
    sizes = made_scores("rewardbench2").sizes
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(int(sizes.sum()), 4))
    shifted = raw.copy()
    for rows in np.split(np.arange(len(raw)), np.cumsum(sizes)[:-1]):
        shifted[rows, 0] += rng.normal(0, 5)
    results = []
    for outputs in (raw, shifted):
        fields: Any = vars(made_scores("rewardbench2")) | {"family": family, "raw": outputs}
        scores = Scores(**{name: fields[name] for name in Scores.__dataclass_fields__})
        results.append(hc.benchmark(scores, "rewardbench2", risks=["worst_context"]))
    for risk in ("mean", "worst_context"):
        values = [[each.value for each in result.figures[risk].values()] for result in results]
        assert values[0] == pytest.approx(values[1])


def test_saved_scores_have_the_same_result(tmp_path: Path) -> None:
    for name in ROWS:
        scores = normal_scores(name)
        scores.save(tmp_path / f"{name}.jsonl")
        again = hc.load_scores(tmp_path / f"{name}.jsonl")
        result, expected = (hc.benchmark(each, name).to_dict() for each in (again, scores))
        assert result | {"model": ""} == expected | {"model": ""}
        assert hc.benchmark(again, name, ROWS[name]()).to_dict() == result


def test_scores_of_other_rows_are_refused() -> None:
    rows = judgebench_rows()
    scores = made_scores("judgebench")
    with pytest.raises(UserError, match="rows has 26 rows, but there are scores of 27"):
        hc.benchmark(scores, "judgebench", rows[1:])
    rows[4]["label"] = "A>B" if rows[4]["label"] == "B>A" else "B>A"
    with pytest.raises(UserError, match=r"rows, row 5: the scores are of other responses"):
        hc.benchmark(scores, "judgebench", rows)
    with pytest.raises(UserError, match="scores are not scored again; leave out max_length"):
        hc.benchmark(scores, "judgebench", max_length=3)
    with pytest.raises(UserError, match="a model needs the benchmark's rows"):
        hc.benchmark(object(), "judgebench")  # type: ignore
    with pytest.raises(UserError, match="scores, row 1: domain 'None' is not one"):
        hc.benchmark(scores, "rm-bench")
    with pytest.raises(UserError, match="worst_context"):
        hc.benchmark(scores, "judgebench", risks=["worst_context"])


def published_judgebench() -> list[dict[str, Any]]:
    """As many rows as the published data have, two thirds of them A>B."""
    counts = BENCHMARKS["judgebench"].published[0]
    names = [source for source, count in counts.items() for _ in range(count)]
    row = judgebench_rows()[0]
    return [
        row | {"source": source, "question": f"Q{n}", "label": "B>A" if n % 3 else "A>B"}
        for n, source in enumerate(names)
    ]


def test_ties_missing_rows_and_overlong_texts_are_told() -> None:
    result = hc.benchmark(made_scores("judgebench"), "judgebench")
    assert result.notes[-1].startswith("not the published rows, so not comparable with the leade")
    assert "mmlu-pro 11 of 154, livebench-reasoning 7 of 98" in result.notes[-1]
    rows = published_judgebench()
    scores = made_scores(
        "judgebench", prompt=np.array([row["question"] for row in judgebench_rows()])
    )
    items = BENCHMARKS["judgebench"].read(rows, "rows")
    fields: Any = vars(scores) | {
        "raw": np.zeros((700, 1), np.float32),
        "sizes": np.full(350, 2),
        "prompt": np.arange(350),
        "rows": [item.row for item in items],
        "lengths": None,
        "record": {"counts": {"overlong_rows": 3}},
    }
    scores = Scores(**{name: fields[name] for name in Scores.__dataclass_fields__})
    result = hc.benchmark(scores, "judgebench")
    assert result.notes == (
        "3 of 350 rows have an over-long text, which was cut.",
        "350 of 350 rows have a right and a wrong response of exactly the same reward, which is "
        "wrong.",
    )
    assert result.by_mean["Overall"].value == 0
    assert result.longer == {}


def test_a_result_is_shown_as_text_table_and_strict_json() -> None:
    result = hc.benchmark(normal_scores("rm-bench"), "rm-bench", risks=["cvar:0.1"])
    text = str(result)
    assert text.startswith("rm-bench: made (mean_and_variance), 25 rows, 25 prompts\n")
    assert re.search(r"total_avg_acc +0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", text)
    assert "by cvar:0.1" in text
    assert "calibration error" in text
    assert "where wrong" in text
    frame = result.to_frame()
    assert set(frame["by"]) == {"mean", "cvar:0.1", "longer", "shorter"}
    total = frame[(frame["by"] == "mean") & (frame["figure"] == result.main)]
    assert total["value"].item() == result.by_mean[result.main].value
    plain = json.loads(json_text(result.to_dict()))
    assert plain["rows"] == {"chat": 5, "code": 4, "math": 6, "safety": 10}
    assert plain["figures"]["cvar:0.1"]["chat"]["how"] == "Wilson, 5 prompts"
    assert plain["confidence"]["num_pairs"] == 225
