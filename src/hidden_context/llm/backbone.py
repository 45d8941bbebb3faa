"""A pretrained model with a linear head, pooled at each text's last token by the attention mask."""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import logging as transformers_logging

from hidden_context.distributions.base import HEAD_SCALE
from hidden_context.errors import UserError
from hidden_context.hub import asked_once, is_hub_name
from hidden_context.llm.packed_attention import PATHS
from hidden_context.llm.value_heads import head_of_another_tool
from hidden_context.misspelt import nearest_path

ADAPTER_CONFIG = "adapter_config.json"
"""File that makes a folder of weights an adapter."""


def load_backbone(
    model_name: str,
    num_outputs: int,
    *,
    dtype: torch.dtype | str,
    head_scales: Sequence[float] | None = None,
    revision: str | None = None,
    **options: Any,
) -> Any:
    """Load `AutoModelForSequenceClassification` with a head of `num_outputs`.

    A head that the checkpoint does not have, or has in another width, is new: each output is
    scaled by its number in `head_scales` (`HEAD_SCALE` if not given; see `Family.head_scales`), and
    layers of the head before the last by the largest. `fresh_keys` of the model says which weights
    are new, `unread_keys` which the checkpoint has beside the model's, `replaced_width` which width
    a head had that was replaced. Decoders pool by attention
    mask, whatever their pad token is; see `read_in_batches`. No remote code is run. `options` are
    further ones of `from_pretrained`.

    Raises:
        UserError: There is no such model, it cannot be loaded or lacks weights of more than its
            head and pooler, is an adapter, or is of a kind that cannot score texts one by one.
    """
    if (Path(model_name) / ADAPTER_CONFIG).is_file():
        raise UserError(
            f"model {model_name} is an adapter, which has no weights of its own backbone; merge it "
            "(RewardModel.merge, or hidden-context merge), and give what that saves."
        )
    with opening("model", model_name):
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            model_name,
            num_labels=num_outputs,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            revision=revision or "main",
            **options,
        )
    if getattr(model.config, "is_encoder_decoder", False):
        raise UserError(
            f"model {model_name} is an encoder with a decoder, whose head reads the last end of "
            "text among other tokens; give an encoder or a decoder."
        )
    mismatched = {key: shapes for key, *shapes in loading["mismatched_keys"]}
    fresh = {*loading["missing_keys"], *mismatched}
    inner = f"{model.base_model_prefix}."
    lacking = sorted(key for key in fresh if key.startswith(inner) and not is_pooler(key))
    if lacking:
        raise UserError(f"model {model_name} lacks weights that fit, among them {lacking[0]}.")
    of_head = [key for key in fresh if not key.startswith(inner)]
    _scale(model, of_head, torch.tensor(head_scales or [HEAD_SCALE] * num_outputs))
    model = read_in_batches(model)
    model.fresh_keys, model.unread_keys = frozenset(fresh), frozenset(loading["unexpected_keys"])
    widths = [shapes[0][0] for key, shapes in mismatched.items() if key.endswith("weight")]
    model.replaced_width = int(widths[0]) if widths else None
    return model


def _scale(model: Any, keys: Iterable[str], scales: torch.Tensor) -> None:
    """Weights of the head: each output by its scale, layers before the last by the largest."""
    with torch.no_grad():
        for key in keys:
            parameter = model.get_parameter(key)
            last = len(parameter) == len(scales)
            by = scales.reshape(-1, *[1] * (parameter.ndim - 1)) if last else scales.max()
            parameter.mul_(by.to(parameter))


def is_pooler(key: str) -> bool:
    """Whether a weight is of what makes one state of many, which a backbone may lack."""
    return "pooler" in key or "sequence_summary" in key


AFTER_THE_PAD_TOKEN = {
    "camembert",
    "data2vec-text",
    "esm",
    "ibert",
    "lilt",
    "longformer",
    "luke",
    "markuplm",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}
"""Architectures whose positions are counted from the pad token's id on."""


MEMORY = re.compile(r"out of memory|can(no|')t allocate memory|not enough memory", re.IGNORECASE)
"""How libraries and the system say that there is too little."""


PANIC = "PanicException"
"""What tokenizers raises where it is at its wits' end; no `Exception`."""


@contextmanager
def opening(what: str, name: str) -> Iterator[None]:
    """Read from a folder or the hub, quietly; a name without a slash, such as gpt2, may be either.

    Raises:
        UserError: The name is no folder here and cannot be one on the hub, or reading fails.
    """
    if not (Path(name).is_dir() or is_hub_name(name) or "/" not in name):
        raise UserError(
            f"{what} {name} is neither a folder nor the name of a model on the hub."
            f"{nearest_path(name)}"
        )
    on_hub = nullcontext() if Path(name).is_dir() else asked_once()
    try:
        with on_hub, quietly():
            yield
    except UserError:
        raise
    except BaseException as error:  # whatever the libraries make of a damaged file
        if not isinstance(error, Exception) and type(error).__name__ != PANIC:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or MEMORY.search(reason):
            reason = f"it needs more memory than there is ({reason}); take a smaller dtype or model"
        elif "Couldn't instantiate the backend tokenizer" in reason:
            reason = "its tokenizer.json (or what its kind has instead) is missing; copy it again"
        raise UserError(f"{what} {name} cannot be loaded: {reason}") from error


def head_name(model: Any) -> str:
    """Attribute of the head: `score` of decoders, `classifier` of most encoders.

    Raises:
        UserError: The architecture calls it by another name.
    """
    for name in ("score", "classifier", "logits_proj"):
        if hasattr(model, name):
            return name
    raise UserError(f"{type(model).__name__} has a head of a name that is not known.")


def trained_head(
    model: Any, model_name: str, *, revision: str | None = None
) -> torch.nn.Linear | None:
    """The head of a trained reward model that `load_backbone` did not take: it has another width.

    Or it was written by another tool, under another name.
    """
    name = head_name(model)
    if model.replaced_width is not None:
        with opening("model", model_name):
            kind = AutoModelForSequenceClassification
            trained = kind.from_pretrained(
                model_name, num_labels=model.replaced_width, revision=revision or "main"
            )
        head = getattr(trained, name)
        return head if isinstance(head, torch.nn.Linear) else None
    if model.fresh_keys == {f"{name}.weight"} and Path(model_name).is_dir():
        return head_of_another_tool(Path(model_name), getattr(model, name).in_features)
    return None


def start_from_head(model: Any, head: torch.nn.Linear, output: int) -> None:
    """Make the only row of a trained head that of an output of the new head.

    A bias that the new head cannot have shifts all utilities alike, and is left out.
    """
    new = getattr(model, head_name(model))
    with torch.no_grad():
        new.weight[output] = head.weight[0].to(new.weight)
        if new.bias is not None and head.bias is not None:
            new.bias[output] = head.bias[0].to(new.bias)


@contextmanager
def quietly() -> Iterator[None]:
    """Without bars, loading report and deprecations of the libraries: what matters is checked."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=FutureWarning)
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def load_tokenizer(name: str, *, revision: str | None = None) -> Any:
    """Load a tokenizer whose pad token, if any, is not its eos token.

    Raises:
        UserError: There is no such tokenizer, or its longest text is no number.
    """
    with opening("tokenizer", name):
        tokenizer: Any = AutoTokenizer.from_pretrained(name, revision=revision or "main")
    own = tokenizer.model_max_length
    if not isinstance(own, (int, float)) or not own > 0:
        raise UserError(
            f"{name}: the tokenizer's model_max_length is {own!r:.80}; expected a number above 0."
        )
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        unknown = tokenizer.unk_token
        usable = unknown not in (None, tokenizer.eos_token, tokenizer.bos_token)
        tokenizer.pad_token = unknown if usable else None
    return tokenizer


def load_config(model_name: str, *, revision: str | None = None) -> Any:
    """The configuration of a backbone.

    Raises:
        UserError: There is none.
    """
    with opening("model", model_name):
        return AutoConfig.from_pretrained(model_name, revision=revision or "main")


def longest_text(config: Any, tokenizer: Any, max_length: int) -> int:
    """`max_length`, or the number of usable positions of a model, if that is smaller (tokens).

    Positions of RoBERTa and its kin begin after that of the pad token. Rotary positions that are
    stretched only for longer batches (longrope, dynamic) are used as far as they are not: beyond,
    the score of a text would depend on what is scored with it.
    """
    config = config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or 0
    if config.model_type in AFTER_THE_PAD_TOKEN and positions > 0:
        positions -= (config.pad_token_id or 0) + 1
    longest = [max_length, tokenizer.model_max_length]
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    by_layer_type = [one for one in rope.values() if isinstance(one, dict)]
    for one in by_layer_type or [rope]:
        if one.get("rope_type", one.get("type")) in ("longrope", "dynamic"):
            original = one.get("original_max_position_embeddings") or getattr(
                config, "original_max_position_embeddings", None
            )
            longest.append(original or positions)
    if positions > 0:  # -1 is XLNet's for none
        longest.append(positions)
    return int(min(longest))


def check_token_ids(token_ids: Sequence[np.ndarray], model: Any, tokenizer: Any) -> None:
    """Refuse a token that the model has no embedding for.

    Raises:
        UserError: It names the token.
    """
    known = len(unwrapped(model).get_input_embeddings().weight)
    for ids in token_ids:
        if len(ids) and ids.max() >= known:
            token = tokenizer.convert_ids_to_tokens(int(ids.max()))
            raise UserError(
                f"token {token!r} has the id {ids.max()}, but the model has embeddings of {known} "
                "tokens; give the tokenizer that belongs to the model (tokenizer_name)."
            )


def usable_pad_token(model: Any, pad_token_id: int | None) -> int | None:
    """A token to pad with that has an embedding; it is masked, so that any will do."""
    known = len(model.get_input_embeddings().weight)
    if pad_token_id is not None and pad_token_id < known:
        return pad_token_id
    own = getattr(model.config.get_text_config(), "pad_token_id", None)
    return own if own is not None and own < known else None


def unwrapped(model: Any) -> Any:
    """The model within its adapters, if it has any."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def read_in_batches(model: Any) -> Any:
    """Give a model a forward pass over several batches, and decoders pooling by attention mask.

    The stock forward of decoders looks for the last token that is not the pad token, which is wrong
    where the pad token is the eos token and texts end in it. Their head stays in float32 whatever
    the rest computes in: bfloat16 has 8 bits, so that close responses would tie. The class keeps
    its name, so that saved configurations name the stock architecture; the model can be pickled.
    """
    if hasattr(model, "score"):
        model.score.float()
    pooling = _PooledAtLastToken if hasattr(model, "score") else _ReadsBatches
    model.__class__ = _reading(pooling, type(model))
    return model


@cache
def _reading(pooling: "type[_ReadsBatches]", stock: type) -> Any:
    """The class of a stock architecture that reads batches."""
    return type(stock.__name__, (pooling, stock), {"__module__": stock.__module__})


def _unpickled(pooling: "type[_ReadsBatches]", stock: type) -> Any:
    kind = _reading(pooling, stock)
    return kind.__new__(kind)


def padded(token_ids: Sequence[np.ndarray], pad_token_id: int | None) -> dict[str, torch.Tensor]:
    """Right-padded `input_ids` and `attention_mask`, shape `(batch, longest)`, int64.

    What the padding is does not matter: it is masked, and texts are pooled by the mask.
    """
    texts = [torch.tensor(ids, dtype=torch.int64) for ids in token_ids]
    input_ids = pad_sequence(texts, batch_first=True, padding_value=pad_token_id or 0)
    lengths = torch.tensor([len(ids) for ids in texts])
    attention_mask = torch.arange(input_ids.shape[1]) < lengths[:, None]
    return {"input_ids": input_ids, "attention_mask": attention_mask.long()}


class _ReadsBatches:
    accepts_loss_kwargs = False
    fresh_keys: frozenset[str] = frozenset()
    """Weights that were made anew, as the checkpoint lacks them or has them in another width."""
    unread_keys: frozenset[str] = frozenset()
    """Weights that the checkpoint has, and the architecture has not."""
    replaced_width: int | None = None
    """Outputs of a head that was replaced by a new one."""
    stock_attention: str | None = None
    """The model's own attention, while it shares prefixes; see `share_prefixes`."""
    shortens_last_layer = True
    """Whether, while the model shares prefixes, its last layer computes the last tokens alone."""
    last_layer_hooks: Sequence[Any] = ()
    """Let the last layer compute the last tokens alone, while the model shares prefixes."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By the classes that the model's own is made of, which have a name to import."""
        return _unpickled, type(self).__bases__, self.__getstate__()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        batches: Sequence[Mapping[str, Any]] | None = None,
        places: torch.Tensor | None = None,
        **_unused: Any,
    ) -> SequenceClassifierOutput:
        """Raw outputs, shape `(texts, num_outputs)`.

        The texts are one padded batch, `input_ids` and `attention_mask` of shape
        `(texts, longest)`, or any number of `batches`, padded or packed. `places` says which of the
        batches' texts comes first, second and so on; if None, they are in order.
        """
        if batches is None:
            batches = [{"input_ids": input_ids, "attention_mask": attention_mask}]
        raw = torch.cat([self.raw_outputs(**batch) for batch in batches])
        return SequenceClassifierOutput(logits=raw if places is None else raw[places])

    def raw_outputs(self, **batch: Any) -> torch.Tensor:
        """Raw outputs of one batch by the stock forward pass."""
        stock: Any = super()
        return stock.forward(**batch).logits


class _PooledAtLastToken(_ReadsBatches):
    base_model: Any
    score: Any

    def raw_outputs(self, **batch: Any) -> torch.Tensor:
        """Raw outputs of one batch, in the precision of the head."""
        pooled = self.pooled_states(**batch)
        with torch.autocast(pooled.device.type, enabled=False):
            return self.score(pooled.to(next(self.score.parameters()).dtype))

    def pooled_states(self, **batch: Any) -> torch.Tensor:
        """Last hidden state at the last token of each text, shape `(texts, hidden_size)`."""
        states = self.base_model(use_cache=False, **batch).last_hidden_state
        paths = batch.get(PATHS)
        if paths is not None:
            return states[0, paths.last.to(states.device, non_blocking=True)]
        mask = batch["attention_mask"]
        last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(-1)
        return states[torch.arange(len(last), device=states.device), last.to(states.device)]
