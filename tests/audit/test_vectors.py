import numpy as np
import pytest

from hidden_context.audits.vectors import find_axes, make_vectors
from hidden_context.errors import UserError


def states_of(num_texts: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(num_texts, width)) * rng.uniform(0.1, 10, width) + 5).astype(
        np.float32
    )


def halves(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(states) // 2
    return np.arange(n), np.arange(n, 2 * n)


def test_vectors_are_standardised_and_of_mean_square_one():
    states = states_of(400, 8)
    axes = find_axes(states, *halves(states))
    found = axes(states)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    assert (found**2).sum(1).mean() == pytest.approx(1, abs=1e-4)


def test_without_a_cut_distances_are_those_of_the_standardised_states():
    states = states_of(100, 8)
    found = find_axes(states, *halves(states))(states)
    standard = (states - states.mean(0)) / states.std(0) / np.sqrt(8)
    ours = ((found[:, None] - found[None]) ** 2).sum(-1)
    theirs = ((standard[:, None] - standard[None]) ** 2).sum(-1)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_what_never_changes_is_left_out():
    states = states_of(100, 8)
    states[:, 3] = 2.5
    found = find_axes(states, *halves(states))(states)
    assert found.shape[1] == 7
    assert np.isfinite(found).all()


def test_a_state_that_never_changes_within_a_comparison_is_refused_if_all_are_so():
    states = np.repeat(states_of(50, 4), 2, axis=0)
    first = np.arange(0, 100, 2)
    with pytest.raises(UserError, match="same vector"):
        find_axes(states, first, first + 1)


def test_memory_changes_nothing():
    states = states_of(100, 8)
    axes = find_axes(states, *halves(states), most=5)
    every, rows = np.arange(100), np.array([3, 99, 0])
    kept = make_vectors(states, axes, every, memory=2**20)[rows]
    made = make_vectors(states, axes, every, memory=100)[rows]
    np.testing.assert_allclose(kept.numpy(), made.numpy(), atol=1e-5)
