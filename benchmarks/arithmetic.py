"""What share of this machine's matrix-product peak a packed step and packed scoring reach.

    python benchmarks/arithmetic.py

The peak is the best rate of large float32 matrix products, measured here. Operations are those that
a step needs: products with weights and attention, forward and backward (with LoRA, frozen weights
have no gradient of their own). The profile says where the rest of the time goes.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch.profiler import ProfilerActivity, profile
from workload import MAX_LENGTH, PAD, SIZES, make_model, make_pairs

from hidden_context.llm.adapters import merged
from hidden_context.llm.batching import TOKEN_BUDGETS, choose_batching, model_inputs
from hidden_context.llm.packing import pack, rows_within_budget

KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "linear"),
    "attention": ("attention", "softmax"),
    "copies (cat, index, split)": ("cat", "index", "copy", "slice", "clone", "gather", "scatter"),
    "elementwise": ("mul", "add", "silu", "pow", "mean", "rsqrt", "neg", "sum", "fill", "zero"),
}


def peak_rate() -> float:
    """Operations a second of the best of several large products."""
    best = 0.0
    for size in (1024, 1536, 2048):
        first, second = torch.randn(size, size), torch.randn(size, size)
        for _ in range(5):
            started = time.perf_counter()
            first @ second
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def operations(texts: Sequence[np.ndarray], *, backward: bool) -> float:
    """Of the model's products with weights and of causal attention, for one packed row.

    A backward pass costs as much as a forward pass for weights (gradients of inputs alone) and
    twice as much for attention.
    """
    row = pack(texts)
    hidden, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
    layers = SIZES["num_hidden_layers"]
    weights = 4 * hidden**2 + 3 * hidden * inner
    last_layer = 3 * hidden**2 / weights  # queries, keys and values for all tokens
    linear = 2.0 * weights * (layers - 1 + last_layer) * len(row.token_ids)
    looks = sum(
        path.num_new * (path.length - path.num_new) + path.num_new**2 / 2
        for group in row.groups
        for path in group.paths
    )
    attention = 4.0 * hidden * looks * (layers - 1)
    return linear * (2 if backward else 1) + attention * (3 if backward else 1)


def measure(run: Callable[[], None], repetitions: int) -> float:
    """Median seconds of a run."""
    run()
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def shares(run: Callable[[], None]) -> dict[str, float]:
    """Share of the time of operators, by their kind."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        run()
    times = dict.fromkeys([*KINDS, "other"], 0.0)
    for event in found.key_averages():
        name = event.key.lower()
        kind = next((k for k, words in KINDS.items() if any(w in name for w in words)), "other")
        times[kind] += event.self_cpu_time_total
    total = sum(times.values())
    return {kind: spent / total for kind, spent in times.items()}


def main() -> None:
    """Print rates and profiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=7)
    repetitions = parser.parse_args().repetitions
    pairs, _ = make_pairs()
    texts = [pair[side] for pair in pairs[:48] for side in ("chosen", "rejected")]
    model: Any = make_model()
    assert choose_batching(model, None, texts, PAD, longest=MAX_LENGTH) == "shared_prefix"
    batch = texts[:16]

    def step() -> None:
        model.zero_grad()
        raw = model(**model_inputs(batch, "shared_prefix", PAD)).logits
        (-torch.nn.functional.logsigmoid(raw[::2] - raw[1::2]).mean()).backward()

    rows = rows_within_budget(texts, TOKEN_BUDGETS["cpu"])

    @torch.inference_mode()
    def score() -> None:
        for indices in rows:
            model(**model_inputs([texts[i] for i in indices], "shared_prefix", PAD))

    peak = peak_rate()
    table: list[tuple[str, float, float, dict[str, float]]] = []
    needed = operations(batch, backward=True)
    table.append(("training step, batch 8", needed, measure(step, repetitions), shares(step)))
    with merged(model.eval()):
        needed = sum(operations([texts[i] for i in row], backward=False) for row in rows)
        table.append(("scoring 48 pairs", needed, measure(score, repetitions), shares(score)))
    print(
        f"## Arithmetic rate\n\nPeak of matrix products here: {peak / 1e9:.0f} GFLOP/s "
        f"({torch.get_num_threads()} threads).\n"
    )
    lines = [
        [what, f"{needed / seconds / 1e9:.0f}", f"{100 * needed / seconds / peak:.0f} %"]
        + [f"{100 * spent[kind]:.0f} %" for kind in (*KINDS, "other")]
        for what, needed, seconds, spent in table
    ]
    headers = ["", "GFLOP/s", "of peak", *KINDS, "other"]
    print(tabulate(lines, headers, "pipe", disable_numparse=True))
    print("\nThe last columns are shares of the time spent in operators.")


if __name__ == "__main__":
    main()
