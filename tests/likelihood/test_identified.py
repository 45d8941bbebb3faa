"""What comparisons determine the correlation: hand counts, and a fit that recovers it."""

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import torch

from hidden_context.distributions import Normal
from hidden_context.errors import UserError
from hidden_context.likelihood.identified import (
    MOST_ITEMS,
    SMALLEST_SHARE,
    check_correlation_identified,
)


def identified(pairs: list[tuple[int, int]], *, ties_observed: bool) -> bool:
    first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
    try:
        check_correlation_identified(first, second, ties_observed=ties_observed)
    except UserError:
        return False
    return True


def complete(items: int, *, start: int = 0) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(start, start + items), 2))


def grid(first: int, second: int) -> list[tuple[int, int]]:
    """Each of the first texts with each of the second."""
    return [(i, first + j) for i in range(first) for j in range(second)]


# Hand counts


@pytest.mark.parametrize("items", [2, 3, 4, 5, 6, 12])
@pytest.mark.parametrize("ties_observed", [False, True])
def test_texts_compared_each_with_each_need_as_many_pairs_as_unknowns(
    items: int, ties_observed: bool
) -> None:
    """One z a pair for items means, items deviations and ρ, less location and unit.

    With ties each pair has its s and the unit is fixed: s alone must give the deviations and ρ,
    and what is left of z gives the means.
    """
    pairs = items * (items - 1) // 2
    unknowns = items + 1 if ties_observed else 2 * items + 1 - 2
    assert identified(complete(items), ties_observed=ties_observed) == (pairs >= unknowns)


@pytest.mark.parametrize(("first", "second"), [(3, 3), (3, 5), (3, 6), (4, 4)])
def test_two_groups_compared_across_need_as_many_pairs_as_unknowns(first: int, second: int) -> None:
    enough = first * second >= 2 * (first + second) - 1
    assert identified(grid(first, second), ties_observed=False) == enough


def test_a_pair_less_than_the_unknowns_is_too_few() -> None:
    """Five texts each with each are ten comparisons for nine unknowns."""
    pairs = complete(5)
    assert identified(pairs[1:], ties_observed=False)
    assert not identified(pairs[2:], ties_observed=False)


# Data


def test_two_responses_to_each_prompt_determine_no_correlation() -> None:
    pairs = [(2 * prompt, 2 * prompt + 1) for prompt in range(1000)]
    for ties_observed in (False, True):
        assert not identified(pairs, ties_observed=ties_observed)


def test_the_refusal_says_why_and_what_to_do() -> None:
    with pytest.raises(UserError) as refusal:
        check_correlation_identified(np.array([0, 2]), np.array([1, 3]), ties_observed=False)
    for words in ("compared with too few others", "--family_options correlation=0.5", "five"):
        assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_no_comparisons_determine_no_correlation() -> None:
    assert not identified([], ties_observed=False)


def test_repeated_comparisons_and_texts_against_themselves_add_nothing() -> None:
    pairs = complete(4)
    backwards = [(j, i) for i, j in pairs]
    assert not identified(pairs * 3 + backwards + [(0, 0), (1, 1)], ties_observed=False)


def test_one_part_of_the_data_is_enough() -> None:
    pairs = [(100 + 2 * prompt, 101 + 2 * prompt) for prompt in range(1000)]
    assert identified(pairs + complete(5), ties_observed=False)


def test_many_parts_that_are_too_small_stay_so_together() -> None:
    pairs = [pair for prompt in range(200) for pair in complete(4, start=4 * prompt)]
    assert not identified(pairs, ties_observed=False)
    assert identified(pairs, ties_observed=True)


def test_texts_with_few_comparisons_do_not_matter() -> None:
    """A long chain and a star hang on five texts that are compared each with each."""
    chain = [(i, i + 1) for i in range(4, 400)]
    star = [(0, item) for item in range(1000, 1200)]
    assert identified(chain + star + complete(5), ties_observed=False)
    assert not identified(chain + star + complete(4), ties_observed=False)


def test_the_dense_middle_of_a_large_part_is_found() -> None:
    """Ten texts each with each, among a cube of texts with three comparisons each or more."""
    side = 7
    cell = np.arange(side**3).reshape(side, side, side)
    lattice = [
        (int(i), int(j))
        for axis in range(3)
        for i, j in zip(
            np.delete(cell, -1, axis).ravel(), np.delete(cell, 0, axis).ravel(), strict=True
        )
    ]
    assert side**3 > MOST_ITEMS
    dense = [(5 * i, 5 * j) for i, j in complete(10)]
    assert identified(lattice + dense, ties_observed=False)


def test_order_and_names_of_the_texts_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    for items in (4, 5):
        name = rng.permutation(10_000)[:items]
        pairs = [(int(name[j]), int(name[i])) for i, j in complete(items)]
        rng.shuffle(pairs)
        assert identified(pairs, ties_observed=False) == (items == 5)


def test_the_share_that_decides_is_far_from_rounding() -> None:
    assert 1e-14 < SMALLEST_SHARE < 1e-4


# What is called identified is recovered, and what is not is not

MEANS = torch.tensor([-1.0, 0.6, 0.1, 1.2, -0.4, 0.3], dtype=torch.float64)
STDS = torch.tensor([0.5, 2.0, 0.9, 1.4, 0.7, 3.0], dtype=torch.float64)
CORRELATION = 0.6
TOLERANCE = 1e-9
"""Of a fit: the largest slope left, in nats per comparison for a unit of a parameter."""


def log_probs(parameters: torch.Tensor, items: int, margin: float) -> torch.Tensor:
    """Of the first, the second, and with a margin neither, shape `(2 or 3, pairs)`."""
    mean, log_std, unbounded = parameters[:items], parameters[items:-1], parameters[-1]
    family = dataclasses.replace(Normal(), correlation=torch.tanh(unbounded))
    raw_std = log_std.exp().expm1().log()  # undoes the softplus
    first, second = torch.tensor(complete(items)).T
    raw = torch.stack([mean, raw_std], dim=-1)
    a, b = family.decode(raw[first]), family.decode(raw[second])
    wins, losses = a.log_prob_preferred_to(b, margin), b.log_prob_preferred_to(a, margin)
    if margin == 0:
        return torch.stack([wins, losses])
    return torch.stack([wins, losses, torch.log1p(-wins.exp() - losses.exp())])


def true_parameters(items: int) -> torch.Tensor:
    unbounded = torch.tensor([math.atanh(CORRELATION)], dtype=torch.float64)
    return torch.cat([MEANS[:items], STDS[:items].log(), unbounded])


def minimum(start: torch.Tensor, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    parameters = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=2000,
        history_size=30,
        tolerance_grad=TOLERANCE,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(parameters)
        loss.backward()
        return loss

    optimizer.step(closure)
    return parameters.detach()


def information_about_correlation(items: int, margin: float) -> float:
    """Fisher information a comparison about atanh ρ, means and deviations unknown too."""
    truth = true_parameters(items)
    prob = log_probs(truth, items, margin).exp()
    by_parameter = torch.autograd.functional.jacobian(
        lambda parameters: log_probs(parameters, items, margin), truth
    )
    information = torch.einsum("opi,opj,op->ij", by_parameter, by_parameter, prob) / prob.shape[1]
    others = torch.linalg.pinv(information[:-1, :-1], rcond=1e-10, hermitian=True)
    shared = information[-1, :-1]
    return float(information[-1, -1] - shared @ others @ shared)


@pytest.mark.parametrize(("items", "margin"), [(6, 0.0), (5, 0.7)], ids=["no ties", "ties"])
def test_a_fit_recovers_the_correlation_that_is_identified(items: int, margin: float) -> None:
    """From the shares of 10⁹ answers a pair, within 4.5 standard errors (7 in a million)."""
    assert identified(complete(items), ties_observed=margin > 0)
    truth = true_parameters(items)
    answers = 10**9
    prob = log_probs(truth, items, margin).exp().T.numpy()
    counts = np.random.default_rng(0).multinomial(answers, prob / prob.sum(1, keepdims=True))
    start = torch.cat([truth[:items], torch.zeros(items + 1, dtype=torch.float64)])
    shares = torch.from_numpy(counts.T / answers)
    found = minimum(start, lambda given: -(shares * log_probs(given, items, margin)).sum(0).mean())
    comparisons = answers * len(complete(items))
    information = information_about_correlation(items, margin)
    error = 1 / math.sqrt(comparisons * information)
    assert error < 0.001
    left = 10 * TOLERANCE / information  # by the optimiser; a slope has several coordinates
    assert found[-1].item() == pytest.approx(truth[-1].item(), abs=4.5 * error + left)


@pytest.mark.parametrize(("items", "margin"), [(4, 0.0), (3, 0.7)], ids=["no ties", "ties"])
def test_another_correlation_fits_as_well_where_it_is_not_identified(
    items: int, margin: float
) -> None:
    assert not identified(complete(items), ties_observed=margin > 0)
    truth = true_parameters(items)
    shares = log_probs(truth, items, margin).exp()
    fixed = torch.tensor([math.atanh(0.4)], dtype=torch.float64)

    def errors(free: np.ndarray) -> np.ndarray:
        parameters = torch.cat([torch.from_numpy(free), fixed])
        return (log_probs(parameters, items, margin).exp() - shares).numpy().ravel()

    found = scipy.optimize.least_squares(errors, truth[:-1].numpy(), xtol=1e-15, ftol=1e-15)
    np.testing.assert_allclose(errors(found.x), 0.0, atol=1e-6)
    assert abs(errors(truth[:-1].numpy())).max() > 0.01  # it is not that ρ has no effect
