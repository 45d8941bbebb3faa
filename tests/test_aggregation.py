"""Social-choice rules against the paper's example, exact environments and their own laws."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import gmean

from hidden_context.aggregation import (
    RULES,
    Evidence,
    borda_count,
    context_support,
    copeland,
    evidence_from_comparisons,
    evidence_from_contexts,
    evidence_from_outputs,
    expected_utility,
    learned_support,
    maximin,
    nash_welfare,
    observed_support,
    support_over_reference,
    winners,
    worst_group,
)
from hidden_context.aggregation.compared_choices import choices_from_comparisons
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.distributions import FAMILIES, Family, Normal
from hidden_context.distributions.shared_context import SharedContext
from hidden_context.errors import UserError
from hidden_context.synthetic.environments import ENVIRONMENTS, OneDimensional

EXAMPLE = np.array([[10.0, 3.0, 2.0], [0.0, 3.0, 2.0], [0.0, 1.0, 2.0]])
"""Utilities of a, b and c of the DPL paper's example: for z ≤ 0.6, up to 0.9, and above."""
EXAMPLE_WEIGHTS = np.array([0.6, 0.3, 0.1])

every_family = pytest.mark.parametrize(
    "family", [family() for family in FAMILIES.values()], ids=repr
)
support_rules = pytest.mark.parametrize("rule", [borda_count, copeland, maximin])
group_rules = pytest.mark.parametrize("rule", [expected_utility, nash_welfare, worst_group])


@st.composite
def supports(draw: st.DrawFn, least: int = 2) -> np.ndarray:
    """Coherent matrices of pairwise support."""
    size = draw(st.integers(least, 6))
    half = draw(arrays(np.float64, (size, size), elements=st.floats(0, 1)))
    upper = np.triu(half, 1)
    return upper + np.tril(1 - upper.T, -1) + 0.5 * np.eye(size)


def bradley_terry(support: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Utilities that maximise the expected likelihood Σ frequency P log σ(u_i - u_j), by Newton."""
    utilities = np.zeros(len(support))
    for _ in range(50):
        learned = 1 / (1 + np.exp(utilities[None, :] - utilities[:, None]))
        gradient = (frequency * (support - learned)).sum(1)
        curvature = frequency * learned * (1 - learned)
        hessian = np.diag(curvature.sum(1)) - curvature
        utilities += np.linalg.pinv(hessian) @ gradient
    assert np.abs(gradient).max() < 1e-12
    return utilities


def raw_outputs(family: Family[Any], responses: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 2, (responses, family.num_outputs))


# The paper's example


def test_the_papers_example_has_the_published_figures() -> None:
    support = context_support(EXAMPLE, EXAMPLE_WEIGHTS)
    assert borda_count(support) == pytest.approx([1.7 / 3, 1.8 / 3, 1 / 3])
    assert expected_utility(EXAMPLE, EXAMPLE_WEIGHTS) == pytest.approx([6, 2.8, 2])
    assert maximin(support) == pytest.approx([0.6, 0.4, 0.1])
    assert copeland(support) == pytest.approx([1, 0.5, 0])
    assert worst_group(EXAMPLE) == pytest.approx([0, 1, 2])


def test_every_winner_of_the_papers_example_is_somebodys() -> None:
    evidence = evidence_from_contexts(EXAMPLE, EXAMPLE_WEIGHTS, reference=2, baseline=-1.0)
    found = {name: winners(rule.score(evidence)) for name, rule in RULES.items()}
    assert found == {
        "borda": (1,),
        "expected_utility": (0,),
        "copeland": (0,),
        "maximin": (0,),
        "reference": (1,),
        "nash": (0,),
        "worst_group": (2,),
    }


def test_uniformly_sampled_pairs_make_bradley_terry_follow_borda_and_other_frequencies_do_not() -> (
    None
):
    support = context_support(EXAMPLE, EXAMPLE_WEIGHTS)
    uniform = 1 - np.eye(3)
    assert np.array_equal(
        np.argsort(bradley_terry(support, uniform)), np.argsort(borda_count(support))
    )
    often = uniform.copy()
    often[0, 1] = often[1, 0] = 10
    a, b, c = bradley_terry(support, often)
    assert a > b > c
    share_of_wins = (often * support).sum(1) / often.sum(1)
    assert winners(share_of_wins) == (0,)


def test_how_often_a_pair_is_compared_does_not_move_observed_support() -> None:
    support = context_support(EXAMPLE, EXAMPLE_WEIGHTS)
    first, second = [0, 0, 1], [1, 2, 2]
    shares = [support[i, j] for i, j in zip(first, second, strict=True)]
    for weights in ([1.0, 1.0, 1.0], [10.0, 1.0, 1.0]):
        found = observed_support(first, second, shares, num_alternatives=3, weights=weights)
        assert found == pytest.approx(support)


# The synthetic environments


@pytest.mark.parametrize(("name", "points"), [("1d", 400), ("2d", 40)])
def test_borda_of_a_grid_is_the_exact_borda_count(name: str, points: int) -> None:
    """Midpoint sums: the steps of P(i ≻ ·) cross at most 2/points of the cells, by up to half."""
    environment = ENVIRONMENTS[name]
    states = environment.state_grid(points).double()
    found = borda_count(environment.preference_matrix(states))
    exact = environment.borda_count(states)
    assert float((found - exact).abs().max()) < 1 / points


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_expected_utility_of_an_environment_is_the_mean_over_its_contexts(name: str) -> None:
    """1000 even contexts put the probability of a prize off by 1/1000 at most."""
    environment = ENVIRONMENTS[name]
    states = environment.state_grid(9).double()
    prize, probability = environment.gamble(states)
    context = (torch.arange(1000).double()[:, None] + 0.5) / 1000
    found = expected_utility(torch.where(context < probability, prize, 0.0))
    assert bool(((found - environment.expected_utility(states)).abs() <= prize / 1000).all())


def test_borda_with_a_shared_context_is_the_papers_of_one_dimension() -> None:
    environment = OneDimensional()
    states = environment.state_grid(400).double()
    prize, probability = environment.gamble(states)
    contexts = torch.stack([prize, torch.where(probability < 1, 0.0, prize)])
    found = borda_count(context_support(contexts))
    exact = environment.shared_context_borda_count(states)
    assert float((found - exact).abs().max()) < 1 / 400


# Laws of the rules


@given(supports())
@settings(deadline=None, max_examples=50)
def test_borda_counts_are_half_on_average(support: np.ndarray) -> None:
    assert borda_count(support).mean() == pytest.approx(0.5)


@given(supports(least=3), st.floats(0.51, 1))
@settings(deadline=None, max_examples=50)
def test_a_condorcet_winner_has_copeland_1_and_the_only_majority_in_its_worst_duel(
    support: np.ndarray, majority: float
) -> None:
    support[1, :], support[:, 1] = majority, 1 - majority
    support[1, 1] = 0.5
    assert copeland(support)[1] == 1
    assert winners(copeland(support)) == winners(maximin(support)) == (1,)


@support_rules
@given(support=supports(), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=25)
def test_names_of_alternatives_do_not_matter(rule: Any, support: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(support))
    assert rule(support[np.ix_(order, order)]) == pytest.approx(rule(support)[order])


@support_rules
def test_in_a_condorcet_cycle_all_tie(rule: Any) -> None:
    cycle = np.array([[0.5, 2 / 3, 1 / 3], [1 / 3, 0.5, 2 / 3], [2 / 3, 1 / 3, 0.5]])
    assert winners(rule(cycle)) == (0, 1, 2)


@support_rules
def test_with_two_alternatives_every_rule_follows_the_majority(rule: Any) -> None:
    assert winners(rule(np.array([[0.5, 0.55], [0.45, 0.5]]))) == (0,)
    assert winners(rule(np.full((2, 2), 0.5))) == (0, 1)


@support_rules
def test_a_batch_of_tensors_is_scored_as_its_matrices_are(rule: Any) -> None:
    each = [context_support(EXAMPLE, EXAMPLE_WEIGHTS), context_support(EXAMPLE[::-1].copy())]
    found = rule(torch.tensor(np.stack(each)))
    assert found.numpy() == pytest.approx(np.stack([rule(support) for support in each]))


@group_rules
def test_a_batch_of_contexts_is_scored_as_its_matrices_are(rule: Any) -> None:
    each = [1 + EXAMPLE, 2 + EXAMPLE[:, ::-1]]
    found = rule(torch.tensor(np.stack(each)))
    assert found.numpy() == pytest.approx(np.stack([rule(utilities) for utilities in each]))


def test_support_over_the_reference_is_a_column_and_its_own_is_half() -> None:
    support = context_support(EXAMPLE, EXAMPLE_WEIGHTS)
    assert support_over_reference(support, 1) == pytest.approx([0.6, 0.5, 0.1])
    with pytest.raises(UserError, match="reference 3 is not an alternative"):
        support_over_reference(support, 3)


def test_nash_welfare_is_the_log_of_the_geometric_mean_of_gains() -> None:
    found = nash_welfare(EXAMPLE, EXAMPLE_WEIGHTS, baseline=-0.5)
    weighted = gmean(EXAMPLE + 0.5, axis=0, weights=np.repeat(EXAMPLE_WEIGHTS[:, None], 3, axis=1))
    assert found == pytest.approx(np.log(weighted))


def test_differences_of_nash_welfare_do_not_change_with_the_unit_of_one_context() -> None:
    scaled = 1 + EXAMPLE
    scaled[1] *= 1000
    one, other = nash_welfare(1 + EXAMPLE), nash_welfare(scaled)
    assert np.diff(one) == pytest.approx(np.diff(other))


@pytest.mark.parametrize("baseline", [0.0, 5.0])
def test_nash_welfare_refuses_utilities_at_or_below_the_baseline(baseline: float) -> None:
    with pytest.raises(UserError, match=f"above the baseline {baseline:g}, but one is 0;"):
        nash_welfare(EXAMPLE, baseline=baseline)


def test_nash_welfare_of_enormous_and_tiny_gains_is_finite() -> None:
    gains = np.array([[1e-300, 1e300]] * 300)
    assert nash_welfare(gains) == pytest.approx([-300 * math.log(10), 300 * math.log(10)])


def test_winners_are_all_that_tie_but_for_rounding() -> None:
    assert winners(np.array([0.1 + 0.2, 0.3, 0.2999])) == (0, 1)
    assert winners(np.array([1e6, 1e6 + 1e-4, 1e6 - 1])) == (0, 1)
    assert winners(np.array([-3.0, -math.inf, math.nan])) == (0,)
    assert winners(np.array([math.nan, math.nan])) == ()


# Counts


def test_observed_support_is_the_weighted_share_of_wins() -> None:
    found = observed_support([0, 1, 0], [1, 0, 1], [1, 1, 0.5], num_alternatives=2)
    assert found == pytest.approx(np.full((2, 2), 0.5))
    weighted = observed_support([0, 1], [1, 0], [1, 1], num_alternatives=2, weights=[3, 1])
    assert weighted == pytest.approx(np.array([[0.5, 0.75], [0.25, 0.5]]))


def test_pairs_that_were_never_compared_are_left_out_and_unknown_alternatives_do_not_win() -> None:
    support = observed_support([0, 1], [1, 2], [1.0, 0.75], num_alternatives=4)
    assert np.isnan(support[0, 2])
    assert np.isnan(support[3, :3]).all()
    unknown = math.nan
    equal = {"nan_ok": True}
    assert borda_count(support) == pytest.approx([0.75, 1.25 / 3, 0.375, unknown], **equal)
    assert copeland(support) == pytest.approx([1, 0.5, 0, unknown], **equal)
    assert maximin(support) == pytest.approx([1, 0, 0.25, unknown], **equal)
    assert winners(borda_count(support)) == (0,)


def test_counts_approach_the_support_they_are_drawn_from() -> None:
    """Each share of 4000 votes is within 5 standard errors, √(¼ / 4000) at most."""
    support = context_support(EXAMPLE, EXAMPLE_WEIGHTS)
    first, second = np.repeat([[0, 0, 1], [1, 2, 2]], 4000, axis=1)
    votes = np.random.default_rng(0).random(len(first)) < support[first, second]
    found = observed_support(first, second, votes, num_alternatives=3)
    assert np.abs(found - support).max() < 5 * math.sqrt(0.25 / 4000)


def test_a_groups_utility_is_its_own_borda_count() -> None:
    first, second = [0, 0, 1, 0], [1, 1, 0, 1]
    evidence = evidence_from_comparisons(
        first, second, [1.0] * 4, num_alternatives=2, groups=["x", "x", "y", "y"]
    )
    assert evidence.support == pytest.approx(np.array([[0.5, 0.75], [0.25, 0.5]]))
    assert evidence.group_utility == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5]]))
    assert RULES["worst_group"].score(evidence) == pytest.approx([0.5, 0.25])
    nash = RULES["nash"].score(evidence)
    assert nash == pytest.approx(np.log([math.sqrt(0.375), math.sqrt(0.125)]))


# Learned distributions


@every_family
def test_learned_support_is_the_probability_of_each_pair(family: Family[Any]) -> None:
    raw = raw_outputs(family)
    support = learned_support(family, raw)
    for i, j in np.ndindex(support.shape):
        pair = family.decode(raw[i]).prob_preferred_to(family.decode(raw[j]))
        assert support[i, j] == pytest.approx(float(pair), abs=1e-12)
    assert borda_count(support).mean() == pytest.approx(0.5)
    tensor = learned_support(family, torch.tensor(raw))
    assert tensor.numpy() == pytest.approx(support, abs=1e-12)


@every_family
def test_equal_outputs_tie_by_every_rule(family: Family[Any]) -> None:
    raw = np.repeat(raw_outputs(family, 2)[:1], 3, axis=0).astype(np.float32)
    evidence = evidence_from_outputs(family, raw, reference=0)
    for name in ("borda", "expected_utility", "copeland", "maximin", "reference"):
        assert winners(RULES[name].score(evidence)) == (0, 1, 2)


def test_a_shift_of_one_shared_context_changes_no_rule() -> None:
    """Comparisons do not tell it, so no winner may depend on it."""
    family = SharedContext(num_contexts=2)
    raw = raw_outputs(family)
    shifted = raw + np.array([5.0, -3.0, 0.0, 0.0])
    for name in ("borda", "expected_utility", "copeland", "maximin", "worst_group"):
        one, other = (RULES[name].score(evidence_from_outputs(family, x)) for x in (raw, shifted))
        assert one == pytest.approx(other)
    contexts = (raw - raw.mean(0))[:, :2]
    worst = RULES["worst_group"].score(evidence_from_outputs(family, raw))
    assert worst == pytest.approx(contexts.min(-1))


def test_a_bold_alternative_wins_by_mean_and_a_sure_one_by_duels() -> None:
    """Normal utilities: the bold one has mean 1.1 and deviation 9, two sure ones 1 and 0.1."""
    inverse_softplus = [math.log(math.expm1(std)) for std in (9.0, 0.1, 0.1)]
    raw = np.stack([[1.1, 1.0, 0.0], inverse_softplus], axis=-1)
    evidence = evidence_from_outputs(Normal(), raw)
    assert winners(RULES["expected_utility"].score(evidence)) == (0,)
    assert winners(RULES["borda"].score(evidence)) == (1,)


def test_borda_of_learned_support_has_a_gradient() -> None:
    raw = torch.tensor(raw_outputs(Normal()), requires_grad=True)
    (gradient,) = torch.autograd.grad(borda_count(learned_support(Normal(), raw))[0], raw)
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient.abs().sum()) > 0


# What is refused


@pytest.mark.parametrize(
    ("support", "message"),
    [
        (np.full((2, 3), 0.5), r"shape \(2, 3\)"),
        (np.full((1, 1), 0.5), "at least two alternatives; 1 was"),
        (np.array([[0.5, 0.9], [0.2, 0.5]]), "not coherent"),
        (np.array([[0.5, 1.5], [-0.5, 0.5]]), "not coherent"),
        (np.array([[0.4, 0.5], [0.5, 0.5]]), "not coherent"),
        (np.array([[0.5, np.nan], [0.2, 0.5]]), "not coherent"),
        (np.array([[np.nan, 0.5], [0.5, 0.5]]), "not coherent"),
    ],
)
def test_what_is_no_matrix_of_support_is_refused(support: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        borda_count(support)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_alternatives": 1}, "at least two"),
        ({"second": [1, 2]}, "an index outside 0 to 1"),
        ({"second": [1, 0]}, "comparison 2 is of an alternative and itself"),
        ({"shares": [1.0, 1.1]}, "share of wins is outside"),
        ({"shares": [1.0]}, "2 first and 2 second alternatives, 1 shares"),
        ({"weights": [1.0, -1.0]}, "weight is negative"),
        ({"groups": ["x", "x"]}, "one, 'x'"),
        ({"groups": ["x", ""]}, "empty group"),
    ],
)
def test_comparisons_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    comparisons: dict[str, Any] = {
        "first": [0, 0],
        "second": [1, 1],
        "shares": [1.0, 0.0],
        "num_alternatives": 2,
    }
    with pytest.raises(UserError, match=message):
        evidence_from_comparisons(**{**comparisons, **change})


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0, 1.0], [1.0, -1.0, 1.0]])
def test_weights_of_contexts_are_positive_and_as_many(weights: list[float]) -> None:
    with pytest.raises(UserError):
        expected_utility(EXAMPLE, np.array(weights))


def test_utilities_without_contexts_are_refused() -> None:
    for utilities in (np.zeros(3), np.zeros((0, 3))):
        with pytest.raises(UserError, match="expected"):
            worst_group(utilities)


@pytest.mark.parametrize("name", ["expected_utility", "reference", "nash", "worst_group"])
def test_a_rule_refuses_to_choose_without_what_it_needs(name: str) -> None:
    with pytest.raises(UserError, match=r"needs .*; .*|needs .* \(column\)"):
        RULES[name].score(Evidence(np.full((2, 2), 0.5)))


def test_a_ranking_weighs_as_many_comparisons_as_responses_less_one():
    rows = [
        {"prompt": "p", "responses": ["a", "b", "c"], "ranking": [0, 1, 2]},
        {"prompt": "p", "responses": ["a", "b"], "ranking": [1, 0]},
    ]
    (choice,) = choices_from_comparisons(Comparisons.from_rows(rows, "rows")).kept
    assert choice.evidence.support[0, 1] == pytest.approx((2 / 3) / (2 / 3 + 1))


def test_groups_of_comparisons_are_read_as_names_are():
    row = {"prompt": "?", "chosen": "tea", "rejected": "rum"}
    rows = [row | {"who": who} for who in ("a", " a", "b", "b ", 1, 1.0)]
    (choice,) = choices_from_comparisons(Comparisons.from_rows(rows, "rows"), group="who").kept
    assert np.array(choice.evidence.group_support).shape == (3, 2, 2)
    with pytest.raises(UserError, match="column 'who' is empty"):
        choices_from_comparisons(Comparisons.from_rows([row | {"who": " "}], "rows"), group="who")
