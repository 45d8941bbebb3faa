"""How texts become batches: with shared prefixes, grouped by length, or padded as they come."""

import sys
import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from hidden_context.llm.backbone import padded, unwrapped
from hidden_context.llm.packing import Batching, groups_of_like_length, rows_within_budget
from hidden_context.llm.shared_prefix import NotExactError, packed_inputs, share_prefixes

TOKEN_BUDGETS = defaultdict(lambda: 16384, cpu=2048, mps=4096)
"""Tokens a forward pass when scoring, by kind of device; as many on CUDA as on any other.

Fewer cut groups apart or leave a GPU idle; more gain nothing.
"""


def choose_batching(
    model: Any,
    wanted: Batching | None,
    texts: Sequence[np.ndarray],
    pad_token_id: int | None,
    *,
    longest: int,
) -> Batching:
    """The batching that is wanted or, if None, the fastest that is exact for the model.

    Prefixes are shared after a trial alone; see `share_prefixes`. Where it fails, texts are
    grouped, and a warning says why.
    """
    if wanted in ("grouped", "padded"):
        return wanted
    if wanted is None and not hasattr(unwrapped(model), "score"):
        return "grouped"  # tokens of an encoder see those after them
    try:
        share_prefixes(model, texts, pad_token_id, longest=longest)
    except NotExactError as reason:
        warnings.warn(f"batching: grouped, since shared_prefix {reason}", stacklevel=2)
        return "grouped"
    return "shared_prefix"


def model_inputs(
    texts: Sequence[np.ndarray], batching: Batching, pad_token_id: int | None
) -> dict[str, Any]:
    """Texts that are read together, as `read_in_batches` takes them; outputs keep their order.

    Whatever the batching, the same texts are read: random batches stay the user's own.
    """
    if batching == "shared_prefix":
        inputs, places = packed_inputs(texts)
        return {"batches": [inputs], "places": places}
    if batching == "padded":
        return {"batches": [padded(texts, pad_token_id)]}
    groups = groups_of_like_length([len(text) for text in texts], token_budget=sys.maxsize)
    batches = [padded([texts[index] for index in group], pad_token_id) for group in groups]
    places = np.argsort(np.concatenate(groups), kind="stable")
    return {"batches": batches, "places": torch.from_numpy(places)}


def divided(
    texts: Sequence[np.ndarray], batching: Batching, *, token_budget: int, batch_size: int
) -> list[list[int]]:
    """Indices of the texts of each forward pass when scoring.

    A pass has `batch_size` texts where batching is `padded`, else `token_budget` tokens; a text
    with more is alone.
    """
    lengths = [len(text) for text in texts]
    if batching == "shared_prefix":
        return rows_within_budget(texts, token_budget)
    if batching == "grouped":
        return groups_of_like_length(lengths, token_budget=token_budget)
    longest_first = sorted(range(len(texts)), key=lambda index: -lengths[index])
    return [longest_first[i : i + batch_size] for i in range(0, len(texts), batch_size)]
