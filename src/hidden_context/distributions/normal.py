"""Family `mean_and_variance`: a normal distribution of utility for each response."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

from array_api_compat import array_namespace

from hidden_context.distributions.base import Family, check_choice, check_not_negative
from hidden_context.distributions.special import (
    Array,
    as_std,
    log_cdf_between,
    log_normal_cdf,
    log_sigmoid,
    normal_cdf,
    normal_quantile,
)
from hidden_context.distributions.utility import UtilityDistribution
from hidden_context.errors import UserError

LARGEST_SCALE = 10.0
"""Root mean square of the utilities from which on `Normal.scale_penalty` acts.

Well above where training starts (0.7), so that most runs never meet it.
"""

LOGISTIC_SLOPES = {"paper": math.sqrt(2 * math.pi), "logit": 1.702}
"""c of the links that are σ(c z)."""
LINKS: dict[str, Callable[[Array], Array]] = {
    "probit": log_normal_cdf,
    "paper": lambda z: log_sigmoid(LOGISTIC_SLOPES["paper"] * z),
    "logit": lambda z: log_sigmoid(LOGISTIC_SLOPES["logit"] * z),
}
"""log P(a ≻ b) as a function of z = (mean_a - mean_b) / std of the difference.

`probit` is exact for normal utilities. `paper` is the published loss: off by up to 0.0945, its σ
come out 1.4 to 1.6 times too large. `logit` is within 0.0095 of the probit (1.702: Haley 1952) and
its loss grows linearly, not quadratically, in a wrongly labelled comparison.
"""


@dataclass(frozen=True, eq=False, repr=False)
class NormalUtility(UtilityDistribution):
    """Normal utilities."""

    location: Array
    """Mean, shape `(*batch,)`."""
    scale: Array
    """Standard deviation, positive, shape `(*batch,)`."""
    link: str
    """How comparisons follow from the utilities; see `LINKS`."""
    correlation: float | Array = 0.0
    """Of the two utilities of a comparison, in (-1, 1); a scalar array where it is learned."""

    @property
    def mean(self) -> Array:
        return self.location

    @property
    def variance(self) -> Array:
        return self.scale**2

    @property
    def std(self) -> Array:
        return self.scale

    def cdf(self, utility: float | Array) -> Array:
        return normal_cdf((utility - self.location) / self.scale)

    def _quantile(self, level: float | Array) -> Array:
        return self.location + self.scale * normal_quantile(level)

    def _cvar(self, level: float) -> Array:
        """mean - std φ(z)/level at z = Φ⁻¹(level) (Rockafellar and Uryasev 2000)."""
        z = normal_quantile(level)
        return self.location - self.scale * (math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / level)

    def _entropic(self, risk_aversion: float) -> Array:
        """mean - θ variance / 2, from the moment generating function."""
        return self.location - self.scale**2 * (risk_aversion / 2)

    def log_prob_preferred_to(self, other: "NormalUtility", margin: float | Array = 0.0) -> Array:
        """Equation of the mean-and-variance model, DPL paper section 4. See `LINKS`."""
        ahead = self.location - other.location - margin
        return LINKS[self.link](ahead / self.std_of_difference(other))

    def log_prob_between(
        self, other: "NormalUtility", low: float | Array, high: float | Array
    ) -> Array:
        ahead, std = self.location - other.location, self.std_of_difference(other)
        return log_cdf_between(LINKS[self.link], (ahead - high) / std, (ahead - low) / std)

    def inverse_link(self, prob: float) -> float:
        """z at which P(a ≻ b) is `prob`, between 0 and 1."""
        if self.link == "probit":
            return NormalDist().inv_cdf(prob)
        return math.log(prob / (1 - prob)) / LOGISTIC_SLOPES[self.link]

    def std_of_difference(self, other: "NormalUtility") -> Array:
        """s, s² = σ² + σ'² - 2ρσσ', as (σ - σ')² + 2(1 - ρ)σσ': no cancellation as ρ → 1."""
        xp = array_namespace(self.location)
        if isinstance(self.correlation, (int, float)) and self.correlation == 0:
            return xp.hypot(self.scale, other.scale)
        own_share = (2 * (1 - self.correlation)) ** 0.5
        return xp.hypot(self.scale - other.scale, own_share * (self.scale * other.scale) ** 0.5)


@dataclass(frozen=True)
class Normal(Family[NormalUtility]):
    """Mean, and softplus of the second output as standard deviation."""

    name: ClassVar[str] = "mean_and_variance"
    mean_output: ClassVar[int | None] = 0
    outputs_each: ClassVar[int] = 2
    published_options: ClassVar[tuple[str, ...]] = ("variance_penalty",)
    learnable: ClassVar[tuple[str, ...]] = ("correlation",)
    renamed_options: ClassVar[Mapping[str, str]] = {"gauge": "scale_penalty"}

    link: str = "probit"
    """probit (exact), paper (as published) or logit (robust to wrong labels)."""
    variance_penalty: float = 0.0
    """Weight of the unexplained share of variance, 1 - r² over the batch, in the loss."""
    scale_penalty: float = 0.0
    """Weight (nats) of the squared log-ratio of the batch's scale to 10, where it is larger."""
    correlation: float | Array = 0.0
    """Correlation of the two utilities of a comparison: what their hidden context shares."""

    def __post_init__(self) -> None:
        check_choice("link", self.link, tuple(LINKS))
        check_not_negative("variance_penalty", self.variance_penalty)
        check_not_negative("scale_penalty", self.scale_penalty)
        is_number = isinstance(self.correlation, (int, float))  # a learned one is a tensor
        if is_number and not -1 < self.correlation < 1:
            raise UserError(
                f"correlation is {self.correlation}; give a number between -1 and 1, exclusive."
            )

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("mean", "raw_std")

    def _decode(self, raw: Array) -> NormalUtility:
        return NormalUtility(raw[..., 0], as_std(raw[..., 1]), self.link, self.correlation)

    def regularizer(self, utility: NormalUtility) -> Array:
        """`variance_penalty` · `unexplained_share` + `scale_penalty` · `squared_excess_scale`."""
        penalty = super().regularizer(utility)
        if self.variance_penalty != 0:
            penalty = penalty + self.variance_penalty * unexplained_share(utility)
        if self.scale_penalty != 0:
            penalty = penalty + self.scale_penalty * squared_excess_scale(utility)
        return penalty

    def as_published(self) -> "Normal":
        return dataclasses.replace(self, link="paper")


def unexplained_share(utility: NormalUtility) -> Array:
    """E[variance] / (E[variance] + Var[mean]) over the batch: 1 - r², a scalar in [0, 1].

    The published penalty is E[variance] itself. The likelihood does not change when all means and
    deviations shrink together, so that penalty only shrinks the scale; this one is invariant to
    scale, and trades likelihood for explained variance.
    """
    unexplained = utility.variance.mean()
    explained = ((utility.mean - utility.mean.mean()) ** 2).mean()
    return unexplained / (unexplained + explained)


def squared_excess_scale(utility: NormalUtility) -> Array:
    """max(0, log(scale / LARGEST_SCALE))², scale² = E[mean² + variance] over the batch; a scalar.

    Without it the scale drifts upwards: the likelihood's gradient has no component along a common
    factor of means and deviations, so steps across it add to their length. The gradient of this
    term is along that factor alone, and any solution can bring it to 0 by a smaller one, which
    leaves likelihood, r² and order as they are (docs/decisions/0009-synthetic-pairs-and-gauge.md).
    """
    xp = array_namespace(utility.location)
    mean_square = (utility.mean**2 + utility.variance).mean()
    return (0.5 * xp.log(xp.clip(mean_square / LARGEST_SCALE**2, 1.0, None))) ** 2
