"""Raw outputs of a reward model for any texts, independent of how they are batched."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from accelerate.utils import send_to_device
from tqdm import tqdm

from hidden_context.comparisons.schema import Text
from hidden_context.device import for_loss
from hidden_context.errors import UserError
from hidden_context.llm.adapters import merged
from hidden_context.llm.backbone import longest_text
from hidden_context.llm.batching import choose_batching, default_token_budget, divided, model_inputs
from hidden_context.llm.checkpoint import RewardModel
from hidden_context.llm.packing import Batching
from hidden_context.llm.shared_prefix import separate_prefixes
from hidden_context.llm.tokens import Overlong, TokenizedTexts, tokenize


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
class ScoringOptions:
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

    @classmethod
    def of(cls, config: Any) -> "ScoringOptions":
        """From the flags of a command, which are called the same."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})

    def within(self, reward_model: RewardModel) -> "ScoringOptions":
        """With no longer texts than the model has positions."""
        name, tokenizer = reward_model.model_name, reward_model.tokenizer
        return replace(self, max_length=longest_text(name, tokenizer, self.max_length))

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


def score(reward_model: RewardModel, texts: Sequence[Text], reading: ScoringOptions) -> Scores:
    """Score texts without gradients, each distinct text once; see `score_chunks`."""
    chunk = Chunk(texts, [f"text {number + 1}" for number in range(len(texts))])
    (scores,) = score_chunks(reward_model, [chunk], reading, total=len(texts))
    return scores


def score_chunks(
    reward_model: RewardModel,
    chunks: Iterable[Chunk],
    reading: ScoringOptions,
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
        Scorer(reward_model, reading) as scorer,
        ThreadPoolExecutor(1) as pool,
        tqdm(total=total, desc="scoring", unit="text") as progress,
    ):
        upcoming = _tokenized(reward_model, chunks, reading)
        pending = pool.submit(next, upcoming, None)
        while (tokenized := pending.result()) is not None:
            pending = pool.submit(next, upcoming, None)
            yield Scores(
                scorer.raw_outputs(tokenized.token_ids, progress.update), tokenized.overlong
            )


class Scorer:
    """A reward model that is lent for scoring, its adapters merged and its batching chosen.

    A context manager; the model comes back as it was.
    """

    def __init__(self, reward_model: RewardModel, reading: ScoringOptions) -> None:
        self._reward_model = reward_model
        self._reading = reading
        self._lent = ExitStack()
        self._batching: Batching | None = None
        self._told = False
        default = default_token_budget(reward_model.model.device)
        self._token_budget = reading.token_budget or default

    def __enter__(self) -> Self:
        self._lent.enter_context(merged(self._reward_model.model))
        self._lent.callback(separate_prefixes, self._reward_model.model)
        return self

    def __exit__(self, *_: object) -> None:
        self._lent.close()

    def raw_outputs(
        self, token_ids: Sequence[np.ndarray], progress: Callable[[int], object]
    ) -> np.ndarray:
        """Raw outputs for texts, shape `(n, num_outputs)`; not a number where there are no ids.

        Args:
            token_ids: Of texts that are divided into batches together.
            progress: Called with the number of texts that were scored.
        """
        raw = np.full((len(token_ids), self._reward_model.family.num_outputs), np.nan, np.float32)
        distinct = _distinct(token_ids)
        progress(len(raw) - sum(map(len, distinct)))
        if not distinct:
            return raw
        texts = [token_ids[same[0]] for same in distinct]
        batching = self._choose_batching(texts)
        budget, batch_size = self._token_budget, self._reading.batch_size
        for indices in divided(texts, batching, token_budget=budget, batch_size=batch_size):
            outputs = _forward(self._reward_model, [texts[i] for i in indices], batching)
            for index, output in zip(indices, outputs, strict=True):
                raw[distinct[index]] = output
            progress(sum(len(distinct[index]) for index in indices))
        return raw

    def _choose_batching(self, texts: Sequence[np.ndarray]) -> Batching:
        """The batching, chosen on the first texts; warns once of a text over the token budget."""
        if self._batching is None:
            model, tokenizer = self._reward_model.model, self._reward_model.tokenizer
            self._batching = choose_batching(
                model,
                self._reading.batching,
                texts,
                tokenizer.pad_token_id,
                longest=self._reading.max_length,
            )
        longest = max(map(len, texts))
        if self._batching != "padded" and longest > self._token_budget and not self._told:
            self._told = True
            tqdm.write(
                f"warning: a text of {longest} tokens is over --token_budget "
                f"{self._token_budget}; each such text is alone in its batch",
                file=sys.stderr,
            )
        return self._batching


def _tokenized(
    reward_model: RewardModel, chunks: Iterable[Chunk], reading: ScoringOptions
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
