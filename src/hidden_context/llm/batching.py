"""How texts become batches: with shared prefixes, grouped by length, or padded as they come."""

import sys
import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device

from hidden_context.errors import UserError
from hidden_context.llm.backbone import padded, quietly, unwrapped
from hidden_context.llm.packing import Batching, groups_of_like_length, rows_within_budget
from hidden_context.llm.shared_prefix import NotExactError, packed_inputs, share_prefixes

TOKEN_BUDGETS = defaultdict(lambda: 16384, cpu=2048, mps=4096)
"""Tokens a forward pass when scoring, by kind of device; as many on CUDA as on any other.

Fewer cut groups apart or leave a GPU idle; more gain nothing.
"""


LONGEST_TRIED = 64
"""Tokens of a text by which it is found out whether a model reads padding."""


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

    Raises:
        UserError: The score of a text depends on the texts that it is padded with, or not on it.
    """
    if not hasattr(unwrapped(model), "score"):  # of decoders it cannot
        _check_padding(model, texts, pad_token_id)
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


def _check_padding(model: Any, texts: Sequence[np.ndarray], pad_token_id: int | None) -> None:
    long = max(texts, key=len)[:LONGEST_TRIED]
    short = long[: max(1, len(long) // 3)]
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), quietly():
            inputs = [padded(batch, pad_token_id) for batch in ([short], [short, long])]
            device = unwrapped(model).device
            (alone,), (beside, other) = (
                model(**send_to_device(batch, device)).logits.double() for batch in inputs
            )
    finally:
        model.train(was_training)
    tolerance = 0.05 if unwrapped(model).dtype in (torch.bfloat16, torch.float16) else 1e-3
    largest = torch.stack([alone, beside]).abs().max().item()  # a new head's outputs are small
    if not torch.allclose(alone, beside, rtol=0, atol=tolerance * largest + 1e-9):
        raise UserError(
            f"{type(unwrapped(model)).__name__} gives a text another score beside a longer one "
            f"({beside.tolist()} for {alone.tolist()}): it reads the padding, so no batch of texts "
            "can be scored soundly; give another model."
        )
    if torch.equal(beside, other) and beside.any() and len(short) < len(long):
        raise UserError(
            f"{type(unwrapped(model)).__name__} gives texts of {len(short)} and {len(long)} tokens "
            "the very same score: here it does not read its texts (it may lack a kernel for this "
            "device); give another model."
        )


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
