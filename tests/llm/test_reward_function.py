"""A reward for trainers is the model's own by its risk, however it is called, sent or logged."""

import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_checkpoints import CPU, make
from tiny_models import VOCABULARY, tiny_model
from tiny_policies import BATCH_SIZE, PROMPTS, logged, optimise

import hidden_context as hc
from hidden_context.distributions import Point, SharedContext
from hidden_context.distributions.normal import NormalUtility
from hidden_context.llm.reward_function import RewardFunction
from hidden_context.llm.reward_model import RewardModel

TEMPLATE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
ANSWERS = [" flour", " no", "", " yeast and salt"]
TEXTS = ("prompt", "completion")
ASKED = [PROMPTS[0]] * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the checkpoint `rm`, of normal utilities, and `shared`, of shared contexts."""
    folder = tmp_path_factory.mktemp("rewards")
    make(folder / "rm")
    make(folder / "shared", family=SharedContext())
    make(folder / "base", family=Point())
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> RewardModel:
    return RewardModel.from_pretrained(folder / "rm", **CPU)


@pytest.fixture(scope="module")
def limit(model: RewardModel) -> float:
    """A spread that one in four completions of a new policy exceeds: its tokens are random."""
    rng = np.random.default_rng(0)
    completions = model.tokenizer.batch_decode(rng.integers(VOCABULARY, size=(200, 8)))
    return float(np.quantile(model.score(PROMPTS * 50, completions).std, 0.75))


def reward_of(folder: Path, checkpoint: str = "rm", **settings: Any) -> RewardFunction:
    return hc.reward_function(folder / checkpoint, device="cpu", **settings)


def test_it_is_called_as_trl_does_and_answers_by_the_risk(folder: Path, model: RewardModel):
    reward = reward_of(folder, risk="quantile:0.1")
    columns = {"label": ["a"] * 4, "name": ["b"] * 4, "risk": ["c"] * 4, "self": ["d"] * 4}
    found = reward(
        prompts=ASKED,
        completions=ANSWERS,
        completion_ids=[[1]] * 4,
        trainer_state=SimpleNamespace(global_step=3),
        log_extra=lambda column, values: None,
        log_metric=lambda name, value: None,
        **columns,
    )
    assert found == model.reward(ASKED, ANSWERS, risk="quantile:0.1")
    assert all(type(value) is float for value in found)
    assert reward.__name__ == "rm_quantile:0.1"
    assert reward_of(folder, name="helpful").__name__ == "helpful"


def test_conversations_are_those_of_the_chat_template(tmp_path: Path):
    model = make(tmp_path / "rm", full=True)
    model.tokenizer.chat_template = TEMPLATE
    model.tokenizer.save_pretrained(tmp_path / "rm")
    prompts = [[{"role": "user", "content": "bread?"}]] * 2
    answers = [[{"role": "assistant", "content": text}] for text in ("flour", "no")]
    found = reward_of(tmp_path)(prompts=prompts, completions=answers)
    whole = [f"user: bread?\nassistant: {text}\n" for text in ("flour", "no")]
    assert found == pytest.approx(model.reward(whole), abs=1e-5)


def test_it_abstains_where_the_spread_is_above_the_limit_and_logs_it(
    folder: Path, model: RewardModel
):
    utility = model.score(ASKED, ANSWERS)
    limit = float(np.median(utility.std))
    extra: dict[str, list[float]] = {}
    metrics: dict[str, float] = {}
    found = reward_of(folder, abstain_above=limit, name="rm")(
        ASKED, ANSWERS, log_extra=extra.__setitem__, log_metric=metrics.__setitem__
    )
    assert [value is None for value in found] == (utility.std > limit).tolist()
    assert found.count(None) == 2
    assert [value for value in found if value is not None] == [
        mean for mean, std in zip(utility.mean, utility.std, strict=True) if std <= limit
    ]
    assert extra == {
        "rm/utility_mean": utility.mean.tolist(),
        "rm/utility_std": utility.std.tolist(),
    }
    assert metrics == {
        "rm/utility_mean": pytest.approx(utility.mean.mean()),
        "rm/utility_std": pytest.approx(utility.std.mean()),
        "rm/abstained": 0.5,
    }


def test_on_the_scale_of_ratings_rewards_and_limits_are_in_stars(folder: Path, model: RewardModel):
    utility: Any = model.score(ASKED, ANSWERS)
    stars = hc.anchor_to_ratings(utility.mean, 2 + 3 * utility.mean)
    limit = float(np.median(3 * utility.std))
    extra: dict[str, list[float]] = {}
    settings: dict[str, Any] = {"risk": "kl:0.5", "abstain_above": limit, "name": "rm"}
    found = reward_of(folder, anchor=stars, **settings)(ASKED, ANSWERS, log_extra=extra.__setitem__)
    expected = 2 + 3 * utility.mean - (3 * utility.std) ** 2 / (2 * 0.5)
    given = np.array([np.nan if value is None else value for value in found])
    within = 3 * utility.std <= limit
    np.testing.assert_allclose(given, np.where(within, expected, np.nan), rtol=1e-9)
    np.testing.assert_allclose(extra["rm/utility_std"], 3 * utility.std, rtol=1e-9)


def test_it_is_sent_without_weights_and_found_from_another_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    reward = hc.reward_function("rm", device="cpu")
    expected = reward(ASKED, ANSWERS)
    sent = pickle.dumps(reward)
    assert len(sent) < 2000
    monkeypatch.chdir(tmp_path)
    received = pickle.loads(sent)
    assert received(ASKED, ANSWERS) == expected
    assert (received.__name__, received.risk) == (reward.__name__, reward.risk)


def test_threads_load_the_model_once_and_only_when_it_is_called(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    loads: list[str] = []
    load = RewardModel.from_pretrained

    def counted(name: str, **how: Any) -> RewardModel:
        loads.append(name)
        return load(name, **how)

    monkeypatch.setattr(RewardModel, "from_pretrained", counted)
    reward = reward_of(folder)
    pickle.dumps(reward)
    assert loads == []
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: reward(ASKED, ANSWERS), range(4)))
    assert loads == [str((folder / "rm").resolve())]
    assert found == [found[0]] * 4


def test_shared_contexts_are_centred_over_the_completions_of_a_prompt(folder: Path):
    model = RewardModel.from_pretrained(folder / "shared", **CPU)
    expected = model.reward([PROMPTS[0], PROMPTS[1]], [ANSWERS, ANSWERS], risk="worst_context")
    reward = reward_of(folder, "shared", risk="worst_context", num_generations=4)
    mixed = [prompt for prompt in PROMPTS[:2] for _ in ANSWERS]
    found = reward(mixed, ANSWERS * 2)
    assert found == pytest.approx(np.ravel(expected).tolist(), abs=1e-6)
    turned = reward(mixed[::-1], (ANSWERS * 2)[::-1])
    assert turned[::-1] == pytest.approx(found, abs=1e-6)


def test_completions_of_a_prompt_that_are_not_all_there_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    reward = reward_of(folder, "shared", num_generations=4)
    with pytest.raises(hc.UserError, match=r"a prompt came with 3 of 4\. Give all in one call"):
        reward(ASKED[:3], ANSWERS[:3])
    alone = reward_of(folder, "shared")
    with pytest.raises(hc.UserError, match="a prompt came with 1 of several"):
        alone(PROMPTS, ANSWERS)
    assert len(alone(ASKED, ANSWERS)) == 4
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(hc.UserError, match=r"say how many there are \(num_generations\)"):
        alone(ASKED, ANSWERS)
    assert len(reward(ASKED, ANSWERS)) == 4


@pytest.mark.parametrize(
    ("checkpoint", "settings", "message"),
    [
        ("rm", {"risk": "luck"}, "risk 'luck' is not understood"),
        ("rm", {"risk": "worst_context"}, "worst_context needs contexts"),
        ("rm", {"abstain_above": -1.0}, r"abstain_above is -1\.0; give a finite number above 0"),
        ("rm", {"abstain_above": float("nan")}, "abstain_above is nan"),
        ("rm", {"num_generations": 0}, "num_generations is 0"),
        ("rm", {"max_length": 0}, "max_length is 0"),
        ("base", {"abstain_above": 1.0}, "utilities of family base have no spread"),
        ("nowhere", {}, "is neither a folder nor the name of a hub repository"),
    ],
)
def test_what_cannot_be_is_refused_before_training(
    folder: Path, checkpoint: str, settings: dict[str, Any], message: str
):
    with pytest.raises(hc.UserError, match=message):
        reward_of(folder, checkpoint, **settings)


class HeavyTailed(NormalUtility):
    """For which E[exp(-θU)] is infinite."""

    def _entropic(self, risk_aversion: float) -> Any:
        return np.full(self.shape, -np.inf)


def test_a_reward_that_is_not_finite_stops_rather_than_spoil_a_group(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    utility = HeavyTailed(np.zeros(4), np.ones(4), "probit")
    monkeypatch.setattr(RewardModel, "score", lambda *_, **__: utility)
    reward = reward_of(folder, risk="kl:0.1")
    with pytest.raises(hc.UserError, match=r"rm_kl:0\.1: a reward by kl:0\.1 is -inf: the lower"):
        reward(ASKED, ANSWERS)


# Against TRL itself


@pytest.fixture(scope="module")
def trl() -> Any:
    return pytest.importorskip("trl", reason='no trl here: pip install "hidden-context[trl]"')


def check_run(folder: Path, trainer: str, history: list[dict[str, Any]], limit: float) -> None:
    """Each process was answered what the model says, TRL logged it, and the policy moved."""
    model = RewardModel.from_pretrained(folder / "rm", **CPU)
    files = sorted((folder / trainer).glob("asked_*.jsonl"))
    asked = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    assert [len(steps) for steps in asked] == [20] * len(asked)
    by_step = [
        {key: [one for step in steps for one in step[key]] for key in steps[0]}
        for steps in zip(*asked, strict=True)
    ]
    assert {len(step["prompts"]) for step in by_step} == {BATCH_SIZE * len(files)}
    shares, spreads, means = [], [], []
    for step in by_step:
        utility: Any = model.score(step["prompts"], step["completions"])
        expected = utility.mean - utility.std**2 / (2 * 0.5)
        expected[utility.std > limit] = np.nan
        answered = np.array([np.nan if value is None else value for value in step["rewards"]])
        np.testing.assert_allclose(answered, expected, atol=1e-5)
        shares.append(np.isnan(expected).mean())
        spreads.append(utility.std.mean())
        means.append(np.nanmean(expected))
    assert 0 < np.mean(shares) < 0.5
    np.testing.assert_allclose(logged(history, "rm/abstained"), shares, atol=1e-6)
    np.testing.assert_allclose(logged(history, "rm/utility_std"), spreads, atol=1e-5)
    np.testing.assert_allclose(logged(history, "rewards/rm/mean"), means, atol=1e-5)
    assert np.max(logged(history, "grad_norm")) > 0  # the policy is moved by them


@pytest.mark.parametrize("trainer", ["grpo", "rloo"])
def test_twenty_steps_of_trl_are_rewarded_by_what_the_model_says(
    trl: Any, folder: Path, limit: float, trainer: str
):
    made = optimise(trainer, folder, risk="kl:0.5", abstain_above=limit)
    check_run(folder, trainer, made.state.log_history, limit)
    if trainer == "grpo":
        (last,) = (folder / trainer).glob("completions/*_00020.parquet")
        table = pd.read_parquet(last)
        utility = reward_of(folder).model.score(*(table[name].tolist() for name in TEXTS))
        np.testing.assert_allclose(table["rm/utility_mean"], utility.mean, atol=1e-5)
        np.testing.assert_allclose(table["rm/utility_std"], utility.std, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["grpo", "rloo"])
def test_two_processes_share_the_work_and_log_the_same_rewards(
    trl: Any, folder: Path, limit: float, tmp_path: Path, trainer: str
):
    (tmp_path / "rm").symlink_to(folder / "rm")
    settings = {"risk": "kl:0.5", "abstain_above": limit}
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    launch += ["--master_port=0", "--rdzv_backend=c10d", "--rdzv_endpoint=127.0.0.1:0"]
    launch += [str(Path(__file__).parents[1] / "tiny_policies.py"), trainer, str(tmp_path)]
    done = subprocess.run(
        [*launch, json.dumps({**settings, "policy": str(tiny_model())})],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    check_run(tmp_path, trainer, json.loads((tmp_path / "history.json").read_text()), limit)
