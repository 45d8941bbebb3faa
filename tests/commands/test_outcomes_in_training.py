"""What training learns from votes, ties, strengths and rankings, against closed forms."""

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, logit
from scipy.stats import entropy, norm
from tiny_models import save_tiny_model

from hidden_context.records import meta_path, read_json, read_jsonl, write_jsonl

Run = Callable[..., tuple[int, str, str]]
Rows = list[dict[str, Any]]
WORDS = ["bread", "flour", "water", "salt", "yeast", "dough", "rise", "bake"]
NUM_ROWS = 12
BASE, NORMAL = "base", "mean_and_variance"


def texts(source: random.Random, count: int) -> list[str]:
    return [" ".join(source.choices(WORDS, k=5)) for _ in range(count)]


def pairs(*columns: str, **outcomes: Sequence[Any]) -> Rows:
    """Random texts in two columns, and further columns of the given values."""
    source = random.Random(0)
    rows = []
    for index, values in enumerate(zip(*outcomes.values(), strict=True)):
        prompt = {"prompt": f"Human: {WORDS[index % 4]}?\n\nAssistant: "}
        responses = dict(zip(columns, texts(source, 2), strict=True))
        rows.append({**prompt, **responses, **dict(zip(outcomes, values, strict=True))})
    return rows


def equal_pairs(**outcomes: Sequence[Any]) -> Rows:
    """Comparisons of one text with itself: only the outcome model can fit them."""
    rows = pairs("response_a", "response_b", **outcomes)
    return [{**row, "prompt": "", "response_a": "bread", "response_b": "bread"} for row in rows]


def votes() -> Rows:
    source = random.Random(1)
    wins, losses, ties = ([source.randint(0, 4) for _ in range(NUM_ROWS)] for _ in range(3))
    wins = [found + 1 for found in wins]
    return pairs("response_a", "response_b", wins=wins, losses=losses, ties=ties)


def strengths(*grades: int) -> Rows:
    source = random.Random(1)
    values = [source.choice(grades) for _ in range(NUM_ROWS)]
    return pairs("response1", "response2", overall_preference=[*grades, *values])


def rankings() -> Rows:
    """Of two to four responses, of different weights."""
    source = random.Random(1)
    rows = []
    for index in range(NUM_ROWS):
        size = 2 + index % 3
        row = {"prompt": f"{WORDS[index % 4]}? ", "responses": texts(source, size)}
        rows.append({**row, "ranks": source.sample(range(1, size + 1), size), "weight": 1 + size})
    return rows


DATA: dict[str, Rows] = {
    "votes": votes(),
    "plain": pairs("chosen", "rejected", objective=["helpful"] * NUM_ROWS),
    "weighted": pairs("chosen", "rejected", weight=[0.5, 1.0, 3.0] * 4),
    "two_strengths": strengths(-2, -1, 0, 1, 2),
    "three_strengths": strengths(-3, -2, -1, 0, 1, 2, 3),
    "rankings": rankings(),
    "gap": strengths(-3, -1, 0, 1, 3),
    "only_ties": strengths(0),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and all data."""
    folder = tmp_path_factory.mktemp("outcomes")
    save_tiny_model(folder / "model")
    for name, rows in DATA.items():
        write_jsonl(folder / f"{name}.jsonl", rows)
    return folder


def train_flags(folder: Path, data: str, out: Path, *more: str, test: str = "") -> list[str]:
    return [
        "train",
        f"--model_name={folder / 'model'}",
        f"--data_path={folder / data}.jsonl",
        f"--eval_data_path={folder / (test or data)}.jsonl",
        f"--output_dir={out}",
        "--use_peft=false",
        "--learning_rate=0.001",
        "--per_device_train_batch_size=16",
        "--per_device_eval_batch_size=16",
        *more,
    ]


def trained(run: Run, *arguments: Any, **named: Any) -> dict[str, Any]:
    """The record of a checkpoint that is trained now; see `train_flags`."""
    status, _, error = run(*train_flags(*arguments, **named))
    assert status == 0, error
    return read_json(arguments[2] / "hidden_context.json")


def evaluated(run: Run, checkpoint: Path, data: Path, output: Path) -> dict[str, float]:
    flags = [f"--reward_model_checkpoint={checkpoint}", f"--data_path={data}"]
    status, _, error = run("evaluate", *flags, f"--output={output}")
    assert status == 0, error
    return read_json(meta_path(output))["metrics"]


EVEN, FEW_TIES = [1] * 4 + [0] * 4 + [-1] * 4, [1] * 5 + [0] * 2 + [-1] * 5
STRENGTHS = [2, 1, 1, 0, 0, 0, 0, 0, 0, -1, -1, -2]


@pytest.mark.parametrize(
    ("family", "ties", "grades"),
    [
        (BASE, "threshold", EVEN),
        (BASE, "threshold", STRENGTHS),
        (NORMAL, "davidson", FEW_TIES),
        ("shared_context", "threshold", STRENGTHS),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (BASE, "davidson", FEW_TIES),
                (NORMAL, "threshold", EVEN),
                (NORMAL, "threshold", STRENGTHS),
                ("shared_context", "threshold", EVEN),
                ("shared_context", "davidson", FEW_TIES),
            )
        ),
    ],
)
def test_of_equal_texts_the_shares_of_the_grades_are_learned(
    tmp_path: Path, folder: Path, run: Run, family: str, ties: str, grades: list[int]
):
    """The loss falls to their entropy, its least; for `base` the thresholds are their logits."""
    write_jsonl(tmp_path / "equal.jsonl", equal_pairs(overall_preference=grades))
    flags = ["--num_train_epochs=60", "--likelihood_learning_rate=0.1", f"--ties={ties}"]
    out = tmp_path / "model"
    flags += [f"--reward_model_type={family}"]
    record = trained(run, tmp_path, "equal", out, *flags, f"--model_name={folder / 'model'}")
    shares = np.array([grades.count(grade) for grade in sorted(set(grades))]) / len(grades)
    assert record["metrics"]["eval_nll"] == pytest.approx(entropy(shares), abs=1e-3)
    model = record["outcome_model"]
    if ties == "threshold" and family == BASE:
        upper = np.cumsum(shares)[max(grades) : -1]
        assert model["thresholds"] == pytest.approx(logit(upper).tolist(), abs=0.05)
    if ties == "davidson":  # P(tie) = ν/(2 + ν)
        share = grades.count(0) / len(grades)
        assert model["davidson"] == pytest.approx(2 * share / (1 - share), rel=0.05)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        (["--ties=threshold", "--thresholds=0.7"], math.log(1 + math.exp(0.7))),
        (["--ties=davidson", "--davidson=0.7"], math.log(2.7)),
        ([], math.log(2)),
    ],
)
def test_given_ties_count_where_nobody_tied(
    tmp_path: Path, folder: Path, run: Run, ties: list[str], expected: float
):
    """A win is less likely where a tie is possible."""
    write_jsonl(tmp_path / "equal.jsonl", equal_pairs(winner=["a"] * NUM_ROWS))
    flags = [*ties, f"--model_name={folder / 'model'}"]
    record = trained(run, tmp_path, "equal", tmp_path / "model", *flags)
    assert record["metrics"]["eval_nll"] == pytest.approx(expected, rel=1e-5)
    assert record["history"][0]["eval_loss"] == pytest.approx(expected, rel=1e-5)
    found = evaluated(run, tmp_path / "model", tmp_path / "equal.jsonl", tmp_path / "scores.jsonl")
    assert found["nll"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("votes", "plain"),
        ("votes", "three_strengths"),
        ("two_strengths", "plain"),
        ("two_strengths", "weighted"),
        ("three_strengths", "two_strengths"),
        ("three_strengths", "votes"),
        ("plain", "three_strengths"),
        ("rankings", "votes"),
        ("votes", "rankings"),
    ],
)
def test_training_and_evaluation_agree_on_data_of_another_form(
    tmp_path: Path, folder: Path, run: Run, train: str, test: str
):
    out = tmp_path / "model"
    record = trained(run, folder, train, out, f"--reward_model_type={NORMAL}", test=test)
    found = evaluated(run, out, folder / f"{test}.jsonl", tmp_path / "scores.jsonl")
    for name in ("nll", "accuracy", "r2"):
        assert record["metrics"][f"eval_{name}"] == pytest.approx(found[name], rel=1e-4)
    assert record["training"]["num_observations"] == len(DATA[train])


def test_more_strengths_than_the_model_has_are_refused_before_any_work(
    tmp_path: Path, folder: Path, run: Run
):
    message = "3 strengths of preference, but the outcome model has 2; fit the model to data with"
    flags = train_flags(folder, "two_strengths", tmp_path / "out", test="three_strengths")
    status, _, error = run(*flags)
    assert (status, message in error) == (2, True)
    assert not list(tmp_path.iterdir())
    trained(run, folder, "two_strengths", tmp_path / "model")
    data, output = folder / "three_strengths.jsonl", tmp_path / "scores.jsonl"
    flags = [f"--reward_model_checkpoint={tmp_path / 'model'}", f"--data_path={data}"]
    status, _, error = run("evaluate", *flags, f"--output={output}")
    assert (status, message in error) == (2, True)
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


@pytest.fixture(scope="module")
def voted(folder: Path) -> Path:
    """A checkpoint with a learned threshold, and the same with ties by half."""
    from hidden_context.commands.cli import main

    out = folder / "voted"
    for ties in ("threshold", "half"):
        more = f"--ties={ties}", f"--reward_model_type={NORMAL}"
        assert main(train_flags(folder, "votes", out / ties, *more)) == 0
    return out


def test_a_row_of_votes_is_as_many_rows(tmp_path: Path, folder: Path, run: Run, voted: Path):
    single = []
    for row in DATA["votes"]:
        for column, winner in (("wins", "a"), ("losses", "b"), ("ties", "tie")):
            alone = {"response_a": row["response_a"], "response_b": row["response_b"]}
            alone |= {"prompt": row["prompt"], "winner": winner}
            single += [alone] * row[column]
    write_jsonl(tmp_path / "single.jsonl", single)
    for ties in ("threshold", "half"):
        found = [
            evaluated(run, voted / ties, data, tmp_path / f"{ties}_{data.name}")
            for data in (folder / "votes.jsonl", tmp_path / "single.jsonl")
        ]
        assert found[0]["nll"] == pytest.approx(found[1]["nll"], rel=1e-5)
        assert found[0]["accuracy"] == pytest.approx(found[1]["accuracy"], abs=1e-6)


def test_a_likelihood_is_the_mean_of_its_parts(tmp_path: Path, run: Run, voted: Path):
    """Wins count in a file of their own as they do beside ties."""
    winners = ["a"] * 6 + ["tie"] * 6
    rows = pairs("response_a", "response_b", winner=winners)
    parts = {"both": rows, "wins": rows[:6], "ties": rows[6:]}
    nll = {}
    for name, part in parts.items():
        data = tmp_path / f"{name}.jsonl"
        write_jsonl(data, part)
        output = tmp_path / f"{name}_scores.jsonl"
        nll[name] = evaluated(run, voted / "threshold", data, output)["nll"]
    assert nll["both"] == pytest.approx((nll["wins"] + nll["ties"]) / 2, rel=1e-5)


def test_a_tie_by_half_is_an_even_soft_label(tmp_path: Path, run: Run, voted: Path):
    nll = []
    for outcome in ({"winner": ["tie"] * 6}, {"probability": [0.5] * 6}):
        data = tmp_path / f"{next(iter(outcome))}.jsonl"
        write_jsonl(data, pairs("response_a", "response_b", **outcome))
        output = tmp_path / "scores.jsonl"
        nll.append(evaluated(run, voted / "half", data, output)["nll"])
    assert nll[0] == pytest.approx(nll[1], rel=1e-6)


def test_scores_are_read_again_with_their_outcome(
    tmp_path: Path, folder: Path, run: Run, voted: Path
):
    """Not with `wins`, which are of response_a: that need not be the chosen one."""
    scores, again = tmp_path / "scores.jsonl", tmp_path / "again.jsonl"
    first = evaluated(run, voted / "threshold", folder / "votes.jsonl", scores)
    assert evaluated(run, voted / "threshold", scores, again) == pytest.approx(first, rel=1e-6)
    kept = [[row["reward_output_chosen"] for row in read_jsonl(file)] for file in (scores, again)]
    np.testing.assert_allclose(kept[0], kept[1], atol=1e-6)


def test_an_old_outcome_is_not_kept_beside_new_scores(tmp_path: Path, run: Run, voted: Path):
    rows = [{**row, "outcome": "a word"} for row in DATA["plain"]]
    write_jsonl(tmp_path / "plain.jsonl", rows)
    evaluated(run, voted / "half", tmp_path / "plain.jsonl", tmp_path / "scores.jsonl")
    assert all("outcome" not in row for row in read_jsonl(tmp_path / "scores.jsonl"))


def raw_of_rankings(rows: Rows, scored: Rows) -> list[np.ndarray]:
    """Raw outputs of each ranking, best first, from the rows of its pairs."""
    pairs_left = iter(scored)
    found = []
    for row in rows:
        size = len(row["responses"])
        pairs_of_row = [next(pairs_left) for _ in range(size * (size - 1) // 2)]
        others = [pair["reward_output_rejected"] for pair in pairs_of_row[: size - 1]]
        found.append(np.array([pairs_of_row[0]["reward_output_chosen"], *others]))
    return found


def plackett_luce(raw: np.ndarray) -> float:
    """Log-probability that each is chosen among those that are left."""
    return sum(log_softmax(raw[place:, 0])[0] for place in range(len(raw)))


def composite(raw: np.ndarray) -> float:
    """Σ over pairs of log Φ((μ - μ')/√(σ² + σ'²)), times 2/K."""
    mean, variance = raw[:, 0], np.log1p(np.exp(raw[:, 1])) ** 2
    first, second = np.triu_indices(len(raw), k=1)
    z = (mean[first] - mean[second]) / np.sqrt(variance[first] + variance[second])
    return float(norm.logcdf(z).sum() * 2 / len(raw))


@pytest.mark.parametrize(("family", "log_prob"), [(BASE, plackett_luce), (NORMAL, composite)])
def test_the_loss_of_rankings_is_the_weighted_mean_over_rankings(
    tmp_path: Path, folder: Path, run: Run, family: str, log_prob: Callable[[np.ndarray], float]
):
    out, scores = tmp_path / "model", tmp_path / "scores.jsonl"
    record = trained(run, folder, "rankings", out, f"--reward_model_type={family}")
    found = evaluated(run, out, folder / "rankings.jsonl", scores)
    assert record["metrics"]["eval_nll"] == pytest.approx(found["nll"], rel=1e-4)
    rows = DATA["rankings"]
    log_probs = [log_prob(raw) for raw in raw_of_rankings(rows, read_jsonl(scores))]
    expected = -np.average(log_probs, weights=[row["weight"] for row in rows])
    assert record["metrics"]["eval_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("use_peft", [True, False])
def test_an_interrupted_run_ends_with_the_thresholds_of_an_unbroken_one(
    tmp_path: Path,
    folder: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    use_peft: bool,
):
    flags = ["--num_train_epochs=8", "--save_steps=3", f"--use_peft={str(use_peft).lower()}"]
    flags += ["--likelihood_learning_rate=0.1", f"--reward_model_type={NORMAL}"]
    flags += ["--eval_steps=1000"]
    whole = trained(run, folder, "two_strengths", tmp_path / "whole", *flags)
    from hidden_context.commands.cli import main
    from hidden_context.llm import trainer
    from hidden_context.llm.train import how_to_go_on

    loss, calls = trainer.preference_loss, iter(range(5))

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return loss(*args, **kwargs)

    monkeypatch.setattr(trainer, "preference_loss", interrupted)
    out = tmp_path / "broken"
    assert how_to_go_on(out).startswith("no step was saved; with save_steps")
    capfd.readouterr()
    assert main([*map(str, train_flags(folder, "two_strengths", out, *flags))]) == 130
    going_on = "with --resume_from_checkpoint the same run goes on from it"
    assert capfd.readouterr().err.endswith(f"step 3 is saved; {going_on}\ninterrupted\n")
    monkeypatch.setattr(trainer, "preference_loss", loss)
    assert not out.exists()
    resumed = trained(run, folder, "two_strengths", out, *flags, "--resume_from_checkpoint")
    assert how_to_go_on(out) == f"{out} is saved; with resume_from_checkpoint " + (
        "the same run has nothing left to do"
    )
    assert resumed["outcome_model"] == whole["outcome_model"]
    assert resumed["metrics"]["eval_nll"] == whole["metrics"]["eval_nll"]
    assert resumed["training"] == whole["training"]
    assert whole["outcome_model"]["thresholds"] != pytest.approx([0.5, 1.5], abs=0.05)


@pytest.mark.parametrize(
    ("data", "flags", "message"),
    [
        ("votes", ["--davidson=0.5"], "davidson is the number of ties=davidson; give that"),
        (
            "plain",
            ["--ties=davidson"],
            "no tie is in the data, so none can be learned; give davidson",
        ),
        ("plain", ["--thresholds=0.5"], "1 thresholds were given; ties by half and 1 strength(s)"),
        ("gap", [], "no comparison to train on is of strength 2 (of 3), so where it begins cannot"),
        ("only_ties", [], "every vote is a tie, so where ties end cannot be learned"),
        ("votes", ["--learn", "scale"], "scale of family base cannot be learned"),
    ],
)
def test_what_the_data_do_not_say_is_one_clear_line(
    tmp_path: Path, folder: Path, run: Run, data: str, flags: list[str], message: str
):
    status, _, error = run(*train_flags(folder, data, tmp_path / "out", *flags))
    assert (status, error.startswith(f"error: {message}")) == (2, True), error
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def data_dir(folder: Path) -> Path:
    """Scores of votes by a scalar model and by two seeds of a family, and of jailbreaks."""
    from hidden_context.commands.cli import main

    data_dir = folder / "data"
    for family, seed in ((BASE, 0), (NORMAL, 0), (NORMAL, 1)):
        name = f"{family}_{seed}_last_checkpoint"
        out = data_dir / "reward_models" / "any" / "both" / name
        more = f"--reward_model_type={family}", f"--seed={seed}", "--num_train_epochs=2"
        assert main(train_flags(folder, "votes", out, *more)) == 0
        flags = [f"--reward_model_checkpoint={out}", f"--data_path={folder / 'votes.jsonl'}"]
        assert main(["evaluate", *flags]) == 0
    source = random.Random(2)
    write_jsonl(
        folder / "jailbreaks.jsonl",
        [{"prompt": "Human: bread? ", "responses": texts(source, 2)} for _ in range(NUM_ROWS)],
    )
    output = data_dir / f"jailbroken_evaluations_{NORMAL}.jsonl"
    flags = ["--reward_model_names=both", f"--output={output}"]
    flags += [f"--input={folder / 'jailbreaks.jsonl'}", f"--reward_model_checkpoints={out}"]
    assert main(["score", *flags]) == 0
    return data_dir


def longer_wins(rows: Rows) -> float:
    """Share of votes for the longer response, ties half."""
    right = all_votes = 0.0
    for row in rows:
        votes = [row["wins"], row["losses"]]
        difference = len(row["response_a"]) - len(row["response_b"])
        of_longer = sum(votes) / 2 if difference == 0 else votes[difference < 0]
        right, all_votes = right + of_longer + row["ties"] / 2, all_votes + sum(votes) + row["ties"]
    return right / all_votes


def test_diagnostics_say_of_each_run_what_its_own_evaluation_said(data_dir: Path, run: Run):
    status, printed, error = run("summarize", f"--data_dir={data_dir}", "--diagnostics", "--json")
    assert status == 0, error
    summary = json.loads(printed)
    runs = [evaluation["name"] for evaluation in summary["evaluations"] if "accuracy" in evaluation]
    names = ("base_0", f"{NORMAL}_0", f"{NORMAL}_1")
    assert runs == [f"{name}_last_checkpoint" for name in names]
    for evaluation in summary["evaluations"][: len(runs)]:
        is_base = evaluation["family"]["name"] == BASE
        file = next(data_dir.glob(f"**/{evaluation['name']}/eval_results_both.jsonl"))
        metrics = read_json(meta_path(file))["metrics"]
        assert -evaluation["log_likelihood"]["value"] == pytest.approx(metrics["nll"], rel=1e-5)
        assert evaluation["stopping_rule"] == f"after 2 epochs of {NUM_ROWS} observations"
        assert (evaluation.get("against_base") is None) == is_base
        longer = evaluation["length"]["longer_wins"]["value"]
        assert longer == pytest.approx(longer_wins(DATA["votes"]))
        assert bool(evaluation.get("explained_variance")) == (not is_base)
    (ensemble,) = summary["ensembles"]
    assert (ensemble["family"], ensemble["num_runs"]) == (NORMAL, 2)
    (tests,) = [each["risk_tests"] for each in summary["evaluations"] if each.get("risk_tests")]
    assert list(tests) == ["quantile:0.01"]


def test_diagnostics_are_a_table_for_each_question_that_has_an_answer(
    tmp_path: Path, data_dir: Path, run: Run
):
    titles = ["r² on each scale", "Likelihood", "Accuracy and length", "Jailbreaks: each"]
    titles += ["Ensembles: shares"]
    status, printed, error = run("summarize", f"--data_dir={data_dir}", "--diagnostics")
    assert status == 0, error
    assert all(title in printed for title in titles)
    (tmp_path / "reward_models" / "any" / "both").mkdir(parents=True)
    name = "reward_models/any/both/base_0_last_checkpoint"
    (tmp_path / name).symlink_to(data_dir / name)
    status, printed, error = run("summarize", f"--data_dir={tmp_path}", "--diagnostics")
    assert status == 0, error
    assert [title for title in titles if title in printed] == titles[1:3]
    (tmp_path / name).unlink()
    name = f"jailbroken_evaluations_{NORMAL}.jsonl"
    for suffix in ("", ".meta.json"):
        (tmp_path / f"{name}{suffix}").symlink_to(data_dir / f"{name}{suffix}")
    status, printed, error = run("summarize", f"--data_dir={tmp_path}", "--diagnostics")
    assert status == 0, error
    assert [title for title in titles if title in printed] == titles[3:4]
