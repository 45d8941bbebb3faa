"""Maximum likelihood of raw outputs from summed votes: L-BFGS to a basin, Newton to its bottom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hidden_context.distributions import Family
from hidden_context.distributions.normal import Normal
from hidden_context.errors import UserError
from hidden_context.items.newton import Minimum, minimize
from hidden_context.items.normal_objective import NormalPairs, is_normal_pairs
from hidden_context.items.objective import (
    MOST_DENSE,
    AnyFamily,
    BradleyTerry,
    Objective,
    is_bradley_terry,
)
from hidden_context.items.summed_votes import SummedVotes
from hidden_context.likelihood.outcomes import OutcomeModel

START_STD = 0.3
"""Standard deviation of the raw outputs that a fit starts from."""
DAMPING = 0.01
"""Of the first Newton step, where there may be directions almost without curvature."""
MOST_OF_END = 20
"""Newton steps after those of L-BFGS, by families of which Newton's need to be near a maximum."""
LOGISTIC_STD = 1.702
"""A logistic difference of utilities is nearly normal of this standard deviation (Haley 1952)."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the optimiser stopped."""

    objective: Objective
    minimum: Minimum

    @property
    def read_as(self) -> tuple[Family, OutcomeModel]:
        """With what was learned."""
        return self.objective.family_of(self.minimum.x)

    @property
    def raw(self) -> np.ndarray:
        """Shape `(items, num_outputs)`, float64."""
        return self.objective.raw_of(self.minimum.x)

    @property
    def log_likelihood(self) -> float:
        """In nats over all votes, without the ridge."""
        return -self.objective.loss(self.minimum.x)


def fit_bradley_terry(
    votes: SummedVotes,
    outcome_model: OutcomeModel,
    *,
    ridge: float,
    max_iterations: int,
    start: np.ndarray | None = None,
) -> Optimum:
    """Of `base` with ties as halves: the one maximum, in a few steps."""
    objective = BradleyTerry(votes, ridge)
    objective.outcome_model = outcome_model
    start = np.zeros(votes.num_items) if start is None else start
    return Optimum(objective, minimize(objective, start, max_steps=max_iterations))


def best_of_starts(
    family: Family,
    outcome_model: OutcomeModel,
    votes: SummedVotes,
    *,
    learn_outcomes: bool,
    learn_options: Sequence[str],
    num_starts: int,
    seed: int,
    ridge: float,
    max_iterations: int,
    start: np.ndarray | None = None,
) -> Optimum:
    """The best of several fits; of Bradley–Terry the only one.

    `start` are raw outputs, `(items, num_outputs)`, in place of those of `starts`.
    """
    grades, learns = votes.summed.outcomes.num_grades, bool(learn_options)
    if is_bradley_terry(family, outcome_model, grades):
        point = None if start is None else start[:, 0]
        return fit_bradley_terry(
            votes, outcome_model, ridge=ridge, max_iterations=max_iterations, start=point
        )
    if is_normal_pairs(family, outcome_model, grades) and not learns:
        assert isinstance(family, Normal)
        objective: NormalPairs | AnyFamily = NormalPairs(family, outcome_model, votes, ridge)
    else:
        from hidden_context.likelihood.learned import LearnedLikelihood

        likelihood = LearnedLikelihood(
            family, outcome_model, learn_outcomes=learn_outcomes, options=learn_options
        )
        objective = AnyFamily(likelihood, votes, ridge)
    begin = [start] if start is not None else None
    if begin is None:
        begin = starts(family, votes, num_starts=num_starts, seed=seed, ridge=ridge)
    optima = [fit_from(objective, family, raw, max_iterations=max_iterations) for raw in begin]
    return min(optima, key=lambda optimum: objective.value(optimum.minimum.x))


def starts(
    family: Family, votes: SummedVotes, *, num_starts: int, seed: int, ridge: float
) -> list[np.ndarray]:
    """Raw outputs to start from, `(items, num_outputs)` each: small normal numbers.

    Of `mean_and_variance` the means are those that `base` has with the same votes.
    """
    rng = np.random.default_rng(seed)
    size = (votes.num_items, family.num_outputs)
    drawn = [START_STD * rng.standard_normal(size) for _ in range(num_starts)]
    if isinstance(family, Normal):
        plain = fit_bradley_terry(
            votes, OutcomeModel(), ridge=max(ridge, 0.01), max_iterations=30
        ).raw[:, 0]
        std = np.log(2)  # softplus(0), of both items
        for raw in drawn:
            raw[:, 0] = plain * (std * np.sqrt(2) / LOGISTIC_STD)
            raw[:, 1] *= 0.1
    return drawn


def fit_from(
    objective: "NormalPairs | AnyFamily", family: Family, raw: np.ndarray, *, max_iterations: int
) -> Optimum:
    """The maximum near one start.

    Raises:
        UserError: The likelihood is not finite.
    """
    x = objective.start(raw)
    if not np.isfinite(objective.value(x)):
        raise UserError(
            f"the likelihood of family {family.name} is not finite; thresholds may be larger than "
            "any difference of its utilities."
        )
    if objective.num_parameters > MOST_DENSE or not isinstance(family, Normal):
        x, used = _descended(objective, x, max_steps=max_iterations)
        max_iterations = min(MOST_OF_END, max_iterations - used)
    return Optimum(objective, minimize(objective, x, max_steps=max_iterations, damping=DAMPING))


def fit_newton(objective: AnyFamily, raw: np.ndarray, *, max_iterations: int) -> Optimum:
    """The maximum near a start that is near it."""
    return Optimum(objective, minimize(objective, objective.start(raw), max_steps=max_iterations))


def _descended(
    objective: "NormalPairs | AnyFamily", x: np.ndarray, *, max_steps: int
) -> tuple[np.ndarray, int]:
    """Where L-BFGS stops: after so many steps, or with no derivative above a millionth a vote."""
    import scipy.optimize

    found = scipy.optimize.minimize(
        objective.value_and_gradient,
        x,
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": max_steps,
            "maxcor": 20,
            "ftol": 0.0,
            "gtol": 1e-6 * objective.votes.sum(),
        },
    )
    return found.x, found.nit
