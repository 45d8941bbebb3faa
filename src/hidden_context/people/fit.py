"""`fit_people`: a distribution over people, from comparisons of which it is known whose.

Person v's utility of item x is m_x + L_x · f_v with f_v ~ N(0, I_r), or a mixture of a few normals
(clusters), plus logistic noise at each comparison; ties end at a threshold of her own, from a few
values whose shares among people are learned. Of texts m and L are linear in frozen vectors. Fitted
by expectation–maximisation: what is not known of a person by expectation propagation (`inference`),
then the largest expected log-likelihood over m and L by L-BFGS (`expected`). Between the two, L is
rescaled so that f has the covariance that it was assumed to have (parameter expansion: Liu, Rubin
and Wu 1998), without which variances of people rise slowly.
"""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hidden_context.audits.vectors import Axes, find_axes
from hidden_context.errors import UserError
from hidden_context.items.votes import comparisons_of
from hidden_context.people.ballots import Ballots, read_ballots
from hidden_context.people.expected import Design, item_covariance, most_likely
from hidden_context.people.people import Clusters, People, Person
from hidden_context.people.text_weights import Reader, TextWeights, reader_of
from hidden_context.progress import progress_bar

logger = logging.getLogger(__name__)

THRESHOLDS = (0.02, 0.1, 0.25, 0.5, 0.9, 1.5, 2.5, 4.0)
"""Of ties, in units of the noise, each for a share of people. At .02 a person splits an even pair
in 1 % of the cases, at 4 she calls it a tie in 96 %."""
DIRECTIONS = (1, 2, 4, 8, 16)
"""Numbers of directions that are tried."""
CLUSTERS = (1, 2, 4)
"""Numbers of clusters that are tried."""
RIDGES = (0.3, 3.0, 30.0, 300.0)
"""Of the weights of texts' vectors, which are 1 long on average; see `Design`."""
TOLERANCE = 1e-6
"""Gain of a round, in nats per vote, at which the rounds end."""
ROUGH = 3e-5
"""The same where structures are compared."""
ROUGHLY: dict[str, Any] = {"tolerance": 1e-4, "num_nodes": 12}
"""Expectation propagation within a round, which starts where the one before ended."""
ENOUGH = 2
"""Larger structures in a row that are no better, after which none is tried."""
MOST_ROUNDS = 100
HELD_OUT = 0.2
"""Share of people by whom the structure is chosen."""
PROMPTS_HELD_OUT = 1 / 3
"""Share of prompts, where there are vectors of texts and `FEWEST_PROMPTS`."""
FEWEST_PROMPTS = 6
LEAST_SPREAD = 1e-4
"""Variance of a cluster in any direction, of 1 over all people; at 0 rounds would not end."""


@dataclass(frozen=True, eq=False)
class Source:
    """Comparisons by person, and where they are of texts, the texts' vectors."""

    ballots: Ballots
    reader: Reader | None = None
    axes: Axes | None = None
    vectors: np.ndarray | None = None
    """Shape `(items, d)`."""

    @classmethod
    def read(
        cls, votes: Any, vectors: str | Path | None, items: Sequence[Hashable] | None = None
    ) -> "Source":
        """Of items, or of texts; see `fit_people`."""
        if isinstance(votes, Source):
            return votes
        if vectors is None:
            return cls(votes if isinstance(votes, Ballots) else read_ballots(votes, items=items))
        reader = reader_of(vectors)
        ballots = read_ballots(reader.prepared(comparisons_of(votes)[0]), reads=reader.reads)
        assert ballots.texts is not None
        states = reader.states(ballots.texts)
        seen = ballots.weight > 0
        axes = find_axes(states, ballots.first[seen], ballots.second[seen])
        return cls(ballots, reader, axes, axes(states).astype(np.float64))

    def design(self, ridge: float) -> Design:
        """Of items: ridge 1 for the directions alone."""
        if self.vectors is None:
            return Design()
        return Design(torch.from_numpy(self.vectors), ridge, ridge)


def fit_people(
    votes: Any,
    *,
    vectors: str | Path | None = None,
    num_directions: int | None = None,
    num_clusters: int | None = None,
    ridge: float | None = None,
    items: Sequence[Hashable] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> People:
    """Fit a distribution over people.

    What is not given is chosen by how well half of the comparisons of held-out people are predicted
    given their other half (where there are vectors and enough prompts, those of held-out prompts
    given the others): the least that predicts as well as the best does, within one standard error
    of the difference, over people. The tables are `People.held_out` and `held_out_clusters`.

    Args:
        votes: `Ballots`, or what `read_ballots` reads: comparisons with annotators.
        vectors: None if each response is an item with utilities of its own. Else utilities are
            linear in vectors of texts, so that those of new texts are known too: `words` for hashed
            counts of words, or a reward model (a checkpoint or its name on the hub), whose head
            reads them.
        num_directions: r, in how many directions people may differ: 0, or one of `DIRECTIONS`.
        num_clusters: C, of how many normals the distribution over people is a mixture.
        ridge: Of the weights of vectors: one of `RIDGES`.
        items: What items are called, if not only those that are compared.
        seed: Of the start, and of who and what is held out.
        progress: Show how far it is.

    Raises:
        UserError: The votes cannot be read, or there are too few people or items.
    """
    source = Source.read(votes, vectors, items)
    number, width = len(source.ballots.items), _most_directions(source)
    if len(source.ballots) < 2 or number < 2:
        raise UserError(
            f"{len(source.ballots)} people compared {number} items; a distribution over people "
            "takes two or more of both."
        )
    if num_directions is not None and not 0 <= num_directions <= width:
        raise UserError(
            f"num_directions is {num_directions}; {number} items have 0 to {width}."
            if source.vectors is None
            else f"num_directions is {num_directions}; these vectors of texts have 0 to {width}."
        )
    if num_clusters is not None and not 1 <= num_clusters <= len(source.ballots):
        raise UserError(f"num_clusters is {num_clusters}; give 1 to {len(source.ballots)}.")
    split = partial(_Split.of, source, seed, progress)
    if source.vectors is not None and ridge is None:
        ridge = split().best(RIDGES, lambda value: {"ridge": value, "num_directions": 0})
    chosen: dict[str, Any] = {"ridge": 1.0 if ridge is None else ridge}
    held_out: dict[str, Any] = {}
    losses: dict[Any, np.ndarray] = {}
    if num_directions is None:
        tried = sorted({0, *(min(each, width) for each in DIRECTIONS)})
        losses = split().losses(tried, lambda r: {**chosen, "num_directions": r})
        num_directions, held_out["held_out"] = split().fewest(losses)
    chosen["num_directions"] = num_directions
    if num_clusters is None:
        num_clusters = 1
        if num_directions and held_out:  # whoever gives the directions wants no choice made
            losses = split().losses(
                CLUSTERS, lambda c: {**chosen, "num_clusters": c}, {1: losses[num_directions]}
            )
            num_clusters, held_out["held_out_clusters"] = split().fewest(losses)
    return replace(fit(source, **chosen, num_clusters=num_clusters, seed=seed), **held_out)


def _most_directions(source: Source) -> int:
    if source.vectors is None:
        return len(source.ballots.items) - 1
    return source.vectors.shape[1]


@dataclass(frozen=True, eq=False)
class _Split:
    """Some people to fit to, and of others what is given and what is asked."""

    rest: Source
    held: Ballots
    given: Ballots
    votes: np.ndarray
    """That are asked of each held-out person, shape `(V,)`."""
    seed: int
    progress: bool = False

    @classmethod
    def of(cls, source: Source, seed: int, progress: bool = False) -> "_Split":
        ballots, rng = source.ballots, np.random.default_rng(seed)
        is_held = np.zeros(len(ballots), bool)
        count = max(1, round(HELD_OUT * len(ballots)))
        is_held[rng.permutation(len(ballots))[:count]] = True
        rest, held = ballots.selected(~is_held), ballots.selected(is_held)
        asked = rng.random(held.weight.shape) >= 0.5
        prompts = np.arange(0 if ballots.prompts is None else ballots.prompts.max() + 1)
        if source.vectors is not None and len(prompts) >= FEWEST_PROMPTS:
            is_out = rng.permutation(prompts) < round(PROMPTS_HELD_OUT * len(prompts))
            asked = is_out[held.prompts]
            rest = rest.kept(~is_out[rest.prompts])
            rest = rest.selected((rest.weight > 0).sum(1) > 0)
        given = replace(held, weight=held.weight * ~asked)
        votes = (held.weight * asked).sum(1)
        if len(rest) < 2 or not votes.any():
            raise UserError("there are too few people to hold some out; give num_directions.")
        return cls(replace(source, ballots=rest), held, given, votes, seed, progress)

    def losses(
        self,
        values: Sequence[Any],
        settings: Callable[[Any], dict[str, Any]],
        known: Mapping[Any, np.ndarray] | None = None,
    ) -> dict[Any, np.ndarray]:
        """Nats of what is asked of each held-out person given the rest of hers, by value."""
        losses: dict[Any, np.ndarray] = dict(known or {})
        wanted = [each for each in values if each not in losses]
        what, shown = "comparing structures on held-out people, at most", self.progress
        with progress_bar(len(wanted), what, unit="fit", shown=shown, leave=False) as bar:
            for value in wanted:
                sums = [float(of.sum()) for of in losses.values()]
                if len(sums) > ENOUGH and min(sums[-ENOUGH:]) > min(sums):
                    break
                model = fit(self.rest, **settings(value), seed=self.seed, tolerance=ROUGH)
                losses[value] = model.log_evidence(self.given) - model.log_evidence(self.held)
                of_vote = losses[value].sum() / self.votes.sum()
                bar.update()
                logger.info("held-out loss %.4f with %s", of_vote, settings(value))
        return losses

    def best(self, values: Sequence[Any], settings: Callable[[Any], dict[str, Any]]) -> Any:
        """The value of least loss."""
        losses = self.losses(values, settings)
        return min(losses, key=lambda value: losses[value].sum())

    def fewest(self, losses: dict[int, np.ndarray]) -> tuple[int, dict[int, float]]:
        """The least number that is as good as the best, and the loss of each per vote."""
        per_vote = {each: float(of.sum() / self.votes.sum()) for each, of in losses.items()}
        best = losses[min(per_vote, key=lambda each: per_vote[each])]
        return min(each for each, of in losses.items() if _as_good(of - best)), per_vote


def _as_good(excess: np.ndarray) -> bool:
    """Whether people's excess losses are 0 by one standard error (Breiman and others 1984).

    Nearer to the best than by an interval: of few people, who made very different numbers of
    comparisons, an interval holds nearly everything.
    """
    error = excess.std(ddof=min(1, len(excess) - 1)) / len(excess) ** 0.5
    return bool(excess.mean() <= error)


def fit(
    source: Source,
    *,
    num_directions: int,
    num_clusters: int = 1,
    ridge: float = 1.0,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> People:
    """Fit a distribution of one structure; see `fit_people`, and `TOLERANCE`."""
    ballots, design = source.ballots, source.design(ridge)
    rng = np.random.default_rng(seed)
    width = len(ballots.items) if source.vectors is None else source.vectors.shape[1]
    thresholds = THRESHOLDS if ballots.has_ties else (0.0,)
    start = 0.5 * rng.normal(size=(width, num_directions)) / max(num_directions, 1) ** 0.5
    state = _State(design, np.zeros(width), start - start.mean(0))
    model = People(
        items=ballots.items,
        mean=design.place(state.mean),
        directions=design.place(state.directions),
        thresholds=np.array(thresholds),
        threshold_shares=np.full(len(thresholds), 1 / len(thresholds)),
        clusters=Clusters.one(num_directions),
        num_people=len(ballots),
        ridge=ridge,
    )
    chunks = [ballots.selected(numbers) for numbers in ballots.chunks()]
    model, state, people = _rounds(model, state, chunks, tolerance)
    if num_clusters > 1:
        clusters = _first_clusters(people, num_clusters, seed)
        model, state, people = _rounds(replace(model, clusters=clusters), state, chunks, tolerance)
    if source.reader is not None and source.axes is not None:
        texts = TextWeights(source.reader, source.axes, state.mean, state.directions)
        return replace(model, texts=texts)
    return replace(model, item_covariance=item_covariance(chunks, people, design.ridge))


@dataclass(frozen=True, eq=False)
class _State:
    """Weights of m and L."""

    design: Design
    mean: np.ndarray
    """Shape `(d,)`."""
    directions: np.ndarray
    """Shape `(d, r)`."""


def _rounds(
    model: People, state: _State, chunks: Sequence[Ballots], tolerance: float
) -> tuple[People, _State, list[Person]]:
    """Rounds of expectation–maximisation until nothing is gained, and what is known of all."""
    total = sum(float(chunk.weight.sum()) for chunk in chunks)
    starts: list[Person | None] = [None] * len(chunks)
    before, people = -np.inf, []
    for _ in range(MOST_ROUNDS):
        people = [
            model.infer(chunk, start, **ROUGHLY)
            for chunk, start in zip(chunks, starts, strict=True)
        ]
        reached = sum(float(one.log_evidence.sum()) for one in people) / total
        model = replace(model, log_likelihood=reached)
        if reached - before < tolerance:
            return replace(model, converged=True), state, people
        before = reached
        model, state = _maximized(model, state, chunks, people)
        starts = list(people)
    return model, state, people


def _first_clusters(people: Sequence[Person], number: int, seed: int) -> Clusters:
    """By k-means on what is expected of each person."""
    from sklearn.cluster import KMeans

    parts = [one.coordinates for one in people]
    mean, covariance = (np.concatenate(of) for of in zip(*parts, strict=True))
    found = KMeans(number, n_init=10, random_state=seed).fit(mean)
    off = mean - found.cluster_centers_[found.labels_]
    within = covariance.mean(0) + off.T @ off / len(mean)
    roots = np.tile(np.linalg.cholesky(within), (number, 1, 1))
    shares = np.bincount(found.labels_, minlength=number) / len(mean)
    return Clusters(found.cluster_centers_.astype(np.float64), roots, shares)


def _maximized(
    model: People, state: _State, chunks: Sequence[Ballots], people: Sequence[Person]
) -> tuple[People, _State]:
    """Parameters that explain what was found of all people best."""
    shares, centers, spreads = _moments(people)
    middle = shares @ centers
    off = centers - middle
    spread = np.einsum("c,crs->rs", shares, spreads + off[:, :, None] * off[:, None])
    root = np.linalg.cholesky(spread)
    unscaled = np.linalg.inv(root)
    moved = unscaled @ spreads @ unscaled.T + LEAST_SPREAD * np.eye(len(root))
    clusters = Clusters(off @ unscaled.T, np.linalg.cholesky(moved), shares)
    if len(shares) == 1:
        clusters = Clusters.one(len(root))
    mean, directions = most_likely(
        state.mean + state.directions @ middle,
        state.directions @ root,
        state.design,
        unscaled,
        middle,
        chunks,
        people,
    )
    threshold_shares = np.concatenate([one.threshold_probs for one in people]).mean(0)
    state = replace(state, mean=mean, directions=directions)
    model = replace(
        model,
        mean=state.design.place(mean),
        directions=state.design.place(directions),
        threshold_shares=threshold_shares,
        clusters=clusters,
    )
    return model, state


def _moments(people: Sequence[Person]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share, mean and covariance of the coordinates of the people of each cluster."""
    kinds = [cluster for _, cluster in people[0].model.kinds()]
    number, size = max(kinds) + 1, people[0].model.directions.shape[1]
    weight, first, second = (
        np.zeros(number),
        np.zeros((number, size)),
        np.zeros((number, size, size)),
    )
    for one in people:
        for at, (cluster, posterior) in enumerate(zip(kinds, one.posteriors, strict=True)):
            probs, mean = one.kind_probs[:, at], posterior.mean
            weight[cluster] += probs.sum()
            first[cluster] += probs @ mean
            second[cluster] += np.einsum("v,vrs->rs", probs, posterior.covariance)
            second[cluster] += (probs[:, None] * mean).T @ mean
    known = np.maximum(weight, 1e-12)[:, None]
    means = first / known
    spreads = second / known[..., None] - means[:, :, None] * means[:, None]
    return weight / weight.sum(), means, spreads
