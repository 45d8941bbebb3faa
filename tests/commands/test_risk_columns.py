"""`--risk` of evaluate and score: which columns, which numbers, and what is refused before work."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import save_tiny_model

from hidden_context.commands.cli import main
from hidden_context.distributions import family_from_dict
from hidden_context.records import meta_path, read_json, read_jsonl, write_jsonl
from hidden_context.risk import parse_risk

RISKS = ["mean", "cvar:0.05", "prob_below:-1.5"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained checkpoint `model`, comparisons and jailbreaks."""
    folder = tmp_path_factory.mktemp("risk")
    base = save_tiny_model(folder / "tiny-llama")
    prompt = "Human: bread?\n\nAssistant:"
    texts = [(" flour", " no"), (" flour and water", " a")]
    rows = [
        {"chosen": prompt + chosen, "rejected": prompt + rejected} for chosen, rejected in texts
    ]
    write_jsonl(folder / "comparisons.jsonl", rows * 4)
    responses = [{"prompt": prompt, "responses": list(pair[::-1])} for pair in texts]
    write_jsonl(folder / "jailbreaks.jsonl", responses)
    flags = [f"--model_name={base}", f"--data_path={folder / 'comparisons.jsonl'}"]
    flags += ["--reward_model_type=mean_and_variance", f"--output_dir={folder / 'model'}"]
    assert main(["train", *flags, f"--log_dir={folder / 'log'}"]) == 0
    return folder


def evaluate(work: Path, output: Path, *risks: str) -> int:
    flags = [f"--reward_model_checkpoint={work / 'model'}", f"--output={output}"]
    flags.append(f"--data_path={work / 'comparisons.jsonl'}")
    return main(["evaluate", *flags, *(["--risk", *risks] if risks else [])])


def score(work: Path, output: Path, *risks: str) -> int:
    flags = [f"--reward_model_checkpoints={work / 'model'}", "--reward_model_names=x"]
    flags += [f"--input={work / 'jailbreaks.jsonl'}", f"--output={output}"]
    return main(["score", *flags, *(["--risk", *risks] if risks else [])])


def test_comparisons_get_rewards_that_their_raw_outputs_have(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.jsonl"
    assert evaluate(work, output, *RISKS) == 0
    printed = capsys.readouterr().out
    meta = read_json(meta_path(output))
    assert meta["risks"] == meta["config"]["risk"] == RISKS
    family = family_from_dict(meta["families"]["reward_output"])
    for row in read_jsonl(output):
        raw = [row[f"reward_output_{side}"] for side in ("chosen", "rejected")]
        assert list(row["rewards"]) == RISKS
        for text, rewards in row["rewards"].items():
            expected = parse_risk(text)(family.decode(np.array(raw, np.float32)))
            np.testing.assert_allclose(rewards, expected, rtol=1e-6)
    for text in RISKS:
        assert f"accuracy by {text}: " in printed
    assert "accuracy if the longer response won: 1.0000" in printed


def test_responses_get_rewards_that_their_raw_outputs_have(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scores.jsonl"
    assert score(work, output, *RISKS) == 0
    printed = capsys.readouterr().out.splitlines()
    header = next(line for line in printed if all(text in line for text in RISKS))
    assert [header.count(text) for text in RISKS] == [1, 1, 1]
    meta = read_json(meta_path(output))
    assert meta["risks"] == RISKS
    family = family_from_dict(meta["families"]["reward_outputs_x"])
    for row in read_jsonl(output):
        utility = family.decode(np.array(row["reward_outputs_x"], np.float32))
        assert list(row["rewards_x"]) == RISKS
        for text, rewards in row["rewards_x"].items():
            np.testing.assert_allclose(rewards, parse_risk(text)(utility), rtol=1e-6)


def test_without_risks_there_are_raw_outputs_alone(work: Path, tmp_path: Path) -> None:
    assert evaluate(work, tmp_path / "a.jsonl") == score(work, tmp_path / "b.jsonl") == 0
    for name in ("a.jsonl", "b.jsonl"):
        assert "rewards" not in json.dumps(read_jsonl(tmp_path / name))
        assert read_json(meta_path(tmp_path / name))["risks"] == []


@pytest.mark.parametrize(
    ("risk", "message"),
    [
        ("cvar:0", "risk 'cvar:0' is not understood: cvar takes a level above 0 and below 1"),
        ("luck:1", "risk 'luck:1' is not understood: there is no 'luck'; risks are mean, quantile"),
        ("worst_context", "worst_context needs contexts that responses share"),
    ],
)
@pytest.mark.parametrize("command", [evaluate, score])
def test_a_risk_that_cannot_be_had_is_refused_before_anything_is_scored(
    work: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: object,
    risk: str,
    message: str,
) -> None:
    def scoring(*args: object, **kwargs: object) -> None:
        raise AssertionError("scoring began")

    monkeypatch.setattr("hidden_context.llm.reward_model.load_checkpoint", scoring)
    assert callable(command)
    assert command(work, tmp_path / "scores.jsonl", "mean", risk) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
