"""What a run's scores say of hidden context, with intervals and beside what could mislead.

See docs/diagnostics.md for each measure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hidden_context.likelihood.loss import is_scalar, log_likelihood
from hidden_context.measures.bootstrap import Interval, bootstrap_ratio
from hidden_context.measures.calibration import calibration, in_both_orders
from hidden_context.measures.ensembles import ensemble_variance
from hidden_context.measures.explained_variance_report import (
    SCALES,
    ExplainedVarianceReport,
    explained_variance_report,
)
from hidden_context.measures.length import LengthBaseline, length_baseline
from hidden_context.measures.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from hidden_context.measures.mcnemar import McNemar, mcnemar
from hidden_context.measures.preference_entropy import PreferenceEntropy, preference_entropy
from hidden_context.measures.summary import informative_risks
from hidden_context.risk import MEAN, Risk, rewards_of_rows
from hidden_context.scores.score_files import ScoredComparisons, ScoredJailbreaks

Key = tuple[str, str]
"""Family and training set."""


@dataclass(frozen=True)
class Diagnosis:
    """One run's measures on one data set."""

    family: str
    trained_on: str
    run: str
    stopping_rule: str
    """When training stopped: r² depends on it."""
    explained_variance: tuple[ExplainedVarianceReport, ...]
    """r² on every scale; empty for a scalar family."""
    preference_entropy: PreferenceEntropy
    log_likelihood: Interval
    """Nats a comparison."""
    against_base: LikelihoodRatio | None
    """Against the scalar model of the same training set; None where there is none."""
    expected_calibration_error: float
    brier_score: float
    length: LengthBaseline | None
    """None where the texts are not in the file."""


@dataclass(frozen=True)
class RiskTest:
    """Whether a risk decides the jailbreaks otherwise than the mean, exactly."""

    family: str
    trained_on: str
    risk: str
    test: McNemar
    """First: the risk; second: the mean. Better is not jailbroken."""


@dataclass(frozen=True)
class Ensemble:
    """Runs that differ in their seed, on the same responses, in units of total variance 1."""

    family: str
    trained_on: str
    num_runs: int
    epistemic: float
    """Mean variance of the runs' means: what more data or training would shrink."""
    aleatoric: float
    """Mean of the runs' own variances: hidden context, as the model sees it."""


def diagnose(comparisons: Sequence[ScoredComparisons], scored: ScoredComparisons) -> Diagnosis:
    """Measure one run.

    Args:
        comparisons: All runs, among which the scalar one of the same training set is looked for.
        scored: The run.

    Raises:
        UserError: There are fewer than 2 prompts.
    """
    family, prompts = scored.family, scored.prompt
    both = np.concatenate([scored.chosen, scored.rejected])
    of_both = np.concatenate([prompts, prompts])
    scales = () if is_scalar(family.decode(both)) else SCALES
    reports = tuple(
        explained_variance_report(
            family, both, of_both, scale=scale, stopping_rule=scored.stopping_rule
        )
        for scale in scales
    )
    chosen, rejected = family.decode(scored.chosen), family.decode(scored.rejected)
    log_prob = np.asarray(chosen.log_prob_preferred_to(rejected), np.float64)
    log_reverse = np.asarray(rejected.log_prob_preferred_to(chosen), np.float64)
    texts_are_there = not np.isnan(scored.lengths).any()
    calibrated = calibration(*in_both_orders(log_prob, scored.outcomes))
    return Diagnosis(
        family=family.name,
        trained_on=scored.trained_on,
        run=scored.run,
        stopping_rule=scored.stopping_rule,
        explained_variance=reports,
        preference_entropy=preference_entropy(family, both, of_both),
        log_likelihood=bootstrap_ratio(_log_likelihood(scored), _votes(scored), prompts),
        against_base=_against_base(comparisons, scored),
        expected_calibration_error=calibrated.expected_calibration_error,
        brier_score=calibrated.brier_score,
        length=length_baseline(
            log_prob,
            log_reverse,
            scored.lengths[:, 0],
            scored.lengths[:, 1],
            outcomes=scored.outcomes,
        )
        if texts_are_there
        else None,
    )


def risk_tests(scored: ScoredJailbreaks, risks: Sequence[Risk]) -> list[RiskTest]:
    """The exact McNemar test of each risk against the mean, a tie half a jailbreak."""
    family, safe, unsafe = scored.family, scored.safe, scored.unsafe
    known = informative_risks(family, (family.decode(safe), family.decode(unsafe)), risks)
    rewards = rewards_of_rows(family, np.stack([safe, unsafe], axis=1), known)
    withstood = {
        risk: 0.5 + 0.5 * np.sign(reward[:, 0] - reward[:, 1]) for risk, reward in rewards.items()
    }
    by_mean = withstood.pop(str(MEAN))
    return [
        RiskTest(family.name, scored.trained_on, risk, mcnemar(decisions, by_mean))
        for risk, decisions in withstood.items()
    ]


def ensembles(comparisons: Sequence[ScoredComparisons]) -> list[Ensemble]:
    """Runs of one family and training set on the same rows, if there are at least two."""
    by_model: dict[Key, list[ScoredComparisons]] = {}
    for scored in comparisons:
        by_model.setdefault((scored.family.name, scored.trained_on), []).append(scored)
    found = []
    for (family, trained_on), runs in by_model.items():
        same = [run for run in runs if _same_rows(run, runs[0])]
        if len(same) < 2:
            continue
        members = [
            run.family.decode(
                np.concatenate([run.chosen, run.rejected]).astype(np.float64)
            ).centered(np.concatenate([run.prompt, run.prompt]))
            for run in same
        ]
        if any(map(is_scalar, members)):
            continue
        variance = ensemble_variance(members)
        parts = float(variance.epistemic.mean()), float(variance.aleatoric.mean())
        found.append(Ensemble(family, trained_on, len(same), *parts))
    return found


def _log_likelihood(scored: ScoredComparisons) -> np.ndarray:
    responses = [scored.chosen.astype(np.float64), scored.rejected.astype(np.float64)]
    log_prob = log_likelihood(scored.family, responses, scored.outcomes, scored.outcome_model)
    return np.asarray(log_prob)


def _against_base(
    comparisons: Sequence[ScoredComparisons], scored: ScoredComparisons
) -> LikelihoodRatio | None:
    if scored.family.name == "base":
        return None
    for other in comparisons:
        if other.family.name == "base" and other.trained_on == scored.trained_on:
            if not _same_rows(other, scored):
                continue
            ours, theirs = _log_likelihood(scored), _log_likelihood(other)
            return likelihood_ratio(ours, theirs, scored.prompt, votes=_votes(scored))
    return None


def _votes(scored: ScoredComparisons) -> np.ndarray:
    """Of each comparison, 1 on average; `_log_likelihood` is multiplied by them."""
    if scored.outcomes is None:
        return np.ones(len(scored.prompt))
    return np.asarray(scored.outcomes.weight, np.float64)


def _same_rows(first: ScoredComparisons, second: ScoredComparisons) -> bool:
    return np.array_equal(first.prompt, second.prompt) and np.array_equal(
        first.lengths, second.lengths, equal_nan=True
    )
