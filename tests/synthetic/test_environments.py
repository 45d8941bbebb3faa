"""Exact answers of the synthetic environments against simulation, quadrature and the paper."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from hidden_context.synthetic.environments import (
    ENVIRONMENTS,
    Environment,
    OneDimensional,
    TwoDimensional,
    compare,
)

NUM_DRAWS = 400_000
STANDARD_ERRORS = 5
"""Half width of every margin below: a true formula fails once in about two million checks."""

STATES = {
    "1d": torch.tensor([[0.01], [0.3], [0.79], [0.8], [0.9], [1.0]]),
    "2d": torch.tensor([[0.0, 1.0], [0.9, 0.5], [1.0, 0.5], [0.3, 0.2], [0.8, 0.9], [0.95, 0.98]]),
}


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> Environment:
    return ENVIRONMENTS[request.param]


def draws_at(environment: Environment, state: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return environment.sample_utilities(state.expand(NUM_DRAWS, -1), generator).double()


def average(environment: Environment, function: Callable[[Tensor], Tensor]) -> float:
    """Mean over all states by adaptive quadrature, split where the formulas change."""

    def at(*state: float) -> float:
        return float(function(torch.tensor([state], dtype=torch.float64)))

    if environment.state_dim == 1:
        return quad(at, 0, 0.8)[0] + quad(at, 0.8, 1)[0]

    def along_y(x: float) -> float:
        prize_1 = 1 / (1 + x)  # y/(1 - xy) = 1
        lower = quad(lambda y: at(x, y), 0, prize_1, epsabs=1e-6)[0]
        return lower + quad(lambda y: at(x, y), prize_1, 1, epsabs=1e-6)[0]

    return quad(along_y, 0, 1, epsabs=1e-5, epsrel=1e-5)[0]


def test_expected_utility_and_variance_are_those_of_the_samples(environment: Environment) -> None:
    for state in STATES[environment.name]:
        utility = draws_at(environment, state)
        mean = float(environment.expected_utility(state[None]))
        variance = float(environment.utility_variance(state[None]))
        margin = STANDARD_ERRORS * math.sqrt(variance / NUM_DRAWS) + 1e-6
        assert abs(float(utility.mean()) - mean) < margin
        square = (utility - mean) ** 2
        margin = STANDARD_ERRORS * float(square.std()) / math.sqrt(NUM_DRAWS) + 1e-6
        assert abs(float(square.mean()) - variance) < margin


def test_borda_count_is_the_share_of_random_opponents_beaten(environment: Environment) -> None:
    generator = torch.Generator().manual_seed(2)
    states = environment.sample_states(NUM_DRAWS, generator)
    opponents = environment.sample_utilities(states, generator)
    for state in STATES[environment.name]:
        utility = draws_at(environment, state)
        wins = (utility > opponents).double() + 0.5 * (utility == opponents).double()
        margin = STANDARD_ERRORS * 0.5 / math.sqrt(NUM_DRAWS)
        assert abs(float(wins.mean()) - float(environment.borda_count(state[None]))) < margin


def test_borda_count_is_the_mean_preference_probability(environment: Environment) -> None:
    """Midpoint rule on cells of width h: the jumps of P cost at most about h."""
    states, points = STATES[environment.name], {1: 10_000, 2: 300}[environment.state_dim]
    opponents = environment.state_grid(points)
    for state in states:
        prob = environment.preference_probability(state.expand(len(opponents), -1), opponents)
        assert float(prob.mean()) == pytest.approx(
            float(environment.borda_count(state[None])), abs=1 / points
        )


def test_shared_context_borda_count_is_that_of_one_coin_for_both_states() -> None:
    environment = OneDimensional()
    generator = torch.Generator().manual_seed(3)
    opponents = environment.sample_states(NUM_DRAWS, generator)[:, 0]
    doubled = torch.rand(NUM_DRAWS, generator=generator) < 0.5

    def utility(a: Tensor) -> Tensor:
        return torch.where(a < 0.8, a, torch.where(doubled, 2 * a, 0.0))

    for state in STATES["1d"]:
        mine, theirs = utility(state.expand(NUM_DRAWS)), utility(opponents)
        wins = (mine > theirs).double() + 0.5 * (mine == theirs).double()
        exact = float(environment.shared_context_borda_count(state[None]))
        margin = STANDARD_ERRORS * 0.5 / math.sqrt(NUM_DRAWS)
        assert abs(float(wins.mean()) - exact) < margin


def test_the_mean_borda_count_is_one_half(environment: Environment) -> None:
    assert average(environment, environment.borda_count) == pytest.approx(0.5, abs=1e-5)


def test_explained_variance_is_that_of_the_formulas(environment: Environment) -> None:
    mean = average(environment, environment.expected_utility)
    explained = average(environment, lambda s: (environment.expected_utility(s) - mean) ** 2)
    unexplained = average(environment, environment.utility_variance)
    assert environment.explained_variance == pytest.approx(
        explained / (explained + unexplained), abs=1e-4
    )


def test_rank_explained_variance_is_that_of_the_borda_count(environment: Environment) -> None:
    variance = average(environment, lambda s: (environment.borda_count(s) - 0.5) ** 2)
    assert environment.rank_explained_variance == pytest.approx(12 * variance, abs=1e-4)


def test_the_known_constants() -> None:
    """1-D r² on both scales, and the 2-D Borda counts at three states."""
    assert OneDimensional.explained_variance == pytest.approx(0.3388, abs=5e-5)
    assert OneDimensional.rank_explained_variance == 0.5125
    borda_count = TwoDimensional().borda_count(STATES["2d"][:3])
    assert borda_count.tolist() == pytest.approx([0.8468, 0.5025, 0.4858], abs=3e-4)


def test_the_corner_where_the_prize_is_infinite_has_a_borda_count() -> None:
    """There u = 0: only ties with the quarter of all utilities that are 0 count."""
    assert float(TwoDimensional().borda_count(torch.ones(1, 2))) == 1 / 8


def test_comparisons_follow_the_exact_probabilities(environment: Environment) -> None:
    """Over all pairs, and over those with both states beyond 0.8, where ties are frequent."""
    drawn = compare(environment, NUM_DRAWS, torch.Generator().manual_seed(4))
    prob = environment.preference_probability(drawn.first, drawn.second)
    surprise = drawn.first_preferred.double() - prob
    both_high = (drawn.first.amin(1) > 0.8) & (drawn.second.amin(1) > 0.8)
    for chosen in (surprise, surprise[both_high]):
        assert abs(float(chosen.mean())) < STANDARD_ERRORS * 0.5 / math.sqrt(len(chosen))


def test_the_generator_alone_decides_what_is_drawn(environment: Environment) -> None:
    once, again = (compare(environment, 8, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(once.first, again.first)
    assert torch.equal(once.first_preferred, again.first_preferred)
    assert once.first.shape == (8, environment.state_dim)


def test_each_stratum_of_every_coordinate_holds_one_stratified_state(
    environment: Environment,
) -> None:
    generator = torch.Generator().manual_seed(6)
    states = environment.stratified_states(64, generator)
    pairs = torch.cat(environment.stratified_pairs(64, generator), dim=-1)
    assert states.shape == (64, environment.state_dim)
    assert pairs.shape == (64, 2 * environment.state_dim)
    for coordinate in (*states.T, *pairs.T):
        assert sorted((coordinate * 64).int().tolist()) == list(range(64))


def test_a_stratified_state_is_uniform_and_fresh(environment: Environment) -> None:
    """The standard error of the mean of n uniform numbers is sqrt(1 / 12n), of squares 0.3/√n."""
    generator = torch.Generator().manual_seed(7)
    draws = torch.stack([environment.stratified_states(3, generator) for _ in range(1000)])
    for coordinate in draws.flatten(1).T:
        assert len(coordinate.unique()) > 990
        margin = STANDARD_ERRORS * 0.3 / len(coordinate) ** 0.5
        assert abs(float(coordinate.mean()) - 1 / 2) < margin
        assert abs(float((coordinate**2).mean()) - 1 / 3) < margin


def test_stratified_pairs_estimate_a_mean_better_than_independent_ones(
    environment: Environment,
) -> None:
    """Of the exact preference probability, over 200 draws: better by more than chance.

    The ratio of two estimated standard deviations has a standard error of 1 / sqrt(200).
    """
    generator = torch.Generator().manual_seed(8)

    def spread(draw: Callable[[], tuple[Tensor, Tensor]]) -> float:
        means = [environment.preference_probability(*draw()).mean() for _ in range(200)]
        return float(torch.stack(means).std())

    def independent() -> tuple[Tensor, Tensor]:
        first, second = (environment.sample_states(64, generator) for _ in range(2))
        return first, second

    stratified = spread(lambda: environment.stratified_pairs(64, generator))
    assert stratified < spread(independent) * (1 - STANDARD_ERRORS / 200**0.5)


def test_the_preference_matrix_holds_every_pair(environment: Environment) -> None:
    states = STATES[environment.name]
    prob = environment.preference_matrix(states)
    torch.testing.assert_close(prob + prob.T, torch.ones(6, 6))
    expected = environment.preference_probability(states[2:3], states[4:5])
    assert float(prob[2, 4]) == pytest.approx(float(expected))


def test_the_grid_covers_the_cube_evenly(environment: Environment) -> None:
    grid = environment.state_grid(10)
    assert grid.shape == (10**environment.state_dim, environment.state_dim)
    assert len(grid.unique(dim=0)) == len(grid)
    assert grid.mean(0).tolist() == pytest.approx([0.5] * environment.state_dim)
