"""Comparisons as token ids for training, with an account of every one left out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hidden_context.data.comparisons import comparisons_from_rows, count_identical
from hidden_context.data.streamed import Streamed
from hidden_context.data.token_cache import tokenize_once
from hidden_context.data.tokenize import Overlong, pair_place
from hidden_context.errors import UserError
from hidden_context.llm.trainer import Pair


@dataclass(frozen=True)
class TokenizedPairs:
    """Pairs in the data's order, and what became of the others."""

    pairs: list[Pair]
    num_identical: int
    """Comparisons of two equal texts, which are kept."""
    num_overlong: int
    """Comparisons with a text over the limit: left out, or cut."""

    def account(self, name: str, max_length: int, overlong: Overlong) -> str:
        """One line for the user."""
        fate = "left out" if overlong == "drop" else "cut at the beginning"
        return (
            f"{name}: {len(self.pairs)} comparisons ({self.num_identical} with equal texts); "
            f"{self.num_overlong} over {max_length} tokens, {fate}"
        )


def tokenize_pairs(
    rows: Collection[Mapping[str, Any]],
    source: str,
    tokenizer: Any,
    *,
    max_length: int,
    overlong: Overlong,
) -> TokenizedPairs:
    """Check and tokenise rows; see `comparisons_from_rows` and `tokenize_once`.

    Raises:
        UserError: Rows cannot be used, or none is left.
    """
    comparisons = comparisons_from_rows(rows, source)
    texts = Streamed(
        lambda: (text for pair in comparisons for text in (pair.chosen, pair.rejected)),
        2 * len(comparisons),
    )
    tokenized = tokenize_once(
        tokenizer, texts, max_length=max_length, overlong=overlong, place=pair_place
    )
    chosen, rejected = tokenized.token_ids[::2], tokenized.token_ids[1::2]
    pairs = [
        {"chosen": first, "rejected": second}
        for first, second in zip(chosen, rejected, strict=True)
        if len(first) and len(second)
    ]
    if not pairs:
        raise UserError(
            f"{source}: all {len(comparisons)} comparisons are over {max_length} tokens; "
            "raise --max_length, or give --overlong truncate_left."
        )
    num_overlong = int((tokenized.overlong[::2] | tokenized.overlong[1::2]).sum())
    return TokenizedPairs(pairs, count_identical(comparisons), num_overlong)
