"""Training and scoring of a 7B model on a CUDA device, if there is one.

    python benchmarks/cuda.py

Random weights in the shape of Llama 2 7B, bfloat16, LoRA. First, variable-length attention is held
against a float32 reference: its queries must be aligned with the ends of their keys.
"""

import argparse
import gc
from collections.abc import Sequence

import numpy as np
import torch
from scoring import PUBLISHED as PUBLISHED_LOOP
from scoring import SORTED, in_sorted_batches, make_reward_model, ours, published, timed
from scoring import compare as compare_scoring
from timing import report
from torch import nn
from training import (
    OURS,
    PADDED,
    PUBLISHED,
    STEPS,
    TRL,
    compare,
    length_grouped_batches,
    random_batches,
)
from transformers.utils import logging as transformers_logging
from workload import PAD, Machine, make_model, make_pairs

from hidden_context.llm.packed_attention import Paths, attend
from hidden_context.llm.packing import pack
from hidden_context.llm.score import ScoringOptions

LLAMA_2_7B = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "pad_token_id": PAD,
}
GPU = Machine(LLAMA_2_7B, "cuda", torch.bfloat16)
ROUNDING = 0.05
"""Largest difference of losses and scores in bfloat16."""


def check_alignment(texts: Sequence[np.ndarray]) -> float:
    """Largest difference of variable-length attention in bfloat16 from float32."""
    paths = Paths.of(pack(texts))
    shape = (1, 8, sum(paths.sizes), 128)
    given = [torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(3)]
    found, exact = (
        attend(nn.Identity(), *tensors, attention_mask=None, packed_paths=paths)[0]
        for tensors in (given, [tensor.float() for tensor in given])
    )
    difference = float((found.float() - exact).abs().max())
    assert difference < ROUNDING, f"misaligned: attention differs by {difference}"
    return difference


def compare_training(repetitions: int) -> None:
    """Print a table for each batch size and peer; a peer may run out of memory."""
    pairs, source = make_pairs()
    random, grouped = random_batches, length_grouped_batches
    for size in (8, 32):
        print(f"\nTraining, batch {size}, on {source}:\n")
        for variant, batches, checkpointing, wanted in (
            (TRL, random, False, 3.3),
            (TRL, random, True, 4.5),
            (PUBLISHED, random, False, 0.0),
            (PADDED, grouped, False, 0.0),
        ):
            title = f"{variant}{', its default checkpointing' if checkpointing else ''}"
            try:
                runs = compare(
                    [OURS, variant],
                    batches(pairs, size),
                    repetitions,
                    checkpointing=checkpointing,
                    machine=GPU,
                    atol=ROUNDING,
                )
            except torch.OutOfMemoryError:
                print(f"{title}: out of memory\n")
            else:
                least = {variant: wanted} if wanted else {}
                print(f"{title}:\n")
                print(report(runs, OURS, least, unit="step", per=STEPS[size]), "\n", flush=True)
            gc.collect()
            torch.cuda.empty_cache()


def compare_scores(repetitions: int) -> None:
    """Print a table for scoring."""
    pairs, source = make_pairs()
    texts = [pair[side] for pair in pairs for side in ("chosen", "rejected")]
    reward_model, peer = make_reward_model(GPU), make_model(machine=GPU).eval()
    work = [texts[i * 400 : (i + 1) * 400] for i in range(repetitions)]
    with reward_model.scorer(ScoringOptions(max_length=4096)) as scorer:
        variants = {
            OURS: timed(ours(scorer)),
            PUBLISHED_LOOP: timed(published(peer)),
            SORTED: timed(in_sorted_batches(peer)),
        }
        variants[OURS](texts[:64])  # warm
        runs = compare_scoring(variants, work, atol=ROUNDING)
    print(f"\nScoring 200 pairs a repetition of {source}:\n")
    print(report(runs, OURS, {PUBLISHED_LOOP: 8.0}, unit="text", per=400), flush=True)


def main() -> None:
    """Print the tables, or that there is no device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    print("## CUDA\n")
    if not torch.cuda.is_available():
        print("Skipped: there is no CUDA device here.")
        return
    transformers_logging.set_verbosity_error()
    difference = check_alignment(
        [pair[side] for pair in make_pairs()[0][:16] for side in ("chosen", "rejected")]
    )
    print(
        f"{torch.cuda.get_device_name()}; Llama 2 7B's shape, bfloat16, LoRA; {repetitions} "
        f"repetitions. Variable-length attention is aligned: it differs from float32 by at most "
        f"{difference:.2g}."
    )
    compare_scores(repetitions)
    compare_training(repetitions)


if __name__ == "__main__":
    main()
