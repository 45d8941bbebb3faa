"""`People`, a distribution over people, and `Person`, what comparisons tell of each of some."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hidden_context.distributions.normal import NormalUtility
from hidden_context.people.ballots import Ballots, read_ballots
from hidden_context.people.inference import Posterior, infer, verdict_moments

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class People:
    """Utilities of people: normal over people, with responses that they like together correlated.

    The unit of utility is that of the logistic noise within a person (its scale is 1). Comparisons
    leave the level of each person's utilities free: they are centred over the items.
    """

    items: tuple[Hashable, ...]
    """What each item is called."""
    mean: np.ndarray
    """Utility of each item, mean over people, shape `(items,)`."""
    directions: np.ndarray
    """L, shape `(items, r)`: the covariance of utilities over people is L Lᵀ."""
    thresholds: np.ndarray
    """Where ties may end, shape `(G,)`."""
    threshold_shares: np.ndarray
    """Share of people with each, shape `(G,)`."""
    num_people: int
    """To whom it was fitted."""
    log_likelihood: float = float("nan")
    """Of the comparisons that it was fitted to, in nats per vote, people integrated out."""
    converged: bool = False
    """Whether rounds ended because nothing was gained any more."""
    held_out: Mapping[int, float] = field(default_factory=dict)
    """Loss in nats per vote of half of what held-out people said, given the other half, by number
    of directions; at 0 nobody differs."""

    @property
    def utility(self) -> NormalUtility:
        """Of each item, over people; items are correlated, so for P see `prob_matrix`."""
        return NormalUtility(self.mean, _std(np.sum(self.directions**2, axis=1)), "probit")

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column) of a person who is not known, ties shared, shape `(items, items)`."""
        return self.posterior_of_nobody().prob_matrix()[0]

    def disagreement(self) -> np.ndarray:
        """Share of the variance of a verdict that lies between people, shape `(items, items)`.

        A verdict is 1, ½ (a tie) or 0. Its variance is that of each person's expected verdict, over
        people, and the mean noise within a person (the law of total variance). 0 where nobody
        differs, 1 where everybody is sure.
        """
        return self.posterior_of_nobody().disagreement()[0]

    def posterior(self, votes: Any) -> "Person":
        """What comparisons tell of those who made them: `Ballots`, or what `read_ballots` reads.

        Raises:
            UserError: The votes cannot be read, or name items that are not known.
        """
        ballots = votes if isinstance(votes, Ballots) else read_ballots(votes, items=self.items)
        return self.infer(ballots)

    def posterior_of_nobody(self) -> "Person":
        """Of somebody of whom no comparison is known."""
        none = np.zeros((1, 1), int)
        nothing = Ballots(none, none, np.zeros((1, 1, 3)), np.zeros((1, 1)), self.items, ("",))
        return self.infer(nothing)

    def log_evidence(self, ballots: Ballots) -> np.ndarray:
        """log P(all comparisons of a person) in nats, for each of V people, shape `(V,)`."""
        values = np.empty(len(ballots))
        for numbers in ballots.chunks():
            values[numbers] = self.infer(ballots.selected(numbers)).log_evidence
        return values

    def infer(self, ballots: Ballots, start: "Person | None" = None) -> "Person":
        """The posteriors of people; `start` is what is known of the same from a round before."""
        offset = self.mean[ballots.first] - self.mean[ballots.second]
        slopes = self.directions[ballots.first] - self.directions[ballots.second]
        posteriors = [
            infer(
                offset,
                slopes,
                ballots.shares,
                ballots.weight,
                float(threshold),
                None if start is None else start.posteriors[at],
            )
            for at, threshold in enumerate(self.thresholds)
        ]
        with np.errstate(divide="ignore"):
            log = np.log(self.threshold_shares)
        log = log + np.stack([one.log_evidence for one in posteriors], axis=1)
        largest = log.max(1, keepdims=True)
        probs = np.exp(log - largest)
        evidence = np.log(probs.sum(1)) + largest[:, 0]
        return Person(
            self, ballots.people, posteriors, probs / probs.sum(1, keepdims=True), evidence
        )

    def to_frame(self) -> "pd.DataFrame":
        """A row for each item, best mean first: item, mean, and std over people."""
        import pandas as pd

        table = pd.DataFrame({"item": self.items, "mean": self.mean, "std": self.utility.std})
        return table.sort_values("mean", ascending=False, ignore_index=True)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return (
            f"People({self.num_people} people, {len(self.items)} items, "
            f"{self.directions.shape[1]} directions, {state})"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format="{:.3g}".format)
        return f"<p>{self!r}</p>{table}"


@dataclass(frozen=True, eq=False, repr=False)
class Person:
    """What is known of each of V people; often one."""

    model: People
    people: tuple[Hashable, ...]
    posteriors: list[Posterior]
    """Of the coordinates, for each threshold."""
    threshold_probs: np.ndarray
    """Of each threshold, shape `(V, G)`."""
    log_evidence: np.ndarray
    """log P(comparisons of the person) in nats, shape `(V,)`."""

    @property
    def utility(self) -> NormalUtility:
        """Of each item to each person, shape `(V, items)`: its spread is what is not known of her.

        The mean and variance are those of the mixture over thresholds.
        """
        slopes = np.broadcast_to(
            self.model.directions, (len(self.people), *self.model.directions.shape)
        )
        moments = [one.linear_forms(slopes) for one in self.posteriors]
        probs = self.threshold_probs.T[..., None]
        means = np.stack([self.model.mean + mean for mean, _ in moments])
        mean = (probs * means).sum(0)
        variances = np.stack([variance for _, variance in moments])
        variance = (probs * (variances + (means - mean) ** 2)).sum(0)
        return NormalUtility(mean, _std(variance), "probit")

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column) by each person, ties shared evenly, shape `(V, items, items)`."""
        return self._verdicts()[0]

    def disagreement(self) -> np.ndarray:
        """Share of a verdict's variance that would go if more were known of the person.

        See `People.disagreement`; shape `(V, items, items)`.
        """
        mean, square_of_expected, square = self._verdicts()
        total = square - mean**2
        return np.where(total > 0, (square_of_expected - mean**2) / total, 0.0)

    def _verdicts(self) -> np.ndarray:
        """Of all pairs of items; see `verdict_moments`."""
        number = len(self.model.items)
        offset = (self.model.mean[:, None] - self.model.mean).ravel()
        pairs = self.model.directions[:, None] - self.model.directions
        slopes = np.broadcast_to(
            pairs.reshape(number**2, -1), (len(self.people), number**2, pairs.shape[-1])
        )
        moments = np.zeros((3, len(self.people), number**2))
        for at, threshold in enumerate(self.model.thresholds.tolist()):
            mean, variance = self.posteriors[at].linear_forms(slopes)
            moments += self.threshold_probs[:, at, None] * verdict_moments(
                offset + mean, variance, threshold
            )
        return moments.reshape(3, -1, number, number)

    def __repr__(self) -> str:
        who = repr(self.people[0]) if len(self.people) == 1 else f"{len(self.people)} people"
        return f"Person({who}, {len(self.model.items)} items)"


def _std(variance: np.ndarray) -> np.ndarray:
    """Positive, also where nothing varies."""
    return np.sqrt(np.maximum(variance, 1e-12))
