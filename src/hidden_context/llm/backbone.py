"""A pretrained model with a linear head, pooled at each text's last token by the attention mask."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

from hidden_context.data.sources import is_hub_name
from hidden_context.errors import UserError

HEAD_SCALE = 0.01
"""A new head starts at this share of its usual initial weights (DPL paper, appendix)."""


def load_backbone(model_name: str, num_outputs: int, *, dtype: torch.dtype) -> Any:
    """Load `AutoModelForSequenceClassification` with a head of `num_outputs`.

    A head that the checkpoint does not have, or has in another width, is new: scaled by
    `HEAD_SCALE`. Decoders pool by attention mask, whatever their pad token is. No remote code is
    run.

    Raises:
        UserError: There is no such model, or it cannot be loaded.
    """
    check_exists("model", model_name)
    try:
        with quietly():
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                model_name,
                num_labels=num_outputs,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"model {model_name} cannot be loaded: {_first_line(error)}") from error
    head = head_name(model)
    fresh = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    lacking = sorted(key for key in fresh if not key.startswith(head) and "pooler" not in key)
    if lacking:
        raise UserError(f"model {model_name} lacks weights that fit, among them {lacking[0]}.")
    if any(key.startswith(head) for key in fresh):
        with torch.no_grad():
            for parameter in getattr(model, head).parameters():
                parameter.mul_(HEAD_SCALE)
    return pooled_by_attention_mask(model)


def check_exists(what: str, name: str) -> None:
    """Refuse a name that is no folder here and cannot be one on the hub.

    A name without a slash, such as gpt2, may be either.
    """
    if not (Path(name).is_dir() or is_hub_name(name) or "/" not in name):
        raise UserError(f"{what} {name} is neither a folder nor the name of a model on the hub.")


def head_name(model: Any) -> str:
    """Attribute of the head: `score` of decoders, `classifier` of encoders."""
    return "score" if hasattr(model, "score") else "classifier"


@contextmanager
def quietly() -> Iterator[None]:
    """Without the loading report and deprecations of the libraries: what matters, we check."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=FutureWarning)
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def load_tokenizer(name: str) -> Any:
    """Load a tokenizer whose pad token, if any, is not its eos token.

    Raises:
        UserError: There is no such tokenizer.
    """
    check_exists("tokenizer", name)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"tokenizer {name} cannot be loaded: {_first_line(error)}") from error
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        unknown = tokenizer.unk_token
        usable = unknown not in (None, tokenizer.eos_token, tokenizer.bos_token)
        tokenizer.pad_token = unknown if usable else None
    return tokenizer


def longest_text(model_name: str, tokenizer: Any, max_length: int) -> int:
    """`max_length`, or the number of positions that the model has, if that is smaller (tokens)."""
    try:
        positions = getattr(AutoConfig.from_pretrained(model_name), "max_position_embeddings", None)
    except (OSError, ValueError) as error:
        raise UserError(f"model {model_name} cannot be loaded: {_first_line(error)}") from error
    limits = [max_length, tokenizer.model_max_length, positions or max_length]
    return int(min(limits))


def pooled_by_attention_mask(model: Any) -> Any:
    """Give a decoder a forward pass that reads its head at the last token of each text.

    The stock forward looks for the last token that is not the pad token, which is wrong where the
    pad token is the eos token and texts end in it. The head stays in float32 whatever the rest
    computes in: bfloat16 has 8 bits, so that close responses would tie. Encoders, which pool by
    themselves, are left as they are. The class keeps its name, so that saved configurations name
    the stock architecture.
    """
    if not hasattr(model, "score"):
        return model
    model.score.float()
    stock = type(model)
    model.__class__ = type(stock.__name__, (_PooledByMask, stock), {"__module__": stock.__module__})
    return model


class _PooledByMask:
    accepts_loss_kwargs = False
    base_model: Any
    score: Any

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        **_unused: Any,
    ) -> SequenceClassifierOutput:
        """Raw outputs at the last unmasked token of each row, shape `(batch, num_outputs)`."""
        states = self.base_model(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
        last = (attention_mask * positions).argmax(-1)
        rows = torch.arange(len(last), device=states.device)
        pooled = states[rows, last.to(states.device)]
        with torch.autocast(states.device.type, enabled=False):
            raw = self.score(pooled.to(next(self.score.parameters()).dtype))
        return SequenceClassifierOutput(logits=raw)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
