"""Jailbreaks: how often heads fitted to all of a data set prefer the unsafe response, and why."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hidden_context.audit.comparison_table import DIGEST, Reads, digest_of
from hidden_context.audit.crossfit import Partitions, fit_whole
from hidden_context.audit.family_measures import MOST_ON_A_CURVE, Measured, sample_of_prompts
from hidden_context.audit.heads import Heads, Pairs
from hidden_context.audit.vectors import Vectors
from hidden_context.comparisons.responses import texts_of_responses
from hidden_context.comparisons.schema import Text
from hidden_context.errors import UserError
from hidden_context.likelihood.loss import is_scalar
from hidden_context.likelihood.outcomes import OutcomeModel, Outcomes
from hidden_context.measures.length import rate_without_length, reward_slope
from hidden_context.records import read_jsonl
from hidden_context.risk import MEAN, Risk, rewards_of_rows

RISKS = (MEAN, Risk("quantile", 0.01))
"""Deciders, as in the paper; a scalar family has the first alone."""


@dataclass(frozen=True, eq=False)
class Jailbreaks:
    """n prompts with a safe and an unsafe response."""

    texts: list[tuple[Text, Text]]
    """Of safe and unsafe response, as they are read."""
    lengths: np.ndarray
    """Characters of both responses, shape `(n, 2)`."""
    prompt: np.ndarray
    """Number of each prompt, shape `(n,)`."""

    @property
    def digest(self) -> np.ndarray:
        """Of both texts, shape `(n, 2)`, `DIGEST`."""
        found = b"".join(digest for digest, _ in self.with_digests())
        return np.frombuffer(found, DIGEST).reshape(-1, 2)

    def with_digests(self) -> Iterator[tuple[bytes, Text]]:
        """Every text with its digest, row by row, safe then unsafe."""
        for both in self.texts:
            for text in both:
                yield digest_of(text), text


def read_jailbreaks(file: Path, reads: Reads) -> Jailbreaks:
    """Read rows of `prompt` and `responses`, a safe one and an unsafe one, in this order.

    Raises:
        UserError: A row is damaged or has not two responses.
    """
    rows = read_jsonl(file)
    whole = texts_of_responses(rows, str(file))
    for number, row in enumerate(rows, start=1):
        if len(row["responses"]) != 2:
            raise UserError(
                f"{file}, row {number}: {len(row['responses'])} responses; expected a safe one and "
                "an unsafe one, in this order."
            )
    read: Collection[Any] = whole
    if reads == "response":
        read = [[_said(response) for response in row["responses"]] for row in rows]
    prompts = [str(row["prompt"]) for row in rows]
    _, prompt = np.unique(np.array(prompts, object).astype(str), return_inverse=True)
    return Jailbreaks(
        texts=[(safe, unsafe) for safe, unsafe in read],
        lengths=np.array([[len(str(each)) for each in row["responses"]] for row in rows], float),
        prompt=prompt,
    )


def longer_is_unsafe(jailbreaks: Jailbreaks) -> dict[str, Any]:
    """The rate of "the longer response wins", ties half, as JSON can hold it."""
    safe, unsafe = jailbreaks.lengths.T
    nothing = np.zeros(len(safe))
    return asdict(
        rate_without_length(unsafe, safe, nothing, nothing, jailbreaks.prompt, slope=nothing)
    )


def jailbreak_rates(
    ours: Measured,
    pairs: Pairs,
    partitions: Partitions,
    lengths: np.ndarray,
    jailbreaks: Jailbreaks,
    jailbreak_pairs: Pairs,
    *,
    outcome_model: OutcomeModel,
) -> list[dict[str, Any]]:
    """Rates by the mean and by a risk-averse quantile, and with length regressed out of rewards.

    A head for each seed is fitted to all comparisons. What its rewards owe to length is measured on
    these comparisons, not on the jailbreaks (see `rate_without_length`).

    Args:
        ours: The family, as it was cross-fitted.
        pairs: The comparisons.
        partitions: Their folds; of which only the seeds matter.
        lengths: Characters of both responses of each comparison, shape `(n, 2)`.
        jailbreaks: The jailbreaks.
        jailbreak_pairs: Their vectors, as pairs of safe and unsafe.
        outcome_model: Where thresholds start.

    Returns:
        For each risk `rate` and `without_length`, as JSON can hold them.
    """
    heads = fit_whole(ours.fitted, pairs, partitions, outcome_model=outcome_model)
    chosen = sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE)
    ordinary = _raw(heads, pairs, chosen)
    raw = _raw(heads, jailbreak_pairs, np.arange(len(jailbreak_pairs)))
    risks = RISKS[:1] if is_scalar(ours.family.decode(raw[0, :, 0])) else RISKS
    found = []
    for risk in risks:
        rewards, slopes = [], []
        for seed in range(len(raw)):
            first, second = rewards_of_rows(ours.family, ordinary[seed], (risk,))[str(risk)].T
            slopes.append(reward_slope(first, second, *lengths[chosen].T))
            rewards.append(rewards_of_rows(ours.family, raw[seed], (risk,))[str(risk)])
        safe, unsafe = np.concatenate(rewards).T
        of_safe, of_unsafe = np.tile(jailbreaks.lengths, (len(raw), 1)).T
        prompts = np.tile(jailbreaks.prompt, len(raw))
        slope = np.repeat(slopes, len(jailbreaks.prompt))
        rates = {
            name: asdict(rate_without_length(unsafe, safe, of_unsafe, of_safe, prompts, slope=each))
            for name, each in (("rate", np.zeros_like(slope)), ("without_length", slope))
        }
        found.append({"risk": str(risk), **rates})
    return found


def as_pairs(vectors: Vectors, rows: np.ndarray, prompt: np.ndarray) -> Pairs:
    """Safe and unsafe responses as pairs without outcomes.

    Args:
        vectors: Of all texts.
        rows: Of `vectors`, shape `(n, 2)`.
        prompt: Shape `(n,)`.
    """
    nothing = Outcomes(np.zeros((len(rows), 3), np.float32), np.zeros(len(rows), np.float32))
    return Pairs(vectors, rows[:, 0], rows[:, 1], nothing, prompt)


def _raw(heads: Heads, pairs: Pairs, chosen: np.ndarray) -> np.ndarray:
    """Outputs of every head for both texts, shape `(heads, k, 2, num_outputs)`, float64."""
    both = [each.movedim(1, 0).double().numpy() for each in heads.raw_outputs(pairs, chosen)]
    return np.stack(both, axis=2)


def _said(response: Text) -> str:
    """What a representation of responses alone reads."""
    return response if isinstance(response, str) else str(response[-1]["content"])
