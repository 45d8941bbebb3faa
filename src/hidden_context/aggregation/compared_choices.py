"""Choices from comparisons: what people said of each prompt's responses, by counts."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hidden_context.aggregation.choices import INCOMPLETE, ONE_GROUP, TOO_FEW, Choice, Choices
from hidden_context.aggregation.evidence import Evidence, evidence_from_comparisons, group_names
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import pair_weight
from hidden_context.comparisons.schema import Comparison, Text, prompt_key
from hidden_context.errors import UserError
from hidden_context.records import require_columns


@dataclass(frozen=True)
class _Vote:
    """A comparison of two of a prompt's alternatives."""

    first: int
    second: int
    share: float
    weight: float
    group: str


def choices_from_comparisons(
    comparisons: Comparisons,
    *,
    group: str | None = None,
    keep_incomplete: bool = False,
) -> Choices:
    """A choice for each prompt of a data set of comparisons, in order of appearance.

    Equal texts are one alternative. Each vote counts as a comparison, and each pair of a ranking
    of K as 2/K of one; strengths of preference do not count.

    Args:
        comparisons: The data.
        group: Column that says who judged.
        keep_incomplete: Keep choices with pairs that were never compared (by a group).

    Raises:
        UserError: The groups cannot be told, or there is only one.
    """
    source = comparisons.source
    if group is not None:
        require_columns((comparison.row for comparison in comparisons), (group,), source)
    by_prompt: dict[str, list[tuple[int, Comparison]]] = {}
    for number, comparison in enumerate(comparisons, start=1):
        by_prompt.setdefault(prompt_key(comparison), []).append((number, comparison))
    judged_by = {
        number: "" if group is None else _group(comparison.row, group, f"{source}, row {number}")
        for found in by_prompt.values()
        for number, comparison in found
    }
    if group is not None:
        group_names(list(judged_by.values()))
    kept: list[Choice] = []
    left_out: Counter[str] = Counter()
    for key, found in by_prompt.items():
        prompt = _prompt(key)
        texts, votes = _votes(found, judged_by)
        groups = {vote.group for vote in votes}
        if not votes:
            left_out[TOO_FEW] += 1
        elif group is not None and len(groups) < 2:
            left_out[ONE_GROUP] += 1
        else:
            evidence = _evidence(votes, len(texts), by_group=group is not None)
            if evidence.is_complete or keep_incomplete:
                responses = tuple(without_prompt(text, prompt) for text in texts)
                kept.append(Choice(found[0][0], prompt, responses, evidence))
            else:
                left_out[INCOMPLETE] += 1
    return Choices(tuple(kept), left_out)


def without_prompt(text: Text, prompt: Text) -> Text:
    """A response alone, of a text that may begin with its prompt."""
    if isinstance(text, str):
        return text.removeprefix(prompt) if isinstance(prompt, str) else text
    turns = [{"content": prompt}] if isinstance(prompt, str) else prompt
    begins = len(text) >= len(turns) and all(
        turn["content"] == prompt_turn["content"]
        for turn, prompt_turn in zip(text, turns, strict=False)
    )
    return text[len(turns) :] if begins else text


def _group(row: Mapping[str, Any], column: str, place: str) -> str:
    name = "" if row[column] is None else str(row[column])
    if not name.strip():
        raise UserError(f"{place}: column {column!r} is empty; name the group, or drop the row.")
    return name


def _prompt(key: str) -> Text:
    """The prompt of a `prompt_key`; empty where it is only a list of texts."""
    prompt = json.loads(key)
    is_texts = isinstance(prompt, list) and all(isinstance(part, str) for part in prompt)
    return "" if is_texts else prompt


def _votes(
    found: Sequence[tuple[int, Comparison]], judged_by: Mapping[int, str]
) -> tuple[list[Text], list[_Vote]]:
    """The distinct texts of a prompt, and the comparisons of them."""
    index: dict[str, int] = {}
    texts: list[Text] = []
    votes = []
    for number, comparison in found:
        for text in comparison.texts:
            if index.setdefault(_key(text), len(texts)) == len(texts):
                texts.append(text)
        order = [index[_key(text)] for text in comparison.texts]
        outcome = comparison.outcome
        grades = len(outcome.shares) // 2
        share = sum(outcome.shares[grades + 1 :]) + outcome.shares[grades] / 2
        votes += [
            _Vote(first, second, min(share, 1.0), pair_weight(comparison), judged_by[number])
            for first, second in combinations(order, 2)
            if first != second
        ]
    return texts, votes


def _evidence(votes: Sequence[_Vote], num_alternatives: int, *, by_group: bool) -> Evidence:
    return evidence_from_comparisons(
        [vote.first for vote in votes],
        [vote.second for vote in votes],
        [vote.share for vote in votes],
        num_alternatives=num_alternatives,
        weights=[vote.weight for vote in votes],
        groups=[vote.group for vote in votes] if by_group else None,
    )


def _key(text: Text) -> str:
    return text if isinstance(text, str) else json.dumps(text, default=dict)
