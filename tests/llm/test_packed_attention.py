"""Attention along the paths of a packed row, against one dense masked softmax."""

from typing import Any

import numpy as np
import pytest
import torch

from hidden_context.llm.packed_attention import (
    Handover,
    LastTokens,
    Paths,
    attend,
    varlen_attention,
    varlen_layout,
    varlen_options,
)
from hidden_context.llm.packing import pack

CHANNELS = 8


def make_texts() -> list[np.ndarray]:
    """Two that share 30 tokens, one of them alone, a beginning, equal ones, and a single token."""
    rng = np.random.default_rng(0)

    def some(number: int) -> np.ndarray:
        return rng.integers(3, 97, size=number).astype(np.int32)

    prompt, other = some(30), some(40)
    texts = [np.concatenate([prompt, some(n)]) for n in (9, 14)]
    branch = np.concatenate([other, some(20)])
    texts += [np.concatenate([branch, some(4)]), np.concatenate([branch, some(6)])]
    return [*texts, some(11), prompt, some(1), texts[0]]


def tensors(tokens: int, heads: int, key_heads: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(1, count, tokens, CHANNELS, generator=generator, dtype=torch.float64)
        for count in (heads, key_heads, key_heads)
    )


def dense(
    paths: Paths,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scaling: float = CHANNELS**-0.5,
    window: int | None = None,
    softcap: float | None = None,
) -> torch.Tensor:
    """One softmax over the whole row, of which each token sees those of its own text alone."""
    tokens = sum(paths.sizes)
    looks = torch.zeros(tokens, tokens, dtype=torch.bool)
    start = 0
    for group in paths.groups:
        for path in group.paths:
            places = [start + place for a, b in path.spans for place in range(a, b)]
            for number, place in enumerate(places):
                first = 0 if window is None else max(0, number + 1 - window)
                looks[place, places[first : number + 1]] = True
        start += group.size
    repeats = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(repeats, dim=1) for x in (key, value))
    scores = query @ key.transpose(2, 3) * scaling
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    weights = scores.masked_fill(~looks, -torch.inf).softmax(-1)
    return (weights @ value).transpose(1, 2)


@pytest.mark.parametrize("only_last", [False, True])
@pytest.mark.parametrize("key_heads", [4, 2, 1])
@pytest.mark.parametrize("window", [None, 1, 7, 35, 200])
@pytest.mark.parametrize(
    ("softcap", "scaling"), [(None, None), (2.0, None), (None, 0.1), (3.0, 0.5)]
)
def test_a_token_attends_to_its_own_text_alone(
    only_last: bool,
    key_heads: int,
    window: int | None,
    softcap: float | None,
    scaling: float | None,
):
    paths = Paths.of(pack(make_texts()))
    query, key, value = tensors(sum(paths.sizes), 4, key_heads)
    given: dict[str, Any] = {} if scaling is None else {"scaling": scaling}
    expected = dense(paths, query, key, value, window=window, softcap=softcap, **given)
    asked: Any = paths
    if only_last:
        asked = LastTokens(paths, (key, value))
        query, expected = query[:, :, paths.last], expected[:, paths.last]
    found, weights = attend(
        torch.nn.Identity(),
        query,
        key,
        value,
        None,
        packed_paths=asked,
        scaling=scaling,
        sliding_window=window,
        softcap=softcap,
    )
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)  # softmax in float32
    assert weights is None


def test_equal_texts_end_at_one_place_and_a_beginning_within_the_other():
    row = pack(make_texts())
    assert row.path_of[0] == row.path_of[-1]
    assert len(row.token_ids) < sum(map(len, make_texts())) - 30 - 60


def test_keys_and_values_are_handed_over_before_any_attention():
    paths = Paths.of(pack(make_texts()))
    query, key, value = tensors(sum(paths.sizes), 2, 2)
    with pytest.raises(Handover) as handover:
        attend(torch.nn.Identity(), query, key, value, None, packed_paths=LastTokens(paths))
    assert handover.value.args == (key, value)


@pytest.mark.parametrize("only_last", [False, True])
def test_the_layout_of_variable_length_attention_gives_the_same(only_last: bool):
    """The layout, read by a plain reference: queries are the last of their keys."""
    paths = Paths.of(pack(make_texts()))
    query, key, value = tensors(sum(paths.sizes), 2, 2)
    expected = dense(paths, query, key, value)
    if only_last:
        query, expected = query[:, :, paths.last], expected[:, paths.last]
    places, cu_q, cu_k, max_q, max_k = varlen_layout(
        paths, torch.device("cpu"), only_last=only_last
    )
    pieces = []
    for q_start, q_stop, k_start, k_stop in zip(
        cu_q.tolist(), cu_q[1:].tolist(), cu_k.tolist(), cu_k[1:].tolist(), strict=False
    ):
        q, at = query[0, :, q_start:q_stop], places[k_start:k_stop]
        ahead = len(at) - q.shape[1]
        scores = q @ key[0][:, at].transpose(1, 2) / CHANNELS**0.5
        looks = torch.ones(q.shape[1], len(at), dtype=torch.bool).tril(ahead)
        weights = scores.masked_fill(~looks, -torch.inf).softmax(-1)
        pieces.append(weights @ value[0][:, at])
    torch.testing.assert_close(torch.cat(pieces, 1).transpose(0, 1)[None], expected)
    assert (max_q, max_k) == (int(cu_q.diff().max()), int(cu_k.diff().max()))


NOW = frozenset({"window_size", "scale", "enable_gqa"})
TORCH_2_10 = frozenset({"is_causal"})
USUAL = 64**-0.5


@pytest.mark.parametrize(
    ("names", "window", "scaling", "grouped", "options"),
    [
        (NOW, None, 0.3, True, {"window_size": (-1, 0), "scale": 0.3, "enable_gqa": True}),
        (NOW, 8, 0.3, True, {"window_size": (7, 0), "scale": 0.3, "enable_gqa": True}),
        (NOW, None, None, False, {"window_size": (-1, 0), "scale": None}),
        (frozenset(), None, USUAL, True, None),
        (TORCH_2_10, None, 0.3, True, None),
        (TORCH_2_10, None, USUAL, True, {"is_causal": True}),
        (TORCH_2_10, None, None, True, {"is_causal": True}),
        (TORCH_2_10, 8, USUAL, True, None),
    ],
)
def test_variable_length_attention_is_told_the_same_whatever_its_arguments_are_called(
    names: frozenset[str],
    window: int | None,
    scaling: float | None,
    grouped: bool,
    options: dict[str, Any] | None,
):
    told = varlen_options(names, window=window, scaling=scaling, channels=64, grouped=grouped)
    assert told == options


def test_torch_has_an_attention_that_can_be_told():
    attention, names = varlen_attention()
    assert attention is not None
    assert varlen_options(names, window=None, scaling=USUAL, channels=64, grouped=False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("window", [None, 16])
def test_variable_length_attention_aligns_queries_with_the_ends_of_their_keys(window: int | None):
    """On the device itself, since its alignment is what the layout relies on."""
    paths = Paths.of(pack(make_texts()))
    query, key, value = (
        torch.randn(1, 4, sum(paths.sizes), 64, device="cuda", dtype=torch.bfloat16)
        for _ in range(3)
    )
    module = torch.nn.Identity()
    options: dict[str, Any] = {"packed_paths": paths, "sliding_window": window}
    found, _ = attend(module, query, key, value, None, **options)
    query, key, value = (x.float() for x in (query, key, value))
    expected, _ = attend(module, query, key, value, None, **options)
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.02)
