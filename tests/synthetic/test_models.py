"""The models of the synthetic experiments: every family is trainable, labels cannot leak."""

from itertools import combinations

import pytest
import torch

from hidden_context.distributions import FAMILIES
from hidden_context.likelihood.loss import preference_loss
from hidden_context.synthetic.environments import ENVIRONMENTS, StatePairs, compare
from hidden_context.synthetic.models import MODEL_NAMES, UtilityModel, build_model

COMPARISONS = {
    name: compare(environment, 64, torch.Generator().manual_seed(0))
    for name, environment in ENVIRONMENTS.items()
}


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_loss_of_every_model_is_finite_and_moves_every_weight(name: str, env: str) -> None:
    model = build_model(name, ENVIRONMENTS[env], seed=0)
    loss = model.loss(COMPARISONS[env])
    loss.backward()
    assert torch.isfinite(loss)
    assert all(weight.grad is not None for weight in model.parameters())


def test_every_family_has_a_model_and_one_model_has_no_family() -> None:
    assert set(MODEL_NAMES) - set(FAMILIES) == {"classifier"}


@pytest.mark.parametrize(("env", "num_atoms"), [("1d", 20), ("2d", 8)])
def test_categorical_has_the_published_number_of_atoms(env: str, num_atoms: int) -> None:
    model = build_model("categorical", ENVIRONMENTS[env], seed=0)
    assert isinstance(model, UtilityModel)
    assert model.family.num_outputs == num_atoms


@pytest.mark.parametrize("name", FAMILIES)
def test_exchanging_the_two_states_of_a_comparison_changes_nothing(name: str) -> None:
    """Also under batch normalisation, which would tell chosen from rejected batches apart."""
    model, drawn = build_model(name, ENVIRONMENTS["1d"], seed=0), COMPARISONS["1d"]
    exchanged = StatePairs(drawn.second, drawn.first, ~drawn.first_preferred)
    torch.testing.assert_close(model.loss(exchanged), model.loss(drawn))


def test_the_loss_is_the_one_preference_loss_with_chosen_first() -> None:
    model, drawn = build_model("mean_and_variance", ENVIRONMENTS["1d"], seed=0), COMPARISONS["1d"]
    assert isinstance(model, UtilityModel)
    won = drawn.first_preferred[:, None]
    chosen = model.network(torch.where(won, drawn.first, drawn.second))
    rejected = model.network(torch.where(won, drawn.second, drawn.first))
    expected = preference_loss(model.family, chosen, rejected)
    torch.testing.assert_close(model.loss(drawn), expected)


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_exact_loss_of_every_model_moves_every_weight(name: str, env: str) -> None:
    model = build_model(name, ENVIRONMENTS[env], seed=0)
    model.exact_loss(ENVIRONMENTS[env], 5, torch.Generator().manual_seed(0)).backward()
    for weight in model.parameters():
        assert weight.grad is not None
        assert weight.grad.isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_exact_loss_is_the_expected_preference_loss_of_all_pairs(name: str) -> None:
    """Each pair's two outcomes, weighted by their exact probabilities."""
    environment = ENVIRONMENTS["1d"]
    model = build_model(name, environment, seed=0).eval()
    assert isinstance(model, UtilityModel)
    states = environment.stratified_states(6, torch.Generator().manual_seed(0))
    raw, each = model.network(states), []
    for i, j in combinations(range(6), 2):
        won, lost = (
            preference_loss(model.family, *pair, regularize=False)
            for pair in ((raw[i], raw[j]), (raw[j], raw[i]))
        )
        prob = environment.preference_probability(states[i : i + 1], states[j : j + 1])
        each.append(prob * won + (1 - prob) * lost)
    expected = torch.stack(each).mean() + model.family.regularizer(model.family.decode(raw))
    found = model.exact_loss(environment, 6, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_exact_and_sampled_losses_estimate_the_same_number(name: str) -> None:
    """Of a fresh model, to five standard errors: its losses differ from comparison to comparison.

    By less than 0.5 nats, since it predicts nearly one half everywhere; 5,000 are sampled. The
    exact loss averages out what is left of the choice of states.
    """
    environment = ENVIRONMENTS["1d"]
    model = build_model(name, environment, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        sampled = model.loss(compare(environment, 5_000, generator))
        exact = torch.stack([model.exact_loss(environment, 65, generator) for _ in range(20)])
    assert float(exact.mean()) == pytest.approx(float(sampled), abs=5 * 0.5 / 5_000**0.5)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_pairwise_probabilities_of_both_outcomes_add_up_to_one(name: str) -> None:
    model = build_model(name, ENVIRONMENTS["2d"], seed=0).eval()
    with torch.no_grad():
        first, second = model.pairwise_log_probs(ENVIRONMENTS["2d"].state_grid(3))
    assert first.shape == (9, 9)
    torch.testing.assert_close(first.exp() + second.exp(), torch.ones(9, 9))


def test_fresh_weights_depend_on_the_seed_alone_and_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first = build_model("base", ENVIRONMENTS["1d"], seed=3).state_dict()
    torch.rand(5)
    again = build_model("base", ENVIRONMENTS["1d"], seed=3).state_dict()
    torch.set_rng_state(before)
    other = build_model("base", ENVIRONMENTS["1d"], seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["network.0.weight"], other["network.0.weight"])
