"""Raw outputs of a reward model for any texts, independent of how they are batched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from hidden_context.data.comparisons import Text
from hidden_context.data.tokenize import Overlong, tokenize
from hidden_context.device import for_loss
from hidden_context.errors import UserError
from hidden_context.llm.checkpoint import RewardModel


@dataclass(frozen=True)
class Scores:
    """Raw outputs in the order of the texts."""

    raw: np.ndarray
    """Shape `(n, num_outputs)`, float32; not a number where a text was dropped."""
    overlong: np.ndarray
    """Which texts were longer than `max_length`, shape `(n,)`, bool."""

    @property
    def kept(self) -> np.ndarray:
        """Which texts were scored, shape `(n,)`, bool."""
        return ~np.isnan(self.raw[:, 0])


def score(
    reward_model: RewardModel,
    texts: Sequence[Text],
    *,
    batch_size: int,
    max_length: int,
    overlong: Overlong = "truncate_left",
    place: Callable[[int], str] = lambda index: f"text {index + 1}",
) -> Scores:
    """Score texts without gradients, longest first, each distinct text once.

    Equal texts get equal scores, to the last bit, so that ties are ties.

    Args:
        reward_model: From `load_reward_model`.
        texts: Plain texts or conversations, prompt included.
        batch_size: Texts a forward pass.
        max_length: In tokens.
        overlong: See `tokenize`.
        place: See `tokenize`.

    Raises:
        UserError: The model gave a score that is not a number.
    """
    if batch_size < 1:
        raise UserError(f"--batch_size is {batch_size}; give at least 1.")
    tokenized = tokenize(
        reward_model.tokenizer, texts, max_length=max_length, overlong=overlong, place=place
    )
    distinct: dict[bytes, list[int]] = {}
    for index, ids in enumerate(tokenized.token_ids):
        if len(ids):
            distinct.setdefault(ids.tobytes(), []).append(index)
    places = sorted(distinct.values(), key=lambda group: -len(tokenized.token_ids[group[0]]))
    raw = np.full((len(texts), reward_model.family.num_outputs), np.nan, dtype=np.float32)
    with tqdm(total=len(places), desc="scoring", unit="text") as progress:
        for start in range(0, len(places), batch_size):
            groups = places[start : start + batch_size]
            outputs = _forward(reward_model, [tokenized.token_ids[group[0]] for group in groups])
            for group, output in zip(groups, outputs, strict=True):
                raw[group] = output
            progress.update(len(groups))
    return Scores(raw, tokenized.overlong)


@torch.inference_mode()
def _forward(reward_model: RewardModel, token_ids: Sequence[np.ndarray]) -> np.ndarray:
    batch = padded(token_ids, reward_model.tokenizer.pad_token_id)
    device = reward_model.model.device
    outputs = reward_model.model(**{name: value.to(device) for name, value in batch.items()})
    raw = for_loss(outputs.logits).cpu().numpy()
    if not np.isfinite(raw).all():
        raise UserError(
            f"the model gives scores that are not finite; its weights ({reward_model.model_name}) "
            "are damaged, or do not suit --bf16."
        )
    return raw


def padded(token_ids: Sequence[np.ndarray], pad_token_id: int | None) -> dict[str, Any]:
    """Right-padded `input_ids` and `attention_mask`, shape `(batch, longest)`, int64.

    What the padding is does not matter: it is masked, and texts are pooled by the mask.
    """
    longest = max(len(ids) for ids in token_ids)
    input_ids = np.full((len(token_ids), longest), pad_token_id or 0, dtype=np.int64)
    attention_mask = np.zeros_like(input_ids)
    for row, ids in enumerate(token_ids):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return {
        "input_ids": torch.from_numpy(input_ids),
        "attention_mask": torch.from_numpy(attention_mask),
    }
