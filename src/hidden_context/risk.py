"""One vocabulary of risk: how a distribution of utility becomes one reward, by a short string.

| string | reward | source |
|---|---|---|
| `mean` | E[U] | |
| `quantile:α` | utility that a share α of the hidden context stays below | DPL paper, section 5 |
| `cvar:α` | (1/α) ∫₀^α quantile(q) dq, the mean of that share | Rockafellar and Uryasev (2000) |
| `lcb:λ` | E[U] − λ std[U], the lower confidence bound | Markowitz (1952) |
| `entropic:θ` | −log E[exp(−θU)] / θ | Föllmer and Schied (2002) |
| `kl:β` | −β log E[exp(−U/β)], which is `entropic` with θ = 1/β | Hahami and others (2026) |
| `prob_below:u` | −P(U ≤ u); minus, so that more is better | Roy (1952) |
| `worst_context` | utility in the context that likes the response least | Wald (1945) |

α is in (0, 1), λ ≥ 0, θ > 0 (1/utility), β > 0 and u any (utility). All but `prob_below`, which is
in [-1, 0], are in units of utility. `worst_context` needs a family with contexts that responses
share. β is the coefficient of the KL penalty under which the reward is optimised: docs/optimise.md.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.distributions.special import Array
from hidden_context.errors import UserError


@dataclass(frozen=True)
class Measure:
    """One line of the vocabulary."""

    example: str
    """A string that parses."""
    reward: Callable[[UtilityDistribution, Any], Array]
    """From a distribution and the number after the colon to the reward."""
    takes: str = "no number"
    """What that number may be, for messages."""
    accepts: Callable[[float], bool] | None = None
    """Whether a finite number can be used; None: none can."""
    in_old_units: Callable[[float, float, float], float] = lambda number, slope, intercept: number
    """From a number for slope · U + intercept, and these two, to the number that does so for U."""
    is_utility: bool = True
    """Whether the reward is in units of utility."""


LEVEL = "a level above 0 and below 1", lambda level: 0 < level < 1

MEASURES: dict[str, Measure] = {
    "mean": Measure("mean", lambda utility, _: utility.mean),
    "quantile": Measure("quantile:0.01", lambda utility, level: utility.quantile(level), *LEVEL),
    "cvar": Measure("cvar:0.05", lambda utility, level: utility.cvar(level), *LEVEL),
    "lcb": Measure(
        "lcb:2.0",
        lambda utility, weight: utility.mean - weight * utility.std,
        "a finite number that is not negative",
        lambda weight: weight >= 0,
    ),
    "entropic": Measure(
        "entropic:1.0",
        lambda utility, risk_aversion: utility.entropic(risk_aversion),
        "a finite number above 0",
        lambda risk_aversion: risk_aversion > 0,
        lambda risk_aversion, slope, _: risk_aversion * slope,
    ),
    "kl": Measure(
        "kl:0.1",
        lambda utility, penalty: utility.entropic(1 / penalty),
        "a finite number above 0 whose inverse is finite",
        lambda penalty: penalty > 0 and math.isfinite(1 / penalty),
        lambda penalty, slope, _: penalty / slope,
    ),
    "prob_below": Measure(
        "prob_below:-1.5",
        lambda utility, threshold: -utility.cdf(threshold),
        "a finite utility",
        lambda _: True,
        lambda threshold, slope, intercept: (threshold - intercept) / slope,
        is_utility=False,
    ),
    "worst_context": Measure("worst_context", lambda utility, _: utility.worst_context),
}
"""Every measure by its name; formulas are at the head of this file."""


def _check(name: str, parameter: float | None, text: str) -> None:
    if name not in MEASURES:
        raise UserError(_refusal(text, f"there is no {name!r}"))
    accepts = MEASURES[name].accepts
    if accepts is None or parameter is None:
        accepted = accepts is parameter is None
    else:
        accepted = math.isfinite(parameter) and accepts(parameter)
    if not accepted:
        raise UserError(_refusal(text, f"{name} takes {MEASURES[name].takes}"))


def _refusal(text: str, reason: str) -> str:
    known = ", ".join(measure.example for measure in MEASURES.values())
    return f"risk {text!r} is not understood: {reason}; risks are {known}."


@dataclass(frozen=True)
class Risk:
    """A risk measure: prints as its string, and turns distributions into rewards.

    Raises:
        UserError: The name is unknown, or the number is not one that it takes.
    """

    name: str
    """A name in `MEASURES`."""
    parameter: float | None = None
    """The number after the colon; None if there is none."""

    def __post_init__(self) -> None:
        _check(self.name, self.parameter, str(self))

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}:{float(self.parameter)!r}"

    def __call__(self, utility: UtilityDistribution) -> Array:
        """The reward, shape `(*batch,)`; more is better.

        Raises:
            UserError: `worst_context` of utilities without contexts that responses share.
        """
        return MEASURES[self.name].reward(utility, self.parameter)

    def of_mapped(self, utility: UtilityDistribution, slope: float, intercept: float) -> Array:
        """The reward of slope · U + intercept, shape `(*batch,)`; the slope is above 0.

        Raises:
            UserError: See `__call__`; or the number is none that U can have, at such a slope.
        """
        measure, number = MEASURES[self.name], self.parameter
        if number is not None:
            number = measure.in_old_units(number, slope, intercept)
        reward = Risk(self.name, number)(utility)
        return slope * reward + intercept if measure.is_utility else reward


NUM_TRIED = 256
"""Random outputs on which linearity is tried."""
MEAN = Risk("mean")
PAPER_RISK = Risk("quantile", 0.01)
"""The paper's risk-averse measure."""


def parse_risk(text: str) -> Risk:
    """Read a string of the vocabulary, such as `quantile:0.01`. Inverse of `str`.

    Raises:
        UserError: It does not parse; the message lists what would.
    """
    name, colon, number = text.partition(":")
    try:
        parameter = float(number) if colon else None
    except ValueError:
        raise UserError(_refusal(text, f"{number!r} is not a number")) from None
    _check(name, parameter, text)
    return Risk(name, parameter)


def parse_risks(texts: Iterable[str]) -> tuple[Risk, ...]:
    """Each string by `parse_risk`, in order, without repetitions."""
    return tuple(dict.fromkeys(map(parse_risk, texts)))


def check_supported(risk: Risk, family: Family[Any]) -> None:
    """Find out, before any work, whether utilities of a family have this risk.

    Raises:
        UserError: They do not; the message says what to do.
    """
    risk(family.decode(np.zeros((1, family.num_outputs), dtype=np.float32)))


def is_supported(risk: Risk, family: Family[Any]) -> bool:
    """Whether utilities of a family have this risk. See `check_supported`."""
    try:
        check_supported(risk, family)
    except UserError:
        return False
    return True


def reward_function(family: Family[Any], risk: Risk) -> Callable[[Array], Array]:
    """The function from raw outputs, shape `(*batch, num_outputs)`, to rewards, shape `(*batch,)`.

    NumPy arrays or torch tensors (differentiable); it can be pickled.

    Raises:
        UserError: The family does not have this risk.
    """
    check_supported(risk, family)
    return partial(_reward, family, risk)


def linear_weights(family: Family[Any], risk: Risk) -> np.ndarray | None:
    """Weights w with reward = w · raw outputs; None where the reward is not linear in them.

    Found by evaluation, so that it holds for every family and risk: the weights are the rewards of
    the unit vectors, and predict those of random outputs of all magnitudes to 1e-9 of their size.

    Returns:
        Shape `(num_outputs,)`.

    Raises:
        UserError: The family does not have this risk.
    """
    reward = reward_function(family, risk)
    weights = np.round(np.asarray(reward(np.eye(family.num_outputs)), np.float64), 9)
    generator = np.random.default_rng(0)
    size = 10.0 ** np.linspace(-2, 2, NUM_TRIED)[:, None]
    raw = size * generator.standard_normal((NUM_TRIED, family.num_outputs))
    error = np.abs(np.asarray(reward(raw)) - raw @ weights)
    is_linear = bool((error <= 1e-9 * (1 + np.abs(raw).max(-1))).all())
    return weights if is_linear and weights.any() else None


def _reward(family: Family[Any], risk: Risk, raw: Array) -> Array:
    return risk(family.decode(raw))
