"""The parametric bootstrap of an audit: families refitted to answers of the scalar model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from hidden_context.audits.crossfit import CrossFit, cross_fit, fit_whole, refit
from hidden_context.audits.family_fit import MOST_ON_A_CURVE, FamilyFit, without_intervals
from hidden_context.audits.fitted_gain import fitted_gains
from hidden_context.audits.folds import sample_of_prompts
from hidden_context.audits.heads import Pairs, with_learned
from hidden_context.audits.out_of_fold import out_of_fold
from hidden_context.audits.result import FITTED_GAIN
from hidden_context.audits.scalar_heads import laplace_draws
from hidden_context.audits.work import FIT_TO_DRAWN, UNSEEN, Work
from hidden_context.distributions import UtilityDistribution
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes, log_prob_of_grade
from hidden_context.measures.parametric_bootstrap import (
    ParametricBootstrap,
    max_statistic_tests,
    parametric_bootstrap,
    simulated_shares,
)
from hidden_context.scores.scores import Scores

FEWEST_DRAWS = 19
"""With fewer p is above .05 whatever the data are."""


def null_figures(
    fits: Mapping[str, FamilyFit],
    drawn_from: FamilyFit,
    *,
    num_votes: np.ndarray,
    num_draws: int,
    seed: int,
    work: Work = UNSEEN,
) -> dict[str, tuple[ParametricBootstrap, ...]]:
    """Every family's figures for the real answers beside those for answers of the scalar model.

    Real and drawn answers are treated alike, so that without hidden context their figures are
    exchangeable: held-out figures are of the first seed's folds, by the ridge and steps that a
    further draw, which is then left out, chose; see `fitted_gains` for the gain that is tested.

    Args:
        fits: By name of the family, with `base`, the scalar one.
        drawn_from: The scalar family, with a model of ties if there are any; see `drawn_answers`.
        num_votes: Of each comparison, shape `(n,)`.
        num_draws: Sets of answers.
        seed: Of the answers.
        work: Shows how far it is.
    """
    import pandas as pd

    to_choose_by, shares = answer_sets(
        drawn_from, num_votes=num_votes, num_draws=num_draws, seed=seed
    )
    pairs = drawn_from.fitted.pairs
    chosen = sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE)
    tuned: dict[str, CrossFit] = {}
    figures = {}
    for name, fit in fits.items():
        work.stage(FIT_TO_DRAWN.format(name))
        tuned[name] = tuned_by(fit, to_choose_by, work=work)
        again = refit(replace(tuned[name], pairs=pairs), shares=shares, work=work)
        of_sets = out_of_fold(again, chosen=chosen, shares=shares)
        figures[name] = pd.DataFrame([_figures(scores) for scores in of_sets])
    ridges = {name: float(fit.ridge[0, 0]) for name, fit in tuned.items()}
    models = {name: (fit.family, fit.start) for name, fit in tuned.items()}
    partitions = drawn_from.fitted.partitions
    gains = fitted_gains(models, pairs, shares, partitions, ridges=ridges, work=work)
    tests = (
        max_statistic_tests(
            {
                name: parametric_bootstrap(FITTED_GAIN, of_sets[0], of_sets[1:], tail="upper")
                for name, of_sets in gains.items()
            }
        )
        if gains
        else {}
    )
    return {
        name: tuple(
            parametric_bootstrap(
                figure, table[figure][0], table[figure][1:].tolist(), tail=_tail(figure)
            )
            for figure in map(str, table.columns)
        )
        + ((tests[name],) if name in tests else ())
        for name, table in figures.items()
    }


def answer_sets(
    drawn_from: FamilyFit, *, num_votes: np.ndarray, num_draws: int, seed: int
) -> tuple[Pairs, np.ndarray]:
    """Comparisons with drawn answers to choose a ridge by, and shares of the sets to be compared.

    Shares are of the real answers, then of draws, shape `(1 + num_draws, n, grades)`.
    """
    pairs = drawn_from.fitted.pairs
    drawn = drawn_answers(drawn_from, num_votes=num_votes, num_draws=num_draws + 1, seed=seed)
    real: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = np.asarray(
        pairs.outcomes.shares, np.float32
    )
    to_choose_by = replace(pairs, outcomes=replace(pairs.outcomes, shares=drawn[0]))
    return to_choose_by, np.concatenate([real[None], drawn[1:]])


def tuned_by(fit: FamilyFit, to_choose_by: Pairs, *, work: Work = UNSEEN) -> CrossFit:
    """Cross-fit in the first seed's folds, with the ridge and steps of these answers everywhere.

    They are medians over the folds: one that is chosen for each varies by chance.
    """
    tuned = cross_fit(
        fit.fitted.family,
        to_choose_by,
        fit.fitted.partitions.of_first_seed,
        outcome_model=fit.fitted.start,
        work=work,
    )
    return replace(
        tuned,
        ridge=np.full_like(tuned.ridge, np.quantile(tuned.ridge, 0.5, method="lower")),
        steps=np.full_like(tuned.steps, np.quantile(tuned.steps, 0.5, method="lower")),
    )


def drawn_answers(
    drawn_from: FamilyFit, *, num_votes: np.ndarray, num_draws: int, seed: int
) -> np.ndarray:
    """Answers as the scalar family gives them, ties and strengths among them.

    Each set has utilities of its own, drawn from those that the data leave possible (see
    `laplace_draws`): the fitted ones, and all the more the held-out ones, lie closer together than
    the true ones, so that the scalar family would predict drawn answers worse than real ones.

    Returns:
        Shares of votes, shape `(num_draws, n, grades)`.
    """
    fitted = drawn_from.fitted
    whole = fit_whole(fitted)
    model = with_learned(lambda of_heads: float(of_heads[0]), whole.outcome_model)
    differences = laplace_draws(
        replace(whole, outcome_model=model),
        fitted.pairs,
        float(np.median(fitted.ridge)),
        num_votes=float(num_votes.mean()),
        num_draws=num_draws,
        seed=seed,
    )
    family, nothing = fitted.family, np.zeros((len(fitted.pairs), 1))
    drawn = [
        simulated_shares(
            grade_probabilities(family.decode(ahead[:, None]), family.decode(nothing), model),
            num_votes=num_votes,
            num_draws=1,
            seed=seed + number,
        )
        for number, ahead in enumerate(differences)
    ]
    return np.concatenate(drawn)


def grade_probabilities(
    first: UtilityDistribution, second: UtilityDistribution, model: OutcomeModel
) -> np.ndarray:
    """P of every grade of each comparison, `(n, grades)`; with ties by half a tie has none."""
    log_prob = [
        log_prob_of_grade(first, second, grade, model)
        for grade in range(-model.num_grades, model.num_grades + 1)
        if grade != 0 or model.ties != "half"
    ]
    prob = np.exp(np.stack(log_prob, axis=1))
    if model.ties == "half":
        prob = np.insert(prob, model.num_grades, 0.0, axis=1)
    return prob / prob.sum(1, keepdims=True)


def are_votes(outcomes: Outcomes, num_votes: np.ndarray) -> bool:
    """Whether shares are of whole votes: probabilities cannot be drawn again."""
    counts = np.asarray(outcomes.shares) * num_votes[:, None]
    return bool(np.allclose(counts, counts.round(), atol=0.01))


def _tail(figure: str) -> Literal["lower"] | None:
    """Where hidden context would push a held-out figure; the others have no such side, so no p.

    The rank r² is a variance of Borda counts, which a scalar model reproduces: it has none.
    """
    return "lower" if figure in ("r2_pooled", "r2_within_prompt") else None


def _figures(scores: Scores) -> dict[str, float]:
    measured = without_intervals([scores])
    assert measured.log_likelihood is not None
    return {
        "log_likelihood": measured.log_likelihood.value,
        "accuracy": measured.accuracy["mean"].value,
        **{f"r2_{scale}": r2.value for scale, r2 in measured.explained_variance.items()},
    }
