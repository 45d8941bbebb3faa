"""What was observed of comparisons, and how likely two utilities make it: votes, ties, strengths.

An outcome is one of 2G + 1 grades: the second is better by grade G, ..., by grade 1, a tie, the
first is better by grade 1, ..., by grade G. An ordinary comparison has G = 1. Several votes, or a
soft label, are shares of the grades.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
from array_api_compat import array_namespace

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.distributions.special import Array, as_array
from hidden_context.errors import DivergedError, UserError

Ties: TypeAlias = Literal["half", "threshold", "davidson"]
TIES: tuple[Ties, ...] = ("half", "threshold", "davidson")
"""What a tie says. half: as much as half a win and half a loss. threshold: neither utility is
ahead by more than the first threshold (Rao and Kupper 1967, for `base`). davidson: P(tie) is
proportional to ν √(P(first) P(second)) (Davidson 1970)."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What was observed of n comparisons."""

    shares: Array
    """Share of each grade, shape `(n, 2G + 1)`, rows sum to 1; see the module."""
    weight: Array
    """How much each comparison counts, shape `(n,)`, 1 on average over a data set."""

    def __getitem__(self, keep: Any) -> "Outcomes":
        """Those of some comparisons, by any index into a list of n."""
        return Outcomes(self.shares[keep], self.weight[keep])

    @property
    def num_grades(self) -> int:
        """G: how many strengths of preference are told apart."""
        return self.shares.shape[-1] // 2

    @property
    def win_share(self) -> Array:
        """Share of votes for the first, ties half, shape `(n,)`."""
        grades = self.num_grades
        return self.shares[..., grades + 1 :].sum(-1) + self.shares[..., grades] / 2

    @property
    def has_ties(self) -> bool:
        """Whether any vote is a tie."""
        return bool((self.shares[..., self.num_grades] > 0).any())

    @property
    def are_ties(self) -> bool:
        """Whether all votes that count are ties, so that none says which is better."""
        ties = self.shares[..., self.num_grades]
        return bool(((ties == 1) | (self.weight == 0)).all())


@dataclass(frozen=True)
class OutcomeModel:
    """How outcomes follow from two utilities; saved beside a checkpoint like its family.

    The first is better by grade g where its utility is ahead by more than one edge and at most the
    next: an ordered-threshold model (McCullagh 1980) on the difference of the two utilities.
    """

    ties: Ties = "half"
    """See `TIES`."""
    thresholds: tuple[float, ...] = ()
    """Rising, positive, in units of utility: where grades 2, 3, ... begin and, before them, where
    ties end if `ties` is threshold. While they are learned, tensors that broadcast against the
    utilities, such as one for each of several heads."""
    davidson: float = 1.0
    """ν of Davidson's model, positive; at ν = 2 an even pair ties half the time."""
    lapse: float = 0.0
    """Share of answers that are given without a look, each possible one alike, in [0, 1)."""

    def __post_init__(self) -> None:
        if self.ties not in TIES:
            raise UserError(f"ties {self.ties!r} is unknown; choose one of {', '.join(TIES)}.")
        if self.ties == "threshold" and not self.thresholds:
            raise UserError("ties by threshold need a first threshold, such as 0.5.")
        if self.ties == "davidson" and self.thresholds:
            raise UserError("Davidson's ties have no grades beyond them; choose threshold or half.")
        ends = (0.0, *self.thresholds, math.inf)
        if not all(_holds(low < high) for low, high in pairwise(ends)):
            raise _refused(
                "thresholds {} are out of order; give positive, finite, rising numbers.",
                self.thresholds,
            )
        if not (_holds(self.davidson > 0) and _holds(self.davidson < math.inf)):
            raise _refused("Davidson's ν is {}; give a positive number.", (self.davidson,))
        if not (_holds(self.lapse >= 0) and _holds(self.lapse < 1)):
            raise _refused("lapse is {}; give a share from 0 to below 1.", (self.lapse,))

    @property
    def num_grades(self) -> int:
        """G: how many strengths of preference are told apart."""
        return len(self.edges)

    @property
    def edges(self) -> tuple[float, ...]:
        """Where grades 1, ..., G begin, in units of utility."""
        return self.thresholds if self.ties == "threshold" else (0.0, *self.thresholds)

    def collapse_grades(self) -> "OutcomeModel":
        """The same where nobody says how much better: all grades of a side are one."""
        return replace(self, thresholds=self.thresholds[: self.ties == "threshold"])

    @property
    def has_lapse(self) -> bool:
        """Whether some answers are given without a look; so while the share is learned."""
        return not (isinstance(self.lapse, (int, float)) and self.lapse == 0)

    def __str__(self) -> str:
        """In words, with its numbers."""
        if self.has_lapse:
            return f"{replace(self, lapse=0.0)}, lapse {float(self.lapse):.3g}"
        if self.ties == "davidson":
            return f"Davidson's ties, ν = {float(self.davidson):.3g}"
        shown = ", ".join(f"{float(edge):.3g}" for edge in self.thresholds)
        return f"ties by {self.ties}" + (f", thresholds {shown}" if shown else "")

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it, a lapse where there is one; see `outcome_model_from_dict`."""
        values = vars(self) | {"thresholds": list(self.thresholds)}
        return values if self.has_lapse else {k: v for k, v in values.items() if k != "lapse"}


def outcome_model_from_dict(record: dict[str, Any]) -> OutcomeModel:
    """Inverse of `OutcomeModel.to_dict`.

    Raises:
        UserError: A field is missing, or of another kind.
    """
    try:
        thresholds = tuple(map(float, record["thresholds"]))
        davidson, lapse = float(record["davidson"]), float(record.get("lapse", 0.0))
        return OutcomeModel(record["ties"], thresholds, davidson, lapse)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"the outcome model {record!r:.200} is damaged: {type(error).__name__} {error}."
        ) from error


def default_outcome_model(
    family: Family, num_grades: int, *, ties: Ties, thresholds: Sequence[float] | None = None
) -> OutcomeModel:
    """The model of data with `num_grades` strengths; thresholds that are not given start evenly.

    Raises:
        UserError: The number of thresholds is not the one that the data need, or one is too large
            for the family.
    """
    needed = num_grades - (ties != "threshold")
    if ties == "davidson" and num_grades > 1:
        raise UserError(
            f"Davidson's ties do not go with {num_grades} strengths of preference; "
            "choose threshold or half."
        )
    if thresholds is None:
        unit = min(1.0, family.largest_margin / (needed + 1))
        thresholds = [unit * (rank + 0.5) for rank in range(needed)]
    if len(thresholds) != needed:
        one_more = ", or one more with ties by threshold" if ties == "half" else ""
        raise UserError(
            f"{len(thresholds)} thresholds were given; ties by {ties} and {num_grades} strength(s) "
            f"of preference need {needed}{one_more}."
        )
    model = OutcomeModel(ties, tuple(thresholds))
    check_reach(family, model)
    return model


def check_reach(family: Family, model: OutcomeModel) -> None:
    """Refuse thresholds that no two utilities of a family are apart."""
    if model.edges[-1] >= family.largest_margin:
        raise UserError(
            f"threshold {model.edges[-1]:g} is never exceeded by family {family.name}, whose "
            f"utilities are at most {family.largest_margin:g} apart."
        )


def log_likelihood(
    first: UtilityDistribution, second: UtilityDistribution, outcomes: Outcomes, model: OutcomeModel
) -> Array:
    """Weighted log-likelihood of each comparison in nats, shape `(n,)`.

    Σ_c share_c log P(c), times the weight: of n votes the mean, so that nats are a vote. A grade
    that nobody chose is not asked for, so it may be impossible. Outcomes without strengths say only
    which is better, so that a model with several counts all of a side as one.

    Raises:
        UserError: Outcomes and model tell another number of strengths apart.
    """
    if outcomes.num_grades == 1:
        model = model.collapse_grades()
    if outcomes.num_grades != model.num_grades:
        raise _other_strengths(outcomes.num_grades, model.num_grades)
    shares = outcomes.shares
    if model.ties == "half":
        shares = _without_ties(shares)
    xp = array_namespace(shares)
    total = xp.zeros_like(outcomes.weight)
    for grade in range(shares.shape[-1]):
        share = shares[..., grade]
        seen = share > 0
        if bool(seen.any()):
            log_prob = log_prob_of_grade(first, second, grade - model.num_grades, model)
            total = total + share * xp.where(seen, log_prob, xp.zeros_like(log_prob))
    return outcomes.weight * total


def log_prob_of_grade(
    first: UtilityDistribution, second: UtilityDistribution, grade: int, model: OutcomeModel
) -> Array:
    """log P(the first is better by `grade`) in nats; 0 is a tie, negative: the second is better.

    With ties by half, grades are the conditional ones, given no tie. With a lapse λ they have
    chance (1 - λ) P + λ/A, where A answers can be given.
    """
    log_prob = _log_prob_of_look(first, second, grade, model)
    if not model.has_lapse:
        return log_prob
    lapse = as_array(model.lapse, like=log_prob)
    log_even = -math.log(2 * model.num_grades + (model.ties != "half"))
    return _mixed(log_prob, log_even, lapse)


def _mixed(log_prob: Array, log_even: float, lapse: Array) -> Array:
    """log((1 - λ) P + λ E), with slopes that are finite and right at λ = 0, too.

    Where P is not below E by a factor that overflows, log P + log1p(λ (E/P - 1)); the logarithm of
    λ, whose slope is infinite at 0, is needed beyond only.
    """
    xp = array_namespace(log_prob)
    most = 0.9 * math.log(float(xp.finfo(log_prob.dtype).max))
    is_far = log_even - log_prob > most
    near = xp.where(is_far, xp.full_like(log_prob, log_even), log_prob)
    mixed = near + xp.log1p(lapse * xp.expm1(log_even - near))
    if not bool(is_far.any()):
        return mixed
    is_given = lapse > 0
    log_lapse = xp.log(xp.where(is_given, lapse, xp.ones_like(lapse)))
    log_lapse = xp.where(is_given, log_lapse, -math.inf)
    far = xp.where(is_far, log_prob, xp.full_like(log_prob, log_even))
    lapsed = xp.logaddexp(xp.log1p(-lapse) + far, log_lapse + log_even)
    return xp.where(is_far, lapsed, mixed)


def _log_prob_of_look(
    first: UtilityDistribution, second: UtilityDistribution, grade: int, model: OutcomeModel
) -> Array:
    """`log_prob_of_grade` of an answer that is no lapse."""
    if grade < 0:
        return _log_prob_of_look(second, first, -grade, model)
    if model.ties == "davidson":
        return _davidson(first, second, grade, model.davidson)
    edges = model.edges
    if grade == 0:
        return first.log_prob_between(second, -edges[0], edges[0])
    if grade == model.num_grades:
        return first.log_prob_preferred_to(second, edges[-1])
    return first.log_prob_between(second, edges[grade - 1], edges[grade])


def normalize_weights(weights: Array) -> Array:
    """Weights divided by their mean.

    Raises:
        UserError: They are negative, not finite, or all 0.
    """
    total = float(weights.sum())
    if not (bool((weights >= 0).all()) and 0 < total < math.inf):
        raise UserError("weights must be finite, not negative, and not all 0.")
    return weights * (len(weights) / total)


def check_num_grades(of_data: int, of_model: int) -> None:
    """Refuse data of more strengths than a model that has several; see `with_num_grades`."""
    if of_data > of_model > 1:
        raise _other_strengths(of_data, of_model)


def _other_strengths(of_data: int, of_model: int) -> UserError:
    return UserError(
        f"the data have {of_data} strengths of preference, but the outcome model has "
        f"{of_model}; fit the model to data with as many."
    )


def with_num_grades(outcomes: Outcomes, num_grades: int) -> Outcomes:
    """The same outcomes for a model that tells `num_grades` strengths apart.

    Grades that nobody chose are added; all strengths become one where the model has one; outcomes
    without strengths stay as they are (see `log_likelihood`).

    Raises:
        UserError: The model has several strengths, but fewer than the data.
    """
    extra = num_grades - outcomes.num_grades
    if extra == 0 or outcomes.num_grades == 1:
        return outcomes
    shares = outcomes.shares
    xp = array_namespace(shares)
    if extra > 0:
        nothing = xp.zeros_like(shares[..., :1])
        shares = xp.concat([nothing] * extra + [shares] + [nothing] * extra, axis=-1)
        return replace(outcomes, shares=shares)
    check_num_grades(outcomes.num_grades, num_grades)
    middle = outcomes.num_grades
    losses, ties, wins = shares[..., :middle], shares[..., middle], shares[..., middle + 1 :]
    return replace(outcomes, shares=xp.stack([losses.sum(-1), ties, wins.sum(-1)], axis=-1))


def _holds(condition: Any) -> bool:
    """Whether a comparison of numbers, or of all of an array, is true."""
    return condition if isinstance(condition, bool) else bool(condition.all())


def _refused(message: str, values: Sequence[Any]) -> UserError:
    """The message with the numbers, which a user gave; tensors are what a fit has learned."""
    if all(isinstance(value, (int, float)) for value in values):
        return UserError(message.format(", ".join(f"{value:g}" for value in values)))
    return DivergedError(
        "the fit has diverged: it learned thresholds, a ν or a lapse that cannot be. Do not learn "
        "how outcomes follow from utilities, or give a ridge."
    )


def _davidson(
    first: UtilityDistribution, second: UtilityDistribution, grade: int, tie_strength: Any
) -> Array:
    """P(first) : P(second) : P(tie) = p : q : ν √(p q), for any family's p and q = 1 - p."""
    wins = first.log_prob_preferred_to(second)
    loses = second.log_prob_preferred_to(first)
    xp = array_namespace(wins)
    log_strength = xp.log(as_array(tie_strength, like=wins))
    tie = log_strength + (wins + loses) / 2
    total = xp.logaddexp(xp.logaddexp(wins, loses), tie)
    return (tie if grade == 0 else wins) - total


def _without_ties(shares: Array) -> Array:
    """Each tie as half a win and half a loss, of the smallest grade."""
    grades = shares.shape[-1] // 2
    if not bool((shares[..., grades] > 0).any()):
        return shares
    spread = np.eye(shares.shape[-1])
    spread[grades, grades - 1 : grades + 2] = 0.5, 0.0, 0.5
    return shares @ as_array(spread, like=shares)
