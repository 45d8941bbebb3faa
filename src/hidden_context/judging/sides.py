"""Whose side a judge takes: groups, people and traits, against a judge that follows all people.

Let z be a vote, 1, 0 (a tie) or -1, and j = 2P - 1 the judge on its pair. The judge agrees with
group g by M_g = E[z j] over the votes of g, and another person drawn from all people would by X_g =
Σ_h π_h E[z z'], z' of somebody else of group h on the same pair. A judge that follows what all say
on average agrees with each group in proportion to X_g: exactly if j is linear in the population's
mean vote, and for any monotone j where the means of groups are jointly normal (Bussgang 1952). With
b = Σ π_g M_g / Σ π_g X_g the lean is (M_g - b X_g) / 2: the share of the votes of g that the judge
agrees with beyond that. Noise of single votes cancels, since z' is not z.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from scipy import stats

from hidden_context.errors import UserError
from hidden_context.judging.agreement import clusters_of
from hidden_context.judging.judgments import Judgments
from hidden_context.judging.two_way import Clusters, largest_of, measure
from hidden_context.judging.votes import Votes
from hidden_context.measures.estimate import Estimate

NO_SIDES = "People agree with one another no more than by chance, so sides cannot be told."
MOST_GROUPS = 20
LEAST_VOTES = 10
"""Of a person, with votes of others on the same pairs; those with fewer are not told apart."""


@dataclass(frozen=True)
class Lean:
    """How a judge stands to some of the people."""

    name: str
    num_votes: float
    num_people: int | None
    """None where people have no names."""
    agreement: Estimate
    """Share of their votes that the judge agrees with, by its probabilities, ties half."""
    following: float
    """The same of a judge that follows all people and is as strong as this one."""
    lean: Estimate
    """The first less the second."""
    p_value: float | None
    """That the lean is 0, adjusted for all that are compared; None where there is no interval."""


@dataclass(frozen=True)
class Sides:
    """Everything on whose side a judge takes."""

    groups: tuple[Lean, ...] = ()
    people: tuple[Lean, ...] = ()
    """Most leant to first."""
    people_left_out: int = 0
    """With fewer than `LEAST_VOTES` votes on pairs that others voted on."""
    people_std: float | None = None
    """Standard deviation of leans over people, less what chance alone gives; None if unknown."""
    notes: tuple[str, ...] = ()
    """Why something is missing."""


def sides_of(judged: Judgments, votes: Votes) -> Sides:
    """Leans to the groups and people that the data name."""
    notes = []
    groups: tuple[Lean, ...] = ()
    if votes.group is None:
        notes.append("The data name no groups.")
    elif len(votes.groups) > 1:
        try:
            groups = leans_to_groups(judged, votes)
        except UserError as error:
            notes.append(str(error))
    if votes.person is None:
        return Sides(groups, notes=(*notes, "The data do not say who voted."))
    try:
        people, left_out, std = leans_to_people(judged, votes)
    except UserError as error:
        return Sides(groups, notes=(*notes, str(error)))
    return Sides(groups, people, left_out, std, tuple(notes))


def leans_to_groups(judged: Judgments, votes: Votes) -> tuple[Lean, ...]:
    """The lean to each group, with intervals clustered by person and prompt.

    Beyond `MOST_GROUPS` the groups with fewest votes are one together.

    Raises:
        UserError: Groups have no pairs in common, or people agree no more than chance.
    """
    use = judged.known
    names, group = _largest_groups(votes, use)
    count, weight, sign = len(names), votes.weight[use], votes.sign[use]
    share = np.bincount(group[use], weight, count) / weight.sum()
    both = list(combinations_with_replacement(range(count), 2))
    others = [votes.others_in(group == g) for g in range(count)]
    mean_of = [(first - second)[use] for first, second, _ in others]
    number_of = [(first + second + tie)[use] for first, second, tie in others]
    is_of = [group[use] == g for g in range(count)]

    def columns() -> Iterator[np.ndarray]:
        for of in is_of:
            yield weight * sign * judged.side[use] * of
            yield weight * of
        for g, h in both:
            yield weight * sign * (is_of[g] * mean_of[h] + is_of[h] * mean_of[g])
            yield weight * (is_of[g] * number_of[h] + is_of[h] * number_of[g])

    def statistic(sums: np.ndarray) -> np.ndarray:
        ratios = sums[:, ::2] / sums[:, 1::2]
        of_judge, of_people = ratios[:, :count], np.empty((len(sums), count, count))
        for (g, h), ratio in zip(both, ratios[:, count:].T, strict=True):
            of_people[:, g, h] = of_people[:, h, g] = ratio
        of_person = of_people @ share
        strength = (of_judge @ share) / (of_person @ share)
        following = strength[:, None] * of_person
        common = (of_person @ share)[:, None]
        parts = [1 + of_judge, 1 + following, of_judge - following, 2 * common]
        return np.concatenate(parts, axis=1) / 2

    found = measure(statistic, columns(), clusters_of(votes).at(use), num_twice=2 * len(both))
    if np.isnan(found.value[-1]):
        raise UserError("Some groups never voted on the same pair, so sides cannot be told.")
    if found.value[-1] <= 0:
        raise UserError(NO_SIDES)
    leans = found.part(slice(2 * count, 3 * count))
    p_values = largest_of(leans)
    return tuple(
        Lean(
            names[g],
            float(votes.count[use][is_of[g]].sum()),
            None if votes.person is None else len(np.unique(votes.person[use][is_of[g]])),
            found.estimate(g),
            float(found.value[count + g]),
            leans.estimate(g),
            None if np.isnan(p_values[g]) else float(p_values[g]),
        )
        for g in range(count)
    )


def _largest_groups(votes: Votes, use: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names, and the number of each entry's group, -1 where it has no votes that are used."""
    assert votes.group is not None
    size = np.bincount(votes.group[use], votes.weight[use], len(votes.groups))
    order = np.argsort(-size, kind="stable")[: (size > 0).sum()]
    rank = np.full(len(votes.groups), -1)
    rank[order] = np.minimum(np.arange(len(order)), MOST_GROUPS - 1)
    names = [votes.groups[g] for g in order[:MOST_GROUPS]]
    if len(order) > MOST_GROUPS:
        names[-1] = f"{len(order) - MOST_GROUPS + 1} smaller groups"
    return names, rank[votes.group]


def _strength(side: np.ndarray, sign: np.ndarray, mean: np.ndarray, weight: np.ndarray) -> float:
    """b, of all votes that have others beside them."""
    common = float((weight * sign) @ mean)
    if common <= 0:
        raise UserError(NO_SIDES)
    return float((weight * sign) @ side) / common


def leans_to_people(judged: Judgments, votes: Votes) -> tuple[tuple[Lean, ...], int, float | None]:
    """The lean to each person, how many had too few votes, and how much leans differ.

    The other people are taken as they are: intervals are clustered by prompt (by pair where a
    person voted on one prompt alone), p-values are Bonferroni's over all people.

    Raises:
        UserError: No person has enough votes on pairs that others voted on.
    """
    assert votes.person is not None
    mean, use = _mean_of_others(judged, votes)
    side, sign, weight = judged.side, votes.sign, votes.weight
    strength = _strength(side[use], sign[use], mean[use], weight[use])
    number = np.bincount(votes.person[use], minlength=len(votes.people))
    told = np.flatnonzero(number >= LEAST_VOTES)
    if not len(told):
        raise UserError(f"No person has {LEAST_VOTES} votes on pairs that others voted on.")
    leans, errors = [], []
    for person in told.tolist():
        own = use & (votes.person == person)
        one_prompt = len(np.unique(votes.prompt[own])) < 2
        at = Clusters((votes.pair if one_prompt else votes.prompt)[own], None)
        w, z = weight[own], sign[own]
        columns = [w * z * side[own], w * z * strength * mean[own], w]

        def statistic(sums: np.ndarray) -> np.ndarray:
            judge, follower = sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]
            return np.stack([1 + judge, 1 + follower, judge - follower], axis=1) / 2

        found = measure(statistic, columns, at)
        error, p_value = float(found.std_error[2]), None
        errors.append(error)
        if np.isfinite(error) and error > 0:
            own_p = 2 * stats.t.sf(abs(found.value[2]) / error, found.freedom[2])
            p_value = float(min(1.0, len(told) * own_p))
        leans.append(
            Lean(
                votes.people[person],
                float(votes.count[own].sum()),
                1,
                found.estimate(0),
                float(found.value[1]),
                found.estimate(2),
                p_value,
            )
        )
    spread = _spread(np.array([each.lean.value for each in leans]), np.array(errors))
    leans.sort(key=lambda each: -each.lean.value)
    return tuple(leans), int((number < LEAST_VOTES).sum()), spread


def _spread(values: np.ndarray, errors: np.ndarray) -> float | None:
    """Standard deviation of leans, by moments: their variance less the mean sampling variance."""
    known = np.isfinite(errors)
    if known.sum() < 2:
        return None
    excess = values[known].var(ddof=1) - np.mean(errors[known] ** 2)
    return float(np.sqrt(max(excess, 0.0)))


def lean_along(name: str, trait: np.ndarray, judged: Judgments, votes: Votes) -> Estimate | None:
    """How much more the judge agrees with votes of people one standard deviation up a trait.

    The regression over votes of (M - b X) / 2 on the trait (a number for each entry), with
    intercept; clustered by person and prompt. None where no two people voted on a pair, or people
    agree no more than by chance.

    Raises:
        UserError: All have one value.
    """
    mean, use = _mean_of_others(judged, votes)
    use &= np.isfinite(trait)
    if not use.any() or (votes.weight * votes.sign * mean)[use].sum() <= 0:
        return None
    if np.ptp(trait[use]) == 0:
        raise UserError(f"trait {name!r} is the same for all who voted; give one that varies.")
    weight, sign = votes.weight[use], votes.sign[use]
    center = np.average(trait[use], weights=weight)
    x = trait[use] - center
    x = x / np.sqrt(np.average(x**2, weights=weight))

    def statistic(s: np.ndarray) -> np.ndarray:
        strength = s[:, 2] / s[:, 3]
        covariance = (s[:, 0] - strength * s[:, 1]) / s[:, 4]  # the mean of z(j - bo) is 0
        variance = s[:, 6] / s[:, 4] - (s[:, 5] / s[:, 4]) ** 2
        return (covariance / variance / 2)[:, None]

    judge, follower = weight * sign * judged.side[use], weight * sign * mean[use]
    columns = [x * judge, x * follower, judge, follower, weight, weight * x, weight * x**2]
    at = clusters_of(votes).at(use)
    return measure(statistic, columns, at).estimate()


def _mean_of_others(judged: Judgments, votes: Votes) -> tuple[np.ndarray, np.ndarray]:
    """The mean vote of the others on each entry's pair, and where there are others and a judge."""
    first, second, tie = votes.others
    total = first + second + tie
    mean = np.divide(first - second, total, out=np.zeros_like(total), where=total > 0)
    return mean, judged.known & (total > 0)
