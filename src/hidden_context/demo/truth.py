"""What a reward model would find in generated conversations, had it unlimited data and size."""

from collections.abc import Sequence

import numpy as np

from hidden_context.demo.conversations import Comparison, Jailbreak, Response
from hidden_context.demo.judges import (
    NOISE_STD,
    Judge,
    borda_count,
    mean_utility,
    population,
    preference_probability,
    responses_to,
    true_explained_variance,
    utility_variance,
)
from hidden_context.distributions.mixture import Mixture
from hidden_context.measures.calibration import calibration, in_both_orders
from hidden_context.measures.estimate import Estimate, Rate
from hidden_context.measures.evaluate import std_histogram
from hidden_context.measures.evaluation import Evaluation
from hidden_context.measures.explained_variance import each_prompt_explained_variance
from hidden_context.measures.known_truth import KnownTruth, digest_of, mixture_over_judges
from hidden_context.measures.rates import rate_of_higher
from hidden_context.measures.risk_levels import CURVES
from hidden_context.risk import MEAN

RISKS = (MEAN, *CURVES["quantile"])
"""By which rates are known."""


def truth(
    name: str,
    judges: Sequence[Judge],
    comparisons: Sequence[Comparison],
    jailbreaks: Sequence[Jailbreak],
) -> KnownTruth:
    """The truth for the training set of these judges, on test comparisons and jailbreaks."""
    judged = _judged([(each.chosen, each.rejected) for each in comparisons], judges)
    utility = mixture_over_judges(judged, NOISE_STD)
    prompts = np.array([each.prompt.text for each in comparisons], object)
    helpful = np.array([each.judge.objective == "helpful" for each in comparisons])
    first_wins = np.array(
        [
            preference_probability(each.chosen.attributes, each.rejected.attributes, judges)
            for each in comparisons
        ]
    )
    with np.errstate(divide="ignore"):  # P may round to 0
        log_prob = np.log(first_wins)
    ones = np.ones(len(comparisons))
    mean, variance = np.asarray(utility.mean).ravel(), np.asarray(utility.variance).ravel()
    evaluation = Evaluation(
        family=Mixture(num_components=len(judges)),
        name="truth",
        trained_on=name,
        num_comparisons=len(comparisons),
        num_jailbreaks=len(jailbreaks),
        helpfulness_accuracy=_rates(judged[helpful], prompts[helpful]) if helpful.any() else {},
        explained_variance={
            "pooled": Estimate(true_explained_variance(judges), how="exact"),
            "within_prompt": Estimate(true_r2_within_prompts(judges), how="exact"),
            "each_prompt": Estimate(
                each_prompt_explained_variance(utility.reshape(-1), np.repeat(prompts, 2)),
                how="exact, of these responses",
            ),
            "rank": Estimate(true_r2_of_ranks(judges), how="exact"),
        },
        reliability=calibration(*in_both_orders(log_prob, ones, ones)).bins,
        std=std_histogram([(mean, variance)]),
        jailbreak_rate=_rates(
            _judged([(each.unsafe, each.safe) for each in jailbreaks], judges),
            np.array([each.prompt.text for each in jailbreaks], object),
        ),
    )
    return KnownTruth(
        evaluation=evaluation,
        judged=judged,
        noise_std=NOISE_STD,
        jailbreak_by_borda_count=float(
            np.mean(
                [_borda(each.unsafe, judges) >= _borda(each.safe, judges) for each in jailbreaks]
            )
        ),
        texts=digest_of(each.row() for each in comparisons),
    )


def true_r2_within_prompts(judges: Sequence[Judge]) -> float:
    """E_p[S_p] / (E_p[S_p] + E_p[v_p]) over the population: see `explained_variance`."""
    explained = unexplained = 0.0
    for harmful in (False, True):
        responses = responses_to(harmful)
        means = [mean_utility(attributes, judges) for attributes, _ in responses]
        shares = [share for _, share in responses]
        variances = [utility_variance(attributes, judges) for attributes, _ in responses]
        explained += float(np.cov(means, aweights=shares, ddof=0)) / 2
        unexplained += float(np.average(variances, weights=shares)) / 2
    return explained / (explained + unexplained)


def true_r2_of_ranks(judges: Sequence[Judge]) -> float:
    """12 Var[Borda count] over the population, one judge looking at both of each pair."""
    attributes, shares = zip(*population(), strict=True)
    borda = [
        sum(share * preference_probability(each, rival, judges) for rival, share in population())
        for each in attributes
    ]
    return 12 * float(np.cov(borda, aweights=shares, ddof=0))


def _judged(pairs: Sequence[tuple[Response, Response]], judges: Sequence[Judge]) -> np.ndarray:
    """Expected utilities to each judge, shape `(n, 2, K)`."""
    return np.array(
        [
            [[judge.utility(response.attributes) for judge in judges] for response in pair]
            for pair in pairs
        ]
    ).reshape(len(pairs), 2, len(judges))


def _rates(judged: np.ndarray, prompts: np.ndarray) -> dict[str, Rate]:
    """How often the first of each pair is the higher, by each risk.

    Rewards that differ by rounding alone, such as means of equal sums, are ties.
    """
    utility = mixture_over_judges(judged, NOISE_STD)
    rates = {}
    for risk in RISKS:
        rewards = np.round(np.asarray(risk(utility), np.float64), 9)
        rates[str(risk)] = rate_of_higher(rewards[:, 0], rewards[:, 1], prompts)
    return rates


def _borda(response: Response, judges: Sequence[Judge]) -> float:
    return borda_count(response.attributes, judges, harmful=True)
