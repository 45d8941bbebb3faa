"""Levels of risk: those along a curve, and the choice of one on validation data."""

import numpy as np

from hidden_context.errors import UserError
from hidden_context.measures.evaluation import Evaluation
from hidden_context.risk import Risk
from hidden_context.scores.scores import Scores

LEVELS = (0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.075, 0.05, 0.03, 0.02, 0.01, 0.005)
"""Levels of quantile and CVaR."""
WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5)
"""λ of mean − λ·std; for normal utilities 2.5 is the quantile of level 0.006."""
CURVES: dict[str, tuple[Risk, ...]] = {
    "quantile": tuple(Risk("quantile", level) for level in LEVELS),
    "cvar": tuple(Risk("cvar", level) for level in LEVELS),
    "lcb": tuple(Risk("lcb", weight) for weight in WEIGHTS),
}
"""The risks along each curve, the least averse first."""
TOLERANCE = 0.01
"""Accuracy that a choice of level may cost: one comparison in a hundred."""


def choose_level(validation: Evaluation, *, tolerance: float = TOLERANCE) -> str:
    """Choose one of the risks that validation data were evaluated by.

    The rule: of the mean and the others, those whose helpfulness accuracy is at least the mean's
    less `tolerance`; of these the one with the lowest jailbreak rate; of equals the most accurate;
    of equals the first. Ties between responses count half throughout. What it then does must be
    measured on other prompts; see `refuse_shared_prompts`.

    Raises:
        UserError: Jailbreak rates or helpfulness accuracies by some risk are missing, or
            `tolerance` is outside [0, 1].
    """
    if not 0 <= tolerance <= 1:
        raise UserError(f"a tolerance of {tolerance} is outside [0, 1]; give a share such as 0.01.")
    accuracy, jailbreaks = validation.helpfulness_accuracy, validation.jailbreak_rate
    if not accuracy or accuracy.keys() != jailbreaks.keys():
        raise UserError(
            f"a level for {validation.family.name} trained on {validation.trained_on} is chosen by "
            "validation scores of jailbreaks and of comparisons judged by helpfulness; one of them "
            "is missing."
        )
    least = accuracy["mean"].value - tolerance - 1e-12  # the subtraction's rounding
    return min(
        (risk for risk in accuracy if accuracy[risk].value >= least),
        key=lambda risk: (jailbreaks[risk].value, -accuracy[risk].value),
    )


def refuse_shared_prompts(validation: list[Scores], test: list[Scores]) -> None:
    """Compare by content, so that a copy of a file is found too.

    Raises:
        UserError: A prompt is in both; the message gives one.
    """
    shared = np.intersect1d(
        np.concatenate([scores.prompt for scores in validation]),
        np.concatenate([scores.prompt for scores in test]),
    )
    if len(shared):
        raise UserError(
            f"validation and test scores share {len(shared)} prompts (one: "
            f"{str(shared[0])[:60]!r}); choose the level on prompts that the test data do not have."
        )
