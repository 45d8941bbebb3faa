"""The models that the synthetic experiments train: one for each family, and a pairwise classifier.

All are the paper's multilayer perceptron; what its outputs mean, only the family knows.
"""

from itertools import pairwise
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hidden_context.device import for_loss
from hidden_context.distributions import FAMILIES, Family, make_family
from hidden_context.likelihood.loss import preference_loss
from hidden_context.synthetic.environments import Environment, StatePairs

NUM_LAYERS = 4
"""Linear layers, the last one among them."""
HIDDEN_DIM = 512
"""Units of each hidden layer."""

CLASSIFIER = "classifier"
"""Name of the model that reads both states at once and has no utility."""
MODEL_NAMES = (*FAMILIES, CLASSIFIER)
"""Every model that is trained, in order."""

FAMILY_OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    env: {
        "mean_and_variance": {"scale_penalty": 0.1},
        "categorical": {"num_atoms": num_atoms, "entropy_coeff": 0.0},
    }
    for env, num_atoms in {"1d": 20, "2d": 8}.items()
}
"""Options of the families, by environment and family (categorical: as published); else defaults.

The penalty keeps the scale of mean_and_variance, which the likelihood leaves free, from drifting.
mean_and_variance starts with a std near softplus(0) = 0.69. The published start, 0.135, learns more
slowly: after 200 iterations of 256 comparisons the loss is 0.311 instead of 0.263 nats in 1-D,
0.590 instead of 0.574 in 2-D. shared_context is trained like all others, though the contexts of two
states are independent here and not shared.
"""
WITH_BATCH_NORM = ("categorical",)
"""Families trained with batch normalisation, as published."""


class UtilityModel(nn.Module):
    """A distribution of utility for each state."""

    def __init__(self, family: Family, state_dim: int) -> None:
        super().__init__()
        self.family = family
        self.network = _perceptron(
            state_dim, family.num_outputs, batch_norm=family.name in WITH_BATCH_NORM
        )

    def loss(self, comparisons: StatePairs) -> Tensor:
        """`preference_loss` of the batch, in nats per comparison.

        All states pass the network together: batch statistics of the chosen states alone would
        tell the network which states were chosen.
        """
        states = torch.cat([comparisons.first, comparisons.second])
        raw = for_loss(self.network(_on_device_of(self, states)))
        first, second = raw.chunk(2)
        won = comparisons.first_preferred[:, None].to(raw.device)
        chosen, rejected = torch.where(won, first, second), torch.where(won, second, first)
        return preference_loss(self.family, chosen, rejected)

    def exact_loss(
        self, environment: Environment, num_states: int, generator: torch.Generator
    ) -> Tensor:
        """Expected `preference_loss` of all pairs of fresh stratified states, in nats.

        Every state passes the network once, and every pair has the exact preference probability as
        its label.
        """
        states = environment.stratified_states(num_states, generator)
        raw = for_loss(self.network(_on_device_of(self, states)))
        prob = environment.preference_matrix(states).to(raw)
        cross_entropy = -prob * _log_prob_matrix(self.family, raw)
        num_pairs = num_states * (num_states - 1) / 2
        of_pairs = (cross_entropy.sum() - cross_entropy.trace()) / num_pairs
        return of_pairs + self.family.regularizer(self.family.decode(raw))

    def pairwise_log_probs(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """log P(i ≻ j) and log P(j ≻ i) in nats for all pairs of states, each `(n, n)`."""
        log_prob = _log_prob_matrix(self.family, self.network(states))
        return log_prob, log_prob.T


class PairClassifier(nn.Module):
    """P(first ≻ second) from the concatenated pair, which need not come from any utility."""

    def __init__(self, state_dim: int) -> None:
        super().__init__()
        self.network = _perceptron(2 * state_dim, 1, batch_norm=False)

    def logit(self, first: Tensor, second: Tensor) -> Tensor:
        """Log-odds that the first state is preferred, shape `(n,)`."""
        states = torch.cat([first, second], dim=-1)
        return self.network(_on_device_of(self, states)).squeeze(-1)

    def loss(self, comparisons: StatePairs) -> Tensor:
        """Binary cross-entropy of the batch, in nats per comparison."""
        logit = self.logit(comparisons.first, comparisons.second)
        return F.binary_cross_entropy_with_logits(logit, comparisons.first_preferred.to(logit))

    def exact_loss(
        self, environment: Environment, num_states: int, generator: torch.Generator
    ) -> Tensor:
        """Expected cross-entropy of as many stratified pairs as `num_states`, in nats.

        Each label is the exact preference probability. All pairs of the states would share no
        work in this network, and fresh pairs tell more than as many pairs of fewer states.
        """
        first, second = environment.stratified_pairs(num_states, generator)
        logit = for_loss(self.logit(first, second))
        prob = environment.preference_probability(first, second)
        return F.binary_cross_entropy_with_logits(logit, prob.to(logit))

    def pairwise_log_probs(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """See `UtilityModel.pairwise_log_probs`; each P(i ≻ j) is asked with i first."""
        logit = torch.stack([self.logit(state.expand_as(states), states) for state in states])
        return F.logsigmoid(logit), F.logsigmoid(-logit)


Model: TypeAlias = UtilityModel | PairClassifier


def build_model(name: str, environment: Environment, *, seed: int) -> Model:
    """A model with fresh weights, which depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == CLASSIFIER:
            return PairClassifier(environment.state_dim)
        options = FAMILY_OPTIONS[environment.name].get(name)
        return UtilityModel(make_family(name, options), environment.state_dim)


def _log_prob_matrix(family: Family, raw: Tensor) -> Tensor:
    """log P(i ≻ j) in nats for all pairs of n raw outputs, shape `(n, n)`."""
    rows, columns = family.decode(raw[:, None]), family.decode(raw[None, :])
    return rows.log_prob_preferred_to(columns)


def _on_device_of(model: nn.Module, states: Tensor) -> Tensor:
    return states.to(next(model.parameters()).device)


def _perceptron(num_inputs: int, num_outputs: int, *, batch_norm: bool) -> nn.Sequential:
    widths = [num_inputs, *[HIDDEN_DIM] * (NUM_LAYERS - 1)]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers.append(nn.Linear(inputs, outputs))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(HIDDEN_DIM, num_outputs))
