"""From preference data to decisions, by who judged them, with named features."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from hidden_context.axes.axes import contexts_name
from hidden_context.axes.features import Feature, measured, words_said
from hidden_context.axes.selection import Decisions
from hidden_context.axes.spread_test import Shuffle
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import pairs_of, responses_alone
from hidden_context.comparisons.people_columns import name_in
from hidden_context.comparisons.row_notes import MOST_SHOWN, alike
from hidden_context.comparisons.schema import Comparison, prompt_key
from hidden_context.comparisons.survey import is_empty
from hidden_context.comparisons.texts import LAST_TURN, Text, numbers_in_order
from hidden_context.errors import UserError

FEWEST_PAIRS = 20
"""Comparisons whose responses a feature has to tell apart to be tested,"""
LEAST_SHARE = 0.01
"""and their share."""
LARGEST = 3.0
"""Units that a difference counts at most: one pair must not speak for its feature."""
TOO_ALIKE = 0.95
"""Correlation with an earlier feature at which one is not tested."""
LITTLE_LEFT = 0.5
"""Share of units that must be able to change places within a stratum."""

WHERE = {
    "pair": "votes on the same two responses: nothing but who judged differs between them",
    "prompt": "comparisons of the same prompt, as if it was left to chance who judged which",
    "annotator": "the comparisons of each annotator",
    "whole annotators": "annotators, who keep all of their comparisons",
    "all": "all comparisons, as if it was left to chance who judged which (or as if the features "
    "were all that people like on average)",
}
"""Among what contexts change places under the null hypothesis, in words."""


@dataclass(frozen=True)
class PairOfTexts:
    """What was decided between."""

    row: int
    """Of the data, from 1."""
    prompt: str
    first: str
    second: str

    @property
    def texts(self) -> tuple[str, ...]:
        """The same, whichever response is first."""
        return (self.prompt, *sorted((self.first, self.second)))


@dataclass(frozen=True, eq=False)
class Design:
    """Everything that the search needs."""

    decisions: Decisions
    by: str
    contexts: tuple[str, ...]
    features: tuple[Feature, ...]
    pairs: tuple[PairOfTexts, ...]
    unit: np.ndarray
    unit_context: np.ndarray
    stratum: np.ndarray
    where: str
    """A key of `WHERE`."""
    counts: Mapping[str, int]
    """What was read and what was left out."""
    notes: tuple[str, ...] = ()
    """What is to be known of the contexts."""

    @cached_property
    def places(self) -> dict[tuple[str, ...], list[int]]:
        """Numbers of the decisions between two responses to a prompt."""
        places: dict[tuple[str, ...], list[int]] = {}
        for number, pair in enumerate(self.pairs):
            places.setdefault(pair.texts, []).append(number)
        return places

    def shuffle(self, num_permutations: int, seed: int, *, progress: bool = False) -> Shuffle:
        """How contexts change places."""
        return Shuffle(self.unit, self.unit_context, self.stratum, num_permutations, seed, progress)


@dataclass(frozen=True)
class _Decision:
    pair: PairOfTexts
    wins: float
    votes: float
    context: str
    annotator: str | None
    prompt: str


def read_design(
    comparisons: Comparisons,
    *,
    by: str | None,
    num_words: int,
    features: Mapping[str, Callable[[str], float]],
) -> Design:
    """Read, count, measure.

    Raises:
        UserError: Nothing links comparisons of one context, there is one context alone, or no
            feature tells responses apart.
    """
    by = by or _linked_by(comparisons)
    counts = dict.fromkeys(("ties", "equal_texts", "without_context"), 0)
    decided = list(_decided(comparisons, by, counts))
    contexts = tuple(dict.fromkeys(each.context for each in decided))
    if len(contexts) < 2:
        raise UserError(
            f"{comparisons.source}: decided comparisons have {len(contexts)} different values of "
            f"{by!r}; what divides them takes two or more."
        )
    context = numbers_in_order([each.context for each in decided])
    names, differences, unused = _differences(decided, num_words, features)
    unit, unit_context, stratum, where = _places(decided, context, by)
    counts |= {
        "rows": len(comparisons),
        "decided": len(decided),
        "contexts": len(contexts),
        "features": len(names),
        "features_left_out": unused,
    }
    decisions = Decisions(
        differences,
        np.array([each.wins for each in decided]),
        np.array([each.votes for each in decided]),
        context,
    )
    pairs = tuple(each.pair for each in decided)
    return Design(
        decisions,
        by,
        contexts,
        tuple(names),
        pairs,
        unit,
        unit_context,
        stratum,
        where,
        counts,
        tuple(_notes(decided, contexts, by, where)),
    )


def _linked_by(comparisons: Comparisons) -> Literal["annotator", "group"]:
    if any(comparison.annotator is not None for comparison in comparisons):
        return "annotator"
    if any(comparison.group is not None for comparison in comparisons):
        return "group"
    repeats = len(comparisons) - len(np.unique(comparisons.prompts))
    read = comparisons.columns
    columns = ", ".join((*read.by_role.get("objective", ()), *read.carried)) or "none"
    raise UserError(
        f"{comparisons.source}: nothing says which comparisons were judged alike. One vote at a "
        "time shows only what is liked on average: people who disagree by halves leave the same "
        "votes as people who toss a coin. Give a column annotator or group, or name one in `by` "
        f"(there are: {columns}); by='prompt' asks what differs between prompts ({repeats} "
        "comparisons are of a prompt that came before)."
    )


def _context_of(comparison: Comparison, by: str, place: str, prompt: str) -> str | None:
    if by == "prompt":
        return prompt
    known = {"annotator": comparison.annotator, "group": comparison.group}
    if by in known and by not in comparison.row:
        return known[by]
    if by not in comparison.row:
        present = ", ".join(map(str, comparison.row))
        raise UserError(f"{place}: no column {by!r}; `by` can be prompt, or one of {present}.")
    value = comparison.row[by]
    return None if is_empty(value) else name_in(comparison.row, by, place)


def _decided(comparisons: Comparisons, by: str, counts: dict[str, int]) -> Iterator[_Decision]:
    """The pairs of which somebody decided for one; ties, and others without use, are counted."""
    comparisons.columns.refuse_observed(by, comparisons.source, "what divides the comparisons")
    for number, comparison in enumerate(comparisons, start=1):
        prompt = prompt_key(comparison)
        context = _context_of(comparison, by, f"{comparisons.source}, row {number}", prompt)
        shares = comparison.outcome.shares
        middle = len(shares) // 2
        decided = 1 - shares[middle]
        for pair in pairs_of([comparison]):
            first, second = map(
                _said, responses_alone([pair.first, pair.second], comparison.prompt)
            )
            if context is None:
                counts["without_context"] += 1
            elif first == second:
                counts["equal_texts"] += 1
            elif decided * pair.weight <= 0:
                counts["ties"] += 1
            else:
                yield _Decision(
                    PairOfTexts(number, _asked(comparison), first, second),
                    sum(shares[middle + 1 :]) / decided,
                    pair.weight * decided,
                    context,
                    comparison.annotator,
                    prompt,
                )


def _said(response: Text | None) -> str:
    """A response as text: of a conversation what is said last."""
    assert response is not None
    text = response if isinstance(response, str) else str(response[-1]["content"])
    return text.removeprefix(LAST_TURN).strip()


def _asked(comparison: Comparison) -> str:
    """The prompt as text: of a conversation the last turn."""
    prompt = comparison.prompt
    if prompt is None:
        whole = comparison.chosen
        return whole.rpartition(LAST_TURN)[0] if isinstance(whole, str) else ""
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])


def _differences(
    decided: Sequence[_Decision], num_words: int, further: Mapping[str, Callable[[str], float]]
) -> tuple[list[Feature], np.ndarray, int]:
    """Features of the first less the second, of unit root mean square; how many were left out."""
    sides = [
        (each.pair.prompt, text) for each in decided for text in (each.pair.first, each.pair.second)
    ]
    number_of = {side: number for number, side in enumerate(dict.fromkeys(sides))}
    pairs = np.array([number_of[side] for side in sides]).reshape(-1, 2)
    prompts, responses = zip(*number_of, strict=True)
    fewest = max(FEWEST_PAIRS, round(LEAST_SHARE * len(pairs)))
    named, values = measured(responses, prompts, further)
    words, says = words_said(responses, pairs, num_words, fewest)
    features, values = [*named, *words], np.column_stack([values, says])
    differences = values[pairs[:, 0]] - values[pairs[:, 1]]
    tells = (np.abs(differences) > 1e-12).sum(0) >= fewest
    differences = differences[:, tells]
    differences /= np.sqrt((differences**2).mean(0))
    differences = differences.clip(-LARGEST, LARGEST)
    differences /= np.sqrt((differences**2).mean(0))
    alike = np.abs(differences.T @ differences) / len(differences) > TOO_ALIKE
    kept: list[int] = []
    for column in range(differences.shape[1]):
        if not alike[column, kept].any():
            kept.append(column)
    if not kept:
        raise UserError(
            f"no feature tells the responses of {fewest} of {len(pairs)} comparisons apart; there "
            "are too few, or their texts are too much alike."
        )
    chosen = [feature for feature, told in zip(features, tells, strict=True) if told]
    return [chosen[column] for column in kept], differences[:, kept], len(features) - len(kept)


def _places(
    decided: Sequence[_Decision], context: np.ndarray, by: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """What changes places: number of each comparison's unit, context and stratum of each unit."""
    if by != "annotator" and all(each.annotator is not None for each in decided):
        annotator = numbers_in_order([each.annotator for each in decided])
        of_annotator = context[np.unique(annotator, return_index=True)[1]]
        if (of_annotator[annotator] == context).all():
            stratum = np.zeros(len(of_annotator), int)
            return annotator, of_annotator, stratum, "whole annotators"
    else:
        annotator = None
    unit, first = np.unique([each.pair.row for each in decided], return_index=True)
    unit_of = np.searchsorted(unit, [each.pair.row for each in decided])
    if annotator is not None:
        return unit_of, context[first], annotator[first], "annotator"
    strata = {
        "pair": numbers_in_order([(decided[at].prompt, decided[at].pair.texts) for at in first])
    }
    if by != "prompt":
        strata["prompt"] = numbers_in_order([decided[at].prompt for at in first])
    for where, stratum in strata.items():
        if _can_move(stratum, context[first]) >= LITTLE_LEFT:
            return unit_of, context[first], stratum, where
    return unit_of, context[first], np.zeros(len(first), int), "all"


def _notes(
    decided: Sequence[_Decision], contexts: Sequence[str], by: str, where: str
) -> Iterator[str]:
    """Contexts whose names are alike, and annotators who are in several, each a sentence."""
    if by == "prompt":
        return
    called = contexts_name(by)
    yield from alike(contexts, called)
    if where != "annotator":
        return
    of_annotator: dict[str, dict[str, None]] = {}
    for each in decided:
        assert each.annotator is not None
        of_annotator.setdefault(each.annotator, {})[each.context] = None
    several = {who: [*said] for who, said in of_annotator.items() if len(said) > 1}
    shown = next((who for who, said in several.items() if any(alike(said, ""))), min(several))
    values = " and ".join(map(repr, several[shown][:MOST_SHOWN]))
    yield (
        f"{len(several)} of {len(of_annotator)} annotators have several {called}, such as "
        f"{shown!r} ({values}{', ...' if len(several[shown]) > MOST_SHOWN else ''}), so who judged "
        "what was redrawn among the comparisons of each annotator, not among annotators"
    )


def _can_move(stratum: np.ndarray, context: np.ndarray) -> float:
    """Share of units in strata of more than one context."""
    both = np.unique(np.column_stack([stratum, context]), axis=0)
    several = np.bincount(both[:, 0], minlength=stratum.max() + 1) > 1
    return float(several[stratum].mean())
