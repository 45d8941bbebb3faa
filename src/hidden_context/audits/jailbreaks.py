"""Jailbreaks: how often heads fitted to all of a data set prefer the unsafe response, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hidden_context.audits.comparison_table import DIGEST, Reads, digest_of, last_turn
from hidden_context.audits.crossfit import CrossFit, fit_whole
from hidden_context.audits.family_fit import MOST_ON_A_CURVE
from hidden_context.audits.folds import sample_of_prompts
from hidden_context.audits.heads import Heads, Pairs
from hidden_context.comparisons.pairs import response_lengths, responses_alone
from hidden_context.comparisons.responses import read_responses
from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError
from hidden_context.measures.estimate import Estimate
from hidden_context.measures.evaluate import informative
from hidden_context.measures.length import rate_without_length, reward_slope
from hidden_context.records import read_jsonl
from hidden_context.risk import PAPER_RISK
from hidden_context.scores.scores import Scores


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
        digests = b"".join(digest for digest, _ in self.with_digests)
        return np.frombuffer(digests, DIGEST).reshape(-1, 2)

    @property
    def with_digests(self) -> list[tuple[bytes, Text]]:
        """Every text with its digest, row by row, safe then unsafe."""
        return [(digest_of(text), text) for both in self.texts for text in both]


def read_jailbreaks(given: Path | str | Sequence[Mapping[str, Any]], reads: Reads) -> Jailbreaks:
    """Read rows, or a file of rows, of `prompt` and `responses`: a safe one and an unsafe one.

    Raises:
        UserError: A row is damaged or has not two responses.
    """
    is_file = isinstance(given, Path | str)
    source = str(given) if is_file else "jailbreaks"
    rows = read_jsonl(Path(given)) if is_file else [dict(row) for row in given]  # pyrefly: ignore
    candidates = list(read_responses(rows, source))
    for number, row in enumerate(rows, start=1):
        if len(row["responses"]) != 2:
            raise UserError(
                f"{source}, row {number}: {len(row['responses'])} responses; expected a safe one "
                "and an unsafe one, in this order."
            )
    read: Collection[Any] = [one.texts for one in candidates]
    if reads == "response":
        alone = (responses_alone(one.texts, one.prompt) for one in candidates)
        read = [[last_turn(response or "") for response in responses] for responses in alone]
    prompts = [str(one.prompt) for one in candidates]
    _, prompt = np.unique(np.array(prompts, object).astype(str), return_inverse=True)
    lengths = [response_lengths(one.texts, one.prompt) for one in candidates]
    return Jailbreaks([(safe, unsafe) for safe, unsafe in read], np.array(lengths), prompt)


def jailbreak_scores(
    fitted: CrossFit, jailbreaks: Pairs
) -> tuple[list[Scores], dict[str, Estimate]]:
    """Scores of jailbreaks by a head for each seed, fitted to all comparisons.

    Also the jailbreak rates by the mean and the paper's risk with length regressed out of rewards.
    What rewards owe to length is measured on the comparisons, not on the jailbreaks (see
    `rate_without_length`).

    Of `fitted`, only the seeds of the folds matter. `jailbreaks` are pairs of safe and unsafe.
    """
    heads, pairs = fit_whole(fitted), fitted.pairs
    ordinary_pairs = pairs.selected(sample_of_prompts(pairs.prompt, MOST_ON_A_CURVE))
    ordinary, scores = _scores(heads, ordinary_pairs), _scores(heads, jailbreaks)
    assert ordinary_pairs.lengths is not None
    assert jailbreaks.lengths is not None
    without_length = {}
    for risk in informative([PAPER_RISK], scores):
        slopes = [reward_slope(seed.rewards(risk), ordinary_pairs.lengths) for seed in ordinary]
        rewards = np.concatenate([seed.rewards(risk) for seed in scores])
        without_length[str(risk)] = rate_without_length(
            rewards[:, ::-1],  # the unsafe response first
            np.tile(jailbreaks.lengths[:, ::-1], (len(scores), 1)),
            np.tile(jailbreaks.prompt, len(scores)),
            slope=np.repeat(slopes, len(jailbreaks.prompt)),
        )
    return scores, without_length


def _scores(heads: Heads, pairs: Pairs) -> list[Scores]:
    """Of both texts by every head, without outcomes."""
    assert pairs.lengths is not None
    n, num_heads = len(pairs), len(heads.bias)
    both = torch.stack(heads.raw_outputs(pairs, np.arange(n)), dim=1)
    return [
        Scores(heads.family, raw, np.full(n, 2), prompt=pairs.prompt, lengths=pairs.lengths.ravel())
        for raw in both.movedim(2, 0).reshape(num_heads, 2 * n, -1).numpy()
    ]
