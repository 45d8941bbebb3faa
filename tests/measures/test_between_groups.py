"""Variance between groups against the law of total variance, by hand and by simulation."""

import numpy as np
import pytest

from hidden_context.distributions import make_family
from hidden_context.errors import UserError
from hidden_context.measures.between_groups import between_groups

FAMILY = make_family("mean_and_variance")


def outputs(mean: np.ndarray, std: float) -> np.ndarray:
    """Raw outputs of normal utilities, by the inverse of softplus."""
    return np.stack([mean, np.full_like(mean, std + np.log(-np.expm1(-std)))], axis=-1)


def test_the_share_is_that_of_the_law_of_total_variance() -> None:
    """The judge is drawn by share, then both utilities: the variance of all differences."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 50))
    shares = np.array([0.5, 0.3, 0.2])
    found = between_groups(
        FAMILY, outputs(first, 0.6), outputs(second, 0.6), 10 * shares, np.arange(50)
    )
    group = rng.choice(3, p=shares, size=200_000)
    difference = first[group, :1] - second[group, :1]  # of the first comparison
    utility = difference + 0.6 * np.sqrt(2) * rng.normal(size=difference.shape)
    total = utility.var()
    gap = first - second
    between = shares @ (gap - shares @ gap) ** 2
    assert between[0] + 2 * 0.36 == pytest.approx(total, rel=0.02)
    assert found.value == pytest.approx(between.sum() / (between.sum() + 50 * 2 * 0.36))
    assert found.low < found.value < found.high


def test_groups_that_agree_have_nothing_between_them() -> None:
    same = outputs(np.tile(np.random.default_rng(1).normal(size=20), (4, 1)), 1.0)
    assert between_groups(FAMILY, same, same[:, ::-1], np.ones(4), np.arange(20)).value == 0


def test_a_shift_of_each_prompt_and_group_and_a_common_scale_change_nothing() -> None:
    rng = np.random.default_rng(2)
    first, second, shift = rng.normal(size=(3, 2, 30))
    prompts = np.arange(30) // 3
    before, after = (
        between_groups(
            FAMILY, outputs(s * (first + d), s), outputs(s * (second + d), s), [1, 1], prompts
        )
        for s, d in ((1.0, 0.0), (5.0, shift))
    )
    assert after.value == pytest.approx(before.value)
    assert (after.low, after.high) == pytest.approx((before.low, before.high))


def test_weights_count_as_copies() -> None:
    rng = np.random.default_rng(3)
    first, second = (outputs(each, 1.0) for each in rng.normal(size=(2, 2, 12)))
    weights, prompts = rng.integers(1, 4, 12), np.arange(12) // 2
    copied = np.repeat(np.arange(12), weights)
    found = between_groups(FAMILY, first, second, [1, 2], prompts, weights=weights)
    peer = between_groups(FAMILY, first[:, copied], second[:, copied], [1, 2], prompts[copied])
    assert found.value == pytest.approx(peer.value)
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high))


def test_points_and_shapes_that_differ_are_refused() -> None:
    points = np.zeros((2, 5, 1))
    with pytest.raises(UserError, match="all its utilities are points"):
        between_groups(make_family("base"), points, points, [1, 1], np.arange(5))
    with pytest.raises(UserError, match=r"expected \(groups, n, num_outputs\) twice"):
        between_groups(FAMILY, np.zeros((2, 5, 2)), np.zeros((2, 4, 2)), [1, 1], np.arange(5))
