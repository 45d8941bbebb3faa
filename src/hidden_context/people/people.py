"""`People`, a distribution over people, and `Person`, what comparisons tell of each of some."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hidden_context.comparisons.texts import Text
from hidden_context.distributions.mixture import MixtureUtility
from hidden_context.distributions.normal import NormalUtility
from hidden_context.distributions.shared_context import SharedContext
from hidden_context.distributions.utility import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.items.votes import comparisons_of
from hidden_context.people.ballots import Ballots, read_ballots
from hidden_context.people.inference import (
    Posterior,
    infer,
    outcome_probabilities,
    verdict_moments,
)
from hidden_context.people.text_weights import WORDS, TextWeights

if TYPE_CHECKING:
    import pandas as pd

SURE = 1e-12
"""Least variance of a utility or a coordinate: deviations are positive where nothing varies."""


HER = "her"
"""Who made comparisons of which no column says it."""
LEAST_PROBABLE = 1e-10
"""Threshold and cluster of a person, in the round before, that are looked at again."""
NUM_CONTEXTS = 256
"""Of a head: a tenth of people is 26."""


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
        differs, 1 where everybody is sure.
        """
        return self.posterior_of_nobody().disagreement()[0]

    def posterior(self, votes: Any) -> "Person":
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

    def posterior_of_nobody(self) -> "Person":
        """Of somebody of whom no comparison is known."""
        none = np.zeros((1, 1), int)
        nothing = Ballots(none, none, np.zeros((1, 1, 3)), np.zeros((1, 1)), self.items, ("",))
        return self.infer(nothing, placed=(np.zeros(1), np.zeros((1, self.directions.shape[1]))))

    def log_evidence(self, ballots: Ballots) -> np.ndarray:
        """log P(all comparisons of a person) in nats, for each of V people, shape `(V,)`."""
        return self.infer_all(ballots).log_evidence

    def infer_all(self, ballots: Ballots) -> "Person":
        """As `infer`, of any number of people, few at a time."""
        parts = list(ballots.chunks())
        back = np.argsort(np.concatenate(parts))
        placed = self._place(ballots)
        found = [self.infer(ballots.selected(numbers), placed=placed) for numbers in parts]
        return joined(found).selected(back)

    def _place(self, ballots: Ballots) -> tuple[np.ndarray, np.ndarray]:
        """Mean and directions of the items of ballots, shapes `(items,)` and `(items, r)`."""
        if ballots.items is self.items or ballots.items == self.items:
            return self.mean, self.directions
        if self.texts is not None:
            assert ballots.texts is not None
            return self.texts(ballots.texts)
        number_of = {name: number for number, name in enumerate(self.items)}
        numbers = [number_of[name] for name in ballots.items]
        return self.mean[numbers], self.directions[numbers]

    def kinds(self) -> Iterator[tuple[float, int]]:
        """Every threshold with every cluster."""
        for threshold in self.thresholds.tolist():
            for cluster in range(len(self.clusters)):
                yield threshold, cluster

    def infer(
        self,
        ballots: Ballots,
        start: "Person | None" = None,
        placed: tuple[np.ndarray, np.ndarray] | None = None,
        **how: Any,
    ) -> "Person":
        """The posteriors of people.

        Args:
            ballots: What they said.
            start: What is known of the same from a round before; what is hardly possible in it
                is left out.
            placed: Mean and directions of the items of the ballots, if they are at hand.
            how: Tolerance and number of nodes; see `inference.infer`.
        """
        mean, directions = self._place(ballots) if placed is None else placed
        offset = mean[ballots.first] - mean[ballots.second]
        slopes = directions[ballots.first] - directions[ballots.second]
        posteriors = []
        for at, (threshold, cluster) in enumerate(self.kinds()):
            center, root = self.clusters.centers[cluster], self.clusters.roots[cluster]
            who = np.arange(len(ballots))
            if start is not None:
                who = np.flatnonzero(start.kind_probs[:, at] > LEAST_PROBABLE)
                if not len(who):
                    posteriors.append(start.posteriors[at].impossible())
                    continue
            found = infer(
                offset[who] + slopes[who] @ center,
                slopes[who] @ root,
                ballots.shares[who],
                ballots.weight[who],
                threshold,
                None if start is None else start.posteriors[at].selected(who),
                **how,
            )
            found = found.moved(center, root)
            posteriors.append(found if start is None else start.posteriors[at].updated(who, found))
        with np.errstate(divide="ignore"):
            log = np.log(np.outer(self.threshold_shares, self.clusters.shares).ravel())
        log = log + np.stack([one.log_evidence for one in posteriors], axis=1)
        largest = log.max(1, keepdims=True)
        probs = np.exp(log - largest)
        evidence = np.log(probs.sum(1)) + largest[:, 0]
        probs /= probs.sum(1, keepdims=True)
        return Person(self, ballots.people, posteriors, probs, evidence)

    def head(self, num_contexts: int = NUM_CONTEXTS) -> tuple[np.ndarray, SharedContext]:
        """A reward model's head whose contexts are people who are not known; see `Person.head`."""
        return self.posterior_of_nobody().head(num_contexts)

    @property
    def checkpoint(self) -> str:
        """The reward model whose states `head` is on."""
        return _reading_texts(self).reader.name

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
        """A row for each item, best mean first: item, mean, and std over people."""
        import pandas as pd

        table = pd.DataFrame({"item": self.items, "mean": self.mean, "std": self.utility.std})
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


@dataclass(frozen=True, eq=False, repr=False)
class Person:
    """What is known of each of V people; often one."""

    model: People
    people: tuple[Hashable, ...]
    posteriors: list[Posterior]
    """Of the coordinates, for each of `People.kinds`."""
    kind_probs: np.ndarray
    """Of each kind, shape `(V, kinds)`."""
    log_evidence: np.ndarray
    """log P(comparisons of the person) in nats, shape `(V,)`."""

    @property
    def _by_kind(self) -> np.ndarray:
        shape = len(self.people), len(self.model.thresholds), len(self.model.clusters)
        return self.kind_probs.reshape(shape)

    @property
    def threshold_probs(self) -> np.ndarray:
        """Of each threshold, shape `(V, G)`."""
        return self._by_kind.sum(2)

    @property
    def cluster_probs(self) -> np.ndarray:
        """Of each cluster, shape `(V, C)`."""
        return self._by_kind.sum(1)

    @property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean, shape `(V, r)`, and covariance, `(V, r, r)`, of the coordinates of each."""
        mean = np.einsum("vk,kvr->vr", self.kind_probs, [one.mean for one in self.posteriors])
        spread = [
            one.covariance + (off := one.mean - mean)[:, :, None] * off[:, None]
            for one in self.posteriors
        ]
        return mean, np.einsum("vk,kvrs->vrs", self.kind_probs, spread)

    @property
    def utility(self) -> UtilityDistribution:
        """Of each item to each person, shape `(V, items)`: its spread is what is not known of her.

        And of the item, to all people. The mean and variance within a cluster are those of the
        mixture over thresholds.
        """
        of_items = self.model.item_covariance
        extra = 0.0
        if of_items is not None:
            extra = np.einsum("iab,vab->vi", of_items, second_moments(*self.coordinates))
        return self._utility(self.model.mean, self.model.directions, extra)

    def utility_of(self, texts: Sequence[Text]) -> UtilityDistribution:
        """Of texts, seen before or not, as the model reads them, shape `(V, texts)`.

        Raises:
            UserError: The people were fitted to a list of items.
        """
        return self._utility(*_reading_texts(self.model)(texts))

    def _utility(
        self, mean: np.ndarray, directions: np.ndarray, extra: float | np.ndarray = 0.0
    ) -> UtilityDistribution:
        slopes = np.broadcast_to(directions, (len(self.people), *directions.shape))
        moments = [one.linear_forms(slopes) for one in self.posteriors]
        shape = len(self.model.thresholds), len(self.model.clusters), *slopes.shape[:2]
        means = (mean + np.stack([of for of, _ in moments])).reshape(shape)
        variances = np.stack([of for _, of in moments]).reshape(shape)
        of_clusters = self.cluster_probs
        probs = (self._by_kind / np.maximum(of_clusters[:, None], 1e-300)).transpose(1, 2, 0)
        locations = (probs[..., None] * means).sum(0)
        variance = (probs[..., None] * (variances + (means - locations) ** 2)).sum(0)
        scales = np.sqrt(np.maximum(variance + extra, SURE))
        if len(self.model.clusters) == 1:
            return NormalUtility(locations[0], scales[0], "probit")
        log_weights = np.log(np.maximum(of_clusters, 1e-300))[:, None]
        log_weights = np.broadcast_to(log_weights, (*slopes.shape[:2], len(self.model.clusters)))
        return MixtureUtility(
            log_weights, np.moveaxis(locations, 0, -1), np.moveaxis(scales, 0, -1)
        )

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column) by each person, ties shared evenly, shape `(V, items, items)`."""
        return self._of_all_pairs()[0]

    def disagreement(self) -> np.ndarray:
        """Share of a verdict's variance that would go if more were known of the person.

        See `People.disagreement`; shape `(V, items, items)`.
        """
        return shared_out(self._of_all_pairs())

    def _of_all_pairs(self) -> np.ndarray:
        number = len(self.model.items)
        first, second = np.indices((number, number)).reshape(2, 1, -1)
        return self.verdicts(first, second).reshape(3, -1, number, number)

    def verdicts(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Moments of verdicts on pairs of items by their numbers, shape `(V, Q)` or `(1, Q)`.

        See `verdict_moments`; shape `(3, V, Q)`.
        """
        moments = np.zeros((3, len(self.people), first.shape[1]))
        for at, (mean, variance, threshold) in enumerate(self._forms(first, second)):
            moments += self.kind_probs[:, at, None] * verdict_moments(mean, variance, threshold)
        return moments

    def outcome_probs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """P of the second, a tie and the first, of pairs as in `verdicts`, shape `(3, V, Q)`."""
        probs = np.zeros((3, len(self.people), first.shape[1]))
        for at, (mean, variance, threshold) in enumerate(self._forms(first, second)):
            of_kind = outcome_probabilities(mean, variance, threshold)
            probs += self.kind_probs[:, at, None] * of_kind
        return probs

    def _forms(
        self, first: np.ndarray, second: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """Mean and variance of differences of utility, by kind, with the threshold of each."""
        offset = self.model.mean[first] - self.model.mean[second]
        slopes = self.model.directions[first] - self.model.directions[second]
        slopes = np.broadcast_to(slopes, (len(self.people), *slopes.shape[1:]))
        for posterior, (threshold, _) in zip(self.posteriors, self.model.kinds(), strict=True):
            mean, variance = posterior.linear_forms(slopes)
            yield offset + mean, variance, threshold

    def draws(self, number: int, seed: int = 0) -> np.ndarray:
        """Coordinates that the one person may have, shape `(number, r)`, all equally likely.

        Their mean and covariance are those of what is known of her, exactly.

        Raises:
            UserError: There is not one person, or there are too few draws for the directions.
        """
        size = self.model.directions.shape[1]
        if len(self.people) != 1 or number <= size + 1:
            raise UserError(
                f"{number} draws of {len(self.people)} people in {size} directions; give one "
                "person, and more draws than directions."
            )
        rng = np.random.default_rng(seed)
        up_to = np.cumsum(self.kind_probs[0])
        kinds = np.searchsorted(up_to / up_to[-1], (np.arange(number) + 0.5) / number)
        drawn = np.empty((number, size))
        for kind, posterior in enumerate(self.posteriors):
            of_kind = kinds == kind
            root = np.linalg.cholesky(posterior.covariance[0] + SURE * np.eye(size))
            noise = rng.normal(size=(int(of_kind.sum()), size))
            drawn[of_kind] = posterior.mean[0] + noise @ root.T
        mean, covariance = self.coordinates
        found = np.cov(drawn.T, bias=True).reshape(size, size) + SURE * np.eye(size)
        wanted = np.linalg.cholesky(covariance[0] + SURE * np.eye(size))
        scaled = np.linalg.solve(np.linalg.cholesky(found), (drawn - drawn.mean(0)).T)
        return mean[0] + (wanted @ scaled).T

    def head(self, num_contexts: int = NUM_CONTEXTS) -> tuple[np.ndarray, SharedContext]:
        """The head of a reward model for the one person, and the family that reads it.

        Each context is what her utilities may be, as far as is known; see `draws`. Contexts are
        shared by all responses, so P(a ≻ b) is that of the model without ties.

        Returns:
            Weights of shape `(2 num_contexts, hidden_size)`, on the states of the checkpoint.

        Raises:
            UserError: The people were not fitted to a checkpoint's states.
        """
        texts, family = _reading_texts(self.model), SharedContext(num_contexts=num_contexts)
        if texts.reader.name == WORDS:
            raise UserError(
                "these people were fitted to words; rewards need people who were fitted to the "
                "states of a reward model (vectors)."
            )
        weights = texts.mean + self.draws(num_contexts) @ texts.directions.T
        contexts = texts.axes.turn.astype(np.float64) @ weights.T
        return np.asarray(family.encode(contexts)).T, family

    @property
    def checkpoint(self) -> str:
        """The reward model whose states `head` is on."""
        return _reading_texts(self.model).reader.name

    def selected(self, people: np.ndarray) -> "Person":
        """Some, by their numbers or where an array is true."""
        return replace(
            self,
            people=tuple(self.people[number] for number in np.arange(len(self.people))[people]),
            posteriors=[one.selected(people) for one in self.posteriors],
            kind_probs=self.kind_probs[people],
            log_evidence=self.log_evidence[people],
        )

    def __repr__(self) -> str:
        who = repr(self.people[0]) if len(self.people) == 1 else f"{len(self.people)} people"
        return f"Person({who}, {len(self.model.items)} items)"


def second_moments(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """E[zzᵀ] of z = (1, coordinates) of each person, shape `(V, 1 + r, 1 + r)`."""
    z = np.concatenate([np.ones((len(mean), 1)), mean], axis=1)
    moments = z[:, :, None] * z[:, None]
    moments[:, 1:, 1:] += covariance
    return moments


def shared_out(moments: np.ndarray) -> np.ndarray:
    """Share of the variance of verdicts that lies between people, from `verdict_moments`."""
    mean, square_of_expected, square = moments
    total = square - mean**2
    between = square_of_expected - mean**2
    return np.divide(between, total, out=np.zeros_like(total), where=total > 0)


def joined(parts: Sequence[Person]) -> Person:
    """People of one model one after the other."""
    first = parts[0]
    return replace(
        first,
        people=tuple(name for one in parts for name in one.people),
        posteriors=[
            Posterior.joined([one.posteriors[kind] for one in parts])
            for kind in range(len(first.posteriors))
        ],
        kind_probs=np.concatenate([one.kind_probs for one in parts]),
        log_evidence=np.concatenate([one.log_evidence for one in parts]),
    )


def _reading_texts(model: People) -> TextWeights:
    if model.texts is None:
        raise UserError(
            "these people were fitted to a list of items, so nothing is known of other texts; fit "
            "them to texts (vectors)."
        )
    return model.texts
