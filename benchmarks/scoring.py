"""Scoring against the published loop, and best-of-16 against sorted separate texts.

    python benchmarks/scoring.py

From token ids to raw outputs, float32, with a LoRA adapter. The published loop scores one text at a
time, padded to a multiple of 64; here without gradients, which it kept. Scores of all variants are
compared before any time is reported.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from timing import Runs, interleaved, report
from workload import (
    PAD,
    make_candidates,
    make_jailbreak_texts,
    make_model,
    make_pairs,
    make_tokenizer,
)

from hidden_context.distributions import make_family
from hidden_context.llm.backbone import padded
from hidden_context.llm.checkpoint import RewardModel
from hidden_context.llm.score import Reading, Scorer

OURS = "hidden-context"
PUBLISHED = "published loop"
SORTED = "sorted, padded batches of 16"
Score = Callable[[Sequence[np.ndarray]], np.ndarray]


def ours(reward_model: RewardModel) -> Score:
    """What the commands do once they have token ids."""

    def score(texts: Sequence[np.ndarray]) -> np.ndarray:
        with Scorer(reward_model, Reading(max_length=4096)) as scorer:
            return scorer.raw_outputs(texts, lambda count: None)

    return score


def published(model: Any) -> Score:
    """One text at a time, padded to a multiple of 64."""

    @torch.no_grad()
    def score(texts: Sequence[np.ndarray]) -> np.ndarray:
        outputs = []
        for text in texts:
            missing = -len(text) % 64
            batch = padded([text], PAD)
            batch = {name: torch.nn.functional.pad(x, (0, missing)) for name, x in batch.items()}
            outputs.append(model(**send_to_device(batch, model.device)).logits.cpu())
        return torch.cat(outputs).float().numpy()

    return score


def in_sorted_batches(model: Any) -> Score:
    """Longest first, 16 together, padded to the longest."""

    @torch.inference_mode()
    def score(texts: Sequence[np.ndarray]) -> np.ndarray:
        order = np.argsort([-len(text) for text in texts], kind="stable")
        outputs = []
        for i in range(0, len(texts), 16):
            batch = padded([texts[index] for index in order[i : i + 16]], PAD)
            outputs.append(model(**send_to_device(batch, model.device)).logits.cpu())
        return torch.cat(outputs).float().numpy()[np.argsort(order)]

    return score


def compare(
    variants: dict[str, Score], work: Sequence[Sequence[np.ndarray]], atol: float = 1e-5
) -> Runs:
    """Time the variants on each part of the work; scores may differ by `atol`.

    Raises:
        AssertionError: The scores of a text differ.
    """
    scores: dict[tuple[str, int], np.ndarray] = {}

    def run(name: str, part: int) -> float:
        started = time.perf_counter()
        scores[name, part] = variants[name](work[part])
        return time.perf_counter() - started

    runs = interleaved(
        {name: lambda part, name=name: run(name, part) for name in variants}, len(work)
    )
    for (name, part), found in scores.items():
        np.testing.assert_allclose(found, scores[OURS, part], atol=atol, err_msg=name)
    return runs


def main() -> None:
    """Print one table for each kind of texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    model = make_model().eval()
    reward_model = RewardModel(model, make_tokenizer(), make_family("base"), "benchmark")
    pairs, source = make_pairs()
    jailbreaks, jailbreak_source = make_jailbreak_texts()
    texts = [pair[side] for pair in pairs for side in ("chosen", "rejected")]
    candidates = make_candidates(4, prompt=500, candidates=16, own=60)
    variants = {OURS: ours(reward_model), PUBLISHED: published(model)}
    sorted_too = {**variants, SORTED: in_sorted_batches(model)}
    variants[OURS](texts[:32])  # warm
    print("## Scoring\n")
    for title, compared, wanted, work in (
        (
            f"200 pairs a repetition of {source}",
            sorted_too,
            {PUBLISHED: 2.9},
            [texts[i * 400 : (i + 1) * 400] for i in range(repetitions)],
        ),
        (jailbreak_source, variants, {PUBLISHED: 1.9}, [jailbreaks] * repetitions),
        (
            "Best of 16: prompts of 500 tokens, candidates of 60",
            {OURS: variants[OURS], SORTED: in_sorted_batches(model)},
            {SORTED: 5.0},
            [candidates] * repetitions,
        ),
    ):
        runs = compare(compared, work)
        print(f"{title} ({repetitions} repetitions):\n")
        print(report(runs, OURS, wanted, unit="text", per=len(work[0])), "\n", flush=True)


if __name__ == "__main__":
    main()
