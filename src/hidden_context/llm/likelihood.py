"""How outcomes in training data are read, and which of its numbers are learned with the weights."""

import logging
from dataclasses import replace

from hidden_context.distributions import Family
from hidden_context.errors import UserError
from hidden_context.likelihood.identified import check_correlation_identified
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.outcomes import Ties, default_outcome_model
from hidden_context.llm.observations import TokenizedObservations
from hidden_context.llm.training_settings import TrainingSettings

logger = logging.getLogger(__name__)


def likelihood_of_data(
    family: Family, train_data: TokenizedObservations, settings: TrainingSettings
) -> LearnedLikelihood:
    """The outcome model of the data, its numbers as the settings give them or else to be learned.

    Raises:
        UserError: What is given does not go with the data, or the data do not identify it.
    """
    LearnedLikelihood(family, options=settings.learn)  # refuses what cannot be learned
    ties = settings.ties or ("threshold" if train_data.has_ties else "half")
    model = default_outcome_model(
        family, train_data.num_grades, ties=ties, thresholds=settings.thresholds or None
    )
    if settings.davidson is not None:
        model = replace(model, davidson=settings.davidson)
    given = settings.davidson is not None if ties == "davidson" else bool(settings.thresholds)
    learned = (bool(model.thresholds) or ties == "davidson") and not given
    if learned:
        _check_outcomes_identified(train_data, ties)
    if "correlation" in settings.learn:
        first, second = train_data.compared_texts()
        ties_observed = ties == "threshold" and train_data.has_ties
        check_correlation_identified(first, second, ties_observed=ties_observed)
    if model.thresholds or ties == "davidson":
        logger.info("outcomes: %s%s", model, " to begin with, then learned" if learned else "")
    return LearnedLikelihood(family, model, learn_outcomes=learned, options=settings.learn)


def _check_outcomes_identified(train_data: TokenizedObservations, ties: Ties) -> None:
    """Refuse to learn a number of which the data say only that it is very small or very large."""
    setting = "davidson" if ties == "davidson" else "thresholds"
    if ties != "half" and not train_data.has_ties:
        raise UserError(f"no tie is in the data, so none can be learned; give {setting}.")
    unseen, strengths = train_data.unseen_strengths(), train_data.num_grades
    if unseen and strengths == 1:
        raise UserError(
            f"every vote is a tie, so where ties end cannot be learned; give {setting}."
        )
    if unseen:
        raise UserError(
            f"no comparison to train on is of strength {unseen[0]} (of {strengths}), so where it "
            f"begins cannot be learned; number strengths without gaps, or give {setting}."
        )
