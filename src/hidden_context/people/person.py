"""`Person`: what comparisons tell of each of some people."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from hidden_context.comparisons.texts import Text
from hidden_context.distributions.mixture import MixtureUtility
from hidden_context.distributions.normal import NormalUtility
from hidden_context.distributions.shared_context import SharedContext
from hidden_context.distributions.utility import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.people.inference import Posterior, outcome_probabilities, verdict_moments
from hidden_context.people.text_weights import WORDS, TextWeights

if TYPE_CHECKING:
    from hidden_context.people.people import People

SURE = 1e-12
"""Least variance of a utility or a coordinate: deviations are positive where nothing varies."""
NUM_CONTEXTS = 256
"""Of a head: a tenth of people is 26."""
_NODES, _WEIGHTS = hermegauss(10)
NODES_OF_ITEMS = _NODES, _WEIGHTS / _WEIGHTS.sum()
"""Of quadrature over what is not known of two items, in standard deviations."""


@dataclass(frozen=True, eq=False, repr=False)
class Person:
    """What is known of each of V people; often one."""

    model: "People"
    people: tuple[Hashable, ...]
    posterior: Posterior
    """Of each kind: a threshold of ties with a cluster (`People.kind_thresholds`,
    `People.kind_clusters`). Coordinates are those within the cluster, N(0, I) before anything is
    known."""
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
    def of_kinds(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean, `(V, kinds, r)`, and covariance, `(V, kinds, r, r)`, of the coordinates."""
        clusters, at = self.model.clusters, self.model.kind_clusters
        roots = clusters.roots[at]
        mean = clusters.centers[at] + (roots @ self.posterior.mean[..., None])[..., 0]
        return mean, roots @ self.posterior.covariance @ roots.transpose(0, 2, 1)

    @property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean, shape `(V, r)`, and covariance, `(V, r, r)`, of the coordinates of each."""
        means, covariances = self.of_kinds
        mean = (self.kind_probs[..., None] * means).sum(1)
        off = means - mean[:, None]
        spread = covariances + off[..., :, None] * off[..., None, :]
        return mean, (self.kind_probs[..., None, None] * spread).sum(1)

    @property
    def item_variance(self) -> np.ndarray:
        """Of each item's utility to each person, by what is not known of the item, `(V, items)`.

        However well the person is known. 0 of texts, whose weights are taken as known.
        """
        of_items = self.model.item_covariance
        if of_items is None:
            return np.zeros((len(self.people), len(self.model.mean)))
        return np.einsum("iab,vab->vi", of_items, second_moments(*self.coordinates))

    @property
    def utility(self) -> UtilityDistribution:
        """Of each item to each person, shape `(V, items)`: its spread is what is not known of her.

        And of the item, to all people. The mean and variance within a cluster are those of the
        mixture over thresholds.
        """
        return self._utility(self.model.mean, self.model.directions, self.item_variance)

    def utility_of(self, texts: Sequence[Text]) -> UtilityDistribution:
        """Of texts, seen before or not, as the model reads them, shape `(V, texts)`.

        Raises:
            UserError: The people were fitted to a list of items.
        """
        return self._utility(*reading_texts(self.model)(texts))

    def _utility(
        self, mean: np.ndarray, directions: np.ndarray, extra: float | np.ndarray = 0.0
    ) -> UtilityDistribution:
        of_mean, of_covariance = self.of_kinds
        size = len(self.people), len(mean)
        shape = len(self.model.thresholds), len(self.model.clusters), *size
        means = (mean + of_mean @ directions.T).swapaxes(0, 1).reshape(shape)
        variances = ((directions @ of_covariance) * directions).sum(-1)
        variances = variances.swapaxes(0, 1).reshape(shape)
        of_clusters = self.cluster_probs
        probs = (self._by_kind / np.maximum(of_clusters[:, None], 1e-300)).transpose(1, 2, 0)
        locations = (probs[..., None] * means).sum(0)
        variance = (probs[..., None] * (variances + (means - locations) ** 2)).sum(0)
        scales = np.sqrt(np.maximum(variance + extra, SURE))
        if len(self.model.clusters) == 1:
            return NormalUtility(locations[0], scales[0], "probit")
        log_weights = np.log(np.maximum(of_clusters, 1e-300))[:, None]
        log_weights = np.broadcast_to(log_weights, (*size, len(self.model.clusters)))
        return MixtureUtility(
            log_weights, np.moveaxis(locations, 0, -1), np.moveaxis(scales, 0, -1)
        )

    def prob_matrix(self) -> np.ndarray:
        """P(row ≻ column) by each person, ties shared evenly, shape `(V, items, items)`."""
        number = len(self.model.items)
        return self.verdicts(*_all_pairs(number))[0].reshape(len(self.people), number, number)

    def disagreement(self) -> np.ndarray:
        """Share of a verdict's variance that would go if more were known of the person.

        See `People.disagreement`; shape `(V, items, items)`.
        """
        number = len(self.model.items)
        size = (len(self.people), number, number)
        between, within = self.variances(*_all_pairs(number)).reshape(2, *size)
        total = between + within
        return np.divide(between, total, out=np.zeros_like(total), where=total > 0)

    def verdicts(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Moments of verdicts on pairs of items by their numbers, shape `(V, Q)` or `(1, Q)`.

        See `verdict_moments`; shape `(3, V, Q)`.
        """
        moments = np.zeros((3, len(self.people), first.shape[1]))
        for at, (mean, variance, threshold) in enumerate(self._forms(first, second)):
            moments += self.kind_probs[:, at, None] * verdict_moments(mean, variance, threshold)
        return moments

    def variances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Variances of verdicts between people like her, and within one, `(2, V, Q)`.

        Both are means over what the items may be. That an item is not known, to all people alike
        (`shared_variance`), makes nobody differ from anybody, and is in neither.
        """
        _, square_of_expected, square = self.verdicts(first, second)
        between = square_of_expected - self._squared_mean_verdict(first, second)
        return np.stack([between.clip(0), square - square_of_expected])

    @property
    def shared_variance(self) -> np.ndarray:
        """Of each item's utility, the part of `item_variance` that is alike for all people.

        What is not known of an item's directions moves people apart; it is in this by her expected
        coordinates alone. Shape `(V, items)`.
        """
        of_items = self.model.item_covariance
        if of_items is None:
            return np.zeros((len(self.people), len(self.model.mean)))
        mean = self.coordinates[0]
        known = np.concatenate([np.ones((len(mean), 1)), mean], axis=1)
        return np.einsum("iab,va,vb->vi", of_items, known, known)

    def _squared_mean_verdict(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """E over items of (E over people of a verdict)², shape `(V, Q)`."""
        shared = _of_pairs(self.shared_variance, first, second)
        if not shared.any():
            return self.verdicts(first, second)[0] ** 2
        squared = np.zeros(shared.shape)
        for node, weight in zip(*NODES_OF_ITEMS, strict=True):
            expected = np.zeros(shared.shape)
            for at, (mean, variance, threshold) in enumerate(self._forms(first, second)):
                moved, rest = mean + np.sqrt(shared) * node, (variance - shared).clip(0)
                of_kind = verdict_moments(moved, rest, threshold)[0]
                expected += self.kind_probs[:, at, None] * of_kind
            squared += weight * expected**2
        return squared

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
        """Mean and variance of differences of utility, by kind, with the threshold of each.

        In the variance is what is not known of the person and of both items.
        """
        extra = _of_pairs(self.item_variance, first, second)
        first, second = (np.broadcast_to(of, extra.shape) for of in (first, second))
        offset = self.model.mean[first] - self.model.mean[second]
        slopes = self.model.directions[first] - self.model.directions[second]
        means, covariances = self.of_kinds
        for at, threshold in enumerate(self.model.kind_thresholds.tolist()):
            mean = (slopes @ means[:, at, :, None])[..., 0]
            variance = ((slopes @ covariances[:, at]) * slopes).sum(-1)
            yield offset + mean, variance + extra, threshold

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
        means, covariances = self.of_kinds
        for kind in np.unique(kinds):
            of_kind = kinds == kind
            root = np.linalg.cholesky(covariances[0, kind] + SURE * np.eye(size))
            noise = rng.normal(size=(int(of_kind.sum()), size))
            drawn[of_kind] = means[0, kind] + noise @ root.T
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
        texts, family = reading_texts(self.model), SharedContext(num_contexts=num_contexts)
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
        return reading_texts(self.model).reader.name

    def selected(self, people: np.ndarray) -> "Person":
        """Some, by their numbers or where an array is true."""
        return replace(
            self,
            people=tuple(self.people[number] for number in np.arange(len(self.people))[people]),
            posterior=self.posterior[people],
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


def _all_pairs(number: int) -> np.ndarray:
    """First and second of all pairs of items, `(2, 1, items²)`."""
    return np.indices((number, number)).reshape(2, 1, -1)


def _of_pairs(of_items: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of differences, from variances of items `(V, items)`; pairs as in `verdicts`, `(V, Q)`."""
    rows = np.arange(len(of_items))[:, None]
    return np.where(first == second, 0.0, of_items[rows, first] + of_items[rows, second])


def joined(parts: Sequence[Person]) -> Person:
    """People of one model one after the other."""
    first = parts[0]
    return replace(
        first,
        people=tuple(name for one in parts for name in one.people),
        posterior=Posterior.joined([one.posterior for one in parts]),
        kind_probs=np.concatenate([one.kind_probs for one in parts]),
        log_evidence=np.concatenate([one.log_evidence for one in parts]),
    )


def reading_texts(model: "People") -> TextWeights:
    """What makes utilities of texts.

    Raises:
        UserError: The people were fitted to a list of items.
    """
    if model.texts is None:
        raise UserError(
            "these people were fitted to a list of items, so nothing is known of other texts; fit "
            "them to texts (vectors)."
        )
    return model.texts
