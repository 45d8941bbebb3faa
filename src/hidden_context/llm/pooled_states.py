"""The last hidden states of a frozen language model, one vector for each text."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
import transformers
from accelerate.utils import send_to_device
from transformers import AutoModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from hidden_context.comparisons.texts import Text
from hidden_context.errors import UserError
from hidden_context.llm.backbone import (
    load_tokenizer,
    longest_text,
    opening,
    padded,
    usable_pad_token,
)
from hidden_context.llm.batching import TOKEN_BUDGETS
from hidden_context.llm.packing import groups_of_like_length
from hidden_context.llm.tokens import tokenize

ORIGIN = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures")
"""Fields of a configuration that say where it came from; the precision is asked for by us."""
Pooling: TypeAlias = Literal["last", "mean"]


class PooledStates:
    """States of an encoder or decoder from the hub or a folder; no remote code is run."""

    reads: Literal["response", "whole"] = "whole"
    """See `hidden_context.audits.comparison_table.Reads`."""

    def __init__(
        self,
        model_name: str,
        *,
        pooling: Pooling | None = None,
        max_length: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Load the model from a folder or the hub.

        `pooling` `last` is the last token, which in a decoder has seen all others; `mean` is over
        all tokens. If None, `mean` for encoders and `last` for decoders, which is how a new head is
        trained on them. Texts of more than `max_length` tokens lose their beginning, and are
        counted.

        Raises:
            UserError: The model or its tokenizer cannot be loaded.
        """
        with opening("model", model_name):
            model, loading = AutoModel.from_pretrained(
                model_name, dtype=dtype, output_loading_info=True
            )
        self._tokenizer = load_tokenizer(model_name)
        self._pad_token_id = usable_pad_token(model, self._tokenizer.pad_token_id)
        self._new = {*loading["missing_keys"]}
        """Weights that the checkpoint lacks; only those of a pooler, which is not used."""
        if model.config.is_encoder_decoder:
            raise UserError(
                f"model {model_name} is an encoder with a decoder, of which neither alone has a "
                "state of the text as it was trained to have; give an encoder or a decoder."
            )
        lacking = sorted(key for key in self._new if "pooler" not in key)
        if lacking:
            raise UserError(f"model {model_name} lacks weights, among them {lacking[0]}.")
        self._max_length = longest_text(model.config, self._tokenizer, max_length)
        self._model: Any = model.eval().to(device)
        self._device = device
        # no masked language model has the architecture of a decoder
        is_encoder = model.config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
        self._pooling = pooling or ("mean" if is_encoder else "last")
        self.name = model_name
        self.width = int(model.config.get_text_config().hidden_size)
        self.num_overlong = 0
        """Texts read so far that were longer than `max_length`."""
        self.description = (
            f"the frozen last hidden states of {model_name}, pooled by {self._pooling}, at most "
            f"{self._max_length} tokens; a model that is trained may see more"
        )
        self.fingerprint = self._fingerprint(dtype)

    def states(self, texts: Sequence[Text]) -> np.ndarray:
        """Shape `(n, width)`, float32."""
        tokenized = tokenize(
            self._tokenizer,
            texts,
            max_length=self._max_length,
            overlong="truncate_left",
            place=lambda index: f"text {str(texts[index])[:60]!r}",
        )
        self.num_overlong += int(tokenized.overlong.sum())
        states = np.empty((len(texts), self.width), np.float32)
        lengths = [len(ids) for ids in tokenized.token_ids]
        for group in groups_of_like_length(lengths, token_budget=TOKEN_BUDGETS[self._device.type]):
            states[group] = self._pooled([tokenized.token_ids[index] for index in group])
        return states

    @torch.inference_mode()
    def _pooled(self, token_ids: Sequence[np.ndarray]) -> np.ndarray:
        batch = send_to_device(padded(token_ids, self._pad_token_id), self._device)
        states = self._model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"]
        if self._pooling == "mean":
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        else:
            pooled = states[torch.arange(len(states), device=states.device), mask.sum(1) - 1]
        return pooled.cpu().numpy()

    def _fingerprint(self, dtype: torch.dtype) -> str:
        """Of weights, configuration and tokenizer by content, and of how texts are read."""
        digest = hashlib.blake2b(digest_size=16)
        for name, weight in self._model.state_dict().items():
            if name in self._new:
                continue
            digest.update(name.encode())
            digest.update(weight.cpu().contiguous().flatten().view(torch.uint8).numpy())
        tokenizer = getattr(self._tokenizer, "backend_tokenizer", None)
        definition = tokenizer.to_str() if tokenizer is not None else repr(self._tokenizer)
        settings = (self._pooling, self._max_length, dtype, self._tokenizer.chat_template)
        version = transformers.__version__.split(".")[0]
        config = json.dumps(_without_origin(self._model.config.to_dict()), sort_keys=True)
        digest.update(repr((definition, *settings, version, config)).encode())
        return digest.hexdigest()


def _without_origin(config: Any) -> Any:
    """A configuration, or a part of it, without what changes no state."""
    if not isinstance(config, dict):
        return config if isinstance(config, (int, float, list)) else str(config)
    return {name: _without_origin(value) for name, value in config.items() if name not in ORIGIN}
