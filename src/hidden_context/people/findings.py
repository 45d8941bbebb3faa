"""Who differs, by how much, along what: `PeopleFindings`, from people and their comparisons."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from math import factorial, prod
from typing import Any, Literal

import numpy as np

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.people_columns import name_in
from hidden_context.comparisons.row_notes import MOST_SHOWN, alike
from hidden_context.comparisons.survey import is_empty
from hidden_context.errors import UserError
from hidden_context.measures.estimate import Estimate
from hidden_context.people.ballots import Ballots
from hidden_context.people.chosen import NEGLIGIBLE, RIDGES, RIDGES_OF_ITEMS
from hidden_context.people.held_out import HeldOut, folds_for, held_out_table
from hidden_context.people.people import People
from hidden_context.people.person import Person
from hidden_context.people.share_of_disagreement import fitted_share
from hidden_context.people.source import Source

NUM_PERMUTATIONS = 999
"""Of who belongs to which recorded group."""


@dataclass(frozen=True, eq=False)
class Axis:
    """A direction in which people differ; the first divides them most."""

    share: float
    """Of the variance between people, over the pairs that were compared."""
    loadings: np.ndarray
    """Utility of each item more to a person one standard deviation up the axis, `(items,)`."""
    position: np.ndarray
    """Of each person, in standard deviations of people, shape `(V,)`."""
    std: np.ndarray
    """What is not known of it, shape `(V,)`."""

    def ends(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the items that lie highest and lowest, the farthest first."""
        order = np.argsort(self.loadings, kind="stable")
        number = min(number, len(order) // 2)
        return order[::-1][:number], order[:number]


@dataclass(frozen=True)
class Agreement:
    """How far clusters of people are recorded groups; 0 by chance, 1 if they are the same."""

    column: str
    groups: Mapping[str, int]
    """People of each."""
    num_clusters: int
    are_found: bool
    """Whether held-out people speak for clusters; if not, as many as groups, by k-means."""
    adjusted_rand: float
    """Hubert and Arabie 1985."""
    adjusted_mutual_information: float
    """Vinh, Epps and Bailey 2010."""
    p_value: float
    """Share of permutations of the groups over people with as high an adjusted Rand index."""

    @property
    def least_p_value(self) -> float:
        """That of clusters that are the groups: groups of one size may change their names."""
        sizes = self.groups.values()
        same = prod(map(factorial, [*sizes, *Counter(sizes).values()]))
        return same / factorial(sum(sizes))

    @property
    def of_so_few(self) -> str:
        """What is to be said of few people, whose p cannot be small; else nothing."""
        least = self.least_p_value
        return f"; of so few people no p below {least:.3f} is possible" if least > 0.01 else ""


@dataclass(frozen=True, eq=False)
class PeopleFindings:
    """What comparisons tell of those who made them."""

    source: str
    people: People
    known: Person
    """Everybody who made comparisons."""
    counts: np.ndarray
    """Comparisons of each, shape `(V,)`."""
    axes: tuple[Axis, ...]
    disagreement: float
    """Share of the variance of verdicts, on the pairs compared, that lies between people, as
    fitted."""
    tie_habit: np.ndarray
    """Share of even pairs that each person calls a tie, shape `(V,)`."""
    held_out: tuple[HeldOut, ...] = ()
    colors: tuple[str, ...] | None = None
    """Value of a column for each person."""
    column: str = ""
    agreement: Agreement | None = None
    compared_once: int = 0
    """Items that were compared once, where each has utilities of its own; of texts read by their
    vectors 0."""
    notes: tuple[str, ...] = field(default=())
    share: Estimate | None = None
    """`disagreement` less what fits err by, with an interval; see `People.share_of_disagreement`.
    """

    @property
    def shows_share(self) -> bool:
        """Whether the share of disagreement says anything."""
        return bool(self.people.directions.shape[1]) and self.verdict in ("yes", "not tried")

    @property
    def is_of_items_compared_once(self) -> bool:
        """Whether most items were: what somebody says of one then tells nothing of the others."""
        return 2 * self.compared_once > len(self.people.items)

    @property
    def verdict(self) -> Literal["yes", "no", "cannot tell", "not tried"]:
        """Whether people differ, by what held-out people tell.

        "yes" where knowing the taste of a person adds to what is predicted of her (her habit of
        ties does not count), and more is predicted than by a population in which nobody differs:
        the latter alone holds where nothing is known of her, too, if the population is the worse
        model of items that were rarely compared. "no" where either makes predictions worse, or no
        direction was chosen.
        """
        if not self.people.directions.shape[1]:
            if not self.people.held_out:
                return "not tried"
            return "cannot tell" if self.is_of_items_compared_once else "no"
        if self.is_of_items_compared_once:
            return "cannot tell"
        if not self.held_out:
            return "not tried"
        last = self.held_out[-1]
        if "below" in (last.taste.against(-NEGLIGIBLE), last.gain.against(0)):
            return "no"
        both = last.taste.against(NEGLIGIBLE) == last.gain.against(0) == "above"
        return "yes" if both else "cannot tell"

    @property
    def ridge_at_end(self) -> Literal["strongest", "weakest", ""]:
        """Whether the ridge of the fit is the last of those tried, or the first."""
        tried = RIDGES_OF_ITEMS if self.people.texts is None else RIDGES
        if not self.people.directions.shape[1]:
            return ""
        if self.people.ridge == max(tried):
            return "strongest"
        return "weakest" if self.people.ridge == min(tried) else ""

    def to_dict(self) -> dict[str, Any]:
        """All numbers, by names that JSON can hold."""
        items = self.people.items
        return {
            "source": self.source,
            "num_people": len(self.counts),
            "num_comparisons": int(self.counts.sum()),
            "num_items": len(items),
            "num_directions": self.people.directions.shape[1],
            "clusters": self.people.clusters.shares.tolist(),
            "loss_by_directions": dict(self.people.held_out),
            "loss_by_clusters": dict(self.people.held_out_clusters),
            "verdict": self.verdict,
            "num_items_compared_once": self.compared_once,
            "ridge": self.people.ridge,
            "ridge_at_end": self.ridge_at_end,
            "disagreement": self.disagreement,
            "share_of_disagreement": None if self.share is None else asdict(self.share),
            "axes": [
                {
                    "share": axis.share,
                    "highest": _named(items, axis.loadings, axis.ends(3)[0]),
                    "lowest": _named(items, axis.loadings, axis.ends(3)[1]),
                }
                for axis in self.axes
            ],
            "people": [
                {
                    "person": str(name),
                    "comparisons": int(self.counts[at]),
                    "tie_habit": float(self.tie_habit[at]),
                    "position": [float(axis.position[at]) for axis in self.axes],
                    "std": [float(axis.std[at]) for axis in self.axes],
                    "cluster_probs": self.known.cluster_probs[at].tolist(),
                    **({} if self.colors is None else {self.column: self.colors[at]}),
                }
                for at, name in enumerate(self.known.people)
            ],
            "held_out": [asdict(row) for row in self.held_out],
            "agreement": None if self.agreement is None else asdict(self.agreement),
            "notes": list(self.notes),
        }


def _named(items: Sequence[Hashable], loadings: np.ndarray, at: np.ndarray) -> list[dict[str, Any]]:
    return [{"item": str(items[k]), "loading": float(loadings[k])} for k in at]


def find(
    people: People,
    ballots: Ballots,
    *,
    source: str,
    held_out: Sequence[HeldOut] = (),
    colors: tuple[str, ...] | None = None,
    column: str = "",
    notes: Sequence[str] = (),
    seed: int = 0,
) -> PeopleFindings:
    """Put together what comparisons tell of those who made them.

    Args:
        people: Fitted to the ballots.
        ballots: What everybody said.
        source: Where they are from.
        held_out: See `held_out_table`.
        colors: Value of a column for each person; see `values_of_people`.
        column: What it is called.
        notes: What was left out or reinterpreted.
        seed: Of permutations and of k-means.
    """
    known = people.infer_all(ballots)
    pairs = ballots.weight > 0
    first, second = ballots.first[pairs], ballots.second[pairs]
    agreement = None
    if colors is not None and len(set(colors)) > 1 and people.directions.shape[1]:
        agreement = _agreement(known, colors, column, seed)
    return PeopleFindings(
        source,
        people,
        known,
        pairs.sum(1),
        _axes(people, known, first, second),
        fitted_share(people, ballots),
        known.threshold_probs @ np.tanh(people.thresholds / 2),
        tuple(held_out),
        colors,
        column,
        agreement,
        0 if people.texts is not None else _compared_once(ballots),
        tuple(notes),
    )


def find_all(
    people: People,
    votes: Source,
    *,
    source: str,
    num_folds: int,
    colors: tuple[str, ...] | None = None,
    column: str = "",
    notes: Sequence[str] = (),
    seed: int = 0,
    progress: bool = False,
) -> PeopleFindings:
    """The same, with what is learned of people who are held out, and the share of disagreement.

    Args:
        people: Fitted to the votes.
        votes: What everybody said.
        source: Where they are from.
        num_folds: In which people are held out, or as many as these people can be in; 0 for none.
        colors: See `find`, also for the rest.
        column: What it is called.
        notes: What was left out or reinterpreted.
        seed: Of folds, permutations, k-means and answers that are drawn.
        progress: Show how far it is.
    """
    how: Any = {"seed": seed, "progress": progress}
    held_out: Sequence[HeldOut] = ()
    if people.directions.shape[1]:
        num_folds, said = folds_for(len(votes.ballots), num_folds)
        notes = [*notes, *said]
        if num_folds:
            structure = people.structure
            held_out = held_out_table(votes, structure=structure, num_folds=num_folds, **how)
    found = find(
        people,
        votes.ballots,
        source=source,
        held_out=held_out,
        colors=colors,
        column=column,
        notes=notes,
        seed=seed,
    )
    if not found.shows_share:
        return found
    return replace(found, share=people.share_of_disagreement(votes, **how))


def _axes(people: People, known: Person, first: np.ndarray, second: np.ndarray) -> tuple[Axis, ...]:
    """Principal axes of the differences of utility between people, over the pairs compared."""
    slopes = people.directions[first] - people.directions[second]
    variances, turn = np.linalg.eigh(slopes.T @ slopes / max(len(slopes), 1))
    mean, covariance = known.coordinates
    axes = []
    for at in np.argsort(-variances):
        loadings = people.directions @ turn[:, at]
        sign = np.sign(loadings[np.abs(loadings).argmax()]) or 1.0
        spread = np.einsum("r,vrs,s->v", turn[:, at], covariance, turn[:, at])
        axes.append(
            Axis(
                float(variances[at] / max(variances.sum(), 1e-300)),
                sign * loadings,
                sign * (mean @ turn[:, at]),
                np.sqrt(np.maximum(spread, 0)),
            )
        )
    return tuple(axes)


def _agreement(known: Person, colors: Sequence[str], column: str, seed: int) -> Agreement:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    groups, are_found = Counter(colors), len(known.model.clusters) > 1
    if are_found:
        labels = known.cluster_probs.argmax(1)
    else:
        mean, _ = known.coordinates
        labels = KMeans(min(len(groups), len(mean)), n_init=10, random_state=seed).fit(mean).labels_
    rng, recorded = np.random.default_rng(seed), np.array(colors)
    found = adjusted_rand_score(recorded, labels)
    by_chance = [
        adjusted_rand_score(rng.permutation(recorded), labels) for _ in range(NUM_PERMUTATIONS)
    ]
    found_at_random = (1 + sum(one >= found for one in by_chance)) / (1 + NUM_PERMUTATIONS)
    agreement = Agreement(
        column,
        dict(groups),
        len(set(labels.tolist())),
        are_found,
        float(found),
        float(adjusted_mutual_info_score(recorded, labels)),
        found_at_random,
    )
    least = agreement.least_p_value  # of all permutations; among those drawn it may be less
    return replace(agreement, p_value=max(found_at_random, least))


def _compared_once(ballots: Ballots) -> int:
    """Items in one comparison, which tells nothing of tastes."""
    seen = ballots.weight > 0
    numbers = np.concatenate([of[seen] for of in (ballots.first, ballots.second)])
    return int((np.bincount(numbers, minlength=len(ballots.items)) == 1).sum())


def values_of_people(comparisons: Comparisons, column: str) -> tuple[dict[str, str], list[str]]:
    """What a column says most often of each annotator, and what is to be known of it, in sentences.

    Raises:
        UserError: A row has no such column, or it holds neither a name nor a number.
    """
    comparisons.columns.refuse_observed(column, comparisons.source, "a property of people")
    said: dict[str, Counter[str]] = {}
    for number, comparison in enumerate(comparisons, start=1):
        row, place = comparison.row, f"{comparisons.source}, row {number}"
        if column not in row:
            raise UserError(f"{place}: no column {column!r}; there are {', '.join(map(str, row))}.")
        value = "not said" if is_empty(row[column]) else name_in(row, column, place)
        of_person = said.setdefault(str(comparison.annotator), Counter())
        of_person[value] += 1
    several = [name for name, of in said.items() if len(of) > 1]
    notes = [
        f"{each[0].upper()}{each[1:]}."
        for each in alike({*chain(*said.values())}, f"values of {column}")
    ]
    if several:
        values = " and ".join(map(repr, islice(said[several[0]], MOST_SHOWN)))
        notes.append(
            f"Of {len(several)} people {column} says several things (of {several[0]!r}: {values}); "
            "the most frequent counts."
        )
    return {name: of.most_common(1)[0][0] for name, of in said.items()}, notes
