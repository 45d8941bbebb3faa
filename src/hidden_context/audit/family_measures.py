"""What the held-out outputs of one family say: every figure of the audit, with its interval."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hidden_context.audit.crossfit import CrossFit, HeldOut, Partitions, held_out
from hidden_context.audit.heads import Pairs
from hidden_context.distributions import Family
from hidden_context.likelihood.loss import is_scalar
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.anchoring import anchor_to_unit_variance
from hidden_context.measures.bootstrap import Interval, bootstrap_mean, bootstrap_ratio
from hidden_context.measures.calibration import (
    calibration,
    calibration_error_interval,
    in_both_orders,
)
from hidden_context.measures.explained_variance_report import SCALES
from hidden_context.measures.length import length_baseline, length_intervals
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.measures.several_trainings import (
    Training,
    explained_variance_of_trainings,
    explained_variance_value,
)
from hidden_context.measures.undecided import kinds

FIGURE_SCALES = ("pooled", "within_prompt", "rank")
"""Of curves and nulls."""
MOST_ON_A_CURVE = 2**13
"""Comparisons by which the curves and the null are measured."""
STD_BINS = np.linspace(0, 2, 41)
"""Standard deviations in units of the root of the total variance."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One family on one data set, and what its figures are made of."""

    family: Family
    fitted: CrossFit
    held_out: HeldOut
    log_prob: np.ndarray
    """log P(first ≻ second), nats, shape `(seeds, n)`."""
    log_reverse: np.ndarray
    stopping_rule: str


def measure(fitted: CrossFit, pairs: Pairs, partitions: Partitions) -> Measured:
    """Held-out outputs and preference probabilities of all comparisons."""
    found = held_out(fitted.heads, pairs, partitions, np.arange(len(pairs)))
    first, second = map(fitted.family.decode, (found.first, found.second))
    return Measured(
        fitted.family,
        fitted,
        found,
        np.asarray(first.log_prob_preferred_to(second), np.float64),
        np.asarray(second.log_prob_preferred_to(first), np.float64),
        _stopping_rule(fitted),
    )


def figures(
    ours: Measured,
    scalar: Measured | None,
    pairs: Pairs,
    partitions: Partitions,
    lengths: np.ndarray | None,
    *,
    matched_size: int | None = None,
) -> dict[str, Any]:
    """All figures as JSON can hold them; see docs/formats.md.

    Args:
        ours: The family.
        scalar: The scalar family on the same comparisons, if ours is not it.
        pairs: The comparisons.
        partitions: Their folds.
        lengths: Characters of both responses, shape `(n, 2)`.
        matched_size: Training comparisons, where the data were cut to the size of another set.
    """
    prompts = pairs.prompt
    distributional = not is_scalar(ours.family.decode(ours.held_out.first[0]))
    nats = ours.held_out.log_likelihood.mean(0)
    votes = np.asarray(pairs.outcomes.weight, np.float64)
    right = agreement(ours, pairs.outcomes)
    error, brier, bins = _calibration(ours, pairs.outcomes, prompts)
    trainings = trainings_of(ours.held_out, pairs, partitions)
    return {
        "family": ours.family.to_dict(),
        "stopping_rule": ours.stopping_rule,
        "chosen": {"ridge": ours.fitted.ridge.tolist(), "steps": ours.fitted.steps.tolist()},
        "log_likelihood": asdict(bootstrap_ratio(nats, votes, prompts)),
        "accuracy": asdict(bootstrap_ratio(right.mean(0), votes, prompts)),
        "against_base": None
        if scalar is None
        else asdict(
            likelihood_ratio(
                nats, scalar.held_out.log_likelihood.mean(0), prompts, votes=votes
            ).interval
        ),
        "expected_calibration_error": asdict(error),
        "brier_score": asdict(bootstrap_ratio(brier, votes, prompts)),
        "reliability": bins,
        "length": None if lengths is None else _length(ours, pairs.outcomes, lengths, prompts),
        "explained_variance": [
            asdict(
                explained_variance_of_trainings(
                    ours.family,
                    trainings,
                    scale=scale,
                    stopping_rule=ours.stopping_rule,
                    matched_size=matched_size,
                )
            )
            for scale in SCALES
            if distributional
        ],
        "undecided": _undecided(ours, pairs, partitions) if distributional else None,
        "training_curve": curve(ours, pairs, partitions) if distributional else [],
        "std": _deviations(ours, pairs, partitions) if distributional else None,
    }


def curve(ours: Measured, pairs: Pairs, partitions: Partitions) -> list[dict[str, Any]]:
    """Held-out likelihood and r² after each checkpoint, the ridge as chosen."""
    chosen = sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE)
    some = pairs.selected(chosen)
    of_some = Partitions(partitions.fold[chosen], partitions.seeds, partitions.num_folds)
    seen = len(pairs) * (partitions.num_folds - 1) / partitions.num_folds
    points = []
    for steps, heads in zip(ours.fitted.checkpoints, ours.fitted.path, strict=True):
        found = held_out(heads, pairs, partitions, chosen)
        trainings = trainings_of(found, some, of_some)
        points.append(
            {
                "steps": steps,
                "passes": steps / ours.fitted.steps_a_pass,
                "comparisons": round(seen),
                "log_likelihood": float(found.log_likelihood.mean()),
                "r2": {
                    scale: explained_variance_value(ours.family, trainings, scale)
                    for scale in FIGURE_SCALES
                },
            }
        )
    return points


def trainings_of(found: HeldOut, pairs: Pairs, partitions: Partitions) -> list[Training]:
    """The responses of each seed (or set of labels) and fold."""
    folds = partitions.fold
    if len(found.first) != folds.shape[1]:  # sets of labels are in the first seed's folds
        folds = np.repeat(folds[:, :1], len(found.first), axis=1)
    trainings = []
    for number, (first, second) in enumerate(zip(found.first, found.second, strict=True)):
        for fold in range(partitions.num_folds):
            rows = np.flatnonzero(folds[:, number] == fold)
            if len(rows) > 0:
                raw = np.concatenate([first[rows], second[rows]])
                prompt = pairs.prompt[rows]
                trainings.append(Training(raw, np.tile(prompt, 2), np.tile(rows, 2)))
    return trainings


def sample_of_prompts(prompt: np.ndarray, most: int) -> np.ndarray:
    """Comparisons of whole prompts drawn at random, at most about `most`, in order."""
    if len(prompt) <= most:
        return np.arange(len(prompt))
    numbers, counts = np.unique(prompt, return_counts=True)
    order = np.random.default_rng(0).permutation(len(numbers))
    taken = np.cumsum(counts[order]) <= most
    taken[0] = True
    return np.flatnonzero(np.isin(prompt, numbers[order[taken]]))


def agreement(ours: Measured, outcomes: Outcomes) -> np.ndarray:
    """Share of each comparison's votes that the mean utility agrees with, times weight.

    Shape `(seeds, n)`; an exact tie of the means counts one half.
    """
    first, second = (
        np.asarray(ours.family.decode(raw).mean, np.float64)
        for raw in (ours.held_out.first, ours.held_out.second)
    )
    right = 0.5 + 0.5 * np.sign(first - second)
    share = np.asarray(outcomes.win_share, np.float64)
    return outcomes.weight * (share * right + (1 - share) * (1 - right))


def _calibration(
    ours: Measured, outcomes: Outcomes, prompts: np.ndarray
) -> tuple[Interval, np.ndarray, list[dict[str, Any]]]:
    """Expected calibration error, each comparison's Brier score, and bins; both orders count."""
    both = in_both_orders(ours.log_prob, outcomes)
    error = calibration_error_interval(*both, np.tile(prompts, 2 * len(ours.log_prob)))
    bins = [asdict(each) for each in calibration(*both).bins]
    prob, wins, losses = (each[: ours.log_prob.size].reshape(ours.log_prob.shape) for each in both)
    brier = (wins * (1 - prob) ** 2 + losses * prob**2).mean(0)
    return error, brier, bins


def _length(
    ours: Measured, outcomes: Outcomes, lengths: np.ndarray, prompts: np.ndarray
) -> dict[str, Any]:
    seeds = len(ours.log_prob)
    tiled = Outcomes(np.tile(outcomes.shares, (seeds, 1)), np.tile(outcomes.weight, seeds))
    chosen, rejected = (np.tile(column, seeds) for column in lengths.T)
    log_prob, log_reverse = (
        np.minimum(log, 0.0).ravel() for log in (ours.log_prob, ours.log_reverse)
    )
    found = length_baseline(log_prob, log_reverse, chosen, rejected, tiled)
    longer_wins, without_length = length_intervals(
        log_prob, log_reverse, chosen, rejected, tiled, np.tile(prompts, seeds)
    )
    return {
        **asdict(found),
        "longer_wins": asdict(longer_wins),
        "without_length": asdict(without_length),
    }


def _undecided(ours: Measured, pairs: Pairs, partitions: Partitions) -> dict[str, Any]:
    """Near-ties against noise, each training by its own typical spread."""
    shape = (2, *ours.log_prob.shape)
    found = np.zeros(shape)
    for number in range(shape[1]):
        for fold in range(partitions.num_folds):
            rows = np.flatnonzero(partitions.fold[:, number] == fold)
            if len(rows) > 0:
                raw = (ours.held_out.first[number][rows], ours.held_out.second[number][rows])
                found[:, number, rows] = kinds(ours.family, *raw)
    near_tie, noisy = found.mean(1)
    weight = np.asarray(pairs.outcomes.weight, np.float64)
    return {
        name: asdict(bootstrap_mean(each, pairs.prompt, weights=weight))
        for name, each in (
            ("near_tie", near_tie),
            ("noisy", noisy),
            ("decided", 1 - near_tie - noisy),
        )
    }


def _deviations(ours: Measured, pairs: Pairs, partitions: Partitions) -> dict[str, list[float]]:
    """Histogram of standard deviations, each training in units of its root total variance."""
    counts = np.zeros(len(STD_BINS) - 1)
    for training in trainings_of(ours.held_out, pairs, partitions):
        utility = ours.family.decode(training.raw.astype(np.float64)).centered(
            training.compared_within
        )
        std = np.sqrt(np.asarray(utility.variance))
        scale = anchor_to_unit_variance(np.asarray(utility.mean), std**2)
        counts += np.histogram(np.minimum(scale.spread(std), STD_BINS[-1]), STD_BINS)[0]
    return {"edges": STD_BINS.tolist(), "counts": counts.tolist()}


def _stopping_rule(fitted: CrossFit) -> str:
    """In words, with the medians of what was chosen."""
    ridge, steps = np.median(fitted.ridge), np.median(fitted.steps)
    passes = steps / fitted.steps_a_pass
    return (
        f"ridge and steps by the likelihood of another fold (median ridge {ridge:g}, "
        f"{steps:g} steps, {passes:.3g} passes)"
    )
