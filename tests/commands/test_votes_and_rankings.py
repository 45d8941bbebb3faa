"""Votes, ties, strengths and rankings through the commands: trained, evaluated, summarised."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_tiny_model

from hidden_context.distributions import family_from_dict
from hidden_context.records import meta_path, read_json, read_jsonl, write_jsonl

Run = Callable[..., tuple[int, str, str]]
Rows = list[dict[str, Any]]
WORDS = ["bread", "flour", "water", "salt", "yeast", "dough", "rise", "bake"]
NUM_ROWS = 16


def text(source: random.Random) -> str:
    return " ".join(source.choices(WORDS, k=5))


def pair(source: random.Random, index: int, *columns: str) -> dict[str, Any]:
    prompt = f"Human: {WORDS[index % 4]}?\n\nAssistant: "
    return {"prompt": prompt, **{column: text(source) for column in columns}}


def votes() -> Rows:
    """Of two to eleven people, ties among them."""
    source = random.Random(0)
    return [
        {
            **pair(source, index, "response_a", "response_b"),
            "wins": source.randint(1, 5),
            "losses": source.randint(1, 4),
            "ties": source.randint(0, 2),
            "weight": source.choice([0.5, 1.0, 2.0]),
        }
        for index in range(NUM_ROWS)
    ]


def soft_labels() -> Rows:
    source = random.Random(0)
    rows = [pair(source, index, "chosen", "rejected") for index in range(NUM_ROWS)]
    return [{**row, "probability": source.random()} for row in rows]


def strengths() -> Rows:
    """In HelpSteer 3's layout."""
    source = random.Random(0)
    rows = [pair(source, index, "response1", "response2") for index in range(NUM_ROWS)]
    return [{**row, "overall_preference": index % 7 - 3} for index, row in enumerate(rows)]


def arena() -> Rows:
    source = random.Random(0)
    names = ("winner_model_a", "winner_model_b", "winner_tie")
    return [
        {
            **pair(source, index, "response_a", "response_b"),
            **{name: int(index % 3 == place) for place, name in enumerate(names)},
        }
        for index in range(NUM_ROWS)
    ]


def rankings() -> Rows:
    source = random.Random(0)
    sizes = [2 + index % 3 for index in range(NUM_ROWS)]
    return [
        {
            **pair(source, index),
            "responses": [text(source) for _ in range(size)],
            "ranking": source.sample(range(size), size),
        }
        for index, size in enumerate(sizes)
    ]


def dense() -> Rows:
    """Six responses to one prompt, each compared with each."""
    source = random.Random(0)
    responses = [text(source) for _ in range(6)]
    pairs = [source.sample(responses, 2) for _ in range(60)]
    return [{"prompt": "Human: bread? ", "chosen": a, "rejected": b} for a, b in pairs]


def plain() -> Rows:
    source = random.Random(0)
    return [pair(source, index, "chosen", "rejected") for index in range(NUM_ROWS)]


DATA: dict[str, Callable[[], Rows]] = {
    make.__name__: make for make in (votes, soft_labels, strengths, arena, rankings, dense, plain)
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and all data."""
    folder = tmp_path_factory.mktemp("votes")
    save_tiny_model(folder / "model")
    for name, make in DATA.items():
        write_jsonl(folder / f"{name}.jsonl", make())
    return folder


def train_flags(folder: Path, data: str, out: Path, *more: str) -> list[str]:
    file = f"{folder / data}.jsonl"
    return [
        "train",
        f"--model_name={folder / 'model'}",
        f"--data_path={file}",
        f"--eval_data_path={file}",
        f"--output_dir={out}",
        "--use_peft=false",
        "--learning_rate=0.001",
        "--per_device_train_batch_size=8",
        *more,
    ]


def evaluate_flags(folder: Path, data: str, checkpoint: Path, output: Path) -> list[str]:
    flags = ["evaluate", f"--reward_model_checkpoint={checkpoint}", f"--output={output}"]
    return [*flags, f"--data_path={folder / data}.jsonl"]


@pytest.mark.parametrize(
    ("data", "family"),
    [
        ("votes", "base"),
        ("votes", "mean_and_variance"),
        ("votes", "shared_context"),
        ("soft_labels", "mixture"),
        ("strengths", "mean_and_variance"),
        ("strengths", "categorical"),
        ("arena", "quantile"),
    ],
)
def test_what_is_trained_is_evaluated_to_the_same_likelihood(
    tmp_path: Path, folder: Path, run: Run, data: str, family: str
):
    out, scores = tmp_path / "model", tmp_path / "scores.jsonl"
    status, printed, error = run(*train_flags(folder, data, out, f"--reward_model_type={family}"))
    assert status == 0, error
    record = read_json(out / "hidden_context.json")
    thresholds = record["outcome_model"]["thresholds"]
    assert thresholds == sorted(thresholds)
    has_ties = data != "soft_labels"
    assert record["outcome_model"]["ties"] == ("threshold" if has_ties else "half")
    assert ("learned: ties by threshold" in printed) == has_ties
    assert record["training"] == {"num_observations": NUM_ROWS, "epochs": 1.0, "steps": 2}
    status, _, error = run(*evaluate_flags(folder, data, out, scores))
    assert status == 0, error
    metrics = read_json(meta_path(scores))["metrics"]
    assert metrics["nll"] == pytest.approx(record["metrics"]["eval_nll"], rel=1e-4)
    assert metrics["nll"] == pytest.approx(record["metrics"]["eval_loss"], rel=1e-4)
    assert metrics["accuracy"] == pytest.approx(record["metrics"]["eval_accuracy"], abs=1e-6)
    for row in read_jsonl(scores):
        outcome = row.get("outcome")
        assert outcome is None or sum(outcome["shares"]) == pytest.approx(1.0)


def test_rankings_are_trained_whole_and_scored_as_all_their_pairs(
    tmp_path: Path, folder: Path, run: Run
):
    for family in ("base", "shared_context"):
        out, scores = tmp_path / family, tmp_path / f"{family}.jsonl"
        flags = train_flags(folder, "rankings", out, f"--reward_model_type={family}")
        status, printed, error = run(*flags)
        assert status == 0, error
        assert "6 comparisons and 10 rankings" in printed
        status, printed, error = run(*evaluate_flags(folder, "rankings", out, scores))
        assert status == 0, error
        rows = read_jsonl(scores)
        assert len(rows) == sum(size * (size - 1) // 2 for size in [2 + i % 3 for i in range(16)])
        assert f"of each ranking all pairs are scored: {len(rows)} from 16 rows" in printed
        record, metrics = read_json(out / "hidden_context.json"), read_json(meta_path(scores))
        assert metrics["metrics"]["nll"] == pytest.approx(record["metrics"]["eval_nll"], rel=1e-4)


def test_votes_are_read_by_the_summary(tmp_path: Path, folder: Path, run: Run):
    out = tmp_path / "reward_models" / "any" / "both" / "base_votes_last_checkpoint"
    assert run(*train_flags(folder, "votes", out))[0] == 0
    scores = out / "eval_results_both.jsonl"
    assert run(*evaluate_flags(folder, "votes", out, scores))[0] == 0
    rows = [{**row, "objective": "helpful"} for row in read_jsonl(scores)]
    write_jsonl(scores, rows)
    status, printed, error = run("summarize", f"--data_dir={tmp_path}", "--json", "--diagnostics")
    assert status == 0, error
    metrics = read_json(meta_path(scores))["metrics"]
    (evaluation,) = json.loads(printed)["evaluations"]
    assert evaluation["accuracy"]["mean"]["value"] == pytest.approx(metrics["accuracy"], abs=1e-6)
    assert -evaluation["log_likelihood"]["value"] == pytest.approx(metrics["nll"], rel=1e-5)
    assert evaluation["stopping_rule"] == "after 1 epoch of 16 observations"


def test_given_numbers_are_kept(tmp_path: Path, folder: Path, run: Run):
    flags = {
        "threshold": ["--ties=threshold", "--thresholds", "0.7"],
        "davidson": ["--ties=davidson", "--davidson=0.5"],
        "half": ["--ties=half"],
    }
    for ties, given in flags.items():
        status, printed, error = run(*train_flags(folder, "votes", tmp_path / ties, *given))
        assert status == 0, error
        assert "learned" not in printed
    models = {
        ties: read_json(tmp_path / ties / "hidden_context.json")["outcome_model"] for ties in flags
    }
    assert models["threshold"]["thresholds"] == [0.7]
    assert models["davidson"]["davidson"] == 0.5
    assert models["half"]["ties"] == "half"


def test_a_correlation_is_learned_where_texts_are_compared_with_enough_others(
    tmp_path: Path, folder: Path, run: Run
):
    flags = ["--reward_model_type=mean_and_variance", "--learn", "correlation"]
    out, scores = tmp_path / "model", tmp_path / "scores.jsonl"
    status, printed, error = run(*train_flags(folder, "dense", out, *flags))
    assert status == 0, error
    assert "learned: correlation" in printed
    family = family_from_dict(read_json(out / "hidden_context.json")["family"])
    assert 0 < abs(family.to_dict()["correlation"]) < 1
    assert run(*evaluate_flags(folder, "plain", out, scores))[0] == 0
    assert read_json(meta_path(scores))["families"]["reward_output"] == family.to_dict()


@pytest.mark.parametrize(
    ("data", "flags", "message"),
    [
        (
            "plain",
            ["--reward_model_type=mean_and_variance", "--learn", "correlation"],
            "the correlation cannot be learned: each text is compared with too few others",
        ),
        ("dense", ["--learn", "correlation"], "correlation of family base cannot be learned"),
        ("plain", ["--ties=threshold"], "no tie is in the data, so none can be learned"),
        ("strengths", ["--thresholds", "1", "0.5", "2"], "thresholds 1, 0.5, 2 are out of order"),
        ("votes", ["--thresholds", "1", "2"], "2 thresholds were given; ties by threshold"),
        ("strengths", ["--ties=davidson"], "Davidson's ties do not go with 3 strengths"),
        ("votes", ["--ties=davidson", "--davidson=0"], "Davidson's ν is 0;"),
        (
            "votes",
            ["--reward_model_type=categorical", "--thresholds", "1"],
            "threshold 1 is never exceeded by family categorical",
        ),
    ],
)
def test_what_cannot_be_fitted_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, folder: Path, run: Run, data: str, flags: list[str], message: str
):
    status, _, error = run(*train_flags(folder, data, tmp_path / "out", *flags))
    assert status == 2
    assert error.startswith(f"error: {message}")
    assert not list(tmp_path.iterdir())
