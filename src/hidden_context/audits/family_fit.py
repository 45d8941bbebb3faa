"""One family fitted to one data set: its out-of-fold scores, and how they came about."""

from dataclasses import dataclass, replace

from hidden_context.audits.crossfit import CrossFit, cross_fit
from hidden_context.audits.folds import Partitions, sample_of_prompts
from hidden_context.audits.heads import Pairs
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.audits.work import UNSEEN, Work
from hidden_context.distributions import Family
from hidden_context.likelihood.outcomes import Ties, default_outcome_model
from hidden_context.measures.bootstrap import Resampling
from hidden_context.measures.evaluate import evaluate
from hidden_context.measures.evaluation import Evaluation, TrainingPoint
from hidden_context.scores.scores import Scores

SHORT_SCALES = ("pooled", "within_prompt", "rank")
"""Of curves and of the parametric bootstrap."""
MOST_ON_A_CURVE = 2**13
"""Comparisons by which curves, and the parametric bootstrap, are measured."""
SHORT_MEASURES = ("accuracy", "likelihood", "explained_variance")


@dataclass(frozen=True, eq=False)
class FamilyFit:
    """Heads of one family, and what they predict out of fold."""

    fitted: CrossFit
    scores: tuple[Scores, ...]
    """Of all comparisons, for each seed."""


START_LAPSE = 0.05
"""From which the share of answers without a look is learned."""


def fit_family(
    family: Family,
    pairs: Pairs,
    partitions: Partitions,
    *,
    ties: Ties,
    lapse: bool = False,
    work: Work = UNSEEN,
) -> FamilyFit:
    """Cross-fit, with the model of ties where there are any and a threshold for each strength.

    With `lapse`, a share of answers that are given without a look is learned, too.
    """
    outcomes = pairs.outcomes
    kind: Ties = ties if outcomes.has_ties else "half"
    start = default_outcome_model(family, outcomes.num_grades, ties=kind)
    if lapse:
        start = replace(start, lapse=START_LAPSE)
    fitted = cross_fit(family, pairs, partitions, outcome_model=start, work=work)
    return FamilyFit(fitted, tuple(out_of_fold(fitted, stopping_rule=fitted.stopping_rule)))


def training_curve(fitted: CrossFit) -> tuple[TrainingPoint, ...]:
    """Out-of-fold likelihood and r² after each checkpoint, the ridge as chosen."""
    chosen = sample_of_prompts(fitted.pairs.prompt, MOST_ON_A_CURVE)
    points = []
    for steps, heads in zip(fitted.checkpoints, fitted.path, strict=True):
        measured = without_intervals(out_of_fold(fitted, heads, chosen))
        assert measured.log_likelihood is not None
        points.append(
            TrainingPoint(
                steps=steps,
                passes=steps / fitted.steps_a_pass,
                log_likelihood=measured.log_likelihood.value,
                r2={scale: r2.value for scale, r2 in measured.explained_variance.items()},
            )
        )
    return tuple(points)


def without_intervals(scores: list[Scores]) -> Evaluation:
    """Accuracy, likelihood and r² alone, quickly."""
    return evaluate(
        scores,
        risks=(),
        measures=SHORT_MEASURES,
        scales=SHORT_SCALES,
        resampling=Resampling(num_resamples=1),
    )
