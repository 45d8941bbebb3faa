"""Attention along the paths of a packed row, as an attention function of transformers.

Each text looks at its own tokens and at nothing else, wherever in the row they are. On CUDA in half
precision that is one call of torch's variable-length attention; elsewhere one call of
scaled_dot_product_attention for each text.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import accumulate
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hidden_context.llm.packing import Group, PackedRow, Path

PATHS = "packed_paths"
"""Name of the argument that carries `Paths` through a model to its attention."""
AttentionInputs: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor | None]
"""Query, key, value and mask, the latter None where attention is causal."""
LARGEST_HEAD = 256
"""Of variable-length attention, in channels."""


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths of a packed row, and what its layers compute from them once."""

    groups: tuple[Group, ...]
    last: Tensor
    """Place in the row of the last token of each path, shape `(paths,)`."""
    shared: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What the layers share (masks, indices), by what it depends on."""

    @classmethod
    def of(cls, row: PackedRow) -> "Paths":
        """The paths of `row`, on the CPU."""
        return cls(row.groups, torch.from_numpy(row.last))

    @property
    def sizes(self) -> list[int]:
        """Number of tokens of each group."""
        return [group.size for group in self.groups]

    def once(self, name: Any, make: Callable[[], Any]) -> Any:
        """What `make` returns, made for the first layer that asks for it by `name`."""
        if name not in self.shared:
            self.shared[name] = make()
        return self.shared[name]


@dataclass(frozen=True, eq=False)
class LastTokens:
    """Paths of which only the last tokens ask."""

    paths: Paths
    asked: tuple[Tensor, Tensor] | None = None
    """Keys and values of the whole row; if None, attention hands over those that it is given."""


class Handover(BaseException):
    """Not an error: carries `(key, value)` of a layer out of it before it goes on."""


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed_paths: Paths | LastTokens | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_unused: Any,
) -> tuple[Tensor, None]:
    """Causal attention of each text along its path; the signature is that of transformers.

    No mask is given, since transformers makes none for a function that it does not know. `query`,
    `(1, heads, queries, channels)`, is of all tokens of the row, or with `LastTokens` of the last
    one of each path; `key` and `value` are `(1, key heads, tokens, channels)`. Scores are
    multiplied by `scaling` (if None, by one over the square root of channels) and bounded by
    `softcap`, by a hyperbolic tangent; a weight is dropped with probability `dropout`. A token
    looks at `sliding_window` last tokens, its own among them.

    Returns:
        Shape `(1, queries, heads, channels)`, and no weights.
    """
    if packed_paths is None:
        raise RuntimeError("this model reads packed rows only; see hidden_context.llm.batching")
    only_last = isinstance(packed_paths, LastTokens)
    paths = packed_paths.paths if isinstance(packed_paths, LastTokens) else packed_paths
    if isinstance(packed_paths, LastTokens):
        if packed_paths.asked is None:
            raise Handover(key, value)
        key, value = packed_paths.asked
    if dropout == 0 and softcap is None:
        varlen = _by_varlen(paths, query, key, value, scaling, sliding_window, only_last=only_last)
        if varlen is not None:
            return varlen, None
    by_text = _of_last_tokens if only_last else _of_all_tokens
    parts = by_text(paths, query, key, value, sliding_window)
    options = {"scaling": scaling, "dropout": dropout, "softcap": softcap}
    pieces = [_attention(*part, **options) for part in parts]
    return torch.cat(pieces, dim=2).transpose(1, 2), None


@cache
def varlen_attention() -> tuple[Callable[..., Any] | None, frozenset[str]]:
    """torch's variable-length attention and the names of its arguments, which change."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None, frozenset()
    return varlen_attn, frozenset(inspect.signature(varlen_attn).parameters)


def varlen_options(
    names: frozenset[str],
    *,
    window: int | None,
    scaling: float | None,
    channels: int,
    grouped: bool,
) -> dict[str, Any] | None:
    """What variable-length attention with such arguments must be told; None if it cannot do it.

    Queries are aligned with the ends of their keys, causal or within a window.
    """
    options: dict[str, Any] = {}
    if "window_size" in names:
        options["window_size"] = (-1 if window is None else window - 1, 0)
    elif window is None and "is_causal" in names:  # torch 2.10
        options["is_causal"] = True
    else:
        return None
    if "scale" in names:
        options["scale"] = scaling
    elif scaling is not None and abs(scaling * channels**0.5 - 1) > 1e-6:
        return None
    if grouped and "enable_gqa" in names:
        options["enable_gqa"] = True
    return options


def _by_varlen(
    paths: Paths,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    window: int | None,
    *,
    only_last: bool,
) -> Tensor | None:
    """One call for all texts, with keys and values gathered by path; None if it cannot be made."""
    attention, names = varlen_attention()
    suits = query.dtype in (torch.float16, torch.bfloat16) and query.shape[-1] <= LARGEST_HEAD
    if attention is None or not query.is_cuda or not suits:
        return None
    grouped = query.shape[1] != key.shape[1]
    options = varlen_options(
        names, window=window, scaling=scaling, channels=query.shape[-1], grouped=grouped
    )
    if options is None:
        return None
    places, *cumulative_and_largest = paths.once(
        ("varlen", only_last, query.device),
        partial(varlen_layout, paths, query.device, only_last=only_last),
    )
    keys, values = (x[0].transpose(0, 1).index_select(0, places) for x in (key, value))
    queries = query[0].transpose(0, 1).contiguous()
    return attention(queries, keys, values, *cumulative_and_largest, **options)[None]


def varlen_layout(
    paths: Paths, device: torch.device, *, only_last: bool
) -> tuple[Tensor, Tensor, Tensor, int, int]:
    """What variable-length attention wants to know, on `device`.

    Returns:
        Places in the row of the keys of each text, one text after the other; where each text's
        queries and keys begin (cumulative, int32); and the largest numbers of either.
    """
    starts = accumulate(paths.sizes, initial=0)
    places, num_queries, num_keys = [], [], []
    for start, group in zip(starts, paths.groups, strict=False):
        for path in group.paths:
            places += [torch.arange(start + a, start + b) for a, b in path.spans]
            num_queries.append(1 if only_last else path.num_new)
            num_keys.append(path.length)
    where = torch.cat(places).to(device, non_blocking=True)
    cu_q, cu_k = (
        torch.tensor([0, *accumulate(counts)], dtype=torch.int32).to(device, non_blocking=True)
        for counts in (num_queries, num_keys)
    )
    return where, cu_q, cu_k, max(num_queries), max(num_keys)


def _of_all_tokens(
    paths: Paths, query: Tensor, key: Tensor, value: Tensor, window: int | None
) -> Iterator[AttentionInputs]:
    split = (x.split(paths.sizes, dim=2) for x in (query, key, value))
    for group, q, k, v in zip(paths.groups, *split, strict=True):
        for path in group.paths:
            new, length, stop = path.num_new, path.length, path.last + 1
            mask = None
            if new < length or (window is not None and window < length):
                name = (new, length, window, q.dtype, q.device)
                mask = paths.once(name, partial(lower_right_mask, new, length, window, q))
            yield q[:, :, stop - new : stop], _along(k, path), _along(v, path), mask


def _of_last_tokens(
    paths: Paths, query: Tensor, key: Tensor, value: Tensor, window: int | None
) -> Iterator[AttentionInputs]:
    queries = query.split([len(group.paths) for group in paths.groups], dim=2)
    split = (x.split(paths.sizes, dim=2) for x in (key, value))
    for number, (group, q, k, v) in enumerate(zip(paths.groups, queries, *split, strict=True)):
        name = ("last", number, window, q.dtype, q.device)
        yield q, k, v, paths.once(name, partial(_mask_of_last, group, window, q))


def lower_right_mask(num_queries: int, num_keys: int, window: int | None, like: Tensor) -> Tensor:
    """0 where the last `num_queries` of `num_keys` tokens look, -inf elsewhere."""
    ahead = num_keys - num_queries
    looks = torch.ones(num_queries, num_keys, dtype=torch.bool, device=like.device).tril(ahead)
    if window is not None:
        looks = looks.triu(ahead - window + 1)
    return like.new_zeros(looks.shape).masked_fill_(~looks, -torch.inf)


def _mask_of_last(group: Group, window: int | None, like: Tensor) -> Tensor:
    """0 where the last token of each path looks, -inf elsewhere, shape `(paths, tokens)`."""
    mask = torch.full((len(group.paths), group.size), -torch.inf)
    for row, path in zip(mask, group.paths, strict=True):
        places = torch.cat([torch.arange(start, stop) for start, stop in path.spans])
        row[places if window is None else places[-window:]] = 0
    return mask.to(like)


def _along(x: Tensor, path: Path) -> Tensor:
    """Keys or values of a group along one path, shape `(1, heads, length, channels)`."""
    spans = [x[:, :, start:stop] for start, stop in path.spans]
    return spans[0] if len(spans) == 1 else torch.cat(spans, dim=2)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    scaling: float | None,
    dropout: float,
    softcap: float | None,
) -> Tensor:
    """Attention under a mask, or causal without one."""
    if softcap is None:
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            is_causal=mask is None,
            scale=scaling,
            dropout_p=dropout,
            enable_gqa=query.shape[1] != key.shape[1],
        )
    # scores bounded by `softcap` (Gemma 2), which scaled_dot_product_attention lacks
    if mask is None:
        mask = lower_right_mask(query.shape[2], key.shape[2], None, query)
    repeats = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(repeats, dim=1) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.tanh(query @ key.transpose(2, 3) * (scale / softcap)) * softcap + mask
    weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return F.dropout(weights, dropout) @ value
