"""The synthetic training loop: reproducible, stops on nonsense, and its models come back."""

import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from hidden_context import records
from hidden_context.errors import UserError
from hidden_context.synthetic.environments import ENVIRONMENTS
from hidden_context.synthetic.models import MODEL_NAMES, Model, build_model
from hidden_context.synthetic.settings import Experiment, Pairs
from hidden_context.synthetic.train import (
    FINAL_LR,
    load_model,
    num_states,
    save_model,
    train,
)

SETTINGS = {"env": "1d", "lr": 0.001, "seed": 0}


def trained(
    name: str = "base",
    *,
    pairs: Pairs = "all",
    lr: float = 0.001,
    num_iterations: int = 3,
    seed: int = 0,
) -> Model:
    model = build_model(name, ENVIRONMENTS["1d"], seed=0)
    experiment = Experiment("1d", 16, lr, num_iterations, pairs, seed)
    train(model, experiment, device=torch.device("cpu"), label=name)
    return model


def weights(model: Model) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in model.state_dict().values()])


@pytest.mark.parametrize("pairs", get_args(Pairs))
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_same_seed_trains_the_same_model(name: str, pairs: Pairs) -> None:
    first, again = trained(name, pairs=pairs), trained(name, pairs=pairs)
    other = trained(name, pairs=pairs, seed=1)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))
    assert not first.training


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 128, 2016, 2048])
def test_the_states_are_the_fewest_that_have_as_many_pairs(batch_size: int) -> None:
    n = num_states(batch_size)
    assert math.comb(n - 1, 2) < batch_size <= math.comb(n, 2)


def test_the_learning_rate_decays_exponentially_to_its_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    step = torch.optim.Adam.step

    def remember(self: torch.optim.Adam, *given: Any) -> Any:
        seen.append(self.param_groups[0]["lr"])
        return step(self, *given)

    monkeypatch.setattr(torch.optim.Adam, "step", remember)
    trained(num_iterations=4)
    decay = (FINAL_LR / 0.001) ** (1 / 4)
    assert seen == pytest.approx([0.001 * decay**done for done in range(4)])


def test_a_learning_rate_below_the_last_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = torch.optim.lr_scheduler.ExponentialLR
    gammas = []

    def remember(optimizer: torch.optim.Adam, gamma: float) -> Any:
        gammas.append(gamma)
        return schedule(optimizer, gamma)

    monkeypatch.setattr(torch.optim.lr_scheduler, "ExponentialLR", remember)
    trained(lr=1e-6)
    assert gammas == [1.0]


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_flag() -> None:
    with pytest.raises(UserError, match=r"base: loss \S+ at iteration \d+; lower --lr"):
        trained(lr=1e30)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_a_saved_model_comes_back_for_the_same_settings_only(name: str, tmp_path: Path) -> None:
    model = trained(name)
    save_model(tmp_path, name, model, SETTINGS)
    fresh = build_model(name, ENVIRONMENTS["1d"], seed=1)
    before = weights(fresh)
    assert not load_model(tmp_path, name, fresh, SETTINGS | {"seed": 1})
    assert torch.equal(weights(fresh), before)
    assert load_model(tmp_path, name, fresh, SETTINGS)
    assert torch.equal(weights(fresh), weights(model))
    assert not fresh.training


def test_a_model_of_another_family_record_is_not_taken(tmp_path: Path) -> None:
    model = trained("categorical")
    save_model(tmp_path, "categorical", model, SETTINGS)
    two_dimensional = build_model("categorical", ENVIRONMENTS["2d"], seed=0)
    assert not load_model(tmp_path, "categorical", two_dimensional, SETTINGS)


def test_a_model_whose_option_had_another_name_then_is_taken(tmp_path: Path) -> None:
    """`scale_penalty` was `gauge` in version 0.1."""
    model = trained("mean_and_variance")
    save_model(tmp_path, "mean_and_variance", model, SETTINGS)
    record = records.read_json(tmp_path / "mean_and_variance.json")
    record["family"]["gauge"] = record["family"].pop("scale_penalty")
    records.write_json(tmp_path / "mean_and_variance.json", record)
    assert load_model(tmp_path, "mean_and_variance", model, SETTINGS)


def test_weights_without_their_record_are_not_taken(tmp_path: Path) -> None:
    """As a run leaves them that is killed between the two files."""
    model = trained()
    save_model(tmp_path, "base", model, SETTINGS)
    (tmp_path / "base.json").unlink()
    assert not load_model(tmp_path, "base", model, SETTINGS)


def test_the_record_names_family_settings_and_versions(tmp_path: Path) -> None:
    model = trained("mean_and_variance")
    save_model(tmp_path, "mean_and_variance", model, SETTINGS)
    record = records.read_json(tmp_path / "mean_and_variance.json")
    assert record["family"]["name"] == "mean_and_variance"
    assert record["config"] == SETTINGS
    assert record["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
