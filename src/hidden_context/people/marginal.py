"""The likelihood of people's comparisons, people integrated out, and its largest value.

The log of what expectation propagation takes for P(comparisons of a person) has exact derivatives
without quadrature, since at its end it does not change with its factors (Seeger 2005, "Expectation
propagation for exponential families"; Rasmussen and Williams 2006, section 5.5.2). With forms
s · f of slope s, factors of precision π and shift ν, and f ~ N(f̂, Σ) given all of them, it is
α = ν − π s · f̂ by an offset, and α f̂ − π Σ s by a slope. L-BFGS (Liu and Nocedal 1989) goes up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from hidden_context.errors import UserError
from hidden_context.people.ballots import Ballots
from hidden_context.people.people import Clusters, People
from hidden_context.people.person import Person

ROUGHLY: dict[str, Any] = {"tolerance": 1e-3, "num_nodes": 12, "must_settle": False}
"""Expectation propagation on the way, which starts where that of the step before ended.

Twelve nodes err by 1e-7 nats a comparison where what people differ by in a pair has a deviation of
up to 6 units of the noise, by 1e-5 at 11 and 2e-5 at 14. What is said of people afterwards is
integrated to 1e-6."""
SETTLED = 1e-4
"""Tolerance of expectation propagation at the end of the way."""
MOST_STEPS = 300
MEMORY = 20
"""Steps that L-BFGS remembers."""
TOO_FAR = 10.0
"""Nats per vote by which a point at which no likelihood was found counts as worse."""
LOOK_AGAIN = 10
"""Steps after which kinds of people that were hardly possible are looked at again."""


@dataclass(frozen=True, eq=False)
class Design:
    """How mean and directions of items follow from weights, and what is taken for large weights."""

    vectors: np.ndarray | None = None
    """φ, shape `(items, d)`; None where each item has a weight of its own."""
    mean_ridge: float = 0.01
    """Half of it times the sum of squares of the mean's weights is taken off the log-likelihood."""
    ridge: float = 1.0
    """The same of the directions' weights, for coordinates of covariance I over people."""

    def place(self, weights: np.ndarray) -> np.ndarray:
        """Weights, `(d,)` or `(d, r)`, to items; utilities without vectors are centred."""
        return weights - weights.mean(0) if self.vectors is None else self.vectors @ weights

    def back(self, gradient: np.ndarray) -> np.ndarray:
        """A gradient by what `place` returns, to one by the weights."""
        return gradient - gradient.mean(0) if self.vectors is None else self.vectors.T @ gradient


@dataclass(frozen=True, eq=False)
class State:
    """What is common to people, free to move: no shares that sum to 1, no covariance I."""

    mean: np.ndarray
    """Weights, shape `(d,)`."""
    directions: np.ndarray
    """Weights, shape `(d, r)`."""
    thresholds: np.ndarray
    """Logits of the shares of thresholds, shape `(G,)`."""
    centers: np.ndarray
    """Shape `(C, r)`."""
    roots: np.ndarray
    """Lower triangles, shape `(C, r, r)`."""
    shares: np.ndarray
    """Logits of the shares of clusters, shape `(C,)`."""

    @classmethod
    def start(cls, width: int, num_directions: int, num_thresholds: int, seed: int) -> "State":
        """Small directions at random, and one cluster."""
        drawn = np.random.default_rng(seed).normal(size=(width, num_directions))
        return cls(
            np.zeros(width),
            0.5 * (drawn - drawn.mean(0)) / max(num_directions, 1) ** 0.5,
            np.zeros(num_thresholds),
            np.zeros((1, num_directions)),
            np.eye(num_directions)[None],
            np.zeros(1),
        )

    def clustered(self, clusters: Clusters) -> "State":
        """With these clusters."""
        return replace(
            self, centers=clusters.centers, roots=clusters.roots, shares=np.log(clusters.shares)
        )

    @property
    def free(self) -> list[str]:
        """Names of what moves; a single cluster is N(0, I)."""
        names = ["mean", "directions", "thresholds"]
        return names if len(self.shares) == 1 else [*names, "centers", "roots", "shares"]

    @property
    def clusters(self) -> Clusters:
        """Where people lie."""
        return Clusters(self.centers, self.roots, softmax(self.shares))

    def packed(self) -> np.ndarray:
        """What moves, in one array."""
        return np.concatenate([getattr(self, name).ravel() for name in self.free])

    def unpacked(self, packed: np.ndarray) -> "State":
        """From such an array."""
        parts, at = {}, 0
        for name in self.free:
            shape = getattr(self, name).shape
            size = int(np.prod(shape))
            parts[name] = packed[at : at + size].reshape(shape)
            at += size
        return replace(self, **parts)

    def standard(self) -> "State":
        """The same people, whose coordinates have mean 0 and covariance I over all of them."""
        if len(self.shares) == 1:
            return self
        middle, spread = middle_and_spread(self.clusters)
        root = np.linalg.cholesky(spread)
        unscaled = np.linalg.inv(root)
        turned = np.stack([_lower_root(unscaled @ of @ of.T @ unscaled.T) for of in self.roots])
        return replace(
            self,
            mean=self.mean + self.directions @ middle,
            directions=self.directions @ root,
            centers=(self.centers - middle) @ unscaled.T,
            roots=turned,
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Shares that sum to 1."""
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def _lower_root(covariance: np.ndarray) -> np.ndarray:
    """Of a covariance that may be 0 in some directions (a latent class is one in all)."""
    values, turn = np.linalg.eigh(covariance)
    return np.linalg.qr((turn * np.sqrt(np.maximum(values, 0))).T)[1].T


def middle_and_spread(clusters: Clusters) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all people's coordinates."""
    middle = clusters.shares @ clusters.centers
    off = clusters.centers - middle
    within = clusters.roots @ clusters.roots.transpose(0, 2, 1)
    return middle, np.einsum("c,crs->rs", clusters.shares, within + off[:, :, None] * off[:, None])


@dataclass(eq=False)
class Climb:
    """The function that is climbed, and where expectation propagation begins at each step."""

    model: People
    design: Design
    chunks: Sequence[Ballots]
    state: State
    incidence: list[csr_matrix] = field(init=False)
    starts: list[Person | None] = field(init=False)
    latest: list[Person] = field(init=False)
    steps: int = 0
    value: float = 0.0
    """At the latest point where there was one."""
    accepted: float = 0.0
    """At the point from which a step is taken."""

    def __post_init__(self) -> None:
        self.incidence = [_incidence(chunk, len(self.model.items)) for chunk in self.chunks]
        self.starts = [None for _ in self.chunks]
        self.latest = []
        self.total = sum(float(chunk.weight.sum()) for chunk in self.chunks)

    def __call__(self, packed: np.ndarray) -> tuple[float, np.ndarray]:
        """Minus the log-likelihood with its ridges per vote, and its gradient."""
        state = self.state.unpacked(packed)
        self.latest = self.infer(state, **ROUGHLY)
        evidence = np.concatenate([one.log_evidence for one in self.latest])
        if not (evidence <= 0).all():  # no probability: utilities are so large that none was found
            return self.accepted + TOO_FAR, np.zeros(len(packed))
        gradient = {name: np.zeros(getattr(state, name).shape) for name in vars(state)}
        of_items = np.zeros((len(self.model.items), 1 + state.directions.shape[1]))
        for chunk, person, incidence in zip(self.chunks, self.latest, self.incidence, strict=True):
            _add_gradient(chunk, person, incidence, of_items, gradient)
        gradient["mean"] = self.design.back(of_items[:, 0])
        gradient["directions"] = self.design.back(of_items[:, 1:])
        value = float(evidence.sum()) - _ridges(state, self.design, gradient)
        found = np.concatenate([gradient[name].ravel() for name in state.free])
        self.value = -value / self.total
        return self.value, -found / self.total

    def infer(self, state: State, **how: Any) -> list[Person]:
        """What is known of all people."""
        model = placed(self.model, self.design, state)
        return [
            model.infer(chunk, start, **how)
            for chunk, start in zip(self.chunks, self.starts, strict=True)
        ]

    def stepped(self, _: np.ndarray) -> None:
        """Start from here, with all kinds of people now and then."""
        self.steps += 1
        self.accepted, self.starts[:] = self.value, self.latest
        if self.steps % LOOK_AGAIN == 0:
            self.starts = [None for _ in self.chunks]


def placed(model: People, design: Design, state: State) -> People:
    """People as a state has them."""
    return replace(
        model,
        mean=design.place(state.mean),
        directions=design.place(state.directions),
        threshold_shares=softmax(state.thresholds),
        clusters=state.clusters,
    )


def most_likely(
    model: People, state: State, design: Design, chunks: Sequence[Ballots], tolerance: float
) -> tuple[People, State, list[Person]]:
    """The state of largest likelihood near a state, and what is known of the people there.

    Raises:
        UserError: There is none that is finite.
    """
    climb = Climb(model, design, chunks, state)
    found = minimize(
        climb,
        state.packed(),
        jac=True,
        method="L-BFGS-B",
        callback=climb.stepped,
        options={"maxcor": MEMORY, "maxiter": MOST_STEPS, "ftol": tolerance, "gtol": 1e-7},
    )
    state = state.unpacked(found.x).standard()
    people = climb.infer(state, **{**ROUGHLY, "tolerance": SETTLED})
    reached = sum(float(one.log_evidence.sum()) for one in people) / climb.total
    if not np.isfinite(reached):
        raise UserError(
            "no distribution over people was found: likelihoods are no numbers; look for "
            "comparisons of huge weight, or give fewer directions."
        )
    model = replace(placed(model, design, state), log_likelihood=reached, converged=found.success)
    return model, state, people


def _incidence(ballots: Ballots, items: int) -> csr_matrix:
    """1 where an item is first in a comparison, −1 where it is second, `(items, V · N)`."""
    seen = np.flatnonzero(ballots.weight.ravel() > 0)
    numbers = [of.ravel()[seen] for of in (ballots.first, ballots.second)]
    signs = np.repeat([1.0, -1.0], len(seen))
    rows = np.concatenate(numbers), np.concatenate([seen, seen])
    return csr_matrix((signs, rows), shape=(items, ballots.weight.size))


def _add_gradient(
    ballots: Ballots,
    person: Person,
    incidence: csr_matrix,
    of_items: np.ndarray,
    gradient: dict[str, np.ndarray],
) -> None:
    """Add the derivatives of the log-evidence of some people by all that they share."""
    model, posterior = person.model, person.posterior
    directions = model.directions[ballots.first] - model.directions[ballots.second]
    by_form = np.zeros((*ballots.first.shape, 1 + directions.shape[2]))
    for kind, cluster in enumerate(model.kind_clusters.tolist()):
        who = np.flatnonzero(person.kind_probs[:, kind] > 0)
        if not len(who):
            continue
        one, root = posterior[who, kind], model.clusters.roots[cluster]
        slopes = directions[who] @ root
        off = one.shift - one.precision * (slopes @ one.mean[..., None])[..., 0]
        across = off[..., None] * one.mean[:, None]
        across -= one.precision[..., None] * (slopes @ one.covariance)
        probs = person.kind_probs[who, kind, None]
        off, across = probs * off, probs[..., None] * across
        by_form[who, :, 0] += off
        by_form[who, :, 1:] += across @ root.T
        by_form[who, :, 1:] += off[..., None] * model.clusters.centers[cluster]
        gradient["centers"][cluster] += np.einsum("vn,vnr->r", off, directions[who])
        gradient["roots"][cluster] += np.einsum("vnr,vns->rs", directions[who], across)
    gradient["roots"] *= np.tri(directions.shape[2])
    of_items += incidence @ by_form.reshape(-1, by_form.shape[2])
    for name, found, shares in (
        ("thresholds", person.threshold_probs, model.threshold_shares),
        ("shares", person.cluster_probs, model.clusters.shares),
    ):
        gradient[name] += found.sum(0) - len(found) * shares


def _ridges(state: State, design: Design, gradient: dict[str, np.ndarray]) -> float:
    """What the ridges take off, here and, by their derivatives, from the gradient.

    Weights count as they are where coordinates have mean 0 and covariance I over all people, so
    that no other origin or unit of the coordinates makes them smaller.
    """
    clusters = state.clusters
    middle, spread = middle_and_spread(clusters)
    mean = state.mean + state.directions @ middle
    size = state.directions.T @ state.directions
    pull = design.mean_ridge * mean
    gradient["mean"] -= pull
    gradient["directions"] -= np.outer(pull, middle) + design.ridge * state.directions @ spread
    if len(clusters) > 1:
        off, across = clusters.centers - middle, state.directions.T @ pull
        gradient["centers"] -= clusters.shares[:, None] * (across + design.ridge * off @ size)
        turned = clusters.shares[:, None, None] * (size @ clusters.roots)
        gradient["roots"] -= design.ridge * turned * np.tri(len(size))
        within = (clusters.roots * (size @ clusters.roots)).sum((1, 2))
        each = design.ridge * (within + (off * (off @ size)).sum(1)) / 2 + off @ across
        gradient["shares"] -= clusters.shares * (each - clusters.shares @ each)
    of_directions = design.ridge * float((size * spread).sum())
    return (design.mean_ridge * float((mean**2).sum()) + of_directions) / 2
