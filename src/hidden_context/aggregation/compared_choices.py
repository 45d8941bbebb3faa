"""Choices from comparisons: what people said of each prompt's responses, by counts."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from hidden_context.aggregation.choices import INCOMPLETE, ONE_GROUP, TOO_FEW, Choice, Choices
from hidden_context.aggregation.evidence import evidence_from_comparisons, group_names
from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import pair_weight, responses_alone
from hidden_context.comparisons.schema import Comparison, prompt_key
from hidden_context.comparisons.texts import Text

Judged = tuple[int, Comparison, str]
"""Number of a row from 1, its comparison, and the group of who judged; empty without groups."""
Vote = tuple[int, int, float, float, str]
"""Of two of a prompt's alternatives: first, second, share of the first, weight, group."""


def choices_from_comparisons(
    comparisons: Comparisons, *, group: str | None = None, keep_incomplete: bool = False
) -> Choices:
    """A choice for each prompt of a data set of comparisons, in order of appearance.

    Equal texts are one alternative. Each vote counts as a comparison, and each pair of a ranking
    of K as 2/K of one; strengths of preference do not count. `group` is the column that says who
    judged. Choices with pairs that were never compared (by a group) are left out unless kept.

    Raises:
        UserError: The groups cannot be told, or there is only one.
    """
    if group is not None:
        comparisons = comparisons.grouped_by(group)
    by_prompt: dict[str, list[Judged]] = {}
    for number, comparison in enumerate(comparisons, start=1):
        judge = "" if group is None else str(comparison.group)
        by_prompt.setdefault(prompt_key(comparison), []).append((number, comparison, judge))
    if group is not None:
        group_names([judge for judged in by_prompt.values() for _, _, judge in judged])
    kept: list[Choice] = []
    left_out: Counter[str] = Counter()
    for key, judged in by_prompt.items():
        texts, votes = _votes(judged)
        if not votes:
            left_out[TOO_FEW] += 1
            continue
        first, second, shares, weights, groups = zip(*votes, strict=True)
        if group is not None and len(set(groups)) < 2:
            left_out[ONE_GROUP] += 1
            continue
        evidence = evidence_from_comparisons(
            first,
            second,
            shares,
            num_alternatives=len(texts),
            weights=weights,
            groups=None if group is None else groups,
        )
        if evidence.is_complete or keep_incomplete:
            prompt = _prompt(key)
            responses = tuple(_without_prompt(text, prompt) for text in texts)
            kept.append(Choice(judged[0][0], prompt, responses, evidence))
        else:
            left_out[INCOMPLETE] += 1
    return Choices(tuple(kept), left_out)


def _prompt(key: str) -> Text:
    """The prompt of a `prompt_key`; empty where it is only a list of texts."""
    prompt = json.loads(key)
    is_texts = isinstance(prompt, list) and all(isinstance(part, str) for part in prompt)
    return "" if is_texts else prompt


def _without_prompt(text: Text, prompt: Text) -> Text:
    (response,) = responses_alone([text], prompt) if prompt else (text,)
    assert response is not None
    return response


def _votes(judged: Sequence[Judged]) -> tuple[list[Text], list[Vote]]:
    """The distinct texts of a prompt, in order of appearance, and the comparisons of them."""
    texts = {_key(text): text for _, comparison, _ in judged for text in comparison.texts}
    index = {key: number for number, key in enumerate(texts)}
    votes: list[Vote] = []
    for _, comparison, judge in judged:
        shares = comparison.outcome.shares
        tie = len(shares) // 2
        share = min(sum(shares[tie + 1 :]) + shares[tie] / 2, 1.0)
        order = [index[_key(text)] for text in comparison.texts]
        votes += [
            (first, second, share, pair_weight(comparison), judge)
            for first, second in combinations(order, 2)
            if first != second
        ]
    return list(texts.values()), votes


def _key(text: Text) -> str:
    return text if isinstance(text, str) else json.dumps(text, default=dict)
