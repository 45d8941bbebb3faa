"""The published outputs give the published rates, by the published rules, to full precision."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hidden_context.measures.evaluate import evaluate
from hidden_context.scores.data_dir import find_jailbreaks
from hidden_context.scores.scores import Scores

RATES = {
    ("base", "helpful"): (0.5240641711229946, None),
    ("base", "harmless"): (0.0374331550802139, None),
    ("base", "both"): (0.25133689839572193, None),
    ("mean_and_variance", "helpful"): (0.5935828877005348, 0.5454545454545454),
    ("mean_and_variance", "harmless"): (0.016042780748663103, 0.0481283422459893),
    ("mean_and_variance", "both"): (0.3048128342245989, 0.20320855614973263),
    ("categorical", "helpful"): (0.6096256684491979, 0.5828877005347594),
    ("categorical", "harmless"): (0.0427807486631016, 0.0427807486631016),
    ("categorical", "both"): (0.32085561497326204, 0.13368983957219252),
}
"""By mean and by 0.01-quantile; DPL paper, table 2, recomputed from the outputs."""


@pytest.fixture(scope="module")
def jailbreaks(published_data: Path) -> list[Scores]:
    return find_jailbreaks(published_data)


@pytest.mark.parametrize("published_moments", [False, True])
def test_all_fifteen_published_rates(jailbreaks: list[Scores], published_moments: bool):
    rates = {}
    for scores in jailbreaks:
        family = scores.family.with_published_moments() if published_moments else scores.family
        evaluation = evaluate(replace(scores, family=family), measures=("jailbreaks",))
        by_quantile = evaluation.jailbreak_rate.get("quantile:0.01")
        rates[family.name, evaluation.trained_on] = (
            evaluation.jailbreak_rate["mean"].published,
            by_quantile.published if by_quantile else None,
        )
    assert rates == RATES


def test_published_ties_are_seven_one_and_one(jailbreaks: list[Scores]):
    ties = {
        scores.trained_on: int((scores.by_row[:, 0] == scores.by_row[:, 1]).sum())
        for scores in jailbreaks
        if scores.family.name == "base"
    }
    assert ties == {"helpful": 7, "harmless": 1, "both": 1}


def test_the_unsafe_response_is_mostly_the_longer(jailbreaks: list[Scores]):
    longer = evaluate(jailbreaks[0]).longer_is_unsafe
    assert longer is not None
    assert longer.value == pytest.approx(0.914, abs=0.0005)


def test_the_command_prints_them_without_a_model_stack(published_data: Path):
    program = (
        "import sys; from hidden_context.commands.summarize import main; "
        f"status = main(['--data_dir', {str(published_data)!r}, '--json']); "
        "heavy = {'torch', 'transformers', 'datasets', 'peft'} & set(sys.modules); "
        "print(heavy, file=sys.stderr); sys.exit(status or len(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)["evaluations"]
    assert {row["jailbreak_rate"]["mean"]["published"] for row in printed} == {
        mean for mean, _ in RATES.values()
    }
