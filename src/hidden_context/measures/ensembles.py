"""What people disagree about against what the model does not know, from several trainings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hidden_context.distributions import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.measures.anchoring import anchor_to_unit_variance
from hidden_context.measures.evaluate import trainings_of
from hidden_context.measures.models import model_key
from hidden_context.scores.scores import Scores


@dataclass(frozen=True, eq=False)
class EnsembleVariance:
    """Mean and variance of each response under an equal mixture of the aligned members.

    In units in which every member has pooled mean 0 and total variance 1.
    """

    mean: np.ndarray
    """Mean utility, shape `(n,)`."""
    epistemic: np.ndarray
    """Var_s[m_s]: how far the members' means differ; more data or training would shrink it."""
    aleatoric: np.ndarray
    """mean_s[v_s]: the members' own variance; hidden context, as each member sees it."""

    @property
    def total(self) -> np.ndarray:
        """Variance of the mixture: epistemic + aleatoric, the law of total variance."""
        return self.epistemic + self.aleatoric


def ensemble_variance(members: Sequence[UtilityDistribution]) -> EnsembleVariance:
    """Split the variance of each response into epistemic and aleatoric (Lakshminarayanan 2017).

    The members are the same n responses, in one order, as S ≥ 2 models trained from different seeds
    (or on different resamples) see them, shape `(n,)` each.

    Each is aligned by `anchor_to_unit_variance` first, because its scale is its own. So a scale and
    origin of a member change nothing; a shift of single prompts does, and counts as epistemic.
    Var_s divides by S, as the law of total variance does: of few members it is too small by
    (S - 1)/S.

    Raises:
        UserError: There are fewer than 2 members, they differ in length, or one cannot be aligned.
    """
    if len(members) < 2:
        raise UserError(f"{len(members)} members make no ensemble; give at least 2.")
    shapes = [np.shape(member.mean) for member in members]
    if len(set(shapes)) > 1:
        raise UserError(f"members have shapes {shapes}; give the same responses to each.")
    means, variances = [], []
    for member in members:
        mean = np.asarray(member.mean, dtype=np.float64)
        variance = np.asarray(member.variance, dtype=np.float64)
        align = anchor_to_unit_variance(mean, variance)
        means.append(align.place(mean))
        variances.append(align.slope**2 * variance)
    return EnsembleVariance(
        mean=np.mean(means, axis=0),
        epistemic=np.var(means, axis=0),
        aleatoric=np.mean(variances, axis=0),
    )


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


def ensembles(comparisons: Sequence[Scores]) -> list[Ensemble]:
    """Runs of one family and training set on the same rows, where there are at least two."""
    by_model: dict[tuple[str, str], list[Scores]] = {}
    for scores in comparisons:
        by_model.setdefault(model_key(scores), []).append(scores)
    listed = []
    for (family, trained_on), runs in by_model.items():
        same = [run for run in runs if run.same_rows(runs[0])]
        members = [training.utility(run.family) for run in same for training in trainings_of([run])]
        if len(members) < 2 or any(member.is_scalar for member in members):
            continue
        variance = ensemble_variance(members)
        parts = float(variance.epistemic.mean()), float(variance.aleatoric.mean())
        listed.append(Ensemble(family, trained_on, len(same), *parts))
    return listed
