"""A forward pass of causal backbones in which a beginning that texts share is computed once.

No model code is copied or patched: the model's attention is a function registered with
transformers, and a hook lets the last layer compute only the tokens that are read. Whether that is
exact for a backbone is tried out on its own texts.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from accelerate.utils import recursively_apply, send_to_device
from torch import Tensor, nn
from transformers import AttentionInterface

from hidden_context.llm.backbone import padded, quietly, unwrapped
from hidden_context.llm.packed_attention import PATHS, Handover, LastTokens, Paths, attend
from hidden_context.llm.packing import MIN_SHARED, in_trie_order, pack, shared_with_previous

ATTENTION = "hidden_context_shared_prefix"
"""Name of the attention function in transformers."""
KNOWN_LAYERS = {"full_attention", "sliding_attention"}
"""Kinds of layers that `attend` computes."""
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-4}
"""Largest relative difference of pooled states that is rounding; measured: 1e-6 in float32."""
HALF_TOLERANCE = 0.05
"""The same where anything is computed in half precision: 8 bits, and some layers of rounding."""

AttentionInterface.register(ATTENTION, attend)


class NotExactError(Exception):
    """Why a model cannot share prefixes, as the end of a sentence."""


def share_prefixes(
    model: Any, texts: Sequence[np.ndarray], pad_token_id: int | None, *, longest: int
) -> None:
    """Let a model read packed rows, after it has scored some of the texts in both ways.

    The model is one of `load_backbone`, with adapters or without, on the device where it will run
    and under the autocast in which it will. It may read texts of up to `longest` tokens.

    Raises:
        NotExactError: The two ways differ, or one is impossible; the model is as it was.
    """
    reward = unwrapped(model)
    if not hasattr(reward, "score"):
        raise NotExactError("needs a causal model")
    config = reward.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    if not kinds <= KNOWN_LAYERS:
        raise NotExactError(f"does not know layers of kind {', '.join(kinds - KNOWN_LAYERS)}")
    separate_prefixes(model)
    tried = texts_to_try(texts, longest, getattr(config, "sliding_window", None))
    with torch.no_grad(), quietly(), ExitStack() as afterwards:
        afterwards.callback(model.train, model.training)
        model.eval()
        batch = send_to_device(padded(tried, pad_token_id), reward.device)
        expected = reward.pooled_states(**batch)
        reason = ""
        for shortened in (True, False):
            reward.shortens_last_layer = shortened
            share_again(model)
            reason = _difference(reward, tried, expected)
            if not reason:
                return
            separate_prefixes(model)
    raise NotExactError(reason)


def share_again(model: Any) -> None:
    """Let a model read packed rows in the way that `share_prefixes` has tried before."""
    reward = unwrapped(model)
    reward.stock_attention = reward.config._attn_implementation
    with quietly():
        reward.set_attn_implementation(ATTENTION)
    layer = last_layer(reward)
    if reward.shortens_last_layer and layer is not None:
        reward.last_layer_hooks = (
            layer.register_forward_pre_hook(compute_only_last, with_kwargs=True),
            layer.register_forward_hook(put_back, with_kwargs=True),
        )


def separate_prefixes(model: Any) -> None:
    """Undo `share_prefixes`, if it was done: the model reads padded batches as before."""
    reward = unwrapped(model)
    for hook in reward.last_layer_hooks:
        hook.remove()
    reward.last_layer_hooks = ()
    if reward.stock_attention is not None:
        reward.set_attn_implementation(reward.stock_attention)
        reward.stock_attention = None


def packed_inputs(texts: Sequence[np.ndarray]) -> tuple[dict[str, Any], Tensor]:
    """One packed row as a model reads it, and the path in it of each of the texts."""
    row = pack(texts)
    inputs = {
        "input_ids": torch.from_numpy(row.token_ids.astype(np.int64))[None],
        "position_ids": torch.from_numpy(row.position_ids)[None],
        PATHS: Paths.of(row),
    }
    return inputs, torch.from_numpy(row.path_of)


def texts_to_try(texts: Sequence[np.ndarray], longest: int, window: int | None) -> list[np.ndarray]:
    """Two groups that share their beginnings, of usual length, and one that is made to share.

    If a text may be longer than the `window` of sliding attention, one that is so is made too.
    """
    order = in_trie_order(texts)
    shared = shared_with_previous([texts[index] for index in order])
    seconds = [place for place in range(len(order)) if shared[place]]
    seconds.sort(key=lambda place: len(texts[order[place]]))
    by_length = sorted(texts, key=len)
    enough = [text for text in by_length if len(text) >= 2 * MIN_SHARED] or by_length[-1:]
    usual = enough[len(enough) // 2]
    half = usual[: (len(usual) + 1) // 2]
    tried = [usual, np.concatenate([half, usual[:-1]])[: len(usual)]]
    for place in seconds[len(seconds) // 4 :: max(1, len(seconds) // 4)][:2]:
        tried += [texts[order[place - 1]], texts[order[place]]]
    if window is not None and window < longest:
        tried.append(np.resize(by_length[-1], min(longest, 2 * window)))  # repeats what it has
    return tried


def last_layer(reward: Any) -> nn.Module | None:
    """The last decoder layer, if the backbone has them in a list."""
    number = reward.config.get_text_config().num_hidden_layers
    lists = [m for m in reward.base_model.modules() if isinstance(m, nn.ModuleList)]
    return next((layers[-1] for layers in lists if len(layers) == number), None)


def compute_only_last(
    layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Pre-forward hook: keys and values for all tokens, the rest for the last of each text.

    The layer is begun on all tokens, up to where its attention has keys and values; then it runs
    on the last tokens alone, and asks those.
    """
    paths = kwargs.get(PATHS)
    if not isinstance(paths, Paths):
        return None
    try:
        layer.forward(*args, **{**kwargs, PATHS: LastTokens(paths)})
    except Handover as handover:
        key, value = handover.args
    else:
        raise RuntimeError(f"{type(layer).__name__} did not call its attention")
    args, kwargs = recursively_apply(
        lambda tensor: tensor.index_select(1, paths.last.to(tensor.device, non_blocking=True)),
        (args, kwargs),
        test_type=lambda x: isinstance(x, Tensor) and x.shape[:2] == (1, sum(paths.sizes)),
    )
    return args, {**kwargs, PATHS: LastTokens(paths, (key, value))}


def put_back(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    """Forward hook: the last tokens at their places in a row that is 0 elsewhere.

    What follows the layer (a norm) is cheap, and some models insist on the row's length.
    """
    asked = kwargs.get(PATHS)
    if not isinstance(asked, LastTokens):
        return output
    states = output[0] if isinstance(output, tuple) else output
    row = states.new_zeros(1, sum(asked.paths.sizes), states.shape[-1])
    row = row.index_copy(1, asked.paths.last.to(row.device, non_blocking=True), states)
    return (row, *output[1:]) if isinstance(output, tuple) else row


def _difference(reward: Any, texts: Sequence[np.ndarray], expected: Tensor) -> str:
    """How the packed states differ from the expected ones; empty if only in rounding."""
    inputs, places = packed_inputs(texts)
    try:
        states = reward.pooled_states(**send_to_device(inputs, reward.device))
        states = states[places.to(states.device)]
    except Exception as error:  # whatever a model raises, it cannot do this
        return f"fails for {reward.config.model_type} ({type(error).__name__}: {error})"
    in_half = torch.is_autocast_enabled(expected.device.type)
    tolerance = HALF_TOLERANCE if in_half else TOLERANCES.get(reward.dtype, HALF_TOLERANCE)
    difference = (states - expected).double().norm(dim=-1) / expected.double().norm(dim=-1)
    if bool((difference <= tolerance).all()):
        return ""
    return (
        f"changes the states of {reward.config.model_type} by up to "
        f"{difference.max().item():.2g} of their size (rounding: {tolerance:.2g})"
    )
