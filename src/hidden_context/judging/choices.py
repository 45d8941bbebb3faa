"""What a judge would choose of many responses, against what people would, by each rule."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hidden_context.aggregation import (
    RULES,
    Evidence,
    borda_count,
    evidence_from_comparisons,
    winners,
)
from hidden_context.items import fit_items
from hidden_context.items.votes import ItemComparisons
from hidden_context.judging.judgments import Judgments
from hidden_context.judging.two_way import Clusters, compare, mean_of
from hidden_context.judging.votes import Votes
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.measures.estimate import Estimate

OF_PEOPLE = ("borda", "copeland", "maximin")
OF_GROUPS = ("nash", "worst_group")
NUM_SPLITS = 10
"""Of the people in halves."""
MOST_PROMPTS = 500
"""Of which choices are made; of more, the first in their order."""
RIDGE = 1.0
"""Of the fit whose means are expected utilities; see `fit_items`."""


@dataclass(frozen=True)
class RuleChoice:
    """A rule's score, by one half of the people, of what is chosen; the mean over prompts."""

    rule: str
    num_prompts: int
    judge: Estimate
    """Of what the judge chooses."""
    other_half: Estimate
    """Of what the other half of the people chooses by the rule."""
    any_response: float
    """Of a response drawn at random."""
    judge_and_other_half: Estimate
    """The first less the second."""
    same_choice: Estimate
    """How often the judge's choice is (one of) the rule's by all people together."""


@dataclass(frozen=True)
class BordaOrUtility:
    """Pairs that Borda count and expected utility order differently, and the judge on them."""

    num_pairs: int
    share_of_pairs: float
    for_borda: Estimate | None
    """The judge's mean probability for the response of the higher Borda count."""
    notes: tuple[str, ...] = ()
    """What the fit warns of."""


def choices_by_rule(judged: Judgments, votes: Votes, *, seed: int = 0) -> tuple[RuleChoice, ...]:
    """For every rule of `aggregation` that the votes can decide; empty without three alternatives.

    A judge's own choice is what it scores highest, or its Borda count over the pairs that it
    judged. People are halved at random, so that what half of them choose is scored by the others,
    as the judge's choice is: chosen and scored by the same votes, chance would count as merit.
    Where a choice is scored by a half that never compared it, it is left out.
    """
    rules = (*OF_PEOPLE, *(OF_GROUPS if votes.group is not None and len(votes.groups) > 1 else ()))
    rng = np.random.default_rng(seed)
    lines: dict[str, list[tuple[float, float, float, float]]] = {rule: [] for rule in rules}
    if (votes.voter < 0).any():
        return ()
    for entries in _prompts(judged, votes):
        prompt = _Prompt(judged, votes, entries)
        everybody = prompt.evidence(np.ones(len(entries), bool))
        halves = [prompt.halves(rng) for _ in range(NUM_SPLITS)]
        for rule in rules:
            found = [line for two in halves for line in prompt.line(rule, *two)]
            if found:
                best = prompt.winners(rule, everybody)
                same = np.mean([item in best for item in prompt.chosen])
                lines[rule].append((*np.mean(found, axis=0).tolist(), float(same)))
    return tuple(_summary(rule, np.array(of_rule)) for rule, of_rule in lines.items() if of_rule)


class _Prompt:
    """The alternatives of one prompt, and the judge's choice of them."""

    def __init__(self, judged: Judgments, votes: Votes, entries: np.ndarray) -> None:
        items, local = np.unique(votes.items[entries], return_inverse=True)
        self.size, self.local = len(items), local.reshape(-1, 2)
        self.share = (1 + votes.sign[entries]) / 2
        self.weight, self.voter = votes.weight[entries], votes.voter[entries]
        self.groups = None if votes.group is None else votes.group[entries].astype(str)
        own = judged.prob[entries]
        if judged.rewards is not None:
            total = np.bincount(self.local.ravel(), judged.rewards[entries].ravel(), self.size)
            scores = total / np.bincount(self.local.ravel(), minlength=self.size)
        else:
            scores = borda_count(self._support(own, self.weight, None).support)
        self.chosen = winners(scores)

    def _support(
        self, share: np.ndarray, weight: np.ndarray, groups: np.ndarray | None
    ) -> Evidence:
        return evidence_from_comparisons(
            self.local[:, 0].tolist(),
            self.local[:, 1].tolist(),
            share.tolist(),
            num_alternatives=self.size,
            weights=weight.tolist(),
            groups=None if groups is None else groups.tolist(),
        )

    def evidence(self, part: np.ndarray) -> Evidence:
        """Of some of the votes; without groups where these are of one alone."""
        groups = self.groups
        if groups is not None and len(set(groups[part])) < 2:
            groups = None
        weight = np.where(part, self.weight, 0.0)
        return self._support(self.share, weight, groups)

    def halves(self, rng: np.random.Generator) -> tuple[Evidence, Evidence]:
        """Of two random halves of the people."""
        people, of = np.unique(self.voter, return_inverse=True)
        side = rng.permutation(len(people)) % 2 == 0
        return self.evidence(side[of]), self.evidence(~side[of])

    def scores(self, rule: str, evidence: Evidence) -> np.ndarray:
        """NaN where nothing is known."""
        if rule in OF_GROUPS and evidence.group_utility is None:
            return np.full(self.size, np.nan)
        return np.asarray(RULES[rule].score(evidence), float)

    def winners(self, rule: str, evidence: Evidence) -> tuple[int, ...]:
        return winners(self.scores(rule, evidence))

    def line(self, rule: str, *halves: Evidence) -> Iterator[tuple[float, float, float]]:
        """Scores by each half of: the judge's choice, that of the other half, any response."""
        for chooses, scores in (halves, halves[::-1]):
            by = self.scores(rule, scores)
            of_people = self.winners(rule, chooses)
            if of_people and not np.isnan(by).all():
                own, other = by[list(self.chosen)].mean(), by[list(of_people)].mean()
                if np.isfinite(own + other):
                    yield float(own), float(other), float(np.nanmean(by))


def _prompts(judged: Judgments, votes: Votes) -> Iterator[np.ndarray]:
    """Entries of each prompt of three alternatives or more that the judge judged."""
    known = np.flatnonzero(judged.known)
    order = known[np.argsort(votes.prompt[known], kind="stable")]
    starts = np.flatnonzero(np.diff(votes.prompt[order])) + 1
    several = (part for part in np.split(order, starts) if len(np.unique(votes.items[part])) > 2)
    for number, entries in enumerate(several):
        if number < MOST_PROMPTS:
            yield entries


def _summary(rule: str, lines: np.ndarray) -> RuleChoice:
    """Means over prompts, which are independent."""
    n = len(lines)
    at, one = Clusters(np.arange(n), None), np.ones(n)
    judge, people, any_response, same = lines.T
    compared = compare((judge, one), (people, one), at)
    return RuleChoice(
        rule,
        n,
        compared.estimate(0),
        compared.estimate(1),
        float(any_response.mean()),
        compared.estimate(2),
        mean_of(same, one, at).estimate(is_share=True),
    )


def borda_or_utility(judged: Judgments, votes: Votes) -> BordaOrUtility | None:
    """On whose side the judge is where Borda count and expected utility differ.

    Both are of normal utilities fitted to the votes (`fit_items`, ridge `RIDGE`): expected utility
    is their mean, Borda count the mean of P over the prompt's alternatives. The interval, by
    prompt, takes the fit as it is. None where no prompt has three alternatives.
    """
    parts = list(_prompts(judged, votes))
    if not parts:
        return None
    use = np.concatenate(parts)
    numbers, items = np.unique(votes.items[use], return_inverse=True)
    items = items.reshape(-1, 2)
    shares = np.eye(3)[votes.sign[use].astype(int) + 1]
    data = ItemComparisons(
        items[:, 0],
        items[:, 1],
        Outcomes(shares, votes.weight[use] / votes.weight[use].mean()),
        tuple(numbers.tolist()),
    )
    fit = fit_items(data, family="mean_and_variance", ridge=RIDGE)
    mean = np.asarray(fit.utility.mean, float)
    borda = np.empty(len(numbers))
    for part in parts:
        own = np.searchsorted(numbers, np.unique(votes.items[part]))
        raw = fit.raw[own]
        prob = fit.family.decode(raw[:, None]).prob_preferred_to(fit.family.decode(raw[None]))
        borda[own] = np.asarray(prob, float).mean(1)
    gap = np.sign(borda[items[:, 0]] - borda[items[:, 1]])
    differ = gap * np.sign(mean[items[:, 0]] - mean[items[:, 1]]) < 0
    pairs = votes.pair[use]
    total = len(np.unique(pairs))
    number = len(np.unique(pairs[differ]))
    check = fit.spread_check
    notes = (check.warning,) if check and check.warning else ()
    if number == 0:
        return BordaOrUtility(0, 0.0, None, notes)
    side = judged.prob[use][differ]
    side = np.where(gap[differ] > 0, side, 1 - side)
    at = Clusters(votes.prompt[use][differ], None)
    for_borda = mean_of(side, votes.weight[use][differ], at).estimate(is_share=True)
    return BordaOrUtility(number, number / total, for_borda, notes)
