"""Comparisons that people should look at, chosen from a score file that is read row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import is_scalar
from hidden_context.records import iterate_jsonl, require_columns
from hidden_context.report.measured import ScoreFile
from hidden_context.report.shown_text import ShownText, shown, split_prompt

SIDES = ("chosen", "rejected")
COLUMNS = tuple(f"reward_output_{side}" for side in SIDES)
LOW_LEVEL = 0.01
"""Of the risk-averse quantile, as in the paper."""


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


def examples_of(file: ScoreFile, num_examples: int) -> list[Kind]:
    """Read the outputs, choose, then read the texts of those chosen.

    Args:
        file: Scored comparisons.
        num_examples: Of each kind, at most.

    Raises:
        UserError: The file is damaged or has no rows.
    """
    raw = _outputs(file.path, file.family)
    kinds = _scalar_kinds if is_scalar_family(file.family) else _distributional_kinds
    found = []
    for title, explanation, order in kinds(file.family, raw):
        rows = _without_copies(order, raw, num_examples)
        found.append((title, explanation, rows, len(order)))
    wanted = sorted({row for _, _, rows, _ in found for row in rows})
    texts = _texts(file.path, wanted)
    return [
        Kind(
            title,
            explanation,
            tuple(_example(row, texts[row], file.family, raw[row]) for row in rows),
            num_eligible,
        )
        for title, explanation, rows, num_eligible in found
        if rows
    ]


def is_scalar_family(family: Family) -> bool:
    """Whether its utilities are points, whatever the outputs; told by outputs that all differ."""
    return is_scalar(family.decode(np.arange(float(family.num_outputs))[None]))


Order = tuple[str, str, np.ndarray]
"""Title, explanation, and row numbers, the most typical first."""


def _distributional_kinds(family: Family, raw: np.ndarray) -> Iterator[Order]:
    utility = _decode(family, raw)
    mean, low, variance = (
        np.asarray(each, np.float64).reshape(-1, 2)
        for each in (utility.mean, utility.quantile(LOW_LEVEL), utility.variance)
    )
    spread = variance.sum(1)
    yield (
        "Most contested",
        "largest spread: the sum of the variances of both utilities",
        np.argsort(-spread, kind="stable"),
    )
    yield "Most certain", "smallest spread", np.argsort(spread, kind="stable")
    by_mean, by_low = mean[:, 0] - mean[:, 1], low[:, 0] - low[:, 1]
    disagree = np.flatnonzero(by_mean * by_low < 0)
    clarity = np.minimum(np.abs(by_mean), np.abs(by_low))[disagree]
    yield (
        "Mean and 0.01-quantile disagree",
        "one response has the higher mean, the other the higher 0.01-quantile: who is wary of the "
        "worst cases decides otherwise",
        disagree[np.argsort(-clarity, kind="stable")],
    )


def _scalar_kinds(family: Family, raw: np.ndarray) -> Iterator[Order]:
    """A scalar family knows no spread: only how far apart two utilities are."""
    mean = np.asarray(_decode(family, raw).mean, np.float64).reshape(-1, 2)
    gap = np.abs(mean[:, 0] - mean[:, 1])
    yield "Closest", "smallest difference of the utilities", np.argsort(gap, kind="stable")
    yield "Most decided", "largest difference of the utilities", np.argsort(-gap, kind="stable")


def _decode(family: Family, raw: np.ndarray) -> UtilityDistribution:
    """Utilities of all responses, chosen and rejected in turn; contexts centred over each pair."""
    flat = raw.reshape(-1, raw.shape[-1]).astype(np.float64)
    return family.decode(flat).centered(np.repeat(np.arange(len(raw)), 2))


def _outputs(path: Path, family: Family) -> np.ndarray:
    """Raw outputs of both responses, shape `(n, 2, num_outputs)`, float32."""
    rows: list[np.ndarray] = []
    for number, row in enumerate(iterate_jsonl(path), start=1):
        require_columns([row], COLUMNS, path, first=number)
        try:
            both = np.array([row[column] for column in COLUMNS], np.float32).reshape(2, -1)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"{path}, row {number}: outputs are not numbers of one width ({error})."
            ) from error
        if both.shape[1] != family.num_outputs or not np.isfinite(both).all():
            raise UserError(
                f"{path}, row {number}: expected {family.num_outputs} finite outputs of each "
                f"response, as family {family.name} has."
            )
        rows.append(both)
    if not rows:
        raise UserError(f"{path} has no rows.")
    return np.stack(rows)


def _without_copies(order: np.ndarray, raw: np.ndarray, most: int) -> list[int]:
    """The first rows whose outputs differ: copies of a comparison would crowd out others."""
    seen, rows = set(), []
    for row in order:
        key = raw[row].tobytes()
        if len(rows) < most and key not in seen:
            seen.add(key)
            rows.append(int(row))
        if len(rows) >= most:
            break
    return rows


def _texts(path: Path, wanted: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Some rows, without reading beyond the last of them."""
    found: dict[int, dict[str, Any]] = {}
    for number, row in enumerate(iterate_jsonl(path)):
        if number in wanted:
            found[number] = {name: row.get(name) for name in (*SIDES, "prompt")}
            if len(found) == len(wanted):
                break
    return found


def _example(number: int, row: dict[str, Any], family: Family, raw: np.ndarray) -> Example:
    chosen, rejected = (
        "(the text is not in the file)" if row[side] is None else row[side] for side in SIDES
    )
    prompt, *rest = split_prompt(chosen, rejected, row["prompt"])
    utility = _decode(family, raw[None])
    sides = [family.decode(each[None].astype(np.float64)) for each in raw]
    log_prob = np.asarray(sides[0].log_prob_preferred_to(sides[1]), np.float64)
    return Example(
        row=number + 1,
        prompt=shown(prompt) if prompt else None,
        texts=(shown(rest[0]), shown(rest[1])),
        utility=utility,
        prob=float(np.exp(min(log_prob[0], 0.0))),
    )
