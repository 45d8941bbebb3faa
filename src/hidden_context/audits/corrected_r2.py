"""r² corrected for what heads that learn from few votes make of it, with an interval for the truth.

A ridge and early stopping draw utilities together, and noise draws them apart, so that r² of fitted
heads is not that of the utilities behind the votes, and varies less than it errs. How it errs is
seen where the truth is known: utilities are drawn from those that the votes leave possible, answers
from these, and heads are fitted to them as to the real ones.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from scipy.special import expit, logit, stdtrit
from torch import Tensor

from hidden_context.audits.crossfit import CrossFit, refit
from hidden_context.audits.family_fit import MOST_ON_A_CURVE
from hidden_context.audits.fitted_gain import fit_to_all
from hidden_context.audits.folds import sample_of_prompts
from hidden_context.audits.heads import BATCH_SIZE, Heads, HeadsToFit, Pairs, with_learned
from hidden_context.audits.null_fits import grade_probabilities
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.audits.refits import SMALLEST
from hidden_context.audits.scalar_heads import MOST_AT_ONCE
from hidden_context.audits.vectors import blocks
from hidden_context.audits.work import FIT_FOR_CORRECTION, UNSEEN, Work
from hidden_context.likelihood.outcomes import log_prob_of_grade
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluate import trainings_of
from hidden_context.measures.explained_variance import by_prompt_weights
from hidden_context.measures.parametric_bootstrap import simulated_shares
from hidden_context.scores.scores import Scores

NUM_DRAWS = 20
"""A standard deviation of so many is known within a sixth, for which Student's t allows."""
EVIDENCE_STEPS = 2
"""Later ones change ridges along the scale that the likelihood leaves free."""
TO_REST = 300
"""Iterations of the head that draws are around, at most: where the ridges are chosen by its
weights, these have to be at rest along the scale that the likelihood leaves free, too. After 30
the r² of `categorical` followed rounding by .02 to .04."""
RIDGE_ENDS = (0.1, 1e6)
"""At the second an output is the same for all responses."""


def corrected(
    fitted: CrossFit,
    found: Mapping[str, Estimate],
    *,
    num_votes: np.ndarray,
    seed: int,
    work: Work = UNSEEN,
) -> dict[str, Estimate]:
    """r² of the utilities behind the votes, on each scale; nothing for too many comparisons.

    With e the error of logit r² in a draw, m its mean and s its standard deviation over the draws,
    r² is logit⁻¹(logit r² - m) and its interval logit⁻¹(logit r² - m ± t s √(1 + 1/draws)). It is
    right for utilities that are as likely as normal weights of heads on these vectors make them.

    Args:
        fitted: A distributional family.
        found: Its r².
        num_votes: Of each comparison, shape `(n,)`.
        seed: Of the draws.
        work: Shows how far it is.
    """
    pairs = fitted.pairs
    if len(pairs) > MOST_AT_ONCE:
        return {}
    work.stage(FIT_FOR_CORRECTION.format(fitted.family.name))
    drawn = laplace_draws(fitted, num_votes=float(num_votes.mean()), seed=seed)
    shares = np.concatenate(
        [
            simulated_shares(
                _probabilities(drawn, pairs, number),
                num_votes=num_votes,
                num_draws=1,
                seed=seed + number,
            )
            for number in range(NUM_DRAWS)
        ]
    )
    again = refit(fitted, shares=shares, work=work)
    chosen = sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE)
    num_folds = fitted.partitions.num_folds
    true = replace(
        drawn,
        weight=drawn.weight.repeat_interleave(num_folds, 1),
        bias=drawn.bias.repeat_interleave(num_folds, 0),
        outcome_model=again.heads.outcome_model,
    )
    of_fits, of_truth = (
        out_of_fold(again, heads, chosen, shares=shares) for heads in (again.heads, true)
    )
    corrections = {}
    for scale, estimate in found.items():
        learned, known = (
            _logits(np.array([_r2(scores, scale) for scores in of_sets]))
            for of_sets in (of_fits, of_truth)
        )
        corrections[scale] = _corrected(estimate.value, learned - known)
    return corrections


def laplace_draws(fitted: CrossFit, *, num_votes: float, seed: int) -> Heads:
    """`NUM_DRAWS` heads that the votes leave possible, one outcome model for all.

    Normal around the head that is fitted to all votes, with the inverse of the expected curvature,
    ridge included, as covariance. From the ridge of the cross-fitted heads on, the weights of each
    output get one of their own by which the votes are likeliest, to MacKay's fixed point: means may
    differ much, spreads little. Biases keep the first.
    """
    width, num_outputs = fitted.pairs.vectors.shape[1], fitted.family.num_outputs
    ridges = np.full((width + 1, num_outputs), np.median(fitted.ridge))
    for _ in range(EVIDENCE_STEPS):
        ridges[:-1] = _likelier_ridges(ridges, *_posterior(fitted, ridges)[1:], num_votes)
    whole, centre, curvature = _posterior(fitted, ridges)
    factor = torch.linalg.cholesky(curvature * num_votes)
    normal = torch.randn(
        (len(curvature), NUM_DRAWS),
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    )
    away = torch.linalg.solve_triangular(factor.T, normal, upper=True)
    drawn = (centre[..., None] + away.unflatten(0, centre.shape)).movedim(2, 1).float()
    return replace(whole, weight=drawn[:-1], bias=drawn[-1])


def _posterior(fitted: CrossFit, ridges: np.ndarray) -> tuple[Heads, Tensor, Tensor]:
    """A head on all votes, its weights and bias in rows, and the curvature, ridges included."""
    pairs = fitted.pairs
    first_seed = fitted.partitions.of_first_seed
    to_fit = HeadsToFit(first_seed, np.zeros(1, int), np.empty((1, 0), int), np.ones(1))
    head = fit_to_all(
        fitted.family,
        pairs,
        to_fit,
        outcome_model=fitted.start,
        times=ridges,
        most_iterations=TO_REST,
    )
    numbers = with_learned(lambda of_heads: float(of_heads[0]), head.outcome_model)
    head = replace(head, outcome_model=numbers)
    centre = torch.cat([head.weight[:, 0], head.bias]).double()
    some = pairs.selected(sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE))
    of_all = float(pairs.outcomes.weight.sum() / some.outcomes.weight.sum())
    curvature = of_all * _information(head, some, centre)
    return head, centre, curvature + torch.diag(torch.as_tensor(ridges).flatten())


def _likelier_ridges(
    ridges: np.ndarray, centre: Tensor, curvature: Tensor, num_votes: float
) -> np.ndarray:
    """γ / Σ w² of each output, γ the number of its weights that the votes determine."""
    variance = torch.cholesky_inverse(torch.linalg.cholesky(curvature)).diagonal()
    determined = 1 - torch.as_tensor(ridges) * variance.unflatten(0, centre.shape)
    found = (determined[:-1].sum(0) / (num_votes * (centre[:-1] ** 2).sum(0))).numpy()
    return found.clip(*RIDGE_ENDS)


def _information(head: Heads, pairs: Pairs, at: Tensor) -> Tensor:
    """Σ weight · E[score scoreᵀ] over the comparisons, of weights and biases `at`, in rows."""
    model, family = head.outcome_model, head.family
    size = at.numel()
    total = torch.zeros(size, size, dtype=torch.float64)
    for block in blocks(np.arange(len(pairs)), BATCH_SIZE):
        sides = [
            torch.cat([pairs.vectors[rows[block]], torch.ones(len(block), 1)], 1).double()
            for rows in (pairs.first, pairs.second)
        ]
        raw = [(vectors @ at).requires_grad_() for vectors in sides]
        weight = torch.as_tensor(pairs.outcomes.weight[block]).double()
        for grade in range(-model.num_grades, model.num_grades + 1):
            if grade == 0 and model.ties == "half":
                continue
            first, second = map(family.decode, raw)
            log_prob = log_prob_of_grade(first, second, grade, model)
            slopes = torch.autograd.grad(log_prob.sum(), raw)
            scores = sum(
                vectors[:, :, None] * slope[:, None]
                for vectors, slope in zip(sides, slopes, strict=True)
            )
            share = weight * log_prob.detach().exp()
            rows = (torch.as_tensor(scores).flatten(1) * share.sqrt()[:, None]).float()
            total += rows.T @ rows
    return total


def _probabilities(drawn: Heads, pairs: Pairs, number: int) -> np.ndarray:
    """P of every grade of each comparison under one of the heads, shape `(n, grades)`."""
    alone = replace(drawn, weight=drawn.weight[:, [number]], bias=drawn.bias[[number]])
    parts = []
    for block in blocks(np.arange(len(pairs))):
        first, second = (
            drawn.family.decode(raw[:, 0].double().numpy())
            for raw in alone.raw_outputs(pairs, block)
        )
        parts.append(grade_probabilities(first, second, drawn.outcome_model))
    return np.concatenate(parts)


def _r2(scores: Scores, scale: str) -> float:
    mean, labels = by_prompt_weights(scores.family, trainings_of([scores]), scale=scale)
    return float(mean(np.ones((1, len(labels))))[0])


def _logits(r2: np.ndarray | float) -> np.ndarray:
    return logit(np.clip(r2, SMALLEST, 1 - SMALLEST))


def _corrected(value: float, errors: np.ndarray) -> Estimate:
    centre = _logits(value) - errors.mean()
    half = stdtrit(len(errors) - 1, 0.975) * errors.std(ddof=1) * np.sqrt(1 + 1 / len(errors))
    low, high = expit(centre + half * np.array([-1, 1]))
    how = f"{len(errors)} fits to answers of utilities that the votes leave possible"
    return Estimate(float(expit(centre)), float(low), float(high), how)
