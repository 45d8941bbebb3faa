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
makes a sharp one linear. So a lean is that from the nearer of both, and 0 between them. Where
people do not agree beyond chance, b is 0/0: then it lies between 0 and 1, and leans are taken less
their mean.
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
from hidden_context.judging.two_way import Clusters, largest_of, measure
from hidden_context.judging.votes import Votes
from hidden_context.measures.estimate import Estimate

NO_MEAN = (
    "People agree with one another no more than by chance, so how strongly the judge follows them "
    "cannot be told: it is held against their mean vote itself."
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

    factors = [np.ones(count)]  # of X_g, for a linear follower

    def statistic(sums: np.ndarray) -> np.ndarray:
        ratios = sums[:, ::2] / sums[:, 1::2]
        of_judge, of_people = ratios[:, :count], np.empty((len(sums), count, count))
        for (g, h), ratio in zip(both, ratios[:, count:].T, strict=True):
            of_people[:, g, h] = of_people[:, h, g] = ratio
        if len(factors) == 1:  # the first call is of all sums
            factors.append(_factors_of_sharpest(of_people[0], share, judged.side[use]))
        parts = [1 + of_judge]
        for factor in factors:
            of_person = of_people @ share * factor
            following = ((of_judge @ share) / (of_person @ share))[:, None] * of_person
            parts += [of_judge - following, 1 + following]
        parts.append(of_judge - of_people @ share)
        return np.concatenate(parts, axis=1) / 2

    found = measure(statistic, columns(), clusters_of(votes).at(use), num_twice=2 * len(both))
    linear, sharp = (found.part(slice(at * count, (at + 1) * count)) for at in (1, 3))
    if not people_agree(judged, votes):  # b cannot be told from the votes: 1 and 0
        linear = found.part(slice(5 * count, 6 * count)).less_mean(share)
        sharp = found.part(slice(0, count)).less_mean(share)
        for at, lean in ((2, linear), (4, sharp)):
            found.value[at * count : (at + 1) * count] = found.value[:count] - lean.value
    p_linear, p_sharp = largest_of(linear), largest_of(sharp)
    leans = []
    for g in range(count):
        is_sharp = abs(sharp.value[g]) < abs(linear.value[g])
        differ = sharp.value[g] * linear.value[g] > 0
        p_value = float(np.maximum(p_linear[g], p_sharp[g])) if differ else 1.0
        leans.append(
            Lean(
                names[g],
                float(votes.count[use][is_of[g]].sum()),
                None if votes.person is None else len(np.unique(votes.person[use][is_of[g]])),
                found.estimate(g),
                float(found.value[(4 if is_sharp else 2) * count + g]),
                (sharp if is_sharp else linear).estimate(g),
                None if np.isnan(p_value) else p_value,
            )
        )
    return tuple(leans)


def _factors_of_sharpest(of_people: np.ndarray, share: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Factor of each X_g, of the sharpest follower whose |j| are those of the judge, `(groups,)`.

    If group g votes for the first with probability Φ(u_g) and u is jointly normal, E[z_g z_h] is
    (2/π) arcsin(Σ_gh / √((1 + Σ_gg)(1 + Σ_hh))) (Sheppard 1899), from which Σ follows. The sharpest
    follower is as sure as the judge where most is agreed: |j| rises with |mean vote|, by ranks.

    Raises:
        UserError: Groups never voted on the same pair.
    """
    if np.isnan(of_people).any():
        raise UserError("Some groups never voted on the same pair, so sides cannot be told.")
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
    weight = votes.weight[use]
    columns = [weight * votes.sign[use] * mean[use], weight]
    found = measure(lambda s: s[:, :1] / s[:, 1:], columns, clusters_of(votes).at(use))
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
    side, sign, weight = judged.side, votes.sign, votes.weight
    agreement = np.average((sign * side)[use], weights=weight[use])
    common = np.average((sign * mean)[use], weights=weight[use])
    if people_agree(judged, votes):
        following = mean * agreement / common
    else:  # as in `leans_to_groups`; z² is 1 but for ties
        following = mean + sign * (agreement - common)
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
        columns = [w * z * side[own], w * z * following[own], w]

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
