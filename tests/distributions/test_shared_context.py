"""Contexts that compared responses share: simulation, closed forms, and what is identified."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch

from hidden_context.distributions import Point, SharedContext
from hidden_context.distributions.shared_context import SharedContextUtility
from hidden_context.errors import UserError

SAMPLES = 200_000
WEIGHTS = np.array([0.2, 0.5, 0.3])
CONTEXTS = np.array([1.0, -2.0, 0.4])


@pytest.fixture
def utility() -> SharedContextUtility:
    return SharedContextUtility(CONTEXTS, np.log(WEIGHTS))


def make_raw(num_contexts: int, *batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*batch, 2 * num_contexts))


def decode(num_contexts: int, *batch: int, seed: int = 0) -> SharedContextUtility:
    return SharedContext(num_contexts=num_contexts).decode(
        make_raw(num_contexts, *batch, seed=seed)
    )


# Comparisons


@pytest.mark.parametrize("margin", [0.0, 0.8])
def test_preference_is_the_share_of_judges_who_draw_one_context_for_both(margin: float) -> None:
    """Each judge has a context, and Gumbel noise on both utilities in it."""
    rng = np.random.default_rng(0)
    raw_a, raw_b = 2 * make_raw(3, 2)
    weights = scipy.special.softmax((raw_a[3:] + raw_b[3:]) / 2)
    context = rng.choice(3, size=SAMPLES, p=weights)
    noise_a, noise_b = rng.gumbel(size=(2, SAMPLES))
    share = np.mean(raw_a[context] + noise_a > raw_b[context] + noise_b + margin)
    a, b = map(SharedContext(num_contexts=3).decode, (raw_a, raw_b))
    error = 4.5 * math.sqrt(0.25 / SAMPLES)  # 7 in a million by chance
    assert share == pytest.approx(float(np.exp(a.log_prob_preferred_to(b, margin))), abs=error)


def test_one_context_is_the_scalar_model() -> None:
    raw_a, raw_b = make_raw(1, 2, 6)
    family = SharedContext(num_contexts=1)
    a, b = family.decode(raw_a), family.decode(raw_b)
    point_a, point_b = Point().decode(raw_a[:, :1]), Point().decode(raw_b[:, :1])
    for found, expected in [
        (a.log_prob_preferred_to(b, 0.3), point_a.log_prob_preferred_to(point_b, 0.3)),
        (a.mean, point_a.mean),
        (a.std, point_a.std),
        (a.cdf(0.3), point_a.cdf(0.3)),
        (a.quantile(0.01), point_a.quantile(0.01)),
        (a.cvar(0.05), point_a.cvar(0.05)),
        (a.entropic(0.7), point_a.entropic(0.7)),
        (a.worst_context, point_a.mean),
    ]:
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_preferences_over_shared_contexts_may_be_circular() -> None:
    """Condorcet's three voters: each of three responses beats the next, by two to one."""
    votes = 20.0 * np.array([[2, 0, 1], [1, 2, 0], [0, 1, 2]])
    a, b, c = (SharedContextUtility(vote, np.log(np.full(3, 1 / 3))) for vote in votes)
    for better, worse in [(a, b), (b, c), (c, a)]:
        assert better.prob_preferred_to(worse) == pytest.approx(2 / 3, abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_log_preference_is_exact_far_below_underflow(dtype: torch.dtype) -> None:
    a, b = torch.tensor([[-900.0, -600.0, 0.0, 0.0], [0.0] * 4], dtype=dtype)
    family = SharedContext()
    found = family.decode(a).log_prob_preferred_to(family.decode(b))
    assert found.item() == pytest.approx(-600 - math.log(2), rel=1e-6)


# Rankings


def test_probabilities_of_all_rankings_add_up_to_one() -> None:
    family = SharedContext(num_contexts=3)
    responses = [decode(3, 5, seed=seed) for seed in range(4)]
    total = sum(
        np.exp(family.log_prob_of_ranking(ranking)) for ranking in itertools.permutations(responses)
    )
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


def test_a_ranking_is_plackett_and_luces_in_the_context_that_is_drawn() -> None:
    """By its definition: the best is chosen from all, the next from the rest."""
    raw = make_raw(2, 3)
    strengths, weights = np.exp(raw[:, :2]), scipy.special.softmax(raw[:, 2:].mean(0))
    in_context = [
        s[0] / (s[0] + s[1] + s[2]) * s[1] / (s[1] + s[2]) for s in np.moveaxis(strengths, 1, 0)
    ]
    family = SharedContext()
    found = family.log_prob_of_ranking([family.decode(response) for response in raw])
    assert found == pytest.approx(math.log(weights @ in_context), rel=1e-12)


# One response's distribution


def test_distribution_functions_are_those_of_the_atoms(utility: SharedContextUtility) -> None:
    """Utilities -2, .4 and 1 with probability .5, .3 and .2."""
    assert utility.mean == pytest.approx(-0.68)
    assert utility.variance == pytest.approx(WEIGHTS @ (CONTEXTS + 0.68) ** 2)
    for value, share in [(-2.1, 0), (-2.0, 0.5), (0.39, 0.5), (0.4, 0.8), (1.0, 1), (9.0, 1)]:
        assert utility.cdf(value) == pytest.approx(share)
    for level, value in [(0.01, -2), (0.49, -2), (0.51, 0.4), (0.79, 0.4), (0.81, 1), (0.9999, 1)]:
        assert utility.quantile(level) == value
    assert utility.cvar(0.3) == pytest.approx(-2)
    assert utility.cvar(0.6) == pytest.approx((0.5 * -2 + 0.1 * 0.4) / 0.6)
    assert utility.cvar(0.9) == pytest.approx((0.5 * -2 + 0.3 * 0.4 + 0.1 * 1) / 0.9)
    assert utility.worst_context == -2


@pytest.mark.parametrize("theta", [0.01, 1.0, 30.0])
def test_entropic_utility_is_that_of_the_atoms(utility: SharedContextUtility, theta: float) -> None:
    expected = -np.log(WEIGHTS @ np.exp(-theta * CONTEXTS)) / theta
    assert utility.entropic(theta) == pytest.approx(expected, rel=1e-11)
    assert utility.entropic(1e12) == pytest.approx(utility.worst_context, rel=1e-11)


def test_quantile_passes_over_contexts_without_weight() -> None:
    utility = SharedContext().decode(np.array([-5.0, 3.0, -1000.0, 1000.0]))
    assert utility.quantile(1e-9) == 3
    assert utility.worst_context == -5


def test_gradients_are_those_of_finite_differences() -> None:
    family = SharedContext(num_contexts=3)
    raw = torch.from_numpy(make_raw(3, 3, 4)).requires_grad_()

    def statistics(raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b, c = map(family.decode, raw)
        return (
            a.log_prob_preferred_to(b),
            a.log_prob_preferred_to(b, 0.3),
            family.log_prob_of_ranking([a, b, c]),
            *(a.mean, a.std, a.quantile(0.2), a.cvar(0.2), a.entropic(0.7), a.worst_context),
            a.centered([7, 7, 9, 7]).worst_context,
        )

    assert torch.autograd.gradcheck(statistics, raw)


# What comparisons determine


PROMPTS = ["b", "a", "b", "a", "a"]


@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_centring_gives_every_context_mean_zero_within_a_prompt(
    library: Callable[[Any], Any],
) -> None:
    raw = make_raw(3, 5)
    centered = SharedContext(num_contexts=3).decode(library(raw)).centered(PROMPTS)
    for rows in ([0, 2], [1, 3, 4]):
        expected = raw[rows, :3] - raw[rows, :3].mean(0)
        np.testing.assert_allclose(centered.contexts[rows], expected, atol=1e-12)


def test_centring_changes_no_preference_between_responses_to_a_prompt() -> None:
    utility = decode(3, 5)
    centered = utility.centered(PROMPTS)

    def take(utility: SharedContextUtility, row: int) -> SharedContextUtility:
        return SharedContextUtility(utility.contexts[row], utility.log_weights[row])

    for first, second in [(0, 2), (1, 3), (3, 4)]:
        np.testing.assert_allclose(
            take(centered, first).log_prob_preferred_to(take(centered, second)),
            take(utility, first).log_prob_preferred_to(take(utility, second)),
            rtol=1e-11,
        )


def test_shifts_that_no_comparison_sees_change_the_worst_context_unless_centred() -> None:
    """A shift for each prompt and context, of all responses to the prompt."""
    utility = decode(2, 4)
    prompts = np.array([3, 3, 8, 8])
    shift = np.array([[5.0, -1.0], [5.0, -1.0], [0.0, 7.0], [0.0, 7.0]])
    shifted = SharedContextUtility(utility.contexts + shift, utility.log_weights)
    assert not np.allclose(shifted.worst_context, utility.worst_context + shift.mean(-1))
    np.testing.assert_allclose(
        shifted.centered(prompts).worst_context, utility.centered(prompts).worst_context, rtol=1e-10
    )


@pytest.mark.parametrize(
    ("shape", "prompts"), [((3,), [1, 2]), ((), [1]), ((2, 2), [[1, 2], [3, 4]])], ids=str
)
def test_prompts_that_are_not_one_for_each_response_are_refused(
    shape: tuple[int, ...], prompts: list[Any]
) -> None:
    with pytest.raises(UserError, match="give one id for each"):
        decode(2, *shape).centered(prompts)


def test_an_odd_number_of_outputs_is_refused() -> None:
    assert SharedContext().with_num_outputs(8) == SharedContext(num_contexts=4)
    with pytest.raises(UserError, match="has 4 outputs, but 7 were given"):
        SharedContext().with_num_outputs(7)
