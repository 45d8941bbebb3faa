"""Raw outputs of a reward model for any texts, independent of how they are batched."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from accelerate.utils import send_to_device
from tqdm import tqdm

from hidden_context.data.comparisons import Text
from hidden_context.data.packing import Batching
from hidden_context.data.tokenize import Overlong, TokenizedTexts, tokenize
from hidden_context.device import for_loss
from hidden_context.errors import UserError
from hidden_context.llm.adapters import merged
from hidden_context.llm.batching import TOKEN_BUDGETS, choose_batching, divided, model_inputs
from hidden_context.llm.checkpoint import RewardModel
from hidden_context.llm.shared_prefix import separate_prefixes


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


@dataclass(frozen=True)
class Reading:
    """How texts are read; scores depend on the first two alone, but for rounding."""

    max_length: int
    """Longest text, in tokens."""
    overlong: Overlong = "truncate_left"
    """See `tokenize`."""
    batching: Batching | None = None
    """See `choose_batching`."""
    token_budget: int | None = None
    """Tokens a forward pass; if None, what suits the device (`TOKEN_BUDGETS`)."""
    batch_size: int = 8
    """Texts a forward pass, for `padded` batches."""

    def __post_init__(self) -> None:
        for name in ("max_length", "token_budget", "batch_size"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise UserError(f"--{name} is {given}; give at least 1.")


@dataclass(frozen=True)
class Chunk:
    """Texts that are tokenised and divided into batches together."""

    texts: Sequence[Text]
    """Plain texts or conversations, prompt included."""
    places: Sequence[str]
    """What to call each in messages."""


def score(reward_model: RewardModel, texts: Sequence[Text], reading: Reading) -> Scores:
    """Score texts without gradients, each distinct text once; see `score_chunks`."""
    chunk = Chunk(texts, [f"text {number + 1}" for number in range(len(texts))])
    (scores,) = score_chunks(reward_model, [chunk], reading, total=len(texts))
    return scores


def score_chunks(
    reward_model: RewardModel,
    chunks: Iterable[Chunk],
    reading: Reading,
    *,
    total: int,
) -> Iterator[Scores]:
    """Score one chunk of texts after another; the next is tokenised meanwhile.

    Within a chunk equal texts get equal scores, to the last bit, so that ties are ties.

    Args:
        reward_model: From `load_reward_model`; it is lent, and comes back as it was.
        chunks: Any number, taken as needed.
        reading: How they are read.
        total: Number of texts, for the progress bar.

    Raises:
        UserError: The model gave a score that is not a number, or a text cannot be read.
    """
    with (
        merged(reward_model.model),
        ThreadPoolExecutor(1) as pool,
        tqdm(total=total, desc="scoring", unit="text") as progress,
    ):
        batching = None
        upcoming = _tokenized(reward_model, chunks, reading)
        pending = pool.submit(next, upcoming, None)
        try:
            while (tokenized := pending.result()) is not None:
                pending = pool.submit(next, upcoming, None)
                distinct = _distinct(tokenized.token_ids)
                texts = [tokenized.token_ids[same[0]] for same in distinct]
                if batching is None and texts:
                    batching = choose_batching(
                        reward_model.model,
                        reading.batching,
                        texts,
                        reward_model.tokenizer.pad_token_id,
                    )
                num_outputs = reward_model.family.num_outputs
                raw = np.full((len(tokenized.token_ids), num_outputs), np.nan, np.float32)
                for indices, outputs in _outputs(reward_model, texts, batching, reading):
                    for index, output in zip(indices, outputs, strict=True):
                        raw[distinct[index]] = output
                        progress.update(len(distinct[index]))
                progress.update(len(raw) - sum(map(len, distinct)))
                yield Scores(raw, tokenized.overlong)
        finally:
            separate_prefixes(reward_model.model)


def _tokenized(
    reward_model: RewardModel, chunks: Iterable[Chunk], reading: Reading
) -> Iterator[TokenizedTexts]:
    for chunk in chunks:
        yield tokenize(
            reward_model.tokenizer,
            chunk.texts,
            max_length=reading.max_length,
            overlong=reading.overlong,
            place=chunk.places.__getitem__,
        )


def _distinct(token_ids: Sequence[np.ndarray]) -> list[list[int]]:
    """Indices of the texts that were not dropped, equal texts together."""
    found: dict[bytes, list[int]] = {}
    for index, ids in enumerate(token_ids):
        if len(ids):
            found.setdefault(ids.tobytes(), []).append(index)
    return list(found.values())


def _outputs(
    reward_model: RewardModel,
    texts: Sequence[np.ndarray],
    batching: Batching | None,
    reading: Reading,
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Raw outputs of each forward pass, and of which texts they are."""
    if batching is None:
        return
    budget = reading.token_budget or TOKEN_BUDGETS[reward_model.model.device.type]
    for indices in divided(texts, batching, token_budget=budget, batch_size=reading.batch_size):
        yield indices, _forward(reward_model, [texts[i] for i in indices], batching)


@torch.inference_mode()
def _forward(
    reward_model: RewardModel, texts: Sequence[np.ndarray], batching: Batching
) -> np.ndarray:
    inputs = model_inputs(texts, batching, reward_model.tokenizer.pad_token_id)
    outputs = reward_model.model(**send_to_device(inputs, reward_model.model.device))
    raw = for_loss(outputs.logits).cpu().numpy()
    if not np.isfinite(raw).all():
        raise UserError(
            f"the model gives scores that are not finite; its weights ({reward_model.model_name}) "
            "are damaged, or do not suit --bf16."
        )
    return raw
