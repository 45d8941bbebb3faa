"""Comparisons that people should look at, chosen by their scores."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from hidden_context.distributions import UtilityDistribution
from hidden_context.report.shown_text import ShownText, shown, split_prompt
from hidden_context.scores.row_texts import texts_of_row
from hidden_context.scores.scores import Scores

LOW_LEVEL = 0.01
"""Of the risk-averse quantile, as in the paper."""
CONTESTED, AGREED = "Most contested", "Most agreed"
NO_TEXT = "(the text is not in the file)"


@dataclass(frozen=True, eq=False)
class Example:
    """Two texts and their utilities."""

    row: int
    """From 1."""
    prompt: ShownText | None
    texts: tuple[ShownText, ShownText]
    utility: UtilityDistribution
    """Of both, a batch of 2."""
    prob: float
    """P(chosen ≻ rejected)."""


@dataclass(frozen=True)
class Kind:
    """Examples of one kind, the most typical first."""

    title: str
    explanation: str
    examples: tuple[Example, ...]
    num_eligible: int
    """Comparisons that such examples were chosen from."""


def examples_of(scores: Scores, num_examples: int) -> list[Kind]:
    """Choose by the outputs, then read the texts of those chosen.

    Args:
        scores: Of comparisons.
        num_examples: Of each kind, at most.
    """
    chosen = []
    for title, explanation, places in _orders(scores):
        order = np.argsort(places, kind="stable")[: np.sum(places < np.inf)]
        rows = _without_copies(order, scores.by_row, num_examples)
        chosen.append((title, explanation, rows, len(order)))
    wanted = {row for _, _, rows, _ in chosen for row in rows}
    up_to_last = islice(enumerate(scores.rows), max(wanted, default=-1) + 1)
    rows_read = {number: row for number, row in up_to_last if number in wanted}
    prob = np.exp(scores.log_prob)

    def example(number: int) -> Example:
        prompt, texts = texts_of_row(rows_read.get(number, {}), f"row {number + 1}")
        chosen, rejected = (NO_TEXT if text is None else text for text in texts)
        prompt, chosen, rejected = split_prompt(chosen, rejected, prompt)
        return Example(
            row=number + 1,
            prompt=shown(prompt) if prompt else None,
            texts=(shown(chosen), shown(rejected)),
            utility=scores.utility[number],
            prob=float(prob[number]),
        )

    return [
        Kind(title, explanation, tuple(map(example, rows)), num_eligible)
        for title, explanation, rows, num_eligible in chosen
        if rows
    ]


Order = tuple[str, str, np.ndarray]
"""Title, explanation, and a number for each row: the lowest is the most typical, ∞ is none."""


def _orders(scores: Scores) -> list[Order]:
    utility = scores.utility
    mean, low, variance = (
        np.asarray(values, np.float64)
        for values in (utility.mean, utility.quantile(LOW_LEVEL), utility.variance)
    )
    by_mean, by_low, spread = mean[:, 0] - mean[:, 1], low[:, 0] - low[:, 1], variance.sum(1)
    if utility.is_scalar:  # it knows no spread: only how far apart two utilities are
        gap = np.abs(by_mean)
        return [
            ("Closest", "smallest difference of the utilities", gap),
            ("Most decided", "largest difference of the utilities", -gap),
        ]
    log_prob = np.asarray(utility[:, 0].log_prob_preferred_to(utility[:, 1]), np.float64)
    clarity = np.minimum(np.abs(by_mean), np.abs(by_low))
    return [
        (
            CONTESTED,
            "largest spread: the sum of the variances of both utilities",
            -spread,
        ),
        (AGREED, "P(a ≻ b) furthest from one half", -np.abs(np.exp(log_prob) - 0.5)),
        (
            "Mean and 0.01-quantile disagree",
            "one response has the higher mean, the other the higher 0.01-quantile: who is wary of "
            "the worst cases decides otherwise",
            np.where(by_mean * by_low < 0, -clarity, np.inf),
        ),
    ]


def _without_copies(order: np.ndarray, raw: np.ndarray, most: int) -> list[int]:
    """The first rows of different pairs: further votes on a pair would crowd out others.

    Equal responses have equal outputs, whichever of them won.
    """
    rows: dict[frozenset[bytes], int] = {}
    for row in order.tolist():
        if len(rows) >= most:
            break
        rows.setdefault(frozenset(response.tobytes() for response in raw[row]), row)
    return list(rows.values())
