"""Data sets cut to one size keep whole prompts."""

import numpy as np
import pytest

from hidden_context.errors import UserError
from hidden_context.measures.matched_size import match_sizes

RNG = np.random.default_rng(0)
SETS = {
    "helpful": RNG.integers(0, 30, size=100),
    "harmless": RNG.integers(0, 200, size=300),
    "both": np.concatenate([RNG.integers(0, 30, size=100), 100 + RNG.integers(0, 200, size=300)]),
}


def test_sizes_are_equal_within_one_prompt_and_the_smallest_set_is_whole() -> None:
    kept = match_sizes(SETS)
    np.testing.assert_array_equal(kept["helpful"], np.arange(100))
    for name, rows in kept.items():
        largest = np.bincount(SETS[name]).max()
        assert 100 - largest < len(rows) <= 100


def test_a_prompt_is_kept_with_all_its_rows_or_left_out() -> None:
    for name, rows in match_sizes(SETS).items():
        kept = np.isin(SETS[name], SETS[name][rows])
        np.testing.assert_array_equal(np.flatnonzero(kept), rows)


def test_the_seed_decides_and_the_other_sets_do_not() -> None:
    once, again, other = (match_sizes(SETS, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once["both"], again["both"])
    assert not np.array_equal(once["both"], other["both"])
    two = match_sizes({name: SETS[name] for name in ("both", "helpful")}, seed=1)
    np.testing.assert_array_equal(two["both"], once["both"])


def test_every_prompt_is_as_likely_to_be_kept() -> None:
    """100 of 400 prompts of one row: a quarter; 400 draws, 5 binomial errors for the worst."""
    sets = {"small": np.arange(100), "large": np.arange(400)}
    kept = np.zeros(400)
    for seed in range(400):
        kept[match_sizes(sets, seed=seed)["large"]] += 1
    np.testing.assert_allclose(kept / 400, 0.25, atol=5 * np.sqrt(0.25 * 0.75 / 400))


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(UserError, match="no data sets"):
        match_sizes({})
    with pytest.raises(UserError, match="at least 1"):
        match_sizes({"empty": []})
    with pytest.raises(UserError, match="'one'"):
        match_sizes({"small": ["a"], "one": ["b"] * 5})
