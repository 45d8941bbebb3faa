"""Intervals of r² that know the votes vary: families refitted to resampled prompts or people."""

from collections.abc import Mapping

import numpy as np
from scipy.special import expit, logit, stdtrit

from hidden_context.audits.crossfit import refit
from hidden_context.audits.family_fit import MOST_ON_A_CURVE, FamilyFit
from hidden_context.audits.folds import sample_of_prompts
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.audits.work import FIT_TO_RESAMPLED, UNSEEN, Work
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluate import trainings_of
from hidden_context.measures.explained_variance import by_prompt_weights

NUM_REFITS = 20
"""A standard deviation of so many is known within a sixth, for which Student's t allows."""
SMALLEST = 1e-6
"""Distance of r² from 0 and 1 where it is turned into a logit."""


def with_refitted_intervals(
    fit: FamilyFit,
    found: Mapping[str, Estimate],
    *,
    annotator: np.ndarray | None,
    seed: int,
    work: Work = UNSEEN,
) -> dict[str, Estimate]:
    """r² on each scale with an interval for other votes, and other responses, of the same kind.

    Heads are fitted again to resampled prompts, or to resampled people where every comparison says
    who judged, in the first seed's folds; r² is measured on resampled prompts. With s the standard
    deviation of logit r² over the refits the interval is logit⁻¹(logit r² ± t s). It holds the bias
    of r² fixed, which few votes have: it is for the r² that data of this size would give.
    """
    pairs = fit.fitted.pairs
    rng = np.random.default_rng(seed)
    of_prompts, prompt = _drawn(pairs.prompt, rng)
    by_people = annotator is not None and bool((annotator >= 0).all())
    of_units, unit = _drawn(annotator, rng) if by_people else (of_prompts, prompt)
    work.stage(FIT_TO_RESAMPLED.format(fit.fitted.family.name))
    again = refit(fit.fitted, multiples=of_units[:, unit], work=work)
    chosen = sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE)
    scores = out_of_fold(again, chosen=chosen)
    numbers = np.unique(pairs.prompt)
    how = f"{NUM_REFITS} refits to resampled {'people' if by_people else 'prompts'}"
    intervals = {}
    for scale, estimate in found.items():
        values = []
        for weights, of_version in zip(of_prompts, scores, strict=True):
            mean, labels = by_prompt_weights(
                of_version.family, trainings_of([of_version]), scale=scale
            )
            values.append(mean(weights[None, np.searchsorted(numbers, labels)])[0])
        intervals[scale] = _interval(estimate.value, np.array(values), how)
    return intervals


def _drawn(label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """How often each label was drawn in each version, `(versions, labels)`, and each row's."""
    _, number = np.unique(label, return_inverse=True)
    m = int(number.max()) + 1
    return rng.multinomial(m, np.full(m, 1 / m), size=NUM_REFITS).astype(np.float64), number


def _interval(value: float, refitted: np.ndarray, how: str) -> Estimate:
    def logits(r2: np.ndarray | float) -> np.ndarray:
        return logit(np.clip(r2, SMALLEST, 1 - SMALLEST))

    half = stdtrit(NUM_REFITS - 1, 0.975) * logits(refitted).std(ddof=1)
    low, high = expit(logits(value) + half * np.array([-1, 1]))
    return Estimate(value, float(low), float(high), how)
