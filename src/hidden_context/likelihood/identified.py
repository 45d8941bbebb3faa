"""Whether comparisons determine the correlation of the two utilities that they compare.

`mean_and_variance` compares i and j by z = (μᵢ - μⱼ)/s, s² = σᵢ² + σⱼ² - 2ρσᵢσⱼ. Where each text
has its own μ and σ, two utilities of a pair can make up for any ρ; texts that are compared with
many others cannot (docs/decisions/0011-correlation.md).
"""

from typing import TYPE_CHECKING

import numpy as np

from hidden_context.errors import UserError

if TYPE_CHECKING:
    import networkx

MOST_ITEMS = 60
"""Texts of a part that is tried; a matrix of at most 1,770 or 3,540 by 121."""
MOST_PARTS = 50
"""Parts of the data that are tried, largest first."""
SMALLEST_SHARE = 1e-7
"""Share of ρ's effect that no μ and σ imitate; rounding leaves 1e-15, 500 random graphs 8e-4."""


def check_correlation_identified(
    first: np.ndarray, second: np.ndarray, *, ties_observed: bool
) -> None:
    """Refuse to learn a correlation that the comparisons leave free.

    The rule: at a generic point, no change of the items' means and deviations has the same effect
    on all probabilities as a change of ρ. It is local identification, of one ρ for all pairs; how
    precisely the data then determine it is another matter. Of a large part of the data only the
    densest `MOST_ITEMS` texts are tried: where they do not determine ρ, long chains of comparisons
    would have to, which is too weak to learn from.

    Args:
        first: Item of each comparison, an integer by which equal texts are equal, shape `(n,)`.
        second: The item that it is compared with, same shape.
        ties_observed: Answers include ties (or grades), by a threshold on the difference of
            utilities that is fixed and so gives utilities a unit.

    Raises:
        UserError: ρ is not identified in any part of the data that was tried.
    """
    import networkx  # slow to import

    graph = networkx.Graph(zip(first.tolist(), second.tolist(), strict=True))
    graph.remove_edges_from(networkx.selfloop_edges(graph))  # even at any ρ
    # an item outside this core has no more equations than unknowns of its own, which satisfy them
    core = networkx.k_core(graph, 2 if ties_observed else 3)
    parts = sorted(networkx.connected_components(core), key=len, reverse=True)[:MOST_PARTS]
    for part in parts:
        pairs = np.array(core.subgraph(_densest(core, part)).edges)
        if _share_of_correlation(pairs, ties_observed=ties_observed) > SMALLEST_SHARE:
            return
    least = "four texts, each with each, ties included" if ties_observed else "five, each with each"
    raise UserError(
        "the correlation cannot be learned: each text is compared with too few others, so that "
        "other means and deviations fit as well at any correlation; fix it instead "
        f"(--family_options correlation=0.5), or give data that compare at least {least}."
    )


def _densest(graph: "networkx.Graph[int]", part: set[int]) -> set[int]:
    """At most `MOST_ITEMS` of a part: the most compared, then those most compared with them."""
    if len(part) <= MOST_ITEMS:
        return part
    chosen: set[int] = set()
    links = dict.fromkeys(part, 0)
    while len(chosen) < MOST_ITEMS:
        item = max(links, key=lambda i: (links[i], len(graph[i]), -i))
        del links[item]
        chosen.add(item)
        for other in graph[item].keys() & links.keys():
            links[other] += 1
    return chosen


def _share_of_correlation(pairs: np.ndarray, *, ties_observed: bool) -> float:
    """Share of ρ's column of the Jacobian, by length, that the others do not span, in [0, 1]."""
    effects = _jacobian(pairs, ties_observed=ties_observed)
    effects = effects / np.linalg.norm(effects, axis=0)
    others, of_correlation = effects[:, :-1], effects[:, -1]
    basis, singular, _ = np.linalg.svd(others, full_matrices=False)
    basis = basis[:, singular > singular[0] * 1e-12 * len(others)]
    return float(np.linalg.norm(of_correlation - basis @ (basis.T @ of_correlation)))


def _jacobian(pairs: np.ndarray, *, ties_observed: bool) -> np.ndarray:
    """Of z, and with ties of δ/s at δ = 1, by every μ and σ and last by ρ, at a random point.

    By complex steps, which lose no digits (Squire and Trapp 1998).
    """
    items, flat = np.unique(pairs, return_inverse=True)
    i, j = flat.reshape(pairs.shape).T
    rng = np.random.default_rng(0)
    point = np.concatenate([rng.normal(size=len(items)), rng.uniform(0.5, 2, len(items)), [0.4]])
    step = 1e-100
    mean, std, correlation = np.split(
        point[:, None] + 1j * step * np.eye(len(point)), [len(items), 2 * len(items)]
    )
    spread = np.sqrt(std[i] ** 2 + std[j] ** 2 - 2 * correlation * std[i] * std[j])
    of_preference = (mean[i] - mean[j]) / spread
    observed = np.concatenate([of_preference, 1 / spread]) if ties_observed else of_preference
    return observed.imag / step
