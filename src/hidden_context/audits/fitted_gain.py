"""The gain in likelihood of a family over the scalar one, both fitted to all votes.

What the test for hidden context rests on. Without a family's further freedom twice this gain times
the number of votes is χ², whose noncentrality with hidden context is twice that number times the
true gain (Wilks 1938); a gain on held-out votes has in addition the noise of its folds, and heads
that see fewer votes (docs/known-truth.md has what it costs). It is above 0 in any case, so it says
nothing by itself, only beside what it is for answers that have no hidden context.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hidden_context.audits.folds import Partitions, sample_of_prompts
from hidden_context.audits.heads import (
    BATCH_SIZE,
    Heads,
    HeadsToFit,
    Pairs,
    initial_weight,
    outcomes_for,
)
from hidden_context.audits.lbfgs import flat, minimize, split
from hidden_context.audits.scalar_heads import LARGEST_CURVATURE, MOST_AT_ONCE, fit_scalar
from hidden_context.audits.vectors import blocks
from hidden_context.audits.work import FIT_TO_ALL, UNSEEN, Work, fitted_to_all
from hidden_context.distributions import Family
from hidden_context.distributions.normal import LINKS
from hidden_context.distributions.point import Point
from hidden_context.items.link_tails import OneLink
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import log_likelihood
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes

MOST_ITERATIONS = 30
"""Of the families that are not scalar: later ones gain on the ridge, along the scale that the
likelihood leaves free, and less than 1e-5 nats per vote on the votes."""


NORMAL_NOISE = "normal noise"
"""Name of the scalar family with it."""


def fitted_gains(
    models: Mapping[str, tuple[Family, OutcomeModel]],
    pairs: Pairs,
    shares: np.ndarray,
    partitions: Partitions,
    *,
    ridges: Mapping[str, float],
    work: Work = UNSEEN,
) -> dict[str, np.ndarray]:
    """Nats per vote that each family, fitted to all votes, is likelier than one number a text.

    That is the scalar family or, where likelier, the same with normal noise in place of logistic
    noise: which of the two there is is no hidden context, and is worth .0002 to .0005 nats where
    utilities are 1 to 4 deviations apart, as much as a mixture of two populations.

    Of more than `scalar_heads.MOST_AT_ONCE` comparisons a sample of prompts is taken.

    Args:
        models: By name, with `base`: the family, and where its thresholds and ν start.
        pairs: The comparisons.
        shares: Of votes in each set of answers, shape `(sets, n, grades)`.
        partitions: Of the comparisons; its first seed is that of the initial weights.
        ridges: By name, those that are best where there is no hidden context; see `heads.fit`. A
            family goes by its own or, if that is weaker, by the scalar family's: where it has
            nothing to explain its own may be so strong that it can explain nothing.
        work: Shows how far it is.

    Returns:
        Shape `(sets,)`, by name of every family but `base`.
    """
    chosen = sample_of_prompts(pairs.prompt, MOST_AT_ONCE)
    some = replace(partitions.of_first_seed, fold=partitions.fold[chosen, :1])
    scalar = {NORMAL_NOISE: (OneLink(LINKS["probit"]), models["base"][1])}
    work.stage(FIT_TO_ALL)
    nats = {}
    for name, (family, start) in (dict(models) | scalar).items():
        with work.fit(fitted_to_all(name), fit_to_all_cost(pairs, len(shares)), 1):
            nats[name] = _log_likelihoods(
                family,
                pairs.selected(chosen),
                shares[:, chosen],
                some,
                ridge=min(ridges.get(name, np.inf), ridges["base"]),
                outcome_model=start,
            )
    best = np.maximum(nats["base"], nats[NORMAL_NOISE])
    return {name: nats[name] - best for name in models if name != "base"}


def fit_to_all_cost(pairs: Pairs, num_sets: int) -> float:
    """Of each family in `fitted_gains`."""
    return float(min(len(pairs), MOST_AT_ONCE) * num_sets)


def _log_likelihoods(
    family: Family,
    pairs: Pairs,
    shares: np.ndarray,
    partitions: Partitions,
    *,
    ridge: float,
    outcome_model: OutcomeModel,
) -> np.ndarray:
    """Of each set of answers under a head that is fitted to all of it, nats per vote, `(sets,)`."""
    num_sets = len(shares)
    to_fit = HeadsToFit(
        partitions.repeated(num_sets),
        np.arange(num_sets),
        np.empty((num_sets, 0), int),
        np.full(num_sets, ridge),
        shares=shares,
    )
    if isinstance(family, Point):
        heads = fit_scalar(family, pairs, to_fit, outcome_model=outcome_model)
    else:
        heads = fit_to_all(family, pairs, to_fit, outcome_model=outcome_model)
    nats, votes = np.zeros(num_sets), 0.0
    for block in blocks(np.arange(len(pairs)), BATCH_SIZE):
        outcomes = outcomes_for(pairs, block, to_fit)
        with torch.no_grad():
            nats += heads.log_likelihood(pairs, block, outcomes).double().sum(0).numpy()
        votes += float(pairs.outcomes.weight[block].sum())
    return nats / votes


def fit_to_all(
    family: Family,
    pairs: Pairs,
    to_fit: HeadsToFit,
    *,
    outcome_model: OutcomeModel,
    times: np.ndarray | float = 1.0,
    most_iterations: int = MOST_ITERATIONS,
) -> Heads:
    """What `heads.fit` minimises, by steps of L-BFGS that see all comparisons.

    `times` is what the ridge of each weight, and last of the biases, is multiplied by; it
    broadcasts to `(width + 1, num_outputs)`.

    Single batches by Adam end .0003 to .0005 nats per vote above the minimum (20,000 comparisons
    of 30 items), which is as much as an even mixture of two populations gains.
    """
    parts = _parts(pairs, to_fit)
    width, num_outputs = pairs.vectors.shape[1], family.num_outputs
    likelihood = LearnedLikelihood(
        family, outcome_model, learn_outcomes=True, num_copies=len(to_fit)
    )
    learned = list(likelihood.parameters())
    shrink = torch.from_numpy(to_fit.ridge).float() / torch.from_numpy(to_fit.num_fitted_to)
    num_raw = (width + 1) * num_outputs
    factors = torch.ones(width + 1, num_outputs) * torch.as_tensor(times).float()
    shrink = factors.flatten()[:, None] * shrink

    def loss_and_gradient(at: Tensor) -> tuple[Tensor, Tensor]:
        head = at[:num_raw].clone().requires_grad_()
        for parameter, values in zip(learned, split(at[num_raw:], learned), strict=True):
            parameter.data = values
            parameter.grad = None
        weight = head.unflatten(0, (width + 1, num_outputs)).movedim(2, 1)
        loss = torch.zeros(len(to_fit))
        for part in parts:
            nats = part.log_likelihood(family, weight, likelihood()[1])
            (-nats.sum()).backward(retain_graph=True)
            loss -= nats.detach()
        assert head.grad is not None
        gradient = [head.grad + shrink * head.detach()]
        gradient += [flat(parameter.grad) for parameter in learned]
        return loss + (shrink * head.detach() ** 2).sum(0) / 2, torch.cat(gradient)

    first = torch.cat(
        [initial_weight(family, width, to_fit), torch.zeros(1, len(to_fit), num_outputs)]
    )
    start = [first.movedim(1, 2).flatten(0, 1), *(flat(each.data) for each in learned)]
    size = torch.cat([_mean_squares(parts), torch.ones(1)]).repeat_interleave(num_outputs)
    inverse = [1 / (LARGEST_CURVATURE * size[:, None] + shrink)]
    inverse += [torch.ones_like(flat(each.data)) for each in learned]
    found = minimize(
        loss_and_gradient, torch.cat(start), torch.cat(inverse), most_iterations=most_iterations
    )
    with torch.no_grad():
        for parameter, values in zip(learned, split(found[num_raw:], learned), strict=True):
            parameter.data = values
        weight = found[:num_raw].unflatten(0, (width + 1, num_outputs)).movedim(2, 1)
        return Heads(family, likelihood()[1], weight[:-1], weight[-1])


@dataclass(frozen=True, eq=False)
class _Part:
    """Some comparisons, as every step sees them."""

    vectors: Tensor
    """Of the first texts, then of the second, with a 1 behind, shape `(2k, width + 1)`."""
    outcomes: Outcomes
    """Weights sum to 1 over all parts, for each head."""

    def log_likelihood(self, family: Family, weight: Tensor, model: OutcomeModel) -> Tensor:
        """Under each head, nats per vote, shape `(M,)`; weight is `(width + 1, M, num_outputs)`."""
        raw = (self.vectors @ weight.flatten(1)).unflatten(1, weight.shape[1:])
        half = len(raw) // 2
        return log_likelihood(family, (raw[:half], raw[half:]), self.outcomes, model).sum(0)


def _parts(pairs: Pairs, to_fit: HeadsToFit) -> list[_Part]:
    everything = np.arange(len(pairs))
    total = to_fit.weights(pairs.outcomes.weight, everything).sum(0)
    parts = []
    for block in blocks(everything, BATCH_SIZE):
        vectors = pairs.vectors[np.concatenate([pairs.first[block], pairs.second[block]])]
        weight = to_fit.weights(pairs.outcomes.weight, block) / total
        parts.append(
            _Part(
                torch.cat([vectors, torch.ones(len(vectors), 1)], dim=1),
                replace(outcomes_for(pairs, block, to_fit), weight=weight),
            )
        )
    return parts


def _mean_squares(parts: list[_Part]) -> Tensor:
    """Of the differences along each axis, shape `(width,)`."""
    total, count = 0.0, 0
    for part in parts:
        first, second = part.vectors[:, :-1].chunk(2)
        total = total + ((first - second) ** 2).sum(0)
        count += len(first)
    return torch.as_tensor(total) / count
