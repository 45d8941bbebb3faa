"""Two models on the same comparisons: which predicts them better, and which decides them better."""

from dataclasses import dataclass

import numpy as np

from hidden_context.errors import UserError
from hidden_context.measures.bootstrap import RESAMPLING, Resampling, bootstrap_mean
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.likelihood_ratio import likelihood_ratio
from hidden_context.measures.mcnemar import mcnemar
from hidden_context.measures.rates import agreement_of
from hidden_context.risk import MEAN
from hidden_context.scores.scores import Scores


@dataclass(frozen=True)
class Paired:
    """The first model less the second on the same comparisons; intervals over prompts."""

    log_likelihood: Estimate
    """Nats per vote."""
    accuracy: Estimate
    """Share of votes, by the mean; without an interval where both decide every comparison alike."""
    only_first: int
    """Comparisons that the first model decides better."""
    only_second: int
    """Comparisons that the second model decides better."""


def can_be_paired(first: Scores, second: Scores) -> bool:
    """Whether both scored the same comparisons, and count what was observed of them alike."""
    models = first.outcome_model, second.outcome_model
    return (
        first.kind == second.kind == "comparisons"
        and first.same_rows(second)
        and np.allclose(first.win_share, second.win_share)
        and np.allclose(first.votes, second.votes)
        and models[0].num_grades == models[1].num_grades
        and (models[0].ties == models[1].ties or not (first.outcomes and first.outcomes.has_ties))
    )


def paired(first: Scores, second: Scores, *, resampling: Resampling = RESAMPLING) -> Paired:
    """Hold two models against each other.

    Raises:
        UserError: They scored other comparisons, or count what was observed of them differently.
    """
    if not can_be_paired(first, second):
        raise UserError(
            f"{first!r} and {second!r} cannot be held against each other; give scores of the same "
            "comparisons, by models that count ties alike."
        )
    nats = likelihood_ratio(
        first.log_likelihood,
        second.log_likelihood,
        first.prompt,
        votes=first.votes,
        resampling=resampling,
    )
    rewards = [each.rewards(MEAN) for each in (first, second)]
    right = [agreement_of(each[:, 0], each[:, 1], first.win_share) for each in rewards]
    accuracy = Estimate(0.0, how="none: both decide every comparison alike")
    if (right[0] != right[1]).any():
        accuracy = bootstrap_mean(
            right[0] - right[1], first.prompt, weights=first.votes, resampling=resampling
        )
    decided = mcnemar(*right)
    return Paired(nats, accuracy, decided.first_better, decided.second_better)
