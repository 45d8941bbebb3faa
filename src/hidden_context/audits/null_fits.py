"""The parametric bootstrap of an audit: families refitted to labels of the scalar model."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from hidden_context.audits.crossfit import refit_to_labels
from hidden_context.audits.family_fit import (
    MOST_ON_A_CURVE,
    FamilyFit,
    without_intervals,
)
from hidden_context.audits.folds import sample_of_prompts
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.measures.parametric_bootstrap import (
    ParametricBootstrap,
    parametric_bootstrap,
    simulated_labels,
)
from hidden_context.scores.scores import Scores


def null_figures(
    fits: Mapping[str, FamilyFit],
    *,
    num_votes: np.ndarray,
    num_draws: int,
    seed: int,
    progress: bool = False,
) -> dict[str, tuple[ParametricBootstrap, ...]]:
    """Refit every family to labels simulated from the scalar model's out-of-fold P, in first folds.

    The ridges and steps are those chosen for the real labels, for r² depends on them. Votes for a
    tie stay; the others are simulated. Real labels are measured in the same way for `observed`.

    `fits` are by name of the family, with `base`, the scalar one. `num_votes` has shape `(n,)`.
    """
    import pandas as pd

    base = fits["base"]
    log_prob = np.log(np.mean([np.exp(scores.log_prob) for scores in base.scores], axis=0))
    labels = simulated_labels(log_prob, num_votes=num_votes, num_draws=num_draws, seed=seed)
    chosen = sample_of_prompts(base.fitted.pairs.prompt, MOST_ON_A_CURVE)
    figures = {}
    for name, fit in fits.items():
        heads = refit_to_labels(fit.fitted, labels, progress=progress)
        simulated = out_of_fold(fit.fitted, heads, chosen, labels=labels)
        observed = [scores[chosen] for scores in fit.scores]
        rows = [observed, *([scores] for scores in simulated)]
        figures[name] = pd.DataFrame(map(_figures, rows))
    nats_of_base = figures["base"]["log_likelihood"]
    for name in fits.keys() - {"base"}:
        figures[name]["against_base"] = figures[name]["log_likelihood"] - nats_of_base
    return {
        name: tuple(
            parametric_bootstrap(
                figure, table[figure][0], table[figure][1:].tolist(), tail=_tail(figure)
            )
            for figure in map(str, table.columns)
        )
        for name, table in figures.items()
    }


def _tail(figure: str) -> Literal["lower", "upper"] | None:
    """Where hidden context would push a figure; the others have no such side, so no p-value."""
    if figure == "against_base":
        return "upper"
    return "lower" if figure.startswith("r2_") else None


def _figures(scores: list[Scores]) -> dict[str, float]:
    measured = without_intervals(scores)
    assert measured.log_likelihood is not None
    return {
        "log_likelihood": measured.log_likelihood.value,
        "accuracy": measured.accuracy["mean"].value,
        **{f"r2_{scale}": r2.value for scale, r2 in measured.explained_variance.items()},
    }
