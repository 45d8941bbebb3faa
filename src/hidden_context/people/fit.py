"""The distribution over people of one structure that is likeliest, from comparisons of theirs.

Person v's utility of item x is m_x + L_x · f_v with f_v ~ N(0, I_r), or a mixture of a few normals
(clusters), plus logistic noise at each comparison; ties end at a threshold of her own, from a few
values whose shares among people are learned. Of texts m and L are linear in frozen vectors. What is
not known of a person is found by expectation propagation (`inference`), what people share by the
largest likelihood, people integrated out, with a normal prior on m and L (`marginal`).

The prior's variance of the items' means is learned from the items (empirical Bayes: MacKay 1992,
"Bayesian interpolation"), that of their directions is given or chosen on held-out people: learned
in the same way it goes on shrinking, since the information on directions takes people's coordinates
for better known than they are. What is then not known of each item (`item_uncertainty`) is a part
of every probability, and of what is inferred of a person. Weights of vectors of texts have one
ridge, and are taken as known.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hidden_context.people.ballots import Ballots
from hidden_context.people.item_uncertainty import item_covariance
from hidden_context.people.marginal import Design, State, most_likely
from hidden_context.people.people import Clusters, People
from hidden_context.people.person import Person
from hidden_context.people.source import Source
from hidden_context.people.text_weights import TextWeights

THRESHOLDS = (0.02, 0.1, 0.25, 0.5, 0.9, 1.5, 2.5, 4.0)
"""Of ties, in units of the noise, each for a share of people. At .02 a person splits an even pair
in 1 % of the cases, at 4 she calls it a tie in 96 %."""
TOLERANCE = 1e-7
"""Gain of a step, in nats per vote, at which steps end."""
ROUGH = 3e-6
"""The same where structures are compared, and while the prior is learned."""
MOST_UPDATES = 8
"""Of the prior's variances."""
SETTLED = 0.2
"""Share by which an update moves them, below which none follows."""
LEAST_VARIANCE = 1e-4
"""Of the prior, in squared units of the noise."""
LEAST_SHARE = 1e-12
"""Of people, from which a fit starts again."""


def fit(
    source: Source,
    *,
    num_directions: int,
    num_clusters: int = 1,
    ridge: float = 1.0,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> People:
    """Fit a distribution of one structure.

    Args:
        source: Comparisons by person.
        num_directions: r.
        num_clusters: Of how many normals it is a mixture.
        ridge: Of the directions: 1 over their variance before anything is known. Of vectors, of the
            weights of the mean too.
        seed: Of the start.
        tolerance: See `TOLERANCE`.
    """
    model, state, chunks = started(source, num_directions, seed)
    if source.vectors is None:
        state, design = _with_prior_of_means(model, state, Design(None, ridge=ridge), chunks)
    else:
        design = Design(source.vectors, ridge, ridge)
    if num_clusters > 1:
        _, state, people = most_likely(model, state, design, chunks, ROUGH)
        state = state.clustered(_first_clusters(people, num_clusters, seed))
    model, state, people = most_likely(model, state, design, chunks, tolerance)
    model = replace(model, ridge=design.ridge)
    if source.reader is not None and source.axes is not None:
        texts = TextWeights(source.reader, source.axes, state.mean, state.directions)
        return replace(model, texts=texts)
    of_items = item_covariance(chunks, people, design.mean_ridge, design.ridge)
    return replace(model, item_covariance=of_items)


def fit_again(people: People, source: Source) -> People:
    """Fit to other answers, from people of the same structure and with their priors."""
    weights = people if people.texts is None else people.texts
    clusters, shares = people.clusters, np.maximum(people.threshold_shares, LEAST_SHARE)
    state = State(
        weights.mean,
        weights.directions,
        np.log(shares),
        clusters.centers,
        clusters.roots,
        np.log(np.maximum(clusters.shares, LEAST_SHARE)),
    )
    ridge, loose = people.ridge, people.item_covariance
    mean_ridge = ridge if loose is None else _prior_of(people.mean, loose)
    design = Design(source.vectors, mean_ridge, ridge)
    chunks = [source.ballots.selected(numbers) for numbers in source.ballots.chunks()]
    taken_as_known = replace(people, item_covariance=None)
    model, _, known = most_likely(taken_as_known, state, design, chunks, ROUGH)
    if loose is not None:
        loose = item_covariance(chunks, known, mean_ridge, ridge)
    return replace(model, item_covariance=loose)


def _prior_of(mean: np.ndarray, of_items: np.ndarray) -> float:
    """1 over the variance of means of items, found and with what is not known of them."""
    variance = float((mean**2 + of_items[:, 0, 0]).mean())
    return 1 / max(variance, LEAST_VARIANCE)


def started(source: Source, num_directions: int, seed: int) -> tuple[People, State, list[Ballots]]:
    """People of whom nothing is known yet, and the ballots in parts of like size."""
    ballots = source.ballots
    thresholds = THRESHOLDS if ballots.has_ties else (0.0,)
    model = People(
        items=ballots.items,
        mean=np.zeros(len(ballots.items)),
        directions=np.zeros((len(ballots.items), num_directions)),
        thresholds=np.array(thresholds),
        threshold_shares=np.full(len(thresholds), 1 / len(thresholds)),
        clusters=Clusters.one(num_directions),
        num_people=len(ballots),
    )
    chunks = [ballots.selected(numbers) for numbers in ballots.chunks()]
    return model, State.start(source.width, num_directions, len(thresholds), seed), chunks


def _with_prior_of_means(
    model: People, state: State, design: Design, chunks: Sequence[Ballots]
) -> tuple[State, Design]:
    """The prior of means whose variance is that of the means found with it."""
    for _ in range(MOST_UPDATES):
        _, state, people = most_likely(model, state, design, chunks, ROUGH)
        of_items = item_covariance(chunks, people, design.mean_ridge, design.ridge)
        before, after = design.mean_ridge, _prior_of(state.mean, of_items)
        design = replace(design, mean_ridge=after)
        if abs(np.log(after / before)) < SETTLED:
            break
    return state, design


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
