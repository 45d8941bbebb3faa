"""`People`, a distribution over people."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hidden_context.comparisons.texts import Text
from hidden_context.distributions.shared_context import SharedContext
from hidden_context.distributions.utility import UtilityDistribution
from hidden_context.items.votes import comparisons_of
from hidden_context.measures.estimate import Estimate
from hidden_context.people.ballots import Ballots, read_ballots
from hidden_context.people.inference import Posterior, infer
from hidden_context.people.person import (
    NUM_CONTEXTS,
    Person,
    joined,
    reading_texts,
    second_moments,
)
from hidden_context.people.text_weights import TextWeights

if TYPE_CHECKING:
    import pandas as pd

HER = "her"
"""Who made comparisons of which no column says it."""
LEAST_PROBABLE = 1e-5
"""Threshold and cluster of a person, in the round before, that are looked at again."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Where people's coordinates lie: a mixture of C normals with mean 0 and covariance I."""

    centers: np.ndarray
    """Shape `(C, r)`."""
    roots: np.ndarray
    """Square roots of the covariances, lower triangles, shape `(C, r, r)`."""
    shares: np.ndarray
    """Of people, shape `(C,)`."""

    @classmethod
    def one(cls, num_directions: int) -> "Clusters":
        """A single one, N(0, I)."""
        return cls(np.zeros((1, num_directions)), np.eye(num_directions)[None], np.ones(1))

    def __len__(self) -> int:
        return len(self.shares)


@dataclass(frozen=True, eq=False)
class Placed:
    """Items that are compared."""

    mean: np.ndarray
    """Utility, mean over people, shape `(items,)`."""
    directions: np.ndarray
    """Shape `(items, r)`."""
    covariance: np.ndarray | None
    """What is not known of both, `(items, 1 + r, 1 + r)`, if it is taken into account."""

    def variance(self, clusters: Clusters) -> np.ndarray:
        """Of each item's utility, by what is not known of the item, shape `(C, items)`."""
        if self.covariance is None:
            return np.zeros((len(clusters), len(self.mean)))
        spread = clusters.roots @ clusters.roots.transpose(0, 2, 1)
        moments = second_moments(clusters.centers, spread)
        return np.einsum("iab,cab->ci", self.covariance, moments)


@dataclass(frozen=True, eq=False, repr=False)
class People:
    """Utilities of people: normal over people, with responses that they like together correlated.

    Or a mixture of a few normals, where held-out people say so. The unit of utility is that of the
    logistic noise within a person (its scale is 1). Comparisons leave the level of each person's
    utilities free: those of items are centred over the items.
    """

    items: tuple[Hashable, ...]
    """What each item, or text, that it was fitted to is called."""
    mean: np.ndarray
    """Utility of each item, mean over people, shape `(items,)`."""
    directions: np.ndarray
    """L, shape `(items, r)`: the covariance of utilities over people is L Lᵀ."""
    thresholds: np.ndarray
    """Where ties may end, shape `(G,)`."""
    threshold_shares: np.ndarray
    """Share of people with each, shape `(G,)`."""
    clusters: Clusters
    num_people: int
    """To whom it was fitted."""
    item_covariance: np.ndarray | None = None
    """What is not known of the mean and the directions of each item, `(items, 1 + r, 1 + r)`; see
    `item_covariance` of `expected`."""
    texts: TextWeights | None = None
    """What makes a utility of any text, where items are texts."""
    ridge: float = 1.0
    """That was on the weights of directions, and of vectors."""
    log_likelihood: float = float("nan")
    """Of the comparisons that it was fitted to, in nats per vote, people integrated out."""
    converged: bool = False
    """Whether rounds ended because nothing was gained any more."""
    held_out: Mapping[int, float] = field(default_factory=dict)
    """Loss in nats per vote of half of what held-out people said, given the other half, by number
    of directions; at 0 nobody differs."""
    held_out_clusters: Mapping[int, float] = field(default_factory=dict)
    """The same by number of clusters."""

    @property
    def utility(self) -> UtilityDistribution:
        """Of each item, over people; items are correlated, so for P see `prob_matrix`."""
        return self.posterior_of_nobody().utility[0]

    def utility_of(self, texts: Sequence[Text]) -> UtilityDistribution:
        """Of texts, seen before or not, over people; see `Person.utility_of`."""
        return self.posterior_of_nobody().utility_of(texts)[0]

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column) of a person who is not known, ties shared, shape `(items, items)`."""
        return self.posterior_of_nobody().prob_matrix()[0]

    def disagreement(self) -> np.ndarray:
        """Share of the variance of a verdict that lies between people, shape `(items, items)`.

        A verdict is 1, ½ (a tie) or 0. Its variance is that of each person's expected verdict, over
        people, and the mean noise within a person (the law of total variance). 0 where nobody
        differs, 1 where everybody is sure. What is not known of an item is neither: see
        `Person.variances`.
        """
        return self.posterior_of_nobody().disagreement()[0]

    @property
    def structure(self) -> dict[str, Any]:
        """What was chosen, for fits of the same structure to others."""
        return {
            "num_directions": self.directions.shape[1],
            "num_clusters": len(self.clusters),
            "ridge": self.ridge,
        }

    def share_of_disagreement(
        self, votes: Any, *, seed: int = 0, progress: bool = False
    ) -> Estimate:
        """Share of the variance of verdicts, on the pairs compared, between people, and interval.

        Fits to answers that are drawn anew tell by how much fits err, so it takes about as long as
        ten fits; see `hidden_context.people.share_of_disagreement`.

        Args:
            votes: What the people were fitted to.
            seed: Of the answers that are drawn.
            progress: Show how far it is.

        Raises:
            UserError: The votes cannot be read, or name items that are not known.
        """
        from hidden_context.people.share_of_disagreement import share_of_disagreement

        return share_of_disagreement(self, votes, seed=seed, progress=progress)

    def posterior(self, votes: Any) -> Person:
        """What comparisons tell of those who made them: `Ballots`, or what `read_ballots` reads.

        Where no column says who made them, one person did.

        Raises:
            UserError: The votes cannot be read, or name items that are not known.
        """
        return self.infer(votes if isinstance(votes, Ballots) else self.read(votes))

    def read(self, votes: Any) -> Ballots:
        """Comparisons of these items, or of any texts; see `read_ballots`."""
        if self.texts is None:
            return read_ballots(votes, items=self.items, default=HER)
        reader = self.texts.reader
        comparisons = reader.prepared(comparisons_of(votes)[0])
        return read_ballots(comparisons, reads=reader.reads, default=HER)

    def posterior_of_nobody(self) -> Person:
        """Of somebody of whom no comparison is known."""
        none = np.zeros((1, 1), int)
        nothing = Ballots(none, none, np.zeros((1, 1, 3)), np.zeros((1, 1)), self.items, ("",))
        placed = Placed(np.zeros(1), np.zeros((1, self.directions.shape[1])), None)
        return self.infer(nothing, placed=placed)

    def log_evidence(self, ballots: Ballots) -> np.ndarray:
        """log P(all comparisons of a person) in nats, for each of V people, shape `(V,)`."""
        return self.infer_all(ballots).log_evidence

    def infer_all(self, ballots: Ballots) -> Person:
        """As `infer`, of any number of people, few at a time."""
        parts = list(ballots.chunks())
        back = np.argsort(np.concatenate(parts))
        placed = self._place(ballots)
        found = [self.infer(ballots.selected(numbers), placed=placed) for numbers in parts]
        return joined(found).selected(back)

    def _place(self, ballots: Ballots) -> "Placed":
        """The items of ballots."""
        if ballots.items is self.items or ballots.items == self.items:
            return Placed(self.mean, self.directions, self.item_covariance)
        if self.texts is not None:
            assert ballots.texts is not None
            return Placed(*self.texts(ballots.texts), None)
        number_of = {name: number for number, name in enumerate(self.items)}
        numbers = [number_of[name] for name in ballots.items]
        loose = self.item_covariance
        of_items = None if loose is None else loose[numbers]
        return Placed(self.mean[numbers], self.directions[numbers], of_items)

    @property
    def kind_thresholds(self) -> np.ndarray:
        """Of each kind of person, every threshold with every cluster, shape `(kinds,)`."""
        return np.repeat(self.thresholds, len(self.clusters))

    @property
    def kind_clusters(self) -> np.ndarray:
        """Number of the cluster of each kind, shape `(kinds,)`."""
        return np.tile(np.arange(len(self.clusters)), len(self.thresholds))

    def infer(
        self,
        ballots: Ballots,
        start: Person | None = None,
        placed: "Placed | None" = None,
        **how: Any,
    ) -> Person:
        """The posteriors of people.

        Args:
            ballots: What they said.
            start: What is known of the same from a round before; kinds that are hardly possible in
                it are left out.
            placed: The items of the ballots, if they are at hand.
            how: Tolerance and number of nodes; see `inference.infer`.
        """
        placed = self._place(ballots) if placed is None else placed
        of_kinds, num_kinds = self.clusters, len(self.kind_thresholds)
        possible = np.ones((len(ballots), num_kinds), bool)
        if start is not None:
            possible = start.kind_probs > LEAST_PROBABLE
        who, kind = np.nonzero(possible)
        rows, cluster = (who, kind), self.kind_clusters[kind]
        slopes = (placed.directions[ballots.first] - placed.directions[ballots.second])[who]
        offset = (placed.mean[ballots.first] - placed.mean[ballots.second])[who]
        extra = placed.variance(of_kinds)[cluster]
        first, second = ballots.first[who], ballots.second[who]
        found = infer(
            offset + (slopes @ of_kinds.centers[cluster][..., None])[..., 0],
            slopes @ of_kinds.roots[cluster],
            ballots.shares[who],
            ballots.weight[who],
            self.kind_thresholds[kind],
            np.take_along_axis(extra, first, 1) + np.take_along_axis(extra, second, 1),
            start=None if start is None else start.posterior[rows],
            **how,
        )
        size = (len(ballots), num_kinds, ballots.first.shape[1], self.directions.shape[1])
        before = Posterior.of_nobody(*size) if start is None else start.posterior
        return self._weighed(ballots.people, before.placed(rows, found))

    def _weighed(self, people: tuple[Hashable, ...], posterior: Posterior) -> Person:
        """With the probability of each kind."""
        with np.errstate(divide="ignore"):
            log = np.log(np.outer(self.threshold_shares, self.clusters.shares).ravel())
        log = log + posterior.log_evidence
        largest = log.max(1, keepdims=True)
        probs = np.exp(log - largest)
        evidence = np.log(probs.sum(1)) + largest[:, 0]
        return Person(self, people, posterior, probs / probs.sum(1, keepdims=True), evidence)

    def head(self, num_contexts: int = NUM_CONTEXTS) -> tuple[np.ndarray, SharedContext]:
        """A reward model's head whose contexts are people who are not known; see `Person.head`."""
        return self.posterior_of_nobody().head(num_contexts)

    @property
    def checkpoint(self) -> str:
        """The reward model whose states `head` is on."""
        return reading_texts(self).reader.name

    def save(self, folder: Path | str) -> None:
        """Write a folder that `load` reads; see `save_people`."""
        from hidden_context.people.saved import save_people

        save_people(self, folder)

    @staticmethod
    def load(folder: Path | str) -> "People":
        """What `save` wrote; see `load_people`."""
        from hidden_context.people.saved import load_people

        return load_people(folder)

    def to_frame(self) -> "pd.DataFrame":
        """A row for each item, best mean first: item, mean, std over people, and standard_error.

        The last is what is not known of the mean (0 of texts, whose weights are taken as known).
        """
        import pandas as pd

        shared = self.posterior_of_nobody().shared_variance[0]
        between = (self.utility.std**2 - shared).clip(0)
        table = pd.DataFrame(
            {
                "item": self.items,
                "mean": self.mean,
                "std": np.sqrt(between),
                "standard_error": np.sqrt(shared),
            }
        )
        return table.sort_values("mean", ascending=False, ignore_index=True)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        what = "items" if self.texts is None else f"texts by {self.texts.reader.name}"
        clusters = f"{len(self.clusters)} clusters, " if len(self.clusters) > 1 else ""
        return (
            f"People({self.num_people} people, {len(self.items)} {what}, "
            f"{self.directions.shape[1]} directions, {clusters}{state})"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format="{:.3g}".format)
        return f"<p>{self!r}</p>{table}"
