from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chi2, norm
from simulated_pairs import WIDTH, simulated_pairs

from hidden_context.audits.crossfit import (
    RIDGES,
    checkpoints_for,
    cross_fit,
    fit_whole,
    refit,
)
from hidden_context.audits.folds import Partitions, make_partitions
from hidden_context.audits.heads import BATCH_SIZE, HeadsToFit, Pairs
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.audits.scalar_heads import fit_scalar
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
    pairs = simulated_pairs(100, spread=True)
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
        out_of_fold(
            cross_fit(make_family("mean_and_variance"), data, partitions, outcome_model=PLAIN),
            chosen=np.flatnonzero(own),
        )
        for data in (pairs, other)
    ]
    np.testing.assert_allclose(found[0][0].raw, found[1][0].raw, atol=1e-6)


def test_out_of_fold_predictions_are_by_the_head_of_each_comparisons_fold():
    pairs = simulated_pairs(120, spread=False)
    partitions = partitions_of(pairs)
    fitted = cross_fit(make_family("categorical"), pairs, partitions, outcome_model=PLAIN)
    found = out_of_fold(fitted)
    raw, _ = fitted.heads.raw_outputs(pairs, np.array([17]))
    for seed in range(2):
        head = seed * 4 + int(partitions.fold[17, seed])
        np.testing.assert_allclose(found[seed].by_row[17, 0], raw[0, head], atol=1e-6)


def test_real_labels_redrawn_give_the_real_heads():
    pairs = simulated_pairs(120, spread=False)
    partitions = partitions_of(pairs)
    fitted = cross_fit(make_family("mean_and_variance"), pairs, partitions, outcome_model=PLAIN)
    shares = pairs.outcomes.shares[None]
    (redrawn,) = out_of_fold(refit(fitted, shares=shares), shares=shares)
    real = out_of_fold(fitted)[0]
    # an equal shift of both texts is rounding, which no likelihood sees
    of_redrawn, of_real = (scores.by_row[:, 0] - scores.by_row[:, 1] for scores in (redrawn, real))
    np.testing.assert_allclose(of_redrawn, of_real, atol=1e-3)
    np.testing.assert_allclose(redrawn.log_likelihood, real.log_likelihood, atol=1e-4)


def test_a_comparison_drawn_twice_counts_as_two():
    pairs = simulated_pairs(120, spread=False)
    partitions = partitions_of(pairs, num_seeds=1)
    fitted = cross_fit(make_family("base"), pairs, partitions, outcome_model=PLAIN)
    multiples = np.random.default_rng(0).integers(0, 3, (1, 120)).astype(float)
    found = refit(fitted, multiples=multiples)
    rows = np.repeat(np.arange(120), multiples[0].astype(int))
    listed = replace(
        fitted,
        pairs=pairs.selected(rows),
        partitions=replace(partitions, fold=partitions.fold[rows]),
    )
    # but for the ridge, which is that of as many comparisons as there are, not as were drawn
    listed = replace(listed, ridge=listed.ridge * len(rows) / 120)
    alone = refit(listed, multiples=np.ones((1, len(rows))))
    scale = float(found.heads.weight.abs().max())
    np.testing.assert_allclose(alone.heads.weight, found.heads.weight, atol=0.05 * scale)


def with_labels(pairs: Pairs, won: np.ndarray) -> Pairs:
    shares = np.stack([~won, np.zeros(len(won)), won], axis=1).astype(np.float32)
    return replace(pairs, outcomes=Outcomes(shares, pairs.outcomes.weight))


def test_where_every_fold_speaks_against_the_others_the_least_learning_wins():
    """Utilities of the three folds point 120° apart, so what is learned of one misleads on another.

    A head of one fold then lowers the likelihood of the fold that it is chosen by the more, the
    more it learned: the strongest ridge wins for sure. To choose by what was learned from would
    take the weakest.
    """
    pairs = simulated_pairs(600, spread=False)
    partitions = make_partitions(pairs.prompt, num_folds=3, num_seeds=1, seed=0)
    angle = 2 * np.pi / 3 * partitions.fold[:, 0]
    difference = (pairs.vectors[pairs.first] - pairs.vectors[pairs.second]).numpy()
    won = difference[:, 0] * np.cos(angle) + difference[:, 1] * np.sin(angle) > 0
    against = with_labels(pairs, won)
    fitted = cross_fit(make_family("base"), against, partitions, outcome_model=PLAIN)
    assert (fitted.ridge == max(RIDGES)).all()


def test_without_a_signal_predictions_are_hardly_worse_than_a_coin():
    pairs = simulated_pairs(400, spread=False)
    noise = with_labels(pairs, np.random.default_rng(1).random(400) < 0.5)
    partitions = partitions_of(noise)
    scores = out_of_fold(cross_fit(make_family("base"), noise, partitions, outcome_model=PLAIN))
    nats = np.mean([of_seed.log_likelihood for of_seed in scores])
    # without a ridge u²/8 is χ² of WIDTH over 2n in the mean, for n comparisons that are fitted to;
    # a coin then adds noise of half a utility for each comparison; a ridge makes both smaller
    excess = chi2(WIDTH).ppf(0.999) / (2 * 300)
    noise = norm.ppf(0.999) * np.sqrt(8 * excess) / 2 / np.sqrt(400)
    assert nats > -np.log(2) - excess - noise


def test_large_data_are_gone_through_twice_unless_that_takes_too_long():
    assert checkpoints_for(500) == [5, 10, 20, 40, 80, 160]
    assert checkpoints_for(100 * BATCH_SIZE)[-1] == 320
    assert checkpoints_for(10**6)[-1] == 640


def test_a_head_for_other_texts_is_fitted_to_everything():
    pairs = simulated_pairs(200, spread=False)
    partitions = partitions_of(pairs)
    fitted = cross_fit(make_family("base"), pairs, partitions, outcome_model=PLAIN)
    heads = fit_whole(fitted)
    alone = fit_scalar(
        make_family("base"),
        pairs,
        HeadsToFit(
            Partitions(np.zeros((200, 2), np.int8), partitions.seeds, num_folds=4),
            seed=np.arange(2),
            held_out=np.empty((2, 0), int),
            ridge=np.full(2, np.median(fitted.ridge)),
        ),
        outcome_model=PLAIN,
    )
    torch.testing.assert_close(heads.weight, alone.weight)
    flipped = pairs.outcomes.shares.copy()
    for number in (0, 100, 199):  # every comparison matters, whatever its fold
        flipped[number] = flipped[number, ::-1]
        other = replace(pairs, outcomes=Outcomes(flipped, pairs.outcomes.weight))
        changed = fit_whole(replace(fitted, pairs=other))
        assert ((changed.weight - heads.weight).abs().amax((0, 2)) > 1e-4).all()
        flipped[number] = flipped[number, ::-1]
