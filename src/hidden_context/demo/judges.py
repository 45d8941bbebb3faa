"""Judges of generated responses, with exact answers: utilities, probabilities, Borda counts, r².

On harmful prompts each step is help to one judge and harm to the other. On harmless prompts only
the helpfulness judge minds the steps. Everywhere both like courtesy, and alternatives: advice that
does no harm.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean

from scipy.optimize import root_scalar

TONES = (-1, 0, 1)
"""Rude, neutral, kind: of the beginning and of the end of a response."""

NUM_SENTENCES = 3
"""Sentences of content in every response, so that length tells nothing."""

NOISE_STD = 0.5
"""Standard deviation of a judge's utility for one response from one comparison to the next."""

REFUSED, REDIRECTED = 0.35, 0.25
"""Shares of the responses to harmful prompts; the others comply."""


@dataclass(frozen=True)
class Attributes:
    """What the judges see in a response."""

    steps: int = 0
    """Sentences that say what to do in answer to a harmless prompt, 0 to 3."""
    harmful_steps: int = 0
    """The same in answer to a harmful prompt, 0 to 3."""
    alternatives: int = 0
    """Sentences that send the reader to a person who can help, 0 to 3."""
    courtesy: int = 0
    """From -2 (rude at the beginning and at the end) to 2 (kind at both)."""


@dataclass(frozen=True)
class Judge:
    """A person with an objective: utility is linear in the attributes."""

    objective: str
    step: float
    """Utility of a step, harmful or not."""
    harm: float
    """Disutility of the harm that a harmful step does."""
    alternative: float
    """Utility of an alternative."""
    courtesy: float
    """Utility of a kind beginning or end, and disutility of a rude one."""

    def utility(self, attributes: Attributes) -> float:
        """Expected utility of a response, with the mean over the population taken off.

        Comparisons never show a judge's zero point. Zero mean for every judge is the choice that
        makes the variance over judges smallest.
        """
        return self._uncentered(attributes) - self._population_mean()

    def _uncentered(self, attributes: Attributes) -> float:
        return (
            self.step * (attributes.steps + attributes.harmful_steps)
            - self.harm * attributes.harmful_steps
            + self.alternative * attributes.alternatives
            + self.courtesy * attributes.courtesy
        )

    @functools.cache  # noqa: B019 (a handful of judges)
    def _population_mean(self) -> float:
        return sum(share * self._uncentered(attributes) for attributes, share in population())


HELPFUL = Judge("helpful", step=1.0, harm=0.0, alternative=1.0, courtesy=0.5)
HARMLESS = Judge("harmless", step=0.0, harm=1.25, alternative=1.0, courtesy=0.5)

JUDGES: dict[str, tuple[Judge, ...]] = {
    "helpful": (HELPFUL,),
    "harmless": (HARMLESS,),
    "both": (HELPFUL, HARMLESS),
}
"""Who judges each data set; of several, each an equal share."""


def mean_utility(attributes: Attributes, judges: Sequence[Judge]) -> float:
    """Expected utility over the judges."""
    return fmean(judge.utility(attributes) for judge in judges)


def utility_variance(attributes: Attributes, judges: Sequence[Judge]) -> float:
    """Variance of utility: between the judges, and within each from one comparison to the next."""
    mean = mean_utility(attributes, judges)
    between = fmean((judge.utility(attributes) - mean) ** 2 for judge in judges)
    return between + NOISE_STD**2


def utility_quantile(attributes: Attributes, judges: Sequence[Judge], level: float) -> float:
    """Utility below which a share `level` in (0, 1) lies: of a mixture of normals."""
    normals = [NormalDist(judge.utility(attributes), NOISE_STD) for judge in judges]
    quantiles = [normal.inv_cdf(level) for normal in normals]

    def excess(utility: float) -> float:
        return fmean(normal.cdf(utility) for normal in normals) - level

    bracket = min(quantiles) - NOISE_STD, max(quantiles) + NOISE_STD
    return root_scalar(excess, bracket=bracket).root


def preference_probability(first: Attributes, second: Attributes, judges: Sequence[Judge]) -> float:
    """P(first ≻ second) when one judge, drawn from the judges, looks at both."""
    noise = NormalDist(sigma=math.sqrt(2) * NOISE_STD)
    return fmean(noise.cdf(judge.utility(first) - judge.utility(second)) for judge in judges)


def borda_count(attributes: Attributes, judges: Sequence[Judge], *, harmful: bool) -> float:
    """P(preferred to a random response to such a prompt, harmful or not).

    What comparisons without context reveal of a response's mean (DPL paper, theorem 3.1); its order
    need not be that of `mean_utility`.
    """
    return sum(
        share * preference_probability(attributes, rival, judges)
        for rival, share in responses_to(harmful)
    )


def true_explained_variance(judges: Sequence[Judge]) -> float:
    """Var[mean] / (Var[mean] + E[variance]) over the population of responses."""
    explained = unexplained = 0.0
    for attributes, share in population():
        explained += share * mean_utility(attributes, judges) ** 2  # the mean of means is 0
        unexplained += share * utility_variance(attributes, judges)
    return explained / (explained + unexplained)


@functools.cache
def population() -> list[tuple[Attributes, float]]:
    """All attributes that occur and their shares, half of them from harmful prompts."""
    responses = responses_to(False) + responses_to(True)
    return [(attributes, share / 2) for attributes, share in responses]


@functools.cache
def responses_to(harmful: bool) -> list[tuple[Attributes, float]]:
    """Attributes of responses to one kind of prompts, and their shares.

    Beginning and end have any tone, independently.
    """
    return [
        (replace(content, courtesy=opening + closing), share / len(TONES) ** 2)
        for content, share in content_shares(harmful)
        for opening, closing in itertools.product(TONES, repeat=2)
    ]


@functools.cache
def content_shares(harmful: bool) -> list[tuple[Attributes, float]]:
    """What the sentences of a response say, whatever its tone, and how often."""
    counts = range(1, NUM_SENTENCES + 1)
    if harmful:
        complied = 1 - REFUSED - REDIRECTED
        return [
            (Attributes(), REFUSED),
            *((Attributes(alternatives=count), REDIRECTED / NUM_SENTENCES) for count in counts),
            *((Attributes(harmful_steps=count), complied / NUM_SENTENCES) for count in counts),
        ]
    return [
        (Attributes(steps, alternatives=alternatives), 1 / (NUM_SENTENCES + 1) / (most + 1))
        for steps in range(NUM_SENTENCES + 1)
        for most in [NUM_SENTENCES - steps]
        for alternatives in range(most + 1)
    ]
