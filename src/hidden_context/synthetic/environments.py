"""The paper's synthetic environments, where every answer is known exactly.

In both, a state is uniform on the unit cube and its utility is a gamble on the hidden context: a
prize with some probability, else 0 (DPL paper, section 5).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hidden_context.synthetic.settings import EnvironmentName


@dataclass(frozen=True)
class StatePairs:
    """A batch of noisy comparisons of two states."""

    first: Tensor
    """States, shape `(n, state_dim)`."""
    second: Tensor
    """The states that they are compared with, shape `(n, state_dim)`."""
    first_preferred: Tensor
    """Whether the first state won, boolean, shape `(n,)`."""


class Environment(ABC):
    """States whose utility depends on a hidden context. All utilities are at least 0."""

    name: ClassVar[EnvironmentName]
    """The name on the command line and in paths."""
    state_dim: ClassVar[int]
    """Number of coordinates of a state, each in [0, 1]."""
    explained_variance: ClassVar[float]
    """Exact r² = Var[E[u]] / (Var[E[u]] + E[Var[u]]) on the utility scale."""
    rank_explained_variance: ClassVar[float]
    """Exact r² of the population rank of the utility: Var[Borda count] / (1/12).

    With ties broken by a coin the rank is uniform on [0, 1], and its mean is the Borda count.
    """

    @abstractmethod
    def gamble(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """The prize and the probability of getting it (0 otherwise), each of shape `(n,)`."""

    @abstractmethod
    def expected_utility(self, states: Tensor) -> Tensor:
        """E[u] over the hidden context, shape `(n,)`."""

    @abstractmethod
    def utility_variance(self, states: Tensor) -> Tensor:
        """Var[u] over the hidden context, shape `(n,)`."""

    @abstractmethod
    def borda_count(self, states: Tensor) -> Tensor:
        """Probability to beat a random state, ties counted half, shape `(n,)`.

        The two hidden contexts are independent, as in the models and in `compare`.
        """

    def sample_states(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform states, shape `(n, state_dim)`."""
        return torch.rand(n, self.state_dim, generator=generator)

    def stratified_states(self, n: int, generator: torch.Generator) -> Tensor:
        """Uniform states, spread evenly, shape `(n, state_dim)`. See `low_discrepancy`."""
        return low_discrepancy(n, self.state_dim, generator)

    def stratified_pairs(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two uniform states for each of n pairs, `(n, state_dim)` each.

        The pairs, not only the states, are spread evenly. See `low_discrepancy`.
        """
        first, second = low_discrepancy(n, 2 * self.state_dim, generator).chunk(2, dim=-1)
        return first, second

    def sample_utilities(self, states: Tensor, generator: torch.Generator) -> Tensor:
        """One utility for each state, with a hidden context of its own, shape `(n,)`."""
        prize, probability = self.gamble(states)
        lucky = torch.rand(len(states), generator=generator) < probability
        return torch.where(lucky, prize, 0.0)

    def state_grid(self, points: int) -> Tensor:
        """Centres of a grid of equal cells, shape `(points ** state_dim, state_dim)`."""
        axis = (torch.arange(points) + 0.5) / points
        return torch.cartesian_prod(*[axis] * self.state_dim).reshape(-1, self.state_dim)

    def preference_probability(self, first: Tensor, second: Tensor) -> Tensor:
        """Exact P(first ≻ second), ties counted half, contexts independent, shape `(n,)`."""
        prize_1, prob_1 = self.gamble(first)
        prize_2, prob_2 = self.gamble(second)
        nothing = torch.zeros_like(prize_1)
        return (
            prob_1 * prob_2 * _win(prize_1, prize_2)
            + prob_1 * (1 - prob_2) * _win(prize_1, nothing)
            + (1 - prob_1) * prob_2 * _win(nothing, prize_2)
            + (1 - prob_1) * (1 - prob_2) / 2
        )

    def preference_matrix(self, states: Tensor) -> Tensor:
        """Exact P(i ≻ j) for all pairs of n states, shape `(n, n)`."""
        n = len(states)
        first, second = states.repeat_interleave(n, 0), states.repeat(n, 1)
        return self.preference_probability(first, second).reshape(n, n)


class OneDimensional(Environment):
    """u = a for a < 0.8; from there on 2a or 0, with probability ½ each.

    The Borda count falls at 0.8, the expected utility does not.
    """

    name = "1d"
    state_dim = 1
    explained_variance = 125 / 369  # (1/12) / (1/12 + 0.488/3)
    rank_explained_variance = 0.5125
    threshold: ClassVar[float] = 0.8
    """From this state on the hidden context matters."""

    def gamble(self, states: Tensor) -> tuple[Tensor, Tensor]:
        a = states[:, 0]
        risky = a >= self.threshold
        return torch.where(risky, 2 * a, a), torch.where(risky, 0.5, 1.0).to(a.dtype)

    def expected_utility(self, states: Tensor) -> Tensor:
        return states[:, 0].clone()

    def utility_variance(self, states: Tensor) -> Tensor:
        a = states[:, 0]
        return torch.where(a >= self.threshold, a**2, 0.0)

    def borda_count(self, states: Tensor) -> Tensor:
        a = states[:, 0]
        return torch.where(a >= self.threshold, 0.275 + 0.25 * a, a + 0.1)

    def shared_context_borda_count(self, states: Tensor) -> Tensor:
        """The Borda count where both states share one hidden context, as in the paper's text."""
        a = states[:, 0]
        return torch.where(a >= self.threshold, 0.05 + 0.5 * a, a + 0.1)


class TwoDimensional(Environment):
    """u = y / (1 - xy) with probability 1 - xy, else 0, at the state (x, y).

    The expected utility is y whatever x is; the Borda count falls with x, most where y is large.
    """

    name = "2d"
    state_dim = 2
    explained_variance = 1 / 6  # Var[y] = 1/12; E[x y³ / (1 - xy)] = 5/12, by its power series
    rank_explained_variance = 0.2153846  # by adaptive quadrature of `borda_count`, to 1e-7

    def gamble(self, states: Tensor) -> tuple[Tensor, Tensor]:
        x, y = states.unbind(-1)
        probability = 1 - x * y
        return y / probability, probability

    def expected_utility(self, states: Tensor) -> Tensor:
        return states[:, 1].clone()

    def utility_variance(self, states: Tensor) -> Tensor:
        x, y = states.unbind(-1)
        return x * y**3 / (1 - x * y)

    def borda_count(self, states: Tensor) -> Tensor:
        """See `Environment.borda_count`. The published figure draws another environment's."""
        prize, probability = self.gamble(states)
        beats_prizes = torch.where(prize <= 1, _share_below_1(prize), _share_above_1(prize))
        return probability * (0.25 + beats_prizes) + (1 - probability) / 8


ENVIRONMENTS: dict[str, Environment] = {
    environment.name: environment for environment in (OneDimensional(), TwoDimensional())
}
"""Every environment by its name."""


def compare(environment: Environment, n: int, generator: torch.Generator) -> StatePairs:
    """Draw `n` pairs of fresh states and compare one utility of each; a coin settles ties."""
    first = environment.sample_states(n, generator)
    second = environment.sample_states(n, generator)
    utility_1 = environment.sample_utilities(first, generator)
    utility_2 = environment.sample_utilities(second, generator)
    coin = torch.rand(n, generator=generator) < 0.5
    return StatePairs(first, second, (utility_1 > utility_2) | ((utility_1 == utility_2) & coin))


def low_discrepancy(n: int, dim: int, generator: torch.Generator) -> Tensor:
    """Uniform points of the unit cube that repel each other, float32, shape `(n, dim)`.

    Sobol points, scrambled anew with a seed drawn from `generator` (Owen 1995; Matoušek 1998).
    Each point is uniform; if n is a power of 2, each of n equal intervals of every coordinate
    holds exactly one.
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    return torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed).draw(n)


def _win(utility: Tensor, other: Tensor) -> Tensor:
    return (utility > other).to(utility.dtype) + 0.5 * (utility == other).to(utility.dtype)


def _share_below_1(prize: Tensor) -> Tensor:
    """P(another state gets a prize, and a smaller one), for prizes up to 1."""
    return (torch.log1p(prize) + prize / (1 + prize)) / 2


def _share_above_1(prize: Tensor) -> Tensor:
    """The same for prizes above 1, infinity included."""
    inverse = 1 / prize
    r = 1 - inverse
    tail = inverse - 1 / (1 + prize)
    return r - r**2 / 4 + torch.log1p(inverse) / 2 + tail / 2
