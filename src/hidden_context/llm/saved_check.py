"""A checkpoint that was written is loaded, and must score as the model in memory does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hidden_context.errors import UserError
from hidden_context.llm.backbone import padded, unwrapped, usable_pad_token
from hidden_context.llm.checkpoint import find_checkpoint, load_checkpoint

FEW_TOKENS = 64
"""Of a text that both score."""
PROBES = [np.arange(1, 9), np.arange(2, 21)]
"""Token ids where there are no texts; every model has embeddings of these."""
ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-4}
"""How much scores may differ, of one plus the greatest; in half precision `ROUNDING_OF_HALF`."""
ROUNDING_OF_HALF = 0.05


def check_saved(folder: Path, model: Any, token_ids: Sequence[np.ndarray] = PROBES) -> None:
    """Load a checkpoint and compare its scores of a few texts with those of a model.

    The folder stays as it is. The model is in the processor's memory meanwhile.

    Raises:
        UserError: The scores differ by more than rounding, or the checkpoint cannot be loaded.
    """
    inner = unwrapped(model)
    device = inner.device
    texts = [ids[:FEW_TOKENS] for ids in token_ids]
    expected = raw_of(model, texts)
    model.to("cpu")  # both may not fit
    try:
        loaded, _ = load_checkpoint(find_checkpoint(str(folder)), dtype=inner.dtype)
        scores = raw_of(loaded.to(device), texts)
    finally:
        loaded = None
        model.to(device)
    largest = float(np.abs(expected - scores).max())
    tolerance = ROUNDING.get(inner.dtype, ROUNDING_OF_HALF) * (1 + float(np.abs(expected).max()))
    if not largest <= tolerance:
        raise UserError(
            f"{folder} was written, but when it is loaded its scores of {len(texts)} texts differ "
            f"from the model's by up to {largest:.3g}; it is not to be used, and what was saved "
            "before is intact."
        )


@torch.inference_mode()
def raw_of(model: Any, texts: Sequence[np.ndarray]) -> np.ndarray:
    """Raw outputs of token ids by a model of ours, as one padded batch, float32."""
    inner = unwrapped(model)
    was_training = model.training
    model.eval()
    try:
        batch = padded(texts, usable_pad_token(inner, None))
        on_device = {name: value.to(inner.device) for name, value in batch.items()}
        half = inner.dtype in (torch.bfloat16, torch.float16)  # adapters and heads are not
        with torch.autocast(inner.device.type, dtype=inner.dtype if half else None, enabled=half):
            return model(**on_device).logits.float().cpu().numpy()
    finally:
        model.train(was_training)
