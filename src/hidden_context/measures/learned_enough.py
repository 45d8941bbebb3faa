"""Whether a model has learned enough of the votes for its spread to say something of them."""

from math import log

from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluation import Evaluation
from hidden_context.risk import MEAN

COIN = log(0.5)
"""Nats per vote of a coin, where there are no ties."""


def not_learned(evaluation: Evaluation) -> str:
    """Why r² and spread of a model say nothing of hidden context; nothing if they may.

    A model that predicts held-out votes no better than a coin, by an interval of its accuracy or of
    its log-likelihood that holds a coin's, has any r² that its initial weights gave it. One that is
    surely worse than a coin has learned: from votes of others.
    """
    by_probability = evaluation.accuracy_by_probability
    if by_probability is not None and by_probability.against(0.5) != "cannot tell":
        accuracy = by_probability
    else:
        accuracy = evaluation.accuracy.get(str(MEAN))
    if _is_open(accuracy, 0.5):
        does, figure = "decides", f"it is right on {accuracy}"
    elif _is_open(evaluation.log_likelihood, COIN):
        does = "predicts"
        figure = f"log-likelihood {evaluation.log_likelihood} nats per vote, a coin's {COIN:.3f}"
    else:
        return ""
    return (
        f"As far as these votes show, {evaluation.family.name} {does} them no better than a coin "
        f"({figure}): it has not learned enough for its r² and spread to say anything of hidden "
        "context. More training, more comparisons or more held-out votes may change that."
    )


def _is_open(estimate: Estimate | None, reference: float) -> bool:
    """Whether there is an interval, and it holds the reference."""
    return (
        estimate is not None
        and estimate.low is not None
        and estimate.against(reference) == "cannot tell"
    )
