"""Whose side a judge takes: groups, people and traits, against a judge that follows all people.

Let z be a vote, 1, 0 (a tie) or -1, and j = 2P - 1 the judge on its pair. The judge agrees with
group g by M_g = E[z j] over the votes of g, and another person drawn from all people would by X_g =
Σ_h π_h E[z z'], z' of somebody else of group h on the same pair. A judge that follows what all say
on average, j linear in their mean vote, agrees with each group in proportion to X_g. With b =
Σ π_g M_g / Σ π_g X_g the lean is (M_g - b X_g) / 2: the share of the votes of g that the judge
agrees with beyond that. Noise of single votes cancels, since z' is not z.

A judge may follow all in a sharper way, such as always saying what most would. The sharpest that
has the judge's own |j| gives each X_g a factor, which follows from E[z z'] where what groups think
of pairs is jointly normal (`_factors_of_sharpest`). Every follower lies between the two, as noise
makes a sharp one linear. So a lean is that from the nearer of both, and none (p = 1) between them.
Where people do not agree beyond chance, b is 0/0: then it lies between 0 and 1, and leans are taken
less their mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from scipy import stats
from scipy.special import ndtr

from hidden_context.errors import UserError
from hidden_context.judging.agreement import clusters_of
from hidden_context.judging.judgments import Judgments
from hidden_context.judging.two_way import (
    Clusters,
    Measured,
    compare,
    largest_of,
    mean_of,
    measure,
)
from hidden_context.judging.votes import Votes
from hidden_context.measures.estimate import Estimate

NO_MEAN = (
    "People agree with one another no more than by chance, so how strongly the judge follows them "
    "is not known: it is held against their mean vote itself."
)
MOST_GROUPS = 20
NUM_DRAWS = 10_000
MOST_AGREED = 0.98
"""Means of z z' are taken for at most this: at 1 nobody in a group ever differs."""
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
    if not people_agree(judged, votes) and (groups or votes.person is not None):
        notes.append(NO_MEAN)
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
        UserError: Groups have no pairs in common.
    """
    use = judged.known
    names, group = _largest_groups(votes, use)
    agreement, linear, sharp = _against_followers(judged, votes, group, len(names))
    p_linear, p_sharp = largest_of(linear), largest_of(sharp)
    leans = []
    for g, name in enumerate(names):
        of = use & (group == g)
        nearer = sharp if abs(sharp.value[g]) < abs(linear.value[g]) else linear
        on_one_side = sharp.value[g] * linear.value[g] > 0
        p_value = float(np.maximum(p_linear[g], p_sharp[g])) if on_one_side else 1.0
        leans.append(
            Lean(
                name,
                float(votes.count[of].sum()),
                None if votes.person is None else len(np.unique(votes.person[of])),
                agreement.estimate(g, is_share=True),
                float(agreement.value[g] - nearer.value[g]),
                nearer.estimate(g),
                None if np.isnan(p_value) else p_value,
            )
        )
    return tuple(leans)


def _against_followers(
    judged: Judgments, votes: Votes, group: np.ndarray, count: int
) -> tuple[Measured, Measured, Measured]:
    """Agreement with each group, and its lean from the linear follower and from the sharpest."""
    use = judged.known
    side, weight = judged.side[use], votes.weight[use]
    share = np.bincount(group[use], weight, count) / weight.sum()
    sums = np.array([column.sum() for column in _columns(judged, votes, group, count)])
    factors = _factors_of_sharpest(_products(sums[None], count)[1][0], share, side)

    def statistic(sums: np.ndarray) -> np.ndarray:
        of_judge, of_people = _products(sums, count)
        following = of_people @ share  # X_g
        parts = [1 + of_judge, of_judge - following]
        for factor in (np.ones(count), factors):
            said = following * factor
            parts.append(of_judge - ((of_judge @ share) / (said @ share))[:, None] * said)
        return np.concatenate(parts, axis=1) / 2

    num_twice = count * (count + 1)
    at, columns = clusters_of(votes).at(use), _columns(judged, votes, group, count)
    found = measure(statistic, columns, at, num_twice=num_twice)
    agreement, from_mean, linear, sharp = (
        found.part(slice(part * count, (part + 1) * count)) for part in range(4)
    )
    if people_agree(judged, votes):
        return agreement, linear, sharp
    return agreement, from_mean.less_mean(share), agreement.less_mean(share)  # b of 1, and of 0


def _columns(
    judged: Judgments, votes: Votes, group: np.ndarray, count: int
) -> Iterator[np.ndarray]:
    """Of each group z j and 1, then of each two groups z z' and 1, all weighted, `(N,)` each."""
    use = judged.known
    weight, sign = votes.weight[use], votes.sign[use]
    is_of = [group[use] == g for g in range(count)]
    for of in is_of:
        yield weight * sign * judged.side[use] * of
        yield weight * of
    others = [np.stack(votes.others_in(group == g))[:, use] for g in range(count)]
    mean_of, number_of = [each[0] - each[1] for each in others], [each.sum(0) for each in others]
    for g, h in combinations_with_replacement(range(count), 2):
        yield weight * sign * (is_of[g] * mean_of[h] + is_of[h] * mean_of[g])
        yield weight * (is_of[g] * number_of[h] + is_of[h] * number_of[g])


def _products(sums: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of z j, `(b, count)`, and of z z', `(b, count, count)`, from sums of `_columns`."""
    with np.errstate(invalid="ignore"):
        means = sums[:, ::2] / sums[:, 1::2]
    first, second = np.triu_indices(count)
    of_people = np.empty((len(sums), count, count))
    of_people[:, first, second] = of_people[:, second, first] = means[:, count:]
    return means[:, :count], of_people


def _factors_of_sharpest(of_people: np.ndarray, share: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Factor of each X_g, of the sharpest follower whose |j| are those of the judge, `(groups,)`.

    If group g votes for the first with probability Φ(u_g) and u is jointly normal, E[z_g z_h] is
    (2/π) arcsin(Σ_gh / √((1 + Σ_gg)(1 + Σ_hh))) (Sheppard 1899), from which Σ follows. The sharpest
    follower is as sure as the judge where most is agreed: |j| rises with |mean vote|, by ranks.

    Raises:
        UserError: Groups never voted on the same pair.
    """
    if np.isnan(of_people).any():
        raise UserError("Some groups never voted on the same pair, so its side is not known.")
    sine = np.sin(np.pi / 2 * np.clip(of_people, -MOST_AGREED, MOST_AGREED))
    own = np.clip(np.diag(sine), 1 - MOST_AGREED, MOST_AGREED)
    spectrum, vectors = np.linalg.eigh(np.clip(sine / np.sqrt(np.outer(own, own)), -1, 1))
    root = vectors * np.sqrt(np.maximum(spectrum, 0.0))
    root *= np.sqrt(own / (1 - own) / (root**2).sum(1))[:, None]
    draws = np.random.default_rng(0).normal(size=(NUM_DRAWS, len(share)))
    means = 2 * ndtr(np.concatenate([draws, -draws]) @ root.T) - 1
    mean = means @ share
    rank = np.argsort(np.argsort(np.abs(mean))) / (len(mean) - 1)
    said = np.sign(mean) * np.quantile(np.abs(side), rank)
    return (said @ means) / (mean @ means)


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


def people_agree(judged: Judgments, votes: Votes) -> bool:
    """Whether two people agree more often than by chance: two standard errors above it."""
    mean, use = mean_of_others(judged, votes)
    if not use.any():
        return False
    found = mean_of((votes.sign * mean)[use], votes.weight[use], clusters_of(votes).at(use))
    return bool(found.value[0] > 2 * found.std_error[0])


def leans_to_people(judged: Judgments, votes: Votes) -> tuple[tuple[Lean, ...], int, float | None]:
    """The lean to each person, how many had too few votes, and how much leans differ.

    The other people are taken as they are: intervals are clustered by prompt (by pair where a
    person voted on one prompt alone), p-values are Bonferroni's over all people.

    Raises:
        UserError: No person has enough votes on pairs that others voted on.
    """
    assert votes.person is not None
    mean, use = mean_of_others(judged, votes)
    number = np.bincount(votes.person[use], minlength=len(votes.people))
    told = np.flatnonzero(number >= LEAST_VOTES)
    if not len(told):
        raise UserError(f"No person has {LEAST_VOTES} votes on pairs that others voted on.")
    side, sign, weight = judged.side, votes.sign, votes.weight
    agreement = np.average((sign * side)[use], weights=weight[use])
    common = np.average((sign * mean)[use], weights=weight[use])
    if people_agree(judged, votes):
        following = mean * agreement / common
    else:  # as in `leans_to_groups`; z² is 1 but for ties
        following = mean + sign * (agreement - common)
    leans, errors = [], []
    for person in told.tolist():
        own = use & (votes.person == person)
        one_prompt = len(np.unique(votes.prompt[own])) < 2
        at = Clusters((votes.pair if one_prompt else votes.prompt)[own], None)
        judge, follower = (((1 + sign * of) / 2)[own] for of in (side, following))
        found = compare((judge, weight[own]), (follower, weight[own]), at)
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
                found.estimate(0, is_share=True),
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
    mean, use = mean_of_others(judged, votes)
    use &= np.isfinite(trait)
    if not people_agree(judged, votes) or not use.any():
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


def mean_of_others(judged: Judgments, votes: Votes) -> tuple[np.ndarray, np.ndarray]:
    """The mean vote of the others on each entry's pair, and where there are others and a judge."""
    first, second, tie = votes.others
    total = first + second + tie
    mean = np.divide(first - second, total, out=np.zeros_like(total), where=total > 0)
    return mean, judged.known & (total > 0)
