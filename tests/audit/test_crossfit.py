import numpy as np
import pytest
import torch
from simulated_pairs import simulated_pairs

from hidden_context.audit.crossfit import (
    checkpoints_for,
    cross_fit,
    fit_whole,
    held_out,
    make_partitions,
    refit_to_labels,
)
from hidden_context.audit.heads import BATCH_SIZE, Pairs
from hidden_context.distributions import make_family
from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

PLAIN = OutcomeModel()


def partitions_of(pairs: Pairs, num_seeds: int = 2):
    return make_partitions(pairs.prompt, num_folds=4, num_seeds=num_seeds, seed=0)


def test_no_prompt_is_in_two_folds_and_folds_are_even():
    prompt = np.repeat(np.arange(50), np.arange(50) % 7 + 1)
    found = make_partitions(prompt, num_folds=5, num_seeds=3, seed=0)
    for fold in found.fold.T:
        pairs = {
            (number, part) for number, part in zip(prompt.tolist(), fold.tolist(), strict=True)
        }
        assert len(pairs) == 50
        counts = np.bincount(fold)
        assert counts.max() - counts.min() <= 14
    assert not np.array_equal(found.fold[:, 0], found.fold[:, 1])


def test_too_few_prompts_are_refused_with_the_number_that_is_needed():
    with pytest.raises(UserError, match=r"5 prompts.*at least 20"):
        make_partitions(np.arange(5), num_folds=5, num_seeds=1, seed=0)
    with pytest.raises(UserError, match="1 prompts"):
        make_partitions(np.zeros(500, int), num_folds=5, num_seeds=1, seed=0)
    with pytest.raises(UserError, match="at least 3"):
        make_partitions(np.arange(500), num_folds=2, num_seeds=1, seed=0)


def test_the_labels_of_a_fold_change_nothing_that_is_said_of_it():
    pairs = simulated_pairs(300, spread=True)
    partitions = partitions_of(pairs, num_seeds=1)
    own = partitions.fold[:, 0] == 1
    flipped = pairs.outcomes.shares.copy()
    flipped[own] = flipped[own, ::-1]
    other = Pairs(
        pairs.vectors,
        pairs.first,
        pairs.second,
        Outcomes(flipped, pairs.outcomes.weight),
        pairs.prompt,
    )
    found = [
        held_out(
            cross_fit(
                make_family("mean_and_variance"), each, partitions, outcome_model=PLAIN
            ).heads,
            each,
            partitions,
            np.flatnonzero(own),
        )
        for each in (pairs, other)
    ]
    np.testing.assert_allclose(found[0].first, found[1].first, atol=1e-6)


def test_held_out_speaks_with_the_head_of_each_comparisons_fold():
    pairs = simulated_pairs(120, spread=False)
    partitions = partitions_of(pairs)
    fitted = cross_fit(make_family("categorical"), pairs, partitions, outcome_model=PLAIN)
    found = held_out(fitted.heads, pairs, partitions, np.arange(120))
    raw, _ = fitted.heads.raw_outputs(pairs, np.array([17]))
    for seed in range(2):
        head = seed * 4 + int(partitions.fold[17, seed])
        np.testing.assert_allclose(found.first[seed, 17], raw[0, head], atol=1e-6)


def test_real_labels_redrawn_give_the_real_heads():
    pairs = simulated_pairs(200, spread=False)
    partitions = partitions_of(pairs)
    fitted = cross_fit(make_family("mean_and_variance"), pairs, partitions, outcome_model=PLAIN)
    labels = pairs.outcomes.shares[None, :, 2]
    heads, members = refit_to_labels(fitted, pairs, partitions, labels, outcome_model=PLAIN)
    everything = np.arange(200)
    redrawn = held_out(heads, pairs, partitions, everything, members)
    real = held_out(fitted.heads, pairs, partitions, everything)
    # an equal shift of both texts is rounding, which no likelihood sees
    ours, theirs = (found.first[0] - found.second[0] for found in (redrawn, real))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    np.testing.assert_allclose(redrawn.log_likelihood[0], real.log_likelihood[0], atol=1e-4)


def test_without_a_signal_the_strongest_ridge_or_the_fewest_steps_win():
    pairs = simulated_pairs(400, spread=False)
    rng = np.random.default_rng(1)
    won = rng.random(400) < 0.5
    shares = np.stack([~won, np.zeros(400), won], axis=1).astype(np.float32)
    noise = Pairs(
        pairs.vectors,
        pairs.first,
        pairs.second,
        Outcomes(shares, pairs.outcomes.weight),
        pairs.prompt,
    )
    partitions = partitions_of(noise)
    fitted = cross_fit(make_family("base"), noise, partitions, outcome_model=PLAIN)
    found = held_out(fitted.heads, noise, partitions, np.arange(400))
    # a coin is -0.693; the expected loss of choosing is of the order of width / n
    assert found.log_likelihood.mean() > -np.log(2) - 10 * 6 / 400


def test_large_data_are_gone_through_twice_unless_that_takes_too_long():
    assert checkpoints_for(500) == [5, 10, 20, 40, 80, 160]
    assert checkpoints_for(100 * BATCH_SIZE)[-1] == 320
    assert checkpoints_for(10**6)[-1] == 640


def test_a_head_for_other_texts_is_fitted_to_everything():
    pairs = simulated_pairs(200, spread=False)
    partitions = partitions_of(pairs)
    fitted = cross_fit(make_family("base"), pairs, partitions, outcome_model=PLAIN)
    heads = fit_whole(fitted, pairs, partitions, outcome_model=PLAIN)
    assert heads.weight.shape == (6, 2, 1)
    assert torch.isfinite(heads.weight).all()
