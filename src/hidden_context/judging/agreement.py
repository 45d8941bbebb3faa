"""How a judge agrees with people: calibration, certainty, ties, order, length, the ceiling."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hidden_context.judging.judgments import Judgments
from hidden_context.judging.slopes import slopes
from hidden_context.judging.two_way import Clusters, Measured, compare, mean_of
from hidden_context.judging.votes import Votes
from hidden_context.measures.estimate import Estimate

EDGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of the bins of how sure a judge is."""
MEASURES: Mapping[str, str] = {
    "agreement": "share of votes for the response that the judge prefers, ties half",
    "confidence": "mean probability that the judge gives the response that it prefers",
    "overconfidence": "confidence less agreement; 0 where probabilities mean what they say",
    "sure_where_split": "|2P - 1| of the judge where two people prefer different responses",
    "sure_where_agreed": "|2P - 1| of the judge where two people prefer the same response",
    "surer_where_agreed": "the second less the first; 0: it does not know where people split",
    "ties_of_people": "share of votes that are ties",
    "ties_of_judge": "share of the judge's verdicts that are ties",
    "sure_at_ties": "|2P - 1| of the judge at votes that are ties",
    "surer_off_ties": "|2P - 1| at other votes, less that at ties",
    "first_shown_judge": "share of the judge's verdicts for the response shown first, ties half",
    "first_shown_people": "share of the same people's votes for it",
    "position_bias": "the first less the second",
    "length_judge": "log-odds that the judge gives a response e times as long",
    "length_people": "log-odds that people give it",
    "length_bias": "the first less the second",
    "person_and_majority": "how often a vote agrees with the majority of the other votes",
    "judge_and_majority": "how often the judge agrees with the same majority, its ties half",
    "judge_and_person": "the second less the first; 0: the judge is as good as another person",
}
"""What each number is; without ties of people unless it says so."""

SHARES = tuple(
    name
    for name in MEASURES
    if name.startswith(("agree", "confid", "sure_", "ties", "first", "person_", "judge_and_maj"))
)
"""Those that lie in [0, 1]."""


@dataclass(frozen=True)
class SureBin:
    """Pairs of which the judge is about as sure."""

    low: float
    high: float
    num_votes: float
    confidence: float
    """Mean of max(P, 1 - P)."""
    agreement: Estimate
    """Share of votes for what it prefers."""


def agreement_measures(judged: Judgments, votes: Votes) -> dict[str, Estimate]:
    """The numbers of `MEASURES` that can be had; without several people, orders, or texts fewer."""
    found = _calibration(judged, votes) | _where_people_split(judged, votes)
    found |= _ties(judged, votes) | _position(judged, votes) | _ceiling(judged, votes)
    known = judged.known & np.isfinite(votes.length)
    if known.any() and (votes.length[known] != 0).any():
        found |= slopes_of("length", votes.length, judged, votes)
    return {name: found[name] for name in sorted(found, key=[*MEASURES].index)}


def slopes_of(
    name: str, difference: np.ndarray, judged: Judgments, votes: Votes
) -> dict[str, Estimate]:
    """Log-odds a unit of a feature: the judge's, the people's, and the bias, its difference."""
    use = judged.known & np.isfinite(difference)
    people = (1 + votes.sign[use]) / 2
    found = slopes(
        difference[use], judged.prob[use], people, votes.weight[use], clusters_of(votes).at(use)
    )
    return _named(found, f"{name}_judge", f"{name}_people", f"{name}_bias")


def clusters_of(votes: Votes) -> Clusters:
    """By prompt, and by person where all are named."""
    return Clusters(votes.prompt, votes.person)


def sure_bins(judged: Judgments, votes: Votes) -> tuple[SureBin, ...]:
    """Agreement by how sure the judge is, in the bins of `EDGES` that have votes."""
    confidence, agrees = _confidence(judged, votes)
    at = np.clip(np.digitize(confidence, EDGES) - 1, 0, len(EDGES) - 2)
    bins = []
    for number in range(len(EDGES) - 1):
        use = judged.known & (at == number)
        if use.any():
            weight = votes.weight[use]
            observed = mean_of(agrees[use], weight, clusters_of(votes).at(use))
            mean = float(np.average(confidence[use], weights=weight))
            low, high = EDGES[number : number + 2]
            bins.append(
                SureBin(
                    low, high, float(votes.count[use].sum()), mean, observed.estimate(is_share=True)
                )
            )
    return tuple(bins)


def _confidence(judged: Judgments, votes: Votes) -> tuple[np.ndarray, np.ndarray]:
    return (1 + np.abs(judged.side)) / 2, (1 + np.sign(judged.side) * votes.sign) / 2


def _calibration(judged: Judgments, votes: Votes) -> dict[str, Estimate]:
    use = judged.known
    confidence, agrees = (values[use] for values in _confidence(judged, votes))
    weight = votes.weight[use]
    found = compare((confidence, weight), (agrees, weight), clusters_of(votes).at(use))
    return _named(found, "confidence", "agreement", "overconfidence")


def _where_people_split(judged: Judgments, votes: Votes) -> dict[str, Estimate]:
    """Over every two votes of different people on a pair; unbiased however few votes it has."""
    for_first, for_second, _ = votes.others
    use = judged.known & (votes.sign != 0)
    against = np.where(votes.sign > 0, for_second, for_first)[use] * votes.weight[use]
    along = np.where(votes.sign > 0, for_first, for_second)[use] * votes.weight[use]
    if not (against.any() and along.any()):
        return {}
    sure, at = np.abs(judged.side[use]), clusters_of(votes).at(use)
    found = compare((sure, along), (sure, against), at, are_twice=True)
    return _named(found, "sure_where_agreed", "sure_where_split", "surer_where_agreed")


def _ties(judged: Judgments, votes: Votes) -> dict[str, Estimate]:
    use = judged.known
    weight, at = votes.weight[use], clusters_of(votes).at(use)
    tied = (votes.sign[use] == 0).astype(float)
    found = {
        "ties_of_people": mean_of(tied, weight, at).estimate(is_share=True),
        "ties_of_judge": mean_of(judged.tie[use], weight, at).estimate(is_share=True),
    }
    if not 0 < tied.mean() < 1:
        return found
    sure = np.abs(judged.side[use])
    compared = compare((sure, weight * (1 - tied)), (sure, weight * tied), at)
    found["sure_at_ties"] = compared.estimate(1, is_share=True)
    return found | {"surer_off_ties": compared.estimate(2)}


def _position(judged: Judgments, votes: Votes) -> dict[str, Estimate]:
    """Verdicts against the votes on the same pairs in the same order; of what sees the order."""
    if judged.in_order is None:
        return {}
    use = ~np.isnan(judged.in_order) & (votes.shown != 0)
    if not use.any():
        return {}
    weight = votes.weight[use]
    judge = (1 + votes.shown * judged.in_order)[use] / 2
    people = (1 + votes.shown * votes.sign)[use] / 2
    found = compare((judge, weight), (people, weight), clusters_of(votes).at(use))
    return _named(found, "first_shown_judge", "first_shown_people", "position_bias")


def _ceiling(judged: Judgments, votes: Votes) -> dict[str, Estimate]:
    """Votes that are no ties, where the other votes on the pair have a majority without ties."""
    for_first, for_second, _ = votes.others
    majority = np.sign(for_first - for_second)
    use = judged.known & (votes.sign != 0) & (majority != 0)
    if not use.any():
        return {}
    weight = votes.weight[use]
    person = (1 + votes.sign * majority)[use] / 2
    judge = (1 + np.sign(judged.side) * majority)[use] / 2
    found = compare((judge, weight), (person, weight), clusters_of(votes).at(use))
    return _named(found, "judge_and_majority", "person_and_majority", "judge_and_person")


def _named(found: Measured, *names: str) -> dict[str, Estimate]:
    return {
        name: found.estimate(number, is_share=name in SHARES) for number, name in enumerate(names)
    }
