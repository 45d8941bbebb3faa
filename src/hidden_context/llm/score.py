"""Raw outputs of a model for any texts, independent of how they are batched."""

import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from accelerate.utils import send_to_device

from hidden_context.comparisons.texts import Text
from hidden_context.device import for_loss
from hidden_context.errors import UserError
from hidden_context.llm.adapters import merged
from hidden_context.llm.backbone import check_token_ids, unwrapped, usable_pad_token
from hidden_context.llm.batching import TOKEN_BUDGETS, choose_batching, divided, model_inputs
from hidden_context.llm.packing import Batching, row_of_first
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.llm.shared_prefix import separate_prefixes, share_again
from hidden_context.llm.tokens import TokenIds, TokenizedTexts, numbered, tokenize
from hidden_context.progress import progress_bar

Chunk: TypeAlias = tuple[Sequence[Text | TokenIds], Sequence[str]]
"""Texts, prompt included, that are tokenised and divided into batches together, and what to call
each of them in messages."""


class Scorer:
    """A model while it scores, its adapters merged and its batching chosen on its first texts.

    A context manager, as often as needed; outside it the model is as it was.
    """

    def __init__(
        self, model: Any, tokenizer: Any, num_outputs: int, options: ScoringOptions
    ) -> None:
        """Prepare a model of `load_backbone`, in evaluation mode, with adapters or without.

        By `options` no text is longer than the model has positions.
        """
        self._model, self._tokenizer, self.num_outputs = model, tokenizer, num_outputs
        self.options = options
        self._entered = ExitStack()
        self._batching: Batching | None = None
        self._warned = False
        self._pad_token_id = usable_pad_token(unwrapped(model), tokenizer.pad_token_id)
        self.token_budget = options.token_budget or TOKEN_BUDGETS[model.device.type]

    def __enter__(self) -> Self:
        self._entered.enter_context(merged(self._model))
        self._entered.callback(separate_prefixes, self._model)
        if self._batching == "shared_prefix":
            share_again(self._model)
        return self

    def __exit__(self, *_: object) -> None:
        self._entered.close()

    def outputs_of_chunks(
        self,
        chunks: Iterable[Chunk],
        *,
        total: int,
        progress: bool = False,
        first: Iterable[Chunk] = (),
    ) -> Generator[tuple[np.ndarray, np.ndarray, np.ndarray], None, None]:
        """Score one chunk of texts after another; the next is tokenised meanwhile.

        Within a chunk equal texts get equal scores, to the last bit, so that ties are ties.
        `total` is the number of texts, for the bar. If these are some chunks of more, `first` are
        all of them from the beginning: the batching is chosen on the same texts whichever come.

        Yields:
            Raw outputs of a chunk's n texts, in order, shape `(n, num_outputs)`, float32, not a
            number where a text was dropped; which were longer than `max_length`, `(n,)`, bool; and
            a number for each, the same for texts of equal token ids, `(n,)`.

        Raises:
            UserError: The model gave a score that is not a number, or a text cannot be read.
        """
        how: Any = {"max_length": self.options.max_length, "overlong": self.options.overlong}
        upcoming, beginning = (
            (
                tokenize(self._tokenizer, texts, place=places.__getitem__, **how)
                for texts, places in given
            )
            for given in (chunks, first)
        )
        bar = progress_bar(total, "scoring", unit="text", shown=progress)
        with self, ThreadPoolExecutor(1) as pool, bar:
            self._choose_on_first(beginning)
            pending = pool.submit(next, upcoming, None)
            while (tokenized := pending.result()) is not None:
                pending = pool.submit(next, upcoming, None)
                raw = self.raw_outputs(tokenized.token_ids, bar.update)
                yield raw, tokenized.overlong, np.array(numbered(tokenized.token_ids), int)

    def raw_outputs(
        self,
        token_ids: Sequence[np.ndarray],
        progress: Callable[[int], object] = lambda count: None,
    ) -> np.ndarray:
        """Raw outputs for texts, shape `(n, num_outputs)`; not a number where there are no ids.

        `progress` is called with the number of texts that each batch has scored.
        """
        raw = np.full((len(token_ids), self.num_outputs), np.nan, np.float32)
        distinct = _equal_together(token_ids)
        progress(len(raw) - sum(map(len, distinct)))
        if not distinct:
            return raw
        texts = [token_ids[same[0]] for same in distinct]
        check_token_ids(texts, self._model, self._tokenizer)
        batching = self._choose_batching(texts)
        for indices in self.passes(texts):
            outputs = self._forward([texts[i] for i in indices], batching)
            for index, output in zip(indices, outputs, strict=True):
                raw[distinct[index]] = output
            progress(sum(len(distinct[index]) for index in indices))
        return raw

    def _choose_on_first(self, chunks: Iterable[TokenizedTexts]) -> None:
        """Choose the batching as `raw_outputs` would on the first chunk that has a text."""
        if self._batching is not None:
            return
        for chunk in chunks:
            if distinct := _equal_together(chunk.token_ids):
                texts = [chunk.token_ids[same[0]] for same in distinct]
                check_token_ids(texts, self._model, self._tokenizer)
                self._choose_batching(texts)
                return

    def passes(self, texts: Sequence[np.ndarray]) -> list[list[int]]:
        """Indices of the texts of each forward pass, each in one; see `divided`."""
        return divided(
            texts,
            self._choose_batching(texts),
            token_budget=self.token_budget,
            batch_size=self.options.batch_size,
        )

    def pass_of_first(self, texts: Sequence[np.ndarray]) -> list[int]:
        """Indices of the first text and of those that a forward pass best has beside it."""
        if self._choose_batching(texts) == "shared_prefix":
            return row_of_first(texts, self.token_budget)
        return next(indices for indices in self.passes(texts) if 0 in indices)

    def _choose_batching(self, texts: Sequence[np.ndarray]) -> Batching:
        """The batching, chosen on the first texts; warns once of a text over the token budget."""
        if self._batching is None:
            self._batching = choose_batching(
                self._model,
                self.options.batching,
                texts,
                self._pad_token_id,
                longest=self.options.max_length,
            )
        longest = max(map(len, texts))
        if self._batching != "padded" and longest > self.token_budget and not self._warned:
            self._warned = True
            warnings.warn(
                f"a text of {longest} tokens is over the token_budget {self.token_budget}; each "
                "such text is alone in its batch",
                stacklevel=2,
            )
        return self._batching

    @torch.inference_mode()
    def _forward(self, texts: Sequence[np.ndarray], batching: Batching) -> np.ndarray:
        inputs = model_inputs(texts, batching, self._pad_token_id)
        outputs = self._model(**send_to_device(inputs, self._model.device))
        raw = for_loss(outputs.logits).cpu().numpy()
        if not np.isfinite(raw).all():
            raise UserError(
                "the model gives scores that are not finite; its weights "
                f"({self._model.config.name_or_path}) are damaged, or do not suit bf16."
            )
        return raw


def _equal_together(token_ids: Sequence[np.ndarray]) -> list[list[int]]:
    """The places of each distinct text, those without ids left out."""
    places: dict[bytes, list[int]] = {}
    for index, ids in enumerate(token_ids):
        if len(ids):
            places.setdefault(ids.tobytes(), []).append(index)
    return list(places.values())
